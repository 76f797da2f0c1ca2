package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"postern/gateway/clinic/document/chart"
	"postern/gateway/clinic/patient"
	"postern/gateway/clinic/work"
)

// PatientLink says whose message a work row is, who said so and why; it stays when it is undone.
type PatientLink struct {
	ID       string           `json:"id"`
	Work     work.ID          `json:"work"`
	Patient  patient.ID       `json:"patient"`
	How      string           `json:"how"` // "confirmed", "provisional", "merged", "parted"
	Reasons  []patient.Reason `json:"reasons"`
	By       string           `json:"by"`
	At       time.Time        `json:"at"`
	UndoneBy string           `json:"undone_by,omitempty"`
	Undone   time.Time        `json:"undone,omitzero"`
}

// ErrLinked says that a message is somebody's already: the link is undone first.
var ErrLinked = errors.New("store: the message has a patient already")

func newID(kind string) string { return kind + strings.ToLower(rand.Text()) }

const patientColumns = "p.id, p.org, p.state, p.stated, p.into_id, p.created"

func scanPatient(r *sql.Rows, more ...any) (p patient.Record, err error) {
	var stated, created string
	if err = r.Scan(append([]any{&p.ID, &p.Org, &p.State, &stated, &p.Into, &created}, more...)...); err != nil {
		return p, err
	}
	p.Created = parseStamp(created)
	return p, json.Unmarshal([]byte(stated), &p.Stated)
}

func scanRecord(r *sql.Rows) (patient.Record, error) { return scanPatient(r) }

// Patient is one person of an organisation (ErrNotFound otherwise, another organisation's included).
func (s *Store) Patient(ctx context.Context, org string, id patient.ID) (patient.Record, error) {
	return one(ctx, s, "SELECT "+patientColumns+" FROM patient p WHERE p.id=? AND p.org=?", []any{id, org}, scanRecord)
}

// Acquainted lists the people of an organisation that share a key with what a message states, those that share
// most first: whom patient.Candidates compares.
func (s *Store) Acquainted(ctx context.Context, org string, stated chart.Patient) ([]patient.Record, error) {
	keys := patient.Keys(stated)
	if len(keys) == 0 {
		return nil, nil
	}
	args := []any{org}
	for _, k := range keys {
		args = append(args, k)
	}
	return list(ctx, s, "SELECT "+patientColumns+` FROM patient p JOIN (SELECT patient, COUNT(*) AS n FROM patient_key WHERE org=? AND key IN (?`+
		strings.Repeat(",?", len(keys)-1)+`) GROUP BY patient) k ON k.patient=p.id WHERE p.state IN ('confirmed','provisional') ORDER BY k.n DESC, p.id LIMIT ?`,
		append(args, patient.MaxCandidates), scanRecord)
}

// Candidate is a known person of whom the asker may see at least one message.
type Candidate struct {
	patient.Record
	Own bool // one of them is with a pool that the asker belongs to
}

// AcquaintedSeen are those of Acquainted of whom somebody with that reach may see a message: first those of the
// asker's own pools, then those who share the most. Nobody else is in the answer, nor counted in its limit.
func (s *Store) AcquaintedSeen(ctx context.Context, org string, stated chart.Patient, reach []Reach) ([]Candidate, error) {
	keys := patient.Keys(stated)
	if len(keys) == 0 || len(reach) == 0 {
		return nil, nil
	}
	own, ownArgs := reachable(org, slices.DeleteFunc(slices.Clone(reach), func(r Reach) bool { return !r.Owner }))
	seen, seenArgs := reachable(org, reach)
	const theirs = "EXISTS (SELECT 1 FROM work k WHERE k.patient<>'' AND k.patient=p.id AND "
	args := append(slices.Clone(ownArgs), org)
	for _, k := range keys {
		args = append(args, k)
	}
	args = append(append(args, seenArgs...), patient.MaxCandidates)
	return list(ctx, s, "SELECT "+patientColumns+", CASE WHEN "+theirs+own+`) THEN 1 ELSE 0 END AS own FROM patient p JOIN (SELECT patient, COUNT(*) AS n FROM patient_key WHERE org=? AND key IN (?`+
		strings.Repeat(",?", len(keys)-1)+`) GROUP BY patient) n ON n.patient=p.id WHERE p.state IN ('confirmed','provisional') AND `+theirs+seen+`) ORDER BY own DESC, n.n DESC, p.id LIMIT ?`,
		args, func(r *sql.Rows) (c Candidate, err error) {
			c.Record, err = scanPatient(r, &c.Own)
			return c, err
		})
}

// PatientsSeen lists people whose last name or whole name begins so and of whom the asker may see at least one
// message: at most n, by name.
func (s *Store) PatientsSeen(ctx context.Context, org, begin string, reach []Reach, n int) ([]patient.Record, error) {
	begin = sortName(begin)
	if begin == "" {
		return nil, nil
	}
	where, args := reachable(org, reach)
	return list(ctx, s, "SELECT "+patientColumns+` FROM patient p WHERE p.org=? AND p.name>=? AND p.name<? AND p.state IN ('confirmed','provisional')
		AND EXISTS (SELECT 1 FROM work k WHERE k.patient<>'' AND k.patient=p.id AND `+where+") ORDER BY p.name, p.birth, p.id LIMIT ?",
		append(append([]any{org, begin, begin + "\U0010FFFF"}, args...), n), scanRecord)
}

// sortName is a name in the order and form of the name index: "ruiz, ana".
func sortName(s string) string { return strings.ToLower(strings.Join(strings.Fields(s), " ")) }

// LinkPatient says that a message is about a known person. It fails with ErrLinked when it is somebody's already.
func (s *Store) LinkPatient(ctx context.Context, org string, l PatientLink, entry AuditEntry) error {
	return s.doDesk(ctx, func(w *writer) error {
		if !w.exists("SELECT 1 FROM patient WHERE id=? AND org=? AND state IN ('confirmed','provisional')", l.Patient, org) && w.err == nil {
			return fmt.Errorf("store: patient %s: %w", l.Patient, ErrNotFound)
		}
		w.link(org, l)
		w.audit(entry)
		return w.err
	})
}

// AddPatient makes a provisional person of what a message states, and links the message to it, in one commit.
func (s *Store) AddPatient(ctx context.Context, org string, stated chart.Patient, l PatientLink, entry AuditEntry) (patient.ID, error) {
	l.Patient = patient.ID(newID("pt-"))
	err := s.doDesk(ctx, func(w *writer) error {
		now := stamp(w.s.now())
		w.exec("INSERT INTO patient (id, org, state, name, birth, stated, created, changed) VALUES (?,?,?,?,?,?,?,?)", l.Patient, org, patient.Provisional,
			sortName(stated.Name.Sort()), stated.Birth.ISO(), column(stated), now, now)
		w.patientKeys(org, l.Patient, stated)
		w.link(org, l)
		w.audit(entry)
		return w.err
	})
	return l.Patient, err
}

func (w *writer) patientKeys(org string, id patient.ID, stated chart.Patient) {
	w.exec("DELETE FROM patient_key WHERE patient=?", id)
	for _, k := range patient.Keys(stated) {
		w.exec("INSERT INTO patient_key (org, key, patient) VALUES (?,?,?) ON CONFLICT DO NOTHING", org, k, id)
	}
}

func (w *writer) link(org string, l PatientLink) (id string) {
	if w.exists("SELECT 1 FROM patient_link WHERE work=? AND undone=''", l.Work) {
		w.err = ErrLinked
	}
	w.setWorkPatient(org, l.Work, string(l.Patient))
	id = newID("pl-")
	w.exec("INSERT INTO patient_link (id, org, work, patient, how, reasons, made_by, at) VALUES (?,?,?,?,?,?,?,?)", id, org, l.Work,
		l.Patient, l.How, column(l.Reasons), l.By, stamp(w.s.now()))
	return id
}

// UnlinkPatient undoes a message's link, and leaves its trace. A provisional person whom no message is about any
// more is withdrawn: nothing is proposed on the word of a mistake.
func (s *Store) UnlinkPatient(ctx context.Context, org string, id work.ID, by string, entry AuditEntry) error {
	return s.doDesk(ctx, func(w *writer) error {
		var who patient.ID
		err := w.row("SELECT patient FROM patient_link WHERE work=? AND org=? AND undone=''", id, org).Scan(&who)
		if errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("store: patient of %s: %w", id, ErrNotFound)
		} else if err != nil {
			return fmt.Errorf("store: unlink: %w", err)
		}
		w.exec("UPDATE patient_link SET undone=?, undone_by=? WHERE work=? AND undone=''", stamp(w.s.now()), by, id)
		w.setWorkPatient(org, id, "")
		w.unlinked(who)
		w.audit(entry)
		return w.err
	})
}

// unlinked withdraws a provisional person whom no message is about any more.
func (w *writer) unlinked(who patient.ID) {
	if !w.exists("SELECT 1 FROM patient_link WHERE patient=? AND undone=''", who) &&
		w.exists("SELECT 1 FROM patient WHERE id=? AND state=?", who, patient.Provisional) {
		w.exec("UPDATE patient SET state=?, changed=? WHERE id=?", patient.Withdrawn, stamp(w.s.now()), who)
		w.exec("DELETE FROM patient_key WHERE patient=?", who)
	}
}

// ConfirmPatient says that a provisional person is in the clinic's own records, with these demographics.
func (s *Store) ConfirmPatient(ctx context.Context, org string, id patient.ID, stated chart.Patient, entry AuditEntry) error {
	return s.doDesk(ctx, func(w *writer) error {
		if w.exec("UPDATE patient SET state=?, name=?, birth=?, stated=?, changed=? WHERE id=? AND org=? AND state IN ('confirmed','provisional')", patient.Confirmed,
			sortName(stated.Name.Sort()), stated.Birth.ISO(), column(stated), stamp(w.s.now()), id, org) == 0 && w.err == nil {
			return fmt.Errorf("store: patient %s: %w", id, ErrNotFound)
		}
		w.patientKeys(org, id, stated)
		w.audit(entry)
		return w.err
	})
}

// PatientLinks lists what was ever said of whose message this is, newest first.
func (s *Store) PatientLinks(ctx context.Context, org string, id work.ID) ([]PatientLink, error) {
	return list(ctx, s, "SELECT id, work, patient, how, reasons, made_by, at, undone_by, undone FROM patient_link WHERE work=? AND org=? ORDER BY at DESC, id DESC",
		[]any{id, org}, scanPatientLink)
}

func scanPatientLink(r *sql.Rows) (l PatientLink, err error) {
	var reasons, at, undone string
	if err = r.Scan(&l.ID, &l.Work, &l.Patient, &l.How, &reasons, &l.By, &at, &l.UndoneBy, &undone); err != nil {
		return l, err
	}
	l.At, l.Undone = parseStamp(at), parseStamp(undone)
	return l, json.Unmarshal([]byte(reasons), &l.Reasons)
}

// PatientOfItem is the demographics the first document of an item states, nil where none does.
func (s *Store) PatientOfItem(ctx context.Context, inboxID string, number int64) (*chart.Patient, error) {
	docs, err := s.documents(ctx, inboxID, number)
	if err != nil {
		return nil, err
	}
	for _, d := range docs {
		var p chart.Patient
		if len(d.Patient) > 0 && json.Unmarshal(d.Patient, &p) == nil && (!p.Name.Zero() || len(p.IDs) > 0) {
			return &p, nil
		}
	}
	return nil, nil
}

// PatientWork lists a person's messages that the asker may see, newest first: at most n before an instant (zero: all).
// That patient is not empty is said for the index, which holds only such rows.
func (s *Store) PatientWork(ctx context.Context, org string, id patient.ID, reach []Reach, before time.Time, n int) ([]work.Entry, error) {
	where, args := reachable(org, reach)
	if before.IsZero() {
		before = forEver
	}
	return list(ctx, s, "SELECT "+workColumns+workFrom+"WHERE k.patient<>'' AND k.patient=? AND k.received<? AND "+where+" ORDER BY k.received DESC, k.id DESC LIMIT ?",
		append(append([]any{id, stamp(before)}, args...), n), scanEntry)
}

// PatientVisible reports whether the asker may see at least one message about a person: only then is there a page of theirs.
func (s *Store) PatientVisible(ctx context.Context, org string, id patient.ID, reach []Reach) (bool, error) {
	found, err := s.PatientWork(ctx, org, id, reach, time.Time{}, 1)
	return len(found) > 0, err
}
