package reading_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"postern/gateway/clinic/inbox"
	. "postern/gateway/clinic/reading"
	"postern/gateway/spool"
	"postern/gateway/spool/keys"
	"postern/smime/addr"
	"postern/smime/part"
)

// blobs is the rows of a spool in memory.
type blobs map[string]spool.Blob

func (b blobs) Blob(_ context.Context, id string) (spool.Blob, error) {
	if r, ok := b[id]; ok {
		return r, nil
	}
	return spool.Blob{}, errors.New("no such blob")
}

// opened keeps a message and opens it as the item it makes.
func opened(t *testing.T, message string) *Message {
	t.Helper()
	message = strings.ReplaceAll(message, "\n", "\r\n")
	master := keys.New()
	ring := keys.NewRing(master)
	wrapped, err := master.NewOrg("o")
	if err != nil {
		t.Fatal(err)
	}
	if err := ring.AddOrg("o", wrapped); err != nil {
		t.Fatal(err)
	}
	store, err := spool.Open(spool.Config{Dir: t.TempDir(), Keys: ring, Reserve: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	w, err := store.Create("o")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(w, message)
	b, err := w.Commit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	it := inbox.Item{Blob: b.ID}
	root, err := part.Parse(strings.NewReader(message), int64(len(message)), part.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	_ = root.Walk(func(p *part.Part) error {
		if len(p.Children) == 0 {
			it.Parts = append(it.Parts, inbox.Part{Path: p.Path, Offset: p.Offset, Length: p.Length, MediaType: p.MediaType, Filename: p.Filename, Encoding: p.Encoding})
		}
		return nil
	})
	r := &Reader{Blobs: blobs{b.ID: b}, Spool: store}
	m, err := r.Open(t.Context(), it)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func TestText(t *testing.T) {
	for situation, c := range map[string]struct{ message, want string }{
		"plain":                     {"Content-Type: text/plain\n\nChest pain.\nSince Monday.\n", "Chest pain.\nSince Monday.\n"},
		"quoted-printable":          {"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\nN=C3=BA=\n=C3=B1ez\n", "Núñez\n"},
		"Windows-1252":              {"Content-Type: text/plain\n\nN\xfa\xf1ez\n", "Núñez\n"},
		"HTML where nothing else":   {"Content-Type: text/html\n\n<p>Take <del>10 mg</del> 20 mg &amp; rest <span style=\"text-decoration:LINE-THROUGH\">daily</span></p><script>x</script><ul><li>one<li>two</ul>\n", "Take [struck out: 10 mg] 20 mg & rest [struck out: daily]\n- one\n- two"},
		"plain before HTML":         {"Content-Type: multipart/alternative; boundary=b\n\n--b\nContent-Type: text/html\n\n<b>x</b>\n--b\nContent-Type: text/plain\n\nplain\n--b--\n", "plain"},
		"an attached text is none":  {"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain; name=a.txt\nContent-Disposition: attachment; filename=a.txt\n\nfile\n--b--\n", ""},
		"an empty text":             {"Content-Type: text/plain\n\n", ""},
		"base64 that is half wrong": {"Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\nQ2hl*c3Q=\n", "Chest"},
	} {
		t.Run(situation, func(t *testing.T) {
			got, more, err := opened(t, c.message).Text()
			if err != nil || more || got != c.want {
				t.Fatalf("%q %v %v, want %q", got, more, err, c.want)
			}
		})
	}
	got, more, err := opened(t, "Content-Type: text/plain\n\n"+strings.Repeat("0123456789\n", 100_000)).Text()
	if err != nil || !more || len(got) > MaxText {
		t.Errorf("long: %d octets, more %v, %v", len(got), more, err)
	}
}

func TestPart(t *testing.T) {
	body := bytes.Repeat([]byte{0, 1, 2, 0xff}, 500_000) // beyond what a scratch keeps in memory
	var b strings.Builder
	w := part.NewBase64Writer(&b)
	_, _ = w.Write(body)
	_ = w.Close()
	m := opened(t, "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\nhello\n--b\nContent-Type: application/octet-stream; name=\"..\\\\x.bin\"\nContent-Transfer-Encoding: base64\n\n"+
		strings.ReplaceAll(b.String(), "\r\n", "\n")+"--b--\n")
	if len(m.Item.Parts) != 2 {
		t.Fatalf("%+v", m.Item.Parts)
	}
	c, err := m.Part(m.Item.Parts[1].Path)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(c.Section())
	if err != nil || !bytes.Equal(got, body) {
		t.Fatalf("%d octets, %v", len(got), err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Part("7.7"); !errors.Is(err, ErrNoPart) {
		t.Fatalf("%v", err)
	}
	whole, err := io.ReadAll(m.Whole())
	if err != nil || !strings.HasPrefix(string(whole), "Content-Type: multipart/mixed") {
		t.Fatalf("%v", err)
	}
}

func TestCalled(t *testing.T) {
	for situation, c := range map[string]struct{ from, want string }{
		"a name":                  {`From: "Dr. Lee" <lee@a.example>`, "Dr. Lee"},
		"an encoded name":         {"From: =?utf-8?q?N=C3=BA=C3=B1ez?= <LEE@a.example>", "Núñez"},
		"marks that turn writing": {"From: =?utf-8?b?4oCuZWVM?= <lee@a.example>", "eeL"},
		"another's address":       {`From: "Dr. Lee" <lee@evil.example>`, ""},
		"no name":                 {"From: lee@a.example", ""},
		"two":                     {"From: a <lee@a.example>, b <b@a.example>", ""},
		"none":                    {"Subject: x", ""},
	} {
		m := opened(t, c.from+"\nContent-Type: text/plain\n\nx\n")
		m.Item.Sender = addr.MustParse("lee@a.example")
		if got := m.Called(); got != c.want {
			t.Errorf("%s: %q, want %q", situation, got, c.want)
		}
	}
}

func TestName(t *testing.T) {
	for want, p := range map[string]inbox.Part{"a.xml": {Filename: `C:\x\a.xml`}, "part-1-2.txt": {Path: "1.2", MediaType: "text/plain"}, "part-1": {Path: "1", MediaType: "image/x-odd"}} {
		if got := Name(p); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
