package smime_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"postern/smime"
)

// BenchmarkWritePerformance measures and writes cmd/postern/docs/performance.md when POSTERN_PERFORMANCE is
// 1. It passes no judgement: figures depend on the machine, and ratios are what to compare.
func BenchmarkWritePerformance(t *testing.B) {
	if os.Getenv("POSTERN_PERFORMANCE") != "1" {
		t.Skip("POSTERN_PERFORMANCE=1 measures and writes the table")
	}
	var doc strings.Builder
	fmt.Fprintf(&doc, "# Performance of sealing and opening\n\nMeasured by `POSTERN_PERFORMANCE=1 go test -run xxx -bench WritePerformance -benchtime 1x -timeout 30m ./smime` on %s.\n\n", machine())
	doc.WriteString("\"Over primitives\" is the processor time of the whole work (MIME, CMS, signature, encryption, base64) over that of the RSA-2048,\n" +
		"SHA-256, AES-256-CBC and base64 operations the same message cannot avoid, one pass each, in alternated rounds of one run on one\n" +
		"processor: medians of 15. `go test -run xxx -bench . ./smime` prints the same and more.\n\n" +
		"| message | seal, over primitives | open, over primitives | seal, memory allocated | open, memory allocated |\n|---|---|---|---|---|\n")
	for _, n := range []int{4 << 10, 30 << 10, 1 << 20, 25_000_000} {
		doc.WriteString(measured(t, n))
	}
	doc.WriteString("\nOne message alone, two processors (`-bench 'Seal|Open'`), and peak memory (`POSTERN_MEMORY=1 go test -run MemoryDoesNotGrow -v ./smime`):\n\n")
	doc.WriteString(alone(t))
	dir := memoryWorld(t)
	for _, job := range []string{"seal", "open"} {
		one, large, many := peakOf(t, dir, job, 25, 1), peakOf(t, dir, job, 100, 1), peakOf(t, dir, job, 25, 9)
		fmt.Fprintf(&doc, "- %s, file to file, whole process: %.1f MiB at 25 MB, %.1f MiB at 100 MB, %.2f MiB for each further message of 25 MB in flight\n",
			job, float64(one)/1024, float64(large)/1024, float64(many-one)/8/1024)
	}
	doc.WriteString(againstBouncy(t))
	if err := os.WriteFile(filepath.Join("..", "cmd", "postern", "docs", "performance.md"), []byte(doc.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

func measured(t testing.TB, n int) string {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	p := newPrimitives(t)
	seal, open := workOf(t, n)
	s := newRounds(n, seal, func() { p.seal(t, n) })
	o := newRounds(n, open, func() { p.open(t, n) })
	for range 15 {
		s.round()
		o.round()
	}
	return fmt.Sprintf("| %s | %.2f | %.2f | %d KB | %d KB |\n", sizeName(n), s.median(), o.median(), allocated(seal)>>10, allocated(open)>>10)
}

// workOf is one sealing and one opening of a message of n octets, RSA-2048 on both sides.
func workOf(t testing.TB, n int) (seal, open func()) {
	from, to := someone(t, "hospital", "rsa2048"), someone(t, "clinic", "rsa2048")
	inner := bulky(t, n)
	o := smime.SealOptions{Signer: from.identity(), Now: testTime(), Recipients: []smime.Recipient{{Cert: to.cert}}}
	msg := sealed(t, inner, o)
	place := &resident{b: make([]byte, 0, n+64<<10)}
	oo := smime.OpenOptions{Keys: []smime.Key{to.decrypt()}, Scratch: func() (smime.Scratch, error) { return place, nil }}
	seal = func() {
		if _, err := smime.Seal(io.Discard, content(inner), o); err != nil {
			t.Fatal(err)
		}
	}
	open = func() {
		got, err := smime.Open(bytes.NewReader(msg), oo)
		if err != nil {
			t.Fatal(err)
		}
		if err := got.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return seal, open
}

// allocated is what one call allocates, in octets.
func allocated(f func()) uint64 {
	f()
	var before, after memory
	before.read()
	f()
	after.read()
	return after.total - before.total
}

func alone(t testing.TB) string {
	seal, open := workOf(t, 25_000_000)
	best := func(f func()) float64 {
		fastest := time.Hour
		for range 15 {
			start := time.Now()
			f()
			fastest = min(fastest, time.Since(start))
		}
		return 25 / fastest.Seconds()
	}
	return fmt.Sprintf("- 25 MB sealed at %.0f MB/s, opened at %.0f MB/s (best of 15, in memory)\n", best(seal), best(open))
}

func machine() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err == nil {
		for _, line := range strings.Split(string(b), "\n") {
			if name, ok := strings.CutPrefix(line, "model name"); ok {
				return fmt.Sprintf("%s, %d processors, %s", strings.Trim(name, "\t :"), runtime.NumCPU(), runtime.Version())
			}
		}
	}
	return fmt.Sprintf("%s/%s, %d processors, %s", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())
}

// againstBouncy compares with Bouncy Castle in one warm Java process.
func againstBouncy(t testing.TB) string {
	java := startBouncy(t)
	out := "\nAgainst Bouncy Castle 1.72, warmed up in one Java process, in alternated rounds, medians of 9: its time over ours, by the processors\n" +
		"(all threads of each process) and by the clock. \"Message\" is like for like: a complete message from memory to a complete message that is\n" +
		"thrown away, MIME and base64 included (javax.mail and Bouncy Castle's S/MIME generators and readers). \"CMS\" lets Java do the CMS work\n" +
		"alone, without MIME and base64, from file to file, beside the whole of ours (`-bench AgainstBouncyCastle`). By the clock Java and we may\n" +
		"use both processors; where others use the machine meanwhile, only the figures by the processors mean something:\n\n" +
		"| job | message | processors | clock |\n|---|---|---|---|\n"
	for _, n := range []int{30 << 10, 25_000_000} {
		for _, r := range java.contests(t, n) {
			v := newVersus(r)
			for range 9 {
				v.round()
			}
			out += fmt.Sprintf("| %s | %s | %.1f | %.1f |\n", r.name, sizeName(n), median(v.cpu), median(v.wall))
		}
	}
	return out
}
