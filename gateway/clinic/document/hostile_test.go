package document_test

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"

	"postern/gateway/clinic/document"
	"postern/gateway/lab/peer"
)

// attacks are markup and values that run, fetch or navigate where a renderer lets them through. CANARY
// becomes the address of a server that must never be asked.
var attacks = []string{
	`<script>window.hit=1;alert('x');fetch('CANARY/script')</script>`,
	`<script xmlns="http://www.w3.org/1999/xhtml" src="CANARY/src.js"></script>`,
	`<x:script xmlns:x="http://www.w3.org/1999/xhtml">alert(2)</x:script>`,
	`<img src="CANARY/img.png" onerror="alert(3)"/>`,
	`<content onclick="alert(4)" onmouseover="alert(4)" style="background:url(CANARY/style)" ID="x&quot; onfocus=&quot;alert(4)&quot; autofocus=&quot;">hover</content>`,
	`<linkHtml href="javascript:alert(5)">link</linkHtml><linkHtml href="data:text/html,&lt;script&gt;alert(5)&lt;/script&gt;">data</linkHtml><linkHtml href="CANARY/link">out</linkHtml><linkHtml href="#x&quot;onclick=alert(5)">in</linkHtml>`,
	`<a href="javascript:alert(6)" target="_blank" ping="CANARY/ping">a</a><a href=" &#1;javascript:alert(6)">b</a>`,
	`<svg xmlns="http://www.w3.org/2000/svg" onload="alert(7)"><script>alert(7)</script><image href="CANARY/svg.png"/><use href="CANARY/use.svg#a"/><foreignObject><iframe src="CANARY/fo"/></foreignObject></svg>`,
	`<math xmlns="http://www.w3.org/1998/Math/MathML"><maction actiontype="statusline#CANARY/math" href="javascript:alert(8)">m</maction></math>`,
	`<style>@import url(CANARY/import.css); body{background:url(CANARY/bg)}</style><link rel="stylesheet" href="CANARY/l.css"/>`,
	`<meta http-equiv="refresh" content="0;url=CANARY/refresh"/><base href="CANARY/base/"/>`,
	`<iframe src="CANARY/frame" srcdoc="&lt;script&gt;alert(9)&lt;/script&gt;"/><frame src="CANARY/f"/><object data="CANARY/object"/><embed src="CANARY/embed"/><applet code="CANARY/a"/>`,
	`<form action="CANARY/form"><input autofocus="1" onfocus="alert(10)"/><button formaction="javascript:alert(10)">b</button></form>`,
	`<video src="CANARY/video" autoplay="1"/><audio src="CANARY/audio"/><source srcset="CANARY/srcset"/><track src="CANARY/track"/>`,
	`<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="CANARY/xi" parse="text"/>`,
	`<table border="1" onmouseover="alert(11)" background="CANARY/table"><tr><td style="x:expression(alert(11))" background="CANARY/td">c</td></tr></table>`,
	`<?xml-stylesheet type="text/xsl" href="CANARY/pi.xsl"?><?php alert(12)?>`,
	`<details open="1" ontoggle="alert(13)"><summary>s</summary></details><body onload="alert(13)"/><marquee onstart="alert(13)">m</marquee>`,
	`<![CDATA[</div></section></main><script>alert(14)</script><img src=CANARY/cdata onerror=alert(14)>]]>`,
	`<renderMultiMedia referencedObject="m1 m2 m3"/>`,
	`<content ID="first-page">&lt;script&gt;alert(15)&lt;/script&gt;&lt;/textarea&gt;&lt;/title&gt;&lt;/style&gt;&lt;!--&lt;img src=CANARY/esc onerror=alert(15)&gt;</content>`,
}

const breakout = `&quot;&gt;&lt;/title&gt;&lt;/style&gt;&lt;/script&gt;&lt;script&gt;alert(20)&lt;/script&gt;&lt;img src=CANARY/value onerror=alert(20)&gt;`

// hostileCDA is a CDA with attacks in every place that XML, CDA and HTML have for them.
func hostileCDA() string {
	b := `<?xml version="1.0"?><?xml-stylesheet type="text/xsl" href="CANARY/evil.xsl"?>
<!DOCTYPE ClinicalDocument SYSTEM "CANARY/evil.dtd" [<!ENTITY ext SYSTEM "CANARY/ext"><!ENTITY file SYSTEM "file:///etc/passwd"><!ENTITY % p SYSTEM "CANARY/param"> %p;]>
<ClinicalDocument xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="urn:hl7-org:v3 CANARY/schema.xsd">
<templateId root="2.16.840.1.113883.10.20.22.1.14"/><id root="VALUE"/><code code="VALUE" displayName="VALUE"/><title>VALUE &ext; &file;</title>
<effectiveTime value="VALUE"/><languageCode code="VALUE"/><confidentialityCode code="R"/>
<recordTarget><patientRole><id root="VALUE" extension="VALUE" assigningAuthorityName="VALUE"/><telecom value="javascript:alert(21)"/><addr><streetAddressLine>VALUE</streetAddressLine></addr>
<patient><name><given>VALUE</given><family>VALUE</family></name><birthTime value="VALUE"/></patient></patientRole></recordTarget>
<author><time value="VALUE"/><assignedAuthor><telecom value="VALUE"/><assignedPerson><name>VALUE</name></assignedPerson></assignedAuthor></author>
<component><structuredBody>`
	for i, a := range attacks {
		b += fmt.Sprintf(`<component><section><code code="10160-0" displayName="VALUE"/><title>VALUE %d</title><text ID="VALUE" styleCode="VALUE">%s plain
<paragraph styleCode="VALUE">%s</paragraph><list><item>%s</item></list><table><caption>%s</caption><thead><tr><th colspan="VALUE">%s</th></tr></thead><tbody><tr><td ID="t%d">%s</td></tr></tbody></table></text>
<entry><substanceAdministration><consumable><manufacturedProduct><manufacturedMaterial><code code="VALUE" displayName="VALUE"><originalText><reference value="#t%d"/></originalText></code></manufacturedMaterial></manufacturedProduct></consumable></substanceAdministration></entry>
<entry><observationMedia ID="m1"><value mediaType="image/svg+xml" representation="B64">SVG64</value></observationMedia></entry>
<entry><observationMedia ID="m2"><value mediaType="image/png" representation="B64">PNG64</value></observationMedia></entry>
<entry><observationMedia ID="m3"><value mediaType="image/png"><reference value="CANARY/media.png"/></value></observationMedia></entry></section></component>`, i, a, a, a, a, a, i, a, i)
	}
	b += `</structuredBody></component></ClinicalDocument>`
	svg := `<svg xmlns="http://www.w3.org/2000/svg" onload="alert(22)"><script>alert(22)</script></svg>`
	png := "\x89PNG\r\n\x1a\n<script>alert(23)</script>"
	r := strings.NewReplacer("VALUE", breakout, "SVG64", base64.StdEncoding.EncodeToString([]byte(svg)), "PNG64", base64.StdEncoding.EncodeToString([]byte(png)))
	return r.Replace(b)
}

func unstructured(mediaType, body string) string {
	return `<ClinicalDocument xmlns="urn:hl7-org:v3"><templateId root="2.16.840.1.113883.10.20.22.1.10"/><title>t</title><component><nonXMLBody><text mediaType="` + mediaType +
		`" representation="B64">` + base64.StdEncoding.EncodeToString([]byte(body)) + `</text></nonXMLBody></component></ClinicalDocument>`
}

func zipOf(files ...string) string {
	var w bytes.Buffer
	zw := zip.NewWriter(&w)
	for i := 0; i < len(files); i += 2 {
		f, err := zw.Create(files[i])
		if err == nil {
			_, err = io.WriteString(f, files[i+1])
		}
		if err != nil {
			panic(err)
		}
	}
	zw.Close()
	return w.String()
}

// hostile are documents that try to run, fetch, open or navigate.
func hostile() map[string]string {
	all := strings.Join(attacks, "\n")
	page := "<html><head><title>" + all + "</title></head><body onload=alert(30)>" + all + "</body></html>"
	mail := "From: <script>alert(31)</script> <a@x.example>\r\nTo: b@y.example\r\nSubject: \"><img src=CANARY/subject onerror=alert(31)>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" +
		"--b\r\nContent-Type: text/html\r\n\r\n" + page + "\r\n--b\r\nContent-Type: image/svg+xml\r\nContent-Disposition: attachment; filename=\"<img src=CANARY/name onerror=alert(32)>.svg\"\r\n\r\n<svg xmlns=\"http://www.w3.org/2000/svg\" onload=\"alert(32)\"/>\r\n" +
		"--b\r\nContent-Type: text/plain; name=\"\"><script>alert(33)</script>\"\r\n\r\n<script>alert(33)</script>\r\n--b--\r\n"
	bomb := `<!DOCTYPE l [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]><ClinicalDocument xmlns="urn:hl7-org:v3"><title>&c;</title></ClinicalDocument>`
	return map[string]string{
		"CDA":                  hostileCDA(),
		"CDA, body HTML":       unstructured("text/html", page),
		"CDA, body SVG":        unstructured("image/svg+xml", `<svg xmlns="http://www.w3.org/2000/svg" onload="alert(34)"><script>alert(34)</script></svg>`),
		"CDA, body said plain": unstructured("text/plain", "<html>"+all),
		"HTML":                 page,
		"SVG":                  `<svg xmlns="http://www.w3.org/2000/svg" onload="alert(35)">` + all + `</svg>`,
		"XHTML":                `<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><body>` + all + `</body></html>`,
		"mail":                 mail,
		"text":                 all,
		"HL7":                  "MSH|^~\\&|<script>alert(36)</script>|B|||2026||REF^I12|" + "<img src=CANARY/hl7 onerror=alert(36)>" + "|P|2.5\rPID|||<b>1||\"><script>alert(36)</script>^X\rNTE|||" + strings.NewReplacer("\n", " ", "|", "").Replace(all) + "\r",
		"FHIR":                 `{"resourceType":"Patient","name":[{"text":"<script>alert(37)</script>"}],"text":{"div":"<div><script>alert(37)</script><img src='CANARY/fhir' onerror='alert(37)'></div>"}}`,
		"zip":                  zipOf("<img src=CANARY/zip onerror=alert(38)>.html", page, "../../slip.html", page, "a.xml", hostileCDA()),
		"entity bomb":          bomb,
		"XDM":                  zipOf("IHE_XDM/S/METADATA.XML", `<SubmitObjectsRequest><ExtrinsicObject id="d" mimeType="text/html"><Slot name="URI"><ValueList><Value>CANARY/doc</Value></ValueList></Slot><Name><LocalizedString value="&lt;script&gt;alert(39)&lt;/script&gt;"/></Name></ExtrinsicObject></SubmitObjectsRequest>`),
	}
}

// watcher notes everything that must not happen.
type watcher struct {
	mu   sync.Mutex
	seen []string
}

func (w *watcher) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = append(w.seen, fmt.Sprintf(format, args...))
}

func (w *watcher) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.seen
	w.seen = nil
	return out
}

func browser(t testing.TB) context.Context {
	t.Helper()
	path := peer.Need(t, "chromium")
	opts := []chromedp.ExecAllocatorOption{chromedp.ExecPath(path), chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck, chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir())}
	for _, f := range []string{"disable-quic", "disable-background-networking", "disable-component-update", "disable-sync", "disable-popup-blocking"} {
		opts = append(opts, chromedp.Flag(f, true))
	}
	alloc, stop := chromedp.NewExecAllocator(context.Background(), opts...)
	t.Cleanup(stop)
	ctx, cancel := chromedp.NewContext(alloc)
	t.Cleanup(cancel)
	ctx, late := context.WithTimeout(ctx, 3*time.Minute)
	t.Cleanup(late)
	return ctx
}

var metaCSP = regexp.MustCompile(`<meta http-equiv="Content-Security-Policy"[^>]*>`)

func TestHostileDocumentsRunNothingAndFetchNothing(t *testing.T) {
	ctx := browser(t)
	w := &watcher{}
	canary := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { w.note("the canary was asked for %s", r.URL.Path) }))
	defer canary.Close()
	pages := map[string][]byte{}
	site := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		b := pages[r.URL.Path]
		if b == nil {
			if r.URL.Path != "/favicon.ico" {
				w.note("the site was asked for %s", r.URL.Path)
			}
			http.NotFound(rw, r)
			return
		}
		rw.Header().Set("Content-Type", "text/html; charset=utf-8")
		if strings.HasPrefix(r.URL.Path, "/strict") {
			rw.Header().Set("Content-Security-Policy", document.CSP())
		}
		rw.Write(b)
	}))
	defer site.Close()
	names := map[string]string{}
	for name, doc := range hostile() {
		doc = strings.ReplaceAll(doc, "CANARY", canary.URL)
		out := render(t, []byte(doc), document.RenderOptions{Hint: document.Hint{Filename: `<script>alert(50)</script>"'.xml`, MediaType: `text/xml; name="<img src=x onerror=alert(51)>"`}})
		if err := checkPage(out); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		n := fmt.Sprint(len(names) / 2)
		pages["/strict"+n], pages["/none"+n] = out, metaCSP.ReplaceAll(out, nil)
		if bytes.Equal(pages["/none"+n], out) {
			t.Fatalf("%s: the page states no policy", name)
		}
		names["/strict"+n], names["/none"+n] = name+", strict policy", name+", no policy"
	}
	pages["/control"] = []byte(`<p>` + strings.ReplaceAll(attacks[0]+attacks[3], "CANARY", canary.URL))

	listening := chromedp.Listen(ctx, func(ev any) {
		switch e := ev.(type) {
		case *cdppage.EventJavascriptDialogOpening:
			w.note("a dialog opened: %s", e.Message)
			go chromedp.Call(ctx, cdppage.HandleJavaScriptDialog, cdppage.HandleJavaScriptDialogParams{Accept: true})
		case *network.EventRequestWillBeSent:
			if u := e.Request.URL; !strings.HasPrefix(u, "data:") && !strings.HasPrefix(u, site.URL) {
				w.note("a request was sent: %.80s", u)
			}
		case *cdppage.EventWindowOpen:
			w.note("a window was opened: %.80s", e.URL)
		}
	})
	if listening != nil {
		t.Fatal(listening)
	}
	if err := chromedp.ListenBrowser(ctx, func(ev any) {
		if e, ok := ev.(*target.EventTargetCreated); ok && e.TargetInfo.Type == "page" && strings.HasPrefix(e.TargetInfo.URL, "http") {
			w.note("a page was opened: %.80s", e.TargetInfo.URL)
		}
	}); err != nil {
		t.Fatal(err)
	}
	// The watcher must see what it watches for: an unsafe page sets it off.
	visit(t, ctx, site.URL+"/control")
	control := strings.Join(w.take(), "\n")
	for _, want := range []string{"a dialog opened: x", "the canary was asked for /script", "the canary was asked for /img.png", "a request was sent"} {
		if !strings.Contains(control, want) {
			t.Fatalf("the watcher does not see %q on an unsafe page: %q", want, control)
		}
	}
	for path := range names {
		where := visit(t, ctx, site.URL+path)
		if !strings.HasPrefix(where, site.URL+path) {
			t.Errorf("%s: the page went to %.100s", names[path], where)
		}
		if seen := w.take(); len(seen) > 0 {
			t.Errorf("%s: %q", names[path], seen)
		}
	}
}

// visit loads a page, opens everything that folds, clicks every link and button, moves over every
// element, and returns where the browser is then.
func visit(t *testing.T, ctx context.Context, url string) string {
	t.Helper()
	const provoke = `(() => {
		document.querySelectorAll('details').forEach(d => d.open = true);
		document.querySelectorAll('*').forEach(e => { for (const n of ['mouseover', 'focus', 'mousedown', 'load', 'error', 'toggle', 'animationstart']) e.dispatchEvent(new Event(n)); });
		document.querySelectorAll('a, button, input, area, summary').forEach(e => e.click());
		return new Promise(r => setTimeout(() => r(location.href), 60)) })()`
	if err := chromedp.Do(ctx, chromedp.Func(func(ctx context.Context, c *chromedp.Target) error {
		_, err := cdp.Call(ctx, c, network.Enable, network.EnableParams{})
		return err
	}), chromedp.Navigate(url)); err != nil {
		t.Fatalf("%s: %v", url, err)
	}
	where, err := chromedp.Run(ctx, chromedp.Evaluate[string](provoke, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("%s: %v", url, err)
	}
	return where
}
