package spool

import "sync/atomic"

// Stats is what a spool has done since it was opened and what it holds, for gauges and counters.
type Stats struct {
	Records  int64 // small blobs made durable
	Batches  int64 // syncs of the log that made them so
	Failures int64 // batches that a write or sync failed
	Files    int64 // large blobs made durable
	Waiting  int   // small blobs waiting for their sync now
	Segments int   // in the log
	Live     int   // records that live, of those counted
	Octets   int64 // of them
	Free     int64 // octets left on the disk; -1 unknown
}

// counters is the part of Stats that rises.
type counters struct{ records, batches, failures, files atomic.Int64 }

// Stats is how things stand.
func (s *Store) Stats() Stats {
	st := Stats{Records: s.count.records.Load(), Batches: s.count.batches.Load(), Failures: s.count.failures.Load(), Files: s.count.files.Load()}
	s.log.mu.Lock()
	st.Waiting = len(s.log.waiting)
	s.log.mu.Unlock()
	s.ledger.mu.Lock()
	for _, seg := range s.ledger.segments {
		st.Segments++
		st.Live += seg.live
		st.Octets += seg.octets
	}
	s.ledger.mu.Unlock()
	st.Free = -1
	if !s.closed.Load() {
		if n, err := s.fs.Free(); err == nil {
			st.Free = n
		}
	}
	return st
}
