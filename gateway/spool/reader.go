package spool

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"

	"postern/gateway/spool/disk"
	"postern/gateway/spool/seal"
)

// Reader is the plaintext of a blob, at any offset; each octet was authenticated. It stays good while
// its blob is moved or deleted. Several goroutines may use it at once.
type Reader struct {
	file *source
	open *seal.Reader
	bufs *buffers
}

// source is an open file that blobs are read from. A segment's is pinned: it is not written again meanwhile.
type source struct {
	disk.File
	ledger *ledger
	seg    *segment
	once   sync.Once
}

// Close gives the file back; closing again does nothing.
func (f *source) Close() (err error) {
	f.once.Do(func() {
		err = f.File.Close()
		if f.seg != nil {
			f.ledger.unpin(f.seg)
		}
	})
	return err
}

// Open opens a blob by its row. Errors wrap ErrNotFound when nothing is at its place (the blob was
// deleted, or moved long ago: the caller reads the row again), ErrDamaged when something else is, or
// come from Keys.
func (s *Store) Open(b Blob) (*Reader, error) {
	file, src, err := s.openSealed(b)
	if err != nil {
		return nil, err
	}
	key, err := s.cfg.Keys.UnwrapData(b.Org, b.ID, b.Key)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("spool: open %s: %w", b.ID, err), file.Close())
	}
	box, err := seal.NewBox(key, b.ID)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	r, err := seal.NewReader(src, b.Size, box)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	r.Lend(s.bufs.record(), s.bufs.record())
	return &Reader{file: file, open: r, bufs: &s.bufs}, nil
}

// openSealed opens the file that holds a blob, and the part of it that is the blob's sealed form.
func (s *Store) openSealed(b Blob) (*source, *io.SectionReader, error) {
	id, p, err := b.parse()
	if err != nil {
		return nil, nil, err
	}
	if b.Size < 0 || b.Size > MaxBlob {
		return nil, nil, fmt.Errorf("%w: %s: size %d", ErrDamaged, b.ID, b.Size)
	}
	file, at, err := s.openPlace(id, s.ledger.current(id, p), b.Size)
	if errors.Is(err, ErrNotFound) {
		if now := s.ledger.current(id, p); now != p { // moved between looking and opening
			file, at, err = s.openPlace(id, now, b.Size)
		}
	}
	if err != nil {
		return nil, nil, fmt.Errorf("spool: open %s: %w", b.ID, err)
	}
	return file, io.NewSectionReader(file, at, seal.SealedSize(b.Size)), nil
}

// openPlace opens the file of a place; the sealed form begins at the offset it returns.
func (s *Store) openPlace(id blobID, p place, size int64) (*source, int64, error) {
	if p.file != "" {
		file, err := s.openFile(p.path())
		return file, 0, err
	}
	file, err := s.openSegment(p.segment)
	if err != nil {
		return nil, 0, err
	}
	if err := checkRecord(file, id, p, size); err != nil {
		return nil, 0, errors.Join(err, file.Close())
	}
	return file, int64(p.offset) + recordHeader, nil
}

func (s *Store) openFile(name string) (*source, error) {
	f, err := s.fs.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	return &source{File: f, ledger: s.ledger}, nil
}

// openSegment opens a segment's file and pins it first: a segment that is freed meanwhile may become
// another one under the reader's eyes.
func (s *Store) openSegment(n uint64) (*source, error) {
	seg := s.ledger.pin(n)
	if seg == nil {
		return nil, ErrNotFound
	}
	f, err := s.openFile(segmentName(n))
	if err != nil {
		s.ledger.unpin(seg)
		return nil, err
	}
	f.seg = seg
	return f, nil
}

// checkRecord tells whether the record at a place is that blob's.
func checkRecord(file disk.File, id blobID, p place, size int64) error {
	var b [recordHeader]byte
	if err := readAll(file, b[:], int64(p.offset)); err != nil {
		return err
	}
	h, err := parseHeader(b[:], p.segment)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if h.id != id || int64(h.length) != seal.SealedSize(size) {
		return fmt.Errorf("%w: another record lies there (%s)", ErrDamaged, h.id)
	}
	return nil
}

// readAll fills b, or fails: with ErrDamaged when the file ends first.
func readAll(file io.ReaderAt, b []byte, off int64) error {
	n, err := file.ReadAt(b, off)
	switch {
	case n == len(b):
		return nil
	case err == nil || err == io.EOF:
		return fmt.Errorf("%w: record is cut off", ErrDamaged)
	}
	return err
}

// Size is the number of plain octets.
func (r *Reader) Size() int64 { return r.open.Size() }

// ReadAt is io.ReaderAt; errors wrap ErrDamaged where stored octets do not authenticate.
func (r *Reader) ReadAt(p []byte, off int64) (int, error) {
	n, err := r.open.ReadAt(p, off)
	return n, damaged(err)
}

// Section is the whole blob as a reader with a position of its own.
func (r *Reader) Section() *io.SectionReader { return io.NewSectionReader(r, 0, r.Size()) }

// Close gives the file back and clears what was opened; closing again does nothing.
func (r *Reader) Close() error {
	sealed, plain := r.open.Close()
	r.bufs.put(sealed)
	r.bufs.put(plain)
	return r.file.Close()
}

// Verify reads the whole blob and compares it with its row: nil, or an error as from Open and ReadAt.
func (s *Store) Verify(ctx context.Context, b Blob) error {
	r, err := s.Open(b)
	if err != nil {
		return err
	}
	defer r.Close()
	sum := sha256.New()
	err = r.open.Verify(func(p []byte) error {
		sum.Write(p)
		return ctx.Err()
	})
	if err != nil {
		return fmt.Errorf("spool: verify %s: %w", b.ID, damaged(err))
	}
	if subtle.ConstantTimeCompare(sum.Sum(nil), b.SHA256[:]) != 1 {
		return fmt.Errorf("%w: verify %s: digest differs", ErrDamaged, b.ID)
	}
	return nil
}

// damaged makes the sealing's verdict this package's.
func damaged(err error) error {
	if errors.Is(err, seal.ErrDamaged) {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return err
}
