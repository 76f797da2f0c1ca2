package gateway

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"postern/certs/expiry"
	"postern/gateway/pipeline"
	"postern/gateway/store"
	"postern/smime/addr"
)

// How often the gateway looks after trust by itself.
const (
	tendEvery    = time.Minute   // whether anything is due
	expiryEvery  = time.Hour     // all ends are looked at
	outwardEvery = 6 * time.Hour // our publication and our partners' are looked at from outside
	outwardFirst = 10 * time.Minute
)

// tending is when what is done by itself is due next.
type tending struct {
	sync.Mutex
	expiry, outward time.Time
	soonest         atomic.Pointer[map[expiry.Kind]time.Time] // the next end of each kind, as of the last look
}

// tend looks after trust until ctx ends: bundles, certificates that take another's place, ends that come near,
// and what the world sees. Nothing of it ever holds a message up (TB-36).
func (g *Gateway) tend(ctx context.Context) {
	t := time.NewTicker(tendEvery)
	defer t.Stop()
	for {
		if err := g.site.Tend(ctx); err != nil && ctx.Err() == nil {
			g.log.Warn("looking after trust met trouble; it goes on", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// Tend does what is due by the site's clock. One task's failure does not keep the others from being done.
func (s *Site) Tend(ctx context.Context) error {
	s.tended.Lock()
	defer s.tended.Unlock()
	by := s.As("gateway")
	errs := []error{s.tendBundles(ctx, by), s.tendRolls(ctx, by), s.Store.TellFailures(ctx)}
	now := s.now()
	if !now.Before(s.tended.expiry) {
		s.tended.expiry = now.Add(expiryEvery)
		errs = append(errs, s.tellEnds(ctx))
		_, err := s.Store.ForgetDecisions(ctx)
		errs = append(errs, err)
	}
	if s.tended.outward.IsZero() { // what has just started is not looked at before the world can see it
		s.tended.outward = now.Add(outwardFirst)
	}
	if !now.Before(s.tended.outward) {
		s.tended.outward = now.Add(outwardEvery)
		_, err := by.LookOutward(ctx, OutwardArg{})
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// tendBundles refreshes the bundles that are due.
func (s *Site) tendBundles(ctx context.Context, by Admin) error {
	all, err := s.Store.Bundles(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, b := range all {
		if b.URL == "" || b.Settings.Interval <= 0 || !b.Look.Due.IsZero() && s.now().Before(b.Look.Due) || ctx.Err() != nil {
			continue
		}
		if _, err := s.refresh(ctx, BundleArg{Name: b.Name}, nil, by); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// tellBundle tells the postmasters of the domains that subscribe to a bundle what has changed.
func (s *Site) tellBundle(ctx context.Context, b store.Bundle, c BundleChange, what string) error {
	var t strings.Builder
	fmt.Fprintf(&t, "The trust bundle %s has changed at its publisher.\n%s\n\n", b.Name, what)
	for _, part := range []struct {
		mark string
		list []AnchorTouch
	}{{"+", c.Added}, {"-", c.Removed}} {
		for _, a := range part.list {
			fmt.Fprintf(&t, "%s %s  %s: %d partners, %d messages in %d days\n", part.mark, a.Fingerprint[:16], a.Subject, a.Partners, a.Messages, c.Touched.Days)
		}
	}
	fmt.Fprintf(&t, "\nOf the messages of the last %d days, %d that were accepted would be refused, and %d that were refused would be accepted.\n",
		c.Touched.Days, c.Touched.LostN, c.Touched.WonN)
	var errs []error
	for _, sub := range b.Subscriptions {
		errs = append(errs, s.Pipeline.Tell(ctx, s.Org, pipeline.Word{Domain: sub.Domain, Subject: "Trust bundle " + b.Name + " has changed", Text: t.String()}))
	}
	return errors.Join(errs...)
}

// home is the domain whose postmaster hears what concerns the whole site.
func (s *Site) home(ctx context.Context) (addr.Domain, error) {
	all, err := s.Store.Domains(ctx)
	if err != nil || len(all) == 0 {
		return addr.Domain{}, err
	}
	return all[0].Name, nil
}
