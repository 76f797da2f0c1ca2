package fetch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
)

func newReader(b []byte) io.Reader { return bytes.NewReader(b) }

// classify turns an error of net/http into an Error of ours.
func classify(url string, err error) error {
	var own *Error
	var dns *net.DNSError
	switch {
	case errors.As(err, &own): // from checkRedirect
		own.URL = url
		return own
	case errors.Is(err, ErrForbidden):
		return &Error{Kind: Forbidden, URL: url, Err: err}
	case errors.As(err, &dns) && dns.IsNotFound:
		return &Error{Kind: NoSuchHost, URL: url, Err: err}
	}
	return &Error{Kind: Unreachable, URL: url, Err: err}
}

// limited is a body that ends in an error beyond its limit, and gives up the request's context when closed.
type limited struct {
	url       string
	body      io.ReadCloser
	left, max int64
	cancel    context.CancelFunc
}

func (l *limited) tooLarge() error {
	return &Error{Kind: TooLarge, URL: l.url, Err: fmt.Errorf("more than %d octets", l.max)}
}

// Read reads on; the octet after the last allowed one is the error.
func (l *limited) Read(p []byte) (int, error) {
	if l.left < 0 {
		return 0, l.tooLarge()
	}
	if int64(len(p)) > l.left+1 {
		p = p[:l.left+1]
	}
	n, err := l.body.Read(p)
	l.left -= int64(n)
	if l.left < 0 {
		return n - 1, l.tooLarge()
	}
	if err != nil && err != io.EOF {
		err = &Error{Kind: Unreachable, URL: l.url, Err: err}
	}
	return n, err
}

// Close ends the request.
func (l *limited) Close() error {
	l.cancel()
	return l.body.Close()
}
