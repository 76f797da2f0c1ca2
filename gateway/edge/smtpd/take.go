package smtpd

import (
	"errors"
	"io"
	"os"
	"time"

	"github.com/emersion/go-smtp"

	"postern/gateway/message"
	"postern/smime/addr"
)

// Data takes one message: after DATA straight from the wire, after BDAT from the library. It answers
// 250 only when the message is durable and Intake has taken it (EP-29, EP-90).
func (s *session) Data(r io.Reader) error {
	s.srv.messages.begin()
	defer s.srv.messages.end()
	var in body
	if pipe, chunked := r.(*io.PipeReader); chunked { // beside the dialogue: touches nothing of the wire
		buf := s.srv.gate.buffers.Get().(*[bigBuffer]byte)
		defer s.srv.gate.buffers.Put(buf)
		in = &chunkReader{r: pipe, buf: buf[:]}
	} else {
		in = s.w.data()
	}
	sub, ok := s.submission()
	if !ok { // a BDAT that was reset before this goroutine ran
		return s.refuse(ReasonAborted)
	}
	t := taking{s: s, in: in, began: time.Now()}
	defer t.abort()
	if err := t.read(); err != nil {
		return err
	}
	if err := t.judge(sub); err != nil {
		return err
	}
	if err := t.keep(sub); err != nil {
		return err
	}
	s.srv.cfg.Metrics.Accepted(s.srv.cfg.Mode, t.octets, time.Since(t.began))
	s.srv.log.Info("accepted", "peer", s.w.remote, "session", s.w.id, "message", string(t.id), "helo", sub.Helo, "tls", sub.TLS,
		"principal", sub.Principal, "from", sub.From.String(), "recipients", len(sub.Recipients), "octets", t.octets)
	return &smtp.SMTPError{Code: 250, EnhancedCode: smtp.EnhancedCode{2, 0, 0}, Message: acceptedAs + string(t.id)}
}

const acceptedAs = "Accepted as "

// taking is one message on its way from the peer to the disk.
type taking struct {
	s         *session
	in        body
	began     time.Time
	inspector message.Inspector
	facts     message.Facts
	writer    Writer
	octets    int64
	id        message.ID
}

func (t *taking) abort() {
	if t.writer != nil {
		t.writer.Abort() // does nothing after Commit
	}
}

// read takes the whole message. Once it is to be refused the rest is read and dropped, so that the
// peer hears why; a peer that goes on far beyond the limit is cut off.
func (t *taking) read() error {
	var bad error
	limit := t.s.srv.limits.Message
	for {
		piece, err := t.in.next()
		if err == io.EOF {
			return bad
		}
		if err != nil {
			return t.broken(err)
		}
		t.octets += int64(len(piece))
		if bad == nil {
			bad = t.take(piece)
		} else if t.octets > 2*limit+1<<20 {
			t.s.w.last = true // only DATA comes here: the library bounds BDAT itself
			return bad
		}
	}
}

// take handles one piece. An error is the reply.
func (t *taking) take(piece []byte) error {
	switch {
	case t.in.flaw() != "":
		return t.s.refuse(t.in.flaw())
	case t.octets > t.s.srv.limits.Message:
		return t.s.refuse(ReasonTooLarge)
	}
	if _, err := t.inspector.Write(piece); err != nil {
		return t.unfit(err)
	}
	if t.writer == nil {
		w, err := t.s.srv.cfg.Spool.Create(t.s.owner())
		if err != nil {
			return t.s.fault("cannot begin to keep a message", err)
		}
		t.writer = w
	}
	if _, err := t.writer.Write(piece); err != nil {
		return t.s.fault("cannot keep a message", err)
	}
	return nil
}

// broken is the end of a transfer that the peer, or its slowness, cut short.
func (t *taking) broken(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return t.s.refuse(ReasonTimeout)
	}
	return t.s.refuse(ReasonAborted)
}

// unfit words what an Inspector refuses.
func (t *taking) unfit(err error) error {
	var e *message.Error
	if !errors.As(err, &e) {
		return t.s.fault("cannot read a message header", err)
	}
	if e.Reason == message.ReasonLoop {
		return t.s.refuse(ReasonLoop)
	}
	t.s.srv.log.Info("header refused", "peer", t.s.w.remote, "session", t.s.w.id, "why", string(e.Reason))
	t.s.srv.refused(t.s.w, ReasonHeader)
	a := ReasonHeader.reply()
	return &smtp.SMTPError{Code: a.code, EnhancedCode: a.enh, Message: e.Reason.Explain()}
}

// judge asks, of the whole message, what its first octets could not tell.
func (t *taking) judge(sub message.Submission) error {
	t.facts = t.inspector.Facts()
	if err := t.inspector.Err(); err != nil {
		return t.unfit(err)
	}
	if t.in.flaw() != "" || t.facts.BareCR || t.facts.BareLF {
		return t.s.refuse(ReasonBareLine)
	}
	if t.facts.LongLine && t.s.srv.limits.StrictLines {
		return t.s.refuse(ReasonLongLine)
	}
	if t.s.srv.cfg.Mode == Peer { // what a peer's sealed message says is for the agent to judge
		return nil
	}
	if err := t.facts.CheckSubmission(); err != nil {
		return t.unfit(err)
	}
	if sub.From.IsZero() && t.facts.Kind() == message.Mail { // EP-92
		return t.s.refuse(ReasonNullSender)
	}
	ctx, cancel := t.s.context()
	defer cancel()
	for _, list := range [][]addr.Address{t.facts.From, t.facts.Sender} {
		for _, a := range list {
			if err := t.s.mayUse(ctx, a, ReasonFromNotYours); err != nil {
				return err
			}
		}
	}
	return nil
}

// keep makes the message durable and hands it to Intake.
func (t *taking) keep(sub message.Submission) error {
	if t.writer == nil { // no octet at all
		return t.unfit(&message.Error{Reason: message.ReasonNoFrom})
	}
	ctx, cancel := t.s.context()
	defer cancel()
	began := time.Now()
	blob, err := t.writer.Commit(ctx)
	if err != nil {
		return t.s.fault("cannot keep a message", err)
	}
	t.id, err = t.s.srv.cfg.Intake.Accept(ctx, sub, t.facts, blob)
	if err == nil {
		t.s.srv.cfg.Metrics.Durable(t.s.srv.cfg.Mode, time.Since(began))
		return nil
	}
	// After a fault the row may be there all the same, so the octets stay: a blob that no row names is
	// the spool's to find. A Refusal is certain.
	if refusal(err) != nil {
		if e := t.s.srv.cfg.Spool.Delete(blob); e != nil {
			t.s.srv.log.Error("cannot delete a refused message", "peer", t.s.w.remote, "session", t.s.w.id, "blob", blob.ID, "error", e)
		}
	}
	return t.s.fault("a message was not taken in", err)
}
