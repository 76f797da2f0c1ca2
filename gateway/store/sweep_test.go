package store_test

import (
	"bytes"
	"errors"
	"io"
	"path/filepath"
	"testing"

	"postern/gateway/delivery/queue"
	"postern/gateway/spool"
	"postern/gateway/spool/keys"
	"postern/gateway/store"
)

// blobs is a database and a spool with small segments, as a gateway has them.
func blobs(t *testing.T) (*store.Store, *spool.Store) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "postern.db")
	if err := store.Create(path); err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(store.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	m := keys.New()
	wrapped, err := m.NewOrg("o-1")
	if err != nil {
		t.Fatal(err)
	}
	ring := keys.NewRing(m)
	if err := ring.AddOrg("o-1", wrapped); err != nil {
		t.Fatal(err)
	}
	s, err := spool.Open(spool.Config{Dir: t.TempDir(), Keys: ring, Segment: 1 << 20, Reserve: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return db, s
}

func TestMoveBlobChangesOnlyTheRowThatSaysSo(t *testing.T) {
	db, s := blobs(t)
	b, err := s.Put(t.Context(), "o-1", bytes.NewReader([]byte("x")))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Commit(t.Context(), queue.Lease{}, store.Step{Blobs: []spool.Blob{b}}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, id, from, to string
		want               bool
		place              string
	}{
		{"no such row", "b-0", b.Place, "file/x", false, b.Place},
		{"it lies elsewhere", b.ID, "log/0000000000000000/0", "file/x", false, b.Place},
		{"it lies there", b.ID, b.Place, "file/x", true, "file/x"},
		{"a second time", b.ID, b.Place, "file/x", false, "file/x"},
	} {
		moved, err := db.MoveBlob(t.Context(), c.id, c.from, c.to)
		if err != nil || moved != c.want {
			t.Errorf("%s: %v %v, want %v", c.name, moved, err, c.want)
		}
		if row, err := db.Blob(t.Context(), b.ID); err != nil || row.Place != c.place {
			t.Errorf("%s: place %q %v, want %q", c.name, row.Place, err, c.place)
		}
	}
}

func TestCompactionOverTheDatabase(t *testing.T) {
	db, s := blobs(t)
	content := bytes.Repeat([]byte("referral"), 25000)
	var all []spool.Blob
	for range 12 {
		b, err := s.Put(t.Context(), "o-1", bytes.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b)
	}
	if _, err := db.Commit(t.Context(), queue.Lease{}, store.Step{Blobs: all}); err != nil {
		t.Fatal(err)
	}
	for _, b := range all[1:] {
		if err := errors.Join(db.ForgetBlob(t.Context(), b.ID), s.Delete(b)); err != nil {
			t.Fatal(err)
		}
	}
	done, err := s.Compact(t.Context(), db.MoveBlob)
	if err != nil || done.Moved != 1 || done.Segments != 1 {
		t.Fatalf("compacted %+v %v", done, err)
	}
	row, err := db.Blob(t.Context(), all[0].ID)
	if err != nil || row.Place == all[0].Place {
		t.Fatalf("row %+v %v", row, err)
	}
	r, err := s.Open(row)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r.Section()); err != nil || !bytes.Equal(got, content) {
		t.Fatalf("after the move: %v", err)
	}
}
