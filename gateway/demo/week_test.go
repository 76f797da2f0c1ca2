package demo_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"postern/gateway/auth"
	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/work"
	"postern/gateway/demo"
	"postern/gateway/demo/week"
	"postern/gateway/store"
)

// TestWeek plays the week and looks at what the clinic has of it: each kind of message that a clinic meets, where it should
// be, and nobody with a password.
func TestWeek(t *testing.T) {
	if testing.Short() {
		t.Skip("runs two gateways")
	}
	end := time.Date(2026, 10, 9, 17, 40, 0, 0, time.UTC)
	ctx, stop := context.WithTimeout(t.Context(), 10*time.Minute)
	defer stop()
	d, err := demo.Start(ctx, demo.Options{Web: "127.0.0.1:0", Clock: &week.Clock{}, Now: func() time.Time { return end }, Out: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := d.Stop(); err != nil {
			t.Error(err)
		}
	}()
	s := d.Inside()
	for name, want := range map[string]struct {
		state    work.State
		owner    string
		category staff.Category
		urgency  work.Urgency
		patient  bool
		secret   bool
	}{
		"chart":     {work.Done, "dana", staff.Records, 0, true, false},
		"discharge": {work.Done, "nora", staff.Discharge, 0, true, false},
		"osei":      {work.Done, "dana", staff.Referral, 0, true, false},
		"ecg":       {work.Done, "dana", staff.Referral, 0, false, false},
		"result":    {work.Taken, "pascal", staff.Result, 0, true, false},
		"request":   {work.Waiting, "sam", staff.Records, 0, false, false},
		"hours":     {work.New, "", "", 0, false, false},
		"castelnau": {work.Taken, "nora", staff.Discharge, 0, true, false},
		"marchetti": {work.Taken, "sam", staff.Referral, 0, false, false},
		"lipids":    {work.Taken, "mia", staff.Result, 0, false, false}, // by the report in the FHIR bundle
		"sensitive": {work.New, "", staff.Referral, 0, false, true},
		"ekberg":    {work.New, "", staff.Referral, 0, false, false},
		"pyke":      {work.New, "", staff.Result, 0, false, false},
		"urgent":    {work.New, "", staff.Referral, work.Urgent, false, false},
	} {
		e, err := s.Store.Work(ctx, s.Org, d.Week.Items[name])
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		owner := ""
		for _, p := range d.Week.People {
			if p.ID == e.Owner {
				owner = p.Login
			}
		}
		if e.State != want.state || owner != want.owner || e.Category != want.category || e.Urgency != want.urgency || (e.Patient != "") != want.patient || e.Sensitive != want.secret {
			t.Errorf("%s is %s with %q as %q, urgency %d, patient %q, sensitive %v; want %+v", name, e.State, owner, e.Category, e.Urgency, e.Patient, e.Sensitive, want)
		}
		if e.Received.After(end) || e.Received.Before(end.Add(-7*24*time.Hour)) {
			t.Errorf("%s came %s", name, e.Received)
		}
	}
	if e, err := s.Store.Work(ctx, s.Org, d.Week.Items["hours"]); err == nil && !e.Why.OnlyCatchAll() {
		t.Errorf("a rule took what none should: %+v", e.Why)
	}
	if _, ok := d.Week.Items["held"]; ok {
		t.Error("what came from a sender nobody vouches for is somebody's work")
	}
	held, err := s.Store.HeldOf(ctx, s.Org, 10)
	if err != nil || len(held) != 1 {
		t.Errorf("%d messages are held aside, %v", len(held), err)
	}
	all, err := s.Store.Pools(ctx, s.Org)
	if err != nil {
		t.Fatal(err)
	}
	var reach []store.Reach
	for _, p := range all {
		reach = append(reach, store.Reach{Pool: p.ID, All: true})
	}
	lines, err := s.Store.WorkList(ctx, store.WorkQuery{Org: s.Org, Reach: reach, View: store.ViewFailures, N: 10})
	if err != nil || len(lines) != 1 || lines[0].Kind != work.Failure {
		t.Errorf("%d failures are tasks, %v", len(lines), err)
	}
	for _, p := range d.Week.People {
		if _, record, err := s.Store.PersonRecord(ctx, s.Org, p.Login); !errors.Is(err, auth.ErrNoAccount) || p.Link == "" {
			t.Errorf("%s has the password record %q and the link %q, %v", p.Login, record, p.Link, err)
		}
		if all, err := s.Store.Sessions(ctx, s.Org, p.ID); err != nil || len(all) != 0 {
			t.Errorf("%s has %d sessions left, %v", p.Login, len(all), err)
		}
	}
}
