package relay

import (
	"fmt"
	"strconv"
	"strings"
)

// again says what else to try at the same address.
type again struct {
	fresh bool // an idle session was dead: a new one
	clear bool // TLS failed and was only opportunistic: without
}

// try sends to one address whatever is still to be sent.
func (d *delivery) try(t target, reuse bool) again {
	a := Attempt{Host: t.host, Addr: t.addr.String(), Began: d.c.cfg.Clock()}
	var s *session
	if reuse {
		s = d.c.pool.get(d.hop(t))
	}
	if s == nil {
		var failed *Outcome
		var inClear bool
		if s, failed, inClear = d.connect(t, &a); failed != nil {
			d.note(a, failed)
			if !inClear {
				d.hostFailed(failed)
			}
			return again{clear: inClear}
		}
	}
	a.TLS, a.Reused = s.tls, s.reused
	stop := s.follow(d.ctx)
	dead := d.converse(s, &a)
	stop()
	s.reused = false
	if d.ctx.Err() != nil {
		s.spent = true // the end of ctx may still be about to stop it
	}
	if s.broken {
		s.conn.Close()
	} else {
		d.c.pool.put(s)
	}
	return again{fresh: dead}
}

func (d *delivery) hop(t target) hop {
	h := hop{target: t, mode: d.route.TLS, serverName: d.route.ServerName, roots: d.route.Roots, login: d.route.Login, password: d.route.Password}
	if h.serverName == "" {
		h.serverName = strings.Trim(t.host, "[]")
	}
	return h
}

// converse runs as many transactions as the recipients need. It reports whether a reused session
// turned out dead before the peer took notice of the message.
func (d *delivery) converse(s *session, a *Attempt) (dead bool) {
	todo := d.pending()
	var said *Outcome
	defer func() {
		if !dead {
			d.note(*a, said)
		}
	}()
	for len(todo) > 0 {
		batch := todo[:min(len(todo), s.recipients())]
		todo = todo[len(batch):]
		x := &transaction{d: d, s: s, a: a, batch: batch}
		x.run()
		s.sent++
		if x.stale {
			d.note(*a, fault(ReasonConnect, "the peer had closed an idle session"))
			return true
		}
		if x.said != nil && (a.Delivered == 0 || x.said.Status == Delivered) {
			said = x.said
		}
		if x.failed != nil {
			d.hostFailed(x.failed)
		}
		if s.broken || s.spent {
			return false
		}
		if len(x.later) < len(batch) {
			todo = append(x.later, todo...)
		}
	}
	return false
}

// transaction is one MAIL … end of message, for some of the recipients.
type transaction struct {
	d     *delivery
	s     *session
	a     *Attempt
	batch []int

	accepted []int
	later    []int    // too many for this transaction (RFC 5321 §4.5.3.1.10)
	failed   *Outcome // the session failed; what is undecided stays so
	said     *Outcome // what the attempt came to
	stale    bool
}

// tail is how the message follows the envelope.
type tail int

const (
	tailData  tail = iota // DATA, once recipients were accepted
	tailSoon              // DATA at the end of the pipelined group
	tailWhole             // BDAT and the whole message at the end of the pipelined group
	tailChunk             // BDAT in pieces, once recipients were accepted
)

func (x *transaction) tail() tail {
	_, pipelining := x.s.ext["PIPELINING"]
	_, chunking := x.s.ext["CHUNKING"]
	switch {
	case chunking && pipelining && x.d.whole != nil:
		return tailWhole
	case chunking:
		return tailChunk
	case pipelining:
		return tailSoon
	}
	return tailData
}

func (x *transaction) run() {
	mail, refused := x.mailCommand()
	if refused != nil {
		x.failed, x.said = refused, refused
		return
	}
	how := x.tail()
	if _, ok := x.s.ext["PIPELINING"]; !ok {
		x.stepwise(mail)
	} else if !x.group(mail, how) {
		return
	}
	if x.failed != nil {
		return
	}
	if len(x.accepted) == 0 {
		x.nobody(how)
		return
	}
	x.message(how)
}

// mailCommand is the MAIL line, or why this peer cannot be given the message.
func (x *transaction) mailCommand() (string, *Outcome) {
	size := x.d.env.Size
	if x.d.whole != nil {
		size = int64(len(x.d.whole.octets))
	}
	if limit := x.s.sizeLimit(); limit > 0 && size > limit { // RFC 1870 §6.1
		return "", fault(ReasonTooLarge, fmt.Sprintf("%s takes messages of up to %d octets, this one has %d", x.s.hop.host, limit, size))
	}
	line := "MAIL FROM:<" + x.d.env.From.String() + ">"
	if _, ok := x.s.ext["SIZE"]; ok && size > 0 {
		line += " SIZE=" + strconv.FormatInt(size, 10)
	}
	_, eight := x.s.ext["8BITMIME"]
	switch {
	case x.d.whole != nil && !x.d.whole.eightBit:
	case eight: // also when it is not known: then every relay must be ready for it
		line += " BODY=8BITMIME"
	case x.d.whole != nil:
		return "", fault(ReasonEightBit, "the message has 8-bit octets and "+x.s.hop.host+" does not take them (8BITMIME)")
	}
	return line, nil
}

func (x *transaction) rcpt(i int) string { return "RCPT TO:<" + x.d.env.To[i].String() + ">" }

// group sends the envelope, and what may follow it, in one flight, and reads the answers (RFC 2920).
// It reports whether the message is still to be sent.
func (x *transaction) group(mail string, how tail) (more bool) {
	w := x.s.w
	w.WriteString(mail + "\r\n")
	for _, i := range x.batch {
		w.WriteString(x.rcpt(i) + "\r\n")
	}
	switch how {
	case tailSoon:
		w.WriteString("DATA\r\n")
	case tailWhole:
		fmt.Fprintf(w, "BDAT %d LAST\r\n", len(x.d.whole.octets))
		w.Write(x.d.whole.octets)
	}
	x.s.deadline(x.s.c.limits.DataBlock)
	if err := w.Flush(); err != nil {
		return x.brokenMail(err)
	}
	x.s.allSent.Store(how == tailWhole)
	g, err := x.s.read(x.s.c.limits.Command)
	if err != nil {
		return x.brokenMail(err)
	}
	ok := x.mailSaid(g)
	if x.stale || !ok && x.s.spent {
		return false
	}
	for _, i := range x.batch {
		x.a.Stage = StageRcpt
		g, err := x.s.read(x.s.c.limits.Command)
		if err != nil {
			x.broke(err)
			return false
		}
		if ok {
			x.rcptSaid(i, g)
		}
		if x.s.spent {
			return false
		}
	}
	return true
}

// stepwise sends the envelope to a peer without PIPELINING.
func (x *transaction) stepwise(mail string) {
	g, err := x.s.command(x.s.c.limits.Command, mail)
	if err != nil {
		x.brokenMail(err)
		return
	}
	if !x.mailSaid(g) {
		return
	}
	for _, i := range x.batch {
		x.a.Stage = StageRcpt
		g, err := x.s.command(x.s.c.limits.Command, x.rcpt(i))
		if err != nil {
			x.broke(err)
			return
		}
		x.rcptSaid(i, g)
		if x.s.spent {
			return
		}
	}
}

// mailSaid takes the answer to MAIL.
func (x *transaction) mailSaid(g reply) bool {
	x.a.Stage = StageMail
	if g.code == 250 {
		return true
	}
	if x.s.reused && x.s.spent { // 421: the peer had just had enough of the session
		x.stale = true
		return false
	}
	x.said = g.outcome()
	for _, i := range x.batch {
		x.decide(i, *x.said)
	}
	return false
}

// rcptSaid takes the answer to one RCPT.
func (x *transaction) rcptSaid(i int, g reply) {
	o := g.outcome()
	switch {
	case o.Status == Delivered:
		x.accepted = append(x.accepted, i)
		return
	case len(x.accepted) > 0 && (g.code == 452 || g.code == 552) && (o.Enhanced == "" || strings.HasSuffix(o.Enhanced, ".5.3")):
		x.later = append(x.later, i)
		o.Status, o.Reason = Temporary, ReasonDeferred // RFC 5321 §4.5.3.1.10: 552 means 452 here
	}
	if x.said == nil {
		x.said = o
	}
	x.decide(i, *o)
}

func (x *transaction) decide(i int, o Outcome) {
	o.retry = o.Status == Temporary && o.Reason != ReasonUnknown
	x.d.outcomes[i] = &o
}

// brokenMail is the end of a session before any answer.
func (x *transaction) brokenMail(err error) bool {
	x.a.Stage = StageMail
	x.s.broken = true
	if x.s.reused && x.d.ctx.Err() == nil {
		x.stale = true
		return false
	}
	x.broke(err)
	return false
}

// broke is the end of a session inside a transaction.
func (x *transaction) broke(err error) {
	x.s.broken = true
	x.failed = netFault(err)
	if x.d.ctx.Err() != nil {
		x.failed = x.d.stopped()
	}
	x.said = x.failed
}

// nobody ends a transaction none of whose recipients was accepted.
func (x *transaction) nobody(how tail) {
	switch how {
	case tailWhole: // the peer has read the message as well, or is confused: no further use
		x.s.read(x.s.c.limits.Command)
		x.s.spent = true
	case tailSoon:
		g, err := x.s.read(x.s.c.limits.DataInit)
		if err == nil && g.code == 354 { // RFC 2920 §3.1: an empty message, to nobody
			x.s.w.WriteString(".\r\n")
			x.s.w.Flush()
			x.s.read(x.s.c.limits.DataDone)
		}
	default:
		if !x.s.spent && !x.s.broken {
			x.s.command(x.s.c.limits.Command, "RSET")
		}
	}
}
