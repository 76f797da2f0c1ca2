package spool

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"sync"

	"postern/gateway/spool/disk"
)

// request is one record on its way to the log. The log owns its buffer until it is settled.
type request struct {
	id     blobID
	record []byte // recordHeader octets of room, then the payload
	sum    uint32 // of the payload
	place  place
	err    error
	done   chan struct{} // closed when place or err is set

	mu      sync.Mutex
	settled bool
	gone    bool // nobody waits any more: a record made durable is dead at once
}

// log appends records to the current segment, in batches, from one goroutine.
type log struct {
	store *Store
	wake  chan struct{}
	ended chan struct{}

	mu      sync.Mutex
	waiting []*request
	octets  int // of those waiting or being written
	closed  bool

	// Of the goroutine alone:
	file   disk.File // nil: none yet, or the last one failed
	number uint64
	tail   int64 // where the next batch may begin
	spare  bool  // the file was a spare: it has its full length
}

func startLog(s *Store) *log {
	l := &log{store: s, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	go l.run()
	return l
}

// commit hands a record over and waits until it is durable. When ctx ends first the record's fate is
// the log's business: it never lives.
func (l *log) commit(ctx context.Context, r *request) (place, error) {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		l.store.bufs.put(r.record)
		return place{}, ErrClosed
	}
	if l.octets+len(r.record) > MaxWaiting {
		l.mu.Unlock()
		l.store.bufs.put(r.record)
		return place{}, ErrBusy
	}
	l.waiting = append(l.waiting, r)
	l.octets += len(r.record)
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default: // it is awake, or will be
	}
	select {
	case <-r.done:
		return r.place, r.err
	case <-ctx.Done():
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.settled {
		return r.place, r.err
	}
	r.gone = true
	return place{}, fmt.Errorf("spool: not yet durable: %w", context.Cause(ctx))
}

// stop writes what waits and ends the goroutine.
func (l *log) stop() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	close(l.wake)
	<-l.ended
}

func (l *log) run() {
	defer close(l.ended)
	for range l.wake {
		l.drain()
	}
	l.drain()
	l.leave(true)
}

// drain writes batches until nothing waits.
func (l *log) drain() {
	for {
		l.rotate()
		batch := l.take()
		if len(batch) == 0 {
			return
		}
		err := l.write(batch)
		if err == nil {
			l.store.count.batches.Add(1)
			l.store.count.records.Add(int64(len(batch)))
		} else {
			l.store.count.failures.Add(1)
		}
		for _, r := range batch {
			l.settle(r, err)
		}
	}
}

// rotate leaves the segment if the first that waits does not fit into it.
func (l *log) rotate() {
	l.mu.Lock()
	full := len(l.waiting) > 0 && alignUp(l.tail, pageSize)+int64(len(l.waiting[0].record)) > l.store.cfg.Segment
	l.mu.Unlock()
	if full {
		l.leave(true)
	}
}

// take is what waits, up to MaxBatch octets and what fits the segment.
func (l *log) take() []*request {
	l.mu.Lock()
	defer l.mu.Unlock()
	end, limit := alignUp(l.tail, pageSize), l.store.cfg.Segment
	n, octets := 0, int64(0)
	for _, r := range l.waiting {
		size := alignUp(int64(len(r.record)), recordAlign)
		if end+octets+size > limit || octets+size > MaxBatch {
			break
		}
		octets += size
		n++
	}
	batch := l.waiting[:n:n]
	l.waiting = l.waiting[n:]
	if len(l.waiting) == 0 {
		l.waiting = nil
	}
	return batch
}

// write makes a batch durable, all or (as far as anyone is told) nothing.
func (l *log) write(batch []*request) error {
	if err := l.enter(); err != nil {
		return err
	}
	off := alignUp(l.tail, pageSize) // never into a page that holds durable octets
	for _, r := range batch {
		r.place = place{segment: l.number, offset: uint32(off)}
		header{l.number, uint32(len(r.record) - recordHeader), r.sum, r.id}.put(r.record)
		if err := writeAll(l.file, r.record, off); err != nil {
			l.leave(false)
			return diskError("write to the log", err)
		}
		off = alignUp(off+int64(len(r.record)), recordAlign)
	}
	if err := l.file.Sync(); err != nil {
		l.leave(false) // and never sync this file again
		return diskError("sync the log", err)
	}
	l.tail = off
	if l.tail > l.store.cfg.Segment/4 {
		l.store.spares.want()
	}
	return nil
}

// enter begins a new segment if there is none.
func (l *log) enter() error {
	if l.file != nil {
		return nil
	}
	s := l.store
	var b [4]byte
	if _, err := io.ReadFull(s.cfg.Rand, b[:]); err != nil {
		return fmt.Errorf("spool: segment number: %w", err)
	}
	n := s.ledger.next(s.cfg.Now().UnixMilli(), binary.BigEndian.Uint32(b[:]))
	f, spare, err := l.begin(segmentName(n))
	if err != nil {
		return errors.Join(diskError("new segment", err), s.retire(s.ledger.shut(n, false)))
	}
	if err := s.fs.SyncDir("log"); err != nil {
		return errors.Join(diskError("new segment", err), f.Close(), s.retire(s.ledger.shut(n, false)))
	}
	l.file, l.number, l.tail, l.spare = f, n, 0, spare
	return nil
}

// begin makes the file of a new segment: of a spare, or a new one with its space reserved.
func (l *log) begin(name string) (f disk.File, spare bool, err error) {
	fs := l.store.fs
	if old := l.store.spares.take(); old != "" {
		if err := fs.Rename(old, name); err != nil {
			return nil, false, err
		}
		f, err := fs.Edit(name)
		return f, true, err
	}
	if err := l.store.room(forWork, l.store.cfg.Segment); err != nil {
		return nil, false, err
	}
	if f, err = fs.Create(name); err != nil {
		return nil, false, err
	}
	if err := f.Reserve(l.store.cfg.Segment); err != nil {
		return nil, false, errors.Join(err, f.Close())
	}
	return f, false, nil
}

// leave ends the current segment: it is full, the store is closing, or (not good) something failed in it.
// A full one is filled up, so that it can become a spare when it is free; of another the unused space
// is given back. If either fails it is only space.
func (l *log) leave(good bool) {
	if l.file == nil {
		return
	}
	size := l.store.cfg.Segment
	whole := good && (l.spare || l.tail > size/2 && l.fill(size))
	if !whole {
		l.file.Truncate(l.tail)
	}
	l.file.Close()
	l.file, l.tail = nil, 0
	l.store.retire(l.store.ledger.shut(l.number, whole))
}

// fill writes zeros from the tail to the segment's full length.
func (l *log) fill(size int64) bool {
	return writeAll(l.file, make([]byte, size-l.tail), l.tail) == nil
}

// settle tells the writer of a record what became of it.
func (l *log) settle(r *request, err error) {
	r.mu.Lock()
	r.settled, r.err = true, err
	if err == nil {
		l.store.ledger.add(r.place, int64(len(r.record)))
	}
	gone := r.gone
	r.mu.Unlock()
	if err == nil && gone {
		l.store.retire(l.store.ledger.kill(r.place))
	}
	l.mu.Lock()
	l.octets -= len(r.record)
	l.mu.Unlock()
	l.store.bufs.put(r.record)
	r.record = nil
	close(r.done)
}

// payloadSum is the checksum of a record's payload.
func payloadSum(record []byte) uint32 { return crc32.Checksum(record[recordHeader:], castagnoli) }
