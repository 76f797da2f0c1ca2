package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"postern/gateway/clinic/pool"
	"postern/gateway/clinic/rule"
	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/work"
)

// firstPool makes an organisation's catch-all pool. Its owner is the first who manages people, when there is
// somebody; EnsurePools names one later.
func (w *writer) firstPool(org string) string {
	id := pool.NewID()
	w.exec("INSERT INTO pool VALUES (?,?,?,'',coalesce((SELECT id FROM person WHERE org=? AND disabled='' AND (admin<>0 OR role=?) ORDER BY created, id LIMIT 1), ''),1,'',1,?,'')",
		id, org, pool.FirstName, org, staff.Manager, stamp(w.s.now()))
	return id
}

// EnsurePools makes sure that an organisation has its catch-all pool, and that each pool without an owner gets
// the first person who manages people.
func (s *Store) EnsurePools(ctx context.Context, org string) error {
	return s.doDesk(ctx, func(w *writer) error {
		w.catchAll(org)
		w.exec("UPDATE pool SET owner=coalesce((SELECT id FROM person WHERE org=? AND disabled='' AND (admin<>0 OR role=?) ORDER BY created, id LIMIT 1), '') WHERE org=? AND owner=''",
			org, staff.Manager, org)
		return w.err
	})
}

const poolColumns = "id, org, name, purpose, owner, catch_all, zone, version, created, retired"

func scanPool(r *sql.Rows) (p pool.Pool, err error) {
	var created, retired string
	err = r.Scan(&p.ID, &p.Org, &p.Name, &p.Purpose, &p.Owner, &p.CatchAll, &p.Zone, &p.Version, &created, &retired)
	p.Created, p.Retired = parseStamp(created), parseStamp(retired)
	return p, err
}

// Pools lists an organisation's pools in use, the catch-all last.
func (s *Store) Pools(ctx context.Context, org string) ([]pool.Pool, error) {
	return list(ctx, s, "SELECT "+poolColumns+" FROM pool WHERE org=? AND retired='' ORDER BY catch_all, lower(name) LIMIT ?", []any{org, pool.MaxPools}, scanPool)
}

// Pool is one pool of an organisation, closed ones included (ErrNotFound otherwise).
func (s *Store) Pool(ctx context.Context, org, id string) (pool.Pool, error) {
	return one(ctx, s, "SELECT "+poolColumns+" FROM pool WHERE org=? AND id=?", []any{org, id}, scanPool)
}

// ErrStalePool means that a pool or a list of rules was changed by somebody else since it was read.
var ErrStalePool = errors.New("store: somebody changed it since it was read")

// SavePool makes a pool (Version 0) or changes its name, purpose, owner and zone. The owner is a person of the
// organisation. It fails with ErrExists when another pool has the name and ErrStalePool when it was changed since.
func (s *Store) SavePool(ctx context.Context, p pool.Pool, entry AuditEntry) error {
	if err := p.Check(); err != nil {
		return err
	}
	return s.doDesk(ctx, func(w *writer) error {
		if !w.exists("SELECT 1 FROM person WHERE id=? AND org=? AND disabled=''", p.Owner, p.Org) && w.err == nil {
			return pool.ErrOwner
		}
		if w.exists("SELECT 1 FROM pool WHERE org=? AND lower(name)=lower(?) AND retired='' AND id<>?", p.Org, p.Name, p.ID) {
			return fmt.Errorf("pool %q: %w", p.Name, ErrExists)
		}
		if p.Version == 0 {
			if w.exists("SELECT 1 FROM pool WHERE org=? LIMIT 1 OFFSET ?", p.Org, pool.MaxPools-1) {
				return fmt.Errorf("store: an organisation has at most %d teams", pool.MaxPools)
			}
			w.exec("INSERT INTO pool VALUES (?,?,?,?,?,0,?,1,?,'')", p.ID, p.Org, p.Name, p.Purpose, p.Owner, p.Zone, stamp(s.now()))
		} else if w.exec("UPDATE pool SET name=?, purpose=?, owner=?, zone=?, version=version+1 WHERE id=? AND org=? AND version=? AND retired=''",
			p.Name, p.Purpose, p.Owner, p.Zone, p.ID, p.Org, p.Version) == 0 && w.err == nil {
			return ErrStalePool
		}
		w.audit(entry)
		return w.err
	})
}

// PoolInUse means that a rule sends to a pool that was to be closed.
type PoolInUse struct{ Rule string }

// Error says which.
func (e *PoolInUse) Error() string {
	return fmt.Sprintf("store: the rule %q sends to this team: change it first", e.Rule)
}

// RetirePool closes a pool that has no open work and that no rule names. The catch-all cannot be closed.
func (s *Store) RetirePool(ctx context.Context, org, id string, entry AuditEntry) error {
	return s.doDesk(ctx, func(w *writer) error {
		if w.exists("SELECT 1 FROM work WHERE org=? AND pool=? AND state<>'done' LIMIT 1", org, id) {
			return pool.ErrNotEmpty
		}
		set, err := w.rules(org)
		if err != nil {
			return err
		}
		for _, r := range set.Rules {
			if r.Pool == id {
				return &PoolInUse{r.Name}
			}
		}
		if w.exists("SELECT 1 FROM pool WHERE org=? AND id=? AND catch_all=1", org, id) {
			return pool.ErrCatchAll
		}
		if w.exec("UPDATE pool SET retired=?, version=version+1 WHERE org=? AND id=? AND retired=''", stamp(s.now()), org, id) == 0 && w.err == nil {
			return fmt.Errorf("pool %s: %w", id, ErrNotFound)
		}
		w.audit(entry)
		return w.err
	})
}

// PoolMembers counts who belongs to each pool of an organisation.
func (s *Store) PoolMembers(ctx context.Context, org string) (map[string]int, error) {
	type row struct {
		id string
		n  int
	}
	rows, err := list(ctx, s, `SELECT m.pool, count(DISTINCT m.person) FROM membership m JOIN person p ON p.id=m.person AND p.disabled=''
		WHERE m.org=? AND m.level>0 GROUP BY m.pool`, []any{org}, func(r *sql.Rows) (v row, err error) {
		err = r.Scan(&v.id, &v.n)
		return v, err
	})
	out := map[string]int{}
	for _, r := range rows {
		out[r.id] = r.n
	}
	return out, err
}

const ruleSetQuery = `SELECT p.id, coalesce(r.version, 0), coalesce(r.rules, '[]'), coalesce(r.saved, ''), coalesce(r.saved_by, '')
	FROM pool p LEFT JOIN rule_set r ON r.org=p.org WHERE p.org=? AND p.catch_all=1 ORDER BY r.version DESC LIMIT 1`

func scanRuleSet(r interface{ Scan(...any) error }, org string) (rule.Set, error) {
	set := rule.Set{Org: org}
	var rules, saved string
	if err := r.Scan(&set.CatchAll, &set.Version, &rules, &saved, &set.By); err != nil {
		return set, err
	}
	set.Saved = parseStamp(saved)
	return set, json.Unmarshal([]byte(rules), &set.Rules)
}

// Rules are the rules in force, with the pool for what none of them wants (ErrNotFound before EnsurePools).
func (s *Store) Rules(ctx context.Context, org string) (rule.Set, error) {
	return one(ctx, s, ruleSetQuery, []any{org}, func(r *sql.Rows) (rule.Set, error) { return scanRuleSet(r, org) })
}

func (w *writer) rules(org string) (rule.Set, error) {
	set, err := scanRuleSet(w.tx.QueryRow(ruleSetQuery, org), org)
	if errors.Is(err, sql.ErrNoRows) {
		return rule.Set{Org: org}, nil
	}
	return set, err
}

// SaveRules puts a list of rules in force; set.Version is that of the list it was made from (ErrStalePool when
// another was saved since). Earlier lists stay.
func (s *Store) SaveRules(ctx context.Context, set rule.Set, entry AuditEntry) error {
	return s.doDesk(ctx, func(w *writer) error {
		rows, err := w.tx.Query("SELECT id FROM pool WHERE org=? AND retired=''", set.Org)
		if err != nil {
			return fmt.Errorf("store: rules: %w", err)
		}
		pools := map[string]bool{}
		for rows.Next() {
			var id string
			if err := rows.Scan(&id); err != nil {
				rows.Close()
				return err
			}
			pools[id] = true
		}
		if err := errors.Join(rows.Err(), rows.Close(), set.Check(pools)); err != nil {
			return err
		}
		for _, r := range set.Rules {
			if r.Owner != "" && !w.exists("SELECT 1 FROM person WHERE id=? AND org=? AND disabled=''", r.Owner, set.Org) && w.err == nil {
				return &rule.Invalid{Rule: r.Name, Text: "whom it sends to is not here any more"}
			}
		}
		if set.Rules == nil {
			set.Rules = []rule.Rule{}
		}
		now, err := w.rules(set.Org)
		if err != nil {
			return err
		}
		if now.Version != set.Version {
			return ErrStalePool
		}
		w.exec("INSERT INTO rule_set VALUES (?,?,?,?,?)", set.Org, set.Version+1, column(set.Rules), stamp(s.now()), set.By)
		w.audit(entry)
		return w.err
	})
}

// Arrival is one message as the rules saw it, for a trial of others.
type Arrival struct {
	Work  work.Entry
	Facts rule.Facts

	Blob, Subject string // for its words
}

// Arrivals lists what came in an organisation since an instant, newest first, up to n.
func (s *Store) Arrivals(ctx context.Context, org string, from time.Time, n int) ([]Arrival, error) {
	return list(ctx, s, "SELECT "+workColumns+", k.facts, i.blob, i.subject"+workFrom+"WHERE k.org=? AND k.received>=? AND k.kind='message' ORDER BY k.received DESC LIMIT ?",
		[]any{org, stamp(from), n}, func(r *sql.Rows) (a Arrival, err error) {
			var facts string
			if a.Work, err = scanWork(r, &facts, &a.Blob, &a.Subject); err != nil {
				return a, err
			}
			if facts != "" {
				err = json.Unmarshal([]byte(facts), &a.Facts)
			} else { // filed before there were rules
				a.Facts = rule.Facts{Recipient: a.Work.Recipient, Sender: a.Work.Sender, Patient: rule.NoPatient}
			}
			return a, err
		})
}
