package audit_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"postern/gateway/audit"
)

// chain is n entries of a node.
func chain(node string, n int) []audit.Entry {
	var out []audit.Entry
	var last audit.Entry
	for i := range n {
		last = audit.Chain(last, audit.Entry{Node: node, Org: "o-1", Time: time.Date(2026, 1, 2, 3, 4, i, 5678901, time.FixedZone("", 3600)),
			Actor: "uid:1000", Action: "anchor.add", Object: fmt.Sprint("clinic", i, ".example"), Detail: json.RawMessage(`{"v":1}`)})
		out = append(out, last)
	}
	return out
}

func seq(es ...[]audit.Entry) iter.Seq2[audit.Entry, error] {
	return func(yield func(audit.Entry, error) bool) {
		for _, e := range slices.Concat(es...) {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func TestSoundChains(t *testing.T) {
	a, b := chain("a", 5), chain("b", 3)
	heads, err := audit.Verify(seq(a, b), a[2].Head(), a[4].Head(), b[0].Head())
	if err != nil || !slices.Equal(heads, []audit.Head{a[4].Head(), b[2].Head()}) {
		t.Fatalf("heads %v, %v", heads, err)
	}
	if a[0].Prev != "" || a[0].Seq != 1 || a[1].Prev != a[0].Hash {
		t.Errorf("chain begins %+v", a[:2])
	}
	if heads, err := audit.Verify(seq()); err != nil || len(heads) != 0 {
		t.Errorf("nothing: %v %v", heads, err)
	}
}

func TestEntrySurvivesStorage(t *testing.T) {
	e := chain("a", 1)[0]
	if want := "2026-01-02T02:04:00.005Z"; e.Time.Format("2006-01-02T15:04:05.000Z07:00") != want {
		t.Errorf("time %v, want %s", e.Time, want)
	}
	j, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	var back audit.Entry
	if err := json.Unmarshal(j, &back); err != nil || back.Sum() != e.Hash {
		t.Errorf("after JSON: %s %v", j, err)
	}
	// The encoding is a format: rows written by every earlier version must verify for ever.
	fixed := audit.Chain(audit.Entry{}, audit.Entry{Node: "n", Org: "o", Time: time.UnixMilli(0), Actor: "x", Action: "y", Object: "z", Detail: json.RawMessage("{}")})
	if want := "617aa17a68fb7acab8f1fbd39747f37a624f056c8ce4e355aa31c513ebd50a07"; fixed.Hash != want {
		t.Errorf("hash %s, want %s", fixed.Hash, want)
	}
}

func TestBrokenChainsNameTheFirstBadEntry(t *testing.T) {
	edit := func(n, at int, f func(*audit.Entry)) []audit.Entry { c := chain("a", n); f(&c[at]); return c }
	rehash := func(c []audit.Entry, from int) []audit.Entry {
		for i := from; i < len(c); i++ {
			last := audit.Entry{}
			if i > 0 {
				last = c[i-1]
			}
			c[i] = audit.Chain(last, c[i])
		}
		return c
	}
	good := chain("a", 5)
	other := chain("b", 2)
	cases := []struct {
		name    string
		entries []audit.Entry
		known   []audit.Head
		at      int64
		want    audit.Reason
	}{
		{"actor changed", edit(5, 2, func(e *audit.Entry) { e.Actor = "uid:0" }), nil, 3, audit.Altered},
		{"action changed", edit(5, 2, func(e *audit.Entry) { e.Action = "anchor.remove" }), nil, 3, audit.Altered},
		{"object changed", edit(5, 2, func(e *audit.Entry) { e.Object = "x" }), nil, 3, audit.Altered},
		{"organisation changed", edit(5, 2, func(e *audit.Entry) { e.Org = "o-2" }), nil, 3, audit.Altered},
		{"detail changed", edit(5, 2, func(e *audit.Entry) { e.Detail = json.RawMessage(`{"v":2}`) }), nil, 3, audit.Altered},
		{"detail spelled otherwise", edit(5, 2, func(e *audit.Entry) { e.Detail = json.RawMessage(`{"v": 1}`) }), nil, 3, audit.Altered},
		{"time changed", edit(5, 2, func(e *audit.Entry) { e.Time = e.Time.Add(time.Millisecond) }), nil, 3, audit.Altered},
		{"hash changed", edit(5, 2, func(e *audit.Entry) { e.Hash = good[1].Hash }), nil, 3, audit.Altered},
		{"text moved between fields", edit(5, 2, func(e *audit.Entry) { e.Actor, e.Action = e.Actor+"a", e.Action[1:] }), nil, 3, audit.Altered},
		{"changed and hashed again", edit(5, 2, func(e *audit.Entry) { e.Actor = "uid:0"; e.Hash = e.Sum() }), nil, 4, audit.Unlinked},
		{"removed", slices.Delete(chain("a", 5), 2, 3), nil, 4, audit.Gap},
		{"removed and renumbered", slices.Concat(good[:2], func() []audit.Entry {
			c := chain("a", 5)[3:]
			for i := range c {
				c[i].Seq--
				c[i].Hash = c[i].Sum()
			}
			return c
		}()), nil, 3, audit.Unlinked},
		{"first removed", good[1:], nil, 2, audit.Gap},
		{"exchanged", func() []audit.Entry { c := chain("a", 5); c[1], c[2] = c[2], c[1]; return c }(), nil, 3, audit.Gap},
		{"repeated", slices.Insert(chain("a", 5), 2, good[1]), nil, 2, audit.Gap},
		// The inserted entry is sound where it stands; the one that had its number is not.
		{"inserted", slices.Insert(chain("a", 5), 2, audit.Chain(good[1], audit.Entry{Node: "a"})), nil, 3, audit.Gap},
		{"of another node, given again", slices.Concat(good[:2], other, good[2:]), nil, 3, audit.Mixed},
		{"rewritten whole, a head is known", rehash(edit(5, 1, func(e *audit.Entry) { e.Actor = "uid:0" }), 1), []audit.Head{good[3].Head()}, 4, audit.Rewritten},
		{"cut off, a head is known", good[:3], []audit.Head{good[4].Head()}, 4, audit.CutOff},
		{"cut off before another node", slices.Concat(good[:3], other), []audit.Head{good[3].Head()}, 4, audit.CutOff},
		{"gone whole, a head is known", nil, []audit.Head{good[4].Head()}, 1, audit.CutOff},
	}
	for _, k := range cases {
		t.Run(k.name, func(t *testing.T) {
			_, err := audit.Verify(seq(k.entries), k.known...)
			var broken *audit.BrokenError
			if !errors.As(err, &broken) {
				t.Fatalf("got %v", err)
			}
			if broken.Reason != k.want || broken.Seq != k.at || broken.Node != "a" {
				t.Errorf("got %s at %s/%d (%s), want %s at a/%d", broken.Reason, broken.Node, broken.Seq, broken.Why, k.want, k.at)
			}
		})
	}
	var v audit.Verifier
	if err := errors.Join(v.Next(good[0]), v.Next(good[1])); err != nil {
		t.Fatal(err)
	}
	var broken *audit.BrokenError
	foreign := audit.Chain(good[1], audit.Entry{Node: "b"})
	if err := v.Next(foreign); !errors.As(err, &broken) || broken.Reason != audit.Mixed {
		t.Errorf("another node's entry in a chain: %v", err)
	}
}

func TestAnErrorOfTheRowsIsNotAVerdict(t *testing.T) {
	gone := errors.New("database is gone")
	_, err := audit.Verify(func(yield func(audit.Entry, error) bool) {
		yield(chain("a", 1)[0], nil)
		yield(audit.Entry{}, gone)
	})
	var broken *audit.BrokenError
	if !errors.Is(err, gone) || errors.As(err, &broken) {
		t.Errorf("got %v", err)
	}
}

// Whatever happens to one field of one row, or to the order of rows, is noticed, and never before the row
// it happened to.
func TestAnyChangeIsNoticed(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 8).Draw(rt, "entries")
		var c []audit.Entry
		var last audit.Entry
		for range n {
			last = audit.Chain(last, audit.Entry{Node: "a", Org: rapid.String().Draw(rt, "org"), Time: time.UnixMilli(rapid.Int64Range(0, 1<<40).Draw(rt, "ms")),
				Actor: rapid.String().Draw(rt, "actor"), Action: rapid.String().Draw(rt, "action"),
				Object: rapid.String().Draw(rt, "object"), Detail: json.RawMessage(rapid.String().Draw(rt, "detail"))})
			c = append(c, last)
		}
		at := rapid.IntRange(0, n-1).Draw(rt, "at")
		e := &c[at]
		x := rapid.StringN(1, 5, 20).Draw(rt, "x")
		switch rapid.IntRange(0, 7).Draw(rt, "field") {
		case 0:
			e.Org += x
		case 1:
			e.Actor += x
		case 2:
			e.Action += x
		case 3:
			e.Object = x + e.Object
		case 4:
			e.Detail = append(slices.Clone(e.Detail), x...)
		case 5:
			e.Time = e.Time.Add(time.Duration(1 + len(x)))
		case 6:
			e.Seq += int64(len(x))
		case 7:
			e.Prev += x
		}
		_, err := audit.Verify(seq(c))
		var broken *audit.BrokenError
		if !errors.As(err, &broken) || broken.Seq < int64(at+1) {
			rt.Fatalf("change at %d: %v", at+1, err)
		}
	})
}
