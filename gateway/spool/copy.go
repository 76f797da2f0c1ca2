package spool

import (
	"context"
	"errors"
	"fmt"
	"io"

	"postern/gateway/spool/disk"
	"postern/gateway/spool/seal"
)

// Sealed is a blob as it lies on disk, for a backup: sealed, of no use without its row and the keys.
type Sealed struct {
	*io.SectionReader
	file *source
}

// Close gives the file back.
func (r *Sealed) Close() error { return r.file.Close() }

// Sealed opens the sealed form of a blob. It needs no key and checks none: Verify does that. It stays good
// while the blob is moved or deleted. Errors are those of Open.
func (s *Store) Sealed(b Blob) (*Sealed, error) {
	file, src, err := s.openSealed(b)
	if err != nil {
		return nil, err
	}
	return &Sealed{src, file}, nil
}

// Import writes the sealed form of a blob that Sealed once gave, durably, and returns the blob with its
// new place, for a restore into this spool. It counts as something written: Recover comes before. What does
// not authenticate under the blob's key, or has another digest, is removed again; the error wraps ErrDamaged.
func (s *Store) Import(ctx context.Context, b Blob, sealed io.Reader) (Blob, error) {
	id, err := parseID(b.ID)
	if err != nil {
		return Blob{}, err
	}
	if b.Size < 0 || b.Size > s.cfg.MaxBlob {
		return Blob{}, fmt.Errorf("%w: %s has %d octets", ErrTooLarge, b.ID, b.Size)
	}
	if err := s.begin(forNew); err != nil {
		return Blob{}, err
	}
	p, err := s.newFile(id, func(f disk.File) error { return s.fill(ctx, f, b, sealed) })
	if err != nil {
		return Blob{}, fmt.Errorf("spool: import %s: %w", b.ID, err)
	}
	b.Place = p.String()
	if err := s.Verify(ctx, b); err != nil {
		return Blob{}, errors.Join(err, s.fs.Remove(p.path()))
	}
	return b, nil
}

// fill copies exactly the octets a blob's sealed form has.
func (s *Store) fill(ctx context.Context, f disk.File, b Blob, sealed io.Reader) error {
	want, off := seal.SealedSize(b.Size), int64(0)
	piece := make([]byte, min(want, preparePiece))
	for off < want {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if err := s.room(forNew, int64(len(piece))); err != nil {
			return err
		}
		n, err := io.ReadFull(sealed, piece[:min(int64(len(piece)), want-off)])
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return fmt.Errorf("%w: cut off after %d of %d octets", ErrDamaged, off+int64(n), want)
		}
		if err != nil {
			return err
		}
		if err := writeAll(f, piece[:n], off); err != nil {
			return err
		}
		off += int64(n)
	}
	return nil
}
