package track_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/gateway/delivery/notice"
	"postern/gateway/delivery/track"
	"postern/gateway/message"
	"postern/smime/addr"
)

// site is both gateways of one message, on one clock of minutes: the sender's ladder here, the
// receiver's there, and real notices written by one and read by the other in between.
type site struct {
	t        *testing.T
	now      int
	sent     []track.Event
	received []track.Event
	told     []string // what the sender's edge got: "dsn" or the notice passed on
	clocks   track.Clocks
}

func (s *site) log(events *[]track.Event, kinds ...track.Kind) {
	for _, k := range kinds {
		*events = append(*events, at(s.now, k))
	}
}

// peerNotice makes the notice the receiving ladder says is due, sends it through its written form, and
// applies it to the sending ladder.
func (s *site) peerNotice(w track.What) {
	s.t.Helper()
	events := track.Settle(track.One(s.received), w, s.clocks, start.Add(time.Duration(s.now)*time.Minute))
	if len(events) == 0 {
		s.t.Fatalf("%s is not due at the receiver", w)
	}
	s.received = append(s.received, events...)
	d := map[track.What]notice.Disposition{track.TellProcessed: notice.Processed, track.TellDispatched: notice.Dispatched, track.TellPeerFailure: notice.Failed}[w]
	s.arrives(d, d == notice.Dispatched)
}

func (s *site) arrives(d notice.Disposition, final bool) {
	s.t.Helper()
	m := notice.MDN{From: bob, To: addr.MustParse("ann@hospital.example.org"), OriginalMessageID: "x@hospital.example.org", Disposition: d,
		FinalDelivery: final, MessageID: "n@clinic.example.com", Date: start}
	var b bytes.Buffer
	if err := m.Write(&b); err != nil {
		s.t.Fatal(err)
	}
	r, err := notice.Parse(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil || !r.Standard || r.Kind != message.MDN {
		s.t.Fatalf("%+v, %v", r, err)
	}
	for _, e := range r.Entries {
		events, action := track.Apply(track.One(s.sent), e, start.Add(time.Duration(s.now)*time.Minute), bob.String())
		s.sent = append(s.sent, events...)
		if action == track.Forward {
			s.told = append(s.told, fmt.Sprintf("%s@%d", e.Disposition, s.now))
		}
	}
}

// to lets minutes pass; each minute the sender's timers are looked at, as after any restart (DN-43).
func (s *site) to(minute int) {
	for ; s.now <= minute; s.now++ {
		now := start.Add(time.Duration(s.now) * time.Minute)
		for _, d := range track.Next(track.One(s.sent), s.clocks) {
			if events := track.Settle(track.One(s.sent), d.What, s.clocks, now); len(events) > 0 {
				s.sent = append(s.sent, events...)
				if slices.ContainsFunc(events, func(e track.Event) bool { return e.Kind == track.ToldFailed }) {
					s.told = append(s.told, fmt.Sprintf("dsn@%d", s.now))
				}
			}
		}
	}
	s.now = minute
}

// The delivery notification cases of the edge testing tool and of accreditation, as the sender's edge
// sees them: what arrives there, and at which minute. Time-outs are 60 minutes.
func TestScenarios(t *testing.T) {
	const A, R, S, H = track.Accepted, track.FinalRequested, track.Sealed, track.Handed
	cases := []struct {
		name  string
		asked bool
		play  func(s *site)
		told  string
		state track.State
	}{
		{"untrusted destination, no certificate (MT 2, 3, 24, 25)", true, func(s *site) { s.log(&s.sent, track.Refused) }, "dsn@0", "failed"},
		{"next hop refuses the address (MT 1, 23)", true, func(s *site) { s.log(&s.sent, S, track.Rejected) }, "dsn@0", "failed"},
		{"no processed notice (MT 4, 26)", true, func(s *site) { s.log(&s.sent, S, H) }, "dsn@60", "failed"},
		{"no processed notice, not asked", false, func(s *site) { s.log(&s.sent, S, H) }, "dsn@60", "failed"},
		{"processed, not asked", false, func(s *site) { s.log(&s.sent, S, H); s.arrives(notice.Processed, false) }, "processed@0", "done"},
		{"no dispatched notice (MT 27)", true, func(s *site) {
			s.log(&s.sent, S, H)
			s.to(1)
			s.arrives(notice.Processed, false)
		}, "processed@1 dsn@60", "failed"},
		{"dispatched after the time-out stays hidden (MT 28)", true, func(s *site) {
			s.log(&s.sent, S, H)
			s.arrives(notice.Processed, false)
			s.to(61)
			s.arrives(notice.Dispatched, true)
		}, "processed@0 dsn@60", "failed"},
		{"dispatched in the last minute (MT 29)", true, func(s *site) {
			s.log(&s.sent, S, H)
			s.arrives(notice.Processed, false)
			s.to(59)
			s.arrives(notice.Dispatched, true)
		}, "processed@0 dispatched@59", "delivered"},
		{"dispatched overtakes processed", true, func(s *site) {
			s.log(&s.sent, S, H)
			s.arrives(notice.Dispatched, true)
			s.to(2)
			s.arrives(notice.Processed, false)
		}, "dispatched@0 processed@2", "delivered"},
		{"dispatched without the extension field does not count", true, func(s *site) {
			s.log(&s.sent, S, H)
			s.arrives(notice.Processed, false)
			s.arrives(notice.Dispatched, false)
		}, "processed@0 dispatched@0 dsn@60", "failed"},
		{"a gateway of ours delivers, asked (MT 39)", true, func(s *site) {
			s.log(&s.sent, S, H)
			s.log(&s.received, track.Received, R, track.Trusted)
			s.peerNotice(track.TellProcessed)
			s.to(3)
			s.log(&s.received, track.Delivered)
			s.peerNotice(track.TellDispatched)
		}, "processed@0 dispatched@3", "delivered"},
		{"the request arrives malformed (MT 40): processed only, so T2 runs out", true, func(s *site) {
			s.log(&s.sent, S, H)
			s.log(&s.received, track.Received, track.Trusted)
			s.peerNotice(track.TellProcessed)
			s.log(&s.received, track.Delivered)
		}, "processed@0 dsn@60", "failed"},
		{"trusted, undeliverable (MT 41)", true, func(s *site) {
			s.log(&s.sent, S, H)
			s.log(&s.received, track.Received, R, track.Trusted)
			s.peerNotice(track.TellProcessed)
			s.to(7)
			s.log(&s.received, track.Undeliverable)
			s.peerNotice(track.TellPeerFailure)
		}, "processed@0 failed@7", "failed"},
		{"the receiver gives up before the sender's time-out (DN-60)", true, func(s *site) {
			s.log(&s.sent, S, H)
			s.log(&s.received, track.Received, R, track.Trusted)
			s.peerNotice(track.TellProcessed)
			s.log(&s.received, track.Deferred)
			s.to(50)
			s.received = append(s.received, track.Settle(track.One(s.received), track.GiveUp, s.clocks, start.Add(50*time.Minute))...)
			s.peerNotice(track.TellPeerFailure)
		}, "processed@0 failed@50", "failed"},
		{"the receiver does not trust us: silence until T1 (AS-96)", true, func(s *site) {
			s.log(&s.sent, S, H)
			s.log(&s.received, track.Received, R, track.Held)
			if due := track.Next(track.One(s.received), s.clocks); len(due) > 0 {
				s.t.Errorf("an untrusted message is answered: %v", due)
			}
		}, "dsn@60", "failed"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := &site{t: t, clocks: track.DefaultClocks()}
			s.log(&s.sent, A)
			if c.asked {
				s.log(&s.sent, R)
			}
			c.play(s)
			s.to(200)
			l := track.One(s.sent)
			if told := strings.Join(s.told, " "); told != c.told || l.State != c.state {
				t.Errorf("told %q, state %s; want %q, %s", told, l.State, c.told, c.state)
			}
			if due := track.Next(l, s.clocks); len(due) > 0 || !l.Terminal {
				t.Errorf("does not come to rest: %v", due)
			}
		})
	}
}
