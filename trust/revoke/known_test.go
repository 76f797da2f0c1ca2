package revoke_test

import (
	"testing"

	"postern/trust/revoke"
)

// A list that a decision rests on is known with its end, so that one that does not come any more is told of.
func TestKnownLists(t *testing.T) {
	w := newWorld(t)
	c := w.checker()
	if got := c.Known(); len(got) != 0 {
		t.Fatalf("before any decision: %+v", got)
	}
	w.put("/l.crl", w.root.List(t, nil))
	w.ask(t, c, revoke.Good)
	got := c.Known()
	if len(got) != 1 || got[0].URL == "" || got[0].Issuer == "" || !got[0].Ends.After(w.clock.now) {
		t.Errorf("%+v", got)
	}
}
