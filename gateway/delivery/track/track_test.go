package track_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"postern/gateway/delivery/notice"
	"postern/gateway/delivery/track"
	"postern/gateway/message"
	"postern/smime/addr"
)

var (
	bob   = addr.MustParse("Bob@clinic.example.com")
	start = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
)

const id message.ID = "m-0000000000000001"

// at makes an event some minutes after the start.
func at(minute int, k track.Kind) track.Event {
	return track.Event{Message: id, Recipient: bob, Kind: k, Time: start.Add(time.Duration(minute) * time.Minute), Source: "test"}
}

// story makes events one minute apart.
func story(kinds ...track.Kind) (out []track.Event) {
	for i, k := range kinds {
		out = append(out, at(i, k))
	}
	return out
}

func entry(k track.Kind) notice.Entry {
	switch k {
	case track.Processed:
		return notice.Entry{Recipient: bob, Disposition: notice.Processed}
	case track.Dispatched:
		return notice.Entry{Recipient: bob, Disposition: notice.Dispatched, FinalField: true}
	case track.DispatchedBare:
		return notice.Entry{Recipient: bob, Disposition: notice.Dispatched}
	case track.Failed:
		return notice.Entry{Recipient: bob, Action: notice.ActionFailed, Status: "5.1.1", Detail: "550 Mr. Smith is unknown"}
	case track.Delayed:
		return notice.Entry{Recipient: bob, Action: notice.ActionDelayed, Status: "4.4.1"}
	case track.HandedOn:
		return notice.Entry{Recipient: bob, Action: notice.ActionRelayed}
	case track.Displayed:
		return notice.Entry{Recipient: bob, Disposition: notice.Displayed}
	case track.Deleted:
		return notice.Entry{Recipient: bob, Disposition: notice.Deleted}
	case track.ImportFailed:
		return notice.Entry{Recipient: bob, Disposition: notice.Deleted, Modifier: "error"}
	}
	return notice.Entry{Recipient: bob}
}

// The state machine of the sending gateway, row by row (DN section 4), and its edges.
func TestSenderStates(t *testing.T) {
	const (
		A, R, S, H     = track.Accepted, track.FinalRequested, track.Sealed, track.Handed
		P, D, B, F     = track.Processed, track.Dispatched, track.DispatchedBare, track.Failed
		T1, T2, ref, x = track.NoProcessed, track.NoDispatched, track.Refused, track.Rejected
	)
	cases := []struct {
		name     string
		events   []track.Event
		state    track.State
		failure  track.Kind
		terminal bool
		unknown  bool
	}{
		{"accepted", story(A), "new", "", false, false},
		{"sealed", story(A, S), "new", "", false, false},
		{"NEW, refused", story(A, ref), "failed", ref, true, false},
		{"NEW, handed over", story(A, S, H), "sent", "", false, true},
		{"NEW, next hop refuses", story(A, S, x), "failed", x, true, false},
		{"SENT, attempts ran out", story(A, S, H, x), "failed", x, true, false},
		{"SENT, processed, final delivery not asked", story(A, H, P), "done", "", true, true},
		{"SENT, processed, final delivery asked", story(A, R, H, P), "processed", "", false, true},
		{"SENT, failed notice", story(A, H, F), "failed", F, true, false},
		{"PROCESSED, failed notice", story(A, R, H, P, F), "failed", F, true, false},
		{"DONE, failed notice (AS-98)", story(A, H, P, F), "failed", F, true, false},
		{"PROCESSED, dispatched with the field", story(A, R, H, P, D), "delivered", "", true, false},
		{"SENT, dispatched with the field waits for processed", story(A, R, H, D), "sent", "", false, true},
		{"in the other order (DN-41)", story(A, R, H, D, P), "delivered", "", true, false},
		{"SENT, dispatched without the field", story(A, R, H, B), "sent", "", false, true},
		{"PROCESSED, dispatched without the field", story(A, R, H, P, B), "processed", "", false, true},
		{"not asked: dispatched ends it (DN-40)", story(A, H, D), "delivered", "", true, false},
		{"not asked: dispatched without the field ends it", story(A, H, B), "done", "", true, true},
		{"not asked: processed, then dispatched", story(A, H, P, D), "delivered", "", true, false},
		{"T1", story(A, H, T1), "failed", T1, true, false},
		{"T1, though dispatched came", story(A, R, H, D, T1), "failed", T1, true, false},
		{"T1 after processed is void", story(A, R, H, P, T1), "processed", "", false, true},
		{"T2", story(A, R, H, P, T2), "failed", T2, true, false},
		{"T2 when not asked is void", story(A, H, P, T2), "done", "", true, true},
		{"T2 after dispatched is void", story(A, R, H, P, D, T2), "delivered", "", true, false},
		{"FAILED, late processed", story(A, R, H, T1, P), "failed", T1, true, false},
		{"FAILED, late processed and dispatched", story(A, R, H, T1, P, D), "failed", T1, true, false},
		{"FAILED, late failed notice", story(A, H, T1, F), "failed", T1, true, false},
		{"DELIVERED, duplicates", story(A, R, H, P, D, P, D), "delivered", "", true, false},
		{"DELIVERED, contradicted", story(A, R, H, P, D, F), "delivered", "", true, false},
		{"a notice before the hand-over is recorded", story(A, R, S, P, H), "processed", "", false, true},
		{"dispatched before the hand-over is recorded", story(A, R, S, D, H), "sent", "", false, true},
		{"a second try is refused after processed", story(A, R, H, P, x), "processed", "", false, true},
		{"a second try is refused after dispatched", story(A, R, H, D, x), "sent", "", false, true},
		{"handed over twice", story(A, R, H, P, H), "processed", "", false, true},
		{"displayed and deleted do not end it (DN-52)", story(A, R, H, P, track.Displayed, track.Deleted), "processed", "", false, true},
		{"import failed does not end it (DN-52)", story(A, R, H, P, track.ImportFailed), "processed", "", false, true},
		{"delayed changes nothing", story(A, R, H, track.Delayed, track.HandedOn), "sent", "", false, true},
		{"a deadline changes nothing", story(A, R, H, track.DeadlinePassed), "sent", "", false, true},
		{"a notice handed over is over (DN-51)", story(A, track.Notice, H), "sent", "", true, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			l := track.One(c.events)
			if l.State != c.state || l.Failure != c.failure || l.Terminal != c.terminal || l.Unknown != c.unknown {
				t.Errorf("state %s by %q terminal %v unknown %v, want %s %q %v %v", l.State, l.Failure, l.Terminal, l.Unknown, c.state, c.failure, c.terminal, c.unknown)
			}
			if len(l.Rungs) != len(c.events) || l.Words == "" {
				t.Errorf("%d rungs of %d events, words %q", len(l.Rungs), len(c.events), l.Words)
			}
			says := strings.Contains(l.Words, "Delivered to")
			if says != (l.State == track.StateDelivered) {
				t.Errorf("state %s says %q", l.State, l.Words)
			}
			b, err := json.Marshal(l)
			var back track.Ladder
			if err == nil {
				err = json.Unmarshal(b, &back)
			}
			if err != nil || !reflect.DeepEqual(track.Next(back, track.DefaultClocks()), track.Next(l, track.DefaultClocks())) {
				t.Errorf("JSON round trip: %v", err)
			}
		})
	}
}

// The state machine of the receiving gateway, row by row (DN section 5): what is due to the peer.
func TestReceiverStates(t *testing.T) {
	const (
		R, Q, T, O, U = track.Received, track.FinalRequested, track.Trusted, track.Delivered, track.Undeliverable
		held, retry   = track.Held, track.Deferred
		tp, td, tf    = track.ToldProcessed, track.ToldDispatched, track.ToldFailed
	)
	cases := []struct {
		name   string
		events []track.Event
		state  track.State
		due    string
	}{
		{"RECEIVED", story(R), "received", ""},
		{"RECEIVED, not trusted: silence", story(R, held), "held", ""},
		{"asked for final delivery, not trusted: silence", story(R, Q, held), "held", ""},
		{"discarded out of hold", story(R, held, track.Discarded), "discarded", ""},
		{"released, not yet opened again", story(R, held, track.Released), "received", ""},
		{"released and now trusted", story(R, held, track.Released, T), "trusted", "tell_processed give_up"},
		{"RECEIVED, trusted", story(R, T), "trusted", "tell_processed give_up"},
		{"processed is told once", story(R, T, tp), "trusted", "give_up"},
		{"ACCEPTED, delivered, not asked", story(R, T, tp, O), "delivered", ""},
		{"ACCEPTED, delivered, asked", story(R, Q, T, tp, O), "delivered", "tell_dispatched"},
		{"delivered before processed was told: both", story(R, Q, T, O), "delivered", "tell_processed tell_dispatched"},
		{"dispatched is told once", story(R, Q, T, tp, O, td), "delivered", ""},
		{"delivered twice", story(R, Q, T, tp, O, td, O), "delivered", ""},
		{"ACCEPTED, permanent failure, asked", story(R, Q, T, tp, U), "failed", "tell_peer_failure"},
		{"ACCEPTED, permanent failure, not asked (DN-26)", story(R, T, tp, U), "failed", "tell_peer_failure"},
		{"ACCEPTED, transient failure", story(R, T, tp, retry), "retrying", "give_up"},
		{"RETRY, delivered", story(R, Q, T, tp, retry, retry, O), "delivered", "tell_dispatched"},
		{"RETRY, limit reached", story(R, T, tp, retry, U), "failed", "tell_peer_failure"},
		{"failure is told once", story(R, T, tp, U, tf), "failed", ""},
		{"no dispatched after failed (DN-61)", story(R, Q, T, tp, U, tf, O), "failed", ""},
		{"no failed after dispatched (DN-27)", story(R, Q, T, tp, O, td, U), "delivered", ""},
		{"undeliverable but never trusted: silence (AS-96)", story(R, U), "received", ""},
		{"delivered but never trusted counts for nothing", story(R, Q, O), "received", ""},
		{"a notice is answered by nothing (AS-95)", story(R, track.Notice, Q, T, O), "delivered", ""},
		{"an undeliverable notice is told to nobody (DN-35)", story(R, track.Notice, T, U), "failed", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			l := track.One(c.events)
			var due []string
			for _, d := range track.Next(l, track.Clocks{}) {
				due = append(due, string(d.What))
			}
			if l.Role != track.Incoming || l.State != c.state || strings.Join(due, " ") != c.due {
				t.Errorf("%s %s due %q, want %s %q", l.Role, l.State, due, c.state, c.due)
			}
			if l.Words == "" {
				t.Error("no words")
			}
		})
	}
}

// What each notice does to the sender's edge in each state (DN section 4, DN-49, DN-52, ETT MT 28).
func TestApply(t *testing.T) {
	const (
		A, R, H, P, D = track.Accepted, track.FinalRequested, track.Handed, track.Processed, track.Dispatched
		B, F          = track.DispatchedBare, track.Failed
	)
	sent, processed := story(A, R, H), story(A, R, H, P)
	delivered := story(A, R, H, P, D)
	ours := story(A, R, H, track.NoProcessed, track.ToldFailed)
	theirs := story(A, R, H, P, F, track.Forwarded)
	cases := []struct {
		name   string
		events []track.Event
		notice track.Kind
		action track.Action
		state  track.State
	}{
		{"SENT, processed", sent, P, track.Forward, "processed"},
		{"SENT, dispatched", sent, D, track.Forward, "sent"},
		{"SENT, dispatched without the field", sent, B, track.Forward, "sent"},
		{"SENT, failed", sent, F, track.Forward, "failed"},
		{"SENT, delayed", sent, track.Delayed, track.Forward, "sent"},
		{"PROCESSED, processed again", processed, P, track.Suppress, "processed"},
		{"PROCESSED, dispatched", processed, D, track.Forward, "delivered"},
		{"PROCESSED, failed", processed, F, track.Forward, "failed"},
		{"PROCESSED, displayed", processed, track.Displayed, track.Forward, "processed"},
		{"PROCESSED, deleted", processed, track.Deleted, track.Forward, "processed"},
		{"PROCESSED, import failed", processed, track.ImportFailed, track.Raise, "processed"},
		{"DELIVERED, dispatched again", delivered, D, track.Suppress, "delivered"},
		{"DELIVERED, dispatched without the field", delivered, B, track.Suppress, "delivered"},
		{"DELIVERED, delayed", delivered, track.Delayed, track.Suppress, "delivered"},
		{"DELIVERED, failed: people must know", delivered, F, track.Forward, "delivered"},
		{"DELIVERED, displayed", delivered, track.Displayed, track.Forward, "delivered"},
		{"FAILED by us, late processed", ours, P, track.Suppress, "failed"},
		{"FAILED by us, late dispatched", ours, D, track.Suppress, "failed"},
		{"FAILED by us, late failed", ours, F, track.Suppress, "failed"},
		{"FAILED by us, displayed (DN-49)", ours, track.Displayed, track.Forward, "failed"},
		{"FAILED by us, import failed", ours, track.ImportFailed, track.Raise, "failed"},
		{"FAILED by the peer, dispatched", theirs, D, track.Suppress, "failed"},
		{"FAILED by the peer, failed again", theirs, F, track.Suppress, "failed"},
		{"an entry that says nothing", sent, "nothing", track.Ignore, "sent"},
		{"about a notice of ours (DN-51)", story(A, track.Notice, H), P, track.Ignore, "sent"},
		{"about a message we received", story(track.Received, track.Trusted), P, track.Ignore, "trusted"},
		{"about nothing", nil, P, track.Ignore, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			events, action := track.Apply(track.One(c.events), entry(c.notice), start.Add(time.Hour), "peer")
			l := track.One(append(c.events[:len(c.events):len(c.events)], events...))
			if action != c.action || l.State != c.state {
				t.Errorf("action %s, then %s; want %s, %s", action, l.State, c.action, c.state)
			}
			if (len(events) == 0) != (action == track.Ignore) {
				t.Errorf("%s with %d events", action, len(events))
			}
			for _, e := range events {
				if strings.Contains(string(e.Evidence), "Smith") {
					t.Errorf("a peer's free text stands in an event: %s", e.Evidence)
				}
			}
		})
	}
	t.Run("a peer that repeats itself", func(t *testing.T) {
		events := sent
		for range 1000 {
			more, _ := track.Apply(track.One(events), entry(P), start, "peer")
			events = append(events, more...)
		}
		if n := len(events) - len(sent); n != 2*track.MaxRepeats {
			t.Errorf("%d events recorded", n)
		}
	})
}

// When each timer fires, and that it fires once.
func TestTimers(t *testing.T) {
	const A, R, H, P, D = track.Accepted, track.FinalRequested, track.Handed, track.Processed, track.Dispatched
	clocks := track.Clocks{T1: 30 * time.Minute, T2: 60 * time.Minute, Deadline: 15 * time.Minute, GiveUp: 50 * time.Minute}
	cases := []struct {
		name   string
		events []track.Event
		want   string // what@minute after the start
	}{
		{"nothing happened", nil, ""},
		{"accepted: only the deadline runs", []track.Event{at(0, A)}, "raise_alarm@15"},
		{"sent: T1 counts from the hand-over", []track.Event{at(0, A), at(5, H)}, "raise_alarm@15 fail_unprocessed@35"},
		{"handed over again: the first counts", []track.Event{at(0, A), at(5, H), at(9, H)}, "raise_alarm@15 fail_unprocessed@35"},
		{"processed, not asked: nothing", []track.Event{at(0, A), at(5, H), at(6, P)}, ""},
		{"processed, asked: T2 counts from the hand-over too", []track.Event{at(0, A), at(0, R), at(5, H), at(20, P)}, "raise_alarm@15 fail_undelivered@65"},
		{"dispatched without processed: T1 stays", []track.Event{at(0, A), at(0, R), at(5, H), at(20, D)}, "raise_alarm@15 fail_unprocessed@35"},
		{"processed before the hand-over was recorded", []track.Event{at(0, A), at(0, R), at(4, P)}, "raise_alarm@15 fail_undelivered@64"},
		{"delivered: nothing", []track.Event{at(0, A), at(0, R), at(5, H), at(6, P), at(7, D)}, ""},
		{"the alarm rings once", []track.Event{at(0, A), at(5, H), at(15, track.DeadlinePassed)}, "fail_unprocessed@35"},
		{"refused: tell at once", []track.Event{at(0, A), at(1, track.Refused)}, "tell_failure@1"},
		{"rejected: tell at once", []track.Event{at(0, A), at(1, H), at(2, track.Rejected)}, "tell_failure@2"},
		{"told: nothing", []track.Event{at(0, A), at(1, track.Refused), at(1, track.ToldFailed)}, ""},
		{"timed out but not yet told (a crash between)", []track.Event{at(0, A), at(1, H), at(31, track.NoProcessed)}, "tell_failure@31"},
		{"the peer's failed notice is told by passing it on", []track.Event{at(0, A), at(1, H), at(2, track.Failed)}, ""},
		{"a notice has no timers (DN-51)", []track.Event{at(0, A), at(0, track.Notice), at(1, H)}, ""},
		{"a refused notice is told to nobody (AS-75)", []track.Event{at(0, A), at(0, track.Notice), at(1, track.Refused)}, ""},
		{"received, trusted", []track.Event{at(0, track.Received), at(3, track.Trusted)}, "tell_processed@3 give_up@53"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			l := track.One(c.events)
			var got []string
			for _, d := range track.Next(l, clocks) {
				got = append(got, fmt.Sprintf("%s@%d", d.What, int(d.At.Sub(start)/time.Minute)))
				if early := track.Settle(l, d.What, clocks, d.At.Add(-time.Millisecond)); early != nil {
					t.Errorf("%s fired early: %v", d.What, early)
				}
				events := track.Settle(l, d.What, clocks, d.At)
				if len(events) == 0 {
					t.Fatalf("%s did not fire", d.What)
				}
				after := track.One(append(c.events[:len(c.events):len(c.events)], events...))
				if again := track.Settle(after, d.What, clocks, d.At.Add(time.Hour)); again != nil {
					t.Errorf("%s fired twice: %v", d.What, again)
				}
			}
			if s := strings.Join(got, " "); s != c.want {
				t.Errorf("due %q, want %q", s, c.want)
			}
		})
	}
	if got := track.Next(track.One(story(A, H)), track.Clocks{}); got != nil {
		t.Errorf("zero clocks fire: %v", got)
	}
	if d := track.DefaultClocks(); d.T1 != time.Hour || d.T2 != time.Hour || d.GiveUp >= d.T1 { // DN-42, DN-60
		t.Errorf("default clocks %v", d)
	}
}

func TestFoldKeepsRecipientsApart(t *testing.T) { // DN-03, DN-44
	eve := addr.MustParse("eve@clinic.example.com")
	var events []track.Event
	for i, k := range []track.Kind{track.Accepted, track.Handed} {
		for _, a := range []addr.Address{bob, eve} {
			e := at(i, k)
			e.Recipient = a
			events = append(events, e)
		}
	}
	shout := at(3, track.Processed)
	shout.Recipient = addr.MustParse("BOB@CLINIC.example.com") // DN-46
	got := track.Fold(append(events, shout))
	if len(got) != 2 || got[track.Key{Message: id, Recipient: bob.Key()}].State != track.StateDone ||
		got[track.Key{Message: id, Recipient: eve.Key()}].State != track.StateSent {
		t.Errorf("%+v", got)
	}
	for k, l := range got {
		if l.Key() != k {
			t.Errorf("key %v of ladder %v", k, l.Key())
		}
	}
}

func TestLateAndOverdue(t *testing.T) {
	late := track.One(story(track.Accepted, track.FinalRequested, track.Handed, track.NoProcessed, track.ToldFailed, track.Processed, track.Suppressed, track.Dispatched))
	if !late.Late || !late.Told || !late.Rungs[5].Late || late.Rungs[2].Late || !strings.Contains(late.Words, "did arrive") {
		t.Errorf("%+v", late)
	}
	probable := track.One(story(track.Accepted, track.FinalRequested, track.Handed, track.Dispatched, track.NoProcessed))
	if probable.Late || !strings.Contains(probable.Words, "probably arrived") {
		t.Errorf("%+v", probable)
	}
	overdue := track.One(story(track.Accepted, track.Handed, track.DeadlinePassed))
	if !overdue.Overdue || overdue.State != track.StateSent || !strings.Contains(overdue.Words, "deadline") {
		t.Errorf("%+v", overdue)
	}
	intime := track.One(story(track.Accepted, track.Handed, track.Processed, track.DeadlinePassed))
	if intime.Overdue {
		t.Errorf("%+v", intime)
	}
	against := track.One(story(track.Accepted, track.Handed, track.Processed, track.Dispatched, track.Failed))
	if !against.Contradicted || !strings.Contains(against.Words, "ask the recipient") {
		t.Errorf("%+v", against)
	}
}

func TestTimedOutWords(t *testing.T) {
	c := track.Clocks{T1: time.Minute, T2: 45 * time.Minute}
	l := track.One(story(track.Accepted, track.Handed))
	one, two := track.TimedOut(l, track.FailUnprocessed, c), track.TimedOut(l, track.FailUndelivered, c)
	if !strings.Contains(one.Text, "within 1 minute that") || !strings.Contains(two.Text, "within 45 minutes that") || one.Recipient != bob || one.Status != "5.4.7" || two.Action != notice.ActionFailed {
		t.Errorf("%+v\n%+v", one, two)
	}
	events := track.Settle(l, track.FailUnprocessed, c, start.Add(time.Hour))
	if len(events) != 2 || string(events[0].Evidence) != `{"clock":"T1","since":"2026-11-22T10:01:00Z","after":"1m0s"}` || events[1].Kind != track.ToldFailed {
		t.Errorf("%+v", events)
	}
}
