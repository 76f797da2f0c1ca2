package dnsd

import (
	"encoding/binary"
	"strings"

	"postern/certs/zone"
)

// maxAliases is how far a CNAME is followed inside our own zones.
const maxAliases = 8

// index is a snapshot laid out for answering: by the wire form of the name in lower case.
type index struct {
	snap  *zone.Snapshot
	names map[string]*entry
	zones map[string]*entry // the apexes
}

// entry is a name that exists.
type entry struct {
	wire    string
	apex    *entry
	soa     []byte // of an apex: the SOA record for negative answers, from its type on
	answers map[uint16]section
	alias   section // the CNAME and what it leads to, for every type but CNAME
	aliases map[uint16]section
}

// section is records ready to send: those that answer, and addresses that go with them. Of an alias that leads to
// nothing, the SOA of the zone in which that is known.
type section struct {
	answer, extra, authority []byte
	answers, extras          uint16
	rcode                    int // of an alias: NXDOMAIN when it leads to a name that does not exist (RFC 6604 §3)
}

func newIndex(snap *zone.Snapshot) *index {
	x := &index{snap: snap, names: map[string]*entry{}, zones: map[string]*entry{}}
	snap.Names(func(n *zone.Node) {
		x.names[wireName(n.Name)] = &entry{wire: wireName(n.Name), answers: map[uint16]section{}}
	})
	for _, name := range snap.Zones() {
		e := x.names[wireName(name)]
		x.zones[e.wire] = e
		soa := snap.Lookup(name).Records[zone.TypeSOA][0]
		soa.TTL = min(soa.TTL, uint32(zone.NegativeTTL.Seconds())) // RFC 2308 §3
		e.soa = appendRecord(nil, nil, soa)
	}
	snap.Names(func(n *zone.Node) { x.fill(n) })
	return x
}

func (x *index) fill(n *zone.Node) {
	e := x.names[wireName(n.Name)]
	e.apex = x.names[wireName(n.Zone)]
	if len(n.Records[zone.TypeCNAME]) > 0 {
		x.fillAlias(e, n)
		return
	}
	for t, records := range n.Records {
		var s section
		s.append(pointerToQuestion, records)
		x.extras(&s, records)
		e.answers[t] = s
	}
}

// fillAlias lays out the CNAME alone, and before the records it leads to inside our own zones
// (RFC 1034 §3.6.2); outside them, the asker goes on by himself.
func (x *index) fillAlias(e *entry, n *zone.Node) {
	alias := n.Records[zone.TypeCNAME]
	var chain section
	chain.append(pointerToQuestion, alias)
	e.answers[zone.TypeCNAME] = chain
	target := nameOf(alias[0].Data)
	var end section // of the chain, inside our zones
	for range maxAliases {
		apex := x.snap.Zone(target)
		if apex == nil {
			break
		}
		end.authority = append([]byte(wireName(apex.Name)), x.zones[wireName(apex.Name)].soa...) // RFC 2308 §2.1, §2.2
		node := x.snap.Lookup(target)
		if node == nil {
			end.rcode = rcodeNX
			break
		}
		if next := node.Records[zone.TypeCNAME]; len(next) > 0 {
			chain.append([]byte(wireName(target)), next)
			target, end = nameOf(next[0].Data), section{}
			continue
		}
		e.aliases = map[uint16]section{}
		for t, records := range node.Records {
			whole := section{answer: append([]byte(nil), chain.answer...), answers: chain.answers}
			whole.append([]byte(wireName(target)), records)
			e.aliases[t] = whole
		}
		break
	}
	e.alias = chain
	e.alias.authority, e.alias.rcode = end.authority, end.rcode
}

// extras adds the addresses of name servers, mail exchangers and services that lie in our zones.
func (x *index) extras(s *section, records []zone.Record) {
	for _, r := range records {
		skip := map[uint16]int{zone.TypeNS: 0, zone.TypeMX: 2, zone.TypeSRV: 6}
		n, ok := skip[r.Type]
		if !ok {
			return
		}
		host := nameOf(r.Data[n:])
		node := x.snap.Lookup(host)
		if node == nil {
			continue
		}
		for _, t := range []uint16{zone.TypeA, zone.TypeAAAA} {
			for _, a := range node.Records[t] {
				s.extra = appendRecord(s.extra, []byte(wireName(host)), a)
				s.extras++
			}
		}
	}
}

// pointerToQuestion is a compressed name: the one in the question, at octet 12 of every answer.
var pointerToQuestion = []byte{0xc0, headerLength}

func (s *section) append(owner []byte, records []zone.Record) {
	for _, r := range records {
		s.answer = appendRecord(s.answer, owner, r)
		s.answers++
	}
}

func appendRecord(out, owner []byte, r zone.Record) []byte {
	out = append(out, owner...)
	out = binary.BigEndian.AppendUint16(out, r.Type)
	out = binary.BigEndian.AppendUint16(out, classIN)
	out = binary.BigEndian.AppendUint32(out, r.TTL)
	out = binary.BigEndian.AppendUint16(out, uint16(len(r.Data)))
	return append(out, r.Data...)
}

// wireName turns "a.b" into length-prefixed labels with the final 0.
func wireName(name string) string {
	var b strings.Builder
	if name != "" {
		for _, l := range strings.Split(name, ".") {
			b.WriteByte(byte(len(l)))
			b.WriteString(l)
		}
	}
	b.WriteByte(0)
	return b.String()
}

// nameOf turns an uncompressed wire name into "a.b".
func nameOf(wire []byte) string {
	var labels []string
	for len(wire) > 0 && wire[0] != 0 && int(wire[0]) < len(wire) {
		labels = append(labels, string(wire[1:1+wire[0]]))
		wire = wire[1+wire[0]:]
	}
	return strings.Join(labels, ".")
}
