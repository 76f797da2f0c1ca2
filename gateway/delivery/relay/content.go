package relay

import (
	"errors"
	"fmt"
	"io"
)

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
		x.s.allSent.Store(true)
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
