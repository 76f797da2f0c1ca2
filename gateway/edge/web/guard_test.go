package web_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"postern/gateway/auth"
	"postern/gateway/clinic/staff"
	"postern/gateway/edge/web"
)

func nurse() staff.Person {
	return staff.Person{Login: "dana", Org: "o-1", Name: "Dana Reyes", Role: staff.Nurse}
}

func set(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func drop(names ...string) func(*http.Request) {
	return func(r *http.Request) {
		for _, n := range names {
			r.Header.Del(n)
		}
	}
}

func TestAFormIsTakenFromOurOwnPagesOnly(t *testing.T) {
	h := newHouse(t)
	tok, other := h.person(nurse()), h.person(staff.Person{Login: "sam", Org: "o-1", Role: staff.Nurse})
	good := h.csrf(t, "/", tok)
	form := func(csrf string) url.Values { return url.Values{"csrf": {csrf}, "to": {"/"}} }
	for _, c := range []struct {
		situation string
		token     string
		form      url.Values
		change    []func(*http.Request)
		want      int
	}{
		{"our own page", tok, form(good), nil, 303},
		{"an old browser without Sec-Fetch-Site", tok, form(good), []func(*http.Request){drop("Sec-Fetch-Site")}, 303},
		{"a browser that says nothing", tok, form(good), []func(*http.Request){drop("Sec-Fetch-Site", "Origin")}, 303},
		{"no token", tok, url.Values{}, nil, 403},
		{"a token that is none", tok, form("x"), nil, 403},
		{"the token of another session", tok, form(h.csrf(t, "/", other)), nil, 403},
		{"the token in the path", tok, url.Values{}, []func(*http.Request){func(r *http.Request) { r.URL.RawQuery = form(good).Encode() }}, 403},
		{"another site", tok, form(good), []func(*http.Request){set("Sec-Fetch-Site", "cross-site")}, 403},
		{"another host of our domain", tok, form(good), []func(*http.Request){set("Sec-Fetch-Site", "same-site")}, 403},
		{"another origin", tok, form(good), []func(*http.Request){drop("Sec-Fetch-Site"), set("Origin", "https://evil.example")}, 403},
		{"no origin that could be told", tok, form(good), []func(*http.Request){drop("Sec-Fetch-Site"), set("Origin", "null")}, 403},
		{"our origin without TLS", tok, form(good), []func(*http.Request){drop("Sec-Fetch-Site"), set("Origin", "http://clinic.example")}, 403},
		{"a form as JSON", tok, form(good), []func(*http.Request){set("Content-Type", "text/plain")}, 403},
		{"nobody signed in", "", form(good), nil, 303},
	} {
		h.received = nil
		r := h.ask("POST", "/say", c.token, c.form, c.change...)
		if r.StatusCode != c.want {
			t.Errorf("%s: %d, want %d", c.situation, r.StatusCode, c.want)
		}
		if took := len(h.received) > 0; took != (c.want == 303 && c.token != "") {
			t.Errorf("%s: handled: %v", c.situation, took)
		}
	}
}

func TestTheSignInFormHasATokenOfItsBrowser(t *testing.T) {
	h := newHouse(t)
	r := h.ask("GET", "/sign-in", "", nil)
	var visit *http.Cookie
	for _, c := range r.Cookies() {
		if c.Name == "__Host-postern-visit" {
			visit = c
		}
	}
	if visit == nil || !visit.Secure || !visit.HttpOnly || visit.SameSite != http.SameSiteLaxMode || visit.Path != "/" || visit.Domain != "" {
		t.Fatalf("cookie %+v", visit)
	}
	m := tokenField.FindStringSubmatch(text(t, r))
	with := func(r *http.Request) { r.AddCookie(visit) }
	if r := h.ask("POST", "/sign-in", "", url.Values{"csrf": {m[1]}}, with); r.StatusCode != 303 {
		t.Errorf("our own form: %d", r.StatusCode)
	}
	if r := h.ask("POST", "/sign-in", "", url.Values{"csrf": {m[1]}}); r.StatusCode != 403 {
		t.Errorf("the form in another browser: %d", r.StatusCode)
	}
}

func TestEveryAnswerCarriesItsHeaders(t *testing.T) {
	h := newHouse(t)
	tok := h.person(nurse())
	for _, path := range []string{"/", "/sign-in", "/nowhere", "/rules", "/assets/style.css"} {
		r := h.ask("GET", path, tok, nil)
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin",
			"Cross-Origin-Resource-Policy": "same-origin", "Strict-Transport-Security": "max-age=31536000", "X-Robots-Tag": "noindex, nofollow",
		} {
			if got := r.Header.Get(name); got != want {
				t.Errorf("%s %s: %q, want %q", path, name, got, want)
			}
		}
		csp := r.Header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "form-action 'self'", "base-uri 'none'", "script-src 'self';"} {
			if !strings.Contains(csp, want) {
				t.Errorf("%s: the policy does not say %s", path, want)
			}
		}
		if strings.Contains(csp, "unsafe") || strings.Contains(csp, "*") {
			t.Errorf("%s: policy %s", path, csp)
		}
		if cache := r.Header.Get("Cache-Control"); path != "/assets/style.css" && cache != "no-store" {
			t.Errorf("%s: %s", path, cache)
		}
	}
}

func TestWhatMayNotBeSeenIsNotThere(t *testing.T) {
	h := newHouse(t)
	reader := h.person(nurse(), staff.Membership{Pool: "front", Level: staff.Read})
	desk := h.person(staff.Person{Login: "kim", Org: "o-1", Role: staff.FrontDesk}, staff.Membership{Pool: "front", Level: staff.Send})
	stranger := h.person(staff.Person{Login: "sam", Org: "o-1", Role: staff.Nurse})
	foreign := h.person(staff.Person{Login: "mo", Org: "o-2", Role: staff.Manager, Admin: true}, staff.Membership{Pool: "front", Level: staff.Sign})
	for _, c := range []struct {
		who, token, path string
		want             int
	}{
		{"who reads the pool", reader, "/item/w-1", 200}, {"who reads the pool", reader, "/item/w-2", 200},
		{"who reads the pool", reader, "/pool/front", 200}, {"who reads the pool", reader, "/patient/pt-1", 200}, {"who reads the pool", reader, "/rules", 404},
		{"front desk", desk, "/item/w-1", 200}, {"front desk, sensitive", desk, "/item/w-2", 404},
		{"who has no pool", stranger, "/item/w-1", 404}, {"who has no pool", stranger, "/pool/front", 404}, {"who has no pool", stranger, "/patient/pt-1", 404},
		{"another organisation's manager", foreign, "/item/w-1", 404}, {"another organisation's manager", foreign, "/pool/front", 404},
		{"another organisation's manager", foreign, "/patient/pt-1", 404}, {"another organisation's manager", foreign, "/item/w-3", 200},
		{"nobody", "", "/item/w-1", 303}, {"nobody", "", "/item/none", 303},
	} {
		r := h.ask("GET", c.path, c.token, nil)
		if r.StatusCode != c.want {
			t.Errorf("%s, %s: %d, want %d", c.who, c.path, r.StatusCode, c.want)
		}
	}
	refused := text(t, h.ask("GET", "/item/w-1", stranger, nil))
	missing := text(t, h.ask("GET", "/item/w-9", stranger, nil))
	nowhere := text(t, h.ask("GET", "/nothing/at/all", stranger, nil))
	token := func(s string) string { return tokenField.ReplaceAllString(s, "") }
	if token(refused) != token(missing) || token(refused) != token(nowhere) {
		t.Error("what may not be seen and what is not there answer differently")
	}
	if r := h.ask("POST", "/item/w-1/take", reader, url.Values{"csrf": {h.csrf(t, "/", reader)}}); r.StatusCode != 404 || len(h.received) > 0 {
		t.Errorf("who may only read takes: %d", r.StatusCode)
	}
}

func TestASessionThatIsOverIsNobodys(t *testing.T) {
	for _, c := range []struct {
		situation string
		change    func(*web.Visit)
		later     time.Duration
		want      int
	}{
		{"fresh", func(*web.Visit) {}, 0, 200},
		{"idle a little", func(*web.Visit) {}, auth.SessionIdle - time.Second, 200},
		{"idle too long", func(*web.Visit) {}, auth.SessionIdle, 303},
		{"used, but too old", func(v *web.Visit) { v.Session.Seen = v.Session.Created.Add(auth.SessionTotal) }, auth.SessionTotal, 303},
		{"half", func(v *web.Visit) { v.Session.Stage = auth.Half }, 0, 303},
		{"of no stage", func(v *web.Visit) { v.Session.Stage = "" }, 0, 303},
		{"of a disabled person", func(v *web.Visit) { v.Person.Disabled = true }, 0, 303},
		{"from the future", func(v *web.Visit) { v.Session.Created = v.Session.Created.Add(time.Hour) }, 0, 303},
	} {
		h := newHouse(t)
		tok := h.person(nurse())
		v := h.visits[auth.HashToken(tok)]
		c.change(&v)
		h.visits[auth.HashToken(tok)] = v
		h.now = now.Add(c.later)
		if r := h.ask("GET", "/", tok, nil); r.StatusCode != c.want {
			t.Errorf("%s: %d, want %d", c.situation, r.StatusCode, c.want)
		}
	}
	h := newHouse(t)
	if r := h.ask("GET", "/", "a secret somebody made up", nil); r.StatusCode != 303 || r.Header.Get("Location") != "/sign-in" {
		t.Errorf("a secret from outside: %d %s", r.StatusCode, r.Header.Get("Location"))
	}
}

func TestRedirectsStayHere(t *testing.T) {
	h := newHouse(t)
	tok := h.person(nurse())
	for _, to := range []string{"https://evil.example/", "//evil.example/", `/\evil.example`, `\\evil.example`, "javascript:alert(1)", "evil.example", "", "/a\r\nSet-Cookie: x=y",
		"/\tx", " //evil.example", "http:evil.example", "/" + strings.Repeat("x", 3000)} {
		r := h.ask("POST", "/say", tok, url.Values{"csrf": {h.csrf(t, "/", tok)}, "to": {to}})
		if got := r.Header.Get("Location"); r.StatusCode != 303 || got != "/" {
			t.Errorf("to %q: %d %q", to, r.StatusCode, got)
		}
	}
	for _, path := range []string{"//evil.example/..", "/item/../../etc/passwd", "/./item/w-1", "/assets/../server.go", "/assets/%2e%2e/server.go", "/assets/..%2fserver.go", "/assets/%00"} {
		r := h.ask("GET", "/", tok, nil, func(r *http.Request) {
			r.URL, _ = url.Parse(path)
			r.URL.Host, r.URL.Path = "", strings.TrimPrefix(path, "//evil.example")
		})
		if to := r.Header.Get("Location"); to != "" && (!strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//")) {
			t.Errorf("%s leads to %s", path, to)
		}
		if r.StatusCode == 200 {
			t.Errorf("%s: %d", path, r.StatusCode)
		}
	}
	r := h.ask("GET", "/item/w-1?x=%2f%2fevil", "", nil)
	if to, _ := url.Parse(r.Header.Get("Location")); to.Path != "/sign-in" || to.Query().Get("next") != "/item/w-1?x=%2f%2fevil" {
		t.Errorf("sign-in of a deep link: %s", to)
	}
}

func TestOnlyOurHostAndOurProxies(t *testing.T) {
	h := newHouse(t)
	for host, want := range map[string]int{"clinic.example": 200, "CLINIC.example": 200, "evil.example": 421, "clinic.example:8443": 421, "192.0.2.1": 421, "": 421} {
		if r := h.ask("GET", "/sign-in", "", nil, func(r *http.Request) { r.Host = host }); r.StatusCode != want {
			t.Errorf("host %q: %d, want %d", host, r.StatusCode, want)
		}
	}
	var peer string
	see := web.Route{Method: "GET", Pattern: "/peer", Need: web.Public(), Handle: func(q *web.Request) error { peer = q.Peer; return q.See("/", "") }}
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	for _, c := range []struct {
		situation, remote, forwarded string
		tls                          bool
		proxies                      []netip.Prefix
		want                         string // "" is turned away
	}{
		{"straight, over TLS", "192.0.2.7:1", "198.51.100.9", true, nil, "192.0.2.7"},
		{"a stranger names a peer", "192.0.2.7:1", "198.51.100.9", true, proxies, "192.0.2.7"},
		{"a stranger without TLS", "192.0.2.7:1", "198.51.100.9", false, proxies, ""},
		{"our proxy", "10.0.0.2:1", "198.51.100.9", false, proxies, "198.51.100.9"},
		{"our proxy, what its client said in front", "10.0.0.2:1", "203.0.113.5, 198.51.100.9", false, proxies, "198.51.100.9"},
		{"two proxies of ours", "10.0.0.2:1", "203.0.113.5, 198.51.100.9, 10.0.0.9", false, proxies, "198.51.100.9"},
		{"our proxy says nothing", "10.0.0.2:1", "", false, proxies, "10.0.0.2"},
		{"our proxy says nonsense", "10.0.0.2:1", "unknown", false, proxies, "10.0.0.2"},
		{"IPv4 in IPv6", "[::ffff:10.0.0.2]:1", "198.51.100.9", false, proxies, "198.51.100.9"},
	} {
		cfg := h.config
		cfg.Proxies, cfg.TLS, cfg.Routes = c.proxies, nil, []web.Route{see}
		if c.tls {
			cfg.TLS = &tls.Config{}
		}
		s, err := web.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		peer = ""
		r := httptest.NewRequest("GET", "https://clinic.example/peer", nil)
		r.RemoteAddr = c.remote
		if c.forwarded != "" {
			r.Header.Set("X-Forwarded-For", c.forwarded)
		}
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		if peer != c.want || (c.want == "") != (w.Code == 403) {
			t.Errorf("%s: %q (%d), want %q", c.situation, peer, w.Code, c.want)
		}
	}
}

func TestWhatMayNotBeServed(t *testing.T) {
	h := newHouse(t)
	ok := func(*web.Request) error { return nil }
	for name, r := range map[string]web.Route{
		"no need":                        {Method: "GET", Pattern: "/x", Handle: ok},
		"no handler":                     {Method: "GET", Pattern: "/x", Need: web.Public()},
		"another method":                 {Method: "PUT", Pattern: "/x", Need: web.Public(), Handle: ok},
		"no path":                        {Method: "GET", Pattern: "x", Need: web.Public(), Handle: ok},
		"an ability that is none":        {Method: "GET", Pattern: "/x", Need: web.Able("fly"), Handle: ok},
		"an item its pattern lacks":      {Method: "GET", Pattern: "/x", Need: web.OnItem(staff.Read), Handle: ok},
		"an item nobody checks":          {Method: "GET", Pattern: "/x/{item}", Need: web.SignedIn(), Handle: ok},
		"a patient nobody checks":        {Method: "GET", Pattern: "/x/{item}/{patient}", Need: web.OnItem(staff.Read), Handle: ok},
		"a pool at level none":           {Method: "GET", Pattern: "/x/{pool}", Need: web.OnPool(staff.None), Handle: ok},
		"an upload by GET":               {Method: "GET", Pattern: "/x", Need: web.SignedIn(), Handle: ok, Upload: 1},
		"an upload without end":          {Method: "POST", Pattern: "/x", Need: web.SignedIn(), Handle: ok, Upload: web.MaxUpload + 1},
		"a pattern that is there twice":  {Method: "GET", Pattern: "/rules", Need: web.SignedIn(), Handle: ok},
		"a pattern with another's words": {Method: "GET", Pattern: "/item/{x}", Need: web.SignedIn(), Handle: ok},
	} {
		cfg := h.config
		cfg.Routes = append(h.routes(), r)
		if _, err := web.New(cfg); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	for name, change := range map[string]func(*web.Config){
		"in the clear":     func(c *web.Config) { c.TLS = nil },
		"a URL with http":  func(c *web.Config) { c.URL = "http://clinic.example" },
		"a URL with path":  func(c *web.Config) { c.URL = "https://clinic.example/in" },
		"no URL":           func(c *web.Config) { c.URL = "" },
		"no sessions":      func(c *web.Config) { c.Visitors = nil },
		"a URL with login": func(c *web.Config) { c.URL = "https://a:b@clinic.example" },
	} {
		cfg := h.config
		change(&cfg)
		if _, err := web.New(cfg); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

// upload is a multipart form with its parts in order; a name with a dot is a file.
func upload(t testing.TB, parts ...[2]string) (string, *bytes.Buffer) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, p := range parts {
		var part io.Writer
		var err error
		if name, file, ok := strings.Cut(p[0], "="); ok {
			part, err = w.CreateFormFile(name, file)
		} else {
			part, err = w.CreateFormField(p[0])
		}
		if err == nil {
			_, err = io.WriteString(part, p[1])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return w.FormDataContentType(), &b
}

func TestUploads(t *testing.T) {
	var got []string
	route := web.Route{Method: "POST", Pattern: "/up", Need: web.SignedIn(), Upload: 2 << 20, Handle: func(q *web.Request) error {
		err := q.Parts(func(f web.File) error {
			got = append(got, f.Field, f.Name)
			_, err := io.Copy(io.Discard, f.Body)
			return err
		})
		if err != nil {
			return err
		}
		got = append(got, q.PostForm.Get("subject"))
		return q.See("/", "")
	}}
	h := newHouse(t, route)
	tok := h.person(nurse())
	csrf := [2]string{"csrf", h.csrf(t, "/", tok)}
	big := strings.Repeat("x", 2<<20)
	many := [][2]string{csrf}
	for range web.MaxFields + 1 {
		many = append(many, [2]string{"a", ""})
	}
	for _, c := range []struct {
		situation string
		parts     [][2]string
		want      int
		got       string
	}{
		{"a file and a field", [][2]string{csrf, {"file=scan.pdf", "x"}, {"subject", "Scan"}}, 303, "file scan.pdf Scan"},
		{"a field with a path for a name", [][2]string{csrf, {`file=../../etc/passwd`, "x"}}, 303, "file passwd"},
		{"a Windows path", [][2]string{csrf, {`file=C:\Users\x\letter.doc`, "x"}}, 303, "file letter.doc"},
		{"a name that hides its type", [][2]string{csrf, {"file=x\u202efdp.exe", "x"}}, 303, "file xfdp.exe"},
		{"a name of dots", [][2]string{csrf, {"file=..", "x"}}, 303, "file file"},
		{"the token is not first", [][2]string{{"subject", "x"}, csrf}, 403, ""},
		{"no token", [][2]string{{"file=x", "x"}}, 403, ""},
		{"a wrong token", [][2]string{{"csrf", "x"}}, 403, ""},
		{"too large a file", [][2]string{csrf, {"file=x", big}}, 422, ""},
		{"too long a text", [][2]string{csrf, {"subject", big[:web.MaxForm+1]}}, 422, ""},
		{"too many fields", many, 422, ""},
	} {
		got = nil
		kind, body := upload(t, c.parts...)
		r := h.ask("POST", "/up", tok, nil, func(r *http.Request) {
			r.Body, r.ContentLength = io.NopCloser(body), int64(body.Len())
			r.Header.Set("Content-Type", kind)
		})
		if r.StatusCode != c.want || c.want == 303 && strings.TrimSpace(strings.Join(got, " ")) != c.got {
			t.Errorf("%s: %d %q, want %d %q", c.situation, r.StatusCode, got, c.want, c.got)
		}
	}
	got = nil
	if r := h.ask("POST", "/up", tok, url.Values{"csrf": {csrf[1]}, "subject": {"No file"}}); r.StatusCode != 303 || strings.Join(got, " ") != "No file" {
		t.Errorf("an ordinary form where a file may come: %d %q", r.StatusCode, got)
	}
	// An ordinary form neither takes a file nor more than its limit.
	kind, body := upload(t, csrf)
	if r := h.ask("POST", "/say", tok, nil, func(r *http.Request) { r.Body = io.NopCloser(body); r.Header.Set("Content-Type", kind) }); r.StatusCode != 403 {
		t.Errorf("multipart where none is taken: %d", r.StatusCode)
	}
	if r := h.ask("POST", "/say", tok, url.Values{"csrf": {csrf[1]}, "note": {big}}); r.StatusCode != 422 {
		t.Errorf("a form over the limit: %d", r.StatusCode)
	}
}

func TestADownloadRunsNothing(t *testing.T) {
	var d web.Download
	route := web.Route{Method: "GET", Pattern: "/file", Need: web.SignedIn(), Handle: func(q *web.Request) error { return q.Send(d) }}
	h := newHouse(t, route)
	tok := h.person(nurse())
	for _, c := range []struct{ name, kind, disposition, sent string }{
		{"letter.html", "text/html", "attachment; filename=letter.html", "text/html"},
		{"scan.png", "image/png", "inline; filename=scan.png", "image/png"},
		{"x.svg", "image/svg+xml", "attachment; filename=x.svg", "image/svg+xml"},
		{"note.txt", "text/plain", "inline; filename=note.txt", "text/plain; charset=utf-8"},
		{"a\r\nSet-Cookie: x=y", "what is this", `attachment; filename="aSet-Cookie x=y"`, "application/octet-stream"},
	} {
		d = web.Download{Name: c.name, Type: c.kind, Inline: true, Size: 3, Body: strings.NewReader("abc")}
		r := h.ask("GET", "/file", tok, nil)
		if r.Header.Get("Content-Disposition") != c.disposition || r.Header.Get("Content-Type") != c.sent || !strings.HasPrefix(r.Header.Get("Content-Security-Policy"), "sandbox;") {
			t.Errorf("%q: %q %q", c.name, r.Header.Get("Content-Disposition"), r.Header.Get("Content-Type"))
		}
	}
}

// TestNothingClinicalIsKept: whatever is answered, and however it ends, no cache keeps it and no browser guesses what it is.
func TestNothingClinicalIsKept(t *testing.T) {
	h := newHouse(t,
		web.Route{Method: "GET", Pattern: "/file", Need: web.SignedIn(), Handle: func(q *web.Request) error {
			return q.Send(web.Download{Name: "letter.pdf", Type: "application/pdf", Size: 6, Body: strings.NewReader("letter")})
		}},
		web.Route{Method: "GET", Pattern: "/framed", Need: web.SignedIn(), Framed: true, Handle: func(q *web.Request) error { return q.Frame("", []byte("x")) }},
		web.Route{Method: "GET", Pattern: "/gone", Need: web.SignedIn(), Framed: true, Handle: func(q *web.Request) error { return web.ErrNotFound }},
		web.Route{Method: "GET", Pattern: "/refused", Need: web.SignedIn(), Handle: func(q *web.Request) error { return &web.Refusal{Text: "no"} }},
		web.Route{Method: "GET", Pattern: "/broken", Need: web.SignedIn(), Handle: func(q *web.Request) error { panic("oh") }})
	tok := h.person(nurse())
	for path, want := range map[string]int{"/": 200, "/file": 200, "/framed": 200, "/gone": 404, "/refused": 422, "/broken": 500, "/nowhere": 404, "/item/w-1/": 404, "//item/w-1": 307} {
		for _, as := range []string{tok, ""} {
			r := h.ask("GET", path, as, nil, set("Range", "bytes=1-2"), set("If-Modified-Since", "Fri, 01 Jan 2038 00:00:00 GMT"), set("If-None-Match", "*"))
			if as != "" && r.StatusCode != want {
				t.Errorf("%s: %d, want %d", path, r.StatusCode, want)
			}
			if r.Header.Get("Cache-Control") != "no-store" || r.Header.Get("X-Content-Type-Options") != "nosniff" || r.Header.Get("ETag")+r.Header.Get("Accept-Ranges")+r.Header.Get("Content-Range") != "" {
				t.Errorf("%s (signed in: %v): %d %v", path, as != "", r.StatusCode, r.Header)
			}
		}
	}
	for situation, change := range map[string]func(*http.Request){
		"another host":                    func(r *http.Request) { r.Host = "evil.example" },
		"a whole URL of another host":     func(r *http.Request) { r.URL.Scheme, r.URL.Host, r.Host = "http", "evil.example", "evil.example" },
		"a host with a dot":               func(r *http.Request) { r.Host = "clinic.example." },
		"a host with a name before an at": func(r *http.Request) { r.Host = "clinic.example@evil.example" },
		"another site's script": func(r *http.Request) {
			r.Header.Set("Sec-Fetch-Site", "cross-site")
			r.Header.Set("Sec-Fetch-Mode", "cors")
		},
	} {
		r := h.ask("GET", "/file", tok, nil, change)
		if r.StatusCode < 400 || r.Header.Get("Cache-Control") != "no-store" || strings.Contains(text(t, r), "letter") {
			t.Errorf("%s: %d %v", situation, r.StatusCode, r.Header)
		}
	}
	// What names another host beside the true one changes nothing of what is said.
	for _, name := range []string{"X-Forwarded-Host", "Forwarded", "X-Original-URL", "X-Rewrite-URL", "X-HTTP-Method-Override", "X-Forwarded-Proto"} {
		r := h.ask("GET", "/", tok, nil, set(name, "evil.example"))
		if body := text(t, r); r.StatusCode != 200 || strings.Contains(body, "evil.example") {
			t.Errorf("%s: %d", name, r.StatusCode)
		}
	}
}

// TestNamesOfFiles: whatever a sender called a file, its name is one name, harmless in a header and on a disk.
func TestNamesOfFiles(t *testing.T) {
	for name, want := range map[string]string{
		"../../etc/passwd": "passwd", `..\..\boot.ini`: "boot.ini", ".htaccess": "htaccess", "a\x00b.pdf": "ab.pdf", "a\r\nContent-Type: text/html": "aContent-Type texthtml",
		"invoice\u202efdp.exe": "invoicefdp.exe", "x\ufeff.pdf": "x.pdf", "": "file", "...": "file", "/": "file", " . ": "file", "naïve.pdf": "naïve.pdf", "a;b=\"c\".pdf": "a;b=c.pdf",
		strings.Repeat("x", 300) + ".pdf": strings.Repeat("x", 116) + ".pdf",
	} {
		got := web.SafeName(name)
		if name == "a\r\nContent-Type: text/html" {
			want = "html" // what is before the last slash is a folder
		}
		if got != want {
			t.Errorf("%q is %q, want %q", name, got, want)
		}
		d := mime.FormatMediaType("attachment", map[string]string{"filename": got})
		if _, params, err := mime.ParseMediaType(d); err != nil || params["filename"] != got || strings.ContainsAny(d, "\r\n") {
			t.Errorf("%q: header %q %v", name, d, err)
		}
	}
}

func TestADocumentIsFramedByUsAlone(t *testing.T) {
	html := []byte("<p>letter")
	h := newHouse(t,
		web.Route{Method: "GET", Pattern: "/framed", Need: web.SignedIn(), Framed: true, Handle: func(q *web.Request) error { return q.Frame("default-src 'none'", html) }},
		web.Route{Method: "GET", Pattern: "/unsaid", Need: web.SignedIn(), Handle: func(q *web.Request) error { return q.Frame("", html) }})
	tok := h.person(nurse())
	r := h.ask("GET", "/framed", tok, nil)
	csp := strings.Join(r.Header.Values("Content-Security-Policy"), ", ")
	if r.StatusCode != 200 || r.Header.Get("X-Frame-Options") != "SAMEORIGIN" || !strings.Contains(csp, "frame-ancestors 'self'") || !strings.HasPrefix(csp, "sandbox ") ||
		strings.Contains(csp, "allow-scripts") || strings.Contains(csp, "allow-same-origin") {
		t.Errorf("%d %s", r.StatusCode, csp)
	}
	if r := h.ask("GET", "/unsaid", tok, nil); r.StatusCode != 500 {
		t.Errorf("a frame that was not said: %d", r.StatusCode)
	}
	if r := h.ask("GET", "/framed", tok, nil, set("Sec-Fetch-Site", "cross-site"), set("Sec-Fetch-Mode", "no-cors")); r.StatusCode != 403 {
		t.Errorf("as a picture of another site: %d", r.StatusCode)
	}
}
