package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"postern/gateway/clinic/patient"
	"postern/gateway/clinic/work"
)

// Merge is one record that was made part of another, and, where that was a mistake, how it was taken back.
type Merge struct {
	ID        string
	Gone      patient.ID // the record that became part of Into
	Into      patient.ID
	Why, By   string
	At        time.Time
	UndoneBy  string
	UndoneWhy string
	Undone    time.Time // zero: in force
}

// Moved is one message that a merge moved.
type Moved struct {
	work.Entry        // as it is now; Entry.Patient is whose it is now
	Back       bool   // it is still where the merge put it, and would go back
	Changer    string // who said something else of it since, where Back is false
	Changed    time.Time
}

// MergeUndone is what taking a merge back did.
type MergeUndone struct {
	Back   int // messages that are the first record's again
	Stayed int // messages of which somebody said something else since the merge
}

// ErrMergedOn says that the record a merge led to was made part of another one since: that is taken back first.
var ErrMergedOn = errors.New("store: the record is part of another one since")

// MergePatient says that two records are one person: every live link of the first becomes the second's, and the
// first is kept as a pointer, with what moved, so that UndoMerge can take it back. m names Gone, Into, Why and By.
func (s *Store) MergePatient(ctx context.Context, org string, m Merge, entry AuditEntry) error {
	return s.doDesk(ctx, func(w *writer) error {
		for _, id := range []patient.ID{m.Gone, m.Into} {
			if m.Gone == m.Into || !w.exists("SELECT 1 FROM patient WHERE id=? AND org=? AND state IN ('confirmed','provisional')", id, org) {
				return errors.Join(w.err, fmt.Errorf("store: patient %s: %w", id, ErrNotFound))
			}
		}
		moves, err := listTx(w, "SELECT l.work, l.id FROM patient_link l JOIN work k ON k.id=l.work WHERE l.patient=? AND l.undone='' ORDER BY k.received, k.id", []any{m.Gone}, scanMove)
		if err != nil {
			return err
		}
		m.ID = newID("pm-")
		now := stamp(w.s.now())
		w.exec("INSERT INTO patient_merge (id, org, gone, into_id, state, why, made_by, at) SELECT ?,org,id,?,state,?,?,? FROM patient WHERE id=?", m.ID, m.Into, m.Why, m.By, now, m.Gone)
		w.exec("UPDATE patient_link SET undone=?, undone_by=? WHERE patient=? AND undone=''", now, m.By, m.Gone)
		for _, v := range moves {
			link := w.link(org, PatientLink{Work: v.work, Patient: m.Into, How: "merged", Reasons: []patient.Reason{}, By: m.By})
			w.exec("INSERT INTO patient_merge_move (merge, work, was, link) VALUES (?,?,?,?)", m.ID, v.work, v.link, link)
		}
		w.exec("UPDATE patient SET state='merged', into_id=?, changed=? WHERE id=?", m.Into, now, m.Gone)
		w.exec("DELETE FROM patient_key WHERE patient=?", m.Gone)
		w.audit(entry)
		return w.err
	})
}

// move is a message with the link by which it belonged to a record.
type move struct {
	work work.ID
	link string
}

func scanMove(r *sql.Rows) (v move, err error) { return v, r.Scan(&v.work, &v.link) }

// UndoMerge takes a merge back in one commit: the record is what it was, and exactly the messages that the merge moved
// and of which nobody said anything else since are its again. What came to the other record later stays there.
// ErrNotFound: no such merge, or it is undone; ErrMergedOn: a later merge is undone first.
func (s *Store) UndoMerge(ctx context.Context, org string, m Merge, entry func(MergeUndone) AuditEntry) (out MergeUndone, err error) {
	err = s.doDesk(ctx, func(w *writer) error {
		out = MergeUndone{}
		var state patient.State
		err := w.row("SELECT gone, state FROM patient_merge WHERE id=? AND org=? AND into_id=? AND undone=''", m.ID, org, m.Into).Scan(&m.Gone, &state)
		if errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("store: merge %s: %w", m.ID, ErrNotFound)
		} else if err != nil {
			return fmt.Errorf("store: merge: %w", err)
		}
		if !w.exists("SELECT 1 FROM patient WHERE id=? AND state IN ('confirmed','provisional')", m.Into) {
			return errors.Join(w.err, ErrMergedOn)
		}
		now := stamp(w.s.now())
		w.exec("UPDATE patient SET state=?, into_id='', changed=? WHERE id=?", state, now, m.Gone)
		if out, err = w.moveBack(org, m); err != nil {
			return err
		}
		gone, err := listTx(w, "SELECT "+patientColumns+" FROM patient p WHERE p.id=?", []any{m.Gone}, scanRecord)
		if err != nil || len(gone) != 1 {
			return errors.Join(err, w.err)
		}
		w.patientKeys(org, m.Gone, gone[0].Stated)
		w.unlinked(m.Gone)
		w.unlinked(m.Into)
		w.exec("UPDATE patient_merge SET undone=?, undone_by=?, undone_why=? WHERE id=?", now, m.UndoneBy, m.UndoneWhy, m.ID)
		w.audit(entry(out))
		return w.err
	})
	return out, err
}

// moveBack links the messages that are still where the merge put them to the record they came from. An earlier merge
// that had put them there finds them so again.
func (w *writer) moveBack(org string, m Merge) (out MergeUndone, err error) {
	all := 0
	if err := w.row("SELECT COUNT(*) FROM patient_merge_move WHERE merge=?", m.ID).Scan(&all); err != nil {
		return out, fmt.Errorf("store: merge: %w", err)
	}
	moves, err := listTx(w, `SELECT v.work, v.was FROM patient_merge_move v JOIN patient_link l ON l.id=v.link JOIN work k ON k.id=v.work
		WHERE v.merge=? AND l.undone='' ORDER BY k.received, k.id`, []any{m.ID}, scanMove)
	if err != nil {
		return out, err
	}
	for _, v := range moves {
		w.exec("UPDATE patient_link SET undone=?, undone_by=? WHERE work=? AND undone=''", stamp(w.s.now()), m.UndoneBy, v.work)
		link := w.link(org, PatientLink{Work: v.work, Patient: m.Gone, How: "parted", Reasons: []patient.Reason{}, By: m.UndoneBy})
		w.exec("UPDATE patient_merge_move SET link=? WHERE work=? AND link=?", link, v.work, v.link)
	}
	return MergeUndone{Back: len(moves), Stayed: all - len(moves)}, w.err
}

// Merges lists what was made part of a record, and what it was made part of, newest first: at most n.
func (s *Store) Merges(ctx context.Context, org string, id patient.ID, n int) ([]Merge, error) {
	return list(ctx, s, `SELECT id, gone, into_id, why, made_by, at, undone_by, undone, undone_why FROM patient_merge WHERE org=? AND (into_id=? OR gone=?)
		ORDER BY at DESC, id DESC LIMIT ?`, []any{org, id, id, n}, func(r *sql.Rows) (m Merge, err error) {
		var at, undone string
		err = r.Scan(&m.ID, &m.Gone, &m.Into, &m.Why, &m.By, &at, &m.UndoneBy, &undone, &m.UndoneWhy)
		m.At, m.Undone = parseStamp(at), parseStamp(undone)
		return m, err
	})
}

// MergeMoves lists the messages that a merge moved, newest first: at most n. Which of them the asker may see is the
// caller's to tell.
func (s *Store) MergeMoves(ctx context.Context, org, merge string, n int) ([]Moved, error) {
	return list(ctx, s, "SELECT "+workColumns+", CASE WHEN l.undone='' THEN 1 ELSE 0 END, l.undone_by, l.undone"+workFrom+
		`JOIN patient_merge_move v ON v.work=k.id JOIN patient_link l ON l.id=v.link WHERE v.merge=? AND k.org=? ORDER BY k.received DESC, k.id DESC LIMIT ?`,
		[]any{merge, org, n}, func(r *sql.Rows) (m Moved, err error) {
			var changed string
			m.Entry, err = scanWork(r, &m.Back, &m.Changer, &changed)
			m.Changed = parseStamp(changed)
			return m, err
		})
}

// CameSince is how many messages somebody said were the record's after a merge into it, and are: of those that somebody
// with that reach may see.
func (s *Store) CameSince(ctx context.Context, org string, m Merge, reach []Reach) (n int, err error) {
	seen, args := reachable(org, reach)
	err = s.read.QueryRowContext(ctx, `SELECT COUNT(*) FROM patient_link l JOIN work k ON k.id=l.work WHERE l.patient=? AND l.undone='' AND l.at>?
		AND NOT EXISTS (SELECT 1 FROM patient_merge_move v WHERE v.merge=? AND v.link=l.id) AND `+seen, append([]any{m.Into, stamp(m.At), m.ID}, args...)...).Scan(&n)
	return n, err
}
