package spool

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"iter"
	"slices"

	"postern/gateway/spool/disk"
	"postern/gateway/spool/seal"
)

// MaxNamed bounds how many blobs a Report names; it counts them all.
const MaxNamed = 1000

// Row is what Recover needs of a blob's row.
type Row struct {
	ID    string
	Place string
	Size  int64
}

// Report is what Recover found and did.
type Report struct {
	Live    int      `json:"live"`    // rows whose data is there
	Octets  int64    `json:"octets"`  // stored octets of them
	Removed int      `json:"removed"` // segments and files no row named
	Torn    int      `json:"torn"`    // records begun in the newest segment and never finished
	Cut     int64    `json:"cut"`     // octets cut off behind the last named record of a segment
	Lost    int      `json:"lost"`    // rows with no data at their place
	Damaged int      `json:"damaged"` // rows with other data at their place than theirs
	LostIDs []string `json:"lost_ids,omitempty"`
	BadIDs  []string `json:"damaged_ids,omitempty"`
}

// Recover makes the spool agree with the caller's rows, once, before anything is written: it frees
// what no row names, cuts torn tails, and names rows whose data is lost or damaged. rows must give every
// row there is, of every organisation: what they leave out is removed. If rows yields an error, or ctx
// ends, nothing is removed. Running it again after a crash in its middle does the rest. ErrLate means that
// something was written first.
func (s *Store) Recover(ctx context.Context, rows iter.Seq2[Row, error]) (Report, error) {
	s.gate.Lock()
	defer s.gate.Unlock()
	if s.closed.Load() {
		return Report{}, ErrClosed
	}
	if s.inUse.Load() {
		return Report{}, ErrLate
	}
	r := &recovery{s: s, entries: map[uint64][]entry{}, seed: maphash.MakeSeed()}
	defer r.close()
	for row, err := range rows {
		if err == nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			return Report{}, fmt.Errorf("spool: recover: nothing was removed: %w", err)
		}
		if err := r.see(row); err != nil {
			return Report{}, fmt.Errorf("spool: recover: nothing was removed: %w", err)
		}
	}
	if err := r.segments(); err != nil {
		return r.report, fmt.Errorf("spool: recover: %w", err)
	}
	if err := r.sweep(); err != nil {
		return r.report, fmt.Errorf("spool: recover: %w", err)
	}
	return r.report, nil
}

// recovery is one run of Recover.
type recovery struct {
	s       *Store
	report  Report
	entries map[uint64][]entry // of each segment: the records that rows name
	seed    maphash.Seed
	files   []uint64 // hashes of the names that rows name: eight octets a file; a collision only keeps a file too long

	// Rows come mostly in the order of their segments: one open file is enough.
	number  uint64
	segment disk.File // nil: none open, or it does not exist
	known   bool      // number was tried
}

func (r *recovery) close() {
	if r.segment != nil {
		r.segment.Close()
	}
}

// see notes one row and looks whether its data is there. Its error is the disk's; bad rows are reported.
func (r *recovery) see(row Row) error {
	b := Blob{ID: row.ID, Place: row.Place}
	id, p, err := b.parse()
	if err != nil || row.Size < 0 || row.Size > MaxBlob {
		r.bad(row.ID)
		return nil
	}
	if p.file != "" {
		return r.seeFile(row, p)
	}
	size := recordHeader + seal.SealedSize(row.Size)
	if err := r.open(p.segment); err != nil {
		return err
	}
	if r.segment == nil {
		r.lost(row.ID)
		return nil
	}
	// Also a damaged record is named by a row and keeps its segment: what is left of it is not ours to drop.
	r.entries[p.segment] = append(r.entries[p.segment], entry{p.offset, uint32(min(size, 1<<31))})
	err = checkRecord(r.segment, id, p, row.Size)
	switch {
	case errors.Is(err, ErrDamaged):
		r.bad(row.ID)
	case err != nil:
		return err
	default:
		r.report.Live++
		r.report.Octets += size
	}
	return nil
}

func (r *recovery) seeFile(row Row, p place) error {
	r.files = append(r.files, maphash.String(r.seed, p.file))
	size, err := r.s.fs.Size(p.path())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.lost(row.ID)
	case err != nil:
		return err
	case size != seal.SealedSize(row.Size):
		r.bad(row.ID)
	default:
		r.report.Live++
		r.report.Octets += size
	}
	return nil
}

func (r *recovery) open(n uint64) error {
	if r.known && r.number == n {
		return nil
	}
	r.close()
	r.segment, r.number, r.known = nil, n, true
	f, err := r.s.fs.Open(segmentName(n))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	r.segment = f
	return nil
}

func (r *recovery) lost(id string) {
	r.report.Lost++
	if len(r.report.LostIDs) < MaxNamed {
		r.report.LostIDs = append(r.report.LostIDs, id)
	}
}

func (r *recovery) bad(id string) {
	r.report.Damaged++
	if len(r.report.BadIDs) < MaxNamed {
		r.report.BadIDs = append(r.report.BadIDs, id)
	}
}

// segments counts the live records of each segment, removes the empty ones and cuts the others.
func (r *recovery) segments() error {
	old := r.s.ledger.old()
	for i, n := range old {
		if i == len(old)-1 {
			if err := r.torn(n); err != nil {
				return err
			}
		}
		seg := r.s.ledger.count(n, r.entries[n])
		if seg != nil {
			if err := r.s.retire(seg); err != nil {
				return err
			}
			r.report.Removed++
			continue
		}
		if err := r.cut(n); err != nil {
			return err
		}
	}
	return nil
}

// cut ends a segment behind its last named record. No row names what lies behind it.
func (r *recovery) cut(n uint64) error {
	end := r.s.ledger.used(n)
	f, err := r.s.fs.Edit(segmentName(n))
	if err != nil {
		return err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil || size <= end {
		return err
	}
	if err := f.Truncate(end); err != nil {
		return err
	}
	r.report.Cut += size - end
	return nil
}

// torn counts the unfinished records of the segment that was being written when the process ended,
// and looks at the content of the finished ones that rows name.
func (r *recovery) torn(n uint64) error {
	f, err := r.s.fs.Open(segmentName(n))
	if err != nil {
		return err
	}
	defer f.Close()
	named := map[uint32]bool{}
	for _, e := range r.entries[n] {
		named[e.offset] = true
	}
	return scan(f, n, func(f found) {
		switch {
		case f.whole:
		case named[f.offset]:
			r.report.Live--
			r.report.Octets -= recordHeader + int64(f.length)
			r.bad(f.id.String())
		default:
			r.report.Torn++
		}
	})
}

// sweep removes the files that no row names.
func (r *recovery) sweep() error {
	slices.Sort(r.files)
	for _, c := range shards {
		dir := "blob/" + string(c)
		list, err := r.s.fs.List(dir)
		if err != nil {
			return err
		}
		for _, e := range list {
			if _, named := slices.BinarySearch(r.files, maphash.String(r.seed, e.Name())); named {
				continue
			}
			if err := r.s.fs.Remove(dir + "/" + e.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			r.report.Removed++
		}
	}
	return nil
}
