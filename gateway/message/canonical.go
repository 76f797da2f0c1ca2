package message

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// Canonical copies a message that comes from a file or a pipe, giving it the CRLF line ends of mail
// (AS-31): a text that has only LF gets CRLF, one that has only CRLF is copied unchanged. A text that
// mixes both, or has a CR alone, is refused with an *Error, because no choice of ours would be the
// sender's text; what was written by then must be thrown away. Nothing is added at the end.
// converted reports whether line ends were changed.
func Canonical(w io.Writer, r io.Reader) (converted bool, err error) {
	c := canonicalizer{w: bufio.NewWriter(w)}
	buf := make([]byte, 32<<10)
	for {
		n, rerr := r.Read(buf)
		if n > 0 {
			if err := c.chunk(buf[:n]); err != nil {
				return false, err
			}
		}
		if errors.Is(rerr, io.EOF) {
			break
		}
		if rerr != nil {
			return false, fmt.Errorf("message: canonical: %w", rerr)
		}
	}
	if c.lastCR {
		return false, &Error{ReasonBareCR, "at the end"}
	}
	if err := c.w.Flush(); err != nil {
		return false, fmt.Errorf("message: canonical: %w", err)
	}
	return c.lf > 0, nil
}

type canonicalizer struct {
	w        *bufio.Writer
	lastCR   bool
	lf, crlf int64 // line ends seen
}

// chunk copies octets line end by line end. A CR is held back until what follows it is known.
func (c *canonicalizer) chunk(p []byte) error {
	for len(p) > 0 {
		if c.lastCR {
			if p[0] != '\n' {
				return &Error{ReasonBareCR, c.where()}
			}
			c.lastCR = false
			c.crlf++
			p = p[1:]
			if err := c.lineEnd(); err != nil {
				return err
			}
			continue
		}
		n := bytes.IndexAny(p, "\r\n")
		if n < 0 {
			n = len(p)
		}
		if _, err := c.w.Write(p[:n]); err != nil {
			return fmt.Errorf("message: canonical: %w", err)
		}
		if n == len(p) {
			return nil
		}
		if p[n] == '\r' {
			c.lastCR = true
		} else {
			c.lf++
			if err := c.lineEnd(); err != nil {
				return err
			}
		}
		p = p[n+1:]
	}
	return nil
}

func (c *canonicalizer) lineEnd() error {
	if c.lf > 0 && c.crlf > 0 {
		return &Error{ReasonMixedLineEnds, c.where()}
	}
	if _, err := c.w.WriteString("\r\n"); err != nil {
		return fmt.Errorf("message: canonical: %w", err)
	}
	return nil
}

func (c *canonicalizer) where() string { return fmt.Sprintf("in line %d", c.lf+c.crlf) }
