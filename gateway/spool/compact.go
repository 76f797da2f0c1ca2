package spool

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"postern/gateway/spool/disk"
)

// MaxMoves bounds the records one Compact moves, so that it ends.
const MaxMoves = 4096

// Move rewrites the place of a blob's row from one value to another, in one durable transaction, and
// tells whether it did: false when there is no such row any more or it has another place. An error
// means that nobody knows.
type Move func(ctx context.Context, id, from, to string) (bool, error)

// Compacted is what Compact did.
type Compacted struct {
	Segments int   `json:"segments"` // freed
	Moved    int   `json:"moved"`    // records that have a file of their own now
	Octets   int64 `json:"octets"`   // of them
	Damaged  int   `json:"damaged"`  // records left where they are because they are damaged
}

// Compact frees segments of which less than half lives. Each survivor is copied, as it is sealed, to a
// file of its own under a name never used before; the file and its directory are synced; then move is asked
// to change the row; only then is the old record dead. So at every moment the row names whole data: a crash
// or an error before the move leaves a copy no row names, after it an original no row names, and Recover
// frees either. One Compact runs at a time; readers and writers go on meanwhile.
func (s *Store) Compact(ctx context.Context, move Move) (Compacted, error) {
	var done Compacted
	s.compacting.Lock()
	defer s.compacting.Unlock()
	s.ledger.forget()
	for _, seg := range s.ledger.sparse() {
		for _, e := range seg.entries {
			if err := context.Cause(ctx); err != nil {
				return done, fmt.Errorf("spool: compact: %w", err)
			}
			if done.Moved >= MaxMoves {
				return done, nil
			}
			if err := s.moveOut(ctx, move, place{segment: seg.number, offset: e.offset}, &done); err != nil {
				return done, fmt.Errorf("spool: compact: %w", err)
			}
		}
	}
	return done, nil
}

// moveOut moves one live record into a file of its own.
func (s *Store) moveOut(ctx context.Context, move Move, from place, done *Compacted) error {
	h, payload, err := s.readRecord(from)
	if errors.Is(err, ErrNotFound) {
		return nil // deleted meanwhile, and its segment with it
	}
	if errors.Is(err, ErrDamaged) {
		done.Damaged++ // what is left of it stays; Recover and Verify name it
		return nil
	}
	if err != nil {
		return err
	}
	if err := s.room(forWork, int64(len(payload))); err != nil {
		return err
	}
	to, err := s.newFile(h.id, func(f disk.File) error { return writeAll(f, payload, 0) })
	if err != nil {
		return err
	}
	ok, err := move(ctx, h.id.String(), from.String(), to.String())
	if err != nil {
		return err // both copies stay: the row may name either
	}
	if !ok {
		return s.fs.Remove(to.path())
	}
	s.ledger.follow(h.id, to)
	done.Moved++
	done.Octets += int64(len(payload))
	if seg := s.ledger.kill(from); seg != nil {
		done.Segments++
		return s.retire(seg)
	}
	return nil
}

// readRecord reads and checks a whole record.
func (s *Store) readRecord(p place) (header, []byte, error) {
	f, err := s.openSegment(p.segment)
	if err != nil {
		return header{}, nil, err
	}
	defer f.Close()
	var b [recordHeader]byte
	if err := readAll(f, b[:], int64(p.offset)); err != nil {
		return header{}, nil, err
	}
	h, err := parseHeader(b[:], p.segment)
	if err != nil {
		return h, nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	payload := make([]byte, h.length)
	if err := readAll(f, payload, int64(p.offset)+recordHeader); err != nil {
		return h, nil, err
	}
	if !h.whole(payload) {
		return h, nil, fmt.Errorf("%w: %s: checksum", ErrDamaged, h.id)
	}
	return h, payload, nil
}

// newFile makes a file for a blob under a name never used before, has it filled, and makes it durable.
func (s *Store) newFile(id blobID, fill func(disk.File) error) (place, error) {
	random, err := newID(s.cfg.Now(), s.cfg.Rand)
	if err != nil {
		return place{}, err
	}
	text := random.String()
	p := place{file: id.String() + "-" + text[len(text)-suffixLen:]}
	tmp := "tmp/" + p.file
	f, err := s.fs.Create(tmp)
	if err != nil {
		return place{}, diskError("new file", err)
	}
	if err = fill(f); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = s.fs.Rename(tmp, p.path())
	}
	if err != nil {
		return place{}, errors.Join(diskError("write a copy", err), s.fs.Remove(tmp))
	}
	if err := s.fs.SyncDir(shard(p.file)); err != nil {
		return place{}, errors.Join(diskError("sync the directory", err), s.fs.Remove(p.path()))
	}
	return p, nil
}

// sparse is a copy of each closed segment of which less than half lives, with its live records, the
// emptiest first.
func (l *ledger) sparse() []segment {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []segment
	for _, seg := range l.segments {
		if seg.open || !seg.counted || seg.octets*2 >= seg.used {
			continue
		}
		c := *seg
		c.entries = slices.DeleteFunc(slices.Clone(seg.entries), func(e entry) bool { return e.size == 0 })
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b segment) int { return int(a.octets - b.octets) })
	return out
}

// follow notes where a record went, until the next Compact.
func (l *ledger) follow(id blobID, to place) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.moved[id] = to
}

func (l *ledger) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.moved)
}

// used is the length of a segment up to the end of its last named record.
func (l *ledger) used(n uint64) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if seg := l.segments[n]; seg != nil {
		return seg.used
	}
	return 0
}
