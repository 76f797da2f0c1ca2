package store_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/gateway/audit"
	"postern/gateway/clinic/inbox"
	"postern/gateway/delivery/queue"
	"postern/gateway/delivery/track"
	"postern/gateway/message"
	"postern/gateway/spool"
	"postern/gateway/store"
	"postern/smime/addr"
)

var (
	dr     = addr.MustParse("dr@hospital.example")
	nurse  = addr.MustParse("nurse@hospital.example")
	intake = addr.MustParse("intake@clinic.example")
)

func out(id message.ID, to ...addr.Address) store.Message {
	return store.Message{ID: id, Direction: store.Out, Kind: message.Mail, RFCID: string(id) + "@hospital.example", Sender: dr, Blob: "b-" + string(id),
		Received: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC), Submission: message.Submission{Org: "o", From: dr, Recipients: to}}
}

func blobRow(id string) spool.Blob {
	return spool.Blob{ID: id, Org: "o", Size: 3, SHA256: sha256.Sum256([]byte(id)), Key: []byte{1}, Place: "log/0/0"}
}

// item is a message from a verified sender in the inbox "intake".
func item(id message.ID, from addr.Address, rfc, content string, refs ...string) inbox.Item {
	return inbox.Item{Inbox: "intake", Org: "o", Message: id, Recipient: intake, Sender: from, Origin: inbox.FromSystem(from), RFCID: rfc,
		References: refs, Blob: "b", Size: int64(len(content)), SHA256: sha256.Sum256([]byte(content))}
}

func (s *site) must(t testing.TB, step store.Step) store.Outcome {
	t.Helper()
	o, err := s.Commit(t.Context(), queue.Lease{}, step)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// claim takes the one job there is.
func (s *site) claim(t testing.TB, class queue.Class) queue.Job {
	t.Helper()
	jobs, err := s.Claim(t.Context(), class, 1, store.Lanes{})
	if err != nil || len(jobs) != 1 {
		t.Fatalf("claimed %d jobs, %v", len(jobs), err)
	}
	return jobs[0]
}

func inboxSite(t testing.TB) *site {
	s := newSite(t)
	if err := s.EnsureInbox(t.Context(), "o", "intake"); err != nil {
		t.Fatal(err)
	}
	return s
}

// everything is a step that writes one row of each kind.
func everything(id message.ID) store.Step {
	return store.Step{Blobs: []spool.Blob{blobRow("b-" + string(id))}, Messages: []store.Message{out(id, intake)},
		Jobs:   []queue.Job{{Org: "o", Message: id, Kind: queue.Timer}},
		Events: []track.Event{{Message: id, Recipient: intake, Kind: track.Accepted}},
		Items:  []inbox.Item{item(id, dr, string(id), "x")},
		Held:   []store.Held{{ID: "h-" + string(id), Org: "o", Message: id, Peer: "p", Blob: "b-" + string(id), Expires: time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC)}},
		Forget: []store.Tombstone{{Recipient: intake, Signer: dr, RFCID: "edge"}},
		Audit:  []store.AuditEntry{{Org: "o", Actor: "test", Action: "x", Object: string(id)}}}
}

// rows counts what a message left in the database.
func (s *site) rows(t testing.TB, id message.ID) (n int) {
	t.Helper()
	ctx := t.Context()
	if _, err := s.Message(ctx, id); err == nil {
		n++
	} else if !errors.Is(err, store.ErrNotFound) {
		t.Fatal(err)
	}
	if _, err := s.Blob(ctx, "b-"+string(id)); err == nil {
		n++
	}
	if _, err := s.HeldEntry(ctx, "h-"+string(id)); err == nil {
		n++
	}
	jobs, err := s.Jobs(ctx, id)
	events, err2 := s.Events(ctx, id)
	items, err3 := s.ItemsOf(ctx, string(id))
	edge, err4 := s.Delivered(ctx, store.Tombstone{Recipient: intake, Signer: dr, RFCID: "edge"})
	if err := errors.Join(err, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	n += len(jobs) + len(events) + len(items)
	if edge {
		n++
	}
	err = s.Audit(ctx, func(e audit.Entry) error {
		if e.Object == string(id) {
			n++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestCommitIsAllOrNothing(t *testing.T) {
	s := inboxSite(t)
	for _, c := range []struct {
		situation string
		spoil     func(*store.Step)
	}{
		{"an item without an origin", func(st *store.Step) { st.Items = append(st.Items, inbox.Item{Inbox: "intake", Org: "o"}) }},
		{"an inbox that is not there", func(st *store.Step) {
			it := item("m-9", dr, "9", "y")
			it.Inbox = "nobody"
			st.Items = append(st.Items, it)
		}},
		{"an event about no message", func(st *store.Step) { st.Events = append(st.Events, track.Event{Message: "m-none", Recipient: intake}) }},
		{"a message that is there already", func(st *store.Step) { st.Messages = append(st.Messages, st.Messages[0]) }},
		{"an organisation that is not there", func(st *store.Step) {
			m := out("m-8", intake)
			m.Submission.Org = "other"
			st.Messages = append(st.Messages, m)
		}},
		{"a lease that was never given", func(st *store.Step) { st.Settle = &queue.Settlement{Fate: queue.Done} }},
		{"an unknown fate", func(st *store.Step) { st.Settle = &queue.Settlement{Fate: "perhaps"} }},
	} {
		t.Run(c.situation, func(t *testing.T) {
			step := everything("m-1")
			c.spoil(&step)
			if _, err := s.Commit(t.Context(), queue.Lease{Job: 77, Token: "x"}, step); err == nil {
				t.Fatal("committed")
			}
			if n := s.rows(t, "m-1"); n != 0 {
				t.Errorf("%d rows were left", n)
			}
		})
	}
	s.must(t, everything("m-1"))
	if n := s.rows(t, "m-1"); n != 8 {
		t.Errorf("%d rows, want one of each of 8 kinds", n)
	}
}

// One bad step in a group commit takes no other with it.
func TestGroupCommitKeepsStepsApart(t *testing.T) {
	s := inboxSite(t)
	const n = 200
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			step := everything(message.ID(fmt.Sprintf("m-%03d", i)))
			step.Forget = nil
			if i%7 == 3 {
				step.Items = append(step.Items, inbox.Item{Inbox: "intake"}) // no origin
			}
			_, errs[i] = s.Commit(context.Background(), queue.Lease{}, step)
		})
	}
	wg.Wait()
	for i, err := range errs {
		id := message.ID(fmt.Sprintf("m-%03d", i))
		if bad := i%7 == 3; bad != (err != nil) || bad && !errors.Is(err, inbox.ErrNoOrigin) {
			t.Errorf("%s: %v", id, err)
		}
		if want := 7; err == nil && s.rows(t, id) != want || err != nil && s.rows(t, id) != 0 {
			t.Errorf("%s, %v: %d rows", id, err, s.rows(t, id))
		}
	}
	var numbers []int64
	items, err := s.Items(t.Context(), "intake", 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, it := range items {
		numbers = append(numbers, it.Number)
	}
	slices.Sort(numbers)
	for i, k := range numbers {
		if k != int64(i+1) {
			t.Fatalf("item numbers %v: not 1 to %d without gaps", numbers, len(numbers))
		}
	}
	var heads []audit.Entry
	if err := s.Audit(t.Context(), func(e audit.Entry) error { heads = append(heads, e); return nil }); err != nil {
		t.Fatal(err)
	}
	for i, e := range heads {
		if e.Seq != int64(i+1) || e.Hash != e.Sum() || i > 0 && e.Prev != heads[i-1].Hash {
			t.Fatalf("audit entry %d: seq %d, hash %.8s, prev %.8s", i, e.Seq, e.Hash, e.Prev)
		}
	}
	if len(heads) != len(items) {
		t.Errorf("%d audit entries, %d items", len(heads), len(items))
	}
}

func TestEventsAreNeverMissedByACursor(t *testing.T) {
	s := inboxSite(t)
	s.must(t, store.Step{Messages: []store.Message{out("m-1", intake)}})
	const n = 120
	done := make(chan struct{})
	go func() {
		defer close(done)
		var wg sync.WaitGroup
		for range n {
			wg.Go(func() {
				_, err := s.Commit(context.Background(), queue.Lease{}, store.Step{Events: []track.Event{
					{Message: "m-1", Recipient: intake, Kind: track.Deferred}, {Message: "m-1", Recipient: dr, Kind: track.Deferred}}})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}()
	cursor, seen := int64(0), 0
	for last := false; ; {
		events, err := s.EventsAfter(t.Context(), cursor, 7)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			if e.Seq <= cursor {
				t.Fatalf("event %d came after %d", e.Seq, cursor)
			}
			cursor = e.Seq
			seen++
		}
		if last && len(events) == 0 {
			break
		}
		select {
		case <-done:
			last = true
		default:
		}
	}
	if seen != 2*n {
		t.Errorf("the cursor saw %d events of %d", seen, 2*n)
	}
}

func TestSettlements(t *testing.T) {
	s := inboxSite(t)
	s.must(t, store.Step{Messages: []store.Message{out("m-1", intake, nurse)}, Jobs: []queue.Job{{Org: "o", Message: "m-1", Kind: queue.Seal, Recipients: []addr.Address{intake, nurse}}}})
	first := s.claim(t, queue.Lookups)
	later := s.now.Add(time.Hour)
	step := store.Step{Settle: &queue.Settlement{Fate: queue.Retry, Due: later, Recipients: []addr.Address{nurse}, Error: "why"}}
	if _, err := s.Commit(t.Context(), first.Lease, step); err != nil {
		t.Fatal(err)
	}
	if jobs, _ := s.Claim(t.Context(), queue.Lookups, 9, store.Lanes{}); len(jobs) != 0 {
		t.Error("a job was claimed before it is due again")
	}
	// The lease is spent: the same worker cannot settle again.
	if _, err := s.Commit(t.Context(), first.Lease, everythingSettled("m-7")); !errors.Is(err, store.ErrLeaseLost) {
		t.Errorf("settled twice: %v", err)
	}
	if n := s.rows(t, "m-7"); n != 0 {
		t.Errorf("%d rows of a step without its lease", n)
	}
	s.now = later
	second := s.claim(t, queue.Lookups)
	if second.Attempts != 1 || second.LastError != "why" || len(second.Recipients) != 1 || !second.Recipients[0].Equal(nurse) {
		t.Errorf("retried as %+v", second)
	}
	park := store.Step{Settle: &queue.Settlement{Fate: queue.Park, Error: "poison"}}
	if _, err := s.Commit(t.Context(), second.Lease, park); err != nil {
		t.Fatal(err)
	}
	s.now = s.now.AddDate(1, 0, 0)
	if jobs, _ := s.Claim(t.Context(), queue.Lookups, 9, store.Lanes{}); len(jobs) != 0 {
		t.Error("a parked job was claimed")
	}
	if jobs, err := s.Jobs(t.Context(), "m-1"); err != nil || len(jobs) != 1 || jobs[0].LastError != "poison" {
		t.Errorf("parked: %+v, %v", jobs, err)
	}
}

func everythingSettled(id message.ID) store.Step {
	st := everything(id)
	st.Settle = &queue.Settlement{Fate: queue.Done}
	return st
}

// tagged is the item as if the envelope had carried a +tag, which anybody who holds the sealed bytes can write.
func tagged(it inbox.Item) inbox.Item {
	it.Recipient = addr.MustParse(it.Recipient.Local() + "+x@" + it.Recipient.Domain().String())
	return it
}

func TestDuplicatesAndSameID(t *testing.T) {
	for _, c := range []struct {
		situation string
		second    inbox.Item
		number    int64
		sameID    bool
	}{
		{"the very same again", item("m-2", dr, "1@h", "text"), 0, false},
		{"the same in other letters of the address", item("m-2", addr.MustParse("DR@Hospital.example"), "1@h", "text"), 0, false},
		{"the same to another +tag", tagged(item("m-2", dr, "1@h", "text")), 0, false},
		{"same id, other content", item("m-2", dr, "1@h", "other"), 2, true},
		{"same id, other sender", item("m-2", nurse, "1@h", "other"), 2, false},
		{"same content, other id", item("m-2", dr, "2@h", "text"), 2, false},
	} {
		t.Run(c.situation, func(t *testing.T) {
			s := inboxSite(t)
			s.must(t, store.Step{Messages: []store.Message{out("m-1"), out("m-2")}, Items: []inbox.Item{item("m-1", dr, "1@h", "text")}})
			o := s.must(t, store.Step{Items: []inbox.Item{c.second}})
			if o.Numbers[0] != c.number || (o.Duplicates == 1) != (c.number == 0) {
				t.Fatalf("outcome %+v, want number %d", o, c.number)
			}
			if c.number == 0 {
				return
			}
			it, err := s.Item(t.Context(), "intake", c.number)
			if err != nil || it.Flags.SameID != c.sameID {
				t.Errorf("flags %+v, %v, want same id %v", it.Flags, err, c.sameID)
			}
		})
	}
	t.Run("without an id nothing is the same id", func(t *testing.T) {
		s := inboxSite(t)
		o := s.must(t, store.Step{Items: []inbox.Item{item("m-1", dr, "", "a"), item("m-2", dr, "", "b"), item("m-3", dr, "", "a")}})
		if fmt.Sprint(o.Numbers) != "[1 2 0]" {
			t.Errorf("numbers %v", o.Numbers)
		}
		if it, err := s.Item(t.Context(), "intake", 2); err != nil || it.Flags.SameID {
			t.Errorf("flags %+v, %v", it.Flags, err)
		}
	})
}

// A thread is joined by reference, and only by someone who belongs to it: else a stranger who guesses an
// id could put his words between a doctor's and a patient's.
func TestThreads(t *testing.T) {
	stranger := addr.MustParse("x@evil.example")
	for _, c := range []struct {
		situation string
		it        inbox.Item
		thread    string
	}{
		{"no reference begins its own", item("m-5", dr, "5", "x"), "m-5"},
		{"the sender of an item in it", item("m-5", dr, "5", "x", "1@h"), "m-1"},
		{"a colleague of the sender joins nothing", item("m-5", nurse, "5", "x", "1@h"), "m-5"},
		{"the nearest reference comes first", item("m-5", dr, "5", "x", "1@h", "3@h"), "m-3"},
		{"a reference to nothing falls back on an earlier one", item("m-5", dr, "5", "x", "1@h", "gone@h"), "m-1"},
		{"a stranger joins nothing", item("m-5", stranger, "5", "x", "1@h", "3@h"), "m-5"},
		{"an answer to what this address sent him", item("m-5", stranger, "5", "x", "sent@clinic.example"), "m-9"},
		{"an answer to what this address sent somebody else", item("m-5", dr, "5", "x", "sent@clinic.example"), "m-5"},
	} {
		t.Run(c.situation, func(t *testing.T) {
			s := inboxSite(t)
			sent := store.Message{ID: "m-9", Direction: store.Out, Kind: message.Mail, RFCID: "sent@clinic.example", Sender: intake,
				Submission: message.Submission{Org: "o", From: intake, Recipients: []addr.Address{stranger}}}
			s.must(t, store.Step{Messages: []store.Message{sent}, Items: []inbox.Item{item("m-1", dr, "1@h", "a"), item("m-2", dr, "2@h", "b", "1@h")}})
			s.must(t, store.Step{Items: []inbox.Item{item("m-3", dr, "3@h", "c")}})
			o := s.must(t, store.Step{Items: []inbox.Item{c.it}})
			it, err := s.Item(t.Context(), "intake", o.Numbers[0])
			if err != nil || it.Thread != c.thread {
				t.Errorf("thread %q, %v, want %q", it.Thread, err, c.thread)
			}
		})
	}
}

func TestHeldIsBoundedPerPeer(t *testing.T) {
	s := newSite(t)
	step := store.Step{}
	for i := range store.MaxHeldPerPeer + 5 {
		step.Held = append(step.Held, store.Held{ID: fmt.Sprintf("h-%04d", i), Org: "o", Message: "m", Peer: "loud.example", Reason: "untrusted",
			At: s.now.Add(time.Duration(i) * time.Second), Expires: s.now.Add(store.HeldFor)})
	}
	step.Held = append(step.Held, store.Held{ID: "h-quiet", Org: "o", Message: "m", Peer: "quiet.example", At: s.now, Expires: s.now.Add(time.Hour)})
	s.must(t, step)
	list, err := s.HeldList(t.Context(), 5000)
	if err != nil || len(list) != store.MaxHeldPerPeer+1 {
		t.Fatalf("%d are held, %v", len(list), err)
	}
	for _, h := range list {
		if h.ID < "h-0005" {
			t.Fatalf("%s is held: the oldest go first", h.ID)
		}
	}
	if h, err := s.HeldEntry(t.Context(), "h-0000"); err != nil || h.State != "expired" {
		t.Errorf("the oldest: %q, %v", h.State, err)
	}
	s.now = s.now.Add(2 * time.Hour)
	if n, err := s.ExpireHeld(t.Context()); err != nil || n != 1 {
		t.Errorf("%d expired, %v, want the quiet peer's", n, err)
	}
	if _, err := s.Commit(t.Context(), queue.Lease{}, store.Step{Released: []string{"h-0100", "h-quiet"}}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("released what is held no more: %v", err)
	}
	s.must(t, store.Step{Released: []string{"h-0100"}})
	for id, want := range map[string]string{"h-0100": "released", "h-quiet": "expired", "h-0101": "held"} {
		if h, err := s.HeldEntry(t.Context(), id); err != nil || h.State != want {
			t.Errorf("%s: %q, %v, want %q", id, h.State, err, want)
		}
	}
}

func TestUnreferencedBlobs(t *testing.T) {
	s := inboxSite(t)
	m := func(id message.ID) store.Message { x := out(id, intake); x.Received = s.now; return x }
	inItem := item("m-item", dr, "1", "x")
	inItem.Blob = "b-m-item"
	step := store.Step{Items: []inbox.Item{inItem}, Jobs: []queue.Job{{Org: "o", Message: "m-job", Kind: queue.Relay}},
		Held: []store.Held{{ID: "h", Org: "o", Message: "m-held", Blob: "b-m-held", At: s.now, Expires: s.now.Add(store.HeldFor)}}}
	for _, id := range []message.ID{"m-item", "m-job", "m-held", "m-done"} {
		step.Messages = append(step.Messages, m(id))
		step.Blobs = append(step.Blobs, blobRow("b-"+string(id)))
	}
	s.must(t, step)
	names := func() string {
		list, err := s.Unreferenced(t.Context(), 100)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, b := range list {
			out = append(out, b.ID)
		}
		slices.Sort(out)
		return strings.Join(out, " ")
	}
	if got := names(); got != "" {
		t.Errorf("younger than %s, not needed: %s", store.SettledFor, got)
	}
	s.now = s.now.Add(store.SettledFor + time.Second)
	if got := names(); got != "b-m-done" {
		t.Errorf("not needed: %q, want the settled message's only", got)
	}
	if _, err := s.Commit(t.Context(), s.claim(t, queue.Network).Lease, store.Step{Settle: &queue.Settlement{Fate: queue.Done}, Released: []string{"h"}}); err != nil {
		t.Fatal(err)
	}
	if got := names(); got != "b-m-done b-m-held b-m-job" {
		t.Errorf("not needed: %q", got)
	}
	if err := s.ForgetBlob(t.Context(), "b-m-done"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Blob(t.Context(), "b-m-done"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a forgotten blob: %v", err)
	}
}

func TestWhatIsCommittedOutlivesClose(t *testing.T) {
	s := inboxSite(t)
	s.must(t, everything("m-1"))
	changed := s.Changed()
	s.must(t, store.Step{})
	select {
	case <-changed:
	default:
		t.Error("a commit woke nobody")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Commit(t.Context(), queue.Lease{}, store.Step{}); err == nil {
		t.Error("a closed store commits")
	}
	s.open(t)
	if n := s.rows(t, "m-1"); n != 8 {
		t.Errorf("%d rows after opening again", n)
	}
	m, err := s.Message(t.Context(), "m-1")
	if err != nil || m.Submission.From.String() != dr.String() || len(m.Submission.Recipients) != 1 {
		t.Errorf("%+v, %v", m, err)
	}
}
