package dnsd

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"postern/certs/zone"

	"github.com/miekg/dns"
)

// Limits of a transfer.
const (
	transferTime   = 60 * time.Second // for the whole of it
	transferPacket = 32 << 10         // octets of records in one message
	tsigFudge      = 300              // seconds of clock difference (RFC 8945 §10)
)

var errTransfer = errors.New("dnsd: transfer refused")

// transfer hands a zone over (RFC 5936) to a secondary that asks from a named address and signs with
// its key; IXFR is answered with the whole zone (RFC 1995 §4). Anybody else is refused.
func (s *Server) transfer(conn net.Conn, peer netip.Addr, packet []byte) error {
	ask := new(dns.Msg)
	if err := ask.Unpack(packet); err != nil || len(ask.Question) != 1 {
		return errTransfer
	}
	snap := s.index.Load().snap
	name := strings.ToLower(strings.TrimSuffix(ask.Question[0].Name, "."))
	secondary, fault := s.signer(ask, packet)
	ok := fault == 0 && within(peer, secondary.From)
	apex := snap.Zone(name)
	if !ok || apex == nil || apex.Name != name || ask.Question[0].Qclass != dns.ClassINET {
		s.cfg.Log.Warn("dns: zone transfer refused", "peer", peer.String(), "zone", name)
		return writeFramed(conn, s.respond(new(query), nil, packet, 0xffff))
	}
	if err := conn.SetDeadline(time.Now().Add(transferTime)); err != nil {
		return err
	}
	s.counts.transfers.Add(1)
	return sendZone(conn, ask, secondary, zoneRecords(snap, apex))
}

// signer is the secondary whose key signed the message (RFC 8945 §5.2); else fault is the TSIG error.
func (s *Server) signer(ask *dns.Msg, packet []byte) (sec Secondary, fault uint16) {
	sig := ask.IsTsig()
	if sig == nil {
		return Secondary{}, dns.RcodeBadKey
	}
	algorithm := strings.ToLower(sig.Algorithm)
	if algorithm != dns.HmacSHA256 && algorithm != dns.HmacSHA512 {
		return Secondary{}, dns.RcodeBadKey
	}
	fault = dns.RcodeBadKey
	for _, sec := range s.cfg.Transfer {
		if !strings.EqualFold(dns.Fqdn(sec.Key), sig.Hdr.Name) {
			continue
		}
		if secret, err := base64.StdEncoding.DecodeString(sec.Secret); err != nil || len(secret) < MinSecret {
			continue // an empty secret would sign for everybody
		}
		switch err := dns.TsigVerify(bytes.Clone(packet), sec.Secret, "", false); { // the library counts the signature off in what it is given
		case err == nil:
			return sec, 0
		case errors.Is(err, dns.ErrTime):
			return sec, dns.RcodeBadTime // the key is right, only a clock is not
		}
		fault = dns.RcodeBadSig
	}
	return Secondary{}, fault
}

// unsigned is the answer to a signature that does not hold: it says why (RFC 8945 §5.3.2), so that who runs the
// secondary learns of a wrong key or a wrong clock. Only the latter is signed, with our time beside it.
func unsigned(ask *dns.Msg, sec Secondary, fault uint16) ([]byte, error) {
	sig := ask.IsTsig()
	reply := new(dns.Msg)
	reply.SetRcode(ask, dns.RcodeNotAuth)
	reply.Extra = nil
	if sig == nil {
		return reply.Pack()
	}
	reply.SetTsig(sig.Hdr.Name, sig.Algorithm, tsigFudge, time.Now().Unix())
	t := reply.IsTsig()
	t.Error = fault
	if fault == dns.RcodeBadTime {
		t.OtherLen, t.OtherData = 6, fmt.Sprintf("%012x", t.TimeSigned)
		t.TimeSigned = sig.TimeSigned
	}
	wire, _, err := dns.TsigGenerate(reply, sec.Secret, sig.MAC, false)
	return wire, err
}

// tsigRoom is what a signature may add to an answer.
const tsigRoom = 200

// respondSigned answers an ordinary question that carries a signature, as secondaries put on their
// question for the serial: with one by the same key, or not at all (RFC 8945 §5.3).
func (s *Server) respondSigned(out, packet []byte, q *query, most int) []byte {
	ask := new(dns.Msg)
	if ask.Unpack(packet) != nil {
		return q.short(out, rcodeFormat)
	}
	if sig := ask.IsTsig(); sig != nil && sig.Algorithm == "" { // RFC 8945 §5.2: a TSIG without its data cannot be answered with one
		return q.short(out, rcodeFormat)
	}
	sec, fault := s.signer(ask, packet)
	if fault != 0 {
		s.counts.refused.Add(1)
		wire, err := unsigned(ask, sec, fault)
		if err != nil || len(wire) > len(packet)+tsigRoom {
			return q.short(out, rcodeNotAuth)
		}
		return append(out, wire...)
	}
	sig := ask.IsTsig()
	ask.Extra = ask.Extra[:len(ask.Extra)-1] // RFC 8945 §5.1: TSIG is the last record
	plain, err := ask.Pack()
	if err != nil {
		return q.short(out, rcodeFormat)
	}
	reply := new(dns.Msg)
	if reply.Unpack(s.respond(new(query), nil, plain, most-tsigRoom)) != nil {
		return q.short(out, rcodeRefused)
	}
	reply.Compress = true
	reply.SetTsig(sig.Hdr.Name, sig.Algorithm, tsigFudge, time.Now().Unix())
	wire, _, err := dns.TsigGenerate(reply, sec.Secret, sig.MAC, false)
	if err != nil {
		return q.short(out, rcodeRefused)
	}
	return append(out, wire...)
}

func within(a netip.Addr, prefixes []netip.Prefix) bool {
	for _, p := range prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// rrAt is a record with its owner.
type rrAt struct {
	name string
	zone.Record
}

// zoneRecords is the zone with the SOA first and last.
func zoneRecords(snap *zone.Snapshot, apex *zone.Node) []rrAt {
	soa := rrAt{apex.Name, apex.Records[zone.TypeSOA][0]}
	out := []rrAt{soa}
	snap.Names(func(n *zone.Node) {
		if n.Zone != apex.Name {
			return
		}
		for t, list := range n.Records {
			if t == zone.TypeSOA {
				continue
			}
			for _, r := range list {
				out = append(out, rrAt{n.Name, r})
			}
		}
	})
	return append(out, soa)
}

// sendZone writes the records in messages of moderate size, each signed on from the one before.
func sendZone(conn net.Conn, ask *dns.Msg, sec Secondary, records []rrAt) error {
	sig := ask.IsTsig()
	mac, timersOnly := sig.MAC, false
	for len(records) > 0 {
		reply := new(dns.Msg)
		reply.SetReply(ask)
		reply.Authoritative = true
		reply.Extra = nil
		size := 0
		for len(records) > 0 && (size == 0 || size+len(records[0].Data) < transferPacket) {
			rr, err := toRR(records[0])
			if err != nil {
				return err
			}
			reply.Answer = append(reply.Answer, rr)
			size += len(records[0].Data) + len(records[0].name) + 12
			records = records[1:]
		}
		reply.SetTsig(sig.Hdr.Name, sig.Algorithm, tsigFudge, time.Now().Unix())
		wire, next, err := dns.TsigGenerate(reply, sec.Secret, mac, timersOnly)
		if err != nil {
			return err
		}
		if err := writeFramed(conn, wire); err != nil {
			return err
		}
		mac, timersOnly = next, true
	}
	return nil
}

// toRR is the library's form of a record.
func toRR(r rrAt) (dns.RR, error) {
	wire := appendRecord(nil, []byte(wireName(r.name)), r.Record)
	rr, _, err := dns.UnpackRR(wire, 0)
	return rr, err
}

func writeFramed(conn net.Conn, wire []byte) error {
	framed := binary.BigEndian.AppendUint16(make([]byte, 0, len(wire)+2), uint16(len(wire)))
	_, err := conn.Write(append(framed, wire...))
	return err
}
