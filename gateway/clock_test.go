package gateway_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"postern/gateway"
	"postern/gateway/delivery/track"
	"postern/gateway/store"
	"postern/smime/addr"
)

// The recipient's gateway is away: tried again, handed over when it is back, given up at T1 with one DSN.
func TestPeerAway(t *testing.T) {
	w := newWorld(t, "")
	w.ok(w.clinic.Stop())
	id := w.send(w.hospital, w.note(w.dr, w.intake), w.dr, w.intake)
	for _, d := range []time.Duration{0, 20 * time.Minute, 20 * time.Minute} {
		w.ok(w.Advance(w.ctx, d))
		w.quiet()
		w.items(w.hospital, "dr", 0)
	}
	w.ok(w.Advance(w.ctx, 30*time.Minute))
	w.reach(w.hospital, id, w.intake, track.StateFailed)
	w.oneDSN(id, "5.4.7", w.intake)
	w.ok(w.clinic.Start(w.ctx)) // too late: it was said to have failed, so it must not arrive
	w.ok(w.Advance(w.ctx, time.Hour))
	w.quiet()
	w.items(w.clinic, "intake", 0)
	w.oneDSN(id, "5.4.7", w.intake)
}

// A deadline that passes raises an alarm and nothing else; a confirmation stops it.
func TestDeadlineIsAnAlarmOnly(t *testing.T) {
	w := newWorld(t, "")
	w.ok(w.clinic.Stop())
	in := gateway.Send{From: w.dr, Recipients: []addr.Address{w.intake}, Purpose: "discharge"}
	id, err := w.hospital.Admin().Send(w.ctx, in, strings.NewReader(w.note(w.dr, w.intake)))
	w.ok(err)
	w.quiet()
	w.ok(w.Advance(w.ctx, 14*time.Minute))
	w.quiet()
	l, err := w.hospital.Ladder(w.ctx, id, w.intake)
	w.ok(err)
	if l.Overdue || l.Terminal {
		t.Errorf("after 14 minutes: overdue %v, %s", l.Overdue, l.State)
	}
	w.ok(w.Advance(w.ctx, 2*time.Minute))
	w.quiet()
	l, err = w.hospital.Ladder(w.ctx, id, w.intake)
	w.ok(err)
	if !l.Overdue || l.State == track.StateFailed || !has(l, track.DeadlinePassed) {
		t.Errorf("after 16 minutes: overdue %v, %s", l.Overdue, l.State)
	}
	if it := w.items(w.hospital, "dr", 1)[0]; it.Subject != "Not confirmed in 15 minutes: telephone them (About a patient)" {
		t.Errorf("the sender is asked: %q", it.Subject)
	}
	overdue := func() []gateway.MessageLine {
		list, err := w.hospital.Admin().Messages(w.ctx, store.Query{Overdue: true})
		w.ok(err)
		return list
	}
	if list := overdue(); len(list) != 1 || list[0].ID != id || len(list[0].Overdue) != 1 || list[0].Overdue[0].Key() != w.intake.Key() {
		t.Errorf("to be telephoned: %+v", list)
	}
	w.ok(w.clinic.Start(w.ctx))
	w.ok(w.Advance(w.ctx, 20*time.Minute))
	w.reach(w.hospital, id, w.intake, track.StateDone)
	if list := overdue(); len(list) != 0 {
		t.Errorf("to be telephoned after the confirmation: %+v", list)
	}

	id, err = w.hospital.Admin().Send(w.ctx, in, strings.NewReader(w.note(w.dr, w.intake)))
	w.ok(err)
	w.reach(w.hospital, id, w.intake, track.StateDone)
	w.ok(w.Advance(w.ctx, time.Hour))
	w.quiet()
	if l, err := w.hospital.Ladder(w.ctx, id, w.intake); err != nil || has(l, track.DeadlinePassed) {
		t.Errorf("an alarm for what was confirmed: %v, %v", kinds(l), err)
	}
}

// The address goes between the peer's 250 and delivery: processed, then failed (DN-25, DN-62).
func TestAddressGoesWhileHeld(t *testing.T) {
	w := newWorld(t, "")
	w.forgetAnchors(w.clinic)
	id := w.send(w.hospital, w.referral(w.dr, w.intake), w.dr, w.intake)
	if got := w.heldReasons(w.clinic); len(got) != 1 {
		t.Fatalf("held for %v", got)
	}
	w.ok(w.clinic.Admin().AddressRemove(w.ctx, w.intake))
	w.ok(w.clinic.Trust(w.ctx, w.hospital.Anchor))
	list, err := w.clinic.Store.HeldList(w.ctx, 1)
	w.ok(err)
	w.ok(w.clinic.Admin().HeldRelease(w.ctx, list[0].ID))
	l := w.reach(w.hospital, id, w.intake, track.StateFailed)
	if l.Failure != track.Failed {
		t.Errorf("failed by %s", l.Failure)
	}
	w.quiet()
	w.items(w.clinic, "intake", 0)
	w.told(w.hospital, "dr", 1)
}

// Changing a site: what cannot be is refused in words that say what to do, and changes nothing.
func TestAdminRefusals(t *testing.T) {
	w := newWorld(t, "")
	a, ctx := w.clinic.Admin(), w.ctx
	edge := &gateway.EdgeOptions{Server: "ehr.local:25", TLS: "none"}
	domain := func(in gateway.DomainAdd) func() error {
		if in.Domain.IsZero() {
			in.Domain = addr.MustDomain("new.example")
		}
		return func() error { return a.DomainAdd(ctx, in) }
	}
	address := func(in ...gateway.AddressAdd) func() error { return func() error { return a.AddressAdd(ctx, in) } }
	x := w.clinic.Address("x")
	for _, c := range []struct {
		situation string
		do        func() error
		want      string
	}{
		{"a domain that is there", domain(gateway.DomainAdd{Domain: w.clinic.Domain}), "exists"},
		{"all addresses, to nowhere", domain(gateway.DomainAdd{CatchAll: true}), "needs a destination"},
		{"two destinations", domain(gateway.DomainAdd{Inbox: "a", Edge: edge}), "one destination"},
		{"an inbox named like a path", domain(gateway.DomainAdd{Inbox: "../a"}), "inbox name"},
		{"an edge without a port", domain(gateway.DomainAdd{Edge: &gateway.EdgeOptions{Server: "ehr"}}), "host:port"},
		{"an edge with odd TLS", domain(gateway.DomainAdd{Edge: &gateway.EdgeOptions{Server: "ehr:25", TLS: "some"}}), "required, implicit"},
		{"a password in the clear", domain(gateway.DomainAdd{Edge: &gateway.EdgeOptions{Server: "ehr:25", TLS: "none", Login: "l", Password: "p"}}), "TLS is required"},
		{"a postmaster that is no address", domain(gateway.DomainAdd{Postmaster: "a@"}), ""},
		{"an address that is there", address(gateway.AddressAdd{Address: w.intake}), "exists"},
		{"an address with a tag", address(gateway.AddressAdd{Address: addr.MustParse("x+t@clinic.example")}), "+tag"},
		{"an address elsewhere", address(gateway.AddressAdd{Address: w.dr}), "not ours"},
		{"an alias elsewhere", address(gateway.AddressAdd{Address: x, Alias: "dr@hospital.example"}), "not an address of ours"},
		{"an alias of nothing", address(gateway.AddressAdd{Address: x, Alias: "ghost@clinic.example"}), "not an address of ours"},
		{"one good, one bad", address(gateway.AddressAdd{Address: x}, gateway.AddressAdd{Address: w.intake}), "exists"},
		{"postmaster removed", func() error { return a.AddressRemove(ctx, w.clinic.Address("postmaster")) }, "person"},
		{"a domain with addresses removed", func() error { return a.DomainRemove(ctx, w.clinic.Domain) }, "addresses"},
		{"an anchor for nothing", func() error { _, err := a.AnchorAdd(ctx, gateway.AnchorAdd{Domain: w.clinic.Domain}); return err }, "incoming"},
		{"an anchor that is no certificate", func() error {
			_, err := a.AnchorAdd(ctx, gateway.AnchorAdd{Domain: w.clinic.Domain, Incoming: true, Certificates: [][]byte{{1}}})
			return err
		}, "certificate 1"},
		{"a certificate for somebody else's address", func() error { _, err := a.CertCreate(ctx, certFor(w.dr)); return err }, "no domain or address of ours"},
		{"a held message that is not there", func() error { return a.HeldRelease(ctx, "h-none") }, "not found"},
	} {
		err := c.do()
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.situation, err, c.want)
		}
	}
	domains, err := w.clinic.Store.Domains(ctx)
	w.ok(err)
	addresses, err := w.clinic.Store.Addresses(ctx, addr.Domain{})
	w.ok(err)
	var names []string
	for _, a := range addresses {
		names = append(names, a.Address.String())
	}
	if len(domains) != 1 || !slices.Equal(names, []string{"intake@clinic.example", "postmaster@clinic.example"}) {
		t.Errorf("%d domains, addresses %v", len(domains), names)
	}
}
