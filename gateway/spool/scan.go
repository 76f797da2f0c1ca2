package spool

import (
	"io"

	"postern/gateway/spool/disk"
)

// found is one record met by scan.
type found struct {
	header
	offset uint32
	whole  bool // the payload is the one the header speaks of
}

// scan walks a segment and shows every record whose header is good, whole or not. Where there is none
// it goes on at the next place where one may begin, to the end of the file: damage in the middle
// hides nothing behind it. It reads each octet about once and holds one record.
func scan(f disk.File, segment uint64, see func(found)) error {
	size, err := f.Size()
	if err != nil {
		return err
	}
	payload := make([]byte, maxPayload)
	window := make([]byte, 64<<10)
	for off := int64(0); off+recordHeader <= size; {
		n, err := f.ReadAt(window, off)
		if n < recordHeader {
			return err
		}
		at := firstHeader(window[:n], segment)
		if at < 0 {
			off += alignUp(int64(n-recordHeader+1), recordAlign)
			continue
		}
		off += int64(at)
		h, _ := parseHeader(window[at:n], segment)
		body := payload[:h.length]
		m, err := f.ReadAt(body, off+recordHeader)
		if m < len(body) && err != nil && err != io.EOF {
			return err
		}
		whole := h.whole(body[:m])
		see(found{h, uint32(off), whole})
		if whole {
			off = alignUp(off+recordHeader+int64(h.length), recordAlign)
		} else {
			off += recordAlign // a torn record may have lost its length: look inside
		}
	}
	return nil
}

// firstHeader is where in b the first good header begins, or -1. b begins at a multiple of recordAlign.
func firstHeader(b []byte, segment uint64) int {
	for i := 0; i+recordHeader <= len(b); i += recordAlign {
		if b[i] != recordMagic[0] {
			continue
		}
		if _, err := parseHeader(b[i:], segment); err == nil {
			return i
		}
	}
	return -1
}
