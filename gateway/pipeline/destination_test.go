package pipeline

import (
	"fmt"
	"testing"
	"time"
)

// TestOneProbeAtATime: a hundred jobs that find a destination away send one at a time, less and less often; those
// that were under way when it went away count as one failure; word from it frees all.
func TestOneProbeAtATime(t *testing.T) {
	var d destinations
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	const lane = "clinic.example"
	var under []turn
	for range 8 {
		under = append(under, d.ask(lane, now))
	}
	for i, u := range under {
		if !u.ok || u.probe {
			t.Fatalf("job %d is kept back from a destination nobody complained of", i)
		}
		d.settle(lane, u, silent, "refused", now)
	}
	if f := d.away[lane].failures; f != 1 {
		t.Errorf("eight at the same moment count as %d failures", f)
	}
	probes, end := 0, now.Add(time.Hour)
	for ; now.Before(end); now = now.Add(time.Second) {
		sent := 0
		for range 100 {
			u := d.ask(lane, now)
			if !u.ok {
				if !u.until.After(now) || u.until.Sub(now) > longestRest || u.words == "" {
					t.Fatalf("told to wait until %v, at %v, because %q", u.until, now, u.words)
				}
				continue
			}
			sent++
			under = []turn{u}
		}
		if sent > 1 {
			t.Fatalf("%d at the same time", sent)
		}
		if sent == 1 {
			probes++
			d.settle(lane, under[0], silent, "refused", now)
		}
	}
	if probes < 6 || probes > 12 {
		t.Errorf("%d probes in an hour", probes)
	}
	if other := d.ask("else.example", now); !other.ok {
		t.Error("another destination is kept back")
	}
	now = now.Add(longestRest)
	probe := d.ask(lane, now)
	if again := d.ask(lane, now); !probe.probe || again.ok {
		t.Errorf("probe %+v, and beside it %+v", probe, again)
	}
	d.settle(lane, probe, nothing, "", now) // given up: the next one probes
	if probe = d.ask(lane, now); !probe.probe {
		t.Error("nobody probes after a probe that came to nothing")
	}
	if !d.settle(lane, probe, answers, "", now) {
		t.Error("an answer frees nobody")
	}
	for range 8 {
		if u := d.ask(lane, now); !u.ok || u.probe {
			t.Errorf("after the answer: %+v", u)
		}
	}
}

func TestDestinationsAndTheClock(t *testing.T) {
	var d destinations
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	d.settle("a", d.ask("a", now), silent, "x", now)
	if u := d.ask("a", now.Add(-24*time.Hour)); !u.ok {
		t.Errorf("the clock was set back a day and nobody goes before %v", u.until)
	}
	d.settle("b", d.ask("b", now), silent, "x", now)
	d.retry("b")
	if u := d.ask("b", now); !u.ok {
		t.Error("a person asked for a try, and nobody goes")
	}
	for i := range 2 * maxAway {
		lane := fmt.Sprint("dead", i)
		at := now.Add(time.Duration(i) * time.Minute)
		d.settle(lane, d.ask(lane, at), silent, "x", at)
	}
	if len(d.away) > maxAway {
		t.Errorf("%d destinations are remembered", len(d.away))
	}
}
