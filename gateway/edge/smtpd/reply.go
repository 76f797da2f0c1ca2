package smtpd

import (
	"bytes"
	"fmt"
	"strings"
	"time"
)

const maxReplyLine = 510 // octets without CRLF (RFC 5321 §4.5.3.1.5)

// Write takes the library's replies. They are kept back until the wire has to wait for the peer, so
// that a pipelined group of commands is answered in one packet (RFC 2920 §3.2).
func (w *wire) Write(p []byte) (int, error) {
	w.reply = append(w.reply, p...)
	for {
		n := bytes.IndexByte(w.reply, '\n') + 1
		if n == 0 {
			break
		}
		line := strings.TrimRight(string(w.reply[:n]), "\r\n")
		w.reply = w.reply[:copy(w.reply, w.reply[n:])]
		if w.hushed {
			w.hushed = false
			continue
		}
		w.answer(w.correct(clean(line, maxReplyLine))) // the library quotes what the peer sent
	}
	if len(w.out) > maxReplies {
		return len(p), w.flush()
	}
	return len(p), nil
}

// answer queues one reply line and counts what it says.
func (w *wire) answer(line string) {
	w.say(line)
	if w.verb == "BDAT" {
		w.bdat = strings.HasPrefix(line, "250 2.0.0 Continue")
		w.hangup = w.hangup || strings.HasPrefix(line, "552 5.3.4 Max ") // as in abandon
	}
	switch {
	case w.hangup:
		return // what follows a 421 nobody reads
	case w.last, strings.HasPrefix(line, "421"):
		w.hangup = true
	case strings.HasPrefix(line, "334"):
		w.inAuth = true
	case strings.HasPrefix(line, "250 2.0.0 "+acceptedAs):
		w.junk = 0
	case line >= "4" && len(line) > 3 && line[3] == ' ':
		if w.failures++; w.failures > w.srv.limits.Errors {
			w.fail(ReasonManyErrors)
		}
	}
}

// fail says the reply of a reason. A 421 ends the session when the library asks for the next line.
func (w *wire) fail(r Reason) {
	w.srv.refused(w, r)
	a := r.reply()
	w.say(fmt.Sprintf("%d %d.%d.%d %s", a.code, a.enh[0], a.enh[1], a.enh[2], a.text))
	if a.code == 421 {
		w.hangup = true
	}
}

func (w *wire) say(line string) {
	if w.hangup {
		return
	}
	w.out = append(w.out, line...)
	w.out = append(w.out, '\r', '\n')
}

// correct mends replies of the library (v0.25.1) that are not what the RFCs and the network's test
// tables (EP-25, EP-33) expect.
func (w *wire) correct(line string) string {
	switch {
	case strings.HasPrefix(line, "502 5.5.1 TLS not supported") && w.secure:
		return "503 5.5.1 TLS is already active"
	case strings.HasPrefix(line, "502 5.5.1 "): // RFC 5321 §4.1.4: commands out of order are 503
		switch w.verb {
		case "MAIL", "RCPT", "DATA", "BDAT", "AUTH":
			return "503" + line[3:]
		}
	case strings.HasPrefix(line, "523 5.7.10 "):
		if w.srv.cfg.Mode == Peer {
			return "502 5.5.1 AUTH not supported here"
		}
		return "530 5.7.0 Must issue a STARTTLS command first" // RFC 3207 §4
	case line == "454 4.7.0 Invalid base64 data": // RFC 4954 §4
		return "501 5.5.2 Cannot decode base64"
	case line == "502 5.5.4 Missing parameter":
		return "501 5.5.4 Missing parameter"
	case strings.HasPrefix(line, "501 5.5.2 Bad command") && w.verb == "STARTTLS":
		return "501 5.5.4 STARTTLS takes no parameter" // EP-22
	}
	return line
}

// flush sends what was said.
func (w *wire) flush() error {
	if !w.ready {
		w.ready = true
		if w.srv.cfg.Mode == SubmissionTLS {
			if err := w.handshake(); err != nil {
				return err
			}
		}
	}
	if len(w.out) == 0 {
		return nil
	}
	w.conn.SetWriteDeadline(time.Now().Add(w.srv.limits.Write))
	_, err := w.conn.Write(w.out)
	w.out = w.out[:0]
	if cap(w.out) > maxReplies {
		w.out = nil
	}
	if err != nil && w.err == nil {
		w.err = err
	}
	return err
}
