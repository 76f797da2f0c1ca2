package relay

import (
	"errors"
	"fmt"
	"io"
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

// message sends the message and takes the answer to it.
func (x *transaction) message(how tail) {
	var g reply
	var err error
	switch how {
	case tailWhole:
	case tailChunk:
		if size := x.d.env.Size; size > 0 {
			err = x.chunk(size)
		} else {
			g, err = x.chunks()
		}
	default:
		g, err = x.data(how)
	}
	if err != nil {
		x.bodyFailed(err)
		return
	}
	final := g.code == 0
	if final {
		x.a.Stage = StageFinal
		if g, err = x.s.read(x.s.c.limits.DataDone); err != nil {
			x.noAnswer(err)
			return
		}
	}
	x.said = g.outcome()
	switch {
	case final && g.code == 250:
		x.a.Delivered += len(x.accepted)
	case x.said.Status == Delivered: // a promise in the wrong place is none
		x.said.Status, x.said.Reason = Temporary, ReasonProtocol
		x.s.spent = true
	}
	for _, i := range x.accepted {
		x.decide(i, *x.said)
	}
}

// noAnswer: the peer has the whole message and may have taken it. Asking another host now would make
// two of it, so the queue tries again later.
func (x *transaction) noAnswer(err error) {
	x.s.broken = true
	o := netFault(err)
	o.Reason, o.Enhanced = ReasonUnknown, "4.4.2"
	x.said = o
	for _, i := range x.accepted {
		x.decide(i, *o)
	}
}

// bodyFailed is a message that could not be sent to its end. Leaving the connection is the only way to
// take it back.
func (x *transaction) bodyFailed(err error) {
	x.s.broken = true
	var o *Outcome
	switch {
	case errors.Is(err, errBareLine):
		o = fault(ReasonBareLine, "the message has a bare CR or LF and is not sent")
	case errors.Is(err, errEightBit):
		o = fault(ReasonEightBit, "the message has 8-bit octets and "+x.s.hop.host+" does not take them (8BITMIME)")
	case errors.Is(err, errSource):
		o = fault(ReasonSource, "the message cannot be read from where it is kept")
		x.d.c.cfg.Log.Error("message to relay cannot be read", "error", err)
	default:
		x.broke(err)
		if g, e := x.lastWords(); e == nil { // why it hung up: 552, mostly
			x.said = g.outcome()
			for _, i := range x.accepted {
				x.decide(i, *x.said)
			}
		}
		return
	}
	x.said = o
	for _, i := range x.accepted {
		x.decide(i, *o)
	}
}

// lastWords is what the peer said when it stopped taking the message.
func (x *transaction) lastWords() (reply, error) {
	if x.d.ctx.Err() != nil {
		return reply{}, x.d.ctx.Err()
	}
	g, err := x.s.read(quitPatience)
	if err == nil && g.code < 400 {
		err = errProtocol
	}
	return g, err
}

// data sends the message after DATA. A reply means that the peer refused DATA.
func (x *transaction) data(how tail) (g reply, err error) {
	x.a.Stage = StageData
	if how == tailSoon {
		g, err = x.s.read(x.s.c.limits.DataInit)
	} else {
		g, err = x.s.command(x.s.c.limits.DataInit, "DATA")
	}
	if err != nil || g.code != 354 {
		return g, err
	}
	x.a.Stage = StageBody
	start, tail := true, byte('\n')
	if err := x.pieces(func(b []byte, _ bool) error {
		if len(b) == 0 {
			return nil
		}
		err := stuff(x.s.w, b, start)
		tail = b[len(b)-1]
		start = tail == '\n'
		return err
	}); err != nil {
		return reply{}, err
	}
	if tail != '\n' {
		x.s.w.WriteString("\r\n")
	}
	x.s.w.WriteString(".\r\n")
	x.s.deadline(x.s.c.limits.DataBlock)
	return reply{}, x.s.w.Flush()
}

// chunk sends a message of known size as one BDAT (RFC 3030): nothing to scan for, and one answer.
func (x *transaction) chunk(size int64) error {
	x.a.Stage = StageBody
	fmt.Fprintf(x.s.w, "BDAT %d LAST\r\n", size)
	left := size
	var held []byte // the last octet promised, until it is sure that it is the last there is
	err := x.pieces(func(b []byte, last bool) error {
		if left -= int64(len(b)); left < 0 {
			return fmt.Errorf("%w: more than the %d octets it was said to have", errSource, size)
		}
		if n := len(b); left == 0 && !last {
			held = []byte{b[n-1]}
			b = b[:n-1]
		}
		x.s.w.Write(b) // an error stays in the Writer
		if last {
			x.s.w.Write(held)
			return nil
		}
		return x.s.w.Flush()
	})
	if err == nil && left > 0 {
		err = fmt.Errorf("%w: only %d of the %d octets it was said to have", errSource, size-left, size)
	}
	if err != nil {
		return err
	}
	x.s.deadline(x.s.c.limits.DataBlock)
	return x.s.w.Flush()
}

// chunks sends the message by BDAT, in pieces; the answers to all but the last are read as it goes. A
// reply means that the peer refused a piece.
func (x *transaction) chunks() (reply, error) {
	const ahead = 8 // answers not yet read
	x.a.Stage = StageBody
	open := 0
	var bad reply
	err := x.pieces(func(b []byte, last bool) error {
		mark := ""
		if last {
			mark = " LAST"
		}
		fmt.Fprintf(x.s.w, "BDAT %d%s\r\n", len(b), mark)
		if _, err := x.s.w.Write(b); err != nil {
			return err
		}
		if last {
			return x.s.w.Flush()
		}
		if open++; open > ahead {
			if err := x.s.w.Flush(); err != nil {
				return err
			}
			open--
			return x.chunkSaid(&bad)
		}
		return nil
	})
	for ; err == nil && open > 0; open-- {
		err = x.chunkSaid(&bad)
	}
	if errors.Is(err, errChunk) {
		x.s.spent = true // the peer and we no longer agree on where we are
		return bad, nil
	}
	return reply{}, err
}

var errChunk = errors.New("relay: BDAT refused")

func (x *transaction) chunkSaid(bad *reply) error {
	g, err := x.s.read(x.s.c.limits.DataBlock)
	if err == nil && g.code != 250 {
		*bad = g
		return errChunk
	}
	return err
}

// pieces gives the message to f, checked, piece by piece; the last one (maybe empty) is marked.
func (x *transaction) pieces(f func(b []byte, last bool) error) error {
	_, eight := x.s.ext["8BITMIME"]
	if w := x.d.whole; w != nil { // checked when it was loaded
		x.a.Octets = int64(len(w.octets))
		x.s.deadline(x.s.c.limits.DataBlock)
		return f(w.octets, true)
	}
	src, err := x.d.open()
	if err != nil {
		return errors.Join(errSource, err)
	}
	defer src.Close()
	buf := x.d.c.bufs.Get().(*[smallBody]byte)
	defer x.d.c.bufs.Put(buf)
	check := lines{sevenBit: !eight}
	x.a.Octets = 0
	for {
		n, err := io.ReadFull(src, buf[:])
		last := err == io.EOF || err == io.ErrUnexpectedEOF
		if err != nil && !last {
			return errors.Join(errSource, err)
		}
		if err := check.check(buf[:n]); err != nil {
			return err
		}
		if last {
			if err := check.end(); err != nil {
				return err
			}
		}
		x.a.Octets += int64(n)
		x.s.deadline(x.s.c.limits.DataBlock)
		if err := f(buf[:n], last); err != nil || last {
			return err
		}
	}
}
