package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"postern/gateway/clinic/staff"
)

// Kinds of factor.
const (
	FactorTOTP     = "totp"     // data: the sealed secret; counter: the last step that was used
	FactorPasskey  = "passkey"  // lookup: the credential's id; data: the credential
	FactorRecovery = "recovery" // lookup: the hash of one code, which works once
	FactorOIDC     = "oidc"     // lookup: issuer and subject at the single sign-on
)

// Factor is a way to prove who one is, besides the password or instead of it.
type Factor struct {
	ID      string
	Org     string
	Person  staff.PersonID
	Kind    string
	Name    string // as the person calls it
	Lookup  string // by which it is found in its organisation; "" is by its person only
	Data    []byte
	Counter int64
	Created time.Time
	Used    time.Time // zero: never
}

const factorColumns = "id, org, person, kind, name, lookup, data, counter, created, used"

func scanFactor(r *sql.Rows) (f Factor, err error) {
	var created, used string
	err = r.Scan(&f.ID, &f.Org, &f.Person, &f.Kind, &f.Name, &f.Lookup, &f.Data, &f.Counter, &created, &used)
	f.Created, f.Used = parseStamp(created), parseStamp(used)
	return f, err
}

// AddFactors adds factors of one person, in place of those of the kinds named.
func (s *Store) AddFactors(ctx context.Context, p staff.Person, fs []Factor, instead []string, entry AuditEntry) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		for _, kind := range instead {
			w.exec("DELETE FROM factor WHERE org=? AND person=? AND kind=?", p.Org, p.ID, kind)
		}
		for _, f := range fs {
			if w.exec("INSERT INTO factor("+factorColumns+") VALUES (?,?,?,?,?,?,?,?,?,'') ON CONFLICT DO NOTHING", f.ID, p.Org, p.ID, f.Kind, f.Name, f.Lookup,
				f.Data, f.Counter, stamp(s.now())) == 0 && w.err == nil {
				return fmt.Errorf("%s: %w", f.Kind, ErrExists)
			}
		}
		w.audit(entry)
		return w.err
	})
}

// Factors lists the factors of a person.
func (s *Store) Factors(ctx context.Context, org string, id staff.PersonID) ([]Factor, error) {
	return list(ctx, s, "SELECT "+factorColumns+" FROM factor WHERE org=? AND person=? ORDER BY kind, created", []any{org, id}, scanFactor)
}

// FactorByLookup is a factor of an organisation by what it is found by.
func (s *Store) FactorByLookup(ctx context.Context, org, kind, lookup string) (Factor, error) {
	return one(ctx, s, "SELECT "+factorColumns+" FROM factor WHERE org=? AND kind=? AND lookup=?", []any{org, kind, lookup}, scanFactor)
}

// UseFactor says that a factor was used. Its counter must rise, so that of two uses of one code one wins; data
// replaces what was kept unless it is nil. ErrNotFound when the counter has not risen or the factor is gone.
func (s *Store) UseFactor(ctx context.Context, f Factor, counter int64, data []byte) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		if w.exec("UPDATE factor SET counter=?, used=?, data=COALESCE(?, data) WHERE org=? AND id=? AND counter<?", counter, stamp(s.now()), data,
			f.Org, f.ID, counter) == 0 && w.err == nil {
			return ErrNotFound
		}
		return w.err
	})
}

// SpendFactor removes a factor that works once; ErrNotFound when another was quicker.
func (s *Store) SpendFactor(ctx context.Context, f Factor, entry AuditEntry) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		if w.exec("DELETE FROM factor WHERE org=? AND person=? AND id=?", f.Org, f.Person, f.ID) == 0 && w.err == nil {
			return ErrNotFound
		}
		w.audit(entry)
		return w.err
	})
}

// DropFactors removes a person's factors of a kind, or all of them ("").
func (s *Store) DropFactors(ctx context.Context, p staff.Person, kind string, entry AuditEntry) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		w.exec("DELETE FROM factor WHERE org=? AND person=? AND (?='' OR kind=?)", p.Org, p.ID, kind, kind)
		w.audit(entry)
		return w.err
	})
}
