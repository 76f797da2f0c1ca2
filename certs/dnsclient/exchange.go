package dnsclient

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"

	"postern/smime/addr"

	"github.com/miekg/dns"
)

// source is who gave an answer.
type source struct {
	server    string
	tcp       bool
	authority bool
}

// exchangeAny asks the servers in turn, in several rounds, until one gives an answer that means
// something: records, a CNAME, or a believable "nothing there".
func (c *Client) exchangeAny(ctx context.Context, q *question) (source, *dns.Msg, error) {
	servers := c.serversFor(q.name)
	if len(servers) == 0 {
		return source{}, nil, q.fail(ErrTemporary, "no DNS server is configured")
	}
	resolving, cancel := context.WithTimeout(ctx, MaxResolving)
	defer cancel()
	until, _ := resolving.Deadline()
	over := func() bool { return resolving.Err() != nil || !time.Now().Before(until) } // the timer may be a moment behind the clock
	why := "no answer"
	dead := map[string]bool{} // servers that answered with a fault: asking again at once changes nothing
	for round := 0; round < c.cfg.Tries && !over(); round++ {
		for _, server := range servers {
			if dead[server] {
				continue
			}
			network := "udp"
			if round > 0 && round == c.cfg.Tries-1 {
				network = "tcp" // QUIRK: firewalls that swallow large UDP answers
			}
			msg, tcp, err := c.exchange(resolving, exchange{c.cfg.Dial, network, server}, q)
			if err == nil {
				return source{server: server, tcp: tcp}, msg, nil
			}
			var fault faultError
			dead[server] = errors.As(err, &fault)
			why = fmt.Sprintf("%v from %s", err, server)
			if over() {
				break
			}
		}
	}
	if q.qtype == dns.TypeCERT && c.cfg.Authority != nil && !c.forwarded(q.name) {
		if from, msg, ok := c.askAuthority(ctx, q); ok {
			return from, msg, nil
		}
	}
	return source{}, nil, q.fail(ErrTemporary, why)
}

// serversFor is the forwarder of the longest domain that the name lies in, else the resolvers.
func (c *Client) serversFor(name string) []string {
	for rest := name; rest != ""; {
		if d, err := addr.ParseDomain(rest); err == nil {
			if server, ok := c.cfg.Forward[d]; ok {
				return []string{server}
			}
		}
		_, rest, _ = strings.Cut(rest, ".")
	}
	return c.cfg.Servers
}

func (c *Client) forwarded(name string) bool {
	s := c.serversFor(name)
	return len(s) == 1 && (len(c.cfg.Servers) == 0 || s[0] != c.cfg.Servers[0])
}

// faultError is an answer that says the server cannot or will not tell.
type faultError struct{ words string }

func (e faultError) Error() string { return e.words }

// errStray ends a try over UDP that got only packets which do not answer the question.
var errStray = fmt.Errorf("more than %d packets that answer nothing", MaxStray)

// exchange is one try with one server.
type exchange struct {
	dial    Dial
	network string
	server  string
}

// exchange asks with EDNS0; again over TCP when the answer is truncated (CD-18) or when the server does
// not understand EDNS0.
func (c *Client) exchange(ctx context.Context, x exchange, q *question) (msg *dns.Msg, tcp bool, err error) {
	msg, err = c.once(ctx, x, q, true)
	tcp = x.network == "tcp"
	switch {
	case errors.Is(err, errStray): // somebody guesses answers (RFC 5452 §9.3): TCP is out of his reach
		tcp, x.network = true, "tcp"
		msg, err = c.once(ctx, x, q, true)
	case err != nil:
		return nil, tcp, err
	case msg.Truncated && !tcp:
		tcp, x.network = true, "tcp"
		msg, err = c.once(ctx, x, q, true)
	case msg.Rcode == dns.RcodeFormatError || msg.Rcode == dns.RcodeNotImplemented || msg.Rcode == dns.RcodeBadVers:
		tcp, x.network = true, "tcp" // QUIRK: servers before RFC 6891 refuse the OPT record
		msg, err = c.once(ctx, x, q, false)
	}
	if err != nil {
		return nil, tcp, err
	}
	return msg, tcp, meaningful(msg)
}

// meaningful refuses answers that say nothing about the name.
func meaningful(msg *dns.Msg) error {
	switch {
	case msg.Rcode != dns.RcodeSuccess && msg.Rcode != dns.RcodeNameError:
		return faultError{dns.RcodeToString[msg.Rcode]}
	case msg.Truncated:
		return faultError{"truncated answer over TCP"}
	case len(msg.Answer) == 0 && msg.Rcode == dns.RcodeSuccess && soaOf(msg) == nil && !msg.Authoritative && (!msg.RecursionAvailable || len(msg.Ns) > 0):
		return faultError{"referral instead of an answer"}
	}
	return nil
}

// once sends one question over one new socket, so that each has a random port beside its random id.
func (c *Client) once(ctx context.Context, x exchange, q *question, edns bool) (*dns.Msg, error) {
	begin := time.Now()
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	msg, err := c.talk(ctx, x, q, edns)
	step := Step{Server: x.server, Network: x.network, Question: q.name + " " + dns.TypeToString[q.qtype], Took: time.Since(begin)}
	var fault faultError
	switch {
	case err != nil:
		step.Silent = !errors.As(err, &fault) && !errors.Is(err, errStray)
		err = plain(err, c.cfg.Timeout)
		step.Answer = err.Error()
	case msg.Truncated:
		step.Answer = "truncated"
	case msg.Rcode != dns.RcodeSuccess:
		step.Answer = dns.RcodeToString[msg.Rcode]
	case len(msg.Answer) == 1:
		step.Answer = "1 record"
	default:
		step.Answer = fmt.Sprintf("%d records", len(msg.Answer))
	}
	q.trace = append(q.trace, step)
	return msg, err
}

// plain is a network error in few words, without ports that mean nothing to a reader.
func plain(err error, timeout time.Duration) error {
	var network net.Error
	var errno syscall.Errno
	switch {
	case errors.As(err, &network) && network.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no answer in %v", timeout)
	case errors.As(err, &errno):
		return fmt.Errorf("no answer: %w", errno)
	}
	return err
}

func (c *Client) talk(ctx context.Context, x exchange, q *question, edns bool) (*dns.Msg, error) {
	ask := new(dns.Msg)
	ask.SetQuestion(dns.Fqdn(q.name), q.qtype) // random id, RD set
	if edns {
		ask.SetEdns0(UDPSize, false)
	}
	wire, err := ask.Pack()
	if err != nil {
		return nil, faultError{"name cannot be asked for: " + err.Error()}
	}
	conn, err := x.dial(ctx, x.network, x.server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return nil, err
		}
	}
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) }) // wakes the read
	defer stop()
	if x.network == "tcp" {
		return talkTCP(conn, ask, wire)
	}
	return talkUDP(conn, ask, wire)
}

// talkUDP waits past packets that do not answer the question asked: they may be forged, and giving
// up on the first would let anyone who can guess the port stop a lookup.
func talkUDP(conn net.Conn, ask *dns.Msg, wire []byte) (*dns.Msg, error) {
	if _, err := conn.Write(wire); err != nil {
		return nil, err
	}
	buf := make([]byte, 4096) // more than announced: some servers overstep
	for stray := 0; stray <= MaxStray; stray++ {
		n, err := conn.Read(buf)
		if err != nil {
			return nil, err
		}
		if msg, err := accept(buf[:n], ask); err == nil {
			return msg, nil
		}
	}
	return nil, errStray
}

func talkTCP(conn net.Conn, ask *dns.Msg, wire []byte) (*dns.Msg, error) {
	framed := binary.BigEndian.AppendUint16(make([]byte, 0, len(wire)+2), uint16(len(wire)))
	if _, err := conn.Write(append(framed, wire...)); err != nil {
		return nil, err
	}
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return nil, err
	}
	buf := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(conn, buf); err != nil {
		return nil, err
	}
	return accept(buf, ask)
}

// accept reads a packet that answers ask: a response with its id and exactly its question.
func accept(wire []byte, ask *dns.Msg) (*dns.Msg, error) {
	if len(wire) < 12 || binary.BigEndian.Uint16(wire) != ask.Id {
		return nil, faultError{"answer with another id"}
	}
	msg := new(dns.Msg)
	if err := msg.Unpack(wire); err != nil && !msg.Truncated {
		return nil, faultError{"unreadable answer"}
	}
	if !msg.Response || msg.Opcode != dns.OpcodeQuery {
		return nil, faultError{"not an answer"}
	}
	if len(msg.Question) == 0 && msg.Rcode != dns.RcodeSuccess && msg.Rcode != dns.RcodeNameError {
		msg.Question = ask.Question // QUIRK: servers that cannot read a query send its error without the question
		return msg, nil
	}
	if len(msg.Question) != 1 {
		return nil, faultError{"answer to no question"}
	}
	got, want := msg.Question[0], ask.Question[0]
	if got.Qtype != want.Qtype || got.Qclass != want.Qclass || !strings.EqualFold(got.Name, want.Name) {
		return nil, faultError{"answer to another question"}
	}
	return msg, nil
}
