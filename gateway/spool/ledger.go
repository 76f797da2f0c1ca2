package spool

import (
	"fmt"
	"slices"
	"strconv"
	"sync"
)

// segment is what is known of one segment file. Eight octets a record, so that a million queued
// messages cost a few megabytes.
type segment struct {
	number  uint64
	used    int64   // octets of the file that records may lie in
	entries []entry // by rising offset
	live    int
	octets  int64 // of live records
	open    bool  // being written
	counted bool  // entries are complete: made by this process, or by Recover
	whole   bool  // every octet of a full-length file was written, and nothing failed: may become a spare
	readers int   // that have the file open: it must not be written again
}

// entry is one record; size 0 means that it is dead.
type entry struct{ offset, size uint32 }

// ledger knows which records live, and where the records went that Compact moved. A record written by
// this process lives until it is deleted, whether its row is there yet or not.
type ledger struct {
	mu       sync.Mutex
	segments map[uint64]*segment
	last     uint64           // highest number ever seen
	moved    map[blobID]place // by the last Compact: for callers that still hold the old row
}

func newLedger() *ledger {
	return &ledger{segments: map[uint64]*segment{}, moved: map[blobID]place{}}
}

func segmentName(n uint64) string { return fmt.Sprintf("log/%016x", n) }

func segmentNumber(name string) (uint64, bool) {
	n, err := strconv.ParseUint(name, 16, 64)
	return n, err == nil && len(name) == segmentDigits
}

// addOld registers a segment found at start, of which nothing is known yet.
func (l *ledger) addOld(n uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.segments[n] = &segment{number: n}
	l.last = max(l.last, n)
}

// next is a number for a new segment: never one that was used before, also not after a restart with
// a clock set back, because the low bits are random.
func (l *ledger) next(ms int64, random uint32) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := uint64(ms)<<20 | uint64(random)&(1<<20-1)
	l.last = max(l.last+1, n)
	l.segments[l.last] = &segment{number: l.last, open: true, counted: true}
	return l.last
}

// add registers a durable record of a segment that is being written.
func (l *ledger) add(p place, size int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	seg := l.segments[p.segment]
	seg.entries = append(seg.entries, entry{p.offset, uint32(size)})
	seg.live++
	seg.octets += size
	seg.used = int64(p.offset) + size
}

// shut says that a segment is written no more; it returns the segment if nothing lives in it.
func (l *ledger) shut(n uint64, whole bool) *segment {
	l.mu.Lock()
	defer l.mu.Unlock()
	seg := l.segments[n]
	seg.open, seg.whole = false, whole
	return l.takeEmpty(seg)
}

// count sets the complete live records of a segment found at start; it returns the segment if there are none.
func (l *ledger) count(n uint64, entries []entry) *segment {
	l.mu.Lock()
	defer l.mu.Unlock()
	seg := l.segments[n]
	slices.SortFunc(entries, func(a, b entry) int { return int(int64(a.offset) - int64(b.offset)) })
	seg.entries = slices.CompactFunc(entries, func(a, b entry) bool { return a.offset == b.offset })
	for _, e := range seg.entries {
		seg.live++
		seg.octets += int64(e.size)
		seg.used = int64(e.offset) + int64(e.size)
	}
	seg.counted = true
	return l.takeEmpty(seg)
}

// kill marks a record dead, once however often it is asked to; it returns the segment if that was the last.
func (l *ledger) kill(p place) *segment {
	l.mu.Lock()
	defer l.mu.Unlock()
	seg := l.segments[p.segment]
	if seg == nil || !seg.counted {
		return nil // freed already, or to be counted by Recover from rows that no longer name it
	}
	i, ok := slices.BinarySearchFunc(seg.entries, p.offset, func(e entry, o uint32) int { return int(int64(e.offset) - int64(o)) })
	if !ok || seg.entries[i].size == 0 {
		return nil
	}
	seg.live--
	seg.octets -= int64(seg.entries[i].size)
	seg.entries[i].size = 0
	return l.takeEmpty(seg)
}

// takeEmpty unregisters a segment that can be freed. The caller holds the lock.
func (l *ledger) takeEmpty(seg *segment) *segment {
	if seg.open || !seg.counted || seg.live > 0 {
		return nil
	}
	delete(l.segments, seg.number)
	return seg
}

// pin keeps a segment's file as it is for a reader; nil means that there is no such segment any more.
func (l *ledger) pin(n uint64) *segment {
	l.mu.Lock()
	defer l.mu.Unlock()
	seg := l.segments[n]
	if seg != nil {
		seg.readers++
	}
	return seg
}

func (l *ledger) unpin(seg *segment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	seg.readers--
}

// reusable tells whether the file of a freed segment may be written again: nobody can open it any more.
func (l *ledger) reusable(seg *segment) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return seg.whole && seg.readers == 0
}

// current follows a blob that Compact moved since the caller read its row.
func (l *ledger) current(id blobID, p place) place {
	l.mu.Lock()
	defer l.mu.Unlock()
	if to, ok := l.moved[id]; ok && p.file == "" {
		return to
	}
	return p
}

// old is the numbers of the segments not yet counted, rising.
func (l *ledger) old() []uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []uint64
	for n, seg := range l.segments {
		if !seg.counted {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out
}
