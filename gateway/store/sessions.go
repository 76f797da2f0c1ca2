package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"postern/gateway/auth"
	"postern/gateway/clinic/staff"
)

// MaxSessions bounds the sessions of one person, and the half ones; the oldest ends when one more begins.
const MaxSessions = 20

const sessionColumns = "hash, org, person, stage, method, peer, agent, created, seen, proved"

func scanSession(r *sql.Rows) (v auth.Session, err error) {
	var created, seen, proved string
	err = r.Scan(&v.Hash, &v.Org, &v.Person, &v.Stage, &v.Method, &v.Peer, &v.Agent, &created, &seen, &proved)
	v.Created, v.Seen, v.Proved = parseStamp(created), parseStamp(seen), parseStamp(proved)
	return v, err
}

// BeginSession keeps a new session in place of the one it follows ("" is none), and lets go of sessions
// that are over. Whole sign-ins and half ones are bounded apart: who has the password and no second proof pushes nobody out.
// It fails with ErrNotFound for somebody who is shut out.
func (s *Store) BeginSession(ctx context.Context, v auth.Session, instead string, entry AuditEntry) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		w.exec("DELETE FROM web_session WHERE hash=?", instead)
		return w.beginSession(v, entry)
	})
}

// GrowSession makes a whole sign-in of a half one. It fails with ErrNotFound where the half one is no more: somebody signed
// the person out, changed the password or grew it already, while the second proof was on its way.
func (s *Store) GrowSession(ctx context.Context, v auth.Session, half string, entry AuditEntry) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		if w.exec("DELETE FROM web_session WHERE hash=? AND person=? AND stage=?", half, v.Person, auth.Half) == 0 && w.err == nil {
			return fmt.Errorf("store: half a sign-in: %w", ErrNotFound)
		}
		return w.beginSession(v, entry)
	})
}

func (w *writer) beginSession(v auth.Session, entry AuditEntry) error {
	if !w.exists("SELECT 1 FROM person WHERE id=? AND org=? AND disabled=''", v.Person, v.Org) {
		return errors.Join(w.err, fmt.Errorf("store: person %s: %w", v.Person, ErrNotFound))
	}
	w.exec("DELETE FROM web_session WHERE created<=?", stamp(w.s.now().Add(-auth.SessionTotal)))
	w.exec(`DELETE FROM web_session WHERE person=? AND stage=? AND hash NOT IN (SELECT hash FROM web_session WHERE person=? AND stage=? ORDER BY created DESC LIMIT ?)`,
		v.Person, v.Stage, v.Person, v.Stage, MaxSessions-1)
	w.exec("INSERT INTO web_session("+sessionColumns+") VALUES (?,?,?,?,?,?,?,?,?,?)", v.Hash, v.Org, v.Person, v.Stage, v.Method,
		v.Peer, v.Agent, stamp(v.Created), stamp(v.Seen), stamp(v.Proved))
	w.audit(entry)
	return w.err
}

// Session is the session of a hash (ErrNotFound). Whether it is still alive is the caller's to ask.
func (s *Store) Session(ctx context.Context, hash string) (auth.Session, error) {
	return one(ctx, s, "SELECT "+sessionColumns+" FROM web_session WHERE hash=?", []any{hash}, scanSession)
}

// Sessions lists a person's sessions that are signed in, the latest first.
func (s *Store) Sessions(ctx context.Context, org string, id staff.PersonID) ([]auth.Session, error) {
	return list(ctx, s, "SELECT "+sessionColumns+" FROM web_session WHERE org=? AND person=? AND stage=? ORDER BY seen DESC",
		[]any{org, id, auth.Full}, scanSession)
}

// TouchSession says that a person used the session at that time.
func (s *Store) TouchSession(ctx context.Context, hash string, at time.Time) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		w.exec("UPDATE web_session SET seen=? WHERE hash=? AND seen<?", stamp(at), hash, stamp(at))
		return w.err
	})
}

// ProveSession says that the person of the session proved at that time who they are.
func (s *Store) ProveSession(ctx context.Context, hash string, at time.Time) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		w.exec("UPDATE web_session SET proved=? WHERE hash=?", stamp(at), hash)
		return w.err
	})
}

// EndSession ends one session of a person.
func (s *Store) EndSession(ctx context.Context, org string, id staff.PersonID, hash string, entry AuditEntry) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		if w.exec("DELETE FROM web_session WHERE org=? AND person=? AND hash=?", org, id, hash) == 0 && w.err == nil {
			return ErrNotFound
		}
		w.audit(entry)
		return w.err
	})
}

// EndSessions ends all sessions of a person but one ("" ends all).
func (s *Store) EndSessions(ctx context.Context, org string, id staff.PersonID, but string, entry AuditEntry) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		w.exec("DELETE FROM web_session WHERE org=? AND person=? AND hash<>?", org, id, but)
		w.audit(entry)
		return w.err
	})
}

// Emergencies lists a person's emergency access that is not over.
func (s *Store) Emergencies(ctx context.Context, org string, id staff.PersonID) ([]staff.BreakGlass, error) {
	return list(ctx, s, "SELECT id, person, pool, reason, at, until FROM break_glass WHERE org=? AND person=? AND until>?",
		[]any{org, id, stamp(s.now())}, scanBreakGlass)
}

func scanBreakGlass(r *sql.Rows) (b staff.BreakGlass, err error) {
	var at, until string
	err = r.Scan(&b.ID, &b.Person, &b.Pool, &b.Reason, &at, &until)
	b.At, b.Until = parseStamp(at), parseStamp(until)
	return b, err
}
