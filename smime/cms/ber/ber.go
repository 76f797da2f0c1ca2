// Package ber is the transfer syntax under CMS: a streaming, iterative reader of BER (X.690) with
// hard limits, an in-memory cursor over definite-length elements, and an appender of DER.
//
// The readers accept what the field sends: indefinite lengths, constructed octet strings, lengths
// longer than needed (CMS-60, CMS-62). They never recurse, never allocate what a length merely
// announces, and touch every octet a bounded number of times. They know nothing of CMS.
// encoding/asn1 is not used here: it is DER only, recursive and needs the whole value in memory.
//
// Limits: nesting MaxDepth (32), elements MaxElements (4,000,000) a stream and MaxNodes (100,000) in
// memory, tag numbers below 2^28, lengths below 2^62.
package ber

import (
	"errors"
	"fmt"
)

// Limits of one stream or one in-memory value.
const (
	MaxDepth    = 32
	MaxElements = 4_000_000 // of a stream: 1 GB in segments of 256 octets still fits
	MaxNodes    = 100_000   // of a value in memory that has indefinite lengths
	maxLength   = 1 << 62
)

// Sentinels: every failure of this package is one of them, wrapped with where it happened.
var (
	ErrSyntax    = errors.New("ber: malformed")
	ErrTruncated = errors.New("ber: ends too early")
	ErrLimit     = errors.New("ber: over a limit")
)

// Classes of a tag (X.690 §8.1.2.2).
const (
	Universal = 0
	Context   = 2
)

// Universal tag numbers used by CMS.
const (
	TagBoolean         = 1
	TagInteger         = 2
	TagBitString       = 3
	TagOctetString     = 4
	TagNull            = 5
	TagOID             = 6
	TagUTF8String      = 12
	TagSequence        = 16
	TagSet             = 17
	TagPrintableString = 19
	TagIA5String       = 22
	TagUTCTime         = 23
	TagGeneralizedTime = 24
)

// Header is the identifier and length of one element.
type Header struct {
	Class       byte
	Tag         uint32
	Constructed bool
	Length      int64 // content octets; -1 when indefinite
}

// Is reports whether the header has this class and tag number.
func (h Header) Is(class byte, tag uint32) bool { return h.Class == class && h.Tag == tag }

// IsSequence, IsSet and IsOctets report the universal types whose form CMS depends on.
func (h Header) IsSequence() bool { return h.Is(Universal, TagSequence) && h.Constructed }

// IsSet reports a constructed universal SET.
func (h Header) IsSet() bool { return h.Is(Universal, TagSet) && h.Constructed }

// IsContext reports a context-specific tag.
func (h Header) IsContext(tag uint32) bool { return h.Is(Context, tag) }

// endOfContents is the 00 00 that closes an indefinite element.
func (h Header) endOfContents() bool {
	return h.Class == Universal && h.Tag == 0 && !h.Constructed && h.Length == 0
}

// maxHeader is the longest identifier and length this package reads: 1+4 tag octets, 1+8 length
// octets, and leading zero octets of an over-long length up to the 126 X.690 §8.1.3.5 allows.
const maxHeader = 5 + 127

// parseHeader reads a header from the front of b. n is 0 when b is too short to hold it. The
// reserved tag 0 is only taken as the two octets of end-of-contents (X.690 §8.1.5), which have no
// other spelling.
func parseHeader(b []byte) (h Header, n int, err error) {
	h, n, err = anyHeader(b)
	if err == nil && n != 0 && h.Class == Universal && h.Tag == 0 && (n != 2 || h.Constructed || h.Length != 0) {
		return h, 0, fmt.Errorf("%w: reserved tag", ErrSyntax)
	}
	return h, n, err
}

func anyHeader(b []byte) (h Header, n int, err error) {
	if len(b) < 2 {
		return h, 0, nil
	}
	h.Class = b[0] >> 6
	h.Constructed = b[0]&0x20 != 0
	h.Tag = uint32(b[0] & 0x1f)
	n = 1
	if h.Tag == 0x1f {
		if h, n, err = highTag(h, b); err != nil || n == 0 {
			return h, n, err
		}
	}
	if n >= len(b) {
		return h, 0, nil
	}
	l := b[n]
	n++
	switch {
	case l < 0x80:
		h.Length = int64(l)
	case l == 0x80:
		if !h.Constructed {
			return h, 0, fmt.Errorf("%w: indefinite length on a primitive", ErrSyntax)
		}
		h.Length = -1
	case l == 0xff:
		return h, 0, fmt.Errorf("%w: reserved length octet", ErrSyntax)
	default:
		return longLength(h, b, n, int(l&0x7f))
	}
	return h, n, nil
}

func highTag(h Header, b []byte) (Header, int, error) {
	h.Tag = 0
	for n := 1; n < len(b); n++ {
		if n > 4 {
			return h, 0, fmt.Errorf("%w: tag number", ErrLimit)
		}
		h.Tag = h.Tag<<7 | uint32(b[n]&0x7f)
		if b[n]&0x80 == 0 {
			if h.Tag < 0x1f { // or 1f 00 would be a second way to write end-of-contents (X.690 §8.1.2.2)
				return h, 0, fmt.Errorf("%w: tag number in the long form", ErrSyntax)
			}
			return h, n + 1, nil
		}
	}
	return h, 0, nil
}

func longLength(h Header, b []byte, n, count int) (Header, int, error) {
	if len(b) < n+count {
		return h, 0, nil
	}
	var v uint64
	for _, c := range b[n : n+count] {
		if v >= 1<<54 {
			return h, 0, fmt.Errorf("%w: length", ErrLimit)
		}
		v = v<<8 | uint64(c)
	}
	if v >= maxLength {
		return h, 0, fmt.Errorf("%w: length", ErrLimit)
	}
	h.Length = int64(v)
	return h, n + count, nil
}
