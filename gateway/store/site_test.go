package store_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"postern/gateway/delivery/queue"
	"postern/gateway/delivery/route"
	"postern/gateway/store"
	"postern/smime/addr"
	"postern/trust"
)

var clinic = addr.MustDomain("clinic.example")

func at(local string) addr.Address { return addr.MustParse(local + "@clinic.example") }

// domain is the site with the domain clinic.example.
func domainSite(t testing.TB, d store.Domain) *site {
	t.Helper()
	s := newSite(t)
	d.Name, d.Org = clinic, "o"
	if err := s.AddDomain(t.Context(), d, store.AuditEntry{}); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *site) addAddresses(t testing.TB, as ...store.Address) {
	t.Helper()
	for i := range as {
		as[i].Org = "o"
	}
	if err := s.AddAddresses(t.Context(), as, store.AuditEntry{}); err != nil {
		t.Fatal(err)
	}
}

func inboxOf(name string) route.Destination { return route.Destination{Inbox: name} }

func TestResolve(t *testing.T) {
	edge := route.Destination{Edge: &route.Edge{Host: "ehr", Port: 25, TLS: "required"}}
	catchAll := store.Domain{Destination: inboxOf("front"), Settings: store.DomainSettings{CatchAll: true}}
	addresses := []store.Address{
		{Address: at("a"), Destination: inboxOf("a")},
		{Address: at("own")}, // as its domain
		{Address: at("ehr"), Destination: edge},
		{Address: at("alias"), Destination: route.Destination{Alias: at("a")}},
		{Address: at("alias2"), Destination: route.Destination{Alias: at("alias")}},
		{Address: at("dead"), Destination: route.Destination{Alias: at("gone")}},
		{Address: at("away"), Destination: route.Destination{Alias: addr.MustParse("x@other.example")}},
		{Address: at("postmaster"), Destination: inboxOf("chief")},
	}
	for _, c := range []struct {
		situation string
		domain    store.Domain
		a         string
		ours      bool
		want      string // the destination; "" is not known
	}{
		{"an inbox", store.Domain{}, "a@clinic.example", true, "inbox a"},
		{"in other letters, with a tag", store.Domain{}, "A+x@Clinic.EXAMPLE", true, "inbox a"},
		{"an edge", store.Domain{}, "ehr@clinic.example", true, "smtp edge ehr:25"},
		{"an alias", store.Domain{}, "alias+t@clinic.example", true, "inbox a"},
		{"an alias of an alias", store.Domain{}, "alias2@clinic.example", true, "inbox a"},
		{"an alias of nothing", store.Domain{}, "dead@clinic.example", true, ""},
		{"an alias elsewhere", store.Domain{}, "away@clinic.example", true, ""},
		{"as its domain, which says nothing", store.Domain{}, "own@clinic.example", true, ""},
		{"as its domain", store.Domain{Destination: edge}, "own@clinic.example", true, "smtp edge ehr:25"},
		{"not there", store.Domain{Destination: edge}, "ghost@clinic.example", true, ""},
		{"not there, but all are taken", catchAll, "ghost@clinic.example", true, "inbox front"},
		{"there, and all are taken", catchAll, "a@clinic.example", true, "inbox a"},
		{"an alias of nothing where all are taken", catchAll, "dead@clinic.example", true, "inbox front"},
		{"an alias elsewhere where all are taken", catchAll, "away@clinic.example", true, ""},
		{"postmaster", catchAll, "PostMaster@clinic.example", true, "inbox chief"},
		{"another domain", catchAll, "a@other.example", false, ""},
		{"a sub-domain is another domain", catchAll, "a@sub.clinic.example", false, ""},
	} {
		t.Run(c.situation, func(t *testing.T) {
			s := domainSite(t, c.domain)
			s.addAddresses(t, addresses...)
			mb, err := s.Resolve(t.Context(), addr.MustParse(c.a))
			if err != nil || mb.Ours != c.ours || mb.Known != (c.want != "") {
				t.Fatalf("%+v, %v", mb, err)
			}
			if mb.Known && mb.Destination.String() != c.want {
				t.Errorf("leads to %s, want %s", mb.Destination, c.want)
			}
		})
	}
}

func TestAliasesInACircle(t *testing.T) {
	s := domainSite(t, store.Domain{})
	s.addAddresses(t, store.Address{Address: at("a"), Destination: route.Destination{Alias: at("b")}},
		store.Address{Address: at("b"), Destination: route.Destination{Alias: at("a")}})
	if mb, err := s.Resolve(t.Context(), at("a")); err == nil || mb.Known {
		t.Errorf("%+v, %v", mb, err)
	}
}

func TestAddressesAreAddedAllOrNone(t *testing.T) {
	s := domainSite(t, store.Domain{})
	s.addAddresses(t, store.Address{Address: at("a"), Destination: inboxOf("a")})
	for _, c := range []struct {
		situation string
		second    addr.Address
		want      error
	}{
		{"there already", at("a"), store.ErrExists},
		{"there in other letters", at("A"), store.ErrExists},
		{"twice in one list", at("new"), store.ErrExists},
		{"not our domain", addr.MustParse("x@other.example"), store.ErrNotFound},
	} {
		err := s.AddAddresses(t.Context(), []store.Address{{Address: at("new"), Org: "o"}, {Address: c.second, Org: "o"}}, store.AuditEntry{})
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.situation, err)
		}
	}
	list, err := s.Addresses(t.Context(), clinic)
	if err != nil || len(list) != 1 {
		t.Errorf("%d addresses are left, %v", len(list), err)
	}
}

func TestAddressesComeAndGo(t *testing.T) {
	s := domainSite(t, store.Domain{})
	s.addAddresses(t, store.Address{Address: at("a"), Destination: inboxOf("a")}, store.Address{Address: at("postmaster"), Destination: inboxOf("p")})
	if err := s.RemoveAddress(t.Context(), at("postmaster"), store.AuditEntry{}); err == nil {
		t.Error("postmaster was removed: nobody answers for the domain (RFC 5321 §4.5.1)")
	}
	if err := s.RemoveAddress(t.Context(), at("A"), store.AuditEntry{}); err != nil {
		t.Error(err)
	}
	if err := s.RemoveAddress(t.Context(), at("a"), store.AuditEntry{}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("removed twice: %v", err)
	}
	s.now = s.now.Add(time.Hour)
	s.addAddresses(t, store.Address{Address: at("a"), Destination: inboxOf("b")}) // and again, elsewhere
	if mb, err := s.Resolve(t.Context(), at("a")); err != nil || mb.Destination.Inbox != "b" {
		t.Errorf("%+v, %v", mb, err)
	}
	if err := s.RemoveDomain(t.Context(), clinic, store.AuditEntry{}); err == nil || !strings.Contains(err.Error(), "addresses") {
		t.Errorf("a domain with addresses: %v", err)
	}
	if err := s.RemoveAddress(t.Context(), at("a"), store.AuditEntry{}); err != nil {
		t.Error(err)
	}
	s.must(t, store.Step{Jobs: []queue.Job{{Org: "o", Message: "m-1", Kind: queue.Open, Recipients: []addr.Address{at("a")}}}})
	if err := s.RemoveDomain(t.Context(), clinic, store.AuditEntry{}); err == nil || !strings.Contains(err.Error(), "queue") {
		t.Errorf("a domain with mail in the queue: %v", err)
	}
	if _, err := s.Commit(t.Context(), s.claim(t, queue.Crypto).Lease, store.Step{Settle: &queue.Settlement{Fate: queue.Done}}); err != nil {
		t.Fatal(err)
	}
	if err := s.RemoveDomain(t.Context(), clinic, store.AuditEntry{}); err != nil {
		t.Error(err)
	}
	if mb, err := s.Resolve(t.Context(), at("a")); err != nil || mb.Ours {
		t.Errorf("%+v, %v", mb, err)
	}
}

func TestAnchorsBiteAtOnce(t *testing.T) {
	s := domainSite(t, store.Domain{})
	ca := authority(t)
	add := func(in, out bool) {
		t.Helper()
		err := s.AddAnchors(t.Context(), []store.Anchor{{Domain: clinic, Fingerprint: "0123456789abcdef", Org: "o", Incoming: in, Outgoing: out,
			Certificate: ca, Subject: "CN=x", Source: "test"}}, store.AuditEntry{})
		if err != nil {
			t.Fatal(err)
		}
	}
	count := func(dir trust.Direction) int {
		t.Helper()
		set, err := s.Anchors(t.Context(), clinic, dir)
		if err != nil {
			t.Fatal(err)
		}
		return len(set.Certs())
	}
	check := func(what string, in, out int) {
		t.Helper()
		if i, o := count(trust.Incoming), count(trust.Outgoing); i != in || o != out {
			t.Errorf("%s: %d incoming, %d outgoing, want %d and %d", what, i, o, in, out)
		}
	}
	check("none", 0, 0)
	add(true, false)
	check("incoming", 1, 0)
	add(true, true)
	check("both", 1, 1)
	for _, bad := range []string{"0123", "ffffffffffff", ""} {
		if err := s.RemoveAnchor(t.Context(), clinic, bad, store.AuditEntry{}); err == nil {
			t.Errorf("removed %q", bad)
		}
	}
	check("after removals that name none", 1, 1)
	if err := s.RemoveAnchor(t.Context(), clinic, "01234567", store.AuditEntry{}); err != nil {
		t.Error(err)
	}
	check("removed", 0, 0)
	if err := s.AddAnchors(t.Context(), []store.Anchor{{Domain: addr.MustDomain("other.example"), Certificate: ca}}, store.AuditEntry{}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("anchors of somebody else's domain: %v", err)
	}
}

func TestSettingsBiteAtOnce(t *testing.T) {
	s := domainSite(t, store.Domain{})
	if v, err := s.TrustSettings(t.Context(), clinic); err != nil || v.Legacy || v.RevocationHardFail {
		t.Fatalf("%+v, %v", v, err)
	}
	d, err := s.Domain(t.Context(), clinic)
	if err != nil {
		t.Fatal(err)
	}
	d.Settings = store.DomainSettings{Legacy: true, HardFail: true}
	if err := s.SetDomain(t.Context(), d, store.AuditEntry{}); err != nil {
		t.Fatal(err)
	}
	if v, err := s.TrustSettings(t.Context(), clinic); err != nil || !v.Legacy || !v.RevocationHardFail {
		t.Errorf("%+v, %v", v, err)
	}
}

func TestAccounts(t *testing.T) {
	s := domainSite(t, store.Domain{})
	s.addAddresses(t, store.Address{Address: at("a"), Destination: inboxOf("a")})
	add := func(login string, as ...addr.Address) error {
		return s.AddAccount(t.Context(), store.Account{Login: login, Org: "o", Record: "r-" + login, Addresses: as}, store.AuditEntry{})
	}
	if err := add("ann", at("A")); err != nil {
		t.Fatal(err)
	}
	if err := add("ann", at("a")); !errors.Is(err, store.ErrExists) {
		t.Errorf("the same login: %v", err)
	}
	if err := add("bob", at("ghost")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an address that is not there: %v", err)
	}
	if p, r, err := s.Record(t.Context(), "ann"); err != nil || p != "ann" || r != "r-ann" {
		t.Errorf("%q %q %v", p, r, err)
	}
	for _, login := range []string{"bob", "ANN", ""} {
		if p, r, err := s.Record(t.Context(), login); !errors.Is(err, store.ErrNotFound) || p+r != "" {
			t.Errorf("%s: %q %q %v", login, p, r, err)
		}
	}
	for _, c := range []struct {
		login, a string
		want     bool
	}{{"ann", "a@clinic.example", true}, {"ann", "A+tag@CLINIC.example", true}, {"ann", "b@clinic.example", false}, {"bob", "a@clinic.example", false}} {
		if ok, err := s.MayUse(t.Context(), c.login, addr.MustParse(c.a)); err != nil || ok != c.want {
			t.Errorf("%s as %s: %v, %v", c.login, c.a, ok, err)
		}
	}
	if err := s.RemoveAccount(t.Context(), "ann", store.AuditEntry{}); err != nil {
		t.Error(err)
	}
	if ok, err := s.MayUse(t.Context(), "ann", at("a")); err != nil || ok {
		t.Errorf("a removed login may still send: %v, %v", ok, err)
	}
}

func TestIdempotencyKeyIsUniqueToItsPrincipal(t *testing.T) {
	s := newSite(t)
	with := func(id, principal string) store.Message {
		m := out("m-" + messageID(id))
		m.Submission.Principal, m.Submission.IdempotencyKey = principal, "k"
		return m
	}
	s.must(t, store.Step{Messages: []store.Message{with("1", "ann"), with("2", "bob")}})
	if _, err := s.Commit(t.Context(), queue.Lease{}, store.Step{Messages: []store.Message{with("3", "ann")}}); err == nil {
		t.Error("the same key of the same principal made a second message")
	}
	if m, err := s.ByIdempotencyKey(t.Context(), "o", "bob", "k"); err != nil || m.ID != "m-2" {
		t.Errorf("%s, %v", m.ID, err)
	}
	if _, err := s.ByIdempotencyKey(t.Context(), "o", "bob", ""); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("no key: %v", err)
	}
}
