package dnsclient_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"postern/certs/dnsclient"

	"github.com/miekg/dns"
)

// fake is a name server whose answers a test writes octet by octet: what a handler returns is sent as
// it is, packet by packet.
type fake struct {
	addr    string
	asked   atomic.Int64
	handler func(network string, ask *dns.Msg) [][]byte
}

// newFake serves UDP and TCP on one loopback port.
func newFake(t testing.TB, handler func(network string, ask *dns.Msg) [][]byte) *fake {
	t.Helper()
	f := &fake{handler: handler}
	var tcp net.Listener
	var udp net.PacketConn
	for udp == nil {
		var err error
		if tcp, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		if udp, err = net.ListenPacket("udp", tcp.Addr().String()); err != nil {
			tcp.Close()
		}
	}
	f.addr = tcp.Addr().String()
	var work sync.WaitGroup
	work.Go(func() {
		buf := make([]byte, 4096)
		for {
			n, from, err := udp.ReadFrom(buf)
			if err != nil {
				return
			}
			for _, packet := range f.answer("udp", buf[:n]) {
				udp.WriteTo(packet, from)
			}
		}
	})
	work.Go(func() {
		for {
			conn, err := tcp.Accept()
			if err != nil {
				return
			}
			var size [2]byte
			if _, err := io.ReadFull(conn, size[:]); err == nil {
				buf := make([]byte, binary.BigEndian.Uint16(size[:]))
				io.ReadFull(conn, buf)
				for _, packet := range f.answer("tcp", buf) {
					conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(packet))), packet...))
				}
			}
			conn.Close()
		}
	})
	t.Cleanup(func() { udp.Close(); tcp.Close(); work.Wait() })
	return f
}

// inMemory reaches fakes that have no sockets, so that waiting costs no time and nothing else comes late (testing/synctest).
func inMemory(fakes ...*fake) dnsclient.Dial {
	return func(_ context.Context, network, address string) (net.Conn, error) {
		i := slices.IndexFunc(fakes, func(f *fake) bool { return f.addr == address })
		if i < 0 {
			return nil, errors.New("nobody is at " + address)
		}
		near, far := net.Pipe()
		go fakes[i].serve(far, network)
		return near, nil
	}
}

// serve answers on one connection until its other end is closed. A pipe keeps packets apart.
func (f *fake) serve(far net.Conn, network string) {
	defer far.Close()
	buf := make([]byte, 4096)
	for {
		var n int
		var err error
		if network == "tcp" {
			if _, err = io.ReadFull(far, buf[:2]); err == nil {
				n, err = io.ReadFull(far, buf[:binary.BigEndian.Uint16(buf)])
			}
		} else {
			n, err = far.Read(buf)
		}
		if err != nil {
			return
		}
		for _, packet := range f.answer(network, buf[:n]) {
			if network == "tcp" {
				packet = append(binary.BigEndian.AppendUint16(nil, uint16(len(packet))), packet...)
			}
			if _, err := far.Write(packet); err != nil {
				return
			}
		}
	}
}

func (f *fake) answer(network string, wire []byte) [][]byte {
	f.asked.Add(1)
	ask := new(dns.Msg)
	if ask.Unpack(wire) != nil {
		return nil
	}
	return f.handler(network, ask)
}

// reply makes an answer with records in zone-file form; change may spoil it before it is packed.
func reply(ask *dns.Msg, rcode int, records []string, change ...func(*dns.Msg)) []byte {
	m := new(dns.Msg)
	m.SetRcode(ask, rcode)
	m.RecursionAvailable = true
	for _, s := range records {
		rr, err := dns.NewRR(s)
		if err != nil {
			panic(err)
		}
		if rr.Header().Rrtype == dns.TypeSOA {
			m.Ns = append(m.Ns, rr)
		} else {
			m.Answer = append(m.Answer, rr)
		}
	}
	for _, c := range change {
		c(m)
	}
	wire, err := m.Pack()
	if err != nil {
		panic(err)
	}
	return wire
}
