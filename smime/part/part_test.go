package part_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime/quotedprintable"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"postern/gateway/lab/corpus"
	"postern/smime/part"
)

func parse(t testing.TB, msg string, lim part.Limits) *part.Part {
	t.Helper()
	p, err := part.Parse(strings.NewReader(msg), int64(len(msg)), lim)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// shape is a tree in one line: media types, with children in brackets.
func shape(p *part.Part) string {
	s := p.MediaType
	if len(p.Children) > 0 {
		var in []string
		for _, c := range p.Children {
			in = append(in, shape(c))
		}
		s += "[" + strings.Join(in, " ") + "]"
	}
	return s
}

func body(t testing.TB, msg string, p *part.Part) string {
	t.Helper()
	b, err := io.ReadAll(p.Open(strings.NewReader(msg)))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestTree(t *testing.T) {
	for _, c := range []struct {
		name, msg, shape string
		bodies           map[string]string
	}{
		{"text", "Subject: x\r\n\r\nhello\r\n", "text/plain", map[string]string{"": "hello\r\n"}},
		{"no body", "Subject: x\r\n\r\n", "text/plain", map[string]string{"": ""}},
		{"no blank line", "Subject: x\r\n", "text/plain", map[string]string{"": ""}},
		{"no header", "\r\nhello", "text/plain", map[string]string{"": "hello"}},
		{"body without blank line", "Subject: x\r\nhello there\r\n", "text/plain", map[string]string{"": "hello there\r\n"}},
		{"multipart", "Content-Type: multipart/mixed; boundary=a\r\n\r\npre\r\n--a\r\n\r\none\r\n--a\r\nContent-Type: text/html\r\n\r\ntwo\r\n--a--\r\npost",
			"multipart/mixed[text/plain text/html]", map[string]string{"1": "one", "2": "two"}},
		{"bare line feeds", "Content-Type: multipart/mixed; boundary=a\n\n--a\n\none\n--a--\n", "multipart/mixed[text/plain]", map[string]string{"1": "one"}},
		{"nested", "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: multipart/alternative; boundary=ab\r\n\r\n--ab\r\n\r\none\r\n--ab--\r\n--a\r\n\r\ntwo\r\n--a--\r\n",
			"multipart/mixed[multipart/alternative[text/plain] text/plain]", map[string]string{"1.1": "one", "2": "two"}},
		{"inner multipart never closed", "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\none\r\n--a\r\n\r\ntwo\r\n--a--\r\n",
			"multipart/mixed[multipart/alternative[text/plain] text/plain]", map[string]string{"1.1": "one", "2": "two"}},
		{"enclosed message", "Content-Type: message/rfc822\r\n\r\nSubject: in\r\nContent-Type: text/html\r\n\r\nx", "message/rfc822[text/html]", map[string]string{"1": "x"}},
		{"enclosed in multipart", "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nx\r\n--a--\r\n",
			"multipart/mixed[message/rfc822[text/plain]]", map[string]string{"1.1": "x", "1": "Subject: in\r\n\r\nx"}},
		{"enclosed and encoded", "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nU3ViamVjdDogeA0KDQp4\r\n", "message/rfc822", map[string]string{"": "Subject: x\r\n\r\nx"}},
		{"enclosed message cut by a delimiter", "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: message/rfc822\r\n\r\n--a--\r\n", "multipart/mixed[message/rfc822[text/plain]]", map[string]string{"1.1": ""}},
		{"digest", "Content-Type: multipart/digest; boundary=a\r\n\r\n--a\r\n\r\nSubject: in\r\n\r\nx\r\n--a--\r\n", "multipart/digest[message/rfc822[text/plain]]", map[string]string{"1.1": "x"}},
		{"look-alike delimiters", "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\n--ab\r\n--a-\r\n -- a\r\n--a--x\r\n--a--\r\n", "multipart/mixed[text/plain]", map[string]string{"1": "--ab\r\n--a-\r\n -- a\r\n--a--x"}},
		{"blanks after the delimiter", "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a \t\r\n\r\none\r\n--a-- \r\n", "multipart/mixed[text/plain]", map[string]string{"1": "one"}},
		{"never closed", "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\none\r\n", "multipart/mixed[text/plain]", map[string]string{"1": "one\r\n"}},
		{"boundary nowhere", "Content-Type: multipart/mixed; boundary=a\r\n\r\nhello\r\n", "multipart/mixed", map[string]string{"": "hello\r\n"}},
		{"no boundary parameter", "Content-Type: multipart/mixed\r\n\r\n--a\r\n\r\nhello\r\n", "multipart/mixed", nil},
		{"part without header", "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n--a\r\n\r\nx\r\n--a--\r\n", "multipart/mixed[text/plain text/plain]", map[string]string{"1": "", "2": "x"}},
		{"quoted-printable", "Content-Transfer-Encoding: quoted-printable\r\n\r\na=3Db=\r\nc=zz\r\n", "text/plain", map[string]string{"": "a=bc=zz\r\n"}},
		{"boundary with blanks and quotes", "Content-Type: multipart/mixed; boundary=\"a b=c\"\r\n\r\n--a b=c\r\n\r\none\r\n--a b=c--\r\n", "multipart/mixed[text/plain]", map[string]string{"1": "one"}},
		{"type in capitals, folded, with a comment", "CONTENT-TYPE: MULTIPART/Mixed (hi)\r\n ; charset=x;\r\n\tBOUNDARY=a\r\n\r\n--a\r\n\r\none\r\n--a--\r\n", "multipart/mixed[text/plain]", map[string]string{"1": "one"}},
		{"mbox line in front", "From me Mon\r\nSubject: x\r\n\r\nhello", "text/plain", map[string]string{"": "hello"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := parse(t, c.msg, part.Limits{})
			if got := shape(p); got != c.shape {
				t.Fatalf("shape %s, want %s", got, c.shape)
			}
			for path, want := range c.bodies {
				n := p.Find(path)
				if n == nil {
					t.Errorf("no part %q", path)
				} else if got := body(t, c.msg, n); got != want {
					t.Errorf("part %q is %q, want %q", path, got, want)
				}
			}
		})
	}
}

func TestRepairsAreNoted(t *testing.T) {
	for msg, want := range map[string]string{
		"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\none\r\n":                         "multipart without a closing delimiter",
		"Content-Type: multipart/mixed; boundary=a\r\n\r\nx":                                          "multipart without its boundary in the body",
		"Content-Type: multipart/mixed\r\n\r\nx":                                                      "multipart without a boundary; read as one part",
		"Content-Type: nonsense\r\n\r\nx":                                                             "content type is malformed",
		"Subject: x\r\nhello there\r\nx":                                                              "header without a blank line at its end",
		"Content-Type: multipart/mixed; boundary=a\r\nContent-Transfer-Encoding: base64\r\n\r\n--a--": "multipart with a transfer encoding; read as it stands",
		"Content-Type: multipart/mixed; boundary=" + strings.Repeat("a", 999) + "\r\n\r\nx":           "boundary is too long to be one",
	} {
		if p := parse(t, msg, part.Limits{}); !strings.Contains(strings.Join(p.Repairs, "|"), want) {
			t.Errorf("%.60q: repairs %q, want %q", msg, p.Repairs, want)
		}
	}
}

func TestLimits(t *testing.T) {
	nest := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i)
		}
		return b.String() + "\r\nx\r\n"
	}
	parts := func(n int) string {
		return "Content-Type: multipart/mixed; boundary=a\r\n\r\n" + strings.Repeat("--a\r\n\r\nx\r\n", n) + "--a--\r\n"
	}
	for name, msg := range map[string]string{
		"17 levels":            nest(17),
		"17 enclosed messages": strings.Repeat("Content-Type: message/rfc822\r\n\r\n", 17) + "x",
		"1001 parts":           parts(1001),
		"endless header line":  "X: " + strings.Repeat("y", 300<<10),
		"endless header":       strings.Repeat("X: "+strings.Repeat("y", 1000)+"\r\n", 300) + "\r\n",
		"1001 fields":          strings.Repeat("X: y\r\n", 1001) + "\r\n",
	} {
		if _, err := part.Parse(strings.NewReader(msg), int64(len(msg)), part.Limits{}); !errors.Is(err, part.ErrLimit) {
			t.Errorf("%s: %v", name, err)
		}
	}
	parse(t, nest(16), part.Limits{})
	parse(t, parts(999), part.Limits{})
	parse(t, strings.Repeat("X: y\r\n", 1000)+"\r\n", part.Limits{})
}

func TestHeader(t *testing.T) {
	msg := "Subject: a\r\n b\r\n\tc\r\nX-Empty:\r\nreceived: 1\r\nReceived : 2\r\n\r\nbody"
	h, err := part.ReadHeader(strings.NewReader(msg), int64(len(msg)), part.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if h.Size != int64(len(msg)-4) {
		t.Errorf("size %d", h.Size)
	}
	if got := h.Get("subject"); got != "a b\tc" {
		t.Errorf("subject %q", got)
	}
	if string(h.Fields[0].Raw) != "Subject: a\r\n b\r\n\tc\r\n" {
		t.Errorf("raw %q", h.Fields[0].Raw)
	}
	if got := h.All("Received"); !reflect.DeepEqual(got, []string{"1", "2"}) {
		t.Errorf("received %q", got)
	}
	if !h.Has("X-EMPTY") || h.Get("X-Empty") != "" || h.Has("Y") {
		t.Error("presence of fields")
	}
	long := "X-Long: " + strings.Repeat("y", 100_000) + "\r\nTo: a@b\r\n\r\n"
	if h, err = part.ReadHeader(strings.NewReader(long), int64(len(long)), part.Limits{}); err != nil || h.Get("To") != "a@b" {
		t.Errorf("long header: %v", err)
	}
}

func TestMedia(t *testing.T) {
	for _, c := range []struct {
		in, typ string
		params  map[string]string
	}{
		{`text/plain; charset=utf-8`, "text/plain", map[string]string{"charset": "utf-8"}},
		{`TEXT/HTML;Charset="x;y"`, "text/html", map[string]string{"charset": "x;y"}},
		{`a/b; name="a\"b.txt"`, "a/b", map[string]string{"name": `a"b.txt`}},
		{`a/b; name=a b.txt ; x=y`, "a/b", map[string]string{"name": "a b.txt", "x": "y"}},
		{`a/b (comment; x=y); z=1`, "a/b", map[string]string{"z": "1"}},
		{`a/b; name*=utf-8''%e2%82%ac.txt`, "a/b", map[string]string{"name": "€.txt"}},
		{`a/b; name*=iso-8859-1'de'%fc.txt`, "a/b", map[string]string{"name": "ü.txt"}},
		{`a/b; name*0="one "; name*1=two; name*2*=%20three`, "a/b", map[string]string{"name": "one two three"}},
		{`a/b; name*1=two; name*0=one`, "a/b", map[string]string{"name": "onetwo"}},
		{`a/b; x; y=2`, "a/b", map[string]string{"y": "2"}},
		{`a/b; x=1; x=2`, "a/b", map[string]string{"x": "1"}},
		{`a/b;;; x="unclosed`, "a/b", map[string]string{"x": "unclosed"}},
		{`a/b; =; x=`, "a/b", map[string]string{"x": ""}},
		{``, "", map[string]string{}},
	} {
		typ, params, _ := part.ParseMedia(c.in)
		if typ != c.typ || !reflect.DeepEqual(params, c.params) {
			t.Errorf("%s: %q %q, want %q %q", c.in, typ, params, c.typ, c.params)
		}
	}
	if _, params, _ := part.ParseMedia("a/b" + strings.Repeat("; x=1; y=2", 1000)); len(params) > 64 {
		t.Errorf("%d parameters", len(params))
	}
}

func TestFilenames(t *testing.T) {
	for header, want := range map[string]string{
		"Content-Disposition: attachment; filename=a.pdf":                              "a.pdf",
		"Content-Type: a/b; name=\"=?utf-8?Q?=C3=BC.pdf?=\"":                           "ü.pdf",
		"Content-Disposition: attachment; filename*=utf-8''%C3%BC.pdf":                 "ü.pdf",
		"Content-Type: a/b; name=x\r\nContent-Disposition: inline; filename=y":         "y",
		"Content-Disposition: attachment; filename=" + strings.Repeat("\xc3\xbc", 200): strings.Repeat("ü", 127),
	} {
		if p := parse(t, header+"\r\n\r\n", part.Limits{}); p.Filename != want {
			t.Errorf("%.80s: %q", header, p.Filename)
		}
	}
}

func TestBase64Reader(t *testing.T) {
	data := bytes.Repeat([]byte("The quick brown fox \x00\xff"), 9000)
	text := base64.StdEncoding.EncodeToString(data)
	lines := func(n int, end string) string {
		var b strings.Builder
		for i := 0; i < len(text); i += n {
			b.WriteString(text[i:min(i+n, len(text))] + end)
		}
		return b.String()
	}
	for name, in := range map[string]string{
		"one line": text, "76 CRLF": lines(76, "\r\n"), "64 LF": lines(64, "\n"), "odd lines": lines(7, "\r\n"),
		"blanks": lines(76, " \r\n\t"), "one column": lines(1, "\n"), "no padding": strings.TrimRight(text, "="),
		"rubbish": "!" + lines(76, "\r\n*"), "text after padding": text + "\r\n\r\n",
	} {
		for _, wrap := range []func(io.Reader) io.Reader{func(r io.Reader) io.Reader { return r }, iotest.HalfReader, iotest.DataErrReader} {
			got, err := io.ReadAll(part.NewBase64Reader(wrap(strings.NewReader(in))))
			if err != nil || !bytes.Equal(got, data) {
				t.Errorf("%s: %d octets, %v", name, len(got), err)
			}
		}
	}
	for in, want := range map[string]string{
		"": "", "YQ==": "a", "YQ": "a", "YWI=": "ab", "YWJj": "abc", "YQ==YQ==": "aa", "Y Q = =": "a", "Y": "", "YWJjY": "abc",
		"YQ==\r\nYmM=\r\n": "abc", "-_": "", "====": "",
	} {
		got, err := io.ReadAll(part.NewBase64Reader(strings.NewReader(in)))
		if err != nil || string(got) != want {
			t.Errorf("%q: %q, %v; want %q", in, got, err, want)
		}
	}
	d := part.NewBase64Reader(strings.NewReader("YQ==*YQ==#"))
	if _, err := io.ReadAll(d); err != nil || d.Odd() != 2 {
		t.Errorf("odd %d, %v", d.Odd(), err)
	}
}

func TestBase64Writer(t *testing.T) {
	for n := range 400 {
		data := bytes.Repeat([]byte{byte(n)}, n*3)
		var out bytes.Buffer
		w := part.NewBase64Writer(&out)
		for i := 0; i < len(data); i += 1 + n%100 {
			if _, err := w.Write(data[i:min(i+1+n%100, len(data))]); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if int64(out.Len()) != part.Base64Size(int64(len(data))) {
			t.Fatalf("%d octets make %d, announced %d", len(data), out.Len(), part.Base64Size(int64(len(data))))
		}
		for _, line := range strings.SplitAfter(out.String(), "\r\n") {
			if len(line) > 78 {
				t.Fatalf("line of %d", len(line))
			}
		}
		got, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(out.String(), "\r\n", ""))
		if err != nil || !bytes.Equal(got, data) {
			t.Fatalf("%d octets: %v", len(data), err)
		}
	}
}

func TestQuotedReader(t *testing.T) {
	for in, want := range map[string]string{
		"a=3D=3d": "a==", "a=\r\nb": "ab", "a=\nb": "ab", "a= \t\r\nb": "ab", "a=xy": "a=xy", "a=": "a", "a=4": "a=4", "a  \r\nb\t\nc  ": "a\r\nb\nc",
		"a \tb": "a \tb", "a\rb": "a\rb", "a=0D=0Ab": "a\r\nb", "=\r\n=\r\n": "", "\xff=FF": "\xff\xff",
	} {
		got, err := io.ReadAll(part.NewQuotedReader(strings.NewReader(in)))
		if err != nil || string(got) != want {
			t.Errorf("%q: %q, %v; want %q", in, got, err, want)
		}
	}
	blanks := strings.Repeat(" ", 1<<20)
	if got, err := io.ReadAll(part.NewQuotedReader(strings.NewReader(blanks + "x"))); err != nil || string(got) != blanks+"x" {
		t.Errorf("%d blanks came out as %d, %v", len(blanks), len(got), err)
	}
}

// TestCorpus: no message of the corpus breaks the parser, and its tree is that of CPython's email
// package where the manifest shows it and the message is sound.
func TestCorpus(t *testing.T) {
	known := map[string]bool{ // where this parser reads otherwise, on purpose
		"enmime/mime-bad-content-type.raw":              true, // the type ends at its first blank
		"jsmime/charsets":                               true, // the manifest abbreviates it
		"jsmime/mime-torture":                           true, // likewise
		"jsmime/message-encoded":                        true, // only message/rfc822 is descended into
		"mime4j/base64encoded-rfc822message-nested.msg": true, // encoded messages stay leaves
		"stalwart_rfc/008.eml":                          true, // likewise
		"stalwart_malformed/007.eml":                    true, // a delimiter must be the whole line
		"stalwart_malformed/000.eml":                    true, // two delimiters in a row enclose an empty part
		"stalwart_malformed/005.eml":                    true, // a nested part that is cut off is still there
		"stalwart_malformed/022.eml":                    true, // the file name is found
	}
	seen, compared := 0, 0
	for _, e := range corpus.Walk(t, "mime") {
		switch filepath.Ext(e.File) {
		case ".json", ".xml", ".out":
			continue
		}
		b := e.Read(t)
		p, err := part.Parse(bytes.NewReader(b), int64(len(b)), part.Limits{})
		if err != nil {
			t.Errorf("%s: %v", e.File, err)
			continue
		}
		seen++
		invariants(t, p, int64(len(b)))
		_, want, ok := strings.Cut(e.Expected, "python-email shape: ")
		if !ok || strings.Contains(want, "defects") {
			continue
		}
		if got := pythonShape(p); got != want && !known[e.File] {
			t.Errorf("%s: shape %s,\n\tPython's is %s", e.File, got, want)
		}
		compared++
	}
	t.Logf("%d messages, %d shapes compared", seen, compared)
	if seen < 50 {
		t.Errorf("only %d messages", seen)
	}
}

// pythonShape is a tree in the manifest's notation.
func pythonShape(p *part.Part) string {
	s := p.MediaType
	if p.Filename != "" {
		s += "[" + p.Filename + "]"
	}
	if len(p.Children) > 0 {
		var in []string
		for _, c := range p.Children {
			in = append(in, pythonShape(c))
		}
		s += "(" + strings.Join(in, ",") + ")"
	}
	return s
}

// invariants hold for every tree: parts lie inside their parents and the source, in order.
func invariants(t testing.TB, root *part.Part, size int64) {
	t.Helper()
	_ = root.Walk(func(p *part.Part) error {
		if p.Start < 0 || p.Offset < p.Start || p.Length < 0 || p.Offset+p.Length > size {
			t.Fatalf("part %q: header %d, body %d+%d of %d", p.Path, p.Start, p.Offset, p.Length, size)
		}
		at := p.Offset
		for _, c := range p.Children {
			if c.Start < at || c.Offset+c.Length > p.Offset+p.Length {
				t.Fatalf("part %q [%d,%d) lies outside %q [%d,%d)", c.Path, c.Start, c.Offset+c.Length, p.Path, p.Offset, p.Offset+p.Length)
			}
			at = c.Offset + c.Length
		}
		return nil
	})
}

// countingAt counts the octets read.
type countingAt struct {
	r *strings.Reader
	n int64
}

func (c *countingAt) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.r.ReadAt(p, off)
	c.n += int64(n)
	return n, err
}

func TestWorkIsLinear(t *testing.T) {
	for name, unit := range map[string]string{
		"near-misses of a delimiter": "--aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaax\r\n",
		"line ends":                  "\r\n",
		"hyphens":                    "--\r\n",
		"one long line":              "xxxxxxxxxxxxxxxxxxxxxxxxxxx",
	} {
		work := func(n int) int64 {
			msg := "Content-Type: multipart/mixed; boundary=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n\r\n--aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n\r\n" + strings.Repeat(unit, n)
			src := &countingAt{r: strings.NewReader(msg)}
			if _, err := part.Parse(src, int64(len(msg)), part.Limits{}); err != nil {
				t.Fatal(err)
			}
			return src.n
		}
		one, two := work(20_000), work(40_000)
		if two > 2*one+200_000 {
			t.Errorf("%s: %d octets read, then %d for twice as much", name, one, two)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\nb\r\n--a--\r\n",
		"Content-Type: multipart/digest; boundary=\"a b\"\n\n--a b\n\n--a b--",
		"Content-Transfer-Encoding: base64\r\n\r\nYQ==YQ=\r\n=",
		"Content-Transfer-Encoding: quoted-printable\r\n\r\n=3D=\r\n =",
		"From x\r\nA: b; c*0*=utf-8''%zz; c*1=d\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := part.Parse(bytes.NewReader(b), int64(len(b)), part.Limits{})
		if err != nil {
			if !errors.Is(err, part.ErrLimit) {
				t.Fatal(err)
			}
			return
		}
		invariants(t, p, int64(len(b)))
		_ = p.Walk(func(n *part.Part) error {
			out, err := io.ReadAll(n.Open(bytes.NewReader(b)))
			if err != nil {
				t.Fatal(err)
			}
			if int64(len(out)) > n.Length {
				t.Fatalf("%d octets decoded out of %d", len(out), n.Length)
			}
			return nil
		})
	})
}

// FuzzTransfer holds the decoders against the standard library's, where those succeed.
func FuzzTransfer(f *testing.F) {
	f.Add([]byte("YWJj\r\nYQ==\r\n"))
	f.Add([]byte("a=3Db=\r\nc  \r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := io.ReadAll(part.NewBase64Reader(iotest.HalfReader(bytes.NewReader(b))))
		if err != nil {
			t.Fatal(err)
		}
		if want, err := base64.StdEncoding.DecodeString(string(b)); err == nil && !bytes.Equal(got, want) {
			t.Fatalf("base64 %q: %q, want %q", b, got, want)
		}
		got, err = io.ReadAll(part.NewQuotedReader(bytes.NewReader(b)))
		if err != nil {
			t.Fatal(err)
		}
		if want, err := io.ReadAll(quotedprintable.NewReader(bytes.NewReader(b))); err == nil && plainQP(b) && !bytes.Equal(got, want) {
			t.Fatalf("quoted-printable %q: %q, want %q", b, got, want)
		}
	})
}

// plainQP leaves out what the two readers deliberately read differently: blanks at line ends, bare CR
// and lines without an end.
func plainQP(b []byte) bool {
	return !bytes.ContainsAny(b, " \t\r\x00") && bytes.HasSuffix(b, []byte("\n")) && !bytes.HasSuffix(b, []byte("=\n"))
}

// full is a disk with room for n octets.
type full struct{ n int }

var errFull = errors.New("no room")

func (f *full) Write(b []byte) (int, error) {
	if f.n -= len(b); f.n < 0 {
		return 0, errFull
	}
	return len(b), nil
}

func TestCopyDecoded(t *testing.T) {
	damaged := base64.StdEncoding.EncodeToString([]byte("a letter of some length")) + "===\x00\x01=="
	var b bytes.Buffer
	if err := part.CopyDecoded(&b, part.Decode("base64", strings.NewReader(damaged))); err != nil || !strings.HasPrefix(b.String(), "a letter of some length") {
		t.Errorf("damage at the end: %q, %v", &b, err)
	}
	cut := io.MultiReader(strings.NewReader("half a "), iotest.ErrReader(errors.New("gone")))
	b.Reset()
	if err := part.CopyDecoded(&b, part.Decode("7bit", cut)); err != nil || b.String() != "half a " {
		t.Errorf("a source that breaks off: %q, %v", &b, err)
	}
	if err := part.CopyDecoded(&full{10}, strings.NewReader("a letter of some length")); !errors.Is(err, errFull) {
		t.Errorf("a full disk: %v", err)
	}
}
