package inbox_test

import (
	"crypto/x509"
	"encoding/json"
	"testing"
	"time"

	"postern/certs/issue"
	"postern/gateway/clinic/inbox"
	"postern/smime/addr"
	"postern/trust"
)

// TestOriginNeedsProof: an inbox takes nothing on anybody's word.
func TestOriginNeedsProof(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	sender, other := addr.MustParse("ward3@direct.hospital.example"), addr.MustParse("al@direct.other.example")
	ca, err := issue.NewAuthority(issue.AuthorityOptions{Name: "CA", Algorithm: issue.P256, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	leaf := func(d string) *x509.Certificate {
		c, err := ca.Leaf(issue.LeafOptions{Domain: addr.MustDomain(d), Algorithm: issue.P256, Now: now})
		if err != nil {
			t.Fatal(err)
		}
		return c.Cert
	}
	good, foreign := leaf("direct.hospital.example"), leaf("direct.other.example")
	judge := trust.New(trust.Config{Anchors: trust.Fixed{Set: trust.NewAnchorSet([]*x509.Certificate{ca.Cert})}, Clock: func() time.Time { return now }})
	approve := func(dir trust.Direction, use trust.Use) trust.Approval {
		d, err := judge.Evaluate(t.Context(), trust.Question{Cert: good, Peer: sender, Local: addr.MustDomain("direct.clinic.example"),
			Direction: dir, Purpose: trust.Mail, Use: use, Time: now})
		if err != nil || !d.OK() {
			t.Fatalf("%v %s %s", err, d.Reason, d.Detail)
		}
		return d.Approval
	}
	in := approve(trust.Incoming, trust.Sign)
	if o, err := inbox.FromPeer(in, good, sender, now); err != nil || !o.Valid() || o.Signer() != sender || o.String() != "peer" {
		t.Errorf("the right approval: %v %v", o, err)
	}
	for situation, try := range map[string]func() (inbox.Origin, error){
		"the zero approval":      func() (inbox.Origin, error) { return inbox.FromPeer(trust.Approval{}, good, sender, now) },
		"of another sender":      func() (inbox.Origin, error) { return inbox.FromPeer(in, good, other, now) },
		"of another certificate": func() (inbox.Origin, error) { return inbox.FromPeer(in, foreign, sender, now) },
		"of the other direction": func() (inbox.Origin, error) {
			return inbox.FromPeer(approve(trust.Outgoing, trust.Encrypt), good, sender, now)
		},
		"to encrypt to the sender": func() (inbox.Origin, error) {
			return inbox.FromPeer(approve(trust.Incoming, trust.Encrypt), good, sender, now)
		},
		"to encrypt, for a notice": func() (inbox.Origin, error) {
			return inbox.FromNotice(approve(trust.Incoming, trust.Encrypt), good, sender, now)
		},
		"a stale one":              func() (inbox.Origin, error) { return inbox.FromPeer(in, good, sender, now.Add(time.Hour)) },
		"one from the future":      func() (inbox.Origin, error) { return inbox.FromPeer(in, good, sender, now.Add(-time.Hour)) },
		"of no certificate at all": func() (inbox.Origin, error) { return inbox.FromPeer(in, nil, sender, now) },
	} {
		if o, err := try(); err == nil || o.Valid() {
			t.Errorf("an approval %s makes an origin", situation)
		}
	}
	d, err := judge.Evaluate(t.Context(), trust.Question{Cert: good, Peer: sender, Local: addr.MustDomain("direct.clinic.example"),
		Direction: trust.Incoming, Purpose: trust.Notice, Use: trust.Sign, Time: now})
	if err != nil || !d.OK() {
		t.Fatalf("%v %s", err, d.Reason)
	}
	if o, err := inbox.FromPeer(d.Approval, good, sender, now); err == nil || o.Valid() {
		t.Error("an approval for notices lets mail in")
	}
	if o, err := inbox.FromNotice(d.Approval, good, sender, now); err != nil || o.String() != "notice" {
		t.Errorf("an approval for notices: %v %v", o, err)
	}
	if (inbox.Origin{}).Valid() {
		t.Error("the zero origin is valid")
	}
}

func TestPatientName(t *testing.T) {
	for stored, want := range map[string]string{
		``: "", `null`: "", `{}`: "", `{"name":{"given":"Eve","family":"Betterhalf"}}`: "Eve Betterhalf",
		`{"name":{"text":"Eve B."}}`: "Eve B.", `{"names":[{"family":"Only"}]}`: "Only", `[1]`: "",
	} {
		if got := (inbox.Document{Patient: json.RawMessage(stored)}).PatientName(); got != want {
			t.Errorf("%s: %q, want %q", stored, got, want)
		}
	}
}
