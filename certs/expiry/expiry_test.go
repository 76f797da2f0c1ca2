package expiry_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"postern/certs/expiry"
)

const day = 24 * time.Hour

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func item(kind expiry.Kind, id string, in time.Duration) expiry.Item {
	return expiry.Item{Kind: kind, ID: id, Name: "of " + id, Ends: start.Add(in)}
}

func look(t *testing.T, items []expiry.Item, told expiry.Told, now time.Time) expiry.Result {
	t.Helper()
	r, err := expiry.Look(items, told, now, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A year in the life of one certificate, looked at whenever the last look said so.
func TestOnceAtEachThreshold(t *testing.T) {
	items := []expiry.Item{item(expiry.Own, "a", 365*day)}
	told := expiry.Told{}
	var got []string
	for now, looks := start, 0; ; looks++ {
		r := look(t, items, told, now)
		for _, n := range r.Due {
			got = append(got, fmt.Sprint(int(n.Threshold/day)))
		}
		told = r.Told
		if again := look(t, items, told, now); len(again.Due) != 0 {
			t.Fatalf("told twice at %v", now)
		}
		if r.Next.IsZero() {
			break
		}
		if !r.Next.After(now) || looks > 20 {
			t.Fatalf("look %d at %v, next %v", looks, now, r.Next)
		}
		now = r.Next
	}
	if strings.Join(got, " ") != "60 30 14 7 3 1 0" {
		t.Errorf("told at %v days", got)
	}
}

func TestSituations(t *testing.T) {
	for _, tc := range []struct {
		situation string
		items     []expiry.Item
		told      expiry.Told
		due       string // ids with their thresholds in days
	}{
		{"far off", []expiry.Item{item(expiry.Own, "a", 100*day)}, nil, ""},
		{"first seen between two thresholds: once, for the last passed", []expiry.Item{item(expiry.Own, "a", 10*day)}, nil, "a:14"},
		{"first seen when over", []expiry.Item{item(expiry.Anchor, "a", -10*day)}, nil, "a:0"},
		{"on the threshold", []expiry.Item{item(expiry.Own, "a", 30*day)}, nil, "a:30"},
		{"told already", []expiry.Item{item(expiry.Own, "a", 10*day)}, expiry.Told{"own a": 14 * day}, ""},
		{"told at an earlier one", []expiry.Item{item(expiry.Own, "a", 10*day)}, expiry.Told{"own a": 30 * day}, "a:14"},
		{"another kind of the same id is another thing", []expiry.Item{item(expiry.TLS, "a", 10*day)}, expiry.Told{"own a": 14 * day}, "a:14"},
		{"renewed under another id", []expiry.Item{item(expiry.Own, "b", 20*day)}, expiry.Told{"own a": 0}, "b:30"},
		{"the same twice", []expiry.Item{item(expiry.Own, "a", day), item(expiry.Own, "a", day)}, nil, "a:1"},
		{"soonest first", []expiry.Item{item(expiry.Own, "a", 20*day), item(expiry.List, "b", time.Hour), item(expiry.Partner, "c", -day)}, nil, "c:0 b:1 a:30"},
	} {
		t.Run(tc.situation, func(t *testing.T) {
			r := look(t, tc.items, tc.told, start)
			var got []string
			for _, n := range r.Due {
				got = append(got, fmt.Sprintf("%s:%d", n.ID, n.Threshold/day))
				if n.Words() == "" || !strings.Contains(n.Words(), n.Name) {
					t.Errorf("words %q", n.Words())
				}
			}
			if strings.Join(got, " ") != tc.due {
				t.Errorf("due %v, want %s", got, tc.due)
			}
			if len(r.Told) > len(tc.items) {
				t.Errorf("remembers what is gone: %v", r.Told)
			}
		})
	}
}

func TestWords(t *testing.T) {
	for in, want := range map[time.Duration]string{
		-day: "ended on 2026-02-28", time.Hour: "within a day, on 2026-03-01 13:00 UTC", day + time.Hour: "in 1 day,", 20 * day: "in 20 days, on 2026-03-21",
	} {
		for _, kind := range []expiry.Kind{expiry.Own, expiry.TLS, expiry.Anchor, expiry.List, expiry.Signer, expiry.Partner} {
			r := look(t, []expiry.Item{item(kind, "x", in)}, nil, start)
			if len(r.Due) != 1 || !strings.Contains(r.Due[0].Words(), want) || strings.HasPrefix(r.Due[0].Words(), "The item") {
				t.Errorf("%s in %v: %+v", kind, in, r.Due)
			}
		}
	}
}

func TestLimits(t *testing.T) {
	if _, err := expiry.Look(make([]expiry.Item, expiry.MaxItems+1), nil, start, nil); !errors.Is(err, expiry.ErrLimit) {
		t.Errorf("items: %v", err)
	}
	if _, err := expiry.Look(nil, nil, start, make([]time.Duration, expiry.MaxThresholds+1)); !errors.Is(err, expiry.ErrLimit) {
		t.Errorf("thresholds: %v", err)
	}
}
