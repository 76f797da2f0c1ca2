package smime_test

import (
	"bytes"
	"io"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"postern/smime"
)

// BenchmarkRatio measures the processor time of Seal and Open over that of the primitives the same
// message cannot avoid, in alternated rounds of one run, and reports the median: the figure that does
// not depend on the machine or on who else uses it. Run it with -cpu 1.
func BenchmarkRatio(b *testing.B) {
	from, to := someone(b, "hospital", "rsa2048"), someone(b, "clinic", "rsa2048")
	p := newPrimitives(b)
	for _, n := range sizes()[:4] {
		inner := bulky(b, n)
		o := smime.SealOptions{Signer: from.identity(), Now: testTime(), Recipients: []smime.Recipient{{Cert: to.cert}}}
		msg := sealed(b, inner, o)
		place := &resident{b: make([]byte, 0, n+64<<10)}
		oo := smime.OpenOptions{Keys: []smime.Key{to.decrypt()}, Scratch: func() (smime.Scratch, error) { return place, nil }}
		seal := func() {
			if _, err := smime.Seal(io.Discard, content(inner), o); err != nil {
				b.Fatal(err)
			}
		}
		open := func() {
			got, err := smime.Open(bytes.NewReader(msg), oo)
			if err != nil {
				b.Fatal(err)
			}
			got.Close()
		}
		b.Run("Seal/"+sizeName(n), func(b *testing.B) { ratio(b, n, seal, func() { p.seal(b, n) }) })
		b.Run("Open/"+sizeName(n), func(b *testing.B) { ratio(b, n, open, func() { p.open(b, n) }) })
	}
}

func ratio(b *testing.B, size int, job, floor func()) {
	r := newRounds(size, job, floor)
	for b.Loop() {
		r.round()
	}
	b.ReportMetric(r.median(), "cpu/primitives")
	b.ReportMetric(0, "ns/op")
}

// rounds alternates a job and its floor.
type rounds struct {
	times      int
	job, floor func()
	list       []float64
}

func newRounds(size int, job, floor func()) *rounds {
	job()
	floor()
	return &rounds{times: max(1, 2_000_000/(size+60_000)), job: job, floor: floor}
}

func (r *rounds) round() {
	f := processorTime(r.times, r.floor)
	j := processorTime(r.times, r.job)
	r.list = append(r.list, float64(j)/float64(f))
}

func (r *rounds) median() float64 {
	slices.Sort(r.list)
	return r.list[len(r.list)/2]
}

// processorTime is the user and system time this process spends on f, garbage collection included.
func processorTime(times int, f func()) time.Duration {
	runtime.GC()
	start := usage()
	for range times {
		f()
	}
	return usage() - start
}

func usage() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
