package ldapd

import (
	"net"
	"strings"
	"time"

	"postern/certs/ldapwire"

	ber "github.com/go-asn1-ber/asn1-ber"
)

// Operations and result codes of RFC 4511 §4 and appendix A.
const (
	opBind, opBindDone         = 0, 1
	opUnbind                   = 2
	opSearch, opEntry, opDone  = 3, 4, 5
	opAbandon                  = 16
	opExtended, opExtendedDone = 23, 24

	success              = 0
	protocolError        = 2
	authMethod           = 7
	noSuchObject         = 32
	invalidCredentials   = 49
	unwillingToPerform   = 53
	scopeBase, scopeTree = 0, 2
)

// converse answers requests in order.
func (s *Server) converse(conn net.Conn) error {
	checked := ldapwire.NewConn(conn, ldapwire.Limits{Message: MaxRequest, Elements: MaxElements})
	for range MaxPerConn {
		if err := conn.SetDeadline(time.Now().Add(Idle)); err != nil {
			return err
		}
		wire, err := checked.Message()
		if err != nil {
			return err
		}
		request, err := ber.DecodePacketErr(wire)
		if err != nil || len(request.Children) < 2 {
			return ldapwire.ErrHostile
		}
		id, ok := request.Children[0].Value.(int64)
		op := request.Children[1]
		if !ok || id <= 0 || op.ClassType != ber.ClassApplication {
			return ldapwire.ErrHostile
		}
		if op.Tag == opUnbind {
			return nil
		}
		if _, err := conn.Write(s.answer(id, op)); err != nil {
			return err
		}
	}
	return nil
}

// answer is the messages that answer one request; none for an abandonment.
func (s *Server) answer(id int64, op *ber.Packet) []byte {
	switch op.Tag {
	case opBind:
		code, words := bind(op)
		return result(id, opBindDone, code, words)
	case opSearch:
		return s.search(id, op)
	case opAbandon:
		return nil
	case opExtended:
		return result(id, opExtendedDone, protocolError, "no extended operation is offered")
	case 6, 8, 10, 12, 14: // modify, add, delete, rename, compare: each answered by its own number plus one
		return result(id, op.Tag+1, unwillingToPerform, "this directory is read-only")
	}
	return result(id, opExtendedDone, protocolError, "unknown operation")
}

// bind lets everybody in without a name, and nobody with a password (CD-34).
func bind(op *ber.Packet) (code int, words string) {
	if len(op.Children) != 3 {
		return protocolError, "bind is malformed"
	}
	if version, ok := op.Children[0].Value.(int64); !ok || version != 3 {
		return protocolError, "LDAP version 3 is spoken here"
	}
	auth := op.Children[2]
	switch {
	case auth.ClassType != ber.ClassContext || auth.Tag != 0:
		return authMethod, "bind anonymously"
	case len(octets(auth)) > 0:
		return invalidCredentials, "bind anonymously"
	case len(octets(op.Children[1])) > 0:
		return unwillingToPerform, "bind anonymously" // RFC 4513 §5.1.2: a name without password proves nothing
	}
	return success, ""
}

// query is a search request.
type query struct {
	base      string
	scope     int64
	typesOnly bool
	filter    *ber.Packet
	attrs     []string
}

func parseQuery(op *ber.Packet) (query, bool) {
	var q query
	if len(op.Children) != 8 {
		return q, false
	}
	var ok bool
	q.base = strings.ToLower(string(octets(op.Children[0])))
	if q.scope, ok = op.Children[1].Value.(int64); !ok || q.scope < scopeBase || q.scope > scopeTree {
		return q, false
	}
	q.typesOnly, _ = op.Children[5].Value.(bool)
	q.filter = op.Children[6]
	for _, a := range op.Children[7].Children {
		q.attrs = append(q.attrs, string(octets(a)))
	}
	return q, q.filter.ClassType == ber.ClassContext
}

func (s *Server) search(id int64, op *ber.Packet) []byte {
	q, ok := parseQuery(op)
	if !ok {
		return result(id, opDone, protocolError, "search is malformed")
	}
	s.searches.Add(1)
	n, code := s.directory.Load().find(q)
	if n == nil || !matches(n, q.filter) {
		return result(id, opDone, code, "")
	}
	s.found.Add(1)
	return append(entryMessage(id, n, q), result(id, opDone, success, "")...)
}

// find is the one entry that a search may be about. Outside the base there is nothing.
func (d *Directory) find(q query) (*node, int) {
	base := strings.ToLower(d.base)
	switch {
	case q.base == "" && q.scope == scopeBase:
		return d.rootDSE(), success
	case q.base == base && q.scope != scopeBase:
		mail, ok := wanted(q.filter)
		if !ok {
			return nil, success
		}
		return d.byMail[strings.ToLower(mail)], success
	case q.base == base:
		return &node{dn: d.base, attrs: []attribute{{"objectClass", []string{"top", "organization"}}}}, success
	}
	if n := d.byDN[q.base]; n != nil {
		if q.scope == 1 { // one level below an entry: nothing
			return nil, success
		}
		return n, success
	}
	return nil, noSuchObject
}

func entryMessage(id int64, n *node, q query) []byte {
	op := ber.Encode(ber.ClassApplication, ber.TypeConstructed, opEntry, nil, "")
	op.AppendChild(text(n.dn))
	attrs := ber.NewSequence("")
	for _, a := range n.attrs {
		if !q.selects(a.name) {
			continue
		}
		attr := ber.NewSequence("")
		attr.AppendChild(text(a.name))
		set := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSet, nil, "")
		if !q.typesOnly {
			for _, v := range a.values {
				set.AppendChild(text(v))
			}
		}
		attr.AppendChild(set)
		attrs.AppendChild(attr)
	}
	op.AppendChild(attrs)
	return message(id, op)
}

// selects says whether the asker wants an attribute: none named or "*" is all, "1.1" is none.
func (q query) selects(name string) bool {
	if len(q.attrs) == 0 {
		return true
	}
	for _, a := range q.attrs {
		if a == "*" || strings.EqualFold(bare(a), bare(name)) { // CD-37: with or without ;binary
			return true
		}
	}
	return false
}

func result(id int64, tag ber.Tag, code int, words string) []byte {
	op := ber.Encode(ber.ClassApplication, ber.TypeConstructed, tag, nil, "")
	op.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, code, ""))
	op.AppendChild(text(""))
	op.AppendChild(text(words))
	return message(id, op)
}

func message(id int64, op *ber.Packet) []byte {
	p := ber.NewSequence("")
	p.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, id, ""))
	p.AppendChild(op)
	return p.Bytes()
}

func text(s string) *ber.Packet {
	return ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, s, "")
}
