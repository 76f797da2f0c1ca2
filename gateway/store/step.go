package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"postern/gateway/agent"
	"postern/gateway/clinic/inbox"
	"postern/gateway/delivery/queue"
	"postern/gateway/delivery/track"
	"postern/gateway/message"
	"postern/gateway/spool"
)

// Step is every effect of one stage of the pipeline. Commit writes all of it or none.
type Step struct {
	Settle    *queue.Settlement // the claimed job's fate; needs the job's lease
	Blobs     []spool.Blob      // bytes already durable in the spool, now named by a row
	Sealed    []SealedForm      // which of them are sealed forms of messages
	Lessons   []agent.Lesson    // what verified mail taught about the algorithms of its senders
	Messages  []Message
	Receipts  map[message.ID]Receipt // what became known of messages already stored
	Jobs      []queue.Job
	Events    []track.Event
	Items     []inbox.Item
	Places    []Place // where each item goes in the clinic's hands, in their order; what is missing goes to the catch-all
	Held      []Held
	Forget    []Tombstone // deliveries to remember that made no item (SMTP edges)
	Released  []string    // held entries that go back into the pipeline
	Discarded []string    // held entries that a person gave up; their bytes go with the next sweep
	Decisions []Decision  // what was decided about partners' certificates
	Told      []Told      // ends that came near, of which this step tells
	Audit     []AuditEntry
}

// SealedForm is a message as it was sealed, for some or all of its recipients.
type SealedForm struct {
	Message message.ID
	Blob    string
}

// Receipt is what a stage learnt about a message: its sealed or opened bytes and its security receipt.
type Receipt struct {
	SealedBlob string
	OpenedBlob string
	Receipt    string // JSON; "" leaves what is there
	Facts      *message.Facts
	Sender     string
	RFCID      string
	Kind       message.Kind
	Final      *bool
}

// Outcome is what Commit found out while writing.
type Outcome struct {
	Numbers    []int64 // the item's number, one an item; 0 for a duplicate
	Duplicates int     // items that were delivered before
}

// Commit writes the step in one transaction, or none of it. With a settlement the lease must still be
// ours (ErrLeaseLost otherwise). It returns only when the transaction is on disk.
func (s *Store) Commit(ctx context.Context, lease queue.Lease, step Step) (Outcome, error) {
	var out Outcome
	var work []queue.Class // what brings no job may be for anybody
	if step.Settle != nil || len(step.Jobs) > 0 {
		work = make([]queue.Class, 0, len(step.Jobs))
	}
	for _, j := range step.Jobs {
		work = append(work, j.Class())
	}
	c := &change{wakes: true, work: work, desk: len(step.Items)+len(step.Held)+len(step.Messages)+len(step.Released)+len(step.Discarded) > 0, reply: make(chan error, 1)}
	c.apply = func(tx *sql.Tx) error {
		out = Outcome{}
		w := &writer{tx: tx, s: s}
		w.settle(lease, step.Settle)
		for _, b := range step.Blobs {
			w.blob(b)
		}
		for _, f := range step.Sealed {
			w.exec("INSERT INTO sealed(blob, message) VALUES (?,?)", f.Blob, f.Message)
		}
		for _, m := range step.Messages {
			w.message(m)
			if a := m.Submission.Answering; a != nil {
				w.answering(m, *a)
			} else {
				w.answers(m)
			}
		}
		for id, r := range step.Receipts {
			w.receipt(id, r)
		}
		for _, j := range step.Jobs {
			w.job(j)
		}
		for _, e := range step.Events {
			w.event(e)
		}
		for i, it := range step.Items {
			n := w.item(it, step.place(i))
			out.Numbers = append(out.Numbers, n)
			if n == 0 {
				out.Duplicates++
			}
		}
		c.desk = w.calls(step.Events) || c.desk
		for _, h := range step.Held {
			w.held(h)
		}
		for _, id := range step.Released {
			w.leaveHeld(id, "released")
		}
		for _, id := range step.Discarded {
			w.leaveHeld(id, "discarded")
		}
		for _, l := range step.Lessons {
			w.lesson(l)
		}
		for _, t := range step.Forget {
			w.tombstone(t)
		}
		for _, d := range step.Decisions {
			w.decision(d)
		}
		for _, t := range step.Told {
			w.exec("INSERT INTO expiry_told VALUES (?,?,?) ON CONFLICT(item) DO UPDATE SET threshold=excluded.threshold, at=excluded.at", t.Item, int64(t.Threshold.Seconds()), stamp(s.now()))
		}
		for _, a := range step.Audit {
			w.audit(a)
		}
		return w.err
	}
	err := s.enqueue(ctx, c)
	return out, err
}

// place is where the i-th item goes.
func (s Step) place(i int) Place {
	if i < len(s.Places) {
		return s.Places[i]
	}
	return Place{}
}

// writer runs statements until one fails.
type writer struct {
	tx  *sql.Tx
	s   *Store
	err error
}

func (w *writer) exec(query string, args ...any) int64 {
	if w.err != nil {
		return 0
	}
	var res sql.Result
	var err error
	if st := w.s.written.statement(w.tx, query); st != nil {
		res, err = st.Exec(args...)
	} else {
		res, err = w.tx.Exec(query, args...)
	}
	if err != nil {
		w.err = fmt.Errorf("store: %w", err)
		return 0
	}
	n, _ := res.RowsAffected()
	return n
}

// row asks for one row.
func (w *writer) row(query string, args ...any) *sql.Row {
	if st := w.s.written.statement(w.tx, query); st != nil {
		return st.QueryRow(args...)
	}
	return w.tx.QueryRow(query, args...)
}

// blob names bytes that are in the spool.
func (w *writer) blob(b spool.Blob) {
	w.exec("INSERT INTO blob VALUES (?,?,?,?,?,?,?)", b.ID, b.Org, b.Size, b.SHA256[:], b.Key, b.Place, stamp(w.s.now()))
}

// exists reports whether the query has a row.
func (w *writer) exists(query string, args ...any) bool {
	if w.err != nil {
		return false
	}
	var one int
	err := w.row(query, args...).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return false
	}
	if err != nil {
		w.err = fmt.Errorf("store: %w", err)
	}
	return err == nil
}

func (w *writer) settle(l queue.Lease, f *queue.Settlement) {
	if f == nil {
		return
	}
	var n int64
	switch f.Fate {
	case queue.Done:
		n = w.exec("DELETE FROM job WHERE id=? AND token=?", l.Job, l.Token)
	case queue.Park:
		n = w.exec("UPDATE job SET token='', parked=?, last_error=? WHERE id=? AND token=?", stamp(w.s.now()), f.Error, l.Job, l.Token)
	case queue.Retry:
		if f.Recipients != nil {
			w.exec("UPDATE job SET recipients=? WHERE id=? AND token=?", column(f.Recipients), l.Job, l.Token)
		}
		tried := 1
		if f.Waited {
			tried = 0
		}
		n = w.exec("UPDATE job SET token='', due=?, attempts=attempts+?, last_error=? WHERE id=? AND token=?",
			stamp(f.Due), tried, f.Error, l.Job, l.Token)
	default:
		w.err = fmt.Errorf("store: unknown fate %q", f.Fate)
	}
	if w.err == nil && n != 1 {
		w.err = ErrLeaseLost
	}
}

func (w *writer) event(e track.Event) {
	evidence := string(e.Evidence)
	if evidence == "" {
		evidence = "{}"
	}
	n := w.exec(`INSERT INTO event(org, message, recipient, kind, at, source, evidence) SELECT org, id, ?, ?, ?, ?, ? FROM message WHERE id=?`,
		e.Recipient.Key(), e.Kind, stamp(e.Time), e.Source, evidence, e.Message)
	if n != 1 && w.err == nil {
		w.err = fmt.Errorf("store: an event of message %s: %w", e.Message, ErrNotFound)
	}
}
