package track_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"postern/gateway/delivery/track"
)

// model is the sending side of DN section 4 written a second way: not as a machine but as questions
// about the whole history, answered from the beginning each time.
type model []track.Event

func (m model) any(kinds ...track.Kind) bool {
	return slices.ContainsFunc(m, func(e track.Event) bool { return slices.Contains(kinds, e.Kind) })
}

// failure is the first event that may make the message fail, given all that came before it.
func (m model) failure() track.Kind {
	for i, e := range m {
		before := m[:i]
		asked := before.any(track.FinalRequested)
		processed := before.any(track.Processed)
		arrived := before.any(track.Dispatched)
		passedOn := before.any(track.Dispatched, track.DispatchedBare)
		complete := processed && !asked || passedOn && !asked || processed && arrived
		switch e.Kind {
		case track.Failed:
			if !(arrived && (processed || !asked)) {
				return e.Kind
			}
		case track.Refused:
			if !before.any(track.Handed) && !processed && !passedOn {
				return e.Kind
			}
		case track.Rejected:
			if !processed && !passedOn {
				return e.Kind
			}
		case track.NoProcessed:
			if !processed && !complete {
				return e.Kind
			}
		case track.NoDispatched:
			if processed && !complete {
				return e.Kind
			}
		}
	}
	return ""
}

func (m model) state() track.State {
	asked, processed := m.any(track.FinalRequested), m.any(track.Processed)
	switch {
	case m.failure() != "":
		return track.StateFailed
	case m.any(track.Dispatched) && (processed || !asked):
		return track.StateDelivered
	case !asked && m.any(track.Processed, track.DispatchedBare):
		return track.StateDone
	case processed:
		return track.StateProcessed
	case m.any(track.Handed, track.Dispatched, track.DispatchedBare):
		return track.StateSent
	}
	return track.StateNew
}

// Any order of any events, with duplicates, folds to what the model says.
func TestFoldAgreesWithModel(t *testing.T) {
	decide := []track.Kind{track.Refused, track.Handed, track.Rejected, track.Processed, track.Dispatched, track.DispatchedBare, track.Failed,
		track.NoProcessed, track.NoDispatched}
	tell := []track.Kind{track.Sealed, track.Deferred, track.Delayed, track.HandedOn, track.Displayed, track.Deleted, track.ImportFailed,
		track.DeadlinePassed, track.ToldFailed, track.Forwarded, track.Suppressed}
	kinds := append(append(append([]track.Kind{}, decide...), decide...), tell...)
	rapid.Check(t, func(t *rapid.T) {
		asked := rapid.Bool().Draw(t, "asked")
		// Short histories, many of them: after the first failure little is decided any more.
		for range 20 {
			checkHistory(t, asked, rapid.SliceOfN(rapid.SampledFrom(kinds), 0, 12).Draw(t, "events"))
		}
	})
}

func checkHistory(t *rapid.T, asked bool, kinds []track.Kind) {
	m := model(story(track.Accepted))
	if asked {
		m = append(m, at(0, track.FinalRequested))
	}
	for i, k := range kinds {
		m = append(m, at(i, k))
		l := track.One(m)
		if l.State != m.state() || l.Failure != m.failure() {
			t.Fatalf("state %s by %q, the model says %s by %q: %v", l.State, l.Failure, m.state(), m.failure(), m)
		}
		if l.Unknown && (l.State == track.StateDelivered || l.State == track.StateFailed) || l.Words == "" || len(l.Rungs) != len(m) {
			t.Fatalf("%+v", l)
		}
	}
}

// world plays one message against the clock: the pipeline's part (doing what is due, once) and a
// peer's (saying anything, any number of times, at any moment).
type world struct {
	events    []track.Event
	now       time.Time
	clocks    track.Clocks
	told      int // failure notices to the sender: ours, and the peer's passed on
	forwarded []track.Kind
}

func (w *world) ladder() track.Ladder { return track.One(w.events) }

// settle does everything that is due by now, in order.
func (w *world) settle(t *rapid.T) {
	for {
		l := w.ladder()
		dues := track.Next(l, w.clocks)
		if len(dues) == 0 || dues[0].At.After(w.now) {
			return
		}
		d := dues[0]
		events := track.Settle(l, d.What, w.clocks, w.now)
		if len(events) == 0 {
			t.Fatalf("%s is due and does not settle", d.What)
		}
		w.events = append(w.events, events...)
		m := model(w.events)
		switch d.What {
		case track.FailUnprocessed, track.FailUndelivered, track.TellFailure:
			w.told++
		}
		if d.What == track.FailUnprocessed || d.What == track.FailUndelivered {
			handed := slices.IndexFunc(m, func(e track.Event) bool {
				return slices.Contains([]track.Kind{track.Handed, track.Processed, track.Dispatched, track.DispatchedBare}, e.Kind)
			})
			if handed < 0 || w.now.Sub(m[handed].Time) < min(w.clocks.T1, w.clocks.T2) {
				t.Fatalf("failed earlier than the clocks allow: %v", m)
			}
		}
	}
}

// However a peer behaves, the sender is told of a failure at most once, never too early, and hears
// nothing more after it but what people did; and in the end every ladder comes to rest.
func TestPromises(t *testing.T) {
	notices := []track.Kind{track.Processed, track.Dispatched, track.DispatchedBare, track.Failed, track.Delayed, track.Displayed, track.ImportFailed}
	rapid.Check(t, func(t *rapid.T) {
		w := world{now: start, clocks: track.Clocks{T1: time.Hour, T2: time.Duration(rapid.IntRange(30, 120).Draw(t, "T2")) * time.Minute, Deadline: 15 * time.Minute}}
		event := func(k track.Kind) track.Event {
			return track.Event{Message: id, Recipient: bob, Kind: k, Time: w.now}
		}
		w.events = append(w.events, event(track.Accepted))
		if rapid.Bool().Draw(t, "asked") {
			w.events = append(w.events, event(track.FinalRequested))
		}
		for range rapid.IntRange(0, 30).Draw(t, "steps") {
			w.now = w.now.Add(time.Duration(rapid.IntRange(0, 40).Draw(t, "minutes")) * time.Minute)
			if rapid.Bool().Draw(t, "worker runs") {
				w.settle(t)
			}
			switch rapid.IntRange(0, 5).Draw(t, "act") {
			case 0:
				w.events = append(w.events, event(track.Handed))
			case 1:
				w.events = append(w.events, event(rapid.SampledFrom([]track.Kind{track.Deferred, track.Rejected}).Draw(t, "attempt")))
			default:
				before := w.ladder()
				k := rapid.SampledFrom(notices).Draw(t, "notice")
				events, action := track.Apply(before, entry(k), w.now, "peer")
				w.events = append(w.events, events...)
				if action == track.Suppress {
					continue
				}
				w.forwarded = append(w.forwarded, k)
				if before.State == track.StateFailed && k != track.Displayed && k != track.ImportFailed {
					t.Fatalf("%s forwarded after failure: %v", k, w.events)
				}
				if k == track.Failed && w.ladder().State == track.StateFailed {
					w.told++
				}
			}
			if w.told > 1 {
				t.Fatalf("failure told %d times: %v", w.told, w.events)
			}
		}
		if !model(w.events).any(track.Handed, track.Rejected) {
			w.events = append(w.events, event(track.Handed))
		}
		w.now = w.now.Add(1000 * time.Hour)
		w.settle(t)
		l := w.ladder()
		if !l.Terminal || len(track.Next(l, w.clocks)) > 0 {
			t.Fatalf("does not come to rest: %s, due %v, %v", l.State, track.Next(l, w.clocks), w.events)
		}
		if (l.State == track.StateFailed) != (w.told == 1) || w.told > 1 {
			t.Fatalf("%s, told %d times: %v", l.State, w.told, w.events)
		}
		for _, k := range []track.Kind{track.Processed, track.Dispatched, track.DispatchedBare, track.Failed} {
			if n := len(slices.DeleteFunc(slices.Clone(w.forwarded), func(x track.Kind) bool { return x != k })); n > 1 {
				t.Fatalf("%s forwarded %d times", k, n)
			}
		}
	})
}

// The receiving side: whatever happens in whatever order, an untrusted message is never answered, and
// a trusted one gets one processed and one terminal notice.
func TestReceiverPromises(t *testing.T) {
	kinds := []track.Kind{track.Held, track.Released, track.Discarded, track.Trusted, track.Deferred, track.Delivered, track.Undeliverable}
	rapid.Check(t, func(t *rapid.T) {
		now := start
		events := story(track.Received)
		asked := rapid.Bool().Draw(t, "asked")
		if asked {
			events = append(events, at(0, track.FinalRequested))
		}
		told := map[track.What]int{}
		run := func() {
			for {
				l := track.One(events)
				dues := track.Next(l, track.Clocks{})
				if len(dues) == 0 || dues[0].At.After(now) {
					return
				}
				more := track.Settle(l, dues[0].What, track.Clocks{}, now)
				if len(more) == 0 {
					t.Fatalf("%s is due and does not settle", dues[0].What)
				}
				told[dues[0].What]++
				events = append(events, more...)
			}
		}
		for _, k := range rapid.SliceOfN(rapid.SampledFrom(kinds), 0, 15).Draw(t, "events") {
			now = now.Add(time.Duration(rapid.IntRange(0, 30).Draw(t, "minutes")) * time.Minute)
			e := at(0, k)
			e.Time = now
			events = append(events, e)
			if rapid.Bool().Draw(t, "worker runs") {
				run()
			}
		}
		now = now.Add(time.Hour)
		run()
		trusted := track.One(events).State
		answered := told[track.TellProcessed]
		if terminal := told[track.TellDispatched] + told[track.TellPeerFailure]; answered > 1 || terminal > 1 || terminal > answered {
			t.Fatalf("told %v: %v", told, events)
		}
		switch trusted {
		case track.StateDelivered:
			if answered != 1 || told[track.TellPeerFailure] != 0 || (told[track.TellDispatched] == 1) != asked {
				t.Fatalf("delivered, told %v", told)
			}
		case track.StateFailed:
			if answered != 1 || told[track.TellPeerFailure] != 1 || told[track.TellDispatched] != 0 {
				t.Fatalf("failed, told %v", told)
			}
		case track.StateTrusted, track.StateRetrying:
			t.Fatalf("does not come to rest: %s", trusted)
		}
		if !model(events).any(track.Trusted) && len(told) > 0 {
			t.Fatalf("untrusted and told %v", told)
		}
	})
}
