// Package load is a client that hands SMTP servers as much mail as they take, to measure them beside each other.
//
// It is a pipelining client with sessions that are kept (RFC 2920): MAIL, RCPT and DATA go in one write, the
// message in another, and a message counts only after its 250. It spends little itself, because it shares the
// machine with what it measures. It reads no reply beyond its code and is no client for real mail.
package load

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Message is what is sent again and again. Data is as DATA carries it: CRLF lines, dots stuffed, without its end.
type Message struct {
	From, To string
	Data     []byte
}

// Target is a server under load.
type Target struct {
	Addr string
	// TLS, when set, is spoken from the first octet, and then Login and Password are given.
	TLS             *tls.Config
	Login, Password string
}

// Session is one connection past EHLO, and past AUTH where there is a login.
type Session struct {
	c net.Conn
	r *bufio.Reader
}

// Dial opens a session.
func (t Target) Dial() (*Session, error) {
	c, err := net.Dial("tcp", t.Addr)
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	if t.TLS != nil {
		c = tls.Client(c, t.TLS)
	}
	s := &Session{c, bufio.NewReader(c)}
	err = s.answers("220")
	if err == nil {
		err = s.say("EHLO load.example\r\n", "250")
	}
	if err == nil && t.Login != "" {
		word := base64.StdEncoding.EncodeToString([]byte("\x00" + t.Login + "\x00" + t.Password))
		err = s.say("AUTH PLAIN "+word+"\r\n", "235")
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return s, nil
}

// Close ends the connection without a word.
func (s *Session) Close() error { return s.c.Close() }

// Send hands one message over; nil means it was answered 250.
func (s *Session) Send(m Message) error {
	if err := s.say("MAIL FROM:<"+m.From+">\r\nRCPT TO:<"+m.To+">\r\nDATA\r\n", "250", "250", "354"); err != nil {
		return err
	}
	if _, err := (&net.Buffers{m.Data, []byte(".\r\n")}).WriteTo(s.c); err != nil {
		return fmt.Errorf("load: %w", err)
	}
	return s.answers("250")
}

func (s *Session) say(text string, codes ...string) error {
	if _, err := io.WriteString(s.c, text); err != nil {
		return fmt.Errorf("load: %w", err)
	}
	return s.answers(codes...)
}

// answers reads one reply a code and compares.
func (s *Session) answers(codes ...string) error {
	for _, code := range codes {
		for {
			line, err := s.r.ReadSlice('\n')
			if err != nil {
				return fmt.Errorf("load: %w", err)
			}
			if len(line) < 4 || string(line[:3]) != code {
				return fmt.Errorf("load: answer %q, want %s", strings.TrimSpace(string(line)), code)
			}
			if line[3] == ' ' {
				break
			}
		}
	}
	return nil
}

// For sends a message over and over, on so many connections at once, for a while. It says how many were answered
// 250 and how long that took: a message begun in time is waited for.
func (t Target) For(d time.Duration, conns int, m Message) (n int, took time.Duration, err error) {
	var end time.Time // set before anything is sent
	return t.run(conns, m, func() { end = time.Now().Add(d) }, func() bool { return time.Now().Before(end) })
}

// Times sends a message n times over so many connections at once.
func (t Target) Times(n, conns int, m Message) (took time.Duration, err error) {
	var left atomic.Int64
	left.Store(int64(n))
	_, took, err = t.run(conns, m, func() {}, func() bool { return left.Add(-1) >= 0 })
	return took, err
}

func (t Target) run(conns int, m Message, begin func(), more func() bool) (int, time.Duration, error) {
	sessions := make([]*Session, 0, conns)
	defer func() {
		for _, s := range sessions {
			s.Close()
		}
	}()
	for range conns {
		s, err := t.Dial()
		if err != nil {
			return 0, 0, err
		}
		sessions = append(sessions, s)
	}
	var n atomic.Int64
	var wg sync.WaitGroup
	errs := make([]error, conns)
	began := time.Now()
	begin()
	for i, s := range sessions {
		wg.Go(func() {
			for errs[i] == nil && more() {
				if errs[i] = s.Send(m); errs[i] == nil {
					n.Add(1)
				}
			}
		})
	}
	wg.Wait()
	return int(n.Load()), time.Since(began), errors.Join(errs...)
}
