package store_test

import (
	"errors"
	"testing"
	"time"

	"postern/gateway/clinic/inbox"
	"postern/gateway/clinic/scan"
	"postern/gateway/clinic/work"
	"postern/gateway/store"
)

// TestScans: a file waits from the commit that filed it, is due ever more seldom without an answer, and is let go by its
// own organisation alone; something that was found holds it again.
func TestScans(t *testing.T) {
	c := newTeams(t)
	c.must(t, store.Step{Messages: []store.Message{incoming("m-1")}})
	it := item("m-1", dr, "m-1@h", "m-1")
	it.Received, it.ToScan = c.now, []string{"2", "3"}
	o := c.must(t, store.Step{Items: []inbox.Item{it}, Places: []store.Place{{Kind: work.Message}}})
	e, err := c.WorkOfItem(t.Context(), "o", it.Inbox, o.Numbers[0])
	ok(t, err)
	stands := func() (out [2]scan.Verdict) {
		t.Helper()
		all, err := c.Scans(t.Context(), e.Inbox, e.Number)
		ok(t, err)
		for i, r := range all {
			out[i] = r.Stands
		}
		return out
	}
	due := func() int {
		t.Helper()
		all, err := c.ToScan(t.Context(), 10)
		ok(t, err)
		return len(all)
	}
	if stands() != [2]scan.Verdict{scan.Waiting, scan.Waiting} || due() != 2 {
		t.Fatalf("%v, %d are due", stands(), due())
	}
	files, err := c.ToScan(t.Context(), 10)
	ok(t, err)
	ok(t, c.Scanned(t.Context(), files[0], scan.Answer{Verdict: scan.Clean}))
	f := files[1]
	for f.Tries < scan.MaxTries {
		ok(t, c.Scanned(t.Context(), f, scan.Answer{Verdict: scan.Unknown, Words: "busy"}))
		if f.Tries++; due() != 0 {
			t.Fatalf("after %d tries it is due at once", f.Tries)
		}
		c.now = c.now.Add(5 * time.Hour)
		if want := min(1, scan.MaxTries-f.Tries); due() != want {
			t.Fatalf("after %d tries and a while %d are due, want %d", f.Tries, due(), want)
		}
	}
	if held, err := c.ScanHeld(t.Context(), "o", nil, 10); err != nil || len(held) != 0 {
		t.Errorf("who may see nothing sees %+v, %v", held, err)
	}
	if held, err := c.ScanHeld(t.Context(), "o", c.reach(t, c.dana), 10); err != nil || len(held) != 1 || held[0].ID != e.ID {
		t.Errorf("held: %+v, %v", held, err)
	}
	ok(t, c.ScanAgain(t.Context(), e, store.AuditEntry{}))
	if due() != 1 {
		t.Errorf("a person asked for it: %d are due", due())
	}
	foreign := e
	foreign.Org = "other"
	decided := func(path string, stood scan.Verdict) scan.Record {
		return scan.Record{Path: path, Stands: stood, By: "mo", Reason: "expected"}
	}
	if err := c.ReleaseFile(t.Context(), foreign, decided("3", scan.Unknown), store.AuditEntry{}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("another organisation lets it go: %v", err)
	}
	if err := c.ReleaseFile(t.Context(), e, decided("2", scan.Clean), store.AuditEntry{}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a file that is not held is let go: %v", err)
	}
	if err := c.ReleaseFile(t.Context(), e, decided("3", scan.Waiting), store.AuditEntry{}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a file is let go by who decided before the scanner gave no answer: %v", err)
	}
	ok(t, c.ReleaseFile(t.Context(), e, decided("3", scan.Unknown), store.AuditEntry{}))
	ok(t, c.Scanned(t.Context(), f, scan.Answer{Verdict: scan.Unknown}))
	if stands()[1] != scan.Released || due() != 0 {
		t.Errorf("an answer that came late changed what a person decided: %v", stands())
	}
	ok(t, c.Scanned(t.Context(), f, scan.Answer{Verdict: scan.Found, Words: "X"}))
	if stands()[1] != scan.Found {
		t.Errorf("something was found in it after all: %v", stands())
	}
}
