package crash_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"postern/gateway"
	"postern/gateway/delivery/track"
)

var (
	messages = flag.Int("crash.messages", 240, "letters sent, both ways together")
	kills    = flag.Int("crash.kills", 10, "gateways killed")
	rate     = flag.Float64("crash.rate", 24, "letters a second, both ways together")
	seed     = flag.Uint64("crash.seed", 0, "0 is another run each time")
	keep     = flag.String("crash.keep", "", "folder to leave the sites in")
)

func TestKilledAtRandom(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes and takes a minute")
	}
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	t.Logf("-crash.seed %d", *seed)
	dir := *keep
	if dir == "" {
		dir = t.TempDir()
	}
	sites := newSites(t, dir)
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	for _, s := range sites {
		if err := s.start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.end(syscall.SIGKILL) })
	}
	loads := [2]*load{}
	var wg sync.WaitGroup
	began := time.Now()
	for i, s := range sites {
		loads[i] = &load{by: s, to: sites[1-i], n: *messages / 2, rate: *rate / 2, seed: *seed + uint64(i), fault: cancel}
		wg.Go(func() { loads[i].run(ctx) })
	}
	k := &killer{sites: sites, kills: *kills, rnd: rand.New(rand.NewPCG(*seed, 99)),
		mean: time.Duration(float64(*messages) / *rate / float64(*kills) * float64(time.Second))}
	if err := k.run(ctx); err != nil {
		cancel(err)
		t.Error(err)
	}
	wg.Wait()
	took := time.Since(began)
	if err := context.Cause(ctx); err != nil {
		t.Fatal(err)
	}
	settle(t, ctx, sites)
	settled := time.Since(began)
	report(t, loads, sites, k.done, took, settled)
}

// patience is how long the sites may take to come to rest: on a machine busy with other things as well, far longer
// than the letters themselves need.
func patience() time.Duration { return 10*time.Minute + time.Duration(*messages)*150*time.Millisecond }

// settle waits until neither site has anything to do but clocks, then stops both as an administrator would.
func settle(t *testing.T, ctx context.Context, sites [2]*site) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, patience())
	defer cancel()
	for calm := 0; calm < 4; { // one site's last job may give the other work
		left := 0
		var err error
		for _, s := range sites {
			n, e := s.busy(ctx)
			left, err = left+n, errors.Join(err, e, s.fault())
		}
		if calm++; left > 0 || err != nil {
			calm = 0
		}
		if ctx.Err() != nil {
			t.Fatalf("%d jobs are left (%v)", left, err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	for _, s := range sites {
		if err := errors.Join(s.fault(), s.end(syscall.SIGTERM)); err != nil {
			t.Fatal(err)
		}
	}
}

func report(t *testing.T, loads [2]*load, sites [2]*site, kills int, took, settled time.Duration) {
	t.Helper()
	var letters []*letter
	for _, l := range loads {
		letters = append(letters, l.letters...)
	}
	var faults []string
	sides := map[*site]*evidence{}
	check := func() error { faults = verdicts(letters, sides); return nil }
	for _, s := range sites { // both are open while the letters are compared
		inner := check
		check = func() error {
			return s.opened(context.Background(), func(g *gateway.Site) (err error) {
				if sides[s], err = gather(context.Background(), s, g); err != nil {
					return err
				}
				return inner()
			})
		}
	}
	if err := check(); err != nil {
		t.Fatal(err)
	}
	var answered, octets int64
	fates := map[destiny]int{}
	for _, l := range letters {
		fates[l.destiny]++
		octets += l.size
		if l.answered {
			answered++
		}
	}
	t.Logf("%d letters (%d MB; %v), %d answered 250, %d not answered, %d kills, %.1f letters/s over %s, at rest after %s", len(letters), octets>>20, fates,
		answered, int64(len(letters))-answered, kills, float64(len(letters))/took.Seconds(), took.Round(time.Second), settled.Round(time.Second))
	for _, s := range sites {
		if text, err := os.ReadFile(s.log.Name()); err == nil {
			t.Logf("%s's log: %d starts, %d warnings, %d errors, %d panics", s.name, bytes.Count(text, []byte("gateway is running")),
				bytes.Count(text, []byte("level=WARN")), bytes.Count(text, []byte("level=ERROR")), bytes.Count(text, []byte("panic")))
		}
	}
	if answered == 0 || len(letters) != *messages/2*2 {
		t.Errorf("%d letters, %d answered", len(letters), answered)
	}
	for i, f := range faults {
		if i == 40 {
			t.Errorf("and %d more", len(faults)-i)
			break
		}
		t.Error(f)
	}
}

// TestVerdictsFindFaults: the judge of the crash test must be able to say no.
func TestVerdictsFindFaults(t *testing.T) {
	a, b := &site{name: "a"}, &site{name: "b"}
	octets := func(sum byte) func(int64) ([32]byte, error) {
		return func(int64) ([32]byte, error) { return [32]byte{sum}, nil }
	}
	whole := []inRow{{"intake", octets(1), track.StateDelivered}}
	for _, c := range []struct {
		situation string
		answered  bool
		destiny   destiny
		out       []outRow
		in        []inRow
		says      string // "" is no fault
	}{
		{"delivered", true, filed, []outRow{{"m-1", track.StateDelivered, 0}}, whole, ""},
		{"not answered, delivered", false, filed, []outRow{{"m-1", track.StateDelivered, 0}}, whole, ""},
		{"not answered, not there", false, filed, nil, nil, ""},
		{"held", true, held, []outRow{{"m-1", track.StateSent, 0}}, []inRow{{"", nil, track.StateHeld}}, ""},
		{"failed", true, failed, []outRow{{"m-1", track.StateFailed, 1}}, nil, ""},
		{"lost", true, filed, nil, nil, "is lost"},
		{"accepted twice", false, filed, []outRow{{"m-1", track.StateDelivered, 0}, {"m-2", track.StateDelivered, 0}}, whole, "accepted 2 times"},
		{"other id", true, filed, []outRow{{"m-2", track.StateDelivered, 0}}, whole, "answered as m-1"},
		{"filed twice", true, filed, []outRow{{"m-1", track.StateDelivered, 0}}, append(whole, whole...), "arrived 2 times"},
		{"never arrived", true, filed, []outRow{{"m-1", track.StateDelivered, 0}}, nil, "arrived 0 times"},
		{"other octets", true, filed, []outRow{{"m-1", track.StateDelivered, 0}}, []inRow{{"intake", octets(2), track.StateDelivered}}, "other octets"},
		{"ladder behind", true, filed, []outRow{{"m-1", track.StateSent, 0}}, whole, `ladder says "sent"`},
		{"two failure notices", true, failed, []outRow{{"m-1", track.StateFailed, 2}}, nil, "2 failure notices"},
		{"no failure notice", true, failed, []outRow{{"m-1", track.StateFailed, 0}}, nil, "0 failure notices"},
		{"out of nothing", false, filed, nil, whole, "never accepted and arrived"},
	} {
		l := &letter{rfcID: "1@a", by: a, to: b, destiny: c.destiny, answered: c.answered, told: "m-1", sum: [32]byte{1}}
		l.rcpt = intakeOfB
		sides := map[*site]*evidence{a: {site: a, out: map[string][]outRow{}, in: map[string][]inRow{}},
			b: {site: b, out: map[string][]outRow{}, in: map[string][]inRow{}}}
		if c.out != nil {
			sides[a].out["1@a"] = c.out
		}
		if c.in != nil {
			sides[b].in["1@a"] = c.in
		}
		got := strings.Join(verdicts([]*letter{l}, sides), "; ")
		if c.says == "" && got != "" || !strings.Contains(got, c.says) {
			t.Errorf("%s: %q, must say %q", c.situation, got, c.says)
		}
	}
	stray := map[*site]*evidence{a: {site: a, in: map[string][]inRow{"x@y": whole}, faults: []string{"temporary file left: tmp/1"}}}
	if got := fmt.Sprint(verdicts(nil, stray)); !strings.Contains(got, "nobody sent") || !strings.Contains(got, "temporary file") {
		t.Errorf("strays: %s", got)
	}
}
