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
	"postern/gateway/rehearsal"
	"postern/gateway/store"
	"postern/smime/addr"
	"postern/trust"
	"postern/trust/bundle"
	"postern/trust/policy"
)

// AnchorAdd are the arguments of `trust anchor add`. The certificates are given here or as the call's octets.
type AnchorAdd struct {
	Domain       addr.Domain `json:"domain"`
	Certificates [][]byte    `json:"certificates,omitempty"` // DER
	Incoming     bool        `json:"incoming"`
	Outgoing     bool        `json:"outgoing"`
	AllowLeaf    bool        `json:"allow_leaf,omitempty"`
	Source       string      `json:"source,omitempty"`
	Days         int         `json:"days,omitempty"` // how far back it is held against decisions
	Look         bool        `json:"look,omitempty"` // say what it would do, and do nothing
}

// AnchorAdded is what was added, or would be.
type AnchorAdded struct {
	Anchors  []store.Anchor   `json:"anchors"`
	Findings []bundle.Finding `json:"findings"` // what was left out, and what to know of the rest
	Touched  Touched          `json:"touched"`
}

// AnchorAdd makes certificates trust anchors of a domain: they bite from the moment it returns.
func (a Admin) AnchorAdd(ctx context.Context, in AnchorAdd) ([]store.Anchor, error) {
	var file []byte
	for i, der := range in.Certificates {
		if _, err := x509.ParseCertificate(der); err != nil {
			return nil, fmt.Errorf("gateway: certificate %d cannot be read: %w", i+1, err)
		}
		file = append(file, der...)
	}
	rows, err := a.anchorRows(in, file)
	if err != nil {
		return nil, err
	}
	if err := a.widenBy(ctx, in.Domain, rows); err != nil {
		return nil, err
	}
	return rows, a.s.Store.AddAnchors(ctx, rows, a.entry("anchor.add", in.Domain.String(), anchorWords(in, rows)))
}

func anchorWords(in AnchorAdd, rows []store.Anchor) map[string]any {
	prints := make([]string, len(rows))
	for i, r := range rows {
		prints[i] = r.Fingerprint
	}
	return map[string]any{"anchors": prints, "incoming": in.Incoming, "outgoing": in.Outgoing}
}

// AnchorAddFile is AnchorAdd of a file in any form a bundle has, and says whom it lets in.
func (a Admin) AnchorAddFile(ctx context.Context, in AnchorAdd, file []byte) (AnchorAdded, error) {
	if len(in.Certificates) > 0 {
		rows, err := a.AnchorAdd(ctx, in)
		return AnchorAdded{Anchors: rows}, err
	}
	rows, err := a.anchorRows(in, file)
	if err != nil {
		return AnchorAdded{}, err
	}
	out := AnchorAdded{Anchors: rows, Findings: []bundle.Finding{}}
	if got, err := bundle.Parse(file, bundle.Options{Time: a.s.now(), AllowLeaves: in.AllowLeaf}); err == nil {
		out.Findings = append(out.Findings, got.Findings...)
	}
	if out.Touched, err = a.s.anchorsTouch(ctx, in.Domain, in.Days, func(have []store.Anchor) []store.Anchor { return append(slices.Clone(have), rows...) }); err != nil || in.Look {
		return out, err
	}
	if err := a.widenBy(ctx, in.Domain, rows); err != nil {
		return AnchorAdded{}, err
	}
	return out, a.s.Store.AddAnchors(ctx, rows, a.entry("anchor.add", in.Domain.String(), anchorWords(in, rows)))
}

// anchorsTouch is what changed anchors of a domain would have done to its decisions of the last days.
func (s *Site) anchorsTouch(ctx context.Context, d addr.Domain, days int, change func([]store.Anchor) []store.Anchor) (Touched, error) {
	if days <= 0 {
		days = DefaultDays
	}
	cases, err := s.cases(ctx, d, days)
	if err != nil {
		return Touched{}, err
	}
	r, err := rehearsal.Compare(ctx, cases, &proposed{db: s.Store}, &proposed{db: s.Store, anchors: change})
	return touched(days, r), err
}

// anchorRows reads certificates as anchors of a domain: any form a bundle has. One that cannot be an anchor
// costs the others nothing, but none at all is an error.
func (a Admin) anchorRows(in AnchorAdd, file []byte) ([]store.Anchor, error) {
	if !in.Incoming && !in.Outgoing {
		return nil, fmt.Errorf("gateway: an anchor is for incoming mail, for outgoing mail, or both")
	}
	if len(file) == 0 {
		return nil, fmt.Errorf("gateway: no certificate to add")
	}
	got, err := bundle.Parse(file, bundle.Options{Time: a.s.now(), AllowLeaves: in.AllowLeaf})
	if bundle.ReasonOf(err) == bundle.Empty {
		return nil, fmt.Errorf("gateway: %w; a certificate that is not an authority's would as an anchor approve only itself (TB-16): --leaf allows it", err)
	}
	if err != nil {
		return nil, fmt.Errorf("gateway: %w; give PEM, DER or PKCS#7", err)
	}
	var rows []store.Anchor
	for _, c := range got.Certs {
		row := anchorRow(c)
		row.Domain, row.Org, row.Incoming, row.Outgoing = in.Domain, a.s.Org, in.Incoming, in.Outgoing
		row.Source, row.Added = orDefault(in.Source, store.Manual), a.s.now()
		rows = append(rows, row)
	}
	return rows, nil
}

// anchorRow is a certificate as an anchor of no domain yet.
func anchorRow(c *x509.Certificate) store.Anchor {
	return store.Anchor{Fingerprint: certs.Fingerprint(c), Certificate: c.Raw, Subject: c.Subject.String(), Expires: c.NotAfter}
}

// AnchorRemove removes one anchor; what it alone vouched for is refused from the moment it returns.
func (a Admin) AnchorRemove(ctx context.Context, d addr.Domain, fingerprint string) error {
	return a.s.Store.RemoveAnchor(ctx, d, strings.ToLower(fingerprint), a.entry("anchor.remove", d.String(), map[string]any{"anchor": fingerprint}))
}

// AnchorArg names an anchor of a domain.
type AnchorArg struct {
	Domain      addr.Domain `json:"domain"`
	Fingerprint string      `json:"fingerprint"`   // or its first 8 digits or more
	Why         string      `json:"why,omitempty"` // of a block
	Days        int         `json:"days,omitempty"`
	Look        bool        `json:"look,omitempty"`
}

// AnchorRemoveTouch removes an anchor, or with Look says what that would do; either way it says what it touches.
func (a Admin) AnchorRemoveTouch(ctx context.Context, in AnchorArg) (Touched, error) {
	in.Fingerprint = strings.ToLower(in.Fingerprint)
	t, err := a.s.anchorsTouch(ctx, in.Domain, in.Days, func(have []store.Anchor) []store.Anchor {
		return slices.DeleteFunc(slices.Clone(have), func(r store.Anchor) bool {
			return strings.HasPrefix(r.Fingerprint, in.Fingerprint) && !strings.HasPrefix(r.Source, "bundle ")
		})
	})
	if err != nil || in.Look {
		return t, err
	}
	return t, a.AnchorRemove(ctx, in.Domain, in.Fingerprint)
}

// AnchorBlock keeps a domain from believing an anchor, whatever brings it; without a reason it lets it go again.
func (a Admin) AnchorBlock(ctx context.Context, in AnchorArg) (none, error) {
	have, err := a.s.Store.AnchorList(ctx, in.Domain)
	if err != nil {
		return none{}, err
	}
	var found []string
	for _, r := range have {
		if len(in.Fingerprint) >= 8 && strings.HasPrefix(r.Fingerprint, strings.ToLower(in.Fingerprint)) && !slices.Contains(found, r.Fingerprint) {
			found = append(found, r.Fingerprint)
		}
	}
	if len(found) != 1 {
		return none{}, fmt.Errorf("gateway: %d anchors of %s begin with %q: give 8 digits or more of one (postern trust anchor list)", len(found), in.Domain, in.Fingerprint)
	}
	action := "anchor.block"
	if in.Why == "" {
		action = "anchor.unblock"
		if err := a.widen(ctx, in.Domain, widened{Act: "unblock", Anchors: found}); err != nil {
			return none{}, err
		}
	}
	return none{}, a.s.Store.BlockAnchor(ctx, in.Domain, a.s.Org, found[0], in.Why, a.entry(action, in.Domain.String(), map[string]any{"anchor": found[0], "why": in.Why}))
}

// PolicyArg are the arguments of `trust policy set`, `remove` and `test`.
type PolicyArg struct {
	Domain    addr.Domain     `json:"domain"`
	Direction trust.Direction `json:"direction"`
	Use       string          `json:"use"`
	Name      string          `json:"name"`
	Text      string          `json:"text,omitempty"`
	Days      int             `json:"days,omitempty"`
	Look      bool            `json:"look,omitempty"` // say what it would do, and do nothing
	Remove    bool            `json:"remove,omitempty"`
}

// PolicyTested is what a policy says of the certificates seen in the last days.
type PolicyTested struct {
	Touched
	Certificates []PolicyVerdict `json:"certificates"` // that it would refuse
	Seen         int             `json:"seen"`
	Refused      int             `json:"refused"`
	Warnings     []string        `json:"warnings"`
}

// PolicyVerdict is one certificate that a policy refuses.
type PolicyVerdict struct {
	Certificate string `json:"certificate"` // fingerprint
	Subject     string `json:"subject"`
	Rule        string `json:"rule"`
	Detail      string `json:"detail"`
	Partner     string `json:"partner"`
	Messages    int64  `json:"messages"`
}

// checkPolicy refuses what no policy can be about.
func checkPolicy(in PolicyArg) error {
	if err := checkName("policy", in.Name); err != nil {
		return err
	}
	switch in.Direction {
	case trust.Incoming:
		if slices.Contains([]string{string(trust.Sign), store.UseDecrypt, store.UseAny}, in.Use) {
			return nil
		}
		return fmt.Errorf("gateway: a policy about incoming mail is for the use sign (the partner's signature), decrypt (our own certificates) or trust (every certificate of a partner), not %q", in.Use)
	case trust.Outgoing:
		if slices.Contains([]string{string(trust.Sign), string(trust.Encrypt), store.UseAny}, in.Use) {
			return nil
		}
		return fmt.Errorf("gateway: a policy about outgoing mail is for the use encrypt (the partner's certificate), sign (our own certificates) or trust (every certificate of a partner), not %q", in.Use)
	}
	return fmt.Errorf("gateway: a policy is for incoming or outgoing mail, not %q", in.Direction)
}

// own reports whether a policy is about our own certificates.
func (in PolicyArg) own() bool {
	return in.Direction == trust.Incoming && in.Use == store.UseDecrypt || in.Direction == trust.Outgoing && in.Use == string(trust.Sign)
}

// PolicySet puts a policy in force, takes it out, or with Look only says what that would have done.
func (a Admin) PolicySet(ctx context.Context, in PolicyArg) (PolicyTested, error) {
	if err := checkPolicy(in); err != nil {
		return PolicyTested{}, err
	}
	row := store.PolicyRow{Domain: in.Domain, Direction: in.Direction, Use: in.Use, Name: in.Name, Org: a.s.Org, Text: in.Text}
	if in.Remove {
		t, err := a.policyTouch(ctx, in, row)
		if err != nil || in.Look {
			return t, err
		}
		_, err = a.s.Store.RemovePolicy(ctx, row, a.entry("policy.remove", in.Domain.String(), map[string]any{"policy": in.Name}))
		return t, err
	}
	p, err := policy.Compile(in.Name, in.Text)
	if err != nil {
		return PolicyTested{}, err
	}
	t, err := a.policyTouch(ctx, in, row)
	if err == nil {
		err = a.policySeen(ctx, in, p, &t)
	}
	if err != nil || in.Look {
		return t, err
	}
	_, err = a.s.Store.SetPolicy(ctx, row, a.entry("policy.set", in.Domain.String(), map[string]any{"policy": in.Name, "direction": in.Direction, "use": in.Use}))
	a.s.published()
	return t, err
}

// policyTouch is what a policy would have done to the decisions of the last days.
func (a Admin) policyTouch(ctx context.Context, in PolicyArg, row store.PolicyRow) (PolicyTested, error) {
	if in.Days <= 0 {
		in.Days = DefaultDays
	}
	t := PolicyTested{Certificates: []PolicyVerdict{}, Warnings: []string{}}
	cases, err := a.s.cases(ctx, in.Domain, in.Days)
	if err != nil {
		return t, err
	}
	r, err := rehearsal.Compare(ctx, cases, &proposed{db: a.s.Store}, &proposed{db: a.s.Store, policies: func(have []store.PolicyRow) []store.PolicyRow { return withPolicy(have, row, in.Remove) }})
	t.Touched = touched(in.Days, r)
	return t, err
}

// policySeen asks a policy about every certificate it is about that was seen in the last days, accepted ones by
// their whole chain, and warns of one that never or always matches.
func (a Admin) policySeen(ctx context.Context, in PolicyArg, p *policy.Policy, t *PolicyTested) error {
	chains, partners, messages, err := a.policyChains(ctx, in)
	if err != nil {
		return err
	}
	held := map[string]int{}
	for i, path := range chains {
		t.Seen++
		for _, rule := range p.Holds(path) {
			held[rule]++
		}
		if v := p.Judge(path); !v.Pass {
			t.Refused++
			t.Certificates = append(t.Certificates, PolicyVerdict{certs.Fingerprint(path[0]), path[0].Subject.String(), v.Rule, v.Detail, partners[i], messages[i]})
		}
	}
	t.Warnings = append(t.Warnings, p.Constants()...)
	switch {
	case t.Seen == 0:
		t.Warnings = append(t.Warnings, "no certificate it is about was seen in these days: nothing is known of what it will do")
	case t.Refused == t.Seen:
		t.Warnings = append(t.Warnings, fmt.Sprintf("it refuses every one of the %d certificates seen: is it meant to?", t.Seen))
	case t.Refused == 0:
		t.Warnings = append(t.Warnings, fmt.Sprintf("it refuses none of the %d certificates seen: it changes nothing here", t.Seen))
	}
	if t.Seen > 1 {
		for _, r := range p.Rules {
			if held[r.Name] == 0 && t.Refused < t.Seen {
				t.Warnings = append(t.Warnings, fmt.Sprintf("rule %s (line %d) holds for none of the certificates seen", r.Name, r.Line))
			}
		}
	}
	return nil
}

// policyChains is the chains a policy is about: partners' that were accepted in the last days, or our own.
func (a Admin) policyChains(ctx context.Context, in PolicyArg) (chains [][]*x509.Certificate, partners []string, messages []int64, err error) {
	if in.own() {
		rows, err := credentials{a.s.Store}.StoredCredentials(ctx, in.Domain)
		for _, r := range rows {
			if !r.Retired {
				chains, partners, messages = append(chains, append([]*x509.Certificate{r.Credential.Cert}, r.Credential.Chain...)), append(partners, "ours"), append(messages, 0)
			}
		}
		return chains, partners, messages, err
	}
	cases, err := a.s.cases(ctx, in.Domain, in.Days)
	at := map[string]int{}
	for _, c := range cases {
		if c.Direction != in.Direction || c.Reason != "" {
			continue
		}
		i, ok := at[c.PathID]
		if !ok {
			i = len(chains)
			at[c.PathID] = i
			_, domain, _ := strings.Cut(c.Peer, "@")
			chains, partners, messages = append(chains, c.Path), append(partners, domain), append(messages, 0)
		}
		messages[i] += c.Count
	}
	return chains, partners, messages, err
}

// ChangesArg asks for changes of trust.
type ChangesArg struct {
	Days  int `json:"days,omitempty"`
	Limit int `json:"limit,omitempty"`
}

// MaxChanges bounds one list of changes.
const MaxChanges = 200

// TrustChanges lists changes of trust, newest first.
func (a Admin) TrustChanges(ctx context.Context, in ChangesArg) ([]store.TrustChange, error) {
	if in.Limit <= 0 || in.Limit > MaxChanges {
		in.Limit = MaxChanges
	}
	since := time.Time{}
	if in.Days > 0 {
		since = a.s.now().AddDate(0, 0, -in.Days)
	}
	all, err := a.s.Store.TrustChanges(ctx, since, in.Limit)
	for i := range all {
		all[i].Before, all[i].After = withoutOctets(all[i].Before), withoutOctets(all[i].After)
	}
	return all, err
}

// withoutOctets is rows for people: the certificates themselves are left out.
func withoutOctets(rows []store.TrustRow) []store.TrustRow {
	out := make([]store.TrustRow, len(rows))
	for i, r := range rows {
		out[i] = store.TrustRow{Table: r.Table, Values: map[string]any{}}
		for k, v := range r.Values {
			if k != "certificate" && k != "org" {
				out[i].Values[k] = v
			}
		}
	}
	return out
}

// TrustUndo takes a change back, unless what it made was changed since. One about a bundle that needs two persons
// needs them for this too.
func (a Admin) TrustUndo(ctx context.Context, change int64) (store.TrustChange, error) {
	if err := a.leavesNoSubscription(ctx, change); err != nil {
		return store.TrustChange{}, err
	}
	two, err := a.needsTwo(ctx, change)
	if err != nil {
		return store.TrustChange{}, err
	}
	if two {
		p, err := a.second(ctx, store.ProposeUndo, fmt.Sprint(change), change)
		if err == nil && p == "" {
			err = fmt.Errorf("gateway: %s", secondNeeded)
		}
		if err == nil {
			err = a.s.Store.Withdraw(ctx, store.ProposeUndo, fmt.Sprint(change))
		}
		if err != nil {
			return store.TrustChange{}, err
		}
	}
	if err := a.stillGood(ctx, change); err != nil {
		return store.TrustChange{}, err
	}
	c, err := a.s.Store.UndoTrust(ctx, change, a.entry("trust.undo", "", nil))
	if errors.Is(err, store.ErrChangedSince) {
		err = fmt.Errorf("gateway: change %d cannot be taken back by itself, nothing is changed: %w; take the later change back first (postern trust changes)", change, err)
	}
	c.Before, c.After = withoutOctets(c.Before), withoutOctets(c.After)
	a.s.published() // a policy may decide what of ours is published
	return c, err
}

// leavesNoSubscription refuses to take back the adding of a bundle that is subscribed to: whatever bundle came under its
// name later would be believed at once.
func (a Admin) leavesNoSubscription(ctx context.Context, change int64) error {
	c, err := a.s.Store.TrustChange(ctx, change)
	if err != nil {
		return err
	}
	isBundle := func(r store.TrustRow) bool { return r.Table == "bundle" }
	i := slices.IndexFunc(c.After, isBundle)
	if i < 0 || c.Undone != 0 || slices.ContainsFunc(c.Before, isBundle) {
		return nil
	}
	name, _ := c.After[i].Values["name"].(string)
	b, err := a.s.Store.Bundle(ctx, name)
	if errors.Is(err, store.ErrNotFound) {
		return nil // changed since: the undoing itself says so
	}
	if err == nil && len(b.Subscriptions) > 0 {
		err = fmt.Errorf("gateway: %s subscribes to bundle %s: postern trust bundle unsubscribe %s --domain %s first, and see what that touches",
			b.Subscriptions[0].Domain, name, name, b.Subscriptions[0].Domain)
	}
	return err
}

// stillGood refuses to put a certificate of ours back in use that is over.
func (a Admin) stillGood(ctx context.Context, change int64) error {
	c, err := a.s.Store.TrustChange(ctx, change)
	if err != nil {
		return err
	}
	for _, r := range c.Before {
		if r.Table != "credential" || r.Values["retired"] != "" {
			continue
		}
		row, err := a.credential(ctx, fmt.Sprint(r.Values["id"]))
		if err == nil && !row.Expires.After(a.s.now()) {
			err = fmt.Errorf("gateway: certificate %s ended on %s, so change %d is not taken back: postern cert create or postern cert csr makes a new one",
				row.ID[:16], row.Expires.UTC().Format(time.DateOnly), change)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
