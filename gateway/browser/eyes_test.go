package browser_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// mainPages are the pages that people spend their day on.
func (c *clinic) mainPages(t testing.TB) map[string]stop {
	item := func(name string) string { return "/item/" + string(c.Week.Items[name]) }
	return map[string]stop{
		"home": {"dana", "/"}, "list": {"dana", "/work"}, "message": {"dana", item("urgent")}, "result": {"pascal", item("result")}, "whose": {"nora", item("pyke") + "/patient"},
		"patient": {"nora", "/patient/" + c.work(t, "discharge").Patient}, "answer": {"nora", item("lipids") + "/write/reply"}, "sent": {"pascal", "/sent"}, "find": {"dana", "/find?q=pressure"},
		"rules": {"mo", "/rules"}, "teams": {"mo", "/teams"}, "people": {"mo", "/settings/people"}, "person": {"mo", "/settings/people/" + string(c.person(t, "lee").ID)}, "account": {"dana", "/account"},
		"emergency": {"dana", "/emergency"}, "record": {"mo", "/record?id=" + string(c.Week.Items["chart"])}, "book": {"dana", "/addresses"}, "handover": {"dana", "/handover"}, "held": {"tess", "/held"},
		"sign-in": {"", "/sign-in"},
	}
}

// media sets what the person's system asks for; kind is "print" or "".
func (w *window) media(kind string, features ...string) {
	w.Helper()
	p := emulation.SetEmulatedMediaParams{Media: kind, Features: []*emulation.MediaFeature{{Name: "prefers-reduced-motion", Value: "reduce"}}} // nothing is looked at halfway
	for i := 0; i+1 < len(features); i += 2 {
		p.Features = append(p.Features, &emulation.MediaFeature{Name: features[i], Value: features[i+1]})
	}
	if _, err := chromedp.Call(w.ctx, emulation.SetEmulatedMedia, p); err != nil {
		w.lost(err)
	}
}

// picture keeps what a window shows when $POSTERN_LOOKS names where.
func (w *window) picture(name string) {
	w.Helper()
	dir := os.Getenv("POSTERN_LOOKS")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(w.ctx, chromedp.FullScreenshot(90))
	if err != nil {
		w.lost(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
		w.Fatal(err)
	}
}

// TestOtherEyes looks at the main pages as a telephone, a printer, a high-contrast system and somebody who wants nothing
// to move have them.
func TestOtherEyes(t *testing.T) {
	c := open(t)
	windows := map[string]*window{}
	for name, s := range c.mainPages(t) {
		w, ok := windows[s.login]
		if !ok {
			if w = c.window(t); s.login != "" {
				w = c.as(t, s.login)
			}
			windows[s.login] = w
		}
		w.run(chromedp.EmulateViewport(360, 780))
		w.media("", "prefers-color-scheme", "light")
		w.visit(s.path)
		w.whole(name + ", telephone")
		w.picture(name + "-phone")
		if n := eval[int](w, `document.getAnimations().filter((a) => a.playState === "running").length`); n > 0 {
			t.Errorf("%s: %d things move for who wants nothing to", name, n)
		}
		if names := eval[string](w, twins); names != "" {
			t.Errorf("%s: one name for several things: %s", name, names)
		}
		w.run(chromedp.EmulateViewport(1200, 900))
		w.media("", "prefers-color-scheme", "dark", "forced-colors", "active")
		w.picture(name + "-contrast")
		if bare := eval[string](w, bareControls); bare != "" {
			t.Errorf("%s, high contrast: nothing shows that these are controls: %s", name, bare)
		}
		w.run(chromedp.EmulateViewport(740, 1000)) // a sheet of A4 with its margins
		w.media("print", "prefers-color-scheme", "dark")
		w.whole(name + ", printed")
		w.picture(name + "-print")
		if ink := eval[string](w, printedWrong); ink != "" {
			t.Errorf("%s, printed: %s", name, ink)
		}
	}
}

// TestTwoRecordsMadeOneComeApart walks a wrong merge and its undoing, wide and on a telephone.
func TestTwoRecordsMadeOneComeApart(t *testing.T) {
	c := open(t)
	w := c.as(t, "nora")
	w.visit("/item/" + string(c.Week.Items["pyke"]) + "/patient")
	w.press("New: make a provisional patient from the message")
	pyke := c.work(t, "pyke").Patient
	w.visit("/patient/" + pyke)
	w.says("Harlan Pyke", "Others like this one", "Harlan Pike")
	w.picture("merge-wide")
	w.run(chromedp.Click(`//label[contains(., "Harlan Pike")]//input`))
	w.fill("#why", "A slip of the pen in the name.")
	w.press("Make them one")
	w.says("Harlan Pike", "Two records made one", "Nora Quist put Harlan Pyke into this one", "A slip of the pen in the name.")
	w.run(chromedp.Click(`//summary[contains(., "That was a mistake")]`))
	w.says("1 message goes back")
	w.picture("part-wide")
	w.run(chromedp.EmulateViewport(360, 780))
	w.whole("taking apart, telephone")
	w.picture("part-phone")
	w.run(chromedp.SendKeys(`//label[contains(., "Why they are two")]/following-sibling::input`, "Father and son."))
	w.press("Take them apart")
	w.says("They are two records again.", "Taken apart", "Father and son.")
	if now := c.work(t, "pyke").Patient; now != pyke {
		t.Errorf("the message is %s's, want %s's again", now, pyke)
	}
	w.picture("parted-phone")
	w.visit("/item/" + string(c.Week.Items["pyke"]) + "/patient") // as the week had it: other stories begin there
	w.press("Undo this")
	w.says("Undone.")
}

// twins are controls of one page that a screen reader calls the same and that do different things.
const twins = `(() => {
	const called = (e) => (e.getAttribute("aria-label") || [...(e.labels || [])].map((l) => l.innerText).join(" ") || e.innerText || e.value || "").replace(/\s+/g, " ").trim();
	const does = (e) => e.tagName === "A" ? e.href : (e.formAction || "") + " " + e.name + "=" + e.value + " " + (e.form ? [...new FormData(e.form)].filter(([k]) => k !== "csrf").map(String).join("&") : "");
	const seen = new Map(), out = new Set();
	for (const e of document.querySelectorAll("main a[href], main button")) {
		if (!e.checkVisibility() || e.name === "which") continue; // two sessions may be alike in all that a person can know of them
		const name = called(e);
		if (seen.has(name) && seen.get(name) !== does(e)) out.add(name);
		seen.set(name, does(e));
	}
	return [...out].slice(0, 5).join(" | ");
})()`

// bareControls are buttons that have neither a border nor an underline where the system paints all grounds alike.
const bareControls = `[...document.querySelectorAll("main button, main .button")].filter((e) => e.checkVisibility() && !e.matches(".plain") && parseFloat(getComputedStyle(e).borderTopWidth) === 0).slice(0, 3).map((e) => e.outerHTML.slice(0, 100)).join(" | ")`

// printedWrong is what should not be on paper: things to press, and light text or dark grounds.
const printedWrong = `(() => {
	const light = (c) => { const m = c.match(/[\d.]+/g).map(Number); return (m[3] === undefined || m[3] > 0.5) ? 0.2126 * m[0] + 0.7152 * m[1] + 0.0722 * m[2] : -1; };
	for (const e of document.querySelectorAll("nav.rooms, header.bar, .skip, main button, main .button, main input:not([type=hidden]):not([type=radio]):not([type=checkbox])"))
		if (e.checkVisibility() && e.getBoundingClientRect().width > 1) return "it shows " + e.outerHTML.slice(0, 100);
	for (const e of document.querySelectorAll("main *")) {
		if (!e.checkVisibility() || !e.innerText || e.tagName === "IFRAME") continue;
		const s = getComputedStyle(e);
		if (light(s.color) > 160) return "light text: " + e.outerHTML.slice(0, 100) + " " + s.color;
		const ground = light(s.backgroundColor);
		if (ground >= 0 && ground < 100) return "a dark ground: " + e.outerHTML.slice(0, 100) + " " + s.backgroundColor;
	}
	return "";
})()`

// TestEveryControlTakesTheFocus and shows that it has it: on the main pages that no story walks by keys alone.
func TestEveryControlTakesTheFocus(t *testing.T) {
	c := open(t)
	for name, s := range c.mainPages(t) {
		if s.login == "" || name == "home" || name == "list" || name == "answer" {
			continue // walked by keys in their stories
		}
		w := c.as(t, s.login)
		w.run(chromedp.EmulateViewport(1200, 900))
		w.visit(s.path)
		const reach = `[...document.querySelectorAll("main a[href], main button:not([disabled]), main input:not([type=hidden]), main select, main textarea, main summary")].filter((e) => e.checkVisibility() && e.tabIndex >= 0 && !(e.type === "radio" && !e.checked && document.querySelector("input[type=radio][name='" + e.name + "']") !== e))`
		if lost := eval[string](w, fmt.Sprintf(`(() => { const out = []; for (const e of %s) { e.focus(); if (document.activeElement !== e) { out.push("not reached " + e.outerHTML.slice(0, 80)); continue; }
			const s = getComputedStyle(e); if (e.matches(":focus-visible") && parseFloat(s.outlineWidth) === 0 && s.boxShadow === "none") out.push("no sign of the focus on " + e.outerHTML.slice(0, 80)); } return out.slice(0, 3).join(" | "); })()`, reach)); lost != "" {
			t.Errorf("%s: %s", name, lost)
		}
	}
}
