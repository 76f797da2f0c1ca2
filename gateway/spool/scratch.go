package spool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"postern/gateway/spool/disk"
	"postern/gateway/spool/seal"
)

// scratchMemory is how many plain octets a scratch keeps in memory before it goes to disk.
const scratchMemory = 1 << 20

// Scratch holds octets nobody may act on yet: written once from the front, then read at any offset, then
// discarded. Up to 1 MiB stays in memory; more lies on disk, sealed under a key that only this value
// holds, in a file without a name, so that nothing is left of it when the process ends. It satisfies
// smime.Scratch. One goroutine writes; once written, several may read.
type Scratch struct {
	s    *Store
	mu   sync.Mutex
	size int64
	err  error // the first failure, or the end: final

	chunks [][]byte // in memory: full chunks and the one being filled

	box   *seal.Box // on disk: set once the file is begun
	file  disk.File
	name  string // "" when the file has no name any more
	index int64  // chunks written

	seen   int64  // the chunk opened last, -1 none
	plain  []byte // its octets
	sealed []byte
}

var errDiscarded = errors.New("spool: scratch was discarded")

// Scratch begins a scratch, for accepted work (see Continue). Errors wrap ErrNoSpace when the disk is full
// but for a quarter of the reserve.
func (s *Store) Scratch() (*Scratch, error) {
	if s.closed.Load() {
		return nil, ErrClosed
	}
	if err := s.room(forWork, 0); err != nil {
		return nil, err
	}
	return &Scratch{s: s, seen: -1}, nil
}

// Size is how many octets were written.
func (c *Scratch) Size() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.size
}

// Write adds octets at the end. Errors wrap ErrTooLarge or ErrNoSpace where that is the cause.
func (c *Scratch) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil && c.size+int64(len(p)) > c.s.cfg.MaxBlob {
		c.err = fmt.Errorf("%w: %d octets at most", ErrTooLarge, c.s.cfg.MaxBlob)
	}
	n := 0
	for n < len(p) && c.err == nil {
		k := len(c.chunks)
		if k == 0 || len(c.chunks[k-1]) == seal.ChunkSize {
			if c.err = c.room(); c.err != nil {
				break
			}
			k = len(c.chunks)
		}
		last := &c.chunks[k-1]
		m := min(len(p)-n, seal.ChunkSize-len(*last))
		*last = append(*last, p[n:n+m]...)
		n += m
	}
	c.size += int64(n)
	return n, c.err
}

// room makes place for another chunk: in memory, or by writing what is there to disk.
func (c *Scratch) room() error {
	if c.box != nil || int64(len(c.chunks))*seal.ChunkSize >= scratchMemory {
		if err := c.spill(); err != nil {
			return err
		}
	}
	c.chunks = append(c.chunks, c.s.bufs.chunk())
	return nil
}

// spill seals the full chunks in memory to the file.
func (c *Scratch) spill() error {
	if c.box == nil {
		if err := c.begin(); err != nil {
			return err
		}
	}
	for _, p := range c.chunks {
		if (c.index*seal.ChunkSize)%spaceEvery == 0 {
			if err := c.s.room(forWork, seal.ChunkSize); err != nil {
				return err
			}
		}
		c.sealed = c.box.Seal(c.sealed[:0], p, c.index, false)
		if err := writeAll(c.file, c.sealed, c.index*int64(seal.ChunkSize+seal.Overhead)); err != nil {
			return diskError("write scratch", err)
		}
		c.index++
	}
	c.release()
	return nil
}

// begin makes the file and takes its name away at once.
func (c *Scratch) begin() error {
	id, err := newID(c.s.cfg.Now(), c.s.cfg.Rand)
	if err != nil {
		return err
	}
	box, err := seal.NewBox(seal.NewKey(), id.String())
	if err != nil {
		return err
	}
	name := "tmp/s" + id.String()
	if c.file, err = c.s.fs.Create(name); err != nil {
		c.file = nil
		return diskError("new scratch", err)
	}
	if err := c.s.fs.Remove(name); err != nil {
		c.name = name // a system that keeps open files: removed by Discard, or at the next start
	}
	c.box = box
	c.sealed = make([]byte, 0, seal.ChunkSize+seal.Overhead)
	return nil
}

// release clears and returns the chunks in memory.
func (c *Scratch) release() {
	for _, p := range c.chunks {
		c.s.bufs.putChunk(p)
	}
	c.chunks = c.chunks[:0]
}

// ReadAt is io.ReaderAt over what was written so far.
func (c *Scratch) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("spool: negative offset %d", off)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return 0, c.err
	}
	n := 0
	for n < len(p) && off < c.size {
		chunk, err := c.chunk(off / seal.ChunkSize)
		if err != nil {
			return n, err
		}
		k := copy(p[n:], chunk[off%seal.ChunkSize:])
		n += k
		off += int64(k)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// chunk is the plaintext of chunk i.
func (c *Scratch) chunk(i int64) ([]byte, error) {
	if i >= c.index {
		return c.chunks[i-c.index], nil
	}
	if i == c.seen {
		return c.plain, nil
	}
	if c.plain == nil {
		c.plain = c.s.bufs.chunk()
	}
	c.seen = -1
	sealed := c.sealed[:seal.ChunkSize+seal.Overhead]
	if n, err := c.file.ReadAt(sealed, i*int64(len(sealed))); n < len(sealed) {
		return nil, fmt.Errorf("spool: read scratch: %w", errors.Join(io.ErrUnexpectedEOF, err))
	}
	plain, err := c.box.Open(c.plain[:0], sealed, i, false)
	if err != nil {
		return nil, damaged(err)
	}
	c.plain, c.seen = plain, i
	return plain, nil
}

// Keep copies n octets at off into a blob of an organisation, durably: what was verified and is now to be kept.
func (c *Scratch) Keep(ctx context.Context, org string, off, n int64) (Blob, error) {
	if off < 0 || n < 0 || off > c.Size()-n {
		return Blob{}, fmt.Errorf("spool: keep %d octets at %d of %d", n, off, c.Size())
	}
	return c.s.put(ctx, forWork, org, io.NewSectionReader(c, off, n))
}

// Discard destroys the octets; a scratch discarded already stays so.
func (c *Scratch) Discard() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == errDiscarded {
		return nil
	}
	c.err = errDiscarded
	c.release()
	if c.plain != nil {
		c.s.bufs.putChunk(c.plain)
		c.plain = nil
	}
	if c.file == nil {
		return nil
	}
	err := c.file.Close()
	if c.name != "" {
		err = errors.Join(err, c.s.fs.Remove(c.name))
	}
	c.file, c.box = nil, nil
	return err
}
