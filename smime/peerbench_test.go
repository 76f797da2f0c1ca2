package smime_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"postern/gateway/lab/peer"
	"postern/smime"
)

// BenchmarkAgainstBouncyCastle reports how many times faster a message is sealed and opened here than by Bouncy
// Castle, warmed up, in one Java process, in alternated rounds, medians: by the clock ("times-faster") and by the
// processor time of each whole process ("times-less-cpu"), which is the figure to trust on a machine that others
// use too. "Message" is like for like: a complete message from memory, MIME and base64 included, to a complete
// message that goes nowhere. "CMS" gives Java the CMS work alone, from file to file, beside the whole of ours.
//
//	go test -run xxx -bench AgainstBouncyCastle -benchtime 9x ./smime
func BenchmarkAgainstBouncyCastle(b *testing.B) {
	java := startBouncy(b)
	for _, n := range []int{30 << 10, 25_000_000} {
		for _, row := range java.contests(b, n) {
			b.Run(row.name+"/"+sizeName(n), func(b *testing.B) {
				v := newVersus(row)
				for b.Loop() {
					v.round()
				}
				b.ReportMetric(median(v.wall), "times-faster")
				b.ReportMetric(median(v.cpu), "times-less-cpu")
				b.ReportMetric(median(v.ours), "our-cpu-ms")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// spent is what one run of a job takes.
type spent struct{ wall, cpu time.Duration }

func (s spent) plus(o spent) spent { return spent{s.wall + o.wall, s.cpu + o.cpu} }

// contest is one comparison.
type contest struct {
	name   string
	times  int
	our    func()
	theirs func() spent
}

// contests are the comparisons over a message of n octets.
func (j *bouncy) contests(b testing.TB, n int) []contest {
	from, to := someone(b, "hospital", "rsa2048"), someone(b, "clinic", "rsa2048")
	times := max(1, 100*(30<<10)/n)
	seal, open := workOf(b, n)
	job := j.prepare(b, from, to, bulky(b, n))
	do := func(jobs ...[]string) func() spent {
		return func() (all spent) {
			for _, words := range jobs {
				all = all.plus(j.time(b, times, words...))
			}
			return all
		}
	}
	return []contest{
		{"Message/Seal", times, seal, do(job.sealMail)},
		{"Message/Open", times, open, do(job.openMail)},
		{"CMS/Seal", times, seal, do(job.sign, job.encrypt)},
		{"CMS/Open", times, open, do(job.decrypt, job.verify)},
	}
}

// versus alternates our work with a peer's.
type versus struct {
	contest
	wall, cpu []float64 // theirs over ours
	ours      []float64 // our processor time, ms
}

func newVersus(r contest) *versus {
	for range 5 { // warm both
		r.theirs()
		r.our()
	}
	return &versus{contest: r}
}

func (v *versus) round() {
	theirs := v.theirs()
	cpu, start := usage(), time.Now()
	for range v.times {
		v.our()
	}
	ours := spent{time.Since(start) / time.Duration(v.times), (usage() - cpu) / time.Duration(v.times)}
	v.wall = append(v.wall, float64(theirs.wall)/float64(ours.wall))
	v.cpu = append(v.cpu, float64(theirs.cpu)/float64(ours.cpu))
	v.ours = append(v.ours, float64(ours.cpu)/float64(time.Millisecond))
}

func median(list []float64) float64 {
	list = slices.Sorted(slices.Values(list))
	return list[len(list)/2]
}

// bouncyJobs are one message's work as words for the harness: whole, and in four halves of CMS.
type bouncyJobs struct{ sealMail, openMail, sign, encrypt, decrypt, verify []string }

func (j *bouncy) prepare(b testing.TB, from, to person, inner []byte) bouncyJobs {
	b.Helper()
	dir := b.TempDir()
	name := func(s string) string { return filepath.Join(dir, s) }
	write(b, name("inner"), wrapped(inner))
	write(b, name("message"), inner)
	fromCert, fromKey := j.der(b, from)
	toCert, toKey := j.der(b, to)
	jobs := bouncyJobs{
		sealMail: []string{"sealmail", fromCert, fromKey, toCert, name("message"), name("mail")},
		openMail: []string{"openmail", toCert, toKey, name("mail"), name("back")},
		sign:     []string{"sign", fromCert, fromKey, "SHA256withRSA", "false", name("inner"), name("signature")},
		encrypt:  []string{"encrypt", oAES256CBC, "oaep", name("inner"), name("sealed"), toCert},
		decrypt:  []string{"decrypt", toCert, toKey, name("sealed"), name("opened")},
		verify:   []string{"verify", name("signature"), name("inner")},
	}
	for _, words := range [][]string{jobs.sealMail, jobs.openMail, jobs.sign, jobs.encrypt, jobs.decrypt, jobs.verify} {
		if _, err := j.ask(words...); err != nil {
			b.Fatalf("%s: %v", words[0], err)
		}
	}
	for _, out := range []string{name("back")} {
		if got, err := os.ReadFile(out); err != nil || !bytes.Equal(got, inner) {
			b.Fatalf("Bouncy Castle opened %d octets of %d, %v", len(got), len(inner), err)
		}
	}
	mail, err := os.ReadFile(name("mail"))
	if err != nil {
		b.Fatal(err)
	}
	got := opened(b, mail, smime.OpenOptions{Keys: []smime.Key{to.decrypt()}})
	if !bytes.Equal(all(b, got.Inner), inner) {
		b.Fatal("its message holds something else")
	}
	return jobs
}

// Whole messages of javax.mail and Bouncy Castle are opened here, and ours there, octet for octet.
func TestBouncyCastleWholeMessages(t *testing.T) {
	java := startBouncy(t)
	from, to := someone(t, "hospital", "rsa2048"), someone(t, "clinic", "rsa2048")
	for name, inner := range map[string][]byte{"a referral": referral(), "30 KB": bulky(t, 30<<10)} {
		java.prepare(t, from, to, inner) // compares both ways of theirs
		ours := java.file(t, sealed(t, inner, smime.SealOptions{Signer: from.identity(), Recipients: []smime.Recipient{{Cert: to.cert}}}))
		cert, key := java.der(t, to)
		back := ours + ".back"
		if _, err := java.ask("openmail", cert, key, ours, back); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got, err := os.ReadFile(back); err != nil || !bytes.Equal(got, inner) {
			t.Errorf("%s: it opened %q, %v", name, got, err)
		}
	}
}

// time is what one run of the job takes, of n.
func (j *bouncy) time(b testing.TB, n int, words ...string) spent {
	b.Helper()
	if _, err := j.ask(words...); err != nil {
		b.Fatal(err)
	}
	answer, err := j.ask("time", strconv.Itoa(n))
	if err != nil {
		b.Fatal(err)
	}
	var wall, cpu int64
	if _, err := fmt.Sscan(answer, &wall, &cpu); err != nil {
		b.Fatalf("%q: %v", answer, err)
	}
	return spent{time.Duration(wall), time.Duration(cpu)}
}

func startBouncy(b testing.TB) *bouncy {
	b.Helper()
	if j, ok := newBouncy(b).(*bouncy); ok {
		return j
	}
	peer.Missing(b, "Bouncy Castle")
	return nil
}
