package faultdisk

import (
	"bytes"
	"io"
	"math/rand/v2"
	"slices"
)

const sector = 512

// inode is a file's content: as read now, and as a crash finds it at the least.
type inode struct {
	data    []byte
	durable []byte
	dirty   map[int64]bool // sectors written since the last sync, or since a sync that failed
}

func newInode() *inode { return &inode{dirty: map[int64]bool{}} }

func (in *inode) write(p []byte, off int64) {
	if end := off + int64(len(p)); end > int64(len(in.data)) {
		in.data = append(in.data, make([]byte, end-int64(len(in.data)))...)
	}
	copy(in.data[off:], p)
	for s := off / sector; s*sector < off+int64(len(p)); s++ {
		in.dirty[s] = true
	}
}

func (in *inode) truncate(size int64) {
	for s := size / sector; s*sector < int64(len(in.data)); s++ {
		delete(in.dirty, s+1)
	}
	if size <= int64(len(in.data)) {
		in.data = in.data[:size]
	} else {
		in.data = append(in.data, make([]byte, size-int64(len(in.data)))...)
	}
	in.dirty[size/sector] = true
}

// sync makes the dirty sectors and the length durable. Sectors that a failed sync dropped stay as
// they were on the disk.
func (in *inode) sync() {
	next := make([]byte, len(in.data))
	copy(next, in.durable)
	for s := range in.dirty {
		in.copySector(next, s)
	}
	in.durable = next
	clear(in.dirty)
}

func (in *inode) copySector(to []byte, s int64) {
	lo, hi := s*sector, min((s+1)*sector, int64(len(in.data)), int64(len(to)))
	if lo < hi {
		copy(to[lo:hi], in.data[lo:hi])
	}
}

// crash keeps what is durable and a random part of the rest.
func (in *inode) crash(r *rand.Rand) {
	size := len(in.durable)
	if len(in.data) != size && r.IntN(2) == 0 {
		size = len(in.data)
	}
	next := make([]byte, size)
	copy(next, in.durable)
	for _, s := range sortedSectors(in.dirty) {
		if r.IntN(2) == 0 {
			in.copySector(next, s)
		}
	}
	in.data, in.durable = next, bytes.Clone(next)
	clear(in.dirty)
}

func sortedSectors(m map[int64]bool) []int64 {
	out := make([]int64, 0, len(m))
	for s := range m {
		out = append(out, s)
	}
	slices.Sort(out)
	return out
}

// handle is an open file.
type handle struct {
	v    *view
	name string
	in   *inode
}

func (h *handle) ReadAt(p []byte, off int64) (int, error) {
	if err := h.v.enter(); err != nil {
		return 0, err
	}
	defer h.v.d.mu.Unlock()
	if off >= int64(len(h.in.data)) {
		return 0, io.EOF
	}
	n := copy(p, h.in.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (h *handle) WriteAt(p []byte, off int64) (int, error) {
	f, err := h.v.begin(Write, h.name)
	if err != nil {
		return 0, err
	}
	defer h.v.d.mu.Unlock()
	if f.Err != nil {
		part := min(f.Part, len(p))
		h.in.write(p[:part], off)
		return part, f.Err
	}
	h.in.write(p, off)
	return len(p), nil
}

func (h *handle) Sync() error {
	f, err := h.v.begin(Sync, h.name)
	if err != nil {
		return err
	}
	defer h.v.d.mu.Unlock()
	if f.Err != nil {
		clear(h.in.dirty) // dropped: the next sync will say nil and write none of it
		return f.Err
	}
	h.in.sync()
	return nil
}

func (h *handle) Reserve(int64) error {
	f, err := h.v.begin(Reserve, h.name)
	if err != nil {
		return err
	}
	defer h.v.d.mu.Unlock()
	return f.Err
}

func (h *handle) Truncate(size int64) error {
	f, err := h.v.begin(Truncate, h.name)
	if err != nil {
		return err
	}
	defer h.v.d.mu.Unlock()
	if f.Err != nil {
		return f.Err
	}
	h.in.truncate(size)
	return nil
}

func (h *handle) Size() (int64, error) {
	if err := h.v.enter(); err != nil {
		return 0, err
	}
	defer h.v.d.mu.Unlock()
	return int64(len(h.in.data)), nil
}

func (h *handle) Close() error { return nil }
