package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"postern/gateway/auth"
	"postern/smime/addr"
)

// Account is a login of ours for submission, and the addresses it may use.
type Account struct {
	Login     string         `json:"login"`
	Org       string         `json:"org"`
	Record    string         `json:"-"` // argon2id record
	Addresses []addr.Address `json:"addresses"`
}

// AddAccount adds a login; its addresses must be ours.
func (s *Store) AddAccount(ctx context.Context, a Account, entry AuditEntry) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		if w.exec("INSERT INTO account(login, org, record, created) VALUES (?,?,?,?) ON CONFLICT DO NOTHING", a.Login, a.Org, a.Record,
			stamp(s.now())) == 0 && w.err == nil {
			return fmt.Errorf("login %s: %w", a.Login, ErrExists)
		}
		for _, ad := range a.Addresses {
			if !w.exists("SELECT 1 FROM address WHERE key=? AND until=''", ad.Key()) && w.err == nil {
				return fmt.Errorf("address %s: %w", ad, ErrNotFound)
			}
			w.exec("INSERT INTO account_address VALUES (?,?)", a.Login, ad.Key())
		}
		w.audit(entry)
		return w.err
	})
}

// RemoveAccount removes a login.
func (s *Store) RemoveAccount(ctx context.Context, login string, entry AuditEntry) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		w.exec("DELETE FROM account_address WHERE login=?", login)
		if w.exec("DELETE FROM account WHERE login=?", login) == 0 && w.err == nil {
			return fmt.Errorf("login %s: %w", login, ErrNotFound)
		}
		w.audit(entry)
		return w.err
	})
}

// Record is the principal and password record of a login (auth.Accounts). The principal is the login.
func (s *Store) Record(ctx context.Context, login string) (principal, record string, err error) {
	err = s.read.QueryRowContext(ctx, "SELECT login, record FROM account WHERE login=? AND disabled=''", login).Scan(&principal, &record)
	if errors.Is(err, sql.ErrNoRows) {
		return "", "", fmt.Errorf("%w: %w", auth.ErrNoAccount, ErrNotFound)
	}
	return principal, record, err
}

// MayUse reports whether a login may send as an address (EP-05); a +tag does not matter.
func (s *Store) MayUse(ctx context.Context, principal string, a addr.Address) (bool, error) {
	n, err := one(ctx, s, `SELECT count(*) FROM account_address u JOIN account c ON c.login=u.login
		WHERE u.login=? AND u.address=? AND c.disabled=''`, []any{principal, a.WithoutTag().Key()}, func(r *sql.Rows) (n int, err error) { return n, r.Scan(&n) })
	return n > 0, err
}

// Accounts lists the logins.
func (s *Store) Accounts(ctx context.Context) ([]Account, error) {
	as, err := list(ctx, s, "SELECT login, org, record FROM account WHERE disabled='' ORDER BY login", nil, func(r *sql.Rows) (a Account, err error) {
		err = r.Scan(&a.Login, &a.Org, &a.Record)
		return a, err
	})
	for i := range as {
		keys, err := list(ctx, s, "SELECT address FROM account_address WHERE login=? ORDER BY address", []any{as[i].Login}, func(r *sql.Rows) (k string, err error) {
			err = r.Scan(&k)
			return k, err
		})
		if err != nil {
			return nil, err
		}
		for _, k := range keys {
			a, err := addr.Parse(k)
			if err != nil {
				return nil, err
			}
			as[i].Addresses = append(as[i].Addresses, a)
		}
	}
	return as, err
}
