package spool

import (
	"sync"

	"postern/gateway/spool/seal"
)

// buffers lends memory for records and for chunks of plaintext, in two sizes, so that a small message
// does not hold the room of a large one.
type buffers struct{ small, large sync.Pool }

var (
	smallRecord = recordHeader + int(seal.SealedSize(seal.ChunkSize))
	largeRecord = recordHeader + int(maxPayload)
)

// record is an empty record: recordHeader octets and room for one chunk.
func (b *buffers) record() []byte {
	if p, ok := b.small.Get().(*[]byte); ok {
		return (*p)[:recordHeader]
	}
	return make([]byte, recordHeader, smallRecord)
}

// grow makes room for another chunk in a record.
func (b *buffers) grow(rec []byte) []byte {
	if cap(rec)-len(rec) >= seal.ChunkSize+seal.Overhead {
		return rec
	}
	var big []byte
	if p, ok := b.large.Get().(*[]byte); ok {
		big = (*p)[:len(rec)]
	} else {
		big = make([]byte, len(rec), largeRecord)
	}
	copy(big, rec)
	b.put(rec)
	return big
}

// put takes a record back.
func (b *buffers) put(rec []byte) {
	switch cap(rec) {
	case smallRecord:
		b.small.Put(&rec)
	case largeRecord:
		b.large.Put(&rec)
	}
}

// chunk is an empty chunk of plaintext.
func (b *buffers) chunk() []byte { return b.record()[:0] }

// putChunk clears a chunk of plaintext and takes it back.
func (b *buffers) putChunk(p []byte) {
	clear(p[:min(cap(p), seal.ChunkSize)])
	b.put(p)
}
