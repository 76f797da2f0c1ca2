package relay_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"postern/gateway/delivery/relay"
)

func TestTrouble(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("a line of text\r\n", 10000)
	const short = 3 * time.Second // a busy machine answers within it, where it is to answer
	quick := func(c *relay.Config) {
		c.Limits = relay.Limits{Command: short, DataInit: short, DataBlock: short, DataDone: short}
	}
	for name, c := range map[string]struct {
		host   *host
		change func(*relay.Config)
		msg    string
		status relay.Status
		reason relay.Reason
		stage  relay.Stage
		code   int
	}{
		"silent greeting":        {&host{greeting: "silence"}, quick, mail, relay.Temporary, relay.ReasonTimeout, relay.StageGreeting, 0},
		"silent EHLO":            {&host{replies: map[string]string{"EHLO": "silence"}}, quick, mail, relay.Temporary, relay.ReasonTimeout, relay.StageHello, 0},
		"silent MAIL":            {&host{replies: map[string]string{"MAIL": "silence"}}, quick, mail, relay.Temporary, relay.ReasonTimeout, relay.StageMail, 0},
		"silent RCPT":            {&host{replies: map[string]string{"RCPT": "silence"}}, quick, mail, relay.Temporary, relay.ReasonTimeout, relay.StageRcpt, 0},
		"silent DATA":            {&host{replies: map[string]string{"DATA": "silence"}}, quick, mail, relay.Temporary, relay.ReasonTimeout, relay.StageData, 0},
		"silent after it all":    {&host{replies: map[string]string{"body": "silence"}}, quick, mail, relay.Temporary, relay.ReasonUnknown, relay.StageFinal, 0},
		"silent in the body":     {&host{replies: map[string]string{"DATA": "stall"}, ext: []string{"X"}}, quick, strings.Repeat(large, 150), relay.Temporary, relay.ReasonTimeout, relay.StageBody, 0},
		"hangs up after RCPT":    {&host{replies: map[string]string{"DATA": "hangup"}}, nil, mail, relay.Temporary, relay.ReasonConnect, relay.StageData, 0},
		"421 to RCPT":            {&host{replies: map[string]string{"RCPT": "421 4.3.2 going down"}}, nil, mail, relay.Temporary, relay.ReasonDeferred, relay.StageRcpt, 421},
		"554 to DATA":            {&host{replies: map[string]string{"DATA": "554 5.7.1 spam"}}, nil, mail, relay.Permanent, relay.ReasonRefused, relay.StageData, 554},
		"554 to DATA, stepwise":  {&host{ext: []string{"X"}, replies: map[string]string{"DATA": "554 5.7.1 spam"}}, nil, mail, relay.Permanent, relay.ReasonRefused, relay.StageData, 554},
		"552 to the message":     {&host{replies: map[string]string{"body": "552 5.3.4 large"}}, nil, mail, relay.Permanent, relay.ReasonRefused, relay.StageFinal, 552},
		"552 to BDAT":            {&host{ext: []string{"PIPELINING", "CHUNKING"}, replies: map[string]string{"BDAT": "552 5.3.4 large"}}, nil, mail, relay.Permanent, relay.ReasonRefused, relay.StageFinal, 552},
		"552 to the first piece": {&host{ext: []string{"PIPELINING", "CHUNKING"}, replies: map[string]string{"BDAT": "552 5.3.4 large"}}, nil, large, relay.Permanent, relay.ReasonRefused, relay.StageFinal, 552},
		"354 to nobody":          {&host{replies: map[string]string{"RCPT": "550 no", "DATA": "354 go"}}, nil, mail, relay.Permanent, relay.ReasonRefused, relay.StageRcpt, 550},
		"BDAT with nobody":       {&host{ext: []string{"PIPELINING", "CHUNKING"}, replies: map[string]string{"RCPT": "450 no"}}, nil, mail, relay.Temporary, relay.ReasonDeferred, relay.StageRcpt, 450},
		"250 where 354 belongs":  {&host{ext: []string{"X"}, replies: map[string]string{"DATA": "250 fine"}}, nil, mail, relay.Temporary, relay.ReasonProtocol, relay.StageData, 250},
		"354 where 250 belongs":  {&host{replies: map[string]string{"body": "354 more"}}, nil, mail, relay.Temporary, relay.ReasonProtocol, relay.StageFinal, 354},
		"a reply without end":    {&host{replies: map[string]string{"MAIL": strings.Repeat("250-x\n", 5000) + "250 x"}}, nil, mail, relay.Temporary, relay.ReasonProtocol, relay.StageMail, 0},
		"a reply line too long":  {&host{replies: map[string]string{"MAIL": "250 " + strings.Repeat("x", 5000)}}, nil, mail, relay.Temporary, relay.ReasonProtocol, relay.StageMail, 0},
		"codes that differ":      {&host{replies: map[string]string{"MAIL": "250-x\n550 x"}}, nil, mail, relay.Temporary, relay.ReasonProtocol, relay.StageMail, 0},
		"announced size too low": {&host{ext: []string{"SIZE 100"}}, nil, large, relay.Permanent, relay.ReasonTooLarge, relay.StageLogin, 0},
		"8-bit, not taken":       {&host{ext: []string{"SIZE"}}, nil, "Subject: \xc3\xa4\r\n\r\n", relay.Permanent, relay.ReasonEightBit, relay.StageLogin, 0},
		"8-bit, large":           {&host{ext: []string{"SIZE"}}, nil, large + "\xc3\xa4\r\n", relay.Permanent, relay.ReasonEightBit, relay.StageBody, 0},
		"a bare LF":              {&host{}, nil, "Subject: x\n\r\n", relay.Permanent, relay.ReasonBareLine, relay.StageBody, 0},
		"a bare CR at the end":   {&host{}, nil, "Subject: x\r\n\r", relay.Permanent, relay.ReasonBareLine, relay.StageBody, 0},
		"a bare CR, large":       {&host{}, nil, large + "\r.\r\n", relay.Permanent, relay.ReasonBareLine, relay.StageBody, 0},
		"a bare LF, chunked":     {&host{ext: []string{"CHUNKING"}}, nil, large + "\n.\r\n", relay.Permanent, relay.ReasonBareLine, relay.StageBody, 0},
	} {
		t.Run(name, func(t *testing.T) {
			if c.change != nil {
				t.Parallel() // they wait together
			}
			h := c.host
			h.start(t, "127.0.0.1:0")
			r, err := client(t, names{}, c.change).Send(context.Background(), static(h), relay.Envelope{From: from, To: to("b@h.example"), Size: int64(len(c.msg))}, text(c.msg))
			if err != nil {
				t.Fatal(err)
			}
			last := r.Attempts[len(r.Attempts)-1]
			if o := r.Outcomes[0]; o.Status != c.status || o.Reason != c.reason || o.Code != c.code || last.Stage != c.stage {
				t.Errorf("got %s", show(r))
			}
			if mails, _, _ := h.got(); c.status == relay.Permanent && c.code == 0 && len(mails) > 0 {
				t.Errorf("the peer has a message it must not have: %.60q", mails)
			}
		})
	}
}

func TestEightBitTaken(t *testing.T) {
	for body, want := range map[string]string{"Subject: \xc3\xa4\r\n\r\n": "BODY=8BITMIME", "Subject: a\r\n\r\n": ""} {
		h := (&host{}).start(t, "127.0.0.1:0")
		r, err := client(t, names{}, nil).Send(context.Background(), static(h), relay.Envelope{From: from, To: to("b@h.example")}, text(body))
		mails, seen, _ := h.got()
		if err != nil || r.Outcomes[0].Status != relay.Delivered || mails[0] != body || strings.Contains(seen[1], "BODY=") != (want != "") {
			t.Errorf("%v %q %q %s", err, mails, seen, show(r))
		}
	}
}

func TestTooManyRecipients(t *testing.T) {
	for name, h := range map[string]*host{
		"announced": {ext: []string{"PIPELINING", "LIMITS RCPTMAX=2 X=1"}},
		"told":      {replies: map[string]string{"RCPT TO:<c@h.example>": "452 4.5.3 too many", "RCPT TO:<d@h.example>": "552 too many"}},
	} {
		t.Run(name, func(t *testing.T) {
			h.start(t, "127.0.0.1:0")
			if name == "told" {
				h.replies["body"] = "250 2.0.0 first"
			}
			r, err := client(t, names{}, nil).Send(context.Background(), static(h), relay.Envelope{From: from, To: to("a@h.example", "b@h.example", "c@h.example", "d@h.example")}, text(mail))
			if err != nil {
				t.Fatal(err)
			}
			mails, seen, conns := h.got()
			if conns != 1 || len(mails) < 1 {
				t.Errorf("%d connections, %d messages", conns, len(mails))
			}
			if name == "announced" && (len(mails) != 2 || r.Outcomes[3].Status != relay.Delivered) {
				t.Errorf("%q %s", seen, show(r))
			}
			if name == "told" { // asked again in a transaction of their own, and there it counts
				if strings.Count(strings.Join(seen, "\n"), "RCPT TO:<c@h.example>") != 2 || r.Outcomes[0].Status != relay.Delivered ||
					r.Outcomes[2].Status != relay.Temporary || r.Outcomes[3].Status != relay.Permanent {
					t.Errorf("%q %s", seen, show(r))
				}
			}
		})
	}
}

// A message that cannot be read to its end must not arrive as a shorter one.
func TestSourceBreaks(t *testing.T) {
	for _, ext := range [][]string{{"PIPELINING"}, {"CHUNKING"}} {
		h := (&host{ext: ext}).start(t, "127.0.0.1:0")
		whole := bytes.Repeat([]byte("line of text\r\n"), 20000)
		r, err := client(t, names{}, nil).Send(context.Background(), static(h), relay.Envelope{From: from, To: to("b@h.example")}, func() (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(bytes.NewReader(whole), broken{})), nil
		})
		if err != nil || r.Outcomes[0].Status != relay.Temporary || r.Outcomes[0].Reason != relay.ReasonSource || strings.Contains(show(r), "patient") {
			t.Errorf("%v %s", err, show(r))
		}
		if mails, _, _ := h.got(); len(mails) != 0 {
			t.Errorf("a broken message of %d octets arrived", len(mails[0]))
		}
	}
}

// Nor as one with octets missing or too many, where its size was promised.
func TestWrongSize(t *testing.T) {
	msg := strings.Repeat("line of text\r\n", 20000)
	for _, size := range []int64{int64(len(msg)) - 1, int64(len(msg)) + 1, 64 << 10, 128 << 10, 70000} {
		h := (&host{ext: []string{"CHUNKING"}}).start(t, "127.0.0.1:0")
		r, err := client(t, names{}, nil).Send(context.Background(), static(h), relay.Envelope{From: from, To: to("b@h.example"), Size: size}, text(msg))
		if err != nil || r.Outcomes[0].Status != relay.Temporary || r.Outcomes[0].Reason != relay.ReasonSource {
			t.Errorf("%v %s", err, show(r))
		}
		if mails, _, _ := h.got(); len(mails) != 0 {
			t.Errorf("a message of %d octets arrived for %d", len(mails[0]), len(msg))
		}
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("disk error in patient file") }

func TestStopped(t *testing.T) {
	h := (&host{replies: map[string]string{"MAIL": "silence"}}).start(t, "127.0.0.1:0")
	ctx, cancel := context.WithCancel(context.Background())
	c := client(t, names{}, func(cfg *relay.Config) { cfg.Limits.Command = time.Minute })
	done := make(chan relay.Result, 1)
	go func() {
		r, _ := c.Send(ctx, static(h), relay.Envelope{From: from, To: to("b@h.example")}, text(mail))
		done <- r
	}()
	for { // until the peer has seen MAIL
		if _, seen, _ := h.got(); len(seen) > 1 {
			break
		}
		<-time.After(time.Millisecond)
	}
	cancel()
	if r := <-done; r.Outcomes[0].Status != relay.Temporary || r.Outcomes[0].Reason != relay.ReasonStopped {
		t.Error(show(r))
	}
}

// Told to stop when all is sent, it waits a moment for the answer: leaving would make two of the message.
func TestStoppedBeforeTheAnswer(t *testing.T) {
	for name, ext := range map[string][]string{"DATA": {"X"}, "BDAT in one flight": {"PIPELINING", "CHUNKING"}} {
		t.Run(name, func(t *testing.T) {
			h := (&host{ext: ext, pause: 50 * time.Millisecond}).start(t, "127.0.0.1:0")
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			c := client(t, names{}, nil)
			done := make(chan relay.Result, 1)
			go func() {
				r, _ := c.Send(ctx, static(h), relay.Envelope{From: from, To: to("b@h.example")}, text(mail))
				done <- r
			}()
			for { // until the peer has all of it
				if mails, seen, _ := h.got(); len(mails) > 0 || strings.Contains(strings.Join(seen, " "), "BDAT") {
					break
				}
				<-time.After(time.Millisecond)
			}
			cancel()
			if r := <-done; r.Outcomes[0].Status != relay.Delivered {
				t.Error(show(r))
			}
		})
	}
}

// A peer that answers each command just in time can still not keep a worker.
func TestSlowOnTheWhole(t *testing.T) {
	h := (&host{ext: []string{"X"}, pause: 60 * time.Millisecond}).start(t, "127.0.0.1:0")
	c := client(t, names{}, func(cfg *relay.Config) { cfg.Limits.Send = 300 * time.Millisecond })
	r, err := c.Send(context.Background(), static(h), relay.Envelope{From: from, To: to(strings.Fields(strings.Repeat("b@h.example ", 50))...)}, text(mail))
	if err != nil || r.Outcomes[0].Status != relay.Temporary || r.Outcomes[49].Reason != relay.ReasonTimeout {
		t.Errorf("%v %s", err, show(r))
	}
}

func TestIdleSessionsEnd(t *testing.T) {
	h := (&host{}).start(t, "127.0.0.1:0")
	c := client(t, names{}, func(cfg *relay.Config) { cfg.Limits.IdleFor = 50 * time.Millisecond })
	if r, err := c.Send(context.Background(), static(h), relay.Envelope{From: from, To: to("b@h.example")}, text(mail)); err != nil || r.Outcomes[0].Status != relay.Delivered {
		t.Fatal(err, show(r))
	}
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		if _, seen, _ := h.got(); seen[len(seen)-1] == "QUIT" {
			return
		}
		<-time.After(5 * time.Millisecond)
	}
	t.Error("no QUIT to an idle peer")
}
