package lab

import (
	"fmt"
	"io"
	"net"
	"sync"

	"github.com/emersion/go-smtp"
)

// Edge is an SMTP server that stands for an EHR or a mail server behind a gateway: it keeps what it gets
// and answers as it is told. github.com/emersion/go-smtp is what the gateway itself stands on.
type Edge struct {
	At string // host:port

	server *smtp.Server
	done   chan error
	mu     sync.Mutex
	got    []Taken
	reply  *smtp.SMTPError
	news   chan struct{} // closed at the next message
}

// Taken is one message an Edge got.
type Taken struct {
	From string // "" is <>
	To   []string
	Data []byte
}

// StartEdge starts an edge on a free port of loopback.
func StartEdge() (*Edge, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("lab: edge: %w", err)
	}
	e := &Edge{At: l.Addr().String(), done: make(chan error, 1), news: make(chan struct{})}
	e.server = smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &edgeSession{edge: e}, nil }))
	e.server.Domain = "edge.example"
	e.server.MaxMessageBytes = 64 << 20
	go func() { e.done <- e.server.Serve(l) }()
	return e, nil
}

// Close stops the edge.
func (e *Edge) Close() error {
	err := e.server.Close()
	<-e.done
	return err
}

// Answer makes the edge answer DATA with that code and words from now on; 0 accepts again.
func (e *Edge) Answer(code int, enhanced smtp.EnhancedCode, words string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.reply = nil
	if code != 0 {
		e.reply = &smtp.SMTPError{Code: code, EnhancedCode: enhanced, Message: words}
	}
}

// Got is every message so far, and a channel that is closed when there is another one.
func (e *Edge) Got() ([]Taken, <-chan struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]Taken(nil), e.got...), e.news
}

type edgeSession struct {
	edge *Edge
	Taken
}

func (s *edgeSession) Mail(from string, _ *smtp.MailOptions) error {
	s.Taken = Taken{From: from}
	return nil
}

func (s *edgeSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.To = append(s.To, to)
	return nil
}

func (s *edgeSession) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.edge.mu.Lock()
	defer s.edge.mu.Unlock()
	if s.edge.reply != nil {
		return s.edge.reply
	}
	s.Taken.Data = b
	s.edge.got = append(s.edge.got, s.Taken)
	close(s.edge.news)
	s.edge.news = make(chan struct{})
	return nil
}

func (s *edgeSession) Reset()        {}
func (s *edgeSession) Logout() error { return nil }
