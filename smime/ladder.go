package smime

import (
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
	sums := newSums(c, sd.SignerDigests(x.o.Legacy))
	verdicts, err := x.judge(sd, c, sums)
	if err != nil {
		return nil, lift(err)
	}
	if !anyValid(verdicts) && !c.exact && anyDigestMismatch(verdicts) {
		for _, f := range forms() {
			next := &candidate{src: c.src, span: c.span, form: f}
			again, err := x.judge(sd, next, sums)
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

func (x *opening) judge(sd *cms.Signed, c *candidate, sums *sums) ([]cms.Verdict, error) {
	start := make([]byte, 16)
	n, err := c.src.ReadAt(start, c.span.from)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("smime: scratch: %w", err)
	}
	return sd.Verify(cms.VerifyOptions{
		Legacy: x.o.Legacy,
		Start:  start[:min(int64(n), c.span.to-c.span.from)],
		Size:   c.span.to - c.span.from,
		Digest: func(h crypto.Hash) ([]byte, error) { return sums.of(c.form, h) },
	})
}

// tail is the line end at the end of the span: "", LF or CRLF.
func (c *candidate) tail() ([]byte, error) {
	b := make([]byte, min(2, c.span.to-c.span.from))
	if len(b) > 0 {
		if _, err := c.src.ReadAt(b, c.span.to-int64(len(b))); err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("smime: scratch: %w", err)
		}
	}
	return b[len(b)-lineEnd(b):], nil
}

// copy writes the candidate in its form.
func (c *candidate) copy(w io.Writer) error {
	end, err := c.tail()
	if err != nil {
		return err
	}
	src := io.NewSectionReader(c.src, c.span.from, c.span.to-c.span.from-int64(len(end)))
	buf := make([]byte, copyChunk)
	if c.form.crlf {
		lines := newCRLFWriter(w)
		if _, err = io.CopyBuffer(lines, struct{ io.Reader }{src}, buf); err == nil {
			err = lines.flush()
		}
	} else {
		_, err = io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{src}, buf)
	}
	if err == nil {
		_, err = w.Write(c.form.end(end))
	}
	if err != nil {
		return fmt.Errorf("smime: scratch: %w", err)
	}
	return nil
}

// end is what the form has in the place of the line end at the end of what was received.
func (f form) end(received []byte) []byte {
	var out []byte
	switch {
	case f.last < 0 || len(received) == 0:
	case f.crlf:
		out = append(out, '\r', '\n')
	default:
		out = append(out, received...)
	}
	if f.last > 0 {
		out = append(out, '\r', '\n')
	}
	return out
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
