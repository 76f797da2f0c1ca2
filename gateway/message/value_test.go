package message_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"postern/gateway/message"
	"postern/smime/addr"
)

// DN-10 to DN-17: the grammar of the request, and what each form makes of it.
func TestFinalDeliveryRequest(t *testing.T) {
	const name = "X-DIRECT-FINAL-DESTINATION-DELIVERY"
	cases := []struct {
		situation            string
		values               []string
		requested, malformed bool
	}{
		{"exact text", []string{name + "=optional,true"}, true, false},
		{"required instead of optional", []string{name + "=required,true"}, true, false},
		{"lower case name", []string{strings.ToLower(name) + "=optional,true"}, true, false},
		{"mixed case importance and value", []string{name + "=Optional,TRUE"}, true, false},
		{"space after the comma (CONNECT)", []string{name + "=optional, true"}, true, false},
		{"spaces everywhere", []string{"  " + name + " = optional , true  "}, true, false},
		{"folded", []string{name + "=\r\n optional,\r\n true"}, true, false},
		{"quoted value", []string{name + `=optional,"true"`}, true, false},
		{"with a comment", []string{name + "=optional,true (please)"}, true, false},
		{"semicolon at the end", []string{name + "=optional,true;"}, true, false},
		{"beside another optional parameter", []string{"signed-receipt-protocol=optional,pkcs7-signature; " + name + "=optional,true"}, true, false},
		{"beside a parameter of several values", []string{name + "=optional,true; signed-receipt-micalg=optional,sha256,sha1"}, true, false},
		{"said twice alike", []string{name + "=optional,true; " + name + "=optional,true"}, true, false},
		{"two fields alike", []string{name + "=optional,true", name + "=optional,true"}, true, false},

		{"value false", []string{name + "=optional,false"}, false, false},
		{"true and false", []string{name + "=optional,true; " + name + "=optional,false"}, false, false},
		{"another parameter only", []string{"signed-receipt-protocol=optional,pkcs7-signature"}, false, false},
		{"beside an unknown required parameter", []string{name + "=optional,true; x-other=required,yes"}, false, false},
		{"unknown required parameter in another field", []string{"x-other=required,yes", name + "=optional,true"}, false, false},
		{"name as part of another", []string{"X-" + name + "=optional,true"}, false, false},
		{"name in a quoted value of another", []string{`x="` + name + `=optional,true"`}, false, true},
		{"empty field", []string{""}, false, false},

		{"colon form (CONNECT)", []string{name + ": optional, true"}, false, true},
		{"no importance", []string{name + "=true"}, false, true},
		{"no value", []string{name + "=optional"}, false, true},
		{"empty value", []string{name + "=optional,"}, false, true},
		{"no equals sign", []string{name}, false, true},
		{"unknown importance", []string{name + "=mandatory,true"}, false, true},
		{"value yes", []string{name + "=optional,yes"}, false, true},
		{"two values", []string{name + "=optional,true,false"}, false, true},
		{"value first", []string{name + "=true,optional"}, false, true},
		{"separated by a comma", []string{name + "=optional,true, x=optional,y"}, false, true},
		{"good one beside a broken one", []string{name + "=optional,true; " + name}, false, true},
		{"good field beside a broken one", []string{name + "=optional,true", "nonsense here"}, false, true},
		{"open comment", []string{name + "=optional,true (x"}, false, true},
		{"open quote", []string{name + `=optional,"true`}, false, true},
		{"name with a blank in it", []string{"X-DIRECT FINAL=optional,true"}, false, true},
		{"8-bit in the name", []string{"X-D\xc3\xadRECT=optional,true"}, false, true},
	}
	for _, c := range cases {
		t.Run(c.situation, func(t *testing.T) {
			var b strings.Builder
			b.WriteString("From: a@b.example\r\n")
			for _, v := range c.values {
				b.WriteString("dispoSition-notification-OPTIONS: " + v + "\r\n")
			}
			f := inspect(t, []byte(b.String()+"\r\n"))
			if f.FinalDelivery != c.requested || f.FinalDeliveryMalformed != c.malformed || !f.DeliveryOptions {
				t.Errorf("requested %v malformed %v (%s), want %v %v", f.FinalDelivery, f.FinalDeliveryMalformed, f.FinalDeliveryNote, c.requested, c.malformed)
			}
			if (f.FinalDeliveryNote == "") != c.requested && c.malformed {
				t.Errorf("malformed without a word why")
			}
			if f.Fields != 1+len(c.values) {
				t.Errorf("%d fields: the test did not test what it says", f.Fields)
			}
		})
	}
	t.Run("in a notice", func(t *testing.T) { // DN-17
		f := inspect(t, crlf("From: a@b.example\n"+message.OptionsField+": "+name+"=optional,true\n"+
			"Content-Type: multipart/report; report-type=disposition-notification\n\n"))
		if f.FinalDelivery || f.FinalDeliveryMalformed || f.FinalDeliveryNote == "" {
			t.Errorf("honoured: %+v", f)
		}
	})
	t.Run("in the body", func(t *testing.T) {
		if f := inspect(t, crlf("From: a@b.example\n\n"+message.OptionsField+": "+name+"=optional,true\n")); f.FinalDelivery || f.DeliveryOptions {
			t.Error("honoured")
		}
	})
}

func TestPrefix(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.FixedZone("x", 3600))
	from := addr.MustParse("Ann@a.example")
	const all = "Message-ID: <own@a.example>\nDate: Sun, 22 Nov 2026 10:00:00 +0000\nMIME-Version: 1.0\n"
	cases := []struct {
		name  string
		head  string
		final bool
		added string
	}{
		{"all there", all, false, ""},
		{"nothing there", "", false, "Message-ID Date MIME-Version"},
		{"all there, delivery wanted", all, true, "Disposition-Notification-To Disposition-Notification-Options"},
		{"notification address there", all + "Disposition-Notification-To: desk@a.example\n", true, "Disposition-Notification-Options"},
		{"request there", all + message.OptionsField + ": X-DIRECT-FINAL-DESTINATION-DELIVERY=optional,true\n", true, ""},
		{"broken request there is passed on", all + message.OptionsField + ": nonsense\n", true, ""},
		{"a broken notification address is not doubled", all + "Disposition-Notification-To: nobody\n", true, "Disposition-Notification-Options"},
		{"unusable Message-ID is not doubled", "Message-ID: <>\nDate: bad\nMIME-Version: 1.0\n", false, ""},
		{"a notice asks for nothing", all + "Content-Type: multipart/report; report-type=delivery-status\n", true, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			original := crlf("From: Ann@a.example\nTo: b@b.example\n" + c.head + "\nbody\n")
			f := inspect(t, original)
			p, err := message.Prefix(f, message.PrefixOptions{From: from, FinalDelivery: c.final, Now: now})
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(p.Added, " "); got != c.added {
				t.Fatalf("added %q, want %q", got, c.added)
			}
			after := inspect(t, append(bytes.Clone(p.Lines), original...))
			if after.MessageID != p.MessageID {
				t.Errorf("message id %q, said %q", after.MessageID, p.MessageID)
			}
			if strings.Contains(c.added, "Date") && !after.Date.Equal(now) {
				t.Errorf("date %v", after.Date)
			}
			if strings.Contains(c.added, "Options") && !after.FinalDelivery {
				t.Error("the request is not understood")
			}
			if len(after.Flaws) != len(f.Flaws) {
				t.Errorf("flaws before %v, after %v", f.Flaws, after.Flaws)
			}
			if after.Fields != f.Fields+len(p.Added) {
				t.Errorf("%d fields became %d by adding %d", f.Fields, after.Fields, len(p.Added))
			}
			if c.added == "" && len(p.Lines) != 0 {
				t.Errorf("lines %q", p.Lines)
			}
		})
	}
	if _, err := message.Prefix(message.Facts{}, message.PrefixOptions{Now: now}); err == nil {
		t.Error("no submitter accepted")
	}
	if _, err := message.Prefix(message.Facts{}, message.PrefixOptions{From: from}); err == nil {
		t.Error("no time accepted")
	}
}

func TestMessageIDsDiffer(t *testing.T) { // DN-12
	seen := map[string]bool{}
	now := time.Unix(1, 0)
	for range 1000 {
		id := message.NewMessageID(addr.MustDomain("a.example"), now, nil)
		if seen[id] || !strings.HasSuffix(id, "@a.example") || message.NormalID("<"+id+">") != id {
			t.Fatalf("id %q", id)
		}
		seen[id] = true
	}
}

func TestCanonical(t *testing.T) {
	cases := []struct {
		name, in, out string
		reason        message.Reason
	}{
		{"LF only", "a\nb\n\nc", "a\r\nb\r\n\r\nc", ""},
		{"CRLF only", "a\r\nb\r\n", "a\r\nb\r\n", ""},
		{"no line end", "abc", "abc", ""},
		{"empty", "", "", ""},
		{"LF then CRLF", "a\nb\r\n", "", message.ReasonMixedLineEnds},
		{"CRLF then LF", "a\r\nb\n", "", message.ReasonMixedLineEnds},
		{"bare CR", "a\rb\n", "", message.ReasonBareCR},
		{"CR CR LF", "a\r\r\n", "", message.ReasonBareCR},
		{"CR at the end", "a\r\nb\r", "", message.ReasonBareCR},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			for _, r := range []io.Reader{strings.NewReader(c.in), iotest.OneByteReader(strings.NewReader(c.in))} {
				var b bytes.Buffer
				converted, err := message.Canonical(&b, r)
				var e *message.Error
				switch {
				case c.reason != "":
					if !errors.As(err, &e) || e.Reason != c.reason {
						t.Fatalf("got %v, want %s", err, c.reason)
					}
				case err != nil || b.String() != c.out || converted != (c.in != c.out):
					t.Fatalf("got %q converted %v, %v", b.String(), converted, err)
				}
			}
		})
	}
	broken := errors.New("disk")
	if _, err := message.Canonical(io.Discard, iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("a read error is lost: %v", err)
	}
}

func TestID(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 123e6, time.UTC)
	id := message.NewID(now, bytes.NewReader(make([]byte, 8)))
	if id != message.NewID(now, bytes.NewReader(make([]byte, 8))) {
		t.Error("the reader given does not decide")
	}
	if len(id) != 18 || !id.Time().Equal(now) {
		t.Errorf("id %q of time %v", id, id.Time())
	}
	last := message.ID("")
	for i := range 1000 {
		next := message.NewID(now.Add(time.Duration(i)*time.Millisecond), nil)
		if next <= last {
			t.Fatalf("%q after %q", next, last)
		}
		last = next
	}
	for _, typed := range []string{string(last), strings.ToUpper(string(last)), string(last)[2:], " " + string(last) + "\n"} {
		if got, err := message.ParseID(typed); err != nil || got != last {
			t.Errorf("ParseID(%q) = %q, %v", typed, got, err)
		}
	}
	if got, err := message.ParseID("m-O000000000IL0000"); err != nil || got != "m-0000000000110000" {
		t.Errorf("look-alike letters: %q, %v", got, err)
	}
	for _, bad := range []string{"", "m-", "m-0", "m-000000000000000u", "m-00000000000000000", strings.Repeat("x", 1000)} {
		if _, err := message.ParseID(bad); !errors.Is(err, message.ErrID) || len(err.Error()) > 200 {
			t.Errorf("ParseID(%q): %v", bad, err)
		}
	}
	first, second := message.NewID(now, iotest.ErrReader(io.EOF)), message.NewID(now, iotest.ErrReader(io.EOF))
	if first == second {
		t.Error("a failing random source made equal ids")
	}
}

func BenchmarkInspector(b *testing.B) {
	in := append(crlf(referral), bytes.Repeat([]byte(strings.Repeat("QUJD", 19)+"\r\n"), 400)...)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		var i message.Inspector
		if _, err := i.Write(in); err != nil {
			b.Fatal(err)
		}
		i.Facts()
	}
}
