package seal

import (
	"fmt"
	"io"
	"sync"
)

// Reader is the plaintext of a sealed string, at any offset. Every octet it returns was
// authenticated first. It keeps one opened chunk in memory. Several goroutines may use it at once.
type Reader struct {
	box    *Box
	src    io.ReaderAt
	size   int64
	chunks int64

	mu     sync.Mutex
	sealed []byte // room for one sealed chunk
	plain  []byte // the opened chunk `cached`
	cached int64  // -1: none
	closed bool
}

// NewReader reads the string of size plain octets whose sealed form is at the front of src.
// A size that is not the one sealed makes the last chunk fail.
func NewReader(src io.ReaderAt, size int64, box *Box) (*Reader, error) {
	n := chunks(size)
	if size < 0 || n > maxChunks {
		return nil, fmt.Errorf("seal: size %d is out of range", size)
	}
	return &Reader{box: box, src: src, size: size, chunks: n, cached: -1}, nil
}

// Lend gives the reader memory to work in, before it is used: two pieces that hold a sealed chunk each.
// Close gives them back. Without it the reader makes its own.
func (r *Reader) Lend(sealed, plain []byte) {
	if cap(sealed) >= ChunkSize+Overhead && cap(plain) >= ChunkSize {
		r.sealed, r.plain = sealed[:ChunkSize+Overhead], plain[:0]
	}
}

// Close clears the plaintext held and returns the reader's memory, which may be lent again; reading
// afterwards fails. Closing again returns nothing.
func (r *Reader) Close() (sealed, plain []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	sealed, plain = r.sealed, r.plain
	clear(plain[:cap(plain)])
	r.sealed, r.plain, r.cached, r.closed = nil, nil, -1, true
	return sealed, plain
}

// Size is the number of plain octets.
func (r *Reader) Size() int64 { return r.size }

// ReadAt is io.ReaderAt. Its error wraps ErrDamaged when the sealed octets do not authenticate or
// are not all there, else it is what src said.
func (r *Reader) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("seal: negative offset %d", off)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for n < len(p) && off < r.size {
		if err := r.load(off / ChunkSize); err != nil {
			return n, err
		}
		k := copy(p[n:], r.plain[off%ChunkSize:])
		n += k
		off += int64(k)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Verify opens every chunk and hands each plaintext to see, in order; see must not keep it.
func (r *Reader) Verify(see func(plain []byte) error) error {
	for i := int64(0); i < r.chunks; i++ {
		r.mu.Lock()
		err := r.load(i)
		if err == nil {
			err = see(r.plain)
		}
		r.mu.Unlock()
		if err != nil {
			return err
		}
	}
	return nil
}

// load makes chunk i the cached one. The caller holds the lock.
func (r *Reader) load(i int64) error {
	if r.closed {
		return ErrClosed
	}
	if i == r.cached {
		return nil
	}
	want := int64(ChunkSize)
	last := i == r.chunks-1
	if last {
		want = r.size - i*ChunkSize
	}
	if r.sealed == nil {
		room := min(r.size, ChunkSize)
		r.sealed = make([]byte, room+Overhead)
		r.plain = make([]byte, 0, room)
	}
	r.cached = -1
	sealed := r.sealed[:want+Overhead]
	n, err := r.src.ReadAt(sealed, i*(ChunkSize+Overhead))
	if n < len(sealed) {
		if err == nil || err == io.EOF || err == io.ErrUnexpectedEOF {
			return fmt.Errorf("%w: chunk %d is cut off after %d of %d octets", ErrDamaged, i, n, len(sealed))
		}
		return fmt.Errorf("seal: read chunk %d: %w", i, err)
	}
	r.plain, err = r.box.Open(r.plain[:0], sealed, i, last)
	if err != nil {
		return err
	}
	r.cached = i
	return nil
}
