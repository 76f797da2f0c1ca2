package store_test

import (
	"database/sql"
	"database/sql/driver"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/work"
	"postern/gateway/delivery/queue"
	"postern/gateway/store"
)

// heard is the statements a store was sent, each with what was bound to it the last time, and of which kinds it was
// at any time.
type heard struct {
	mu    sync.Mutex
	all   map[string][]any
	kinds map[string][]kinds
}

// kinds are those of the values bound at one place.
type kinds map[reflect.Kind]bool

// listen opens a site's store anew and hears what it is sent from now on.
func (s *site) listen(t testing.TB) *heard {
	t.Helper()
	ok(t, s.Close())
	s.open(t)
	h := &heard{all: map[string][]any{}, kinds: map[string][]kinds{}}
	ok(t, s.Listen(s.path, func(query string, args []driver.NamedValue) {
		h.mu.Lock()
		defer h.mu.Unlock()
		values := []any{}
		for _, a := range args {
			values = append(values, a.Value)
		}
		h.all[query] = values
		of := h.kinds[query]
		for len(of) < len(values) {
			of = append(of, kinds{})
		}
		for i, v := range values {
			if v != nil {
				of[i][reflect.TypeOf(v).Kind()] = true
			}
		}
		h.kinds[query] = of
	}))
	return h
}

// take is what was heard since the last time.
func (h *heard) take() map[string][]any {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := h.all
	h.all = map[string][]any{}
	return out
}

// TestListsUseTheirIndexes holds that each list, its counts and the claims of jobs are read by the index that was made
// for them, in its order, though no statement names it.
func TestListsUseTheirIndexes(t *testing.T) {
	s := newSite(t)
	h := s.listen(t)
	db, err := sql.Open("sqlite", "file:"+s.path)
	ok(t, err)
	t.Cleanup(func() { db.Close() })
	indexes := map[store.View]string{store.ViewOpen: "work_open", store.ViewUnworked: "work_new", store.ViewMine: "work_owner", store.ViewWaiting: "work_due", store.ViewOverdue: "work_due",
		store.ViewUrgent: "work_open", store.ViewFailures: "work_failed", store.ViewUnruled: "work_unruled", store.ViewFinished: "work_done"}
	some := []store.Reach{{Pool: "q-1", All: true}, {Pool: "q-2", Only: []staff.Category{"", staff.Referral}, Owner: true}}
	cases := map[string]func() error{}
	want := map[string]string{}
	add := func(name, index string, f func() error) { cases[name], want[name] = f, index }
	for _, v := range store.Views() {
		for reach, r := range map[string][]store.Reach{"all": some[:1], "some": some} {
			q := store.WorkQuery{Org: "o", Reach: r, View: v, Owner: "p-1", N: 50}
			add(fmt.Sprintf("list of %s, %s", v, reach), indexes[v], func() error { _, err := s.WorkList(t.Context(), q); return err })
			add(fmt.Sprintf("count of %s, %s", v, reach), indexes[v], func() error { _, err := s.WorkCounts(t.Context(), q); return err })
		}
	}
	add("hidden", "work_hidden", func() error { _, err := s.HiddenWork(t.Context(), "o", some); return err })
	add("held by the scanner", "work_item", func() error { _, err := s.ScanHeld(t.Context(), "o", some, 8); return err })
	add("claims", "job_due", func() error {
		_, err := s.Claim(t.Context(), queue.Network, 1, store.Lanes{})
		return err
	})
	add("the next due", "job_due", func() error { _, err := s.NextDue(t.Context(), queue.Network); return err })
	for name, f := range cases {
		t.Run(name, func(t *testing.T) {
			h.take()
			ok(t, f())
			said := h.take()
			if len(said) != 1 {
				t.Fatalf("%d statements were sent: %v", len(said), said)
			}
			for query, args := range said {
				uses(t, db, query, args, want[name])
			}
		})
	}
}

// TestFurtherPartsUseTheirIndexes holds the same of lists that go on after an entry.
func TestFurtherPartsUseTheirIndexes(t *testing.T) {
	c := newTeams(t)
	e := c.filed(t, "m-1", store.Place{})
	h := c.listen(t)
	db, err := sql.Open("sqlite", "file:"+c.path)
	ok(t, err)
	t.Cleanup(func() { db.Close() })
	checked := 0
	for view, index := range map[store.View]string{store.ViewUnworked: "work_new", store.ViewOpen: "work_open", store.ViewFinished: "work_done", store.ViewWaiting: "work_due"} {
		h.take()
		_, err := c.WorkList(t.Context(), store.WorkQuery{Org: "o", Reach: []store.Reach{{Pool: c.desk.ID, All: true}}, View: view, After: work.ID(e.ID), N: 50})
		ok(t, err)
		for query, args := range h.take() {
			if strings.Contains(query, "UNION ALL") || strings.Contains(query, ") head") {
				uses(t, db, query, args, index)
				checked++
			}
		}
	}
	if checked != 4 {
		t.Errorf("%d statements were looked at, want 4", checked)
	}
}

// uses holds that every part of a statement that reads work or job does it by that index, without sorting but for what
// is put together from the parts.
func uses(t *testing.T, db *sql.DB, query string, args []any, index string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, args...)
	ok(t, err)
	defer rows.Close()
	var plan []string
	found := false
	for rows.Next() {
		var id, parent, unused int
		var detail string
		ok(t, rows.Scan(&id, &parent, &unused, &detail))
		plan = append(plan, detail)
		found = found || slices.Contains(strings.Fields(detail), index)
		for _, table := range []string{"k", "work", "job"} {
			if (strings.HasPrefix(detail, "SEARCH "+table+" ") || strings.HasPrefix(detail, "SCAN "+table+" ")) && !slices.Contains(strings.Fields(detail), index) {
				t.Errorf("%s is read so: %s\n%s", table, detail, query)
			}
		}
	}
	ok(t, rows.Err())
	if !found {
		t.Errorf("%s is not used:\n%s\n%s", index, strings.Join(plan, "\n"), query)
	}
}
