package browser_test

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"postern/gateway/auth"
	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/work"
	"postern/gateway/demo"
	"postern/gateway/demo/week"
	"postern/gateway/lab/peer"
	"postern/gateway/store"
)

// friday is when the week of these tests ends: the pictures are the same each time.
var friday = time.Date(2026, 10, 9, 17, 40, 0, 0, time.UTC) // 10:40 at the clinic

// patience bounds one story; the walk over all pages is the longest.
const patience = 4 * time.Minute

// clinic is the demo's, at work, in this process.
type clinic struct {
	*demo.Demo
	chrome context.Context // one Chromium for all tests
	close  []func()
}

var (
	once   sync.Once
	shared *clinic
	broken error
)

func TestMain(m *testing.M) {
	code := m.Run()
	if shared != nil {
		for i := len(shared.close) - 1; i >= 0; i-- {
			shared.close[i]()
		}
	}
	os.Exit(code)
}

// open gives the clinic: one for all tests of this package, each of which has messages of its own to work on.
func open(t testing.TB) *clinic {
	t.Helper()
	once.Do(func() { shared, broken = start() })
	if broken != nil {
		t.Fatal(broken)
	}
	return shared
}

func start() (*clinic, error) {
	c := &clinic{}
	var err error
	c.Demo, err = demo.Start(context.Background(), demo.Options{Web: "127.0.0.1:0", Clock: &week.Clock{}, Now: func() time.Time { return friday }, Out: os.Stderr})
	if err != nil {
		return nil, err
	}
	c.close = append(c.close, func() { _ = c.Stop() }) // the machine's temporary folder is all that could stay
	return c, nil
}

// chromium starts the browser.
func (c *clinic) chromium(t testing.TB) context.Context {
	t.Helper()
	program := peer.Need(t, "chromium")
	if c.chrome != nil {
		return c.chrome
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.IgnoreCertErrors, chromedp.WSURLReadTimeout(patience), chromedp.Env("TMPDIR=/tmp"), // the path of its socket must be short
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("lang", "en-US"), chromedp.Flag("font-render-hinting", "none"))
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, end := chromedp.NewContext(allocator)
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil {
		t.Fatal(err)
	}
	c.chrome, c.close = ctx, append(c.close, stop, end)
	return ctx
}

// window is one person's browser: nothing is shared with the others'.
type window struct {
	testing.TB
	*clinic
	ctx context.Context
}

// window opens a browser of nobody.
func (c *clinic) window(t testing.TB) *window {
	t.Helper()
	ctx, end := chromedp.NewContext(c.chromium(t), chromedp.WithNewBrowserContext())
	t.Cleanup(end)
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeoutCause(ctx, patience, errors.New("the story took too long"))
	t.Cleanup(stop)
	w := &window{t, c, ctx}
	w.run(chromedp.EmulateViewport(1440, 900))
	return w
}

// as opens a browser in which a person is signed in.
func (c *clinic) as(t testing.TB, login string) *window {
	t.Helper()
	w := c.window(t)
	token := c.session(t, c.person(t, login))
	yes := true
	if _, err := chromedp.Call(w.ctx, network.SetCookie, network.SetCookieParams{Name: "__Host-postern", Value: token, URL: c.URL, Path: "/", Secure: &yes, HTTPOnly: &yes}); err != nil {
		t.Fatal(err)
	}
	return w
}

func (c *clinic) session(t testing.TB, p staff.Person) string {
	t.Helper()
	token, now := auth.NewToken(), c.Clock.Now()
	err := c.Inside().Store.BeginSession(t.Context(), auth.Session{Hash: auth.HashToken(token), Org: p.Org, Person: string(p.ID), Stage: auth.Full, Method: "test", Created: now, Seen: now, Proved: now}, "", store.AuditEntry{Org: p.Org})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func (c *clinic) person(t testing.TB, login string) staff.Person {
	t.Helper()
	for _, p := range c.Week.People {
		if p.Login == login {
			return p.Person
		}
	}
	t.Fatalf("nobody is called %s", login)
	return staff.Person{}
}

// work is the entry that a message of the week became, as it stands.
func (c *clinic) work(t testing.TB, name string) work.Entry {
	t.Helper()
	e, err := c.Inside().Store.Work(t.Context(), c.Inside().Org, c.Week.Items[name])
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return e
}

type void = chromedp.Action[chromedp.Void]

// run does steps; a fault says where the window was and what it showed.
func (w *window) run(steps ...void) {
	w.Helper()
	if err := chromedp.Do(w.ctx, steps...); err != nil {
		w.lost(err)
	}
}

func (w *window) lost(err error) {
	w.Helper()
	ctx, stop := context.WithTimeout(context.WithoutCancel(w.ctx), 30*time.Second)
	defer stop()
	where, _ := chromedp.Run(ctx, chromedp.Location()) // for the report only
	body, _ := chromedp.Run(ctx, chromedp.Evaluate[string](`document.body ? document.body.innerText.slice(0, 3000) : ""`))
	w.Fatalf("%v\nat %s:\n%s", err, where, body)
}

// eval is what a script on the page gives.
func eval[T any](w *window, script string) T {
	w.Helper()
	v, err := chromedp.Run(w.ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	if err != nil {
		w.lost(err)
	}
	return v
}

// visit opens a page.
func (w *window) visit(path string) {
	w.Helper()
	w.run(chromedp.Navigate(w.URL+path), chromedp.WaitReady("main"))
}

// click presses what is selected, and waits for the page that comes.
func (w *window) click(selector string) {
	w.Helper()
	w.leaves(chromedp.Click(selector))
}

// named selects the button or link of the page with exactly that name that can be seen.
func named(name string) string {
	return `//*[self::a or self::button][normalize-space(.)=` + strconv.Quote(name) + `][not(ancestor::details[not(@open)])]`
}

// press presses the button or link of that name, and waits for the page that comes.
func (w *window) press(name string) {
	w.Helper()
	w.click(named(name))
}

// leaves does something that leads to another page, and waits until that is there.
func (w *window) leaves(steps ...void) {
	w.Helper()
	eval[bool](w, `window.__here = true`)
	w.run(steps...)
	for {
		there, err := chromedp.Run(w.ctx, chromedp.Evaluate[bool](`!window.__here && document.readyState === "complete" && document.querySelector("main") !== null`))
		if err == nil && there {
			return
		}
		if w.ctx.Err() != nil {
			w.lost(context.Cause(w.ctx))
		}
		select {
		case <-time.After(20 * time.Millisecond): // the page that comes cannot be waited on from the one that goes
		case <-w.ctx.Done():
		}
	}
}

// until waits until a script on the page is true.
func (w *window) until(what, script string) {
	w.Helper()
	if _, err := chromedp.Run(w.ctx, chromedp.Poll[bool](script, chromedp.WithPollingTimeout(patience/2))); err != nil {
		w.lost(errors.Join(errors.New("waiting until "+what), err))
	}
}

// fill types into a field that is emptied first.
func (w *window) fill(selector, text string) {
	w.Helper()
	if !eval[bool](w, `(() => { const f = document.querySelector(`+strconv.Quote(selector)+`); if (!f) return false; f.focus(); f.value = ""; return true; })()`) {
		w.Fatalf("%s has no field %s", w.path(), selector)
	}
	if _, err := chromedp.Call(w.ctx, input.InsertText, input.InsertTextParams{Text: text}); err != nil {
		w.lost(err)
	}
}

// choose picks the option of a list whose words begin so.
func (w *window) choose(selector, words string) {
	w.Helper()
	if !eval[bool](w, `(() => { const s = document.querySelector(`+strconv.Quote(selector)+`); const o = s && [...s.options].find((o) => o.textContent.trim().startsWith(`+strconv.Quote(words)+`));
		if (!o) return false; s.value = o.value; s.dispatchEvent(new Event("change", {bubbles: true})); return true; })()`) {
		w.Fatalf("%s has no option %q", selector, words)
	}
}

// reads is what the page says, as a reader sees it.
func (w *window) reads() string {
	w.Helper()
	return eval[string](w, `document.body.innerText.replace(/\s+/g, " ")`)
}

// says fails unless the page says all of that.
func (w *window) says(words ...string) {
	w.Helper()
	text := w.reads()
	for _, x := range words {
		if !strings.Contains(text, x) {
			w.Errorf("%s does not say %q:\n%.2500s", w.path(), x, text)
		}
	}
}

// path is where the window is.
func (w *window) path() string {
	w.Helper()
	return eval[string](w, `location.pathname + location.search`)
}
