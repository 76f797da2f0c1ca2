package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"postern/certs/keyfile"
	"postern/gateway/edge/control"
	"postern/gateway/store"
	"postern/smime/addr"
	"postern/trust/bundle"
)

// trustVerbs are what a trust administrator can ask.
func trustVerbs() map[string]verb {
	return map[string]verb{
		"anchor.add": octets(bundle.MaxOctets, Admin.AnchorAddFile),
		"anchor.list": with(func(ctx context.Context, a Admin, d addr.Domain) ([]store.Anchor, error) {
			return a.s.Store.AnchorList(ctx, d)
		}),
		"anchor.remove": with(func(ctx context.Context, a Admin, in AnchorArg) (Touched, error) { return a.AnchorRemoveTouch(ctx, in) }),
		"anchor.block":  with(func(ctx context.Context, a Admin, in AnchorArg) (none, error) { return a.AnchorBlock(ctx, in) }),
		"bundle.add":    octets(bundle.MaxOctets, Admin.BundleAdd),
		"bundle.set":    with(func(ctx context.Context, a Admin, in BundleAdd) (Refreshed, error) { return a.BundleSet(ctx, in) }),
		"bundle.list":   with(func(ctx context.Context, a Admin, _ none) ([]BundleState, error) { return a.BundleList(ctx) }),
		"bundle.get": with(func(ctx context.Context, a Admin, name string) (store.Bundle, error) {
			return a.s.Store.Bundle(ctx, name)
		}),
		"bundle.refresh": octets(bundle.MaxOctets, Admin.BundleRefresh),
		"bundle.diff":    with(func(ctx context.Context, a Admin, in BundleArg) (BundleChange, error) { return a.BundleDiff(ctx, in) }),
		"bundle.apply":   with(func(ctx context.Context, a Admin, in BundleArg) (Refreshed, error) { return a.BundleApply(ctx, in) }),
		"bundle.reject":  with(func(ctx context.Context, a Admin, in BundleArg) (none, error) { return a.BundleReject(ctx, in) }),
		"bundle.subscribe": with(func(ctx context.Context, a Admin, in SubscribeArg) (Subscribed, error) {
			return a.BundleSubscribe(ctx, in)
		}),
		"bundle.remove": with(func(ctx context.Context, a Admin, in BundleArg) (none, error) { return a.BundleRemove(ctx, in) }),
		"policy.set":    with(func(ctx context.Context, a Admin, in PolicyArg) (PolicyTested, error) { return a.PolicySet(ctx, in) }),
		"policy.list": with(func(ctx context.Context, a Admin, d addr.Domain) ([]store.PolicyRow, error) {
			return a.s.Store.Policies(ctx, d)
		}),
		"cert.roll":    with(func(ctx context.Context, a Admin, in RollArg) (Roll, error) { return a.CertRoll(ctx, in) }),
		"cert.request": with(func(ctx context.Context, a Admin, in RequestArg) (Requested, error) { return a.CertRequest(ctx, in) }),
		"cert.request_again": with(func(ctx context.Context, a Admin, id string) (Requested, error) {
			return a.CertRequestAgain(ctx, id)
		}),
		"cert.requests": with(func(ctx context.Context, a Admin, _ none) ([]store.Request, error) { return a.s.Store.Requests(ctx) }),
		"cert.import":   octets(MaxImport*keyfile.MaxFile/8, Admin.CertImportFiles),
		"cert.ends":     with(func(ctx context.Context, a Admin, in EndsArg) ([]End, error) { return a.Ends(ctx, in) }),
		"outward.look": with(func(ctx context.Context, a Admin, in OutwardArg) ([]store.Sighting, error) {
			return a.LookOutward(ctx, in)
		}),
		"outward.show":       with(func(ctx context.Context, a Admin, in OutwardArg) ([]Seen, error) { return a.Outward(ctx, in) }),
		"held.groups":        with(func(ctx context.Context, a Admin, _ none) ([]HeldGroup, error) { return a.HeldGroups(ctx) }),
		"held.trust":         octets(bundle.MaxOctets, Admin.HeldTrust),
		"held.release_group": with(func(ctx context.Context, a Admin, name string) (int, error) { return a.HeldReleaseGroup(ctx, name) }),
		"why.letter":         whyLetter,
		"trust.simulate":     octets(bundle.MaxOctets, Admin.Simulate),
		"trust.changes": with(func(ctx context.Context, a Admin, in ChangesArg) ([]store.TrustChange, error) {
			return a.TrustChanges(ctx, in)
		}),
		asVerb:       actAs,
		"trust.undo": with(func(ctx context.Context, a Admin, n int64) (store.TrustChange, error) { return a.TrustUndo(ctx, n) }),
	}
}

// whyLetter gives the letter as its value and the mail message as its octets.
func whyLetter(ctx context.Context, a Admin, args json.RawMessage, _ io.Reader) (control.Answer, error) {
	var in LetterArg
	if err := json.Unmarshal(args, &in); err != nil {
		return control.Answer{}, &control.Error{Kind: "usage", Text: "gateway: arguments: " + err.Error()}
	}
	l, mail, err := a.WhyLetter(ctx, in)
	return control.Answer{Value: l, Body: func(w io.Writer) error {
		_, err := w.Write(mail)
		return err
	}}, err
}

// octets makes a verb of a method that also takes the call's octets.
func octets[In, Out any](max int64, f func(a Admin, ctx context.Context, in In, file []byte) (Out, error)) verb {
	return func(ctx context.Context, a Admin, args json.RawMessage, body io.Reader) (control.Answer, error) {
		var in In
		if err := json.Unmarshal(args, &in); err != nil {
			return control.Answer{}, &control.Error{Kind: "usage", Text: "gateway: arguments: " + err.Error()}
		}
		var file []byte
		if body != nil {
			var err error
			if file, err = io.ReadAll(io.LimitReader(body, max+1)); err != nil {
				return control.Answer{}, err
			}
		}
		if int64(len(file)) > max {
			return control.Answer{}, fmt.Errorf("gateway: more than %d octets were given", max)
		}
		out, err := f(a, ctx, in, file)
		return control.Answer{Value: out}, err
	}
}
