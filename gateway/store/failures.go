package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"postern/gateway/clinic/staff"
)

// FailureKind is what did not fit when somebody tried to sign in; it names a column.
type FailureKind string

// The kinds.
const (
	FailedPassword FailureKind = "password"
	FailedSecond   FailureKind = "second" // code, recovery code or passkey after the password
	FailedPasskey  FailureKind = "passkey"
	FailedSingle   FailureKind = "single" // single sign-on
	FailedLink     FailureKind = "link"   // a one-time link that is none
)

// ActionSignInFailed is the audit's action for tries that failed.
const ActionSignInFailed = "person.sign_in_failed"

// MaxFailuresNamed bounds the people of one organisation whose failures of one hour the audit names; those of more
// are counted together, without names.
const MaxFailuresNamed = 50

// maxFailuresTold bounds what one TellFailures does; the rest is for the next.
const maxFailuresTold = 500

// CountFailure counts one try to sign in that failed, for a person of an organisation or, with "", for whoever was
// meant: nothing that was typed is kept. The audit hears of it by TellFailures.
func (s *Store) CountFailure(ctx context.Context, org string, who staff.PersonID, kind FailureKind, peer string) error {
	switch kind {
	case FailedPassword, FailedSecond, FailedPasskey, FailedSingle, FailedLink:
	default:
		return fmt.Errorf("store: %q is no kind of failure", kind)
	}
	return s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		w.exec("INSERT INTO sign_in_failure (org, person, hour, "+string(kind)+", peer) VALUES (?,?,?,1,?) ON CONFLICT (org, person, hour) DO UPDATE SET "+
			string(kind)+"=sign_in_failure."+string(kind)+"+1, peer=excluded.peer", org, who, stamp(s.now().Truncate(time.Hour)), peer)
		return w.err
	})
}

// failures is the count of one person and hour.
type failures struct {
	org, person, login, hour, peer string
	counts                         [5]int // in the order of failureColumns
	told                           int
}

const failureColumns = "password, second, passkey, single, link"

func (f failures) sum() (n int) {
	for _, c := range f.counts {
		n += c
	}
	return n
}

// detail is what the audit says: how often what failed, and from where the last of them came.
func (f failures) detail(over bool) map[string]any {
	d := map[string]any{"hour": f.hour, "last_from": f.peer, "whole_hour": over}
	for i, kind := range []FailureKind{FailedPassword, FailedSecond, FailedPasskey, FailedSingle, FailedLink} {
		if f.counts[i] > 0 {
			d[string(kind)] = f.counts[i]
		}
	}
	if f.person == "" {
		d["who"] = "nobody of that name, or more people than are named"
	}
	return d
}

// TellFailures writes into the audit what CountFailure counted: of each person one entry when it begins, and one for
// the whole hour when that is over and there were more. So a stranger who tries for ever adds, in an hour, at most
// two entries for each of MaxFailuresNamed people and two for all others of an organisation.
func (s *Store) TellFailures(ctx context.Context) error {
	now := stamp(s.now().Truncate(time.Hour))
	due, err := list(ctx, s, "SELECT 1 FROM sign_in_failure WHERE told=0 OR hour<? LIMIT 1", []any{now}, func(r *sql.Rows) (n int, err error) { return n, r.Scan(&n) })
	if err != nil || len(due) == 0 {
		return err
	}
	return s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		all, err := listTx(w, "SELECT f.org, f.person, COALESCE(p.login, ''), f.hour, f.peer, f.told, "+failureColumns+` FROM sign_in_failure f
			LEFT JOIN person p ON p.id=f.person AND p.org=f.org WHERE f.told=0 OR f.hour<? ORDER BY f.hour, f.org, f.person DESC LIMIT ?`, []any{now, maxFailuresTold}, scanFailures)
		if err != nil {
			return err
		}
		for _, f := range all {
			w.tellFailures(f, f.hour < now)
		}
		w.exec("DELETE FROM sign_in_failure WHERE hour<? AND told="+strings.ReplaceAll(failureColumns, ", ", "+"), now)
		return w.err
	})
}

func scanFailures(r *sql.Rows) (f failures, err error) {
	c := &f.counts
	return f, r.Scan(&f.org, &f.person, &f.login, &f.hour, &f.peer, &f.told, &c[0], &c[1], &c[2], &c[3], &c[4])
}

// tellFailures tells of one count; over is whether its hour is.
func (w *writer) tellFailures(f failures, over bool) {
	const key = "org=? AND person=? AND hour=?"
	if f.person != "" && f.told == 0 && w.exists("SELECT 1 FROM sign_in_failure WHERE org=? AND hour=? AND person<>'' AND told>0 LIMIT 1 OFFSET ?", f.org, f.hour, MaxFailuresNamed-1) {
		c := f.counts
		w.exec("INSERT INTO sign_in_failure (org, person, hour, "+failureColumns+`, peer) VALUES (?,'',?,?,?,?,?,?,?) ON CONFLICT (org, person, hour) DO UPDATE SET
			password=sign_in_failure.password+excluded.password, second=sign_in_failure.second+excluded.second, passkey=sign_in_failure.passkey+excluded.passkey,
			single=sign_in_failure.single+excluded.single, link=sign_in_failure.link+excluded.link, peer=excluded.peer`, f.org, f.hour, c[0], c[1], c[2], c[3], c[4], f.peer)
		w.exec("DELETE FROM sign_in_failure WHERE "+key, f.org, f.person, f.hour)
		return
	}
	if n := f.sum(); n > f.told {
		w.audit(AuditEntry{Org: f.org, Actor: "gateway", Action: ActionSignInFailed, Object: f.login, Detail: f.detail(over)})
		w.exec("UPDATE sign_in_failure SET told=? WHERE "+key, n, f.org, f.person, f.hour)
	}
}
