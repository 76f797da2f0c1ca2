package gateway_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/certs/issue"
	"postern/gateway"
	"postern/gateway/audit"
	"postern/gateway/delivery/track"
	"postern/gateway/store"
	"postern/trust/bundle"
)

// publisher is a publisher of a bundle that does as it is told.
type publisher struct {
	*httptest.Server
	mu     sync.Mutex
	body   []byte
	answer func(w http.ResponseWriter, r *http.Request) // nil: the body, properly
	asked  int
	etags  []string
}

func newPublisher(t testing.TB, body []byte) *publisher {
	p := &publisher{body: body}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.asked++
		p.etags = append(p.etags, r.Header.Get("If-None-Match"))
		if p.answer != nil {
			p.answer(w, r)
			return
		}
		w.Header().Set("ETag", fmt.Sprintf("%q", fmt.Sprintf("%x", sha256.Sum256(p.body))))
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(p.body))
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *publisher) publish(body []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.body, p.answer = body, nil
}

func (p *publisher) misbehave(f func(w http.ResponseWriter, r *http.Request)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = f
}

// strangerAnchor is an anchor of nobody here, as PEM.
func (w *world) strangerAnchor(name string) []byte {
	w.Helper()
	ca, err := issue.NewAuthority(issue.AuthorityOptions{Name: name, Algorithm: issue.P256, Now: w.Clock.Now()})
	w.ok(err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Cert.Raw})
}

// subscribed is a clinic that knows the hospital by a bundle and by nothing else.
func subscribed(t *testing.T, set store.BundleSettings) (*world, *publisher) {
	w := newWorld(t, "")
	w.forgetAnchors(w.clinic)
	p := newPublisher(t, append(w.strangerAnchor("Other CA"), w.hospital.Anchor...))
	set.AllowPlain, set.Interval = true, 24*time.Hour
	_, err := w.clinic.Admin().BundleAdd(w.ctx, gateway.BundleAdd{Name: "community", URL: p.URL, Settings: set}, nil)
	w.ok(err)
	got, err := w.clinic.Admin().BundleSubscribe(w.ctx, gateway.SubscribeArg{Subscription: store.Subscription{Domain: w.clinic.Domain, Bundle: "community",
		Incoming: true, Outgoing: true}})
	w.ok(err)
	if !set.TwoPersons && got.Outcome != gateway.AppliedIt {
		t.Fatalf("subscribing: %+v", got)
	}
	return w, p
}

func (w *world) refresh(actor string) (gateway.Refreshed, error) {
	return w.clinic.As(actor).BundleRefresh(w.ctx, gateway.BundleArg{Name: "community"}, nil)
}

// reaches sends a message to the clinic and says whether it was filed there, or why not.
func (w *world) reaches() string {
	w.Helper()
	before, err := w.clinic.Inbox(w.ctx, "intake")
	w.ok(err)
	id := w.send(w.hospital, w.note(w.dr, w.intake), w.dr, w.intake)
	w.ok(w.hospital.Until(w.ctx, "the message leaves", func() (bool, error) {
		l, err := w.hospital.Ladder(w.ctx, id, w.intake)
		return has(l, track.Handed), err
	}))
	reasons := w.heldReasons(w.clinic)
	after, err := w.clinic.Inbox(w.ctx, "intake")
	w.ok(err)
	if len(after) > len(before) {
		return "filed"
	}
	if len(reasons) == 0 {
		return "nowhere"
	}
	return reasons[0]
}

func TestABundlesChangeIsSeenBeforeItBites(t *testing.T) {
	w, p := subscribed(t, store.BundleSettings{MaxRemovedPercent: 20})
	for range 2 {
		if got := w.reaches(); got != "filed" {
			t.Fatalf("by the bundle's anchor: %s", got)
		}
	}
	p.publish(w.strangerAnchor("Newer CA"))
	r, err := w.refresh("anna")
	w.ok(err)
	if r.Outcome != gateway.Waits || r.Change == nil {
		t.Fatalf("%+v", r)
	}
	if got := w.reaches(); got != "filed" {
		t.Fatalf("while the change waits: %s", got)
	}
	d, err := w.clinic.Admin().BundleDiff(w.ctx, gateway.BundleArg{Name: "community"})
	w.ok(err)
	if len(d.Added) != 1 || len(d.Removed) != 2 || d.Percent != 100 || d.Empty() {
		t.Errorf("diff: %d added, %d removed, %d %%", len(d.Added), len(d.Removed), d.Percent)
	}
	i := slices.IndexFunc(d.Removed, func(a gateway.AnchorTouch) bool { return strings.Contains(a.Subject, "hospital.example") })
	if i < 0 || d.Removed[i].Partners != 1 || d.Removed[i].Messages < 3 || d.Removed[i].Changed < 3 {
		t.Errorf("the hospital's anchor: %+v", d.Removed)
	}
	if len(d.Touched.Lost) != 1 || d.Touched.Lost[0].Domain != "hospital.example" || d.Touched.Lost[0].Reasons[0] != "untrusted" || d.Touched.LostN < 3 {
		t.Errorf("touched: %+v", d.Touched)
	}
	if !slices.ContainsFunc(w.clinic.Check(w.ctx), func(f gateway.Finding) bool {
		return f.About == "bundle community" && strings.Contains(f.Text, "waits since")
	}) {
		t.Errorf("check does not say that it waits: %+v", w.clinic.Check(w.ctx))
	}
	if got, want := w.word(), "Trust bundle community has changed"; !strings.Contains(got, want) {
		t.Errorf("the postmaster reads %q", got)
	}
	if r, err = w.refresh("anna"); err != nil || r.Outcome != gateway.Unchanged || p.etags[len(p.etags)-1] == "" {
		t.Errorf("looked at again: %+v %v, asked with %q", r, err, p.etags)
	}
	if _, err := w.clinic.Store.WaitingFor(w.ctx, store.ProposeBundle, "community"); err != nil {
		t.Errorf("what waited is gone: %v", err)
	}
	r, err = w.clinic.As("anna").BundleApply(w.ctx, w.shown())
	w.ok(err)
	if got := w.reaches(); r.Outcome != gateway.AppliedIt || got != "untrusted" {
		t.Errorf("after it was applied (%s): %s", r.Outcome, got)
	}
	w.undoLast("bundle.apply")
	if got := w.reaches(); got != "filed" {
		t.Errorf("after it was undone: %s", got)
	}
	if r, err = w.refresh("anna"); err != nil || r.Outcome != gateway.Waits {
		t.Errorf("the publisher still has the newer one, and it must wait again: %+v %v", r, err)
	}
	if _, err := w.clinic.As("anna").BundleReject(w.ctx, gateway.BundleArg{Name: "community"}); err != nil {
		t.Error(err)
	}
	if r, err = w.refresh("anna"); err != nil || r.Outcome != gateway.Unchanged {
		t.Errorf("what was rejected waits again though nothing changed: %+v %v", r, err)
	}
}

// word is the newest word in the clinic's postmaster's inbox.
func (w *world) word() string {
	w.Helper()
	items, err := w.clinic.Inbox(w.ctx, "postmaster")
	w.ok(err)
	if len(items) == 0 {
		return ""
	}
	newest := items[0]
	for _, it := range items {
		if it.Number > newest.Number {
			newest = it
		}
	}
	return newest.Subject + "\n" + string(w.saved(w.clinic, newest))
}

// undoLast takes the newest change of an action back.
func (w *world) undoLast(action string) store.TrustChange {
	w.Helper()
	all, err := w.clinic.Admin().TrustChanges(w.ctx, gateway.ChangesArg{})
	w.ok(err)
	for _, c := range all {
		if c.Action == action && c.Undone == 0 {
			out, err := w.clinic.As("anna").TrustUndo(w.ctx, c.Seq)
			w.ok(err)
			if _, err := w.clinic.As("anna").TrustUndo(w.ctx, c.Seq); !errors.Is(err, store.ErrChangedSince) {
				w.Errorf("undone twice: %v", err)
			}
			return out
		}
	}
	w.Fatalf("no change %s among %d", action, len(all))
	return store.TrustChange{}
}

func TestABundleThatFailsKeepsItsAnchors(t *testing.T) {
	w, p := subscribed(t, store.BundleSettings{Auto: true, MaxRemovedPercent: 100})
	whole := p.body
	redirect := func(to string) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusFound) }
	}
	says := func(body string) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }
	}
	leaf, err := w.clinic.Admin().CertList(w.ctx)
	w.ok(err)
	exported, err := w.clinic.Admin().CertExport(w.ctx, gateway.ExportArg{ID: leaf[0].ID})
	w.ok(err)
	for n, c := range []struct {
		situation string
		answer    func(http.ResponseWriter, *http.Request)
		reason    bundle.Reason
	}{
		{"gone", func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }, bundle.NotFound},
		{"broken", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, bundle.Timeout},
		{"a page", says("<html>We have moved</html>"), bundle.InvalidFormat},
		{"nothing", says(""), bundle.InvalidFormat},
		{"cut short", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100000")
			_, _ = w.Write(whole[:50])
		}, bundle.Timeout},
		{"a part", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(206); _, _ = w.Write(whole[:50]) }, bundle.NotFound},
		{"gigabytes", func(w http.ResponseWriter, _ *http.Request) {
			for b := make([]byte, 1<<20); ; {
				if _, err := w.Write(b); err != nil {
					return
				}
			}
		}, bundle.TooLarge},
		{"a loop", redirect("/"), bundle.Blocked},
		{"another scheme", redirect("file:///etc/passwd"), bundle.Blocked},
		{"a leaf for an anchor", says(string(exported.Certificates[0])), bundle.Empty},
	} {
		p.misbehave(c.answer)
		_, err := w.refresh("anna")
		if bundle.ReasonOf(err) != c.reason || !strings.Contains(err.Error(), "the anchors in force stay") {
			t.Errorf("%s: %v, want %s", c.situation, err, c.reason)
		}
		b, err := w.clinic.Store.Bundle(w.ctx, "community")
		w.ok(err)
		if b.Anchors != 2 || b.Look.Failures != n+1 || b.Look.Reason != string(c.reason) || !b.Look.Due.After(w.Clock.Now()) {
			t.Errorf("%s: %d anchors, %d failures, %s, due %s", c.situation, b.Anchors, b.Look.Failures, b.Look.Reason, b.Look.Due)
		}
	}
	if got := w.reaches(); got != "filed" {
		t.Errorf("after all that: %s", got)
	}
	p.publish(append(whole, []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")...)) // one damaged beside the good ones
	if r, err := w.refresh("anna"); err != nil || r.Outcome != gateway.Unchanged {
		t.Errorf("one damaged beside the good ones: %+v %v", r, err)
	}
	if b, err := w.clinic.Store.Bundle(w.ctx, "community"); err != nil || b.Anchors != 2 || b.Look.Failures != 0 {
		t.Errorf("%+v %v", b, err)
	}
}

func TestABundleAppliesByItselfWithinItsLimits(t *testing.T) {
	w, p := subscribed(t, store.BundleSettings{Auto: true, MaxRemovedPercent: 20})
	more := append(slices.Clone(p.body), w.strangerAnchor("Third CA")...)
	p.publish(more)
	w.ok(w.Advance(w.ctx, 23*time.Hour))
	asked := p.asked
	w.ok(w.clinic.Tend(w.ctx))
	if p.asked != asked {
		t.Error("looked at before it was due")
	}
	w.ok(w.Advance(w.ctx, 4*time.Hour)) // a day, and up to a tenth more
	w.ok(w.clinic.Tend(w.ctx))
	b, err := w.clinic.Store.Bundle(w.ctx, "community")
	w.ok(err)
	if b.Anchors != 3 || p.asked != asked+1 || !strings.Contains(w.word(), "applied by itself") {
		t.Errorf("%d anchors after %d questions; the postmaster reads %.60q", b.Anchors, p.asked-asked, w.word())
	}
	p.publish(w.hospital.Anchor) // two of three go
	w.ok(w.Advance(w.ctx, 27*time.Hour))
	w.ok(w.clinic.Tend(w.ctx))
	if b, err = w.clinic.Store.Bundle(w.ctx, "community"); err != nil || b.Anchors != 3 {
		t.Errorf("a shrinking bundle was applied: %d anchors, %v", b.Anchors, err)
	}
	waits, err := w.clinic.Store.WaitingFor(w.ctx, store.ProposeBundle, "community")
	if err != nil || !strings.Contains(waits.Why, "at most 20 % may go without a person") {
		t.Errorf("why it waits: %q %v", waits.Why, err)
	}
	p.publish(more) // the publisher takes it back
	if _, err := w.refresh("anna"); err != nil {
		t.Error(err)
	}
	if _, err := w.clinic.Store.WaitingFor(w.ctx, store.ProposeBundle, "community"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("what the publisher took back still waits: %v", err)
	}
	before := w.undoLast("bundle.apply")
	if len(before.Before) == 0 {
		t.Error("the undoing tells of no row")
	}
	if r, err := w.refresh("anna"); err != nil || r.Outcome != gateway.Waits || !strings.Contains(r.Why, "undone") {
		t.Errorf("what a person undid came back by itself: %+v %v", r, err)
	}
}

func TestTwoPersons(t *testing.T) {
	w, p := subscribed(t, store.BundleSettings{TwoPersons: true})
	if got := w.reaches(); got != "no_anchors" {
		t.Fatalf("one person subscribed: %s", got)
	}
	sub := gateway.SubscribeArg{Subscription: store.Subscription{Domain: w.clinic.Domain, Bundle: "community", Incoming: true, Outgoing: true}}
	if _, err := w.clinic.Admin().BundleSubscribe(w.ctx, sub); !errors.Is(err, store.ErrSamePerson) {
		t.Errorf("the same person twice: %v", err)
	}
	got, err := w.clinic.As("berta").BundleSubscribe(w.ctx, sub)
	if err != nil || got.Outcome != gateway.AppliedIt || got.Touched.WonN == 0 {
		t.Fatalf("the second person: %+v %v", got, err)
	}
	if got := w.reaches(); got != "filed" {
		t.Fatalf("two persons subscribed: %s", got)
	}
	p.publish(append(slices.Clone(p.body), w.strangerAnchor("Third CA")...))
	if r, err := w.refresh("anna"); err != nil || r.Outcome != gateway.Waits {
		t.Fatalf("%+v %v", r, err)
	}
	arg := w.shown()
	if r, err := w.clinic.As("anna").BundleApply(w.ctx, arg); err != nil || r.Outcome != gateway.Waits {
		t.Errorf("the first person: %+v %v", r, err)
	}
	if _, err := w.clinic.As("anna").BundleApply(w.ctx, arg); !errors.Is(err, store.ErrSamePerson) {
		t.Errorf("the first person again: %v", err)
	}
	if r, err := w.clinic.As("berta").BundleApply(w.ctx, arg); err != nil || r.Outcome != gateway.AppliedIt {
		t.Errorf("the second person: %+v %v", r, err)
	}
	if n := w.audited(w.clinic, "bundle.approve"); n != 3 {
		t.Errorf("%d approvals are in the audit", n)
	}
	// One person alone does not do away with the second.
	set := gateway.BundleAdd{Name: "community", URL: p.URL, Settings: store.BundleSettings{AllowPlain: true, Auto: true, MaxRemovedPercent: 100}}
	if r, err := w.clinic.As("anna").BundleSet(w.ctx, set); err != nil || r.Outcome != gateway.Waits {
		t.Errorf("settings by one person: %+v %v", r, err)
	}
	if _, err := w.clinic.As("anna").BundleSet(w.ctx, set); !errors.Is(err, store.ErrSamePerson) {
		t.Errorf("settings by the same person twice: %v", err)
	}
	all, err := w.clinic.Admin().TrustChanges(w.ctx, gateway.ChangesArg{})
	w.ok(err)
	if _, err := w.clinic.As("anna").TrustUndo(w.ctx, all[0].Seq); err == nil || !strings.Contains(err.Error(), "two persons") {
		t.Errorf("undone by one person: %v", err)
	}
	if _, err := w.clinic.As("berta").TrustUndo(w.ctx, all[0].Seq); err != nil {
		t.Errorf("undone by the second: %v", err)
	}
	if r, err := w.clinic.As("berta").BundleSet(w.ctx, set); err != nil || r.Outcome != gateway.AppliedIt {
		t.Errorf("settings by the second: %+v %v", r, err)
	}
	if b, err := w.clinic.Store.Bundle(w.ctx, "community"); err != nil || b.Settings.TwoPersons || !b.Settings.Auto {
		t.Errorf("%+v %v", b.Settings, err)
	}
}

// One damaged row costs the others of its domain nothing, and is named.
func TestADamagedAnchorRow(t *testing.T) {
	w := newWorld(t, "")
	w.ok(w.clinic.Store.AddAnchors(w.ctx, []store.Anchor{{Domain: w.clinic.Domain, Fingerprint: strings.Repeat("0", 64), Org: w.clinic.Org, Incoming: true,
		Outgoing: true, Certificate: []byte("damaged"), Subject: "CN=Damaged"}}, store.AuditEntry{}))
	if got := w.reaches(); got != "filed" {
		t.Errorf("beside a damaged anchor: %s", got)
	}
	found := false
	for _, f := range w.clinic.Check(w.ctx) {
		found = found || f.Level == "error" && strings.Contains(f.Text, "CN=Damaged")
	}
	if !found {
		t.Errorf("check does not name it: %+v", w.clinic.Check(w.ctx))
	}
}

// Every change of trust is in the audit with who, what, before and after, and what two anchors share is only
// taken away with both (TB-02).
func TestTrustChangesAreAudited(t *testing.T) {
	w, p := subscribed(t, store.BundleSettings{MaxRemovedPercent: 20})
	w.ok(w.clinic.Trust(w.ctx, w.hospital.Anchor)) // by hand too
	p.publish(w.strangerAnchor("Newer CA"))
	if _, err := w.refresh("anna"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.clinic.As("anna").BundleApply(w.ctx, w.shown()); err != nil {
		t.Fatal(err)
	}
	if got := w.reaches(); got != "filed" {
		t.Errorf("an anchor that the bundle dropped is still there by hand: %s", got)
	}
	seen := map[string]bool{}
	w.ok(w.clinic.Store.Audit(w.ctx, func(e audit.Entry) error {
		var d struct{ Before, After []map[string]any }
		if strings.HasPrefix(e.Action, "anchor.") || e.Action == "bundle.apply" || e.Action == "bundle.subscribe" {
			w.ok(json.Unmarshal(e.Detail, &d))
			if len(d.Before)+len(d.After) == 0 || e.Actor == "" {
				t.Errorf("%s by %q: %s", e.Action, e.Actor, e.Detail)
			}
			for _, row := range append(d.Before, d.After...) {
				if row["certificate"] != nil {
					t.Errorf("%s: the audit holds octets", e.Action)
				}
			}
			seen[e.Action] = true
		}
		return nil
	}))
	for _, a := range []string{"anchor.add", "anchor.remove", "bundle.subscribe", "bundle.apply"} {
		if !seen[a] {
			t.Errorf("%s is not in the audit", a)
		}
	}
}
