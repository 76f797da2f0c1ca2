package crash_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/smtp"
	"net/textproto"
	"strings"
	"sync"
	"time"

	"postern/smime/addr"
)

// destiny is what must become of a message.
type destiny string

const (
	filed  destiny = "filed"  // in the recipient's inbox
	held   destiny = "held"   // by a domain that trusts nobody
	failed destiny = "failed" // there is no such recipient: one failure notice
)

// letter is one message and what its sender heard.
type letter struct {
	rfcID    string
	by, to   *site
	rcpt     addr.Address
	destiny  destiny
	sum      [32]byte // of the octets submitted
	size     int64
	answered bool   // 250 was read
	told     string // our id in the 250
}

// text writes a letter: mixed sizes, most of them small, a few of megabytes.
func (l *letter) text(r *rand.Rand) string {
	size := 1 << 10
	switch p := r.IntN(100); {
	case p < 60:
		size += r.IntN(7 << 10)
	case p < 85:
		size += 8<<10 + r.IntN(50<<10)
	case p < 97:
		size += 60<<10 + r.IntN(340<<10)
	default:
		size += 400<<10 + r.IntN(1600<<10)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "From: %s\r\nTo: %s\r\nSubject: A letter\r\nMessage-ID: <%s>\r\nDate: %s\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n",
		l.by.sender, l.rcpt, l.rfcID, time.Now().UTC().Format(time.RFC1123Z))
	for b.Len() < size {
		fmt.Fprintf(&b, "%016x%016x%016x%016x\r\n", r.Uint64(), r.Uint64(), r.Uint64(), r.Uint64())
	}
	l.sum, l.size = sha256.Sum256([]byte(b.String())), int64(b.Len())
	return b.String()
}

// newLetter makes the nth letter of a sender.
func newLetter(n int, by, to *site, r *rand.Rand) *letter {
	l := &letter{rfcID: fmt.Sprintf("%d.%x@crash.%s", n, r.Uint32(), by.domain), by: by, to: to, rcpt: to.intake(), destiny: filed}
	switch p := r.IntN(100); {
	case p < 4:
		l.rcpt, l.destiny = to.unknown(), failed
	case p < 8:
		l.rcpt, l.destiny = to.closed(), held
	}
	return l
}

// errUnsent means that the end of the message was not sent, so that nobody can have accepted it.
var errUnsent = errors.New("not sent")

// post submits one letter over a session that is kept while it lasts.
func (l *letter) post(c *smtp.Client, text string) error {
	if err := errors.Join(c.Mail(l.by.sender.String()), c.Rcpt(l.rcpt.String())); err != nil {
		return fmt.Errorf("%w: %w", errUnsent, err)
	}
	id, err := c.Text.Cmd("DATA")
	if err != nil {
		return fmt.Errorf("%w: %w", errUnsent, err)
	}
	c.Text.StartResponse(id)
	_, _, err = c.Text.ReadResponse(354)
	c.Text.EndResponse(id)
	if err != nil {
		return fmt.Errorf("%w: %w", errUnsent, err)
	}
	w := c.Text.DotWriter()
	if _, err := w.Write([]byte(text)); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	_, words, err := c.Text.ReadResponse(250)
	if err != nil {
		return err
	}
	l.answered = true
	l.told = words[strings.LastIndex(words, " ")+1:]
	return nil
}

// dial logs in to a site's submission service.
func dial(s *site) (*smtp.Client, error) {
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 2 * time.Second}, "tcp", s.at(2), &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // our own self-signed
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(5 * time.Minute))
	c, err := smtp.NewClient(conn, "127.0.0.1")
	if err == nil {
		err = c.Auth(smtp.PlainAuth("", "ehr", s.password, "127.0.0.1"))
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

// load is what one site sends: so many letters at a rate, over several sessions.
type load struct {
	by, to *site
	n      int
	rate   float64 // a second
	seed   uint64
	fault  func(error)

	mu      sync.Mutex
	letters []*letter
}

const sessions = 6

func (l *load) run(ctx context.Context) {
	due := make(chan int, l.n)
	var wg sync.WaitGroup
	for range sessions {
		wg.Go(func() { l.session(ctx, due) })
	}
	t := time.NewTicker(time.Duration(float64(time.Second) / l.rate))
	defer t.Stop()
	for n := 0; n < l.n && ctx.Err() == nil; n++ {
		<-t.C
		due <- n
	}
	close(due)
	wg.Wait()
}

// session posts letters until there are none; a connection that breaks is made anew.
func (l *load) session(ctx context.Context, due <-chan int) {
	var c *smtp.Client
	defer func() {
		if c != nil {
			c.Close()
		}
	}()
	for n := range due {
		r := rand.New(rand.NewPCG(l.seed, uint64(n)))
		m := newLetter(n, l.by, l.to, r)
		text := m.text(r)
		for ctx.Err() == nil {
			if c == nil {
				var err error
				if c, err = dial(l.by); err != nil {
					time.Sleep(20 * time.Millisecond)
					continue
				}
			}
			err := m.post(c, text)
			if err == nil {
				break
			}
			var said *textproto.Error
			if errors.As(err, &said) && said.Code >= 500 {
				l.fault(fmt.Errorf("%s was refused for good: %w", m.rfcID, err))
			}
			c.Close()
			c = nil
			if !errors.Is(err, errUnsent) {
				break // not answered: it may have been accepted
			}
		}
		l.mu.Lock()
		l.letters = append(l.letters, m)
		l.mu.Unlock()
	}
}
