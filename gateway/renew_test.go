package gateway_test

import (
	"encoding/pem"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/certs"
	"postern/certs/expiry"
	"postern/certs/issue"
	"postern/certs/keyfile"
	"postern/gateway"
	"postern/gateway/delivery/track"
	"postern/gateway/lab"
)

// signer is the certificate that the hospital signs with now.
func (w *world) signer() string {
	w.Helper()
	c, err := w.hospital.Ring.Signing(w.ctx, w.dr)
	w.ok(err)
	return c.ID
}

func (w *world) publishes(s *lab.Site) []string {
	w.Helper()
	snap, err := s.Zone(w.ctx)
	w.ok(err)
	if len(snap.Left) > 0 {
		w.Errorf("left out of the zone: %v", snap.Left)
	}
	found, err := s.Ring.Published(w.ctx, s.Address("postmaster"))
	w.ok(err)
	var out []string
	for _, c := range found {
		out = append(out, certs.Fingerprint(c))
	}
	return out
}

// A roll-over publishes first, waits for every answer given before to run out, then signs with the new key, while
// the old one opens mail under way for a grace.
func TestRollOver(t *testing.T) {
	w := newWorld(t, "")
	old := w.signer()
	r, err := w.hospital.Admin().CertRoll(w.ctx, gateway.RollArg{ID: old[:12]})
	w.ok(err)
	wait := r.SignsFrom.Sub(w.Clock.Now())
	if ttl := w.hospital.Config.DNS.TTL.D(); r.Stage != gateway.StagePublished || wait < ttl-time.Second || wait < 5*time.Minute-time.Second {
		t.Fatalf("%+v: waits %s, the TTL is %s", r, wait, ttl)
	}
	if p := w.publishes(w.hospital); !slices.Contains(p, old) || !slices.Contains(p, r.New) || w.signer() != old {
		t.Errorf("published %v, signed by %s", p, w.signer())
	}
	if _, err := w.hospital.Admin().CertRoll(w.ctx, gateway.RollArg{ID: old, Finish: true}); err == nil || !strings.Contains(err.Error(), "--force") || w.signer() != old {
		t.Errorf("the wait was skipped: %v", err)
	}
	again, err := w.hospital.Admin().CertRoll(w.ctx, gateway.RollArg{ID: old})
	if err != nil || again.New != r.New {
		t.Errorf("asked again: %+v %v", again, err)
	}
	w.ok(w.Advance(w.ctx, wait/2))
	w.ok(w.hospital.Tend(w.ctx))
	if w.signer() != old {
		t.Error("the new one signs in the middle of the wait")
	}
	w.ok(w.Advance(w.ctx, wait/2+time.Second))
	w.ok(w.hospital.Tend(w.ctx))
	if p := w.publishes(w.hospital); w.signer() != r.New || !slices.Equal(p, []string{r.New}) {
		t.Errorf("after the wait: signed by %s, published %v", w.signer(), p)
	}
	id := w.send(w.hospital, w.note(w.dr, w.intake), w.dr, w.intake)
	w.reach(w.hospital, id, w.intake, track.StateDone)
	opens := func() int {
		keys, err := w.hospital.Ring.Decryption(w.ctx, w.dr)
		w.ok(err)
		return len(keys)
	}
	if opens() != 2 {
		t.Errorf("%d keys open mail in the grace", opens())
	}
	w.ok(w.Advance(w.ctx, gateway.DefaultGrace+time.Minute))
	if opens() != 1 {
		t.Errorf("%d keys open mail after the grace", opens())
	}
	for _, action := range []string{"cert.roll", "cert.rolled"} {
		if w.audited(w.hospital, action) != 1 {
			t.Errorf("%s is %d times in the audit", action, w.audited(w.hospital, action))
		}
	}
}

func TestRollOverByForce(t *testing.T) {
	w := newWorld(t, "")
	old := w.signer()
	r, err := w.hospital.Admin().CertRoll(w.ctx, gateway.RollArg{ID: old, Finish: true, Force: true, GraceDays: 3})
	w.ok(err)
	if r.Stage != gateway.StageSigning || w.signer() != r.New || r.DecryptsUntil.Sub(w.Clock.Now()).Round(time.Hour) != 72*time.Hour {
		t.Errorf("%+v, signed by %s", r, w.signer())
	}
	if _, err := w.hospital.Admin().CertRoll(w.ctx, gateway.RollArg{ID: old}); err == nil || !strings.Contains(err.Error(), "retired already") {
		t.Errorf("rolled twice: %v", err)
	}
}

// importing gives files to a site as `cert import` does.
func importing(w *world, files map[string][]byte, password string) ([]gateway.Imported, error) {
	in := gateway.ImportArg{}
	var octets []byte
	for _, name := range slices.Sorted(maps.Keys(files)) {
		in.Files = append(in.Files, gateway.ImportFile{Name: name, Size: len(files[name]), Password: password})
		octets = append(octets, files[name]...)
	}
	return w.clinic.Admin().CertImportFiles(w.ctx, in, octets)
}

// A request goes out, a real authority answers it, and the answer takes the old certificate's place in stages.
func TestRequestAnsweredByARealAuthority(t *testing.T) {
	w := newWorld(t, "")
	ca, err := issue.NewAuthority(issue.AuthorityOptions{Name: "Real CA", Algorithm: issue.P256, Now: w.Clock.Now()})
	w.ok(err)
	sub, err := ca.Intermediate(issue.AuthorityOptions{Name: "Real issuing CA", Algorithm: issue.P256, Now: w.Clock.Now()})
	w.ok(err)
	list, err := w.clinic.Admin().CertList(w.ctx)
	w.ok(err)
	q, err := w.clinic.Admin().CertRequest(w.ctx, gateway.RequestArg{Replaces: list[0].ID[:16], Algorithm: issue.P256})
	w.ok(err)
	leaf, err := sub.FromRequest(q.Request, issue.LeafOptions{Domain: w.clinic.Domain, Now: w.Clock.Now()})
	w.ok(err)
	other, err := sub.Leaf(issue.LeafOptions{Domain: w.clinic.Domain, Now: w.Clock.Now(), Algorithm: issue.P256})
	w.ok(err)
	text := func(c ...[]byte) (out []byte) {
		for _, der := range c {
			out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
		}
		return out
	}
	if _, err := importing(w, map[string][]byte{"other.pem": text(other.Cert.Raw)}, ""); err == nil || !strings.Contains(err.Error(), "none answers a request") {
		t.Errorf("a certificate of nobody's request: %v", err)
	}
	got, err := importing(w, map[string][]byte{"answer.pem": text(leaf.Raw, sub.Cert.Raw, ca.Cert.Raw)}, "")
	w.ok(err)
	if len(got) != 1 || got[0].Request != q.ID || got[0].Replaces != list[0].ID || !got[0].SignsFrom.After(w.Clock.Now()) {
		t.Fatalf("%+v", got)
	}
	waiting, err := w.clinic.Store.Requests(w.ctx)
	if err != nil || len(waiting) != 0 {
		t.Errorf("%d requests still wait, %v", len(waiting), err)
	}
	signing, err := w.clinic.Ring.Signing(w.ctx, w.intake)
	if err != nil || signing.ID != list[0].ID {
		t.Errorf("signs at once: %s %v", signing.ID, err)
	}
	w.ok(w.Advance(w.ctx, 2*time.Hour))
	w.ok(w.clinic.Tend(w.ctx))
	signing, err = w.clinic.Ring.Signing(w.ctx, w.intake)
	if err != nil || signing.ID != got[0].ID || len(signing.Chain) != 1 {
		t.Errorf("after the wait %s signs with a chain of %d: %v", signing.ID, len(signing.Chain), err)
	}
}

// Many files are imported, or none of them.
func TestImportAllOrNone(t *testing.T) {
	w := newWorld(t, "")
	ca, err := issue.NewAuthority(issue.AuthorityOptions{Name: "Real CA", Algorithm: issue.P256, Now: w.Clock.Now()})
	w.ok(err)
	made := func(o issue.LeafOptions, legacy bool) []byte {
		o.Now, o.Algorithm = w.Clock.Now(), issue.P256
		c, err := ca.Leaf(o)
		w.ok(err)
		b, err := keyfile.WritePKCS12(c, "secret", legacy)
		w.ok(err)
		return b
	}
	good := made(issue.LeafOptions{Address: w.intake}, false)
	had, err := w.clinic.Admin().CertList(w.ctx)
	w.ok(err)
	for _, c := range []struct {
		situation, password, says string
		files                     map[string][]byte
	}{
		{"a wrong password", "wrong", "password", map[string][]byte{"a.p12": good}},
		{"one of a stranger's domain", "secret", "b.p12: gateway: certificate CN=x.example names no domain", map[string][]byte{"a.p12": good, "b.p12": made(issue.LeafOptions{Domain: w.hospital.Domain}, false)}},
		{"one that is nothing", "secret", "b.p12: keyfile:", map[string][]byte{"a.p12": good, "b.p12": []byte("hello")}},
		{"the same twice", "secret", "in another of these files too", map[string][]byte{"a.p12": good, "b.p12": good}},
	} {
		_, err := importing(w, c.files, c.password)
		says := strings.ReplaceAll(c.says, "x.example", w.hospital.Name)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v must say %q", c.situation, err, says)
		}
		if now, err := w.clinic.Admin().CertList(w.ctx); err != nil || len(now) != len(had) {
			t.Errorf("%s: %d certificates, %d before; %v", c.situation, len(now), len(had), err)
		}
	}
	got, err := importing(w, map[string][]byte{"a.p12": good, "b.p12": made(issue.LeafOptions{Address: w.clinic.Address("old")}, true)}, "secret")
	if err != nil || len(got) != 2 {
		t.Fatalf("%+v %v", got, err)
	}
	if _, err := importing(w, map[string][]byte{"a.p12": good}, "secret"); err == nil || !strings.Contains(err.Error(), "here already") {
		t.Errorf("imported twice: %v", err)
	}
}

// Everything with an end is told of at each threshold once: to the postmaster, in one message a look.
func TestEndsAreToldOnceEach(t *testing.T) {
	w := newWorld(t, "")
	words := func() int {
		items, err := w.clinic.Inbox(w.ctx, "postmaster")
		w.ok(err)
		return len(items)
	}
	look := func(by time.Duration) {
		w.ok(w.Advance(w.ctx, by))
		w.ok(w.clinic.Tend(w.ctx))
	}
	day := 24 * time.Hour
	w.ok(w.clinic.Tend(w.ctx))
	if words() != 0 {
		t.Fatalf("told a year before: %s", w.word())
	}
	look(250 * day)
	if got := w.reaches(); got != "filed" { // so that there is a partner
		t.Fatal(got)
	}
	if words() != 0 {
		t.Fatalf("told %s before", w.word())
	}
	look(56 * day) // 59 days left
	text := w.word()
	for _, want := range []string{"Our certificate of clinic.example", "The TLS certificate", "A partner's certificate hospital.example", "ends in 5", "postern cert roll", "To do"} {
		if !strings.Contains(text, want) {
			t.Errorf("the word does not say %q:\n%s", want, text)
		}
	}
	if words() != 1 {
		t.Errorf("%d words", words())
	}
	look(2 * day)
	if words() != 1 {
		t.Errorf("told twice at one threshold: %d words", words())
	}
	look(28 * day) // 29 left
	look(day)
	if words() != 2 {
		t.Errorf("at the next threshold: %d words", words())
	}
	soon, err := w.clinic.Admin().Ends(w.ctx, gateway.EndsArg{Days: 60})
	w.ok(err)
	kinds := map[expiry.Kind]bool{}
	for _, e := range soon {
		kinds[e.Kind] = true
		if e.Words == "" || e.Remedy == "" || e.Domain != w.clinic.Domain {
			t.Errorf("%+v", e)
		}
	}
	if !kinds[expiry.Own] || !kinds[expiry.TLS] || !kinds[expiry.Partner] || kinds[expiry.Anchor] {
		t.Errorf("what ends: %v", soon)
	}
	list, err := w.clinic.Admin().CertList(w.ctx)
	w.ok(err)
	if _, err := w.clinic.Admin().CertRoll(w.ctx, gateway.RollArg{ID: list[0].ID}); err != nil {
		t.Fatal(err)
	}
	if soon, err = w.clinic.Admin().Ends(w.ctx, gateway.EndsArg{Days: 60}); err != nil || slices.ContainsFunc(soon, func(e gateway.End) bool { return e.Kind == expiry.Own }) {
		t.Errorf("what is being replaced is still told of: %v %v", soon, err)
	}
}
