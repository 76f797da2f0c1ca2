package gateway_test

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"postern/gateway"
	"postern/gateway/lab"
)

// door stands before a mail server: shut, it takes a connection and closes it without a word, and counts.
type door struct {
	net.Listener
	to      string
	open    atomic.Bool
	refused atomic.Int64
	passing sync.WaitGroup
	ctx     context.Context // until the test is over
	end     context.CancelFunc
}

func newDoor(w *world, to string) *door {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	w.ok(err)
	d := &door{Listener: l, to: to}
	d.ctx, d.end = context.WithCancel(w.ctx)
	d.passing.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if !d.open.Load() {
				d.refused.Add(1)
				c.Close()
				continue
			}
			d.passing.Go(func() { d.pass(c) })
		}
	})
	w.Cleanup(func() { l.Close(); d.end(); d.passing.Wait() }) // sessions are kept open for a while
	return d
}

func (d *door) pass(c net.Conn) {
	defer c.Close()
	s, err := net.Dial("tcp", d.to)
	if err != nil {
		return
	}
	defer s.Close()
	defer context.AfterFunc(d.ctx, func() { c.Close(); s.Close() })()
	var back sync.WaitGroup
	back.Go(func() { _, _ = io.Copy(c, s); c.Close() })
	_, _ = io.Copy(s, c)
	s.Close()
	back.Wait()
}

// TestADeadDestinationIsAskedSeldom: forty messages wait for a mail server that turns connections down. It is asked
// by one at a time, ever more seldom; mail for others goes on; and its first answer lets all of them go at once.
func TestADeadDestinationIsAskedSeldom(t *testing.T) {
	w := newWorld(t, "")
	e, err := lab.StartEdge()
	w.ok(err)
	t.Cleanup(func() { _ = e.Close() })
	d := newDoor(w, e.At)
	ehr := w.clinic.Address("ehr")
	w.ok(w.clinic.Admin().AddressAdd(w.ctx, []gateway.AddressAdd{{Address: ehr, Edge: &gateway.EdgeOptions{Server: d.Addr().String(), TLS: "none"}}}))
	const messages = 40
	for range messages {
		w.send(w.hospital, w.note(w.dr, ehr), w.dr, ehr)
	}
	w.quiet()
	first := d.refused.Load()
	for range 30 {
		w.later(time.Minute)
	}
	asked := d.refused.Load()
	t.Logf("asked %d times at once, %d times in half an hour, for %d messages", first, asked, messages)
	if first > 8 || asked > 8+9 || asked < first+4 {
		t.Errorf("a dead destination was asked %d times at once and %d times in half an hour", first, asked)
	}
	w.send(w.hospital, w.note(w.dr, w.intake), w.dr, w.intake)
	w.items(w.clinic, "intake", 1)

	d.open.Store(true)
	for n := 0; len(gotOf(e)) == 0; n++ {
		if n == 19 {
			t.Fatal("nobody went to see in 19 minutes")
		}
		w.later(time.Minute)
	}
	w.quiet() // the clock stands still: all that waited goes now
	seen := map[string]int{}
	for _, m := range w.taken(e, messages) {
		seen[string(m.Data)]++
	}
	if len(seen) != messages {
		t.Errorf("%d messages arrived, want %d: each once (%d handed over)", len(seen), messages, len(gotOf(e)))
	}
}

func gotOf(e *lab.Edge) []lab.Taken {
	got, _ := e.Got()
	return got
}
