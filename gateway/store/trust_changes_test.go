package store_test

import (
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/certs/issue"
	"postern/gateway/delivery/queue"
	"postern/gateway/message"
	"postern/gateway/store"
	"postern/smime/addr"
	"postern/trust"
)

// authorities makes anchors of one name each.
func authorities(t *testing.T, names ...string) (out []*x509.Certificate) {
	t.Helper()
	for _, n := range names {
		ca, err := issue.NewAuthority(issue.AuthorityOptions{Name: n, Algorithm: issue.P256, Now: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, ca.Cert)
	}
	return out
}

func by(actor, action, object string) store.AuditEntry {
	return store.AuditEntry{Org: "o", Actor: actor, Action: action, Object: object}
}

// What a change made is put back as it was, unless it was changed again since; then nothing is.
func TestUndoPutsBackOrDoesNothing(t *testing.T) {
	s := domainSite(t, store.Domain{})
	ctx := t.Context()
	cas := authorities(t, "A", "B", "C")
	if _, err := s.AddBundle(ctx, store.Bundle{Name: "x", Org: "o"}, cas[:2], by("anna", "bundle.add", "x")); err != nil {
		t.Fatal(err)
	}
	prints := func() (out []string) {
		list, err := s.BundleAnchors(ctx, "x")
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range list {
			out = append(out, c.Subject.CommonName)
		}
		return out
	}
	first, err := s.ApplyBundle(ctx, "x", cas[1:], store.BundleLook{Checksum: "2"}, "", by("anna", "bundle.apply", "x"))
	if err != nil || len(first.Before) != 1 || len(first.After) != 1 || !slices.Equal(prints(), []string{"B", "C"}) {
		t.Fatalf("%+v %v %v", first, prints(), err)
	}
	second, err := s.ApplyBundle(ctx, "x", cas[1:2], store.BundleLook{Checksum: "3"}, "", by("anna", "bundle.apply", "x"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.UndoTrust(ctx, first.Seq, by("anna", "trust.undo", "")); !errors.Is(err, store.ErrChangedSince) || !slices.Equal(prints(), []string{"B"}) {
		t.Errorf("what was changed again was undone: %v, %v", prints(), err)
	}
	undone, err := s.UndoTrust(ctx, second.Seq, by("anna", "trust.undo", ""))
	if err != nil || undone.Undoes != second.Seq || !slices.Equal(prints(), []string{"B", "C"}) {
		t.Errorf("%+v %v %v", undone, prints(), err)
	}
	if _, err := s.UndoTrust(ctx, first.Seq, by("anna", "trust.undo", "")); err != nil || !slices.Equal(prints(), []string{"A", "B"}) {
		t.Errorf("in order: %v %v", prints(), err)
	}
	if _, err := s.UndoTrust(ctx, undone.Seq, by("anna", "trust.undo", "")); !errors.Is(err, store.ErrChangedSince) {
		t.Errorf("the undoing of what was changed since: %v", err)
	}
	if undone, err := s.LastUndone(ctx, "x"); err != nil || !undone {
		t.Errorf("last undone: %v %v", undone, err)
	}
	if _, err := s.ApplyBundle(ctx, "x", nil, store.BundleLook{}, "", by("anna", "bundle.apply", "x")); err == nil || len(prints()) != 2 {
		t.Errorf("a bundle was emptied: %v %v", prints(), err)
	}
	if c, err := s.TrustChanges(ctx, time.Time{}, 100); err != nil || len(c) != 5 || c[0].Actor != "anna" {
		t.Errorf("%d changes, %v", len(c), err)
	}
}

// A text that looks like recorded octets comes back as the text it was.
func TestUndoKeepsTextsApartFromOctets(t *testing.T) {
	s, d := domainSite(t, store.Domain{}), clinic
	p := store.PolicyRow{Domain: d, Direction: trust.Incoming, Use: "sign", Name: "p", Org: "o", Text: "base64:AAAA"}
	if _, err := s.SetPolicy(t.Context(), p, by("anna", "policy.set", "")); err != nil {
		t.Fatal(err)
	}
	c, err := s.RemovePolicy(t.Context(), p, by("anna", "policy.remove", ""))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.UndoTrust(t.Context(), c.Seq, by("anna", "trust.undo", "")); err != nil {
		t.Fatal(err)
	}
	if rows, err := s.Policies(t.Context(), d); err != nil || len(rows) != 1 || rows[0].Text != p.Text {
		t.Errorf("%+v %v", rows, err)
	}
	if _, err := s.TrustPolicies(t.Context(), d, trust.Incoming, trust.Sign); err == nil || !strings.Contains(err.Error(), "not a policy") {
		t.Errorf("a stored policy that does not compile lets pass: %v", err)
	}
}

// A decision is a short row; what repeats is kept once, and goes with the last decision that names it.
func TestDecisionsAreKeptCompactly(t *testing.T) {
	s, d := domainSite(t, store.Domain{}), clinic
	ctx := t.Context()
	cas := authorities(t, "Leaf", "Root")
	one := store.Decision{Org: "o", At: s.Now(), Domain: d, Direction: trust.Incoming, Purpose: trust.Mail, Peer: addr.MustParse("dr@hospital.example"), Path: cas}
	refused := one
	refused.Reason, refused.Path, refused.Message = "untrusted", cas[:1], "m-2"
	old := one
	old.At = s.Now().Add(-store.DecisionsKept - time.Hour)
	old.Peer = addr.MustParse("old@hospital.example")
	for _, dec := range [][]store.Decision{{old}, {one, one, one}, {refused}} {
		if _, err := s.Commit(ctx, queue.Lease{}, store.Step{Decisions: dec}); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := s.Judged(ctx, d, s.Now().AddDate(0, 0, -90))
	if err != nil || len(rows) != 2 || rows[0].Count != 3 || rows[0].Anchor != rows[0].Path[1] || rows[1].Anchor != "" || rows[1].Reason != "untrusted" {
		t.Fatalf("%+v %v", rows, err)
	}
	if of, err := s.DecisionsOf(ctx, message.ID("m-2")); err != nil || len(of) != 1 || of[0].Peer != "dr@hospital.example" {
		t.Errorf("%+v %v", of, err)
	}
	if c, err := s.SeenCertificate(ctx, rows[0].Path[1]); err != nil || !c.Equal(cas[1]) {
		t.Errorf("%v", err)
	}
	if n, err := s.ForgetDecisions(ctx); err != nil || n != 1 {
		t.Errorf("forgot %d, %v", n, err)
	}
	if all, err := s.Judged(ctx, addr.Domain{}, time.Time{}); err != nil || len(all) != 2 {
		t.Errorf("%d kinds are left, %v", len(all), err)
	}
	if n, err := s.ForgetDecisions(ctx); err != nil || n != 0 {
		t.Errorf("forgot %d again, %v", n, err)
	}
}

// What is seen goes on as one span while it stays, and begins a new one when it changes.
func TestSightings(t *testing.T) {
	s := domainSite(t, store.Domain{})
	look := func(verdict string) []store.Sighting {
		t.Helper()
		news, err := s.Sighted(t.Context(), []store.Sighting{{Org: "o", Subject: "clinic.example", What: "certificate", Place: "a", Verdict: verdict, Saw: verdict}})
		if err != nil {
			t.Fatal(err)
		}
		return news
	}
	for _, c := range []struct {
		verdict string
		news    int
	}{{"good", 1}, {"good", 0}, {"unknown", 1}, {"unknown", 0}, {"good", 1}} {
		if got := look(c.verdict); len(got) != c.news {
			t.Errorf("%s: %+v", c.verdict, got)
		}
	}
	if all, err := s.Sightings(t.Context(), "clinic.example", false, 10); err != nil || len(all) != 3 || all[1].Verdict != "unknown" {
		t.Errorf("%+v %v", all, err)
	}
	if now, err := s.Sightings(t.Context(), "", true, 10); err != nil || len(now) != 1 || now[0].Verdict != "good" {
		t.Errorf("%+v %v", now, err)
	}
}
