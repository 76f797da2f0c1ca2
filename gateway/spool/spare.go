package spool

import (
	"errors"
	"fmt"
	"sync"
)

// maxSpares is how many files wait to become segments.
const maxSpares = 2

// preparePiece is how much of a spare is written at a time, in octets.
const preparePiece = 1 << 20

// spares are files of a whole segment's length, every octet of which was written and synced before.
// Syncing what overwrites them needs no change of the file system's own records, so it does not wait
// for its journal, in which everything else on the disk takes part. One is prepared in the background
// when a segment has been used for a quarter, and freed segments become spares. They lie among the
// temporary files: no start trusts one that it finds.
type spares struct {
	store *Store
	ended chan struct{}
	work  sync.WaitGroup

	mu    sync.Mutex
	names []string
	count int  // of names ever given
	busy  bool // one is being prepared
	done  bool
}

func newSpares(s *Store) *spares { return &spares{store: s, ended: make(chan struct{})} }

// name is a new one. The caller holds the lock.
func (p *spares) name() string {
	p.count++
	return fmt.Sprintf("tmp/spare-%d", p.count)
}

// want prepares a spare if there is none.
func (p *spares) want() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done || p.busy || len(p.names) > 0 {
		return
	}
	p.busy = true
	name := p.name()
	p.work.Go(func() {
		err := p.prepare(name)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.busy = false
		if err == nil && !p.done {
			p.names = append(p.names, name)
			return
		}
		p.store.fs.Remove(name) // it is only speed that is lost; what cannot be removed goes at the next start
	})
}

var errEnded = errors.New("spool: ended")

// prepare writes a whole segment of zeros.
func (p *spares) prepare(name string) error {
	s := p.store
	size := s.cfg.Segment
	if err := s.room(forNew, 2*size); err != nil {
		return err
	}
	f, err := s.fs.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	zeros := make([]byte, min(preparePiece, size))
	for off := int64(0); off < size; off += int64(len(zeros)) {
		select {
		case <-p.ended:
			return errEnded
		default:
		}
		piece := zeros[:min(int64(len(zeros)), size-off)]
		if err := writeAll(f, piece, off); err != nil {
			return err
		}
		if err := f.Sync(); err != nil { // piece by piece: one long sync would hold up others
			return err
		}
	}
	return nil
}

// take is a spare's name, "" if there is none.
func (p *spares) take() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.names) == 0 {
		return ""
	}
	name := p.names[len(p.names)-1]
	p.names = p.names[:len(p.names)-1]
	return name
}

// offer makes a freed segment a spare, if one is wanted.
func (p *spares) offer(segment string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done || len(p.names) >= maxSpares {
		return false
	}
	name := p.name()
	if err := p.store.fs.Rename(segment, name); err != nil {
		return false
	}
	p.names = append(p.names, name)
	return true
}

// close waits for what is being prepared and removes the spares.
func (p *spares) close() error {
	p.mu.Lock()
	p.done = true
	names := p.names
	p.names = nil
	p.mu.Unlock()
	close(p.ended)
	p.work.Wait()
	var err error
	for _, n := range names {
		err = errors.Join(err, p.store.fs.Remove(n))
	}
	return err
}
