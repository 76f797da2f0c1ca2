package ldapcert_test

import (
	"net"
	"sync"
	"testing"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
)

// fake is a directory whose answers a test writes: the handler sees each request's id, operation and
// packet, and writes what it likes. It ends the connection by returning false.
type fake struct{ addr string }

func newFake(t testing.TB, handler func(conn net.Conn, id int64, op *ber.Packet) bool) *fake {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	work.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open[conn] = true
			mu.Unlock()
			work.Go(func() {
				defer conn.Close()
				conn.SetDeadline(time.Now().Add(30 * time.Second))
				for {
					p, err := ber.ReadPacket(conn)
					if err != nil || len(p.Children) < 2 {
						return
					}
					id, _ := p.Children[0].Value.(int64)
					if !handler(conn, id, p.Children[1]) {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for c := range open {
			c.Close()
		}
		mu.Unlock()
		work.Wait()
	})
	return &fake{l.Addr().String()}
}

// Operations of RFC 4511 §4.
const (
	opBind, opBindDone                 = 0, 1
	opSearch, opEntry, opDone, opRefer = 3, 4, 5, 19
)

func message(id int64, op *ber.Packet) []byte {
	p := ber.NewSequence("")
	p.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, id, ""))
	p.AppendChild(op)
	return p.Bytes()
}

func result(id int64, tag ber.Tag, code int64) []byte {
	op := ber.Encode(ber.ClassApplication, ber.TypeConstructed, tag, nil, "")
	op.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, code, ""))
	op.AppendChild(text(""))
	op.AppendChild(text("words of the server"))
	return message(id, op)
}

func text(s string) *ber.Packet {
	return ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, s, "")
}

// entry is a search result with one attribute.
func entry(id int64, dn, attribute string, values ...string) []byte {
	op := ber.Encode(ber.ClassApplication, ber.TypeConstructed, opEntry, nil, "")
	op.AppendChild(text(dn))
	attrs := ber.NewSequence("")
	attr := ber.NewSequence("")
	attr.AppendChild(text(attribute))
	set := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSet, nil, "")
	for _, v := range values {
		set.AppendChild(text(v))
	}
	attr.AppendChild(set)
	attrs.AppendChild(attr)
	op.AppendChild(attrs)
	return message(id, op)
}

// directory is an honest one: anonymous bind, one base, and what search answers.
func directory(search func(conn net.Conn, id int64, op *ber.Packet) bool) func(net.Conn, int64, *ber.Packet) bool {
	return func(conn net.Conn, id int64, op *ber.Packet) bool {
		switch op.Tag {
		case opBind:
			conn.Write(result(id, opBindDone, 0))
		case opSearch:
			if base, _ := op.Children[0].Value.(string); base == "" {
				conn.Write(entry(id, "", "namingContexts", "dc=example"))
				conn.Write(result(id, opDone, 0))
				return true
			}
			return search(conn, id, op)
		default:
			return false
		}
		return true
	}
}
