package smime

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"io"

	"postern/smime/cms"
)

// candidate is signed content in the scratch, in one of the forms it may have been signed in.
type candidate struct {
	src   Scratch
	span  span
	known known // digest of the form as received
	exact bool  // opaque content: no other form is possible
	form  form
}

// form is how the octets differ from those received.
type form struct {
	crlf bool // bare LF turned into CRLF
	last int  // +1: one line end more; -1: one less
}

// verify judges the signers, over the content as received and then over the forms a relay or a
// text-mode signer may have changed it to (CMS-50), each noted. It returns the form that verified.
func (x *opening) verify(sd *cms.Signed, c *candidate) (*candidate, error) {
	x.out.Certs = sd.Certificates()
	if len(sd.Skipped) > 0 {
		x.out.Report.lenient(LenientSkippedCerts)
	}
	verdicts, err := x.judge(sd, c)
	if err != nil {
		return nil, lift(err)
	}
	if !anyValid(verdicts) && !c.exact && anyDigestMismatch(verdicts) {
		for _, f := range forms() {
			next := &candidate{src: c.src, span: c.span, form: f}
			again, err := x.judge(sd, next)
			if err != nil {
				return nil, lift(err)
			}
			for i := range again {
				if again[i].NoAttributes && again[i].Reason == "" {
					again[i].Reason, again[i].Detail = cms.ReasonSignature, "no signed attributes, and not over the content as it came"
				}
			}
			if anyValid(again) {
				verdicts, c = again, next
				break
			}
		}
	}
	x.receiveSigners(verdicts, c)
	if !anyValid(verdicts) {
		return nil, &Error{Reason: verdicts[0].Reason, Detail: verdicts[0].Detail, Signers: x.out.Signers}
	}
	return c, nil
}

// forms is the ladder after the octets as received.
func forms() []form {
	return []form{{crlf: true}, {last: 1}, {last: -1}, {crlf: true, last: 1}, {crlf: true, last: -1}}
}

func anyValid(vs []cms.Verdict) bool {
	for _, v := range vs {
		if v.Reason == "" {
			return true
		}
	}
	return false
}

// anyDigestMismatch: only a signer whose attributes name another digest may be tried over another form.
// One without attributes never is: over an altered form, somebody else's signed attributes could pass for
// content that he signed.
func anyDigestMismatch(vs []cms.Verdict) bool {
	for _, v := range vs {
		if v.Reason == cms.ReasonDigest {
			return true
		}
	}
	return false
}

func (x *opening) judge(sd *cms.Signed, c *candidate) ([]cms.Verdict, error) {
	start := make([]byte, 16)
	n, err := c.src.ReadAt(start, c.span.from)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("smime: scratch: %w", err)
	}
	sums := map[crypto.Hash][]byte{}
	return sd.Verify(cms.VerifyOptions{
		Legacy: x.o.Legacy,
		Start:  start[:min(int64(n), c.span.to-c.span.from)],
		Size:   c.span.to - c.span.from,
		Digest: func(h crypto.Hash) ([]byte, error) {
			if sums[h] == nil {
				sum, err := c.sum(h)
				if err != nil {
					return nil, err
				}
				sums[h] = sum
			}
			return sums[h], nil
		},
	})
}

// sum is the digest of the candidate, from the stream if it was taken there, else from the scratch.
func (c *candidate) sum(h crypto.Hash) ([]byte, error) {
	if c.known.digest != nil && c.known.alg == h {
		return c.known.digest.Sum(nil), nil
	}
	d := h.New()
	if err := c.copy(d); err != nil {
		return nil, err
	}
	return d.Sum(nil), nil
}

// copy writes the candidate in its form.
func (c *candidate) copy(w io.Writer) error {
	n := c.span.to - c.span.from
	tail := make([]byte, min(2, n))
	if len(tail) > 0 {
		if _, err := c.src.ReadAt(tail, c.span.to-int64(len(tail))); err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("smime: scratch: %w", err)
		}
	}
	if c.form.last < 0 {
		n -= int64(lineEnd(tail))
	}
	src := io.NewSectionReader(c.src, c.span.from, n)
	if c.form.crlf {
		w = &crlfWriter{w: w}
	}
	if _, err := io.CopyBuffer(struct{ io.Writer }{w}, src, make([]byte, copyChunk)); err != nil {
		return fmt.Errorf("smime: scratch: %w", err)
	}
	if c.form.last > 0 {
		if _, err := io.WriteString(w, "\r\n"); err != nil {
			return err
		}
	}
	return nil
}

// crlfWriter turns bare LF into CRLF and leaves everything else.
type crlfWriter struct {
	w  io.Writer
	cr bool // the last octet was CR
}

func (c *crlfWriter) Write(p []byte) (int, error) {
	done := len(p)
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			c.cr = p[len(p)-1] == '\r'
			_, err := c.w.Write(p)
			return done, err
		}
		bare := i == 0 && !c.cr || i > 0 && p[i-1] != '\r'
		end := "\n"
		if bare {
			end = "\r\n"
		}
		if _, err := c.w.Write(p[:i]); err != nil {
			return 0, err
		}
		if _, err := io.WriteString(c.w, end); err != nil {
			return 0, err
		}
		c.cr = false
		p = p[i+1:]
	}
	return done, nil
}

// receiveSigners writes the signers' side of the result and the receipt.
func (x *opening) receiveSigners(vs []cms.Verdict, c *candidate) {
	r := &x.out.Report
	for _, v := range vs {
		x.out.Signers = append(x.out.Signers, Signer{Cert: v.Cert, Reason: v.Reason, Detail: v.Detail, Digest: v.Digest,
			Signature: v.Signature, SigningTime: v.SigningTime, Capabilities: v.Capabilities})
		r.Signers = append(r.Signers, SignerLine{Cert: refOf(v.Cert), Reason: v.Reason, Digest: v.Digest, Algorithm: v.Signature})
		if v.Reason != "" {
			continue
		}
		if v.NoAttributes {
			r.lenient(LenientNoAttributes)
		}
		if v.Reordered {
			r.lenient(LenientAttributes)
		}
		if v.Digest == "sha-1" {
			r.lenient(LenientLegacy)
		}
	}
	if c.form.crlf {
		r.lenient(LenientLineEnds)
	}
	if c.form.last != 0 {
		r.lenient(LenientFinalBreak)
	}
}
