package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"postern/gateway/spool/seal"
)

// A record is one sealed blob in a segment:
//
//	magic "PSB1" | segment number 8 | payload length 4 | payload CRC-32C 4 | blob id 16 | header CRC-32C 4 | payload
//
// All numbers are big-endian. The segment's number is part of it, so a record left over in a file that
// was used before is never taken for one of this segment. The checksums only tell whole from torn; that
// nobody altered anything is the sealing's to prove.
const (
	recordMagic  = "PSB1"
	recordHeader = 40
	recordAlign  = 8
	pageSize     = 4096
)

// maxPayload bounds the sealed octets of one record.
var maxPayload = seal.SealedSize(SmallBlob)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errNoRecord = errors.New("spool: no whole record here")

// header is what a record says of itself.
type header struct {
	segment uint64
	length  uint32 // of the payload
	sum     uint32 // of the payload
	id      blobID
}

// put writes the header into the first recordHeader octets of b.
func (h header) put(b []byte) {
	copy(b, recordMagic)
	binary.BigEndian.PutUint64(b[4:], h.segment)
	binary.BigEndian.PutUint32(b[12:], h.length)
	binary.BigEndian.PutUint32(b[16:], h.sum)
	copy(b[20:], h.id[:])
	binary.BigEndian.PutUint32(b[36:], crc32.Checksum(b[:36], castagnoli))
}

// parseHeader reads the header of a record of that segment, or fails with errNoRecord.
func parseHeader(b []byte, segment uint64) (header, error) {
	var h header
	if len(b) < recordHeader || string(b[:4]) != recordMagic {
		return h, errNoRecord
	}
	if crc32.Checksum(b[:36], castagnoli) != binary.BigEndian.Uint32(b[36:]) {
		return h, fmt.Errorf("%w: header checksum", errNoRecord)
	}
	h.segment = binary.BigEndian.Uint64(b[4:])
	h.length = binary.BigEndian.Uint32(b[12:])
	h.sum = binary.BigEndian.Uint32(b[16:])
	copy(h.id[:], b[20:])
	if h.segment != segment {
		return h, fmt.Errorf("%w: of segment %016x", errNoRecord, h.segment)
	}
	if h.length < seal.Overhead || int64(h.length) > maxPayload {
		return h, fmt.Errorf("%w: payload of %d octets", errNoRecord, h.length)
	}
	return h, nil
}

// whole tells whether payload is the one the header speaks of.
func (h header) whole(payload []byte) bool {
	return uint32(len(payload)) == h.length && crc32.Checksum(payload, castagnoli) == h.sum
}

func alignUp(n, to int64) int64 { return (n + to - 1) / to * to }
