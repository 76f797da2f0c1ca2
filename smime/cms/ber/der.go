package ber

import (
	"bytes"
	"encoding/asn1"
	"slices"
)

// Identifier octets DER writers use.
const (
	Sequence    = 0x30
	Set         = 0x31
	Integer     = TagInteger
	OctetString = TagOctetString
	OID         = TagOID
)

// ContextPrimitive and ContextConstructed are the identifier octets of context-specific tags below 31.
func ContextPrimitive(tag byte) byte { return 0x80 | tag }

// ContextConstructed is the identifier octet of a constructed context-specific tag below 31.
func ContextConstructed(tag byte) byte { return 0xa0 | tag }

// LengthSize is the number of octets AppendLength writes.
func LengthSize(n int64) int {
	if n < 0x80 {
		return 1
	}
	size := 1
	for ; n > 0; n >>= 8 {
		size++
	}
	return size
}

// AppendLength appends the shortest form of a definite length (X.690 §10.1).
func AppendLength(dst []byte, n int64) []byte {
	if n < 0x80 {
		return append(dst, byte(n))
	}
	size := LengthSize(n) - 1
	dst = append(dst, 0x80|byte(size))
	for i := size - 1; i >= 0; i-- {
		dst = append(dst, byte(n>>(8*i)))
	}
	return dst
}

// AppendHeader appends an identifier octet and a length.
func AppendHeader(dst []byte, id byte, n int64) []byte {
	return AppendLength(append(dst, id), n)
}

// Append appends a whole element made of the given content pieces.
func Append(dst []byte, id byte, content ...[]byte) []byte {
	n := 0
	for _, c := range content {
		n += len(c)
	}
	dst = AppendHeader(slices.Grow(dst, 1+LengthSize(int64(n))+n), id, int64(n))
	for _, c := range content {
		dst = append(dst, c...)
	}
	return dst
}

// AppendString appends a primitive element with that content.
func AppendString(dst []byte, id byte, content string) []byte {
	return append(AppendHeader(dst, id, int64(len(content))), content...)
}

// Size is the length of an element with n octets of content.
func Size(n int) int { return 1 + LengthSize(int64(n)) + n }

// Build is Append to nothing.
func Build(id byte, content ...[]byte) []byte { return Append(nil, id, content...) }

// SetOf builds a SET OF in DER order: elements sorted by their encoding (X.690 §11.6).
func SetOf(id byte, elements [][]byte) []byte {
	if !slices.IsSortedFunc(elements, bytes.Compare) {
		elements = slices.Clone(elements)
		slices.SortFunc(elements, bytes.Compare)
	}
	return Build(id, elements...)
}

// EncodeOID is the whole element of an object identifier this project wrote itself; nil if it is not one.
func EncodeOID(oid asn1.ObjectIdentifier) []byte {
	b, err := asn1.Marshal(oid)
	if err != nil {
		return nil
	}
	return b
}
