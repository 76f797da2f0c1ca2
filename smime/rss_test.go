package smime_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"postern/smime"
)

// fileScratch is plaintext in a test's file.
type fileScratch struct {
	*os.File
	size int64
}

func (f *fileScratch) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	f.size += int64(n)
	return n, err
}
func (f *fileScratch) Size() int64    { return f.size }
func (f *fileScratch) Discard() error { return f.Close() }

// peak is what one process needed: its largest resident set.
type peak struct{ Job, Size, Messages, KiB int }

// TestMemoryDoesNotGrow seals and opens messages from file to file, each case in a process of its
// own, and holds the largest resident set against limits: whole process, growth with size, growth
// with each further message in flight.
func TestMemoryDoesNotGrow(t *testing.T) {
	if job := os.Getenv("POSTERN_RSS_JOB"); job != "" {
		memoryChild(t, job)
		return
	}
	if os.Getenv("POSTERN_REQUIRE") != "1" && os.Getenv("POSTERN_MEMORY") != "1" {
		t.Skip("writes 2 GB; POSTERN_MEMORY=1 runs it")
	}
	if raceDetector {
		t.Skip("the race detector needs memory of its own")
	}
	dir := memoryWorld(t)
	measure := func(job string, mb, messages int) int {
		t.Helper()
		return peakOf(t, dir, job, mb, messages)
	}
	for _, job := range []string{"seal", "open"} {
		idle := measure("idle", 25, 1)
		one, large, many := measure(job, 25, 1), measure(job, 100, 1), measure(job, 25, 9)
		each := (many - one) / 8
		t.Logf("%s: process %d KiB idle, %d KiB with 25 MB, %d KiB with 100 MB, %d KiB for each further message in flight", job, idle, one, large, each)
		if one > 24<<10 || large > 24<<10 {
			t.Errorf("%s: %d and %d KiB, must be at most %d", job, one, large, 24<<10)
		}
		if large > one+3<<10 {
			t.Errorf("%s: memory grows with size: %d KiB at 25 MB, %d KiB at 100 MB", job, one, large)
		}
		if each > 1536 {
			t.Errorf("%s: %d KiB for each further message, must be at most 1536", job, each)
		}
	}
}

// memoryWorld is a folder with two identities and messages of several sizes.
func memoryWorld(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	from, to := someone(t, "hospital", "p256"), someone(t, "clinic", "rsa2048")
	for name, p := range map[string]person{"from": from, "to": to} {
		cert, key := p.files(t)
		for ext, file := range map[string]string{".crt": cert, ".key": key} {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, name+ext), b)
		}
	}
	for _, mb := range []int{1, 25, 100} {
		makeLarge(t, filepath.Join(dir, fmt.Sprintf("inner%d", mb)), mb)
	}
	return dir
}

// peakOf runs one job in a process of its own and returns its largest resident set, in KiB.
func peakOf(t testing.TB, dir, job string, mb, messages int) int {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestMemoryDoesNotGrow$")
	cmd.Env = append(os.Environ(), "POSTERN_RSS_JOB="+job, "POSTERN_RSS_DIR="+dir, "POSTERN_RSS_MB="+strconv.Itoa(mb), "POSTERN_RSS_N="+strconv.Itoa(messages))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var p peak
	for s := bufio.NewScanner(strings.NewReader(string(out))); s.Scan(); {
		if text, ok := strings.CutPrefix(s.Text(), "PEAK "); ok {
			if err := json.Unmarshal([]byte(text), &p); err != nil {
				t.Fatal(err)
			}
		}
	}
	if p.KiB == 0 {
		t.Fatalf("no figure in %s", out)
	}
	return p.KiB
}

func makeLarge(t testing.TB, name string, mb int) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	w.Write(referral())
	line := strings.Repeat("x", 76) + "\r\n"
	for n := 0; n < mb*1_000_000; n += len(line) {
		w.WriteString(line)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
}

// memoryChild does one job in a process of its own and prints its peak.
func memoryChild(t *testing.T, job string) {
	dir := os.Getenv("POSTERN_RSS_DIR")
	mb, _ := strconv.Atoi(os.Getenv("POSTERN_RSS_MB"))
	n, _ := strconv.Atoi(os.Getenv("POSTERN_RSS_N"))
	from, to := readPerson(t, dir, "from"), readPerson(t, dir, "to")
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			sealedName := filepath.Join(dir, fmt.Sprintf("sealed%d-%d", mb, i))
			var err error
			switch job {
			case "seal":
				err = sealFile(filepath.Join(dir, fmt.Sprintf("inner%d", mb)), sealedName, from, to)
			case "open":
				err = openFile(sealedName, to)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	b, err := json.Marshal(peak{Size: mb, Messages: n, KiB: highWater(t)})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("PEAK %s\n", b)
}

func sealFile(in, out string, from, to person) error {
	src, err := os.Open(in)
	if err != nil {
		return err
	}
	defer src.Close()
	st, err := src.Stat()
	if err != nil {
		return err
	}
	dst, err := os.Create(out)
	if err != nil {
		return err
	}
	defer dst.Close()
	_, err = smime.Seal(dst, io.NewSectionReader(src, 0, st.Size()), smime.SealOptions{Signer: from.identity(), Now: testTime(), Recipients: []smime.Recipient{{Cert: to.cert}}})
	return err
}

func openFile(name string, to person) error {
	src, err := os.Open(name)
	if err != nil {
		return err
	}
	defer src.Close()
	got, err := smime.Open(src, smime.OpenOptions{Keys: []smime.Key{to.decrypt()}, Scratch: func() (smime.Scratch, error) {
		f, err := os.CreateTemp(filepath.Dir(name), "scratch")
		if err != nil {
			return nil, err
		}
		os.Remove(f.Name())
		return &fileScratch{File: f}, nil
	}})
	if err != nil {
		return err
	}
	return got.Close()
}

// highWater is the largest resident set of this process, in KiB.
func highWater(t *testing.T) int {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip("no /proc here")
	}
	for _, line := range strings.Split(string(b), "\n") {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "VmHWM:" {
			n, _ := strconv.Atoi(f[1])
			return n
		}
	}
	t.Fatal("no VmHWM")
	return 0
}
