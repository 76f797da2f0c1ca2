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

// MaxPeople bounds the people of one organisation.
const MaxPeople = 5000

// ErrLastAdministrator means that nobody would be left who may manage people.
var ErrLastAdministrator = errors.New("store: nobody would be left who manages people")

const personColumns = "id, org, login, name, title, role, admin, zone, disabled"

func scanPerson(r *sql.Rows) (p staff.Person, err error) {
	var disabled string
	err = r.Scan(&p.ID, &p.Org, &p.Login, &p.Name, &p.Title, &p.Role, &p.Admin, &p.Zone, &disabled)
	p.Disabled = disabled != ""
	return p, err
}

// AddPerson adds a person (ErrExists when the organisation has the login). An empty record is a person who has
// no password yet.
func (s *Store) AddPerson(ctx context.Context, p staff.Person, record string, entry AuditEntry) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		if w.exists("SELECT 1 FROM person WHERE org=? LIMIT 1 OFFSET ?", p.Org, MaxPeople-1) {
			return fmt.Errorf("store: an organisation has at most %d people", MaxPeople)
		}
		if w.exec("INSERT INTO person("+personColumns+", record, created) VALUES (?,?,?,?,?,?,?,?,'',?,?) ON CONFLICT DO NOTHING",
			p.ID, p.Org, p.Login, p.Name, p.Title, p.Role, p.Admin, p.Zone, record, stamp(s.now())) == 0 && w.err == nil {
			return fmt.Errorf("person %s: %w", p.Login, ErrExists)
		}
		w.audit(entry)
		return w.err
	})
}

// SetPerson changes name, title, role, admin, zone and whether the person is disabled; login and id stay. Unless
// forced it refuses to leave nobody who manages people (ErrLastAdministrator). Who is disabled is signed out.
func (s *Store) SetPerson(ctx context.Context, p staff.Person, forced bool, entry AuditEntry) error {
	return s.doDesk(ctx, func(w *writer) error {
		disabled := ""
		if p.Disabled {
			disabled = stamp(s.now())
		}
		if w.exec("UPDATE person SET name=?, title=?, role=?, admin=?, zone=?, disabled=CASE WHEN ?<>'' AND disabled<>'' THEN disabled ELSE ? END WHERE org=? AND id=?",
			p.Name, p.Title, p.Role, p.Admin, p.Zone, disabled, disabled, p.Org, p.ID) == 0 && w.err == nil {
			return fmt.Errorf("person %s: %w", p.ID, ErrNotFound)
		}
		if p.Disabled {
			w.signOut(p.ID, "")
			w.exec("DELETE FROM invitation WHERE person=?", p.ID)
		}
		w.freed(p.Org, p.ID)
		if !forced && w.err == nil && !w.exists("SELECT 1 FROM person WHERE org=? AND disabled='' AND (admin<>0 OR role=?)", p.Org, staff.Manager) && w.err == nil {
			return ErrLastAdministrator
		}
		w.audit(entry)
		return w.err
	})
}

// freed gives back to the teams whatever open work a person has and may not work on any more: nothing is in hands
// that cannot open it. What waited no longer waits: somebody looks at it now.
func (w *writer) freed(org string, id staff.PersonID) {
	if w.err != nil {
		return
	}
	type place struct {
		pool  string
		scope staff.Category
	}
	places, err := listTx(w, "SELECT DISTINCT pool, scope FROM work WHERE org=? AND owner=? AND state<>'done'", []any{org, id}, func(r *sql.Rows) (p place, err error) {
		return p, r.Scan(&p.pool, &p.scope)
	})
	if err != nil {
		w.err = err
		return
	}
	for _, p := range places {
		if w.levelOf(org, id, p.pool, p.scope) < staff.Draft {
			w.exec("UPDATE work SET owner='', state='new', due='', changed=?, version=version+1 WHERE org=? AND owner=? AND pool=? AND scope=? AND state<>'done'",
				stamp(w.s.now()), org, id, p.pool, p.scope)
		}
	}
}

// signOut ends a person's sessions but one.
func (w *writer) signOut(id staff.PersonID, but string) {
	w.exec("DELETE FROM web_session WHERE person=? AND hash<>?", id, but)
}

// People lists the people of an organisation, by name.
func (s *Store) People(ctx context.Context, org string) ([]staff.Person, error) {
	return list(ctx, s, "SELECT "+personColumns+" FROM person WHERE org=? ORDER BY name, login", []any{org}, scanPerson)
}

// Person is one person of an organisation.
func (s *Store) Person(ctx context.Context, org string, id staff.PersonID) (staff.Person, error) {
	return one(ctx, s, "SELECT "+personColumns+" FROM person WHERE org=? AND id=?", []any{org, id}, scanPerson)
}

// PersonByLogin is the person of a login in an organisation.
func (s *Store) PersonByLogin(ctx context.Context, org, login string) (staff.Person, error) {
	return one(ctx, s, "SELECT "+personColumns+" FROM person WHERE org=? AND login=?", []any{org, login}, scanPerson)
}

// PersonRecord is the id and password record of a login in an organisation. A person who is disabled or has no
// password is auth.ErrNoAccount, as one who does not exist.
func (s *Store) PersonRecord(ctx context.Context, org, login string) (id, record string, err error) {
	err = s.read.QueryRowContext(ctx, "SELECT id, record FROM person WHERE org=? AND login=? AND disabled='' AND record<>''", org, login).Scan(&id, &record)
	if errors.Is(err, sql.ErrNoRows) {
		return "", "", fmt.Errorf("%w: %w", auth.ErrNoAccount, ErrNotFound)
	}
	return id, record, err
}

// SetPassword gives a person a new password record and signs out every session but the one named; one-time
// links end. Every caller must have proved the right to.
func (s *Store) SetPassword(ctx context.Context, p staff.Person, record, but string, entry AuditEntry) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		if w.exec("UPDATE person SET record=? WHERE org=? AND id=?", record, p.Org, p.ID) == 0 && w.err == nil {
			return fmt.Errorf("person %s: %w", p.ID, ErrNotFound)
		}
		w.signOut(p.ID, but)
		w.exec("DELETE FROM invitation WHERE person=?", p.ID)
		w.audit(entry)
		return w.err
	})
}

// Invite keeps the hash of a one-time link for a person; earlier ones end.
func (s *Store) Invite(ctx context.Context, p staff.Person, hash string, ends time.Time, entry AuditEntry) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		w.exec("DELETE FROM invitation WHERE person=? OR ends<=?", p.ID, stamp(s.now()))
		w.exec("INSERT INTO invitation VALUES (?,?,?,?,?)", hash, p.Org, p.ID, stamp(s.now()), stamp(ends))
		w.audit(entry)
		return w.err
	})
}

// Invited is the person a one-time link is for; ErrNotFound when it is unknown, used or over.
func (s *Store) Invited(ctx context.Context, hash string) (staff.Person, error) {
	return one(ctx, s, `SELECT p.id, p.org, p.login, p.name, p.title, p.role, p.admin, p.zone, p.disabled FROM invitation i
		JOIN person p ON p.id=i.person WHERE i.hash=? AND i.ends>? AND p.disabled=''`, []any{hash, stamp(s.now())}, scanPerson)
}

// Redeem sets the password of whom a one-time link is for and ends the link: of two who come with it, one wins.
func (s *Store) Redeem(ctx context.Context, hash, record string, entry func(staff.Person) AuditEntry) (staff.Person, error) {
	p, err := s.Invited(ctx, hash)
	if err != nil {
		return p, err
	}
	return p, s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		if w.exec("DELETE FROM invitation WHERE hash=? AND ends>?", hash, stamp(s.now())) == 0 && w.err == nil {
			return ErrNotFound
		}
		w.exec("UPDATE person SET record=? WHERE org=? AND id=? AND disabled=''", record, p.Org, p.ID)
		w.signOut(p.ID, "")
		w.audit(entry(p))
		return w.err
	})
}

// Memberships is what a person may do in pools.
func (s *Store) Memberships(ctx context.Context, org string, id staff.PersonID) ([]staff.Membership, error) {
	return list(ctx, s, "SELECT pool, category, level FROM membership WHERE org=? AND person=? ORDER BY pool, category LIMIT ?",
		[]any{org, id, staff.MaxMemberships}, scanMembership)
}

func scanMembership(r *sql.Rows) (m staff.Membership, err error) {
	var c staff.Category
	if err = r.Scan(&m.Pool, &c, &m.Level); c != "" {
		m.Categories = []staff.Category{c}
	}
	return m, err
}

// SetMemberships replaces what a person may do in one pool; nothing takes the person out of it.
func (s *Store) SetMemberships(ctx context.Context, p staff.Person, pool string, ms []staff.Membership, entry AuditEntry) error {
	return s.doDesk(ctx, func(w *writer) error {
		if !w.exists("SELECT 1 FROM person WHERE org=? AND id=?", p.Org, p.ID) && w.err == nil {
			return fmt.Errorf("person %s: %w", p.ID, ErrNotFound)
		}
		w.exec("DELETE FROM membership WHERE org=? AND person=? AND pool=?", p.Org, p.ID, pool)
		for _, m := range ms {
			cats := m.Categories
			if len(cats) == 0 {
				cats = []staff.Category{""}
			}
			for _, c := range cats {
				w.exec("INSERT INTO membership VALUES (?,?,?,?,?)", p.Org, p.ID, pool, c, m.Level)
			}
		}
		if w.exists("SELECT 1 FROM membership WHERE person=? LIMIT 1 OFFSET ?", p.ID, staff.MaxMemberships) {
			return fmt.Errorf("store: one person has at most %d memberships", staff.MaxMemberships)
		}
		w.freed(p.Org, p.ID)
		w.audit(entry)
		return w.err
	})
}

// Members lists who belongs to a pool and is not disabled, with each one's memberships there.
func (s *Store) Members(ctx context.Context, org, pool string) (map[staff.PersonID][]staff.Membership, error) {
	type row struct {
		id staff.PersonID
		m  staff.Membership
	}
	rows, err := list(ctx, s, `SELECT m.person, m.category, m.level FROM membership m JOIN person p ON p.id=m.person
		WHERE m.org=? AND m.pool=? AND p.disabled='' ORDER BY m.person, m.category`, []any{org, pool}, func(r *sql.Rows) (v row, err error) {
		var c staff.Category
		v.m.Pool = pool
		if err = r.Scan(&v.id, &c, &v.m.Level); c != "" {
			v.m.Categories = []staff.Category{c}
		}
		return v, err
	})
	out := map[staff.PersonID][]staff.Membership{}
	for _, r := range rows {
		out[r.id] = append(out[r.id], r.m)
	}
	return out, err
}
