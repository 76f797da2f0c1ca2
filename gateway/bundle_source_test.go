package gateway_test

import (
	"encoding/pem"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/certs/issue"
	"postern/gateway"
	"postern/gateway/store"
)

// A version that a person rejected is not proposed again by the schedule, is not said to wait, and comes back when a
// person asks, also where the publisher would say "not modified".
func TestARejectedVersionStaysAside(t *testing.T) {
	for _, c := range []struct {
		what  string
		plain bool // the publisher knows no conditional requests
	}{{"conditional", false}, {"plain", true}} {
		t.Run(c.what, func(t *testing.T) {
			w, p := subscribed(t, store.BundleSettings{MaxRemovedPercent: 100, Auto: false})
			newer := w.strangerAnchor("Newer CA")
			p.publish(newer)
			if c.plain {
				p.misbehave(func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write(newer) })
			}
			arg := gateway.BundleArg{Name: "community"}
			if r, err := w.refresh("anna"); err != nil || r.Outcome != gateway.Waits {
				t.Fatalf("%+v %v", r, err)
			}
			waits := func() bool {
				all, err := w.clinic.Admin().BundleList(w.ctx)
				w.ok(err)
				return all[0].Waits
			}
			if !waits() {
				t.Error("the list does not say that it waits")
			}
			_, err := w.clinic.As("anna").BundleReject(w.ctx, arg)
			w.ok(err)
			if waits() {
				t.Error("the list says that what was rejected waits")
			}
			asked := p.asked
			w.ok(w.Advance(w.ctx, 30*time.Hour))
			w.ok(w.clinic.Tend(w.ctx))
			if p.asked == asked || waits() {
				t.Errorf("by the schedule: asked %d times, waits %v", p.asked-asked, waits())
			}
			if r, err := w.refresh("berta"); err != nil || r.Outcome != gateway.Unchanged || !strings.Contains(r.Why, "rejected") {
				t.Errorf("a person looks: %+v %v", r, err)
			}
			arg.Again = true
			if r, err := w.clinic.As("berta").BundleRefresh(w.ctx, arg, nil); err != nil || r.Outcome != gateway.Waits || !waits() {
				t.Errorf("a person asks for it again: %+v %v", r, err)
			}
		})
	}
}

// "Not modified" and "the same file" of the old source say nothing of a new one.
func TestABundleFromANewSource(t *testing.T) {
	w, _ := subscribed(t, store.BundleSettings{MaxRemovedPercent: 20})
	moved := newPublisher(t, nil)
	newer := w.strangerAnchor("Newer CA")
	moved.misbehave(func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-None-Match")+r.Header.Get("If-Modified-Since") != "" {
			rw.WriteHeader(http.StatusNotModified)
			return
		}
		_, _ = rw.Write(newer)
	})
	b, err := w.clinic.Store.Bundle(w.ctx, "community")
	w.ok(err)
	if b.Look.ETag == "" {
		t.Fatal("the first source gave no ETag")
	}
	in := gateway.BundleAdd{Name: "community", URL: moved.URL, Settings: b.Settings}
	_, err = w.clinic.Admin().BundleSet(w.ctx, in)
	w.ok(err)
	if r, err := w.refresh("anna"); err != nil || r.Outcome != gateway.Waits || len(r.Change.Added) != 1 {
		t.Errorf("%+v %v", r, err)
	}
	in.URL = "ftp://example.org/bundle"
	if _, err := w.clinic.Admin().BundleSet(w.ctx, in); err == nil || !strings.Contains(err.Error(), "https://") {
		t.Errorf("%v", err)
	}
}

// A domain that does not believe an anchor does not believe it by hand either, and a look says so.
func TestABlockedAnchorWouldLetNobodyIn(t *testing.T) {
	w, _ := subscribed(t, store.BundleSettings{})
	if got := w.reaches(); got != "filed" {
		t.Fatal(got)
	}
	rows, err := w.clinic.Store.AnchorList(w.ctx, w.clinic.Domain)
	w.ok(err)
	for _, r := range rows {
		_, err := w.clinic.Admin().AnchorBlock(w.ctx, gateway.AnchorArg{Domain: w.clinic.Domain, Fingerprint: r.Fingerprint, Why: "stolen"})
		w.ok(err)
	}
	if got := w.reaches(); got != "no_anchors" {
		t.Fatal(got)
	}
	look := gateway.AnchorAdd{Domain: w.clinic.Domain, Incoming: true, Outgoing: true}
	got, err := w.clinic.Admin().AnchorAddFile(w.ctx, look, w.hospital.Anchor)
	if err != nil || got.Touched.WonN != 0 {
		t.Errorf("%+v %v", got.Touched, err)
	}
	if got := w.reaches(); got != "no_anchors" {
		t.Errorf("afterwards: %s", got)
	}
}

// The adding of a bundle is not undone from under those who subscribe: a bundle of that name added later would be
// believed at once.
func TestABundleIsNotUndoneFromUnderItsSubscribers(t *testing.T) {
	w, _ := subscribed(t, store.BundleSettings{})
	all, err := w.clinic.Admin().TrustChanges(w.ctx, gateway.ChangesArg{})
	w.ok(err)
	added := all[slices.IndexFunc(all, func(c store.TrustChange) bool { return c.Action == "bundle.add" })]
	if _, err := w.clinic.Admin().TrustUndo(w.ctx, added.Seq); err == nil || !strings.Contains(err.Error(), "unsubscribe community") {
		t.Errorf("while it is subscribed to: %v", err)
	}
	if got := w.reaches(); got != "filed" {
		t.Errorf("afterwards: %s", got)
	}
	_, err = w.clinic.Admin().BundleSubscribe(w.ctx, gateway.SubscribeArg{Subscription: store.Subscription{Domain: w.clinic.Domain, Bundle: "community"}})
	w.ok(err)
	if _, err := w.clinic.Admin().TrustUndo(w.ctx, added.Seq); err != nil {
		t.Errorf("when nobody subscribes: %v", err)
	}
}

// What was told of the TLS certificate is not told again because its file was away for a moment.
func TestAnEndIsToldOnceThoughItsFileWasAway(t *testing.T) {
	w := newWorld(t, "")
	file := w.clinic.Config.TLS.Certificate
	text, err := os.ReadFile(file)
	w.ok(err)
	ca, err := issue.NewAuthority(issue.AuthorityOptions{Name: "TLS", Algorithm: issue.P256, Now: w.Clock.Now(), Life: 13 * 24 * time.Hour})
	w.ok(err)
	near := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Cert.Raw})
	told := func() (n int) {
		w.ok(w.Advance(w.ctx, 61*time.Minute))
		w.ok(w.clinic.Tend(w.ctx))
		items, err := w.clinic.Inbox(w.ctx, "postmaster")
		w.ok(err)
		for _, i := range items {
			if strings.Contains(i.Subject, "TLS") {
				n++
			}
		}
		return n
	}
	w.ok(os.WriteFile(file, near, 0o600))
	first := told()
	w.ok(os.Remove(file))
	away := told()
	w.ok(os.WriteFile(file, near, 0o600))
	if again := told(); first != 1 || away != 1 || again != 1 {
		t.Errorf("told %d, %d and %d times", first, away, again)
	}
	w.ok(os.WriteFile(file, text, 0o600))
}
