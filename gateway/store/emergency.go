package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"postern/gateway/clinic/staff"
)

// MaxEmergencies bounds a list of emergency access.
const MaxEmergencies = 200

// Emergency is one emergency access, for who answers for the pool.
type Emergency struct {
	staff.BreakGlass
	Name       string // of the person who took it
	Answered   time.Time
	AnsweredBy string // login of the owner who said they saw it
}

// AddEmergency keeps emergency access; it counts from the next request on.
func (s *Store) AddEmergency(ctx context.Context, org string, b staff.BreakGlass, entry AuditEntry) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		if !w.exists("SELECT 1 FROM person WHERE org=? AND id=? AND disabled=''", org, b.Person) && w.err == nil {
			return fmt.Errorf("person %s: %w", b.Person, ErrNotFound)
		}
		w.exec("INSERT INTO break_glass VALUES (?,?,?,?,?,?,?,'','')", b.ID, org, b.Person, b.Pool, b.Reason, stamp(b.At), stamp(b.Until))
		w.audit(entry)
		return w.err
	})
}

// EmergenciesSince lists emergency access of an organisation since a time, the latest first.
func (s *Store) EmergenciesSince(ctx context.Context, org string, since time.Time) ([]Emergency, error) {
	return list(ctx, s, `SELECT b.id, b.person, b.pool, b.reason, b.at, b.until, p.name, b.answered, b.answered_by FROM break_glass b
		JOIN person p ON p.id=b.person WHERE b.org=? AND b.at>=? ORDER BY b.at DESC LIMIT ?`, []any{org, stamp(since), MaxEmergencies}, func(r *sql.Rows) (e Emergency, err error) {
		var at, until, answered string
		err = r.Scan(&e.ID, &e.Person, &e.Pool, &e.Reason, &at, &until, &e.Name, &answered, &e.AnsweredBy)
		e.At, e.Until, e.Answered = parseStamp(at), parseStamp(until), parseStamp(answered)
		return e, err
	})
}

// UnseenEmergencies is how often others took emergency access to what the person answers for, and the person has not
// said that they saw it.
func (s *Store) UnseenEmergencies(ctx context.Context, org string, owner staff.PersonID) (n int, err error) {
	err = s.read.QueryRowContext(ctx, `SELECT count(*) FROM break_glass b JOIN pool p ON p.id=b.pool AND p.org=b.org
		WHERE b.org=? AND b.answered='' AND b.person<>? AND p.owner=?`, org, owner, owner).Scan(&n)
	return n, err
}

// AnswerEmergency says that who answers for the pool has seen it.
func (s *Store) AnswerEmergency(ctx context.Context, org, id string, by staff.Person, entry AuditEntry) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		if w.exec("UPDATE break_glass SET answered=?, answered_by=? WHERE org=? AND id=? AND answered=''", stamp(s.now()), by.Login, org, id) == 0 && w.err == nil {
			return ErrNotFound
		}
		w.audit(entry)
		return w.err
	})
}

// EndEmergency ends a person's emergency access early.
func (s *Store) EndEmergency(ctx context.Context, org string, id string, by staff.PersonID, entry AuditEntry) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		now := stamp(s.now())
		if w.exec("UPDATE break_glass SET until=? WHERE org=? AND id=? AND person=? AND until>?", now, org, id, by, now) == 0 && w.err == nil {
			return ErrNotFound
		}
		w.audit(entry)
		return w.err
	})
}

// SingleSignOn is an organisation's provider as it is stored.
type SingleSignOn struct {
	Issuer, Client string
	Secret         []byte // sealed
	Claim          string `json:"claim"`
	Suffix         string `json:"suffix"`
}

// SetSingleSignOn keeps an organisation's provider; one without issuer ends single sign-on and unlinks everybody.
func (s *Store) SetSingleSignOn(ctx context.Context, org string, v SingleSignOn, entry AuditEntry) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		w.exec("DELETE FROM single_sign_on WHERE org=?", org)
		if v.Issuer == "" {
			w.exec("DELETE FROM factor WHERE org=? AND kind=?", org, FactorOIDC)
		} else {
			w.exec("INSERT INTO single_sign_on VALUES (?,?,?,?,?,?)", org, v.Issuer, v.Client, append([]byte{}, v.Secret...), column(map[string]string{"claim": v.Claim, "suffix": v.Suffix}), stamp(s.now()))
		}
		w.audit(entry)
		return w.err
	})
}

// SingleSignOn is an organisation's provider (ErrNotFound when it has none).
func (s *Store) SingleSignOn(ctx context.Context, org string) (SingleSignOn, error) {
	return one(ctx, s, "SELECT issuer, client, secret, settings FROM single_sign_on WHERE org=?", []any{org}, func(r *sql.Rows) (v SingleSignOn, err error) {
		var settings string
		if err = r.Scan(&v.Issuer, &v.Client, &v.Secret, &settings); err == nil {
			err = json.Unmarshal([]byte(settings), &v)
		}
		return v, err
	})
}
