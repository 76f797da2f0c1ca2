package smime_test

import (
	"bytes"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"postern/gateway/lab/peer"
	"postern/smime"
)

// BenchmarkAgainstBouncyCastle reports how many times faster a message is sealed and opened here
// than by Bouncy Castle, warmed up, in one Java process: the same CMS work on both sides, in
// alternated rounds, medians. `go test -run xxx -bench AgainstBouncyCastle ./smime`
func BenchmarkAgainstBouncyCastle(b *testing.B) {
	from, to := someone(b, "hospital", "rsa2048"), someone(b, "clinic", "rsa2048")
	java := startBouncy(b)
	for _, n := range []int{30 << 10, 25_000_000} {
		inner := bulky(b, n)
		o := smime.SealOptions{Signer: from.identity(), Now: testTime(), Recipients: []smime.Recipient{{Cert: to.cert}}}
		msg := sealed(b, inner, o)
		place := &resident{b: make([]byte, 0, n+64<<10)}
		oo := smime.OpenOptions{Keys: []smime.Key{to.decrypt()}, Scratch: func() (smime.Scratch, error) { return place, nil }}
		times := max(1, 100*(30<<10)/n)
		j := java.prepare(b, from, to, inner)
		b.Run("Seal/"+sizeName(n), func(b *testing.B) {
			versus(b, times, func() {
				if _, err := smime.Seal(io.Discard, content(inner), o); err != nil {
					b.Fatal(err)
				}
			}, func() time.Duration { return java.time(b, times, j.sign...) + java.time(b, times, j.encrypt...) })
		})
		b.Run("Open/"+sizeName(n), func(b *testing.B) {
			versus(b, times, func() {
				got, err := smime.Open(bytes.NewReader(msg), oo)
				if err != nil {
					b.Fatal(err)
				}
				got.Close()
			}, func() time.Duration { return java.time(b, times, j.decrypt...) + java.time(b, times, j.verify...) })
		})
	}
}

func versus(b *testing.B, times int, ours func(), theirs func() time.Duration) {
	for range 3 { // warm both
		theirs()
		ours()
	}
	var list []float64
	for b.Loop() {
		t := theirs()
		start := time.Now()
		for range times {
			ours()
		}
		list = append(list, float64(t)/(float64(time.Since(start))/float64(times)))
	}
	slices.Sort(list)
	b.ReportMetric(list[len(list)/2], "times-faster")
	b.ReportMetric(0, "ns/op")
}

// bouncyJobs are the four halves of one message's work, as words for the harness.
type bouncyJobs struct{ sign, encrypt, decrypt, verify []string }

func (j *bouncy) prepare(b *testing.B, from, to person, inner []byte) bouncyJobs {
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
func (j *bouncy) time(b *testing.B, n int, words ...string) time.Duration {
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

func startBouncy(b *testing.B) *bouncy {
	b.Helper()
	if j, ok := newBouncy(b).(*bouncy); ok {
		return j
	}
	peer.Missing(b, "Bouncy Castle")
	return nil
}
