package smime

import (
	"errors"
	"hash"
	"io"
	"runtime"
)

// overlapAfter is how many pieces are worked on by one goroutine before a second one joins: a second
// one only pays for a large message on a machine with a core to spare.
const overlapAfter = 4

// piecesAhead is how many finished pieces may wait: to hand each over as it is done would cost a wake-up of the
// other core a piece, which takes longer than the work on one.
const piecesAhead = 2

// stream passes the rest of the plaintext to use, piece by piece. From the overlapAfter-th piece on,
// decoding and decrypting run in a goroutine of their own, some pieces ahead; it has ended when stream
// returns.
func (x *opening) stream(use func([]byte) error) error {
	for range overlapAfter {
		b, err := x.plain.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return lift(err)
		}
		if err := use(b); err != nil {
			return err
		}
	}
	x.plain.Ahead(piecesAhead + 1)
	return lift(overlap(x.plain.Next, use))
}

// overlap passes what next makes to use, until next says io.EOF, with next some pieces ahead where
// there is more than one processor: a piece must stay valid during piecesAhead+1 following calls of next.
func overlap(next func() ([]byte, error), use func([]byte) error) error {
	if runtime.GOMAXPROCS(0) < 2 {
		for {
			b, err := next()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err == nil {
				err = use(b)
			}
			if err != nil {
				return err
			}
		}
	}
	pieces := make(chan []byte, piecesAhead)
	stop := make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		defer close(pieces)
		for {
			b, err := next()
			if err != nil {
				ended <- err
				return
			}
			select {
			case pieces <- b:
			case <-stop:
				ended <- io.EOF
				return
			}
		}
	}()
	var failed error
	for b := range pieces {
		if failed = use(b); failed != nil {
			close(stop)
			break
		}
	}
	err := <-ended
	if failed != nil {
		return failed
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// reader makes pieces of an inner message, digesting them unless digest is nil, in its buffers in turn.
type reader struct {
	src    Content
	off    int64
	bufs   [][]byte
	digest hash.Hash
}

func newReader(src Content, digest hash.Hash) *reader {
	r := &reader{src: src, digest: digest}
	r.bufs = [][]byte{make([]byte, min(copyChunk, max(src.Size(), 1)))}
	return r
}

// ahead gives it n more buffers: a piece then stays valid during n following calls of next.
func (r *reader) ahead(n int) {
	for range n {
		r.bufs = append(r.bufs, make([]byte, len(r.bufs[0])))
	}
}

func (r *reader) next() ([]byte, error) {
	left := r.src.Size() - r.off
	if left <= 0 {
		return nil, io.EOF
	}
	b := r.bufs[0]
	copy(r.bufs, r.bufs[1:])
	r.bufs[len(r.bufs)-1] = b
	n, err := r.src.ReadAt(b[:min(int64(len(b)), left)], r.off)
	if n == 0 {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	r.off += int64(n)
	if r.digest != nil {
		r.digest.Write(b[:n])
	}
	return b[:n], nil
}
