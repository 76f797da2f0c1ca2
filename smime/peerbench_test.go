package smime_test

import (
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"postern/gateway/lab/peer"
)

// BenchmarkAgainstBouncyCastle reports how many times faster a message is sealed and opened here
// than by Bouncy Castle, warmed up, in one Java process: the same CMS work on both sides, in
// alternated rounds, medians. `go test -run xxx -bench AgainstBouncyCastle ./smime`
func BenchmarkAgainstBouncyCastle(b *testing.B) {
	from, to := someone(b, "hospital", "rsa2048"), someone(b, "clinic", "rsa2048")
	java := startBouncy(b)
	for _, n := range []int{30 << 10, 25_000_000} {
		times := max(1, 100*(30<<10)/n)
		seal, open := workOf(b, n)
		j := java.prepare(b, from, to, bulky(b, n))
		b.Run("Seal/"+sizeName(n), func(b *testing.B) {
			v := newVersus(times, seal, func() time.Duration { return java.time(b, times, j.sign...) + java.time(b, times, j.encrypt...) })
			for b.Loop() {
				v.round()
			}
			v.report(b)
		})
		b.Run("Open/"+sizeName(n), func(b *testing.B) {
			v := newVersus(times, open, func() time.Duration { return java.time(b, times, j.decrypt...) + java.time(b, times, j.verify...) })
			for b.Loop() {
				v.round()
			}
			v.report(b)
		})
	}
}

// versus alternates our work with a peer's, by the clock.
type versus struct {
	times  int
	ours   func()
	theirs func() time.Duration
	list   []float64
}

func newVersus(times int, ours func(), theirs func() time.Duration) *versus {
	for range 5 { // warm both
		theirs()
		ours()
	}
	return &versus{times: times, ours: ours, theirs: theirs}
}

func (v *versus) round() {
	t := v.theirs()
	start := time.Now()
	for range v.times {
		v.ours()
	}
	v.list = append(v.list, float64(t)/(float64(time.Since(start))/float64(v.times)))
}

func (v *versus) median() float64 {
	slices.Sort(v.list)
	return v.list[len(v.list)/2]
}

func (v *versus) report(b *testing.B) {
	b.ReportMetric(v.median(), "times-faster")
	b.ReportMetric(0, "ns/op")
}

// bouncyJobs are the four halves of one message's work, as words for the harness.
type bouncyJobs struct{ sign, encrypt, decrypt, verify []string }

func (j *bouncy) prepare(b testing.TB, from, to person, inner []byte) bouncyJobs {
	b.Helper()
	dir := b.TempDir()
	name := func(s string) string { return filepath.Join(dir, s) }
	write(b, name("inner"), wrapped(inner))
	fromCert, fromKey := j.der(b, from)
	toCert, toKey := j.der(b, to)
	jobs := bouncyJobs{
		sign:    []string{"sign", fromCert, fromKey, "SHA256withRSA", "false", name("inner"), name("signature")},
		encrypt: []string{"encrypt", oAES256CBC, "oaep", name("inner"), name("sealed"), toCert},
		decrypt: []string{"decrypt", toCert, toKey, name("sealed"), name("opened")},
		verify:  []string{"verify", name("signature"), name("inner")},
	}
	for _, words := range [][]string{jobs.sign, jobs.encrypt, jobs.decrypt, jobs.verify} {
		if _, err := j.ask(words...); err != nil {
			b.Fatal(err)
		}
	}
	return jobs
}

// time is what one run of the job takes, of n.
func (j *bouncy) time(b testing.TB, n int, words ...string) time.Duration {
	b.Helper()
	if _, err := j.ask(words...); err != nil {
		b.Fatal(err)
	}
	answer, err := j.ask("time", strconv.Itoa(n))
	if err != nil {
		b.Fatal(err)
	}
	ns, err := strconv.ParseInt(answer, 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return time.Duration(ns)
}

func startBouncy(b testing.TB) *bouncy {
	b.Helper()
	if j, ok := newBouncy(b).(*bouncy); ok {
		return j
	}
	peer.Missing(b, "Bouncy Castle")
	return nil
}
