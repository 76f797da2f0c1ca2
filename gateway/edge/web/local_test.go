package web_test

import (
	"net/url"
	"strings"
	"testing"

	"postern/gateway/edge/web"
)

// FuzzLocal: whatever a request brings, a redirect made of it leads to our own origin, as browsers read it: they take
// a backslash for a slash, and drop tabs and line ends.
func FuzzLocal(f *testing.F) {
	for _, s := range []string{"/", "/item/w-1?x=1#y", "//evil.example", `/\evil.example`, "https://evil.example", "/\t/evil.example", "/%2f/evil.example", "/x//y", "", "/.//evil.example", "javascript:alert(1)", "/é"} {
		f.Add(s)
	}
	base, err := url.Parse("https://clinic.example/sign-in?next=x")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		to := web.Local(s)
		if to != s && to != "/" {
			t.Fatalf("%q became %q", s, to)
		}
		if strings.ContainsAny(to, "\r\n\t\\\x00") || !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") {
			t.Fatalf("%q is let through as %q", s, to)
		}
		if u, err := url.Parse(to); err == nil {
			if at := base.ResolveReference(u); at.Host != "clinic.example" || at.Scheme != "https" {
				t.Fatalf("%q leads to %s", s, at)
			}
		}
	})
}

func TestSafeName(t *testing.T) {
	for in, want := range map[string]string{"scan.pdf": "scan.pdf", "../../etc/passwd": "passwd", `C:\x\y.doc`: "y.doc", "": "file", "..": "file", "/": "file", "a/": "a",
		"a\x00b\r\nc": "abc", "x\u202egnp.exe": "xgnp.exe", `a"b<c>d|e?f*g:h`: "abcdefgh", " . x . ": "x", strings.Repeat("é", 200) + ".pdf": strings.Repeat("é", 116) + ".pdf", "\xff\xfe.txt": "txt"} {
		if got := web.SafeName(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
