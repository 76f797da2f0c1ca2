package dnsd

import "encoding/binary"

// Codes and flags of RFC 1035 §4.1.1 and RFC 6891.
const (
	flagQR = 0x8000
	flagAA = 0x0400
	flagTC = 0x0200
	flagRD = 0x0100
	flagCD = 0x0010

	flagOpcode = 0x7800 // given back as it came: an answer with another one is taken for nobody's

	rcodeFormat   = 1
	rcodeNX       = 3
	rcodeNotImp   = 4
	rcodeRefused  = 5
	rcodeNotAuth  = 9
	rcodeBadVers  = 16
	typeOPT       = 41
	typeTSIG      = 250
	typeIXFR      = 251
	typeAXFR      = 252
	typeANY       = 255
	typeHINFO     = 13
	classIN       = 1
	headerLength  = 12
	minUDP        = 512 // what an asker without EDNS0 can take
	optLength     = 11
	maxNameOctets = 255
)

// query is a question as read from the wire.
type query struct {
	id, flags   uint16
	name        []byte // wire form in lower case, with the final 0
	question    []byte // the question section as it came
	qtype       uint16
	qclass      uint16
	edns        bool
	do          bool
	ednsVersion byte
	size        int // UDP octets the asker takes
	signed      bool
	end         int // of the question in the packet

	lower [maxNameOctets]byte
}

// verdict of parse.
type verdict int

const (
	parsed verdict = iota
	drop           // answer nothing: too short, or itself an answer
	format         // FORMERR
	notImp         // another opcode
)

// parse reads a question; it accepts only what an asker may send: one question, nothing in the answer
// section, nothing in the authority section but a secondary's SOA, at most one OPT and one TSIG in the additional one.
func (q *query) parse(p []byte) verdict {
	if len(p) < headerLength {
		return drop
	}
	q.id, q.flags = binary.BigEndian.Uint16(p), binary.BigEndian.Uint16(p[2:])
	q.question, q.edns, q.do, q.ednsVersion, q.signed, q.size = nil, false, false, 0, false, minUDP
	if q.flags&flagQR != 0 {
		return drop // answering answers makes loops between servers
	}
	if q.flags>>11&15 != 0 {
		return notImp
	}
	authority := int(binary.BigEndian.Uint16(p[8:]))
	if binary.BigEndian.Uint16(p[4:]) != 1 || binary.BigEndian.Uint16(p[6:]) != 0 || authority > 1 {
		return format
	}
	at := q.readName(p)
	if at < 0 || at+4 > len(p) {
		return format
	}
	q.qtype, q.qclass = binary.BigEndian.Uint16(p[at:]), binary.BigEndian.Uint16(p[at+2:])
	q.end = at + 4
	q.question = p[headerLength:q.end]
	if authority > 0 && q.qtype != typeIXFR { // a secondary says there which serial it has (RFC 1995 §3)
		return format
	}
	return q.additional(p, authority, int(binary.BigEndian.Uint16(p[10:])))
}

// readName reads the name asked for, in lower case, and returns the offset behind it, or -1. A
// question's name is never compressed.
func (q *query) readName(p []byte) int {
	at, n := headerLength, 0
	for {
		if at >= len(p) {
			return -1
		}
		length := int(p[at])
		if length > 63 || at+1+length > len(p) || n+1+length > maxNameOctets {
			return -1
		}
		q.lower[n] = p[at]
		for i := 1; i <= length; i++ {
			c := p[at+i]
			if c >= 'A' && c <= 'Z' {
				c += 'a' - 'A'
			}
			q.lower[n+i] = c
		}
		at, n = at+1+length, n+1+length
		if length == 0 {
			q.name = q.lower[:n]
			return at
		}
	}
}

// additional reads what stands behind the question: authority records, which say nothing here, then the others.
func (q *query) additional(p []byte, authority, count int) verdict {
	at := q.end
	if count > 4 {
		return format
	}
	for i := range authority + count {
		start := at
		for at < len(p) && p[at] != 0 { // skip the owner; pointers end it
			if p[at] >= 0xc0 {
				at++
				break
			}
			at += 1 + int(p[at])
		}
		at++
		if at+10 > len(p) {
			return format
		}
		rtype, class := binary.BigEndian.Uint16(p[at:]), binary.BigEndian.Uint16(p[at+2:])
		end := at + 10 + int(binary.BigEndian.Uint16(p[at+8:]))
		if end > len(p) {
			return format
		}
		switch {
		case i < authority:
		case rtype == typeOPT:
			if q.edns || p[start] != 0 { // RFC 6891 §6.1.1: at most one, owner is the root
				return format
			}
			q.edns, q.size = true, max(minUDP, int(class))
			q.ednsVersion, q.do = p[at+5], p[at+6]&0x80 != 0
		case rtype == typeTSIG:
			q.signed = true
		}
		at = end
	}
	if at != len(p) {
		return format // octets behind the last record
	}
	return parsed
}
