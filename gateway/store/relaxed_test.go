package store_test

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"postern/gateway/delivery/queue"
	"postern/gateway/delivery/track"
	"postern/gateway/store"
	"postern/gateway/store/vfs"
)

// synced keeps what a database's files held when they were last synced: what a power cut would leave at worst.
type synced struct {
	t     *testing.T
	path  string
	mu    sync.Mutex
	dirty bool
	syncs int
	kept  map[string][]byte
}

func (s *synced) hook(op vfs.Op, path string) vfs.Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !strings.HasSuffix(path, "-wal") && path != s.path:
	case op == vfs.Sync:
		s.dirty = false
		if strings.HasSuffix(path, "-wal") {
			s.syncs++
		}
	case op == vfs.Write && !s.dirty: // the first after a sync: now the files are as they were synced
		s.dirty, s.kept = true, s.files()
	}
	return vfs.Fault{}
}

func (s *synced) files() map[string][]byte {
	out := map[string][]byte{}
	for _, suffix := range []string{"", "-wal"} {
		f, err := os.Open(s.path + suffix)
		if err != nil {
			continue
		}
		if out[suffix], err = io.ReadAll(f); err != nil {
			s.t.Error(err)
		}
		f.Close()
	}
	return out
}

// cut is the store as it is after the power went.
func (s *synced) cut() *store.Store {
	s.t.Helper()
	s.mu.Lock()
	kept := s.kept
	if !s.dirty {
		kept = s.files()
	}
	s.mu.Unlock()
	path := filepath.Join(s.t.TempDir(), "postern.db")
	for suffix, b := range kept {
		if err := os.WriteFile(path+suffix, b, 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	after, err := store.Open(store.Config{Path: path})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { after.Close() })
	return after
}

func (s *synced) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.syncs
}

// TestClaimsAreNotSynced: claiming, renewing and giving back cost no sync; what a step says is on disk when Commit
// returns, with every claim before it; and a power cut in between leaves the job to be claimed again.
func TestClaimsAreNotSynced(t *testing.T) {
	disk := &synced{t: t, path: filepath.Join(t.TempDir(), "postern.db")}
	if err := store.Create(disk.path); err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(store.Config{Path: disk.path, Disk: disk.hook})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	s := &site{Store: db}
	if err := s.AddOrg(t.Context(), store.Org{ID: "o", WrappedKey: []byte{1}}); err != nil {
		t.Fatal(err)
	}
	before := disk.count()
	s.must(t, store.Step{Messages: []store.Message{out("m-1", intake)}, Jobs: []queue.Job{{Org: "o", Message: "m-1", Kind: queue.Relay, Lane: "clinic.example"}}})
	if n := disk.count() - before; n != 1 {
		t.Errorf("a step was synced %d times", n)
	}
	before = disk.count()
	for range 20 {
		j := s.claim(t, queue.Network)
		if err := s.Renew(t.Context(), j.Lease); err != nil {
			t.Fatal(err)
		}
		if err := s.Release(t.Context(), []queue.Lease{j.Lease}); err != nil {
			t.Fatal(err)
		}
	}
	j := s.claim(t, queue.Network)
	if n := disk.count() - before; n != 0 {
		t.Errorf("21 claims were synced %d times", n)
	}

	lost := &site{Store: disk.cut()}
	if _, err := lost.Message(t.Context(), "m-1"); err != nil {
		t.Errorf("the power went, and the message with it: %v", err)
	}
	lost.claim(t, queue.Network) // due and nobody's, or it fails

	before = disk.count()
	if _, err := s.Commit(t.Context(), j.Lease, store.Step{Settle: &queue.Settlement{Fate: queue.Done},
		Events: []track.Event{{Message: "m-1", Recipient: intake, Kind: track.Handed}}}); err != nil {
		t.Fatal(err)
	}
	if n := disk.count() - before; n != 1 {
		t.Errorf("the outcome of a claimed job was synced %d times", n)
	}
	kept := &site{Store: disk.cut()}
	if jobs, err := kept.Claim(t.Context(), queue.Network, 1, store.Lanes{}); err != nil || len(jobs) != 0 {
		t.Errorf("the power went after the outcome was committed, and %d jobs are due again, %v", len(jobs), err)
	}
	if events, err := kept.Events(t.Context(), "m-1"); err != nil || len(events) != 1 {
		t.Errorf("%d events survive, %v", len(events), err)
	}
}
