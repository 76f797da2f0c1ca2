package relay

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestReply(t *testing.T) {
	for in, want := range map[string]struct {
		code int
		enh  string
		text string
		bad  bool
	}{
		"250 ok\r\n":         {250, "", "ok", false},
		"250\r\n":            {250, "", "", false},
		"250-a\r\n250 b\r\n": {250, "", "a b", false},
		"550-5.1.1 no\r\n550 5.1.1 such user\r\n": {550, "5.1.1", "no such user", false},
		"550 5.1.1\r\n":                           {550, "5.1.1", "", false},
		"550 4.1.1 mixed classes\r\n":             {550, "", "4.1.1 mixed classes", false},
		"451 4.7.1234 x\r\n":                      {451, "", "4.7.1234 x", false},
		"250 bare line feed\n":                    {250, "", "bare line feed", false},
		"421 \x1b[2J\x00\u202ehi\xff\r\n":         {421, "", "[2Jhi", false},
		"554 " + strings.Repeat("x", 1500) + "\n": {554, "", strings.Repeat("x", MaxWords), false},
		"":                               {bad: true},
		"250 cut off":                    {bad: true},
		"250-a\r\n":                      {bad: true},
		"250-a\r\n550 b\r\n":             {bad: true},
		"25 x\r\n":                       {bad: true},
		"2500 x\r\n":                     {bad: true},
		"199 x\r\n":                      {bad: true},
		"600 x\r\n":                      {bad: true},
		"HTTP/1.1 200 OK\r\n":            {bad: true},
		strings.Repeat("250-x\r\n", 101): {bad: true},
		"250 " + strings.Repeat("x", 2001) + "\n": {bad: true},
		"250 " + strings.Repeat("x", 9000) + "\n": {bad: true},
	} {
		a, err := readReply(bufio.NewReaderSize(strings.NewReader(in), 4096))
		if (err != nil) != want.bad {
			t.Errorf("%.60q: error %v", in, err)
			continue
		}
		if !want.bad && (a.code != want.code || a.enhanced() != want.enh || a.text() != want.text) {
			t.Errorf("%.60q: %d %q %q", in, a.code, a.enhanced(), a.text())
		}
	}
}

// FuzzReply: whatever a peer answers, what is kept of it is bounded and printable, and its status is one.
func FuzzReply(f *testing.F) {
	f.Add([]byte("250-5.1.1 a\r\n250 5.1.1 b\r\n"))
	f.Add([]byte("421 \x1b\u202e\xff\r\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		a, err := readReply(bufio.NewReaderSize(bytes.NewReader(in), 4096))
		if err != nil {
			if netFault(err).Status != Temporary {
				t.Fatalf("a broken reply is final: %v", err)
			}
			return
		}
		o := a.outcome()
		if len(o.Text) > MaxWords || !utf8.ValidString(o.Text) || strings.ContainsFunc(o.Text, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Fatalf("text %q", o.Text)
		}
		if o.Status == "" || o.Reason == "" || o.Code < 200 || o.Code > 599 {
			t.Fatalf("outcome %+v", o)
		}
	})
}

// plain undoes stuffing as RFC 5321 §4.5.2 says, octet by octet.
func plain(in []byte) []byte {
	var out []byte
	start := true
	for _, c := range in {
		if start && c == '.' {
			start = false
			continue
		}
		out = append(out, c)
		start = c == '\n'
	}
	return out
}

// canonical is the definition lines.check is held to.
func canonical(in []byte) bool {
	for i, c := range in {
		if c == '\n' && (i == 0 || in[i-1] != '\r') || c == '\r' && (i+1 == len(in) || in[i+1] != '\n') {
			return false
		}
	}
	return true
}

// FuzzStuff: a message cut into any pieces is judged as a whole one is, and stuffing is undone exactly.
func FuzzStuff(f *testing.F) {
	f.Add([]byte("a\r\n.\r\n..b\r\n"), uint8(3))
	f.Add([]byte("a\n.\r\n\r"), uint8(1))
	f.Fuzz(func(t *testing.T, in []byte, size uint8) {
		var l lines
		var out bytes.Buffer
		start := true
		var bad error
		for rest := in; len(rest) > 0 && bad == nil; {
			n := min(len(rest), 1+int(size))
			if bad = l.check(rest[:n]); bad != nil {
				break
			}
			if err := stuff(&out, rest[:n], start); err != nil {
				t.Fatal(err)
			}
			start = rest[n-1] == '\n'
			rest = rest[n:]
		}
		if bad == nil {
			bad = l.end()
		}
		if (bad == nil) != canonical(in) {
			t.Fatalf("%q: %v", in, bad)
		}
		if bad == nil && !bytes.Equal(plain(out.Bytes()), in) {
			t.Fatalf("%q became %q", in, out.Bytes())
		}
		if bad == nil && (bytes.HasPrefix(out.Bytes(), []byte(".\r\n")) || bytes.Contains(out.Bytes(), []byte("\n.\r\n"))) {
			t.Fatalf("%q ends too early", out.Bytes())
		}
		w, err := load(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(in)), nil }, make([]byte, smallBody))
		if len(in) < smallBody && ((err == nil) != canonical(in) || err == nil && !bytes.Equal(w.octets, in) || err != nil && !errors.Is(err, errBareLine)) {
			t.Fatalf("load: %v", err)
		}
	})
}
