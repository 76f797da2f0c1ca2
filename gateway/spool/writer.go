package spool

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"

	"postern/gateway/spool/disk"
	"postern/gateway/spool/seal"
)

// spaceEvery is after how many sealed octets a long writer asks the space guard again.
const spaceEvery = 8 << 20

// Writer is a blob being written. One goroutine uses it. Nothing exists until Commit returned nil;
// Abort, which may always be deferred, takes everything back.
type Writer struct {
	s    *Store
	why  purpose
	blob Blob
	id   blobID
	box  *seal.Box
	sum  hash.Hash

	plain []byte // the chunk being filled, at most ChunkSize
	index int64  // its number
	rec   []byte // sealed chunks not yet in the file, after recordHeader octets of room

	file  disk.File // of a large blob
	off   int64     // octets written to it
	asked int64     // off when the space guard last agreed

	err  error // the first failure: final
	done bool  // committed or aborted
}

// Create begins a blob of an organisation, for something new. Errors wrap ErrNoSpace when the disk is
// nearly full, keys.ErrUnknownOrg when the organisation's key is not there.
func (s *Store) Create(org string) (*Writer, error) { return s.create(forNew, org) }

// Continue is Create for what finishes work already accepted: it may use three quarters of the space
// that is kept from new messages.
func (s *Store) Continue(org string) (*Writer, error) { return s.create(forWork, org) }

func (s *Store) create(why purpose, org string) (*Writer, error) {
	if err := s.begin(why); err != nil {
		return nil, err
	}
	id, err := newID(s.cfg.Now(), s.cfg.Rand)
	if err != nil {
		return nil, err
	}
	w := &Writer{s: s, why: why, id: id, sum: sha256.New()}
	w.blob = Blob{ID: id.String(), Org: org}
	key := seal.NewKey()
	if w.box, err = seal.NewBox(key, w.blob.ID); err != nil {
		return nil, err
	}
	if w.blob.Key, err = s.cfg.Keys.WrapData(org, w.blob.ID, key); err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	w.plain, w.rec = s.bufs.chunk(), s.bufs.record()
	return w, nil
}

// begin is what stands before anything is written.
func (s *Store) begin(why purpose) error {
	s.gate.RLock()
	defer s.gate.RUnlock()
	if s.closed.Load() {
		return ErrClosed
	}
	if err := s.room(why, 0); err != nil {
		return err
	}
	s.inUse.Store(true)
	return nil
}

// ID is the id the blob will have.
func (w *Writer) ID() string { return w.blob.ID }

// Size is how many octets were written so far.
func (w *Writer) Size() int64 { return w.blob.Size }

// Write adds plain octets. Errors wrap ErrTooLarge or ErrNoSpace where that is the cause; after one
// the blob cannot be committed.
func (w *Writer) Write(p []byte) (int, error) {
	if w.err == nil && w.done {
		w.err = errors.New("spool: write after the end")
	}
	if w.err == nil && w.blob.Size+int64(len(p)) > w.s.cfg.MaxBlob {
		w.err = fmt.Errorf("%w: %d octets at most", ErrTooLarge, w.s.cfg.MaxBlob)
	}
	if w.err != nil {
		return 0, w.err
	}
	n := 0
	for n < len(p) {
		if len(w.plain) == seal.ChunkSize {
			if w.err = w.flush(false); w.err != nil {
				return n, w.err
			}
		}
		k := min(len(p)-n, seal.ChunkSize-len(w.plain))
		w.plain = append(w.plain, p[n:n+k]...)
		n += k
	}
	w.sum.Write(p)
	w.blob.Size += int64(n)
	return n, nil
}

// flush seals the chunk being filled. What exceeds a small blob goes to a file.
func (w *Writer) flush(last bool) error {
	if w.file == nil && !last && w.index*seal.ChunkSize >= SmallBlob {
		if err := w.spill(); err != nil {
			return err
		}
	}
	w.rec = w.s.bufs.grow(w.rec)
	w.rec = w.box.Seal(w.rec, w.plain, w.index, last)
	w.plain = w.plain[:0]
	w.index++
	if w.file == nil {
		return nil
	}
	return w.drain()
}

// spill begins the file of a large blob.
func (w *Writer) spill() error {
	if err := w.s.room(w.why, int64(len(w.rec))); err != nil {
		return err
	}
	f, err := w.s.fs.Create(w.temporary())
	if err != nil {
		return diskError("new file", err)
	}
	w.file = f
	return w.drain()
}

// drain writes what is sealed to the file.
func (w *Writer) drain() error {
	sealed := w.rec[recordHeader:]
	if w.off+int64(len(sealed))-w.asked > spaceEvery {
		if err := w.s.room(w.why, int64(len(sealed))); err != nil {
			return err
		}
		w.asked = w.off
	}
	if err := writeAll(w.file, sealed, w.off); err != nil {
		return diskError("write", err)
	}
	w.off += int64(len(sealed))
	w.rec = w.rec[:recordHeader]
	return nil
}

func (w *Writer) temporary() string { return "tmp/" + w.blob.ID }

// Commit makes the blob durable and returns its row. When it returns an error the blob does not exist
// and never will; errors wrap ErrNoSpace or ErrBusy where that is the cause. A small blob waits for its sync at most
// until ctx ends; a large one's sync is waited for.
//
// The caller then commits the row. If it knows that the row was not committed it calls Delete; if it does
// not know, it leaves the blob to the next Recover.
func (w *Writer) Commit(ctx context.Context) (Blob, error) {
	if w.done {
		return Blob{}, errors.New("spool: commit after the end")
	}
	defer w.Abort()
	if w.err != nil {
		return Blob{}, w.err
	}
	if err := context.Cause(ctx); err != nil {
		return Blob{}, fmt.Errorf("spool: not committed: %w", err)
	}
	small := w.file == nil && w.blob.Size <= SmallBlob
	if w.file == nil && !small {
		if err := w.spill(); err != nil {
			return Blob{}, err
		}
	}
	if err := w.flush(true); err != nil {
		return Blob{}, err
	}
	w.sum.Sum(w.blob.SHA256[:0])
	var p place
	var err error
	if small {
		p, err = w.commitRecord(ctx)
	} else {
		p, err = w.commitFile()
	}
	if err != nil {
		return Blob{}, err
	}
	w.blob.Place = p.String()
	return w.blob, nil
}

func (w *Writer) commitRecord(ctx context.Context) (place, error) {
	r := &request{id: w.id, record: w.rec, sum: payloadSum(w.rec), done: make(chan struct{})}
	w.rec = nil // the log's from here on
	return w.s.log.commit(ctx, r)
}

// commitFile makes content, name and directory durable, in this order.
func (w *Writer) commitFile() (place, error) {
	if w.s.closed.Load() {
		return place{}, ErrClosed
	}
	f := w.file
	if err := f.Sync(); err != nil {
		return place{}, diskError("sync", err) // not tried again: the file is given up
	}
	p := place{file: w.blob.ID}
	w.file = nil
	if err := f.Close(); err != nil {
		return place{}, errors.Join(diskError("close", err), w.s.fs.Remove(w.temporary()))
	}
	if err := w.s.fs.Rename(w.temporary(), p.path()); err != nil {
		return place{}, errors.Join(diskError("name", err), w.s.fs.Remove(w.temporary()))
	}
	if err := w.s.fs.SyncDir(shard(p.file)); err != nil {
		return place{}, errors.Join(diskError("sync the directory", err), w.s.fs.Remove(p.path()))
	}
	w.s.count.files.Add(1)
	return p, nil
}

// Abort takes an uncommitted blob back; after Commit or another Abort it does nothing. What a failing
// disk does not let it remove is removed at the next start.
func (w *Writer) Abort() {
	if w.done {
		return
	}
	w.done = true
	if w.file != nil {
		w.file.Close()
		w.s.fs.Remove(w.temporary())
		w.file = nil
	}
	w.s.bufs.putChunk(w.plain)
	w.s.bufs.put(w.rec)
	w.plain, w.rec = nil, nil
}
