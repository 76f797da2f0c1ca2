package smime_test

import "runtime"

// memory is a reading of the heap.
type memory struct{ total uint64 }

func (m *memory) read() {
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	m.total = s.TotalAlloc
}
