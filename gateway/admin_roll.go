package gateway

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"postern/certs"
	"postern/certs/issue"
	"postern/gateway/store"
	"postern/smime/addr"
)

// DefaultGrace is how long a certificate that was replaced goes on opening mail.
const DefaultGrace = 30 * 24 * time.Hour

// leastWait is the shortest wait between publishing and signing: others remember for so long that a name was
// not there.
const leastWait = 5 * time.Minute

// RollArg are the arguments of `cert roll`.
type RollArg struct {
	ID        string `json:"id"`             // of the old certificate
	With      string `json:"with,omitempty"` // a stored certificate that takes its place; "" makes one of the pilot authority
	Days      int    `json:"days,omitempty"`
	GraceDays int    `json:"grace_days,omitempty"`
	Finish    bool   `json:"finish,omitempty"` // sign with the new one now
	Force     bool   `json:"force,omitempty"`  // although others may still have the old answer
}

// Roll is where a roll-over stands.
type Roll struct {
	Old           string    `json:"old"`
	New           string    `json:"new"`
	Stage         string    `json:"stage"` // published, signing
	SignsFrom     time.Time `json:"signs_from,omitzero"`
	DecryptsUntil time.Time `json:"decrypts_until,omitzero"` // of the old one
}

// Stages of a roll-over.
const (
	StagePublished = "published" // both are published, the old one signs
	StageSigning   = "signing"   // the new one signs; the old one decrypts for a grace
)

// CertRoll begins a roll-over, says where it stands, or finishes it. The new certificate is published at once
// beside the old one, and signs when every answer given before has run out; the gateway goes on by itself then.
func (a Admin) CertRoll(ctx context.Context, in RollArg) (Roll, error) {
	old, err := a.credential(ctx, in.ID)
	if err != nil {
		return Roll{}, err
	}
	if !old.Retired.IsZero() {
		return Roll{}, fmt.Errorf("gateway: certificate %s is retired already", old.ID[:16])
	}
	next, err := a.successorOf(ctx, old)
	switch {
	case err != nil:
		return Roll{}, err
	case next == nil:
		if next, err = a.beginRoll(ctx, old, in); err != nil {
			return Roll{}, err
		}
	case in.With != "" && !strings.HasPrefix(next.ID, strings.ToLower(in.With)):
		return Roll{}, fmt.Errorf("gateway: certificate %s is already being replaced by %s", old.ID[:16], next.ID[:16])
	}
	r := Roll{Old: old.ID, New: next.ID, Stage: StagePublished, SignsFrom: next.SignsFrom}
	if !in.Finish && !in.Force {
		return r, nil
	}
	if a.s.now().Before(next.SignsFrom) && !in.Force {
		return r, fmt.Errorf("gateway: partners may hold our old answer until %s: until then they could not check a signature of the new certificate by what we publish, so the old one signs. Nothing needs to be done: the change comes by itself. --force signs with the new one now",
			next.SignsFrom.UTC().Format(time.RFC3339))
	}
	return a.finishRoll(ctx, old, *next, graceOf(in.GraceDays))
}

func graceOf(days int) time.Duration {
	if days <= 0 {
		return DefaultGrace
	}
	return time.Duration(days) * 24 * time.Hour
}

// successorOf is the credential that takes another's place, or nil.
func (a Admin) successorOf(ctx context.Context, old store.Credential) (*store.Credential, error) {
	rows, err := a.s.Store.Credentials(ctx, old.Domain)
	for _, r := range rows {
		if r.Replaces == old.ID && r.Retired.IsZero() {
			return &r, nil
		}
	}
	return nil, err
}

// publicationWait is how long an answer given before a change may live with others; a certificate that only
// signs is looked up by nobody.
func (s *Site) publicationWait(old store.Credential) time.Duration {
	if !old.CanDecrypt {
		return 0
	}
	return max(s.Config.DNS.TTL.D(), leastWait)
}

func (a Admin) beginRoll(ctx context.Context, old store.Credential, in RollArg) (*store.Credential, error) {
	signs := a.s.now().Add(a.s.publicationWait(old))
	if in.With != "" {
		next, err := a.credential(ctx, in.With)
		if err != nil {
			return nil, err
		}
		if signs, err = a.takesPlace(ctx, old, next); err != nil {
			return nil, err
		}
		next.Replaces, next.SignsFrom = old.ID, signs
		defer a.s.published()
		return &next, a.s.Store.StageCredential(ctx, next.ID, old.ID, signs, a.entry("cert.roll", old.ID, map[string]any{"new": next.ID, "signs_from": signs}))
	}
	cert, err := x509.ParseCertificate(old.Certificate)
	if err != nil {
		return nil, fmt.Errorf("gateway: stored certificate %s: %w", old.ID, err)
	}
	ca, err := a.pilot(ctx)
	if err != nil {
		return nil, err
	}
	if cert.CheckSignatureFrom(ca.Cert) != nil {
		return nil, fmt.Errorf("gateway: certificate %s was issued by %s, not by this site's pilot authority: make a request with `postern cert csr --replaces %s`, have it signed, and import the answer; that begins the roll-over",
			old.ID[:16], cert.Issuer, old.ID[:16])
	}
	o := issue.LeafOptions{Address: old.Address, Use: useOf(old), Algorithm: algorithmOf(cert), Now: a.s.now(), Life: time.Duration(in.Days) * 24 * time.Hour}
	if old.Address.IsZero() {
		o.Domain = old.Domain
	}
	c, err := ca.Leaf(o)
	if err != nil {
		return nil, err
	}
	rows, err := a.certPlace(ctx, []certs.Credential{c}, "cert.roll", successor{old.ID, signs})
	if err != nil {
		return nil, err
	}
	return &rows[0], nil
}

// takesPlace says from when on a credential can sign in another's place: when every answer given before has run
// out, and not before it is valid. It refuses one that would leave a gap.
func (a Admin) takesPlace(ctx context.Context, old, next store.Credential) (time.Time, error) {
	if err := fitsPlace(old, next); err != nil {
		return time.Time{}, err
	}
	if next.Replaces != "" && next.Replaces != old.ID {
		if other, err := a.credential(ctx, next.Replaces); err == nil && other.Retired.IsZero() {
			return time.Time{}, fmt.Errorf("gateway: certificate %s is to take the place of %s", next.ID[:16], other.ID[:16])
		}
	}
	after, err := a.successorOf(ctx, next)
	if err != nil {
		return time.Time{}, err
	}
	if after != nil {
		return time.Time{}, fmt.Errorf("gateway: certificate %s is itself being replaced, by %s", next.ID[:16], after.ID[:16])
	}
	cert, err := x509.ParseCertificate(next.Certificate)
	if err != nil {
		return time.Time{}, fmt.Errorf("gateway: certificate %s: %w", next.ID[:16], err)
	}
	signs := a.s.now().Add(a.s.publicationWait(old))
	if signs.Before(cert.NotBefore) {
		signs = cert.NotBefore
	}
	if !signs.Before(cert.NotAfter) {
		return time.Time{}, fmt.Errorf("gateway: certificate %s is over on %s, before it could sign (%s): take one that lasts", next.ID[:16],
			cert.NotAfter.UTC().Format(time.RFC3339), signs.UTC().Format(time.RFC3339))
	}
	return signs, nil
}

// fitsPlace refuses a successor that is bound to something else, can do less or is retired.
func fitsPlace(old, next store.Credential) error {
	switch {
	case next.ID == old.ID:
		return errors.New("gateway: a certificate does not replace itself")
	case next.Domain != old.Domain || next.Address.Key() != old.Address.Key():
		return fmt.Errorf("gateway: certificate %s is bound to %s %s, the old one to %s %s", next.ID[:16], next.Domain, next.Address, old.Domain, old.Address)
	case old.CanSign && !next.CanSign, old.CanDecrypt && !next.CanDecrypt:
		return fmt.Errorf("gateway: certificate %s can do less than the one it would replace (signing %v, decrypting %v)", next.ID[:16], next.CanSign, next.CanDecrypt)
	case !next.Retired.IsZero():
		return fmt.Errorf("gateway: certificate %s is retired", next.ID[:16])
	}
	return nil
}

func useOf(c store.Credential) issue.Use {
	switch {
	case !c.CanDecrypt:
		return issue.Sign
	case !c.CanSign:
		return issue.Encrypt
	}
	return issue.Dual
}

// algorithmOf is the kind of key the successor gets: the same, where this program makes it.
func algorithmOf(c *x509.Certificate) issue.Algorithm {
	if c.PublicKeyAlgorithm == x509.ECDSA {
		return issue.P256
	}
	return issue.RSA2048
}

// finishRoll takes the old certificate out of service. Not even force does so for one that is not valid now, or that
// the domain's own policies keep from what the old one does.
func (a Admin) finishRoll(ctx context.Context, old, next store.Credential, grace time.Duration) (Roll, error) {
	if err := validNow(next, a.s.now()); err != nil {
		return Roll{}, fmt.Errorf("%w, so the old one, %s, stays: postern cert retire %s, and roll to one that is valid", err, old.ID[:16], next.ID[:16])
	}
	if err := a.allowed(ctx, old, next); err != nil {
		return Roll{}, fmt.Errorf("%w, so the old one, %s, stays: change the policy (postern trust policy list), or roll to a certificate that meets it", err, old.ID[:16])
	}
	until := a.s.now().Add(grace)
	defer a.s.published()
	return Roll{Old: old.ID, New: next.ID, Stage: StageSigning, SignsFrom: a.s.now().UTC(), DecryptsUntil: until.UTC()},
		a.s.Store.FinishRoll(ctx, old.ID, next.ID, until, a.entry("cert.rolled", old.ID, map[string]any{"new": next.ID, "decrypts_until": until,
			"before": "old signs, both published", "after": "new signs and is published"}))
}

// allowed says whether the domain's own policies let a certificate do what the one before it does.
func (a Admin) allowed(ctx context.Context, old, next store.Credential) error {
	had, err := credentials{a.s.Store}.judge(ctx, old)
	if err != nil {
		return err
	}
	has, err := credentials{a.s.Store}.judge(ctx, next)
	if err != nil {
		return err
	}
	switch {
	case old.CanSign && had.Unsigning == nil && has.Unsigning != nil:
		return fmt.Errorf("gateway: it would not sign: %w", *has.Unsigning)
	case old.CanDecrypt && had.Unpublished == nil && has.Unpublished != nil:
		return fmt.Errorf("gateway: it would not be published: %w", *has.Unpublished)
	}
	return nil
}

// tendRolls finishes the roll-overs whose wait is over.
func (s *Site) tendRolls(ctx context.Context, by Admin) error {
	rows, err := s.Store.Credentials(ctx, addr.Domain{})
	if err != nil {
		return err
	}
	var errs []error
	for _, next := range rows {
		if next.Replaces == "" || !next.Retired.IsZero() || s.now().Before(next.SignsFrom) {
			continue
		}
		i := slices.IndexFunc(rows, func(r store.Credential) bool { return r.ID == next.Replaces && r.Retired.IsZero() })
		if i < 0 {
			continue
		}
		if _, err := by.finishRoll(ctx, rows[i], next, DefaultGrace); err != nil {
			errs = append(errs, err) // the others' wait is over all the same
			continue
		}
		s.Log.Info("a certificate took another's place", "old", rows[i].ID[:16], "new", next.ID[:16], "domain", next.Domain)
	}
	return errors.Join(errs...)
}
