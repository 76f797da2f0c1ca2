package lab_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"postern/gateway/delivery/track"
	"postern/gateway/lab"
)

func start(t *testing.T, domains ...string) (context.Context, *lab.Lab) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	l, err := lab.New(ctx, lab.Options{Dir: t.TempDir(), Domains: domains})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return ctx, l
}

func TestThreeSitesInACircle(t *testing.T) {
	ctx, l := start(t, "a.example", "b.example", "c.example")
	if err := l.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if err := l.Introduce(ctx); err != nil {
		t.Fatal(err)
	}
	for _, s := range l.Sites {
		if err := s.Add(ctx, "dr"); err != nil {
			t.Fatal(err)
		}
	}
	for i, s := range l.Sites {
		to := l.Sites[(i+1)%3].Address("dr")
		text := fmt.Sprintf("From: %s\r\nTo: %s\r\n\r\nx\r\n", s.Address("dr"), to)
		id, err := s.Send(ctx, text, s.Address("dr"), to)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Reach(ctx, id, to, track.StateDone); err != nil {
			t.Error(err)
		}
		if _, err := l.Sites[(i+1)%3].Items(ctx, "dr", 1); err != nil {
			t.Error(err)
		}
	}
	before := l.Clock.Now()
	if err := l.Advance(ctx, time.Hour); err != nil {
		t.Fatal(err)
	}
	if d := l.Clock.Now().Sub(before); d < time.Hour || d > time.Hour+time.Minute {
		t.Errorf("the clock moved by %s", d)
	}
	if err := l.Quiet(ctx); err != nil {
		t.Error(err)
	}
}

func TestWaitsSayWhatTheyWaitedFor(t *testing.T) {
	ctx, l := start(t, "a.example")
	if err := l.Start(ctx); err != nil {
		t.Fatal(err)
	}
	s := l.Sites[0]
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if _, err := s.Items(short, "postmaster", 1); err == nil || !strings.Contains(err.Error(), "postmaster") {
		t.Errorf("%v", err)
	}
}

func TestDNSAnswersAsTold(t *testing.T) {
	ctx, l := start(t, "a.example")
	for d, a := range map[string]lab.Answer{"fail.example": lab.ServFail, "empty.example": lab.NoData, "null.example": lab.NullMX, "mute.example": lab.Silence, "noise.example": lab.Garbage} {
		l.DNS.Set(d, a)
	}
	at := resolver(t, ctx, l)
	for _, c := range []struct {
		name  string
		rcode int
		n     int
		err   bool
	}{
		{"x.fail.example.", dns.RcodeServerFailure, 0, false},
		{"Empty.example.", dns.RcodeSuccess, 0, false},
		{"null.example.", dns.RcodeSuccess, 1, false},
		{"other.example.", dns.RcodeNameError, 0, false},
		{"mute.example.", 0, 0, true},
		{"noise.example.", 0, 0, true},
	} {
		client := dns.Client{Timeout: time.Minute}
		if c.name == "mute.example." {
			client.Timeout = 100 * time.Millisecond
		}
		m, _, err := client.ExchangeContext(ctx, new(dns.Msg).SetQuestion(c.name, dns.TypeMX), at)
		if (err != nil) != c.err || err == nil && (m.Rcode != c.rcode || len(m.Answer) != c.n) {
			t.Errorf("%s: %v, %v", c.name, m, err)
		}
	}
	if n := l.DNS.Asked("fail.example"); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// resolver is where the lab's DNS listens, as the sites' configuration says.
func resolver(t *testing.T, ctx context.Context, l *lab.Lab) string {
	t.Helper()
	s := l.Sites[0]
	if err := s.Open(ctx); err != nil {
		t.Fatal(err)
	}
	at := s.Config.Resolver.Servers[0]
	if _, _, err := net.SplitHostPort(at); err != nil {
		t.Fatal(err)
	}
	return at
}
