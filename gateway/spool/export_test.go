package spool

import "runtime"

// WaitQueued returns when n records wait for the log.
func WaitQueued(s *Store, n int) {
	for {
		s.log.mu.Lock()
		k := len(s.log.waiting)
		s.log.mu.Unlock()
		if k >= n {
			return
		}
		runtime.Gosched()
	}
}

// WaitSpare returns when a spare is ready.
func WaitSpare(s *Store) {
	s.spares.want()
	s.spares.work.Wait()
}

// Spares is how many spares are ready.
func Spares(s *Store) int {
	s.spares.mu.Lock()
	defer s.spares.mu.Unlock()
	return len(s.spares.names)
}

// LiveRecords is how many records of the log live.
func LiveRecords(s *Store) int {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	n := 0
	for _, seg := range s.ledger.segments {
		n += seg.live
	}
	return n
}
