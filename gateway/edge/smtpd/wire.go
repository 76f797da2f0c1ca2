package smtpd

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
)

// wire is the line beneath the SMTP library: it hands the library one whole command line at a time,
// carries out STARTTLS, limits lines and times, collects the replies of a pipelined group into one
// write, corrects a few of them, and lets a session read DATA itself (see dataReader).
//
// Because the library never holds octets beyond the current line, nothing a peer sent early can be
// taken for something else later: neither commands sent in clear after STARTTLS nor data sent after
// DATA without waiting. One goroutine uses it at a time, the library's; only stop and cut may come
// from others.
type wire struct {
	srv    *Server
	conn   net.Conn // TCP, or TLS over it
	peer   netip.Addr
	remote string
	id     string // of the session, in logs and Submission.EdgeID
	began  time.Time
	secure bool
	tls    string // version and cipher suite
	login  string // who authenticated, for the gate's count

	buf      []byte // octets of the peer: buf[pos:end] are not yet handed on
	pos, end int
	pooled   bool  // buf came from the pool of large buffers
	err      error // of reading; it stays

	fake  string // octets to hand on before anything of the peer
	line  int    // octets of the current line still to hand on
	chunk int64  // octets of the current BDAT chunk still to hand on, after the line
	pace  pace   // of the current DATA or BDAT transfer

	verb     string // the last command handed on
	bdat     bool   // a BDAT transfer waits for its next chunk
	inAuth   bool   // the last reply was 334: the next line is no command
	ready    bool   // implicit TLS is done, or not wanted
	hushed   bool   // the library's greeting is not to be sent: STARTTLS has no second one
	reply    []byte // the reply line being written
	out      []byte // whole reply lines not yet sent
	failures int    // replies from 400 up
	junk     int    // commands since the last message that brought none nearer
	last     bool   // the next reply is the last: the peer does not stop sending
	hangup   bool   // a 421, or the last reply, was written

	mu       sync.Mutex
	waiting  bool // blocked in reading a command
	stopping bool
	handing  bool // TLS is up: the next Close hands the wire to the other server
	closed   bool
}

const (
	smallBuffer = 2 << 10
	maxReplies  = 8 << 10 // octets of replies kept back at most
	maxJunk     = 100     // RSET, NOOP, VRFY, EHLO … between two messages
)

var errStopping = errors.New("smtpd: shutting down")

// Read hands the library its next octets: never beyond the end of a line or of a BDAT chunk.
func (w *wire) Read(p []byte) (n int, err error) {
	defer w.survive(&err)
	for {
		switch {
		case w.last:
			return 0, io.EOF
		case w.fake != "":
			n := copy(p, w.fake)
			w.fake = w.fake[n:]
			return n, nil
		case w.line > 0:
			n := copy(p, w.buf[w.pos:w.pos+w.line])
			w.line -= n
			w.pos += n
			return n, nil
		case w.chunk > 0:
			return w.readChunk(p)
		}
		if err := w.nextLine(); err != nil {
			return 0, w.goodbye(err)
		}
	}
}

// survive keeps a fault in reading what a peer sent to that peer's connection: the library recovers from
// panics in its commands, not from those beneath them.
func (w *wire) survive(err *error) {
	if r := recover(); r != nil {
		w.srv.log.Error("panic while reading from a peer", "peer", w.remote, "session", w.id, "panic", r, "stack", string(debug.Stack()))
		w.err = net.ErrClosed
		*err = w.err
	}
}

// goodbye turns the end of command reading into what the library understands.
func (w *wire) goodbye(err error) error {
	if errors.Is(err, errStopping) {
		w.say("421 4.3.2 Service shutting down")
		err = io.EOF
	}
	if err == io.EOF {
		w.flush() // an error shows in Close
	}
	return err
}

// nextLine waits for one whole command line and decides what the library sees of it.
func (w *wire) nextLine() error {
	if w.hangup {
		return io.EOF
	}
	if w.err != nil {
		return w.err
	}
	deadline := time.Now().Add(w.srv.limits.Command)
	if limit := w.began.Add(w.srv.limits.Session); limit.Before(deadline) {
		deadline = limit
	}
	for {
		if w.stopped() {
			return errStopping
		}
		have := w.buf[w.pos:w.end]
		if n := bytes.IndexByte(have, '\n') + 1; n > 0 {
			if n > w.lineLimit(have) {
				return smtp.ErrTooLongLine
			}
			return w.command(have[:n])
		}
		if len(have) >= w.lineLimit(have) {
			return smtp.ErrTooLongLine // RFC 5321 §4.5.3.1.4; the library says 500 and closes
		}
		if err := w.await(deadline); err != nil {
			return err
		}
	}
}

func (w *wire) lineLimit(line []byte) int {
	if w.inAuth || len(line) >= 5 && strings.EqualFold(string(line[:5]), "AUTH ") {
		return w.srv.limits.AuthLine
	}
	return w.srv.limits.Line
}

// command looks at one command line before the library does.
func (w *wire) command(line []byte) error {
	cr := bytes.IndexByte(line, '\r')
	if cr < 0 || cr != len(line)-2 || bytes.IndexByte(line, 0) >= 0 {
		w.refuseLine(len(line)) // a bare CR or LF, or NUL
		return nil
	}
	text := string(line[:cr])
	if w.inAuth { // a line of the exchange is base64, whatever it looks like
		w.inAuth = false
		w.line = len(line)
		return nil
	}
	verb, args, _ := strings.Cut(text, " ")
	verb = strings.ToUpper(verb)
	if strings.HasPrefix(verb, "STARTTLS") { // all of these are STARTTLS to the library
		if verb != "STARTTLS" || strings.TrimSpace(args) != "" {
			w.verb = "STARTTLS"
			w.refuseLine(len(line)) // EP-22
			return nil
		}
		if !w.secure && w.srv.tls != nil {
			return w.upgrade(len(line))
		}
	}
	if w.bdat && (verb == "RSET" || verb == "EHLO" || verb == "HELO") {
		return w.abandon()
	}
	w.verb = verb
	w.count()
	if p := w.srv.cfg.Postmaster; verb == "RCPT" && !p.IsZero() && strings.EqualFold(strings.ReplaceAll(args, " ", ""), "TO:<postmaster>") {
		w.pos += len(line) // the one address without a domain (RFC 5321 §4.5.1); the library knows none
		w.fake = "RCPT TO:<" + p.String() + ">\r\n"
		return nil
	}
	w.line = len(line)
	if verb == "BDAT" {
		return w.startChunk(args)
	}
	return nil
}

// abandon ends the session of a peer that leaves a BDAT transfer. The library (v0.25.1) keeps the
// goroutine of the transfer left and can give its result to the next one.
func (w *wire) abandon() error {
	w.fail(ReasonAbandoned)
	return io.EOF
}

// refuseLine drops a line and shows the library one that it answers 501.
func (w *wire) refuseLine(n int) {
	w.pos += n
	w.fake = "BAD\r\n"
}

// count ends a session of too many commands that bring no message nearer.
func (w *wire) count() {
	switch w.verb {
	case "MAIL":
		w.pace = pace{}
	case "RCPT", "DATA", "BDAT", "QUIT":
	default:
		w.pace = pace{}
		if w.junk++; w.junk > maxJunk {
			w.fail(ReasonManyErrors)
		}
	}
}

// startChunk notes that octets follow a BDAT line, by the library's own reading of it: where the
// library finds no size, it reads no octets either.
func (w *wire) startChunk(args string) error {
	f := strings.Fields(args)
	if len(f) == 0 || len(f) > 2 || len(f) == 2 && !strings.EqualFold(f[1], "LAST") {
		return nil
	}
	size, err := strconv.ParseUint(f[0], 10, 32)
	if err != nil {
		return nil
	}
	w.bdat = true                           // until the reply tells
	if int64(size) > w.srv.limits.Message { // the library would read all of it only to say so
		w.fail(ReasonTooLarge)
		w.hangup = true
		return io.EOF
	}
	w.chunk = int64(size)
	w.pace.begin()
	return nil
}

func (w *wire) readChunk(p []byte) (int, error) {
	if int64(len(p)) > w.chunk {
		p = p[:w.chunk]
	}
	if w.pos < w.end {
		n := copy(p, w.buf[w.pos:w.end])
		w.pos += n
		w.chunk -= int64(n)
		w.pace.octets += int64(n)
		return n, nil
	}
	n, err := w.receive(p, w.pace.deadline(w.srv.limits))
	w.chunk -= int64(n)
	w.pace.octets += int64(n)
	if err == io.EOF && w.chunk > 0 {
		// The library takes the end of the connection for the end of the chunk, and after BDAT … LAST would
		// accept the half of a message that a dying peer had sent.
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// await reads more octets of a command.
func (w *wire) await(deadline time.Time) error {
	w.makeRoom(smallBuffer)
	if err := w.flush(); err != nil {
		return err
	}
	w.mu.Lock()
	if w.stopping {
		w.mu.Unlock()
		return errStopping
	}
	w.waiting = true
	w.conn.SetReadDeadline(deadline)
	w.mu.Unlock()

	n, err := w.conn.Read(w.buf[w.end:])

	w.mu.Lock()
	w.waiting = false
	stopping := w.stopping
	w.mu.Unlock()
	w.end += n
	if n > 0 {
		return nil
	}
	if stopping && errors.Is(err, os.ErrDeadlineExceeded) {
		return errStopping
	}
	w.err = err
	return err
}

// receive reads octets of a message.
func (w *wire) receive(p []byte, deadline time.Time) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	if err := w.flush(); err != nil {
		return 0, err
	}
	w.conn.SetReadDeadline(deadline)
	n, err := w.conn.Read(p)
	if n > 0 {
		return n, nil
	}
	w.err = err
	return 0, err
}

// makeRoom moves what is left to the front of the buffer and makes sure that more fits behind it.
func (w *wire) makeRoom(size int) {
	if w.pos > 0 {
		w.end = copy(w.buf, w.buf[w.pos:w.end])
		w.pos = 0
	}
	if w.pooled && w.end <= smallBuffer/2 {
		small := make([]byte, smallBuffer)
		copy(small, w.buf[:w.end])
		w.srv.gate.buffers.Put((*[bigBuffer]byte)(w.buf))
		w.buf, w.pooled = small, false
	}
	if w.end == len(w.buf) {
		w.buf = append(w.buf, make([]byte, max(size, len(w.buf)))...)
	}
}

// LocalAddr is the connection's.
func (w *wire) LocalAddr() net.Addr { return w.conn.LocalAddr() }

// RemoteAddr is the connection's.
func (w *wire) RemoteAddr() net.Addr { return w.conn.RemoteAddr() }

// SetDeadline does nothing: the wire has its own times, the library is given none.
func (w *wire) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing.
func (w *wire) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing.
func (w *wire) SetWriteDeadline(time.Time) error { return nil }
