package browser_test

import (
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"postern/gateway"
	"postern/gateway/lab/peer"
)

// maxPage is what a page may weigh with its style and scripts, in octets, documents in frames apart.
const maxPage = 100 << 10

// stop is one page to look at, as the person who would open it.
type stop struct{ login, path string }

// names are what the wildcards of patterns stand for: things of the week.
func (c *clinic) names(t testing.TB) map[string]string {
	t.Helper()
	db, org, ctx := c.Inside().Store, c.Inside().Org, t.Context()
	e := c.work(t, "marchetti")
	it, err := db.Item(ctx, e.Inbox, e.Number)
	if err != nil || len(it.Documents) == 0 {
		t.Fatalf("the referral has %d documents, %v", len(it.Documents), err)
	}
	drafts, err := db.DraftsOf(ctx, org, c.person(t, "lee").ID, 1)
	if err != nil || len(drafts) == 0 {
		t.Fatalf("no draft: %v", err)
	}
	var pools []string
	for login := range map[string]bool{"dana": true, "pascal": true} {
		ms, err := db.Memberships(ctx, org, c.person(t, login).ID)
		if err != nil || len(ms) == 0 {
			t.Fatal(err)
		}
		pools = append(pools, ms[0].Pool)
	}
	all, err := db.Pools(ctx, org)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		pools = append(pools, p.ID)
	}
	sent, err := db.SentBy(ctx, org, pools, time.Time{}, 1)
	if err != nil || len(sent) == 0 {
		t.Fatalf("nothing was sent: %v", err)
	}
	link, err := c.Inside().As("test").PersonReset(ctx, gateway.PersonArg{Login: "tess"})
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{"{item}": string(e.ID), "{part}": it.Documents[0].Path, "{how}": "reply", "{draft}": string(drafts[0].ID), "{message}": string(sent[0].Message), "{pool}": e.Pool,
		"{patient}": c.work(t, "discharge").Patient, "{person}": string(c.person(t, "lee").ID), "{team}": e.Pool, "{object}": string(e.ID), "{token}": link.Link[strings.LastIndex(link.Link, "/")+1:], "{held}": c.held(t)}
}

// held is the message that is held aside.
func (c *clinic) held(t testing.TB) string {
	t.Helper()
	all, err := c.Inside().Store.HeldOf(t.Context(), c.Inside().Org, 1)
	if err != nil || len(all) != 1 {
		t.Fatalf("%d messages are held, %v", len(all), err)
	}
	return all[0].ID
}

var wildcard = regexp.MustCompile(`\{[a-z_$]+\}`)

// routes is every GET route of the site with its wildcards filled; one that cannot be filled fails the test, so that
// a new page is not forgotten.
func (c *clinic) routes(t testing.TB) map[string]string {
	t.Helper()
	all, err := c.Inside().Pages(c.URL)
	if err != nil {
		t.Fatal(err)
	}
	names := c.names(t)
	names["{$}"] = ""
	out := map[string]string{}
	for _, r := range all {
		if r.Method != "GET" || strings.HasPrefix(r.Pattern, "/assets/") {
			continue
		}
		out[r.Pattern] = wildcard.ReplaceAllStringFunc(r.Pattern, func(w string) string {
			v, ok := names[w]
			if !ok {
				t.Fatalf("%s: the tests do not know what %s stands for: add it to names", r.Pattern, w)
			}
			return url.PathEscape(v)
		})
	}
	return out
}

// pages are the stops of the walk: every GET route that shows a page, and pages with something asked.
func (c *clinic) pages(t testing.TB) []stop {
	t.Helper()
	who := map[string]string{"/held": "tess", "/sign-in": "", "/welcome/{token}": "", "/sign-in/single": "", "/write/draft/{draft}": "lee", "/sent/{message}": "dana", "/patient/{patient}": "nora"}
	var out []stop
	for pattern, path := range c.routes(t) {
		switch {
		case strings.HasSuffix(pattern, "/live"), strings.Contains(pattern, "/file/"), strings.Contains(pattern, "/page/"), strings.HasSuffix(pattern, "/print"), strings.HasSuffix(pattern, "/export"), strings.HasPrefix(pattern, "/sign-in/s") && pattern != "/sign-in/single":
			continue // no page, or a document alone
		}
		login, ok := who[pattern]
		if !ok {
			login = "sam"
			for _, room := range []string{"/settings/people", "/rules", "/teams", "/files", "/templates/edit", "/record"} {
				if strings.HasPrefix(pattern, room) {
					login = "mo"
				}
			}
		}
		out = append(out, stop{login, path})
	}
	item := func(name string) string { return "/item/" + string(c.Week.Items[name]) }
	return append(out, stop{"dana", "/find?q=pressure"}, stop{"dana", "/find?q=nothing+at+all"}, stop{"dana", "/patients?name=b"}, stop{"mo", "/"}, stop{"nora", "/"}, stop{"pascal", item("sensitive")},
		stop{"pascal", item("result")}, stop{"mo", "/record?id=" + string(c.Week.Items["chart"])}, stop{"dana", item("ecg")}, stop{"nora", item("lipids")}, stop{"nora", item("pyke") + "/patient"},
		stop{"dana", "/work?view=done"}, stop{"dana", "/work?view=failures"}, stop{"dana", "/nothing/here"}, stop{"pascal", "/write"})
}

// TestPages looks at every page, wide and in light, narrow and in dark: nothing scrolls sideways, nothing breaks the
// policy of its own page, none is heavy, and axe-core finds nothing serious.
func TestPages(t *testing.T) {
	c := open(t)
	axe := axeCore(t)
	windows := map[string]*window{}
	for i, s := range c.pages(t) {
		if testing.Verbose() {
			t.Logf("%d %s %s", i, s.login, s.path)
		}
		w, ok := windows[s.login]
		if !ok {
			if w = c.window(t); s.login != "" {
				w = c.as(t, s.login)
			}
			watch(w)
			windows[s.login] = w
		}
		w.run(chromedp.EmulateViewport(1440, 900))
		w.light("light")
		w.visit(s.path)
		name := s.login + " " + s.path
		w.whole(name + ", wide")
		if n := eval[int](w, `[...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource").filter((e) => e.initiatorType !== "iframe")].reduce((n, e) => n + e.decodedBodySize, 0)`); n == 0 || n > maxPage {
			t.Errorf("%s: %d octets, at most %d", name, n, maxPage)
		}
		w.serious(axe, name+", light", `{}`)
		w.run(chromedp.EmulateViewport(360, 780))
		w.light("dark")
		w.whole(name + ", narrow")
		w.serious(axe, name+", dark and narrow", `{type: "rule", values: ["color-contrast", "target-size", "scrollable-region-focusable"]}`)
	}
}

// axeCore is the text of axe-core, or a skip.
func axeCore(t testing.TB) string {
	t.Helper()
	path := os.Getenv("POSTERN_AXE")
	if path == "" {
		peer.Missing(t, "axe-core: $POSTERN_AXE names no axe.min.js")
	}
	b, err := os.ReadFile(path)
	if err != nil {
		peer.Missing(t, "axe-core: "+err.Error())
	}
	return string(b)
}

// watch notes what breaks on the pages of a window.
func watch(w *window) {
	w.Helper()
	source := `window.faults = []; addEventListener("securitypolicyviolation", (e) => faults.push(e.violatedDirective + " " + e.blockedURI)); addEventListener("error", (e) => faults.push(e.message || "a file that did not come"), true);`
	if _, err := chromedp.Call(w.ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: source}); err != nil {
		w.lost(err)
	}
}

// light sets which colours the person prefers.
func (w *window) light(scheme string) {
	w.Helper()
	if _, err := chromedp.Call(w.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}}); err != nil {
		w.lost(err)
	}
}

// whole fails when a page scrolls sideways or something on it broke.
func (w *window) whole(name string) {
	w.Helper()
	eval[bool](w, `new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(() => drawn(true))))`) // at the size that was just set
	if wide := eval[string](w, `(() => { const room = document.documentElement.clientWidth; if (document.documentElement.scrollWidth <= room) return "";
		return [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > room + 1).slice(0, 3).map((e) => e.tagName + "." + e.className + " " + Math.round(e.getBoundingClientRect().right)).join(", ") || "somewhere"; })()`); wide != "" {
		w.Errorf("%s: it scrolls sideways: %s", name, wide)
	}
	if faults := eval[string](w, `(window.faults || []).join("; ")`); faults != "" {
		w.Errorf("%s: %s", name, faults)
	}
}

// serious fails on what axe-core calls serious or critical.
func (w *window) serious(axe, name, only string) {
	w.Helper()
	eval[bool](w, axe+"; true")
	found := eval[[]string](w, `axe.run(document, {iframes: false, resultTypes: ["violations"]`+map[bool]string{true: ", runOnly: " + only}[only != "{}"]+`}).then((r) => r.violations.filter((v) => v.impact === "serious" || v.impact === "critical").flatMap((v) => v.nodes.slice(0, 3).map((n) => v.id + ": " + n.target.join(" ") + " " + n.html.slice(0, 120) + " " + (n.any[0] ? n.any[0].message : ""))))`)
	for _, f := range found {
		w.Errorf("%s: %s", name, f)
	}
}

// TestAxeCanFail holds axe-core against a page that is made worse.
func TestAxeCanFail(t *testing.T) {
	c := open(t)
	axe := axeCore(t)
	w := c.window(t)
	w.visit("/sign-in")
	eval[bool](w, axe+`; document.querySelector("main").insertAdjacentHTML("beforeend", "<img src='/assets/icon.svg'><input name='nameless'>"); true`)
	for _, rule := range []string{"image-alt", "label"} {
		if !eval[bool](w, `axe.run(document, {iframes: false}).then((r) => r.violations.some((v) => v.id === "`+rule+`"))`) {
			t.Errorf("axe-core does not see a fault of %s", rule)
		}
	}
}

// TestDocumentsAlone looks at the documents that pages show in frames, and at the printed copy.
func TestDocumentsAlone(t *testing.T) {
	c := open(t)
	axe := axeCore(t)
	w := c.as(t, "pascal")
	if _, err := chromedp.Call(w.ctx, page.SetBypassCSP, page.SetBypassCSPParams{Enabled: true}); err != nil {
		w.lost(err)
	}
	for _, name := range []string{"urgent", "result", "lipids", "castelnau"} {
		e := c.work(t, name)
		it, err := c.Inside().Store.Item(t.Context(), e.Inbox, e.Number)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"/page/" + it.Documents[0].Path, "/print"} {
			w.run(chromedp.EmulateViewport(1440, 900), chromedp.Navigate(c.URL+"/item/"+string(e.ID)+path))
			w.serious(axe, name+path, "{}")
			w.run(chromedp.EmulateViewport(360, 780))
			w.whole(name + path)
		}
	}
}

// Without script: the same pages, the same work.
func TestWithoutScript(t *testing.T) {
	c := open(t)
	w := c.window(t)
	if _, err := chromedp.Call(w.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}); err != nil {
		t.Fatal(err)
	}
	link, err := c.Inside().As("test").PersonReset(t.Context(), gateway.PersonArg{Login: "mia"})
	if err != nil {
		t.Fatal(err)
	}
	w.visit(strings.TrimPrefix(link.Link, c.URL))
	w.fill("#new", "seven quiet lanterns")
	w.fill("#again", "seven quiet lanterns")
	w.press("Set the password")
	if strings.HasPrefix(w.path(), "/sign-in") {
		w.fill("#login", "mia")
		w.fill("#password", "seven quiet lanterns")
		w.press("Sign in")
	}
	w.visit("/")
	w.says("Mia Torres", "My teams")
	w.visit("/work?view=done")
	w.click(`//a[contains(., "Harlan Pike")]`)
	w.press("Open again")
	w.says("Open again; you have it.")
	w.fill("#note", "Asked for the weight chart.")
	w.press("Add the note")
	w.says("Asked for the weight chart.")
	w.press("Finish")
	w.tick("discharge")
	w.press("Finish")
	w.says("Finished as discharge.")
	w.visit("/find?q=furosemide")
	w.says("Newest first", "Harlan Pike")
	w.visit("/write/new")
	w.fill("#to", "h.okonjo@direct.lakeview.example")
	w.press("Check")
	w.says("In the way", "No category is chosen")
	if n := eval[int](w, `document.querySelectorAll("[data-noscript], button").length`); n == 0 {
		t.Error("no button is left")
	}
}
