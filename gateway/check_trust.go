package gateway

import (
	"context"
	"encoding/json"
	"time"

	"postern/gateway/store"
	"postern/trust/bundle"
)

// checkBundles says which bundles fail, wait for a person, or are past the day their publisher gave (TB-37).
func (s *Site) checkBundles(ctx context.Context, add func(level, about, format string, args ...any)) {
	all, err := s.Store.Bundles(ctx)
	if err != nil {
		add("error", "bundles", "%v", err)
		return
	}
	waiting, err := s.Store.Proposals(ctx)
	if err != nil {
		add("error", "bundles", "%v", err)
	}
	for _, b := range all {
		name := "bundle " + b.Name
		if b.Look.Failures > 0 {
			add("warning", name, "it could not be refreshed %d times, last because %s; the anchors in force stay", b.Look.Failures, b.Look.Detail)
		}
		var m bundle.Metadata
		if json.Unmarshal(b.Look.Metadata, &m) == nil && !m.ValidTo.IsZero() && s.now().After(m.ValidTo) {
			add("warning", name, "its publisher says it is valid until %s: ask for the newer one; its anchors still count", m.ValidTo.UTC().Format(time.DateOnly))
		}
		if len(b.Subscriptions) == 0 {
			add("warning", name, "no domain subscribes to it, so its anchors are believed by nobody: postern trust bundle subscribe %s --domain D", b.Name)
		}
	}
	for _, p := range waiting {
		if p.Kind == store.ProposeBundle {
			add("warning", "bundle "+p.Object, "a newer version waits since %s: %s (postern trust bundle diff %s)", p.At.UTC().Format(time.DateOnly), p.Why, p.Object)
			continue
		}
		add("warning", "trust", "a change (%s of %s) by %s waits since %s for another person", p.Kind, p.Object, p.Actor, p.At.UTC().Format(time.DateOnly))
	}
}
