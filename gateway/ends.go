package gateway

import (
	"context"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"postern/certs"
	"postern/certs/expiry"
	"postern/gateway/edge/metrics"
	"postern/gateway/pipeline"
	"postern/gateway/store"
	"postern/smime/addr"
)

// partnerDays is how long ago a partner's certificate may have been used to be watched.
const partnerDays = 90

// ends is everything with an end, and whose postmaster hears of it.
type ends struct {
	items []expiry.Item
	whose map[string]addr.Domain
}

func (e *ends) add(d addr.Domain, i expiry.Item) {
	if _, there := e.whose[i.Key()]; there {
		return
	}
	e.items = append(e.items, i)
	e.whose[i.Key()] = d
}

// ends collects our certificates, anchors, the signers of bundles, TLS certificates, revocation lists in use and
// the certificates of partners we have written with.
func (s *Site) ends(ctx context.Context) (ends, error) {
	e := ends{whose: map[string]addr.Domain{}}
	home, err := s.home(ctx)
	if err != nil || home.IsZero() {
		return e, err
	}
	for _, collect := range []func(context.Context, *ends, addr.Domain) error{s.ownEnds, s.bundleEnds, s.partnerEnds} {
		if err := collect(ctx, &e, home); err != nil {
			return e, err
		}
	}
	s.tlsEnds(&e, home)
	for _, l := range s.revoked.Known() {
		e.add(home, expiry.Item{Kind: expiry.List, ID: l.URL + " " + hex.EncodeToString(l.SHA256[:8]), Name: "of " + l.Issuer + " at " + l.URL, Ends: l.Ends})
	}
	return e, nil
}

// ownEnds is our certificates, and the anchors of each domain.
func (s *Site) ownEnds(ctx context.Context, e *ends, _ addr.Domain) error {
	creds, err := s.Store.Credentials(ctx, addr.Domain{})
	if err != nil {
		return err
	}
	replaced := map[string]bool{}
	for _, c := range creds {
		if c.Retired.IsZero() && c.Replaces != "" {
			replaced[c.Replaces] = true
		}
	}
	for _, c := range creds {
		if !c.Retired.IsZero() || replaced[c.ID] {
			continue
		}
		name := c.Domain.String()
		if !c.Address.IsZero() {
			name = c.Address.String()
		}
		e.add(c.Domain, expiry.Item{Kind: expiry.Own, ID: c.ID, Name: "of " + name + " (" + c.ID[:16] + ")", Ends: c.Expires})
	}
	anchors, err := s.Store.AnchorList(ctx, addr.Domain{})
	for _, a := range anchors {
		if a.Blocked == "" && a.Fault == "" {
			e.add(a.Domain, expiry.Item{Kind: expiry.Anchor, ID: a.Fingerprint + " " + a.Domain.String(), Name: a.Subject + " (" + a.Fingerprint[:16] + ", " + a.Source + ")", Ends: a.Expires})
		}
	}
	return err
}

// bundleEnds is who signs our bundles: those configured, and who signed the file in force.
func (s *Site) bundleEnds(ctx context.Context, e *ends, home addr.Domain) error {
	bundles, err := s.Store.Bundles(ctx)
	for _, b := range bundles {
		whose := home
		if len(b.Subscriptions) > 0 {
			whose = b.Subscriptions[0].Domain
		}
		for _, der := range append(slices.Clone(b.Settings.Signers), b.Look.Signer) {
			if c, err := x509.ParseCertificate(der); err == nil {
				e.add(whose, expiry.Item{Kind: expiry.Signer, ID: certs.Fingerprint(c) + " " + b.Name, Name: b.Name + ", " + c.Subject.String(), Ends: c.NotAfter})
			}
		}
	}
	return err
}

// partnerEnds is the certificates with which partners' mail was accepted or sealed lately: of each partner and
// use the one that lasts longest, so that a renewal is not taken for an end.
func (s *Site) partnerEnds(ctx context.Context, e *ends, _ addr.Domain) error {
	judged, err := s.Store.Judged(ctx, addr.Domain{}, s.now().AddDate(0, 0, -partnerDays))
	if err != nil {
		return err
	}
	known := map[string]*x509.Certificate{}
	latest := map[string]expiry.Item{}
	whose := map[string]addr.Domain{}
	for _, j := range judged {
		if j.Reason != "" || len(j.Path) == 0 {
			continue
		}
		path, err := s.seen(ctx, j.Path[:1], known)
		if err != nil {
			return err
		}
		c := path[0]
		names := strings.Join(append(slices.Clone(c.EmailAddresses), c.DNSNames...), " ")
		key := string(j.Direction) + " " + names
		if old, ok := latest[key]; !ok || c.NotAfter.After(old.Ends) {
			latest[key] = expiry.Item{Kind: expiry.Partner, ID: j.Path[0], Name: names, Ends: c.NotAfter}
			whose[key] = j.Domain
		}
	}
	for key, item := range latest {
		e.add(whose[key], item)
	}
	return nil
}

// tlsEnds is the certificate our servers show.
func (s *Site) tlsEnds(e *ends, home addr.Domain) {
	text, err := os.ReadFile(s.Config.TLS.Certificate)
	if err != nil {
		return // `postern check` says so, and serve does not start without it
	}
	if block, _ := pem.Decode(text); block != nil {
		if c, err := x509.ParseCertificate(block.Bytes); err == nil {
			e.add(home, expiry.Item{Kind: expiry.TLS, ID: certs.Fingerprint(c), Name: s.Config.TLS.Certificate, Ends: c.NotAfter})
		}
	}
}

// listThresholds are how long before its end a revocation list is told of: lists live for days and are fetched
// ahead, so that one this old is one that does not come any more.
func listThresholds() []time.Duration { return []time.Duration{time.Hour, 0} }

// looked is what is due of all ends, in two looks: lists have thresholds of their own.
func (s *Site) looked(e ends, told expiry.Told) (due []expiry.Notice, left []string, err error) {
	var lists, others []expiry.Item
	for _, i := range e.items {
		if i.Kind == expiry.List {
			lists = append(lists, i)
		} else {
			others = append(others, i)
		}
	}
	a, err := expiry.Look(others, told, s.now(), nil)
	if err != nil {
		return nil, nil, err
	}
	b, err := expiry.Look(lists, told, s.now(), listThresholds())
	if err != nil {
		return nil, nil, err
	}
	for k := range told {
		if _, there := e.whose[k]; !there && !mayComeBack(k) {
			left = append(left, k)
		}
	}
	return append(a.Due, b.Due...), left, nil
}

// mayComeBack reports whether an item may be gone only from sight: lists are in memory until they are asked for again
// after a start, and the TLS files are being replaced for a moment. What was told of them stays told.
func mayComeBack(key string) bool {
	return strings.HasPrefix(key, expiry.Item{Kind: expiry.List}.Key()) || strings.HasPrefix(key, expiry.Item{Kind: expiry.TLS}.Key())
}

// tellEnds tells each domain's postmaster, in one message and the log, of every end that has come to a threshold
// since the last look: each once.
func (s *Site) tellEnds(ctx context.Context) error {
	e, err := s.ends(ctx)
	if err != nil {
		return err
	}
	soonest := map[expiry.Kind]time.Time{}
	for _, i := range e.items {
		if old, ok := soonest[i.Kind]; !ok || i.Ends.Before(old) {
			soonest[i.Kind] = i.Ends
		}
	}
	s.tended.soonest.Store(&soonest)
	told, err := s.Store.ToldEnds(ctx)
	if err != nil {
		return err
	}
	due, left, err := s.looked(e, told)
	if err != nil {
		return err
	}
	by := map[addr.Domain][]expiry.Notice{}
	for _, n := range due {
		d := e.whose[n.Key()]
		by[d] = append(by[d], n)
	}
	errs := []error{s.Store.ForgetTold(ctx, left)}
	for d, notices := range by {
		errs = append(errs, s.tellDomain(ctx, d, notices))
	}
	return errors.Join(errs...)
}

func (s *Site) tellDomain(ctx context.Context, d addr.Domain, notices []expiry.Notice) error {
	word := pipeline.Word{Domain: d, Subject: notices[0].Words()}
	if n := len(notices); n > 1 {
		word.Subject = fmt.Sprintf("%d things end soon; the first: %s", n, notices[0].Words())
	}
	if len(word.Subject) > maxSubject {
		word.Subject = word.Subject[:maxSubject] + "…"
	}
	var text strings.Builder
	for _, n := range notices {
		s.Log.Warn("an end comes near", "kind", n.Kind, "name", n.Name, "ends", n.Ends.UTC(), "left", n.Left.Round(time.Hour), "domain", d)
		fmt.Fprintf(&text, "%s\n    To do: %s\n\n", n.Words(), n.Remedy())
		word.Told = append(word.Told, store.Told{Item: n.Key(), Threshold: n.Threshold})
	}
	text.WriteString("All that ends: postern cert expiring\n")
	word.Text = text.String()
	return s.Pipeline.Tell(ctx, s.Org, word)
}

// maxSubject bounds the subject of a word to the postmaster, in octets.
const maxSubject = 200

// EndsArg asks for what ends.
type EndsArg struct {
	Days int `json:"days"` // within so many days; what is over already included
}

// End is one thing that ends.
type End struct {
	Kind   expiry.Kind `json:"kind"`
	Name   string      `json:"name"`
	Domain addr.Domain `json:"domain"`
	ID     string      `json:"id"`
	Ends   time.Time   `json:"ends"`
	Days   int         `json:"days_left"` // negative when it is over
	Words  string      `json:"words"`
	Remedy string      `json:"remedy"`
}

// Ends lists what ends soon, soonest first.
func (a Admin) Ends(ctx context.Context, in EndsArg) ([]End, error) {
	e, err := a.s.ends(ctx)
	if err != nil {
		return nil, err
	}
	out := []End{}
	for _, i := range e.items {
		n := expiry.Notice{Item: i, Left: i.Ends.Sub(a.s.now())}
		if n.Left > time.Duration(in.Days)*24*time.Hour {
			continue
		}
		out = append(out, End{i.Kind, i.Name, e.whose[i.Key()], i.ID, i.Ends.UTC(), int(n.Left.Hours() / 24), n.Words(), n.Remedy()})
	}
	slices.SortStableFunc(out, func(a, b End) int { return a.Ends.Compare(b.Ends) })
	return out, nil
}

// trustGauges are what monitoring sees of trust: how near each kind's next end is as of the last hourly look, and how each bundle stands.
func (s *Site) trustGauges(ctx context.Context) ([]metrics.Gauge, error) {
	var out []metrics.Gauge
	if soonest := s.tended.soonest.Load(); soonest != nil {
		for kind, at := range *soonest {
			out = append(out, metrics.Gauge{Name: "next_end_seconds", Help: "Until the soonest end of that kind (certificates, anchors, lists); negative when it is over.",
				Labels: map[string]string{"kind": string(kind)}, Value: at.Sub(s.now()).Seconds()})
		}
	}
	bundles, err := s.Store.Bundles(ctx)
	if err != nil {
		return nil, err
	}
	waiting, err := s.Store.Proposals(ctx)
	for _, b := range bundles {
		of := map[string]string{"bundle": b.Name}
		n := 0.0
		for _, p := range waiting {
			if p.Kind == store.ProposeBundle && p.Object == b.Name {
				n = 1
			}
		}
		out = append(out, metrics.Gauge{Name: "bundle_failures", Help: "Looks at the bundle's source that failed since the last that did not.", Labels: of, Value: float64(b.Look.Failures)},
			metrics.Gauge{Name: "bundle_waiting", Help: "1 while a newer version of the bundle waits for a person.", Labels: of, Value: n},
			metrics.Gauge{Name: "bundle_age_seconds", Help: "Since the bundle's source was last looked at with success.", Labels: of, Value: s.now().Sub(b.Look.Succeeded).Seconds()})
	}
	return out, err
}
