package charset_test

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/encoding/japanese"

	"postern/gateway/clinic/document/charset"
)

func decode(t testing.TB, b []byte, label string) (string, *charset.Text) {
	t.Helper()
	text, err := charset.Open(bytes.NewReader(b), int64(len(b)), label)
	if err != nil {
		t.Fatal(err)
	}
	raw := make([]byte, text.Size)
	if n, _ := text.Src.ReadAt(raw, 0); int64(n) != text.Size {
		t.Fatalf("%d of %d bytes", n, text.Size)
	}
	out, _ := charset.Append(nil, raw, text.Single)
	return string(out), text
}

func TestBytesAreBelievedBeforeLabels(t *testing.T) {
	sjis, err := japanese.ShiftJIS.NewEncoder().String("患者")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ in, label, want, enc, repair string }{
		"ASCII":                       {"abc", "", "abc", "UTF-8", ""},
		"UTF-8":                       {"é", "utf-8", "é", "UTF-8", ""},
		"UTF-8 called Latin-1":        {"é", "iso-8859-1", "é", "UTF-8", "but is UTF-8"},
		"Latin-1 as labelled":         {"\xE9", "ISO-8859-1", "é", "Windows-1252", ""},
		"Windows quotes":              {"\x93a\x94", "windows-1252", "“a”", "Windows-1252", ""},
		"Latin-1 called UTF-8":        {"\xE9", "utf-8", "é", "Windows-1252", "passes for UTF-8"},
		"Latin-1 without a word":      {"caf\xE9", "", "café", "Windows-1252", "passes for UTF-8"},
		"both in one text":            {"é \xE9", "", "é é", "UTF-8", ""},
		"Shift JIS as labelled":       {sjis, "shift_jis", "患者", "SHIFT_JIS", "was decoded"},
		"UTF-8 called Shift JIS":      {"患者", "shift_jis", "患者", "UTF-8", "but is UTF-8"},
		"no such encoding":            {"a", "klingon", "a", "UTF-8", "unknown encoding"},
		"mark and another label":      {"\xEF\xBB\xBF" + `<?xml version="1.0" encoding="iso-8859-1"?>é`, "", `<?xml version="1.0" encoding="iso-8859-1"?>é`, "UTF-8", "says it is ISO-8859-1"},
		"mark, then Latin-1":          {"\xEF\xBB\xBFcaf\xE9", "", "café", "Windows-1252", "byte-order mark"},
		"UTF-16 big end":              {"\xFE\xFF\x00a\x00\xE9", "", "aé", "UTF-16BE", "was decoded"},
		"UTF-16 big end, no mark":     {"\x00<\x00a\x00>\x01\x7C", "", "<a>ż", "UTF-16BE", "without a byte-order mark"},
		"declaration beats transport": {`<?xml version="1.0" encoding="ISO-8859-1"?>` + "\xE9", "utf-8", `<?xml version="1.0" encoding="ISO-8859-1"?>é`, "Windows-1252", ""},
		"nothing":                     {"", "", "", "UTF-8", ""},
	} {
		got, text := decode(t, []byte(c.in), c.label)
		if got != c.want || text.Name != c.enc {
			t.Errorf("%s: %q as %s, want %q as %s", name, got, text.Name, c.want, c.enc)
		}
		if repairs := strings.Join(text.Repairs, "; "); !strings.Contains(repairs, c.repair) || c.repair == "" && repairs != "" {
			t.Errorf("%s: repairs %q, want %q", name, repairs, c.repair)
		}
	}
}

func TestDecodedTextIsBounded(t *testing.T) {
	big := append([]byte("\xFF\xFE"), bytes.Repeat([]byte("a\x00"), charset.MaxDecoded+100)...)
	got, text := decode(t, big, "")
	if len(got) != charset.MaxDecoded || !strings.Contains(strings.Join(text.Repairs, ";"), "only the first") {
		t.Errorf("%d bytes, %q", len(got), text.Repairs)
	}
}

func FuzzOpen(f *testing.F) {
	f.Add([]byte("\xFF\xFEa\x00"), "utf-16")
	f.Add([]byte(`<?xml encoding='x'?>`), "")
	f.Fuzz(func(t *testing.T, b []byte, label string) {
		if got, _ := decode(t, b, label); !utf8.ValidString(got) {
			t.Fatalf("%q is no UTF-8", got)
		}
	})
}
