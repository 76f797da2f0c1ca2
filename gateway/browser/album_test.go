package browser_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestPictures keeps the pictures of the guide when $POSTERN_PICTURES names where; it is the first test, so they are
// of the week as it was left.
func TestPictures(t *testing.T) {
	dir := os.Getenv("POSTERN_PICTURES")
	if dir == "" {
		dir = t.TempDir()
	}
	c := open(t)
	item := func(name string) string { return "/item/" + string(c.Week.Items[name]) }
	for i, s := range []struct {
		file, login, path, scheme string
		wide, high                int64
	}{
		{"home", "dana", "/", "light", 1200, 900}, {"referral", "dana", item("urgent"), "light", 1200, 1000}, {"patient", "nora", item("pyke") + "/patient", "light", 1200, 620},
		{"write", "nora", item("lipids") + "/write/reply", "light", 1200, 860}, {"rules", "mo", "/rules", "light", 1200, 800}, {"sent", "pascal", "/sent", "light", 1200, 420},
		{"manager", "mo", "/", "dark", 1200, 760}, {"phone", "dana", "/", "light", 390, 844}, {"phone-dark", "pascal", item("result"), "dark", 390, 844},
	} {
		w := c.as(t, s.login)
		w.light(s.scheme)
		w.run(chromedp.EmulateViewport(s.wide, s.high))
		w.visit(s.path)
		eval[bool](w, `Promise.all([...document.querySelectorAll("iframe")].map((f) => new Promise((r) => { f.addEventListener("load", () => r(true)); f.loading = "eager"; f.src = f.src; }))).then(() => { document.activeElement.blur(); return true; })`)
		png, err := chromedp.Run(w.ctx, chromedp.CaptureScreenshot())
		if err != nil || len(png) < 10<<10 {
			t.Fatalf("%s: %d octets, %v", s.file, len(png), err)
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d-%s.png", i+1, s.file)), png, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
