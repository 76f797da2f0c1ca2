package spool_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"postern/gateway/spool"
	"postern/gateway/spool/keys"
)

const childDir = "POSTERN_SPOOL_CHILD"

// killRing is a ring that parent and child agree on, kept in files beside the spool.
func killRing(dir string) (*keys.Ring, error) {
	src := keys.Source{File: filepath.Join(dir, "master.key")}
	m, err := src.Read()
	if err != nil {
		return nil, err
	}
	r := keys.NewRing(m)
	wrapped, err := os.ReadFile(filepath.Join(dir, "org"))
	if err != nil {
		return nil, err
	}
	return r, r.AddOrg(org, wrapped)
}

// TestKilledChild is the process that TestKilledProcessLosesNothing kills: four writers put blobs and
// tell each on standard output once its Commit returned, after which it must never be lost.
func TestKilledChild(t *testing.T) {
	dir := os.Getenv(childDir)
	if dir == "" {
		return // nothing to kill: TestKilledProcessLosesNothing runs this as a child and judges it
	}
	ring, err := killRing(dir)
	if err != nil {
		t.Fatal(err)
	}
	s, err := spool.Open(spool.Config{Dir: filepath.Join(dir, "spool"), Keys: ring, Segment: 1 << 20, Reserve: -1})
	if err != nil {
		t.Fatal(err)
	}
	var known []spool.Blob
	b, err := os.ReadFile(filepath.Join(dir, "rows"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &known); err != nil {
		t.Fatal(err)
	}
	if rep, err := s.Recover(t.Context(), rows(known...)); err != nil || rep.Live != len(known) {
		t.Fatalf("child: report %+v %v", rep, err)
	}
	var mu sync.Mutex
	out := json.NewEncoder(os.Stdout)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				n := rand.IntN(60 << 10)
				if rand.IntN(8) == 0 {
					n = 257<<10 + rand.IntN(300<<10)
				}
				b, err := s.Put(context.Background(), org, bytes.NewReader(text(byte(n), n)))
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				out.Encode(b)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
}

// A process is killed at random moments, again and again: what it said was kept is there, whole, and
// what is left besides goes.
func TestKilledProcessLosesNothing(t *testing.T) {
	rounds := 25
	if testing.Short() {
		rounds = 5
	}
	dir := t.TempDir()
	m := keys.New()
	if err := (keys.Source{File: filepath.Join(dir, "master.key")}).Save(m); err != nil {
		t.Fatal(err)
	}
	wrapped, err := m.NewOrg(org)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "org"), wrapped, 0o600); err != nil {
		t.Fatal(err)
	}
	var known []spool.Blob
	told := 0
	for round := range rounds {
		b, _ := json.Marshal(known)
		if known == nil {
			b = []byte("[]")
		}
		if err := os.WriteFile(filepath.Join(dir, "rows"), b, 0o600); err != nil {
			t.Fatal(err)
		}
		fresh := runAndKill(t, dir)
		told += len(fresh)
		known = append(known, fresh...)
		known = examine(t, dir, known, round)
	}
	t.Logf("%d kills, %d blobs told to be kept, none lost", rounds, told)
	if told == 0 {
		t.Error("no child kept anything")
	}
}

// runAndKill runs a child, kills it within 60 ms of its first word, and returns what it told.
func runAndKill(t *testing.T, dir string) []spool.Blob {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run", "^TestKilledChild$")
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	cmd.Stderr = os.Stderr
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var out []spool.Blob
	lines := bufio.NewScanner(pipe)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var b spool.Blob
		if err := json.Unmarshal(lines.Bytes(), &b); err != nil {
			if !bytes.HasPrefix(lines.Bytes(), []byte("{")) {
				t.Fatalf("child says %s", lines.Bytes())
			}
			break // half a line: cut by the kill
		}
		if len(out) == 0 {
			time.AfterFunc(time.Duration(rand.Int64N(int64(60*time.Millisecond))), func() { cmd.Process.Kill() })
		}
		out = append(out, b)
	}
	io.Copy(io.Discard, pipe)
	cmd.Wait()
	return out
}

// examine recovers the spool as a next start would, checks every blob and deletes some. It returns
// what is left.
func examine(t *testing.T, dir string, known []spool.Blob, round int) []spool.Blob {
	t.Helper()
	ring, err := killRing(dir)
	if err != nil {
		t.Fatal(err)
	}
	s, err := spool.Open(spool.Config{Dir: filepath.Join(dir, "spool"), Keys: ring, Segment: 1 << 20, Reserve: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	rep, err := s.Recover(t.Context(), rows(known...))
	if err != nil || rep.Live != len(known) || rep.Lost+rep.Damaged != 0 {
		t.Fatalf("round %d: report %+v %v, %d known", round, rep, err, len(known))
	}
	var left []spool.Blob
	for i, b := range known {
		if b.SHA256 != sha256.Sum256(text(byte(b.Size), int(b.Size))) {
			t.Fatalf("round %d: %s has another digest than was put", round, b.ID)
		}
		if err := s.Verify(t.Context(), b); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if i%2 == round%2 {
			left = append(left, b)
		} else if err := s.Delete(b); err != nil {
			t.Fatal(err)
		}
	}
	d := &table{rows: map[string]spool.Blob{}}
	for _, b := range left {
		d.add(b)
	}
	if round%3 == 0 {
		if _, err := s.Compact(t.Context(), d.move); err != nil {
			t.Fatal(err)
		}
	}
	if tmp, _ := filepath.Glob(filepath.Join(dir, "spool", "tmp", "*")); len(tmp) != 0 {
		t.Fatalf("round %d: temporary files %v", round, tmp)
	}
	return d.all()
}
