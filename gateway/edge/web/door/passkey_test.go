package door_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"

	"postern/gateway/clinic/staff"
	"postern/gateway/lab/peer"
)

// chromium is a browser with a virtual authenticator that verifies its user.
func chromium(t *testing.T) (context.Context, func(js string) string) {
	t.Helper()
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(peer.Need(t, "chromium")), chromedp.NoSandbox, chromedp.IgnoreCertErrors, chromedp.WSURLReadTimeout(2*time.Minute),
		chromedp.Env("TMPDIR=/tmp")) // the path of its socket must be short
	all, stop := chromedp.NewExecAllocator(context.Background(), opts...)
	t.Cleanup(stop)
	first, end := chromedp.NewContext(all)
	t.Cleanup(end)
	if err := chromedp.Do(first, chromedp.Navigate("about:blank")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeoutCause(first, 5*time.Minute, errors.New("the browser took longer than five minutes"))
	t.Cleanup(cancel)
	if _, err := chromedp.Call(ctx, webauthn.Enable, webauthn.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(ctx, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{
		Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportInternal, HasResidentKey: true, HasUserVerification: true,
		IsUserVerified: true, AutomaticPresenceSimulation: true}}); err != nil {
		t.Fatal(err)
	}
	return ctx, func(js string) string {
		t.Helper()
		s, err := chromedp.Run(ctx, chromedp.Evaluate[string](js))
		if err != nil {
			t.Fatalf("%s: %v", js, err)
		}
		return s
	}
}

// until waits for the page to be somewhere.
func until(t *testing.T, ctx context.Context, path string) {
	t.Helper()
	const wait = `new Promise((done, fail) => { const at = Date.now(); const look = () => location.pathname === %q && document.readyState === "complete" ? done(location.pathname)
		: Date.now() - at > 120000 ? fail(new Error("still at " + location.pathname + ": " + document.querySelector("main").innerText)) : setTimeout(look, 20); look(); })`
	for range 20 { // a page that is left takes its promise along
		if _, err := chromedp.Run(ctx, chromedp.Evaluate[string](fmt.Sprintf(wait, path), chromedp.EvalAwaitPromise)); err == nil {
			return
		} else if strings.Contains(err.Error(), "still at") || ctx.Err() != nil {
			t.Fatalf("waiting for %s: %v", path, err)
		}
	}
	t.Fatalf("the page never came to %s", path)
}

func TestPasskeys(t *testing.T) {
	ctx, js := chromium(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	origin := fmt.Sprintf("https://localhost:%d", l.Addr().(*net.TCPAddr).Port)
	c := newClinic(t, origin, nil)
	c.now = time.Now().UTC() // the browser's clock
	c.add(staff.Person{Login: "dana", Role: staff.Physician})
	stop := c.serve(l)
	defer stop()
	open := func(path string) {
		t.Helper()
		if err := chromedp.Do(ctx, chromedp.Navigate(origin+path)); err != nil {
			t.Fatal(err)
		}
	}
	password := func() {
		t.Helper()
		open("/sign-in")
		if err := chromedp.Do(ctx, chromedp.SendKeys("#login", "dana"), chromedp.SendKeys("#password", password+"\r")); err != nil {
			t.Fatal(err)
		}
	}
	leave := func() {
		t.Helper()
		if _, err := chromedp.Call(ctx, network.ClearBrowserCookies, cdp.Empty{}); err != nil {
			t.Fatal(err)
		}
	}

	defer func() {
		if t.Failed() {
			t.Log(c.log.String())
		}
	}()
	password()
	until(t, ctx, "/account")
	open("/account/passkey")
	js(`document.querySelector("#name").value = "Front desk computer"; document.querySelector("[data-passkey-new]").click(); ""`)
	until(t, ctx, "/account")
	if text := js(`document.querySelector("main").innerText`); !strings.Contains(text, "Front desk computer") {
		t.Fatalf("the account page does not list the passkey:\n%s", text)
	}

	leave()
	open("/sign-in")
	js(`document.querySelector("[data-passkey] button").click(); ""`)
	until(t, ctx, "/account")
	sessions, err := c.db.Sessions(t.Context(), "o-1", "p-dana")
	c.ok(err)
	if len(sessions) != 2 || sessions[0].Method != "passkey" && sessions[1].Method != "passkey" {
		t.Errorf("sessions %+v", sessions)
	}

	open("/account")
	if row := js(`[...document.querySelectorAll("tr")].find((r) => r.innerText.includes("Front desk computer")).innerText`); strings.Contains(row, "not yet") {
		t.Errorf("a passkey that was used says %q", row)
	}
	leave()
	password()
	until(t, ctx, "/sign-in/second")
	js(`document.querySelector("[data-passkey] button").click(); ""`)
	until(t, ctx, "/account")

	// An answer is of one ceremony: the same one again, or in another browser, proves nothing.
	leave()
	open("/sign-in")
	js(`const f = document.querySelector("form[action='/sign-in/passkey']"); f.requestSubmit = () => { document.title = "answered"; }; document.querySelector("[data-passkey] button").click(); ""`)
	answer, err := chromedp.Run(ctx, chromedp.Evaluate[string](`new Promise((done) => { const f = document.querySelector("form[action='/sign-in/passkey']"); const look = () => f.elements.answer.value ? done(f.elements.answer.value) : setTimeout(look, 20); look(); })`, chromedp.EvalAwaitPromise))
	c.ok(err)
	if x := c.overHTTP(origin).get("/sign-in").post("/sign-in/passkey", "answer", answer); x.code == 303 || !x.says("did not fit") {
		t.Errorf("the answer in another browser: %d", x.code)
	}
	for _, bad := range []string{"{}", "null", "[]", strings.Repeat("x", 70<<10), strings.Replace(answer, `"signature":"`, `"signature":"AAAA`, 1)} {
		if x := c.overHTTP(origin).get("/sign-in").post("/sign-in/passkey", "answer", bad); x.code == 303 {
			t.Errorf("%.40q opens", bad)
		}
	}
	js(`HTMLFormElement.prototype.submit.call(document.querySelector("form[action='/sign-in/passkey']")); ""`)
	until(t, ctx, "/account")
	leave()
	open("/sign-in")
	js(`const f = document.querySelector("form[action='/sign-in/passkey']"); f.elements.answer.value = ` + fmt.Sprintf("%q", answer) + `; f.submit(); ""`)
	until(t, ctx, "/sign-in/passkey")
	if text := js(`document.querySelector("main").innerText`); !strings.Contains(text, "did not fit") {
		t.Errorf("the same answer again:\n%s", text)
	}
}

// TestARestartInTheMiddleOfAPasskey asks to begin again, and an answer of before it opens nothing, used or not.
func TestARestartInTheMiddleOfAPasskey(t *testing.T) {
	ctx, js := chromium(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	origin := fmt.Sprintf("https://localhost:%d", l.Addr().(*net.TCPAddr).Port)
	c := newClinic(t, origin, nil)
	c.now = time.Now().UTC() // the browser's clock
	c.add(staff.Person{Login: "dana", Role: staff.Physician})
	defer c.serve(l)()
	do := func(actions ...func(context.Context) error) {
		t.Helper()
		for _, a := range actions {
			c.ok(a(ctx))
		}
	}
	open := func(path string) {
		t.Helper()
		do(func(ctx context.Context) error { return chromedp.Do(ctx, chromedp.Navigate(origin+path)) })
	}
	leave := func() {
		t.Helper()
		if _, err := chromedp.Call(ctx, network.ClearBrowserCookies, cdp.Empty{}); err != nil {
			t.Fatal(err)
		}
	}
	// keep presses the button and gives what the browser would send, without sending it.
	keep := func() string {
		t.Helper()
		js(`const f = document.querySelector("form[action$='/passkey']"); f.requestSubmit = () => {}; document.querySelector("[data-passkey] button, [data-passkey-new]").click(); ""`)
		a, err := chromedp.Run(ctx, chromedp.Evaluate[string](`new Promise((done) => { const f = document.querySelector("form[action$='/passkey']"); const look = () => f.elements.answer.value ? done(f.elements.answer.value) : setTimeout(look, 20); look(); })`, chromedp.EvalAwaitPromise))
		c.ok(err)
		return a
	}
	send := func(answer string) {
		t.Helper()
		js(`(() => { const f = document.querySelector("form[action$='/passkey']"); f.elements.answer.value = ` + fmt.Sprintf("%q", answer) + `; HTMLFormElement.prototype.submit.call(f); return ""; })()`)
	}
	says := func(words string) {
		t.Helper()
		if text := js(`document.querySelector("main").innerText`); !strings.Contains(text, words) {
			t.Fatalf("the page does not say %q:\n%s", words, text)
		}
	}
	open("/sign-in")
	do(func(ctx context.Context) error {
		return chromedp.Do(ctx, chromedp.SendKeys("#login", "dana"), chromedp.SendKeys("#password", password+"\r"))
	})
	until(t, ctx, "/account")

	// In the middle of making one.
	open("/account/passkey")
	answer := keep()
	c.start()
	send(answer)
	until(t, ctx, "/account/passkey")
	says("Please begin again")
	open("/account/passkey")
	send(keep())
	until(t, ctx, "/account")

	// In the middle of signing in, and again with an answer that opened before the restart.
	leave()
	open("/sign-in")
	answer = keep()
	c.start()
	send(answer)
	until(t, ctx, "/sign-in/passkey")
	says("Please begin again")
	used := keep() // the page that says so asks anew
	send(used)
	until(t, ctx, "/account")
	open("/account")
	js(`document.querySelector("form[action='/sign-out']").submit(); ""`)
	until(t, ctx, "/sign-in")
	c.start()
	send(used)
	until(t, ctx, "/sign-in/passkey")
	says("Please begin again")
	if n := c.count(); n != 0 {
		t.Errorf("%d tries count as failed: nobody tried anything", n)
	}
}

// serve serves the clinic's pages of the moment on a socket, until stop.
func (c *clinic) serve(l net.Listener) (stop func()) {
	c.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		now := c.server
		c.mu.Unlock()
		now.Handler().ServeHTTP(w, r)
	}))
	s.Listener.Close()
	s.Listener = l
	s.StartTLS()
	return s.Close
}

// overHTTP is a browser that asks for the host of an origin.
func (c *clinic) overHTTP(origin string) *browser {
	b := c.browser()
	b.origin = origin
	return b
}
