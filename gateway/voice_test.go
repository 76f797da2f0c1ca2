package gateway_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"postern/gateway"
	"postern/gateway/audit"
	"postern/gateway/auth/totp"
	"postern/gateway/clinic/staff"
	"postern/gateway/edge/control"
	entrance "postern/gateway/edge/web/door"
	"postern/gateway/store"
)

const voicePassword = "walnut harbour lantern 7"

// trustee adds a person of a role to the clinic, who can sign in.
func (w *world) trustee(login string, role staff.Role) staff.Person {
	w.Helper()
	made, err := w.clinic.Admin().PersonAdd(w.ctx, gateway.PersonArg{Login: login, Name: strings.ToUpper(login[:1]) + login[1:] + " Example", Role: string(role), Password: voicePassword})
	w.ok(err)
	return made.Person
}

// signed gives a command of trust under a sign-in, by the user of the machine that both share.
func (w *world) signed(as gateway.AsArg, verb string, in, out any) error {
	w.Helper()
	var err error
	as.Verb = verb
	as.Args, err = json.Marshal(in)
	w.ok(err)
	args, err := json.Marshal(as)
	w.ok(err)
	a, err := w.clinic.Verbs().Do(w.ctx, control.Request{Verb: "trust.as", Actor: "uid:1000", Args: args})
	if err == nil && out != nil {
		b, merr := json.Marshal(a.Value)
		w.ok(merr)
		w.ok(json.Unmarshal(b, out))
	}
	return err
}

func by(login string) gateway.AsArg { return gateway.AsArg{Login: login, Password: voicePassword} }

// Two people are two accounts, though one user of the machine gives both commands.
func TestTwoPersonsAreTwoAccounts(t *testing.T) {
	w, p := subscribed(t, store.BundleSettings{MaxRemovedPercent: 20})
	w.newer(p, p.body, "Third CA")
	_, err := w.clinic.Admin().BundleSet(w.ctx, gateway.BundleAdd{Name: "community", URL: p.URL, Settings: store.BundleSettings{TwoPersons: true, AllowPlain: true}})
	w.ok(err)
	w.trustee("anna", staff.TrustAdministrator)
	w.trustee("berta", staff.TrustAdministrator)
	var r gateway.Refreshed
	w.ok(w.signed(by("anna"), "bundle.apply", w.shown(), &r))
	if r.Outcome != gateway.Waits {
		t.Fatalf("the first: %+v", r)
	}
	if err := w.signed(by("Anna"), "bundle.apply", w.shown(), nil); !errors.Is(err, store.ErrSamePerson) || !strings.Contains(err.Error(), "anna") {
		t.Errorf("the first again: %v", err)
	}
	if _, err := w.clinic.As("uid:0").BundleApply(w.ctx, w.shown()); err == nil || !strings.Contains(err.Error(), "--as LOGIN") {
		t.Errorf("a user of the machine, though there are accounts: %v", err)
	}
	w.ok(w.signed(by("berta"), "bundle.apply", w.shown(), &r))
	if r.Outcome != gateway.AppliedIt {
		t.Errorf("the second: %+v", r)
	}
	actors := map[string]bool{}
	w.ok(w.clinic.Store.Audit(w.ctx, func(e audit.Entry) error {
		if e.Action == "bundle.approve" {
			actors[e.Actor] = true
		}
		return nil
	}))
	if !actors["anna (uid:1000)"] || !actors["berta (uid:1000)"] || len(actors) != 2 {
		t.Errorf("audited as %v", actors)
	}
}

// The yes of who is a trust administrator no more, or was shut out, counts no more.
func TestAnApprovalOfOneWhoLeft(t *testing.T) {
	for _, c := range []struct {
		what string
		to   gateway.PersonArg
	}{{"shut out", gateway.PersonArg{Login: "anna", Disabled: true}}, {"of another role", gateway.PersonArg{Login: "anna", Role: string(staff.Nurse)}}} {
		t.Run(c.what, func(t *testing.T) {
			w, p := subscribed(t, store.BundleSettings{MaxRemovedPercent: 20})
			w.newer(p, p.body, "Third CA")
			_, err := w.clinic.Admin().BundleSet(w.ctx, gateway.BundleAdd{Name: "community", URL: p.URL, Settings: store.BundleSettings{TwoPersons: true, AllowPlain: true}})
			w.ok(err)
			sub := gateway.SubscribeArg{Subscription: store.Subscription{Domain: w.clinic.Domain, Bundle: "community", Incoming: true}}
			for _, login := range []string{"anna", "berta", "cora"} {
				w.trustee(login, staff.TrustAdministrator)
			}
			w.ok(w.signed(by("anna"), "bundle.apply", w.shown(), nil))
			w.ok(w.signed(by("anna"), "bundle.subscribe", sub, nil))
			if c.to.Disabled {
				_, err = w.clinic.Admin().PersonDisable(w.ctx, c.to)
			} else {
				_, err = w.clinic.Admin().PersonRole(w.ctx, c.to)
			}
			w.ok(err)
			for i, who := range []string{"berta", "cora"} {
				want := []string{gateway.Waits, gateway.AppliedIt}[i]
				var r gateway.Refreshed
				var s gateway.Subscribed
				w.ok(w.signed(by(who), "bundle.subscribe", sub, &s))
				w.ok(w.signed(by(who), "bundle.apply", w.shown(), &r))
				if r.Outcome != want || s.Outcome != want {
					t.Errorf("%s: the bundle %s, the subscription %s, want %s", who, r.Outcome, s.Outcome, want)
				}
			}
		})
	}
}

// The same holds for what else lets anchors in, and for undoing.
func TestTwoAccountsForAnAnchorByHand(t *testing.T) {
	w, _ := subscribed(t, store.BundleSettings{TwoPersons: true})
	w.trustee("anna", staff.TrustAdministrator)
	w.trustee("berta", staff.TrustAdministrator)
	sub := gateway.SubscribeArg{Subscription: store.Subscription{Domain: w.clinic.Domain, Bundle: "community", Incoming: true, Outgoing: true}}
	var got gateway.Subscribed
	for i, who := range []string{"anna", "berta"} {
		w.ok(w.signed(by(who), "bundle.subscribe", sub, &got))
		if want := []string{gateway.Waits, gateway.AppliedIt}[i]; got.Outcome != want {
			t.Fatalf("%s: %+v, want %s", who, got, want)
		}
	}
	if _, err := w.clinic.As("uid:0").BundleSubscribe(w.ctx, sub); err == nil || !strings.Contains(err.Error(), "--as LOGIN") {
		t.Errorf("without a sign-in: %v", err)
	}
}

// Nobody counts once under a sign-in and once as a user of the machine.
func TestOneAccountIsNoSecondPerson(t *testing.T) {
	w, p := subscribed(t, store.BundleSettings{MaxRemovedPercent: 20})
	w.newer(p, p.body, "Third CA")
	_, err := w.clinic.Admin().BundleSet(w.ctx, gateway.BundleAdd{Name: "community", URL: p.URL, Settings: store.BundleSettings{TwoPersons: true, AllowPlain: true}})
	w.ok(err)
	w.trustee("anna", staff.TrustAdministrator)
	if r, err := w.clinic.As("uid:1000").BundleApply(w.ctx, w.shown()); err != nil || r.Outcome != gateway.Waits {
		t.Fatalf("%+v %v", r, err)
	}
	if err := w.signed(by("anna"), "bundle.apply", w.shown(), nil); !errors.Is(err, store.ErrSamePerson) {
		t.Errorf("the same user of the machine, under a sign-in: %v", err)
	}
}

func TestSignInsThatDoNotCount(t *testing.T) {
	w := newWorld(t, "")
	w.trustee("anna", staff.TrustAdministrator)
	w.trustee("nora", staff.Nurse)
	gone := w.trustee("gone", staff.TrustAdministrator)
	_, err := w.clinic.Admin().PersonDisable(w.ctx, gateway.PersonArg{Login: gone.Login, Disabled: true})
	w.ok(err)
	before := w.lastChange()
	for _, c := range []struct {
		what string
		as   gateway.AsArg
		verb string
		says string
	}{
		{"a wrong password", gateway.AsArg{Login: "anna", Password: "not hers"}, "trust.undo", "nobody signs in as anna"},
		{"nobody", gateway.AsArg{Login: "zoe", Password: voicePassword}, "trust.undo", "nobody signs in as zoe"},
		{"no password", gateway.AsArg{Login: "anna"}, "trust.undo", "nobody signs in as anna"},
		{"another role", by("nora"), "trust.undo", "only a trust administrator"},
		{"who was shut out", by("gone"), "trust.undo", "nobody signs in as gone"},
		{"what is not about trust", by("anna"), "person.reset", "not done under a person's sign-in"},
		{"itself", by("anna"), "trust.as", "not done under a person's sign-in"},
	} {
		if err := w.signed(c.as, c.verb, before, nil); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.what, err)
		}
	}
	if w.lastChange() != before {
		t.Error("something was changed")
	}
	for range 20 {
		err = w.signed(gateway.AsArg{Login: "anna", Password: "not hers"}, "trust.undo", before, nil)
	}
	if err == nil || strings.Contains(err.Error(), "nobody signs in") {
		t.Errorf("passwords can be gone through: %v", err)
	}
}

// Who has one-time codes gives one, and each once.
func TestASignInWithOneTimeCodes(t *testing.T) {
	w := newWorld(t, "")
	anna := w.trustee("anna", staff.TrustAdministrator)
	secret := totp.NewSecret()
	sealed, err := w.clinic.Keys.SealSecret(anna.Org, entrance.TOTPPurpose(anna.ID), secret)
	w.ok(err)
	w.ok(w.clinic.Store.AddFactors(w.ctx, anna, []store.Factor{{ID: "f-test", Org: anna.Org, Person: anna.ID, Kind: store.FactorTOTP, Name: "app", Data: sealed, Created: w.Clock.Now()}}, nil,
		store.AuditEntry{Org: anna.Org, Actor: "anna", Action: "person.totp_added", Object: "anna"}))
	changes := gateway.ChangesArg{Limit: 1}
	if err := w.signed(by("anna"), "trust.changes", changes, nil); err == nil || !strings.Contains(err.Error(), "--as-code") {
		t.Errorf("without a code: %v", err)
	}
	as := by("anna")
	as.Code = totp.At(secret, w.Clock.Now().Unix()/int64(30))
	wrong := as
	wrong.Code = "000000"
	if wrong.Code == as.Code {
		wrong.Code = "000001"
	}
	if err := w.signed(wrong, "trust.changes", changes, nil); err == nil || !strings.Contains(err.Error(), "not the present code") {
		t.Errorf("a wrong code: %v", err)
	}
	w.ok(w.Advance(w.ctx, time.Minute)) // the failure's pause
	as.Code = totp.At(secret, w.Clock.Now().Unix()/int64(30))
	w.ok(w.signed(as, "trust.changes", changes, nil))
	if err := w.signed(as, "trust.changes", changes, nil); err == nil || !strings.Contains(err.Error(), "used already") {
		t.Errorf("a code twice: %v", err)
	}
}
