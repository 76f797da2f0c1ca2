package dnsd

import "encoding/binary"

// respond appends the answer to one question to out; nothing appended means: stay silent. Over UDP,
// most is the octets this server sends at all; over TCP it is 65,535 and the asker's size is ignored.
// q is scratch, so that a loop needs only one.
func (s *Server) respond(q *query, out, packet []byte, most int) []byte {
	switch q.parse(packet) {
	case drop:
		s.counts.malformed.Add(1)
		return out
	case format:
		s.counts.malformed.Add(1)
		return q.short(out, rcodeFormat)
	case notImp:
		s.counts.malformed.Add(1)
		return q.short(out, rcodeNotImp)
	}
	if most <= MaxUDPAnswer {
		most = min(most, q.size)
	}
	if q.edns && q.ednsVersion != 0 {
		return q.short(out, rcodeBadVers)
	}
	if q.signed {
		return s.respondSigned(out, packet, q, most)
	}
	if q.qclass != classIN || q.qtype == typeAXFR || q.qtype == typeIXFR {
		s.counts.refused.Add(1)
		return q.short(out, rcodeRefused)
	}
	return s.answer(out, q, most)
}

// answer is for a well-formed question of class IN.
func (s *Server) answer(out []byte, q *query, most int) []byte {
	x := s.index.Load()
	e := x.names[string(q.name)]
	if e == nil || e.apex == nil {
		apex := x.enclosing(q.name)
		if apex == nil {
			s.counts.refused.Add(1)
			return q.short(out, rcodeRefused) // not ours: never recursion, never a referral
		}
		s.counts.nxDomain.Add(1)
		return q.negative(out, apex, rcodeNX)
	}
	if q.qtype == typeANY {
		s.counts.answered.Add(1)
		return q.whole(out, anyAnswer, most)
	}
	found, ok := e.answers[q.qtype]
	if !ok && e.alias.answers > 0 {
		if found, ok = e.aliases[q.qtype]; !ok {
			found, ok = e.alias, true
		}
	}
	if !ok {
		s.counts.noData.Add(1)
		return q.negative(out, e.apex, 0)
	}
	s.counts.answered.Add(1)
	before := len(out)
	out = q.whole(out, found, most)
	if out[before+2]&(flagTC>>8) != 0 {
		s.counts.truncated.Add(1)
	}
	return out
}

// anyAnswer is the HINFO record of RFC 8482 §4.2: "RFC8482" and an empty string.
var anyAnswer = section{answers: 1, answer: append([]byte{0xc0, headerLength, 0, typeHINFO, 0, classIN, 0, 0, 0x0e, 0x10, 0, 9, 7}, "RFC8482\x00"...)}

// enclosing is the apex of the zone a name lies in, nil when in none of ours.
func (x *index) enclosing(name []byte) *entry {
	for len(name) > 1 {
		if e := x.zones[string(name)]; e != nil {
			return e
		}
		name = name[1+name[0]:]
	}
	return nil
}

// header appends header and question.
func (q *query) header(out []byte, flags uint16, rcode int, answers, authority, extra uint16) []byte {
	questions := uint16(1)
	if q.question == nil {
		questions = 0
	}
	if q.edns {
		extra++
	}
	out = binary.BigEndian.AppendUint16(out, q.id)
	out = binary.BigEndian.AppendUint16(out, flagQR|flags|q.flags&(flagOpcode|flagRD|flagCD)|uint16(rcode&15))
	for _, n := range [4]uint16{questions, answers, authority, extra} {
		out = binary.BigEndian.AppendUint16(out, n)
	}
	return append(out, q.question...) // in the case it came in
}

// opt appends our OPT record when the asker sent one (RFC 6891 §6.1.1), its DO bit given back (RFC 3225 §3).
func (q *query) opt(out []byte, rcode int) []byte {
	if !q.edns {
		return out
	}
	var do byte
	if q.do {
		do = 0x80
	}
	return append(out, 0, 0, typeOPT, MaxUDPAnswer>>8, MaxUDPAnswer&0xff, byte(rcode>>4), 0, do, 0, 0, 0)
}

// short is an answer without records.
func (q *query) short(out []byte, rcode int) []byte {
	return q.opt(q.header(out, 0, rcode, 0, 0, 0), rcode)
}

// negative is NODATA (rcode 0) or NXDOMAIN with the zone's SOA (RFC 2308 §2). Its owner is a pointer
// to the end of the question's name.
func (q *query) negative(out []byte, apex *entry, rcode int) []byte {
	out = q.header(out, flagAA, rcode, 0, 1, 0)
	at := headerLength + len(q.name) - len(apex.wire)
	out = append(out, 0xc0|byte(at>>8), byte(at))
	out = append(out, apex.soa...)
	return q.opt(out, 0)
}

// whole is a positive answer: without the extra addresses if they do not fit, truncated to nothing if
// the answer itself does not (RFC 2181 §9).
func (q *query) whole(out []byte, found section, most int) []byte {
	fixed := headerLength + len(q.question)
	if q.edns {
		fixed += optLength
	}
	if fixed+len(found.answer)+len(found.authority) > most {
		return q.opt(q.header(out, flagAA|flagTC, 0, 0, 0, 0), 0)
	}
	if fixed+len(found.answer)+len(found.authority)+len(found.extra) > most {
		found.extra, found.extras = nil, 0
	}
	out = q.header(out, flagAA, found.rcode, found.answers, uint16(min(len(found.authority), 1)), found.extras)
	out = append(append(append(out, found.answer...), found.authority...), found.extra...)
	return q.opt(out, 0)
}

// truncate cuts an answer down to its question with TC set; authority is claimed only where the answer had it.
func (q *query) truncate(answer, packet []byte) []byte {
	if q.parse(packet) != parsed {
		return answer[:min(len(answer), headerLength)]
	}
	authoritative := binary.BigEndian.Uint16(answer[2:]) & flagAA
	return q.opt(q.header(answer[:0], authoritative|flagTC, 0, 0, 0, 0), 0)
}
