package smime

import (
	"bytes"
	"fmt"
	"io"
)

// Scratch holds plaintext nobody may act on yet: written once, then read. Discard destroys it and
// may be called at any time, also twice.
type Scratch interface {
	io.Writer
	io.ReaderAt
	Size() int64
	Discard() error
}

// MaxMemory bounds what NewMemory holds.
const MaxMemory = 64 << 20

// Memory is a Scratch in memory, for small messages and for tools; over MaxMemory it refuses.
type Memory struct{ b []byte }

// NewMemory is an empty Scratch in memory; it fits OpenOptions.Scratch.
func NewMemory() (Scratch, error) { return &Memory{}, nil }

func (m *Memory) Write(p []byte) (int, error) {
	if len(m.b)+len(p) > MaxMemory {
		return 0, fmt.Errorf("smime: scratch memory: more than %d octets", MaxMemory)
	}
	if need := len(m.b) + len(p); need > cap(m.b) { // by hand: append would leave what it outgrows unwiped
		b := make([]byte, len(m.b), max(need, 2*cap(m.b)))
		copy(b, m.b)
		clear(m.b)
		m.b = b
	}
	m.b = append(m.b, p...)
	return len(p), nil
}

// ReadAt reads what was written.
func (m *Memory) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(m.b).ReadAt(p, off)
}

// Size is the number of octets written.
func (m *Memory) Size() int64 { return int64(len(m.b)) }

// Discard wipes the memory.
func (m *Memory) Discard() error {
	clear(m.b[:cap(m.b)])
	m.b = nil
	return nil
}

// joined is a ReaderAt over a short text in front of a section.
type joined struct {
	front []byte
	back  *io.SectionReader
}

func (j joined) size() int64 { return int64(len(j.front)) + j.back.Size() }

func (j joined) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	if off < int64(len(j.front)) {
		n = copy(p, j.front[off:])
		if n == len(p) {
			return n, nil
		}
	}
	m, err := j.back.ReadAt(p[n:], off+int64(n)-int64(len(j.front)))
	return n + m, err
}
