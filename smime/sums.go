package smime

import (
	"bytes"
	"crypto"
	"fmt"
	"hash"
	"io"
)

// sums are the digests of signed content in all its forms. What the stream did not bring is taken from the
// scratch: one pass for the octets as received with every digest that a signer uses, and one more pass, with
// all of them, for every form of the ladder, however many forms and signers there are.
type sums struct {
	c      *candidate // as received
	hashes []crypto.Hash
	taken  map[form]map[crypto.Hash][]byte
}

func newSums(c *candidate, hashes []crypto.Hash) *sums {
	return &sums{c: c, hashes: hashes, taken: map[form]map[crypto.Hash][]byte{}}
}

func (s *sums) of(f form, h crypto.Hash) ([]byte, error) {
	if f == (form{}) && s.c.known.digest != nil && s.c.known.alg == h {
		return s.c.known.digest.Sum(nil), nil
	}
	if s.taken[f][h] == nil {
		if err := s.take(f); err != nil {
			return nil, err
		}
	}
	sum, ok := s.taken[f][h]
	if !ok { // SignerDigests and Verify would have to disagree
		return nil, fmt.Errorf("smime: digest %s was not taken", h)
	}
	return sum, nil
}

// take passes the content through all digests: as received alone, or in every form.
func (s *sums) take(f form) error {
	all := []form{{}}
	if f != (form{}) {
		all = forms()
	}
	end, err := s.c.tail()
	if err != nil {
		return err
	}
	var plain, lines digests
	plain = newDigests(s.hashes)
	to := io.Writer(plain)
	var crlf *crlfWriter
	if len(all) > 1 {
		lines = newDigests(s.hashes)
		crlf = newCRLFWriter(lines)
		to = io.MultiWriter(plain, crlf)
	}
	src := io.NewSectionReader(s.c.src, s.c.span.from, s.c.span.to-s.c.span.from-int64(len(end)))
	if _, err := io.CopyBuffer(to, struct{ io.Reader }{src}, make([]byte, copyChunk)); err != nil {
		return fmt.Errorf("smime: scratch: %w", err)
	}
	if crlf != nil {
		if err := crlf.flush(); err != nil {
			return err
		}
	}
	for _, f := range all {
		d := plain
		if f.crlf {
			d = lines
		}
		if s.taken[f], err = d.with(f.end(end)); err != nil {
			return err
		}
	}
	return nil
}

// digests are several over the same octets.
type digests map[crypto.Hash]hash.Hash

func newDigests(of []crypto.Hash) digests {
	d := digests{}
	for _, h := range of {
		d[h] = h.New()
	}
	return d
}

func (d digests) Write(p []byte) (int, error) {
	for _, h := range d {
		h.Write(p)
	}
	return len(p), nil
}

// with is the sums with some octets more at the end; d itself stays as it is.
func (d digests) with(end []byte) (map[crypto.Hash][]byte, error) {
	out := map[crypto.Hash][]byte{}
	for alg, h := range d {
		c, ok := h.(hash.Cloner)
		if !ok {
			return nil, fmt.Errorf("smime: digest %s has no state to copy", alg)
		}
		more, err := c.Clone()
		if err != nil {
			return nil, fmt.Errorf("smime: digest %s: %w", alg, err)
		}
		more.Write(end)
		out[alg] = more.Sum(nil)
	}
	return out, nil
}

// crlfWriter turns bare LF into CRLF and leaves everything else. What it writes comes in large pieces,
// however short the lines are. flush must follow the last Write.
type crlfWriter struct {
	w   io.Writer
	buf []byte
	cr  bool // the last octet was CR
}

func newCRLFWriter(w io.Writer) *crlfWriter {
	return &crlfWriter{w: w, buf: make([]byte, 0, copyChunk)}
}

func (c *crlfWriter) Write(p []byte) (int, error) {
	done := len(p)
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			c.cr = p[len(p)-1] == '\r'
			return done, c.put(p)
		}
		if i > 0 {
			c.cr = p[i-1] == '\r'
		}
		if err := c.put(p[:i]); err != nil {
			return 0, err
		}
		end := "\r\n"
		if c.cr {
			end = "\n"
		}
		if err := c.put([]byte(end)); err != nil {
			return 0, err
		}
		c.cr, p = false, p[i+1:]
	}
	return done, nil
}

func (c *crlfWriter) put(p []byte) error {
	if len(c.buf)+len(p) > cap(c.buf) {
		if err := c.flush(); err != nil {
			return err
		}
		if len(p) >= cap(c.buf) {
			_, err := c.w.Write(p)
			return err
		}
	}
	c.buf = append(c.buf, p...)
	return nil
}

func (c *crlfWriter) flush() error {
	if len(c.buf) == 0 {
		return nil
	}
	_, err := c.w.Write(c.buf)
	c.buf = c.buf[:0]
	return err
}
