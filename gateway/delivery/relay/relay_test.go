package relay_test

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"

	"postern/gateway/delivery/relay"
)

// Every way a message can follow its envelope gives the peer the same octets.
func TestDeliver(t *testing.T) {
	large := "From: a@clinic.example\r\n\r\n" + strings.Repeat(".a line that begins with a dot\r\nand one that does not\r\n", 6000)
	for name, ext := range map[string][]string{
		"plain": {"SIZE"}, "pipelining": {"PIPELINING"}, "chunking": {"CHUNKING"}, "both": {"PIPELINING", "CHUNKING"}, "old server": nil,
	} {
		for size, msg := range map[string]string{"small": mail, "large": large, "large, size known": large, "whole pieces, size known": strings.Repeat("0123456789abcd\r\n", 128<<10/16), "tiny": "\r\n", "no line end": "To: x\r\n\r\nend"} {
			t.Run(name+" "+size, func(t *testing.T) {
				h := &host{ext: ext}
				if name == "old server" {
					h.replies = map[string]string{"EHLO": "500 what?", "HELO": "250 mx.test"}
				}
				h.start(t, "127.0.0.1:0")
				c := client(t, names{}, nil)
				r, err := c.Send(context.Background(), static(h), relay.Envelope{From: from, To: to("b@h.example", "c@h.example"), Size: known(size, msg)}, text(msg))
				if err != nil {
					t.Fatal(err)
				}
				for _, o := range r.Outcomes {
					if o.Status != relay.Delivered || o.Code != 250 || o.Enhanced != "2.0.0" || o.Text != "taken as q1" {
						t.Errorf("outcome %+v", o)
					}
				}
				want := msg
				if size == "no line end" && !strings.Contains(strings.Join(ext, " "), "CHUNKING") {
					want += "\r\n" // DATA cannot carry less
				}
				if got, seen, _ := h.got(); len(got) != 1 || got[0] != want {
					t.Errorf("peer got %d messages, right octets: %v\n%q\n%s", len(got), len(got) == 1 && got[0] == want, seen, show(r))
				}
			})
		}
	}
}

func known(size, msg string) int64 {
	if strings.HasSuffix(size, "known") {
		return int64(len(msg))
	}
	return 0
}

func TestPerRecipient(t *testing.T) {
	for _, ext := range [][]string{{"PIPELINING"}, {"SIZE"}, {"PIPELINING", "CHUNKING"}, {"CHUNKING"}} {
		t.Run(strings.Join(ext, "+"), func(t *testing.T) {
			h := (&host{ext: ext, replies: map[string]string{
				"RCPT TO:<gone@h.example>": "550-5.1.1 no such\n550 5.1.1 user", "RCPT TO:<busy@h.example>": "451 4.2.1 later\x07\x1b[31m",
			}}).start(t, "127.0.0.1:0")
			c := client(t, names{}, nil)
			r, err := c.Send(context.Background(), static(h), relay.Envelope{To: to("gone@h.example", "ok@h.example", "busy@h.example")}, text(mail))
			if err != nil {
				t.Fatal(err)
			}
			o := r.Outcomes
			if o[0].Status != relay.Permanent || o[0].Reason != relay.ReasonRefused || o[0].Enhanced != "5.1.1" || o[0].Text != "no such user" {
				t.Errorf("gone: %+v", o[0])
			}
			if o[1].Status != relay.Delivered {
				t.Errorf("ok: %+v", o[1])
			}
			if o[2].Status != relay.Temporary || o[2].Reason != relay.ReasonDeferred || o[2].Text != "later[31m" {
				t.Errorf("busy: %+v", o[2])
			}
			if got, seen, _ := h.got(); len(got) != 1 || !strings.HasPrefix(seen[1], "MAIL FROM:<>") {
				t.Errorf("%d messages, %q", len(got), seen)
			}
		})
	}
}

func TestSessionReuse(t *testing.T) {
	h := (&host{}).start(t, "127.0.0.1:0")
	c := client(t, names{}, nil)
	send := func() relay.Result {
		r, err := c.Send(context.Background(), static(h), relay.Envelope{From: from, To: to("b@h.example")}, text(mail))
		if err != nil || r.Outcomes[0].Status != relay.Delivered {
			t.Fatalf("%v %s", err, show(r))
		}
		return r
	}
	send()
	if r := send(); !r.Attempts[0].Reused {
		t.Errorf("second message used a new session: %s", show(r))
	}
	h.cut() // the idle session is dead now, which must not cost an attempt
	if r := send(); len(r.Attempts) != 2 || r.Attempts[0].Reason != relay.ReasonConnect || r.Attempts[1].Reused {
		t.Errorf("after a dead session: %s", show(r))
	}
	if _, _, conns := h.got(); conns != 2 {
		t.Errorf("%d connections, want 2", conns)
	}
}

func TestSourceIsReadAgain(t *testing.T) {
	bad := (&host{replies: map[string]string{"MAIL": "451 not now"}}).start(t, "127.0.0.2:0")
	good := (&host{}).start(t, "127.0.0.1:"+bad.l.Addr().String()[len("127.0.0.2:"):])
	big := bytes.Repeat([]byte("line of text\r\n"), 20000)
	opened := 0
	c := client(t, twoHosts(), func(cfg *relay.Config) { cfg.Port = int(good.addr().Port()) })
	r, err := c.Send(context.Background(), domainRoute(), relay.Envelope{To: to("b@h.example"), Size: int64(len(big))}, func() (io.ReadCloser, error) {
		opened++
		return io.NopCloser(bytes.NewReader(big)), nil
	})
	if err != nil || r.Outcomes[0].Status != relay.Delivered || r.Host != "mx2.h.example" {
		t.Fatalf("%v %s", err, show(r))
	}
	if got, _, _ := good.got(); len(got) != 1 || got[0] != string(big) || opened < 2 {
		t.Errorf("%d messages, opened %d times", len(got), opened)
	}
}
