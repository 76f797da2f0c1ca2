package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// What a proposal is about.
const (
	ProposeBundle    = "bundle"    // a bundle's newer file; its content is the file
	ProposeSubscribe = "subscribe" // a subscription; its content is the Subscription
	ProposeSettings  = "settings"  // a bundle's settings
	ProposeUndo      = "undo"      // taking a change back
)

// States of a proposal.
const (
	Waiting    = "waiting"
	Applied    = "applied"
	Rejected   = "rejected"
	Superseded = "superseded" // a newer one took its place
)

// Proposal is a change that waits for a person, or for two.
type Proposal struct {
	ID        string     `json:"id"`
	Org       string     `json:"-"`
	Kind      string     `json:"kind"`
	Object    string     `json:"object"`
	Content   []byte     `json:"-"`
	Why       string     `json:"why"` // why it waits
	Actor     string     `json:"actor"`
	At        time.Time  `json:"at"`
	Approvals []Approval `json:"approvals"`
	Needs     int        `json:"needs"` // persons
	State     string     `json:"state"`
	Decided   time.Time  `json:"decided,omitzero"`
}

// Approval is one person's yes.
type Approval struct {
	Actor string    `json:"actor"`          // by whom it counts: two of the same are one person
	Name  string    `json:"name,omitempty"` // for people
	At    time.Time `json:"at"`
	Saw   string    `json:"saw,omitempty"` // what the proposal amounted to when it was shown; "": it can amount to one thing only
}

// Propose makes a proposal wait; one about the same object that waits already is superseded.
func (s *Store) Propose(ctx context.Context, p Proposal, entry AuditEntry) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		w.supersede(p.Kind, p.Object)
		w.exec("INSERT INTO proposal VALUES (?,?,?,?,?,?,?,?,?,?,?,'')", p.ID, p.Org, p.Kind, p.Object, p.Content, p.Why, p.Actor, stamp(s.now()),
			column(append([]Approval{}, p.Approvals...)), p.Needs, Waiting)
		w.audit(entry)
		return w.err
	})
}

func (w *writer) supersede(kind, object string) {
	w.exec("UPDATE proposal SET state=?, decided=? WHERE kind=? AND object=? AND state=?", Superseded, stamp(w.s.now()), kind, object, Waiting)
}

// Withdraw ends whatever waits about an object: its reason is gone.
func (s *Store) Withdraw(ctx context.Context, kind, object string) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		w.supersede(kind, object)
		return w.err
	})
}

func (w *writer) settleProposal(id, state string) {
	if id == "" {
		return
	}
	if w.exec("UPDATE proposal SET state=?, decided=? WHERE id=? AND state=?", state, stamp(w.s.now()), id, Waiting) == 0 && w.err == nil {
		w.err = fmt.Errorf("proposal %s waits no more: %w", id, ErrNotFound)
	}
}

// ErrSamePerson says that two different persons are needed.
var ErrSamePerson = errors.New("the same person approved already: another one must")

// Approve adds a person's yes to a proposal that waits; one to what it amounted to before is given up for it.
func (s *Store) Approve(ctx context.Context, id string, yes Approval, entry AuditEntry) (p Proposal, err error) {
	err = s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		rows, err := tx.Query("SELECT "+proposalColumns+" FROM proposal WHERE id=? AND state=?", id, Waiting)
		if err != nil {
			return fmt.Errorf("store: %w", err)
		}
		found := rows.Next()
		if found {
			p, err = scanProposal(rows)
		}
		if err = errors.Join(err, rows.Close()); err != nil || !found {
			return errors.Join(err, fmt.Errorf("proposal %s waits no more: %w", id, ErrNotFound))
		}
		if slices.ContainsFunc(p.Approvals, func(a Approval) bool { return a.Actor == yes.Actor && a.Saw == yes.Saw }) {
			return fmt.Errorf("%s: %w", cmp.Or(yes.Name, yes.Actor), ErrSamePerson)
		}
		yes.At = s.Now()
		p.Approvals = append(slices.DeleteFunc(p.Approvals, func(a Approval) bool { return a.Actor == yes.Actor }), yes)
		w.exec("UPDATE proposal SET approvals=? WHERE id=?", column(p.Approvals), id)
		w.audit(entry)
		return w.err
	})
	return p, err
}

// Reject ends a proposal without doing it.
func (s *Store) Reject(ctx context.Context, id string, entry AuditEntry) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		w.settleProposal(id, Rejected)
		w.audit(entry)
		return w.err
	})
}

const proposalColumns = "id, org, kind, object, content, why, actor, at, approvals, needs, state, decided"

func scanProposal(r *sql.Rows) (p Proposal, err error) {
	var at, approvals, decided string
	if err = r.Scan(&p.ID, &p.Org, &p.Kind, &p.Object, &p.Content, &p.Why, &p.Actor, &at, &approvals, &p.Needs, &p.State, &decided); err != nil {
		return p, err
	}
	p.At, p.Decided = parseStamp(at), parseStamp(decided)
	return p, json.Unmarshal([]byte(approvals), &p.Approvals)
}

// Proposals lists what waits, oldest first.
func (s *Store) Proposals(ctx context.Context) ([]Proposal, error) {
	return list(ctx, s, "SELECT "+proposalColumns+" FROM proposal WHERE state=? ORDER BY at, id", []any{Waiting}, scanProposal)
}

// Proposal is one proposal, in whatever state.
func (s *Store) Proposal(ctx context.Context, id string) (Proposal, error) {
	return one(ctx, s, "SELECT "+proposalColumns+" FROM proposal WHERE id=?", []any{id}, scanProposal)
}

// WaitingFor is what waits about one object (ErrNotFound: nothing does).
func (s *Store) WaitingFor(ctx context.Context, kind, object string) (Proposal, error) {
	return one(ctx, s, "SELECT "+proposalColumns+" FROM proposal WHERE state=? AND kind=? AND object=?", []any{Waiting, kind, object}, scanProposal)
}
