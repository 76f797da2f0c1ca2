package gateway_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"postern/certs"
	"postern/certs/issue"
	"postern/certs/keyfile"
	"postern/gateway"
	"postern/trust"
)

// renewal is a certificate for the clinic that a real authority made, as PKCS#12.
func (w *world) renewal(from time.Time, life time.Duration) (string, []byte) {
	w.Helper()
	ca, err := issue.NewAuthority(issue.AuthorityOptions{Name: "Real CA", Algorithm: issue.P256, Now: from})
	w.ok(err)
	c, err := ca.Leaf(issue.LeafOptions{Domain: w.clinic.Domain, Now: from, Life: life, Algorithm: issue.P256})
	w.ok(err)
	file, err := keyfile.WritePKCS12(c, "secret", false)
	w.ok(err)
	return c.ID, file
}

// clinicSigner is the certificate that the clinic signs with now.
func (w *world) clinicSigner() string {
	w.Helper()
	c, err := w.clinic.Ring.Signing(w.ctx, w.intake)
	w.ok(err)
	return c.ID
}

func (w *world) importOne(file []byte, in gateway.ImportArg) ([]gateway.Imported, error) {
	in.Files = []gateway.ImportFile{{Name: "renewal.p12", Size: len(file), Password: "secret"}}
	return w.clinic.Admin().CertImportFiles(w.ctx, in, file)
}

// A renewal that comes as PKCS#12 is staged like a roll-over: published first, signing when every earlier answer has
// run out, the old one opening mail for a grace.
func TestAnImportedRenewalIsStaged(t *testing.T) {
	w := newWorld(t, "")
	old := w.clinicSigner()
	id, file := w.renewal(w.Clock.Now(), 3000*time.Hour)
	look, err := w.importOne(file, gateway.ImportArg{Replaces: old[:12], Look: true})
	w.ok(err)
	if w.live() != 1 || look[0].Replaces != old {
		t.Fatalf("a look changed something, or says %+v", look)
	}
	got, err := w.importOne(file, gateway.ImportArg{Replaces: old[:12]})
	w.ok(err)
	wait := got[0].SignsFrom.Sub(w.Clock.Now())
	if got[0].Replaces != old || wait < w.clinic.Config.DNS.TTL.D()-time.Second || len(got[0].Beside) != 0 {
		t.Fatalf("%+v, waits %s", got, wait)
	}
	if p := w.publishes(w.clinic); !slices.Contains(p, old) || !slices.Contains(p, id) || w.clinicSigner() != old {
		t.Errorf("in the wait: published %v, %s signs", p, w.clinicSigner())
	}
	w.ok(w.Advance(w.ctx, wait+time.Second))
	w.ok(w.clinic.Tend(w.ctx))
	if p := w.publishes(w.clinic); !slices.Equal(p, []string{id}) || w.clinicSigner() != id {
		t.Errorf("after the wait: published %v, %s signs", p, w.clinicSigner())
	}
	keys, err := w.clinic.Ring.Decryption(w.ctx, w.intake)
	if err != nil || len(keys) != 2 {
		t.Errorf("%d keys open mail in the grace: %v", len(keys), err)
	}
}

func TestAnImportThatReplacesWrongly(t *testing.T) {
	w := newWorld(t, "")
	old := w.clinicSigner()
	_, good := w.renewal(w.Clock.Now(), 3000*time.Hour)
	_, over := w.renewal(w.Clock.Now().Add(-48*time.Hour), 24*time.Hour)
	_, later := w.renewal(w.Clock.Now().Add(72*time.Hour), 3000*time.Hour)
	for _, c := range []struct {
		what string
		file []byte
		in   gateway.ImportArg
		says string
	}{
		{"an unknown one", good, gateway.ImportArg{Replaces: "0123456789ab"}, "postern cert list"},
		{"with one that is over", over, gateway.ImportArg{Replaces: old}, "is over on"},
		{"by force, with one not valid yet", later, gateway.ImportArg{Replaces: old, Force: true}, "stays: import without --force"},
		{"force without a place", good, gateway.ImportArg{Force: true}, "--replaces"},
	} {
		if _, err := w.importOne(c.file, c.in); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.what, err)
		}
		if w.live() != 1 || w.clinicSigner() != old {
			t.Fatalf("%s: half applied, %d in use", c.what, w.live())
		}
	}
	_, err := w.importOne(good, gateway.ImportArg{Replaces: old})
	w.ok(err)
	if _, err := w.importOne(good, gateway.ImportArg{}); err == nil || !strings.Contains(err.Error(), "here already and in use") {
		t.Errorf("the same one again: %v", err)
	}
	w.ok(w.clinic.Admin().CertRetire(w.ctx, old))
	if w.clinicSigner() == old {
		t.Error("a retired one signs")
	}
	if err := w.clinic.Admin().CertRetire(w.ctx, old); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("retired twice: %v", err)
	}
}

// By force the renewal takes the place in one change: at no instant is nothing published, or nothing to sign with.
func TestAnImportByForceIsOneChange(t *testing.T) {
	w := newWorld(t, "")
	old := w.clinicSigner()
	id, file := w.renewal(w.Clock.Now(), 3000*time.Hour)
	before, err := w.clinic.Admin().TrustChanges(w.ctx, gateway.ChangesArg{})
	w.ok(err)
	got, err := w.importOne(file, gateway.ImportArg{Replaces: old, Force: true, GraceDays: 3})
	w.ok(err)
	after, err := w.clinic.Admin().TrustChanges(w.ctx, gateway.ChangesArg{})
	w.ok(err)
	if len(after) != len(before)+1 || len(after[0].Before) != 1 || len(after[0].After) != 2 {
		t.Fatalf("not one change: %+v", after[0])
	}
	if p := w.publishes(w.clinic); !slices.Equal(p, []string{id}) || w.clinicSigner() != id || got[0].DecryptsUntil.Sub(w.Clock.Now()).Round(time.Hour) != 72*time.Hour {
		t.Errorf("%+v: published %v, %s signs", got, p, w.clinicSigner())
	}
}

// Beside one that stays in use an import says so.
func TestAnImportBesideAnother(t *testing.T) {
	w := newWorld(t, "")
	old := w.clinicSigner()
	_, file := w.renewal(w.Clock.Now(), 3000*time.Hour)
	got, err := w.importOne(file, gateway.ImportArg{})
	if err != nil || !slices.Equal(got[0].Beside, []string{old}) {
		t.Errorf("%+v %v", got, err)
	}
}

// What was done with our own certificates can be taken back, and the world sees what was before.
func TestChangesOfOurCertificatesAreTakenBack(t *testing.T) {
	for _, c := range []struct {
		what string
		do   func(w *world, old string) error
		wait bool // the roll-over goes through before it is taken back
	}{
		{"a retirement", func(w *world, old string) error { return w.clinic.Admin().CertRetire(w.ctx, old) }, false},
		{"an import", func(w *world, old string) error {
			_, file := w.renewal(w.Clock.Now(), 3000*time.Hour)
			_, err := w.importOne(file, gateway.ImportArg{})
			return err
		}, false},
		{"an import that waits for a place", func(w *world, old string) error {
			_, file := w.renewal(w.Clock.Now(), 3000*time.Hour)
			_, err := w.importOne(file, gateway.ImportArg{Replaces: old})
			return err
		}, false},
		{"an import by force", func(w *world, old string) error {
			_, file := w.renewal(w.Clock.Now(), 3000*time.Hour)
			_, err := w.importOne(file, gateway.ImportArg{Replaces: old, Force: true})
			return err
		}, false},
		{"a roll-over that has begun", func(w *world, old string) error {
			_, err := w.clinic.Admin().CertRoll(w.ctx, gateway.RollArg{ID: old})
			return err
		}, false},
		{"a roll-over that went through", func(w *world, old string) error {
			_, err := w.clinic.Admin().CertRoll(w.ctx, gateway.RollArg{ID: old})
			return err
		}, true},
	} {
		t.Run(c.what, func(t *testing.T) {
			w := newWorld(t, "")
			old := w.clinicSigner()
			w.ok(c.do(w, old))
			if c.wait {
				w.ok(w.Advance(w.ctx, 2*time.Hour))
				w.ok(w.clinic.Tend(w.ctx))
				if w.clinicSigner() == old {
					t.Fatal("the roll-over did not go through")
				}
			}
			last := w.lastChange()
			undone, err := w.clinic.Admin().TrustUndo(w.ctx, last)
			w.ok(err)
			for range 2 { // and looking after trust does not do it again
				if p := w.publishes(w.clinic); !slices.Equal(p, []string{old}) || w.clinicSigner() != old {
					t.Errorf("taken back: published %v, %s signs, was %s", p, w.clinicSigner(), old)
				}
				w.ok(w.Advance(w.ctx, 3*time.Hour))
				w.ok(w.clinic.Tend(w.ctx))
			}
			keys, err := w.clinic.Ring.Decryption(w.ctx, w.intake)
			all, lerr := w.clinic.Admin().CertList(w.ctx)
			if err != nil || lerr != nil || len(keys) != len(all) {
				t.Errorf("%d of %d keys open mail: %v %v", len(keys), len(all), err, lerr)
			}
			if _, err := w.clinic.Admin().TrustUndo(w.ctx, undone.Seq); err != nil {
				t.Errorf("the undoing is not undone: %v", err)
			}
		})
	}
}

func (w *world) lastChange() int64 {
	w.Helper()
	all, err := w.clinic.Admin().TrustChanges(w.ctx, gateway.ChangesArg{Limit: 1})
	w.ok(err)
	return all[0].Seq
}

// What cannot be taken back is refused with what to do instead.
func TestWhatOfOurCertificatesIsNotTakenBack(t *testing.T) {
	w := newWorld(t, "")
	first := w.clinicSigner()
	_, short := w.renewal(w.Clock.Now(), 48*time.Hour)
	got, err := w.importOne(short, gateway.ImportArg{})
	w.ok(err)
	imported := w.lastChange()
	w.ok(w.clinic.Admin().CertRetire(w.ctx, got[0].ID))
	retired := w.lastChange()
	if _, err := w.clinic.Admin().TrustUndo(w.ctx, imported); err == nil || !strings.Contains(err.Error(), "take the later change back first") {
		t.Errorf("changed again since: %v", err)
	}
	w.ok(w.Advance(w.ctx, 72*time.Hour))
	if _, err := w.clinic.Admin().TrustUndo(w.ctx, retired); err == nil || !strings.Contains(err.Error(), "ended on") || !strings.Contains(err.Error(), "cert create") {
		t.Errorf("one that is over: %v", err)
	}
	if w.clinicSigner() != first {
		t.Error("a refused undo changed who signs")
	}
}

// One that has its place by now stays while the one before it is out of use: without both nothing would sign. The
// roll-over is taken back first.
func TestWhatTookItsPlaceIsNotTakenBack(t *testing.T) {
	for _, c := range []struct {
		what   string
		retire bool // by hand, in place of the roll-over's end
	}{{"after the roll-over went through", false}, {"after the old one was retired by hand", true}} {
		t.Run(c.what, func(t *testing.T) {
			w := newWorld(t, "")
			old := w.clinicSigner()
			id, file := w.renewal(w.Clock.Now(), 3000*time.Hour)
			_, err := w.importOne(file, gateway.ImportArg{Replaces: old})
			w.ok(err)
			imported := w.lastChange()
			if c.retire {
				w.ok(w.clinic.Admin().CertRetire(w.ctx, old))
			}
			w.ok(w.Advance(w.ctx, 2*time.Hour))
			w.ok(w.clinic.Tend(w.ctx))
			if _, err := w.clinic.Admin().TrustUndo(w.ctx, imported); err == nil || !strings.Contains(err.Error(), "take the later change back first") {
				t.Errorf("taken back: %v", err)
			}
			if p := w.publishes(w.clinic); !slices.Equal(p, []string{id}) || w.clinicSigner() != id {
				t.Fatalf("published %v, %s signs, want %s", p, w.clinicSigner(), id)
			}
			_, err = w.clinic.Admin().TrustUndo(w.ctx, w.lastChange())
			w.ok(err)
			if p := w.publishes(w.clinic); !slices.Equal(p, []string{old}) || w.clinicSigner() != old {
				t.Errorf("the later change taken back: published %v, %s signs, want %s", p, w.clinicSigner(), old)
			}
		})
	}
}

// A renewal that the domain's own policies refuse takes no place: what it would not do the old one goes on doing, until
// the policy is taken away.
func TestARenewalThatOurPolicyRefuses(t *testing.T) {
	for _, c := range []struct {
		in   gateway.PolicyArg
		says string
	}{
		{gateway.PolicyArg{Direction: trust.Outgoing, Use: "sign", Text: "long: cert.validity_days > 200"}, "would not sign"},
		{gateway.PolicyArg{Direction: trust.Incoming, Use: "decrypt", Text: "long: cert.validity_days > 200"}, "would not be published"},
	} {
		t.Run(c.says, func(t *testing.T) {
			w := newWorld(t, "")
			old := w.clinicSigner()
			id, file := w.renewal(w.Clock.Now(), 3000*time.Hour)
			_, err := w.importOne(file, gateway.ImportArg{Replaces: old})
			w.ok(err)
			_, err = w.policyOf(c.in)
			w.ok(err)
			w.ok(w.Advance(w.ctx, 2*time.Hour))
			if err := w.clinic.Tend(w.ctx); err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "policy house") {
				t.Errorf("looking after it: %v", err)
			}
			if _, err := w.clinic.Admin().CertRoll(w.ctx, gateway.RollArg{ID: old, Force: true}); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("by force: %v", err)
			}
			_, more := w.renewal(w.Clock.Now(), 3000*time.Hour)
			w.ok(w.clinic.Admin().CertRetire(w.ctx, id))
			retired := w.lastChange()
			if _, err := w.importOne(more, gateway.ImportArg{Replaces: old, Force: true}); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("imported by force: %v", err)
			}
			_, err = w.clinic.Admin().TrustUndo(w.ctx, retired)
			w.ok(err)
			if p := w.publishes(w.clinic); !slices.Contains(p, old) || c.in.Use == "sign" && w.clinicSigner() != old {
				t.Errorf("published %v, the old one is not", p)
			}
			w.undoLast("policy.set")
			w.ok(w.clinic.Tend(w.ctx))
			if p := w.publishes(w.clinic); !slices.Equal(p, []string{id}) || w.clinicSigner() != id {
				t.Errorf("without the policy: published %v, %s signs", p, w.clinicSigner())
			}
		})
	}
}

// A pinned certificate can be taken away again.
func TestAPinIsTakenBack(t *testing.T) {
	w := newWorld(t, "")
	c, err := w.hospital.Ring.Signing(w.ctx, w.dr)
	w.ok(err)
	w.ok(w.clinic.Store.AddStatic(w.ctx, w.clinic.Org, w.dr.Key(), certs.Fingerprint(c.Cert), c.Cert.Raw, auditNone))
	_, err = w.clinic.Admin().TrustUndo(w.ctx, w.lastChange())
	w.ok(err)
	if have, err := w.clinic.Store.Static(w.ctx, w.dr.Key()); err != nil || len(have) != 0 {
		t.Errorf("%d pinned: %v", len(have), err)
	}
}
