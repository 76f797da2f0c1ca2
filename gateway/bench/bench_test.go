package bench_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"postern/gateway/bench"
)

func now() time.Time { return time.Date(2026, 5, 4, 9, 0, 0, 0, time.UTC) }

func TestEverythingIsMeasured(t *testing.T) {
	r, err := bench.Run(t.Context(), bench.Options{Sizes: []int{4 << 10, 100_000}, Rounds: 1, Now: now()})
	if err != nil {
		t.Fatal(err)
	}
	if r.V != 1 || len(r.Rows) != 2 || r.Processors < 1 {
		t.Fatalf("%+v", r)
	}
	for _, row := range r.Rows {
		for name, v := range map[string]float64{"seal": row.Seal, "open": row.Open, "seal primitives": row.SealPrimitives, "open primitives": row.OpenPrimitives,
			"seal ratio": row.SealRatio, "open ratio": row.OpenRatio, "seal rate": row.SealMBs, "open rate": row.OpenMBs} {
			if v <= 0 {
				t.Errorf("%d octets: %s is %v", row.Octets, name, v)
			}
		}
	}
	var out bytes.Buffer
	if err := r.WriteText(&out); err != nil || strings.Count(out.String(), "\n") < 5 || !strings.Contains(out.String(), "100000") {
		t.Errorf("%v: %s", err, out.String())
	}
}

func TestBounds(t *testing.T) {
	for _, o := range []bench.Options{{Sizes: []int{1}}, {Sizes: []int{2 << 30}}, {Rounds: 1001}, {Rounds: -1}} {
		o.Now = now()
		if _, err := bench.Run(t.Context(), o); err == nil {
			t.Errorf("%+v was measured", o)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := bench.Run(ctx, bench.Options{Now: now()}); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %v", err)
	}
}
