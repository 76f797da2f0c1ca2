package smtpd_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/gateway/delivery/relay"
	"postern/gateway/edge/smtpd"
	"postern/smime/addr"
)

// Many senders over a few shared sessions, in TLS and in clear, small and large, some of whom give up or
// are cut off: what was said to be delivered is there once, octet for octet, and nothing else is.
func TestManyAtOnce(t *testing.T) {
	s := &site{}
	address := serve(t, s, smtpd.Peer, func(c *smtpd.Config) { c.Log = nil; c.Limits.PerPeer = 64 })
	client := sender(t)
	const senders, each = 12, 12
	var mu sync.Mutex
	said := map[string]relay.Status{}
	var wg sync.WaitGroup
	for n := range senders {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(1, uint64(n)))
			for k := range each {
				id := fmt.Sprintf("%d-%d", n, k)
				msg := "From: a@h.example\r\nMessage-ID: <" + id + ">\r\n\r\n" + strings.Repeat(".line of "+id+"\r\n", 1+rnd.IntN(1+9000*(k%3)))
				ctx, cancel := context.WithCancel(context.Background())
				if k%4 == 3 { // gives up somewhere on the way
					ctx, cancel = context.WithTimeout(context.Background(), time.Duration(rnd.IntN(4000))*time.Microsecond)
				}
				mode := []relay.TLSMode{relay.None, relay.Required}[n%2]
				r, err := client.Send(ctx, routeTo(t, address, mode), relay.Envelope{From: addr.MustParse("a@h.example"),
					To: []addr.Address{addr.MustParse("dr.lee@clinic.example")}, Size: int64(len(msg))}, openText(msg))
				cancel()
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				said[msg] = r.Outcomes[0].Status
				if k%4 != 3 && r.Outcomes[0].Status != relay.Delivered {
					t.Errorf("%s: %+v %+v", id, r.Outcomes[0], r.Attempts)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	count := map[string]int{}
	for _, m := range s.messages() {
		if _, known := said[string(m.raw)]; !known {
			t.Fatalf("nobody sent %.100q (%d octets)", m.raw, len(m.raw))
		}
		count[string(m.raw)]++
	}
	given, delivered := 0, 0
	for msg, status := range said {
		switch {
		case status == relay.Delivered && count[msg] != 1, count[msg] > 1:
			t.Errorf("%s: kept %d times: %.60q", status, count[msg], msg)
		case status == relay.Delivered:
			delivered++
		default:
			given++
		}
	}
	t.Logf("%d delivered, %d given up, %d kept", delivered, given, len(count))
}
