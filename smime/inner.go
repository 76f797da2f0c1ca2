package smime

import (
	"fmt"
	"io"
	"strings"

	"postern/smime/part"
)

// inner makes the inner message out of the signed content that verified.
func (x *opening) inner(c *candidate) error {
	signed, err := x.section(c)
	if err != nil {
		return err
	}
	h, err := part.ReadHeader(signed, signed.Size(), x.lim)
	if err != nil {
		return &Error{Reason: ReasonHeader, Detail: err.Error(), Err: err}
	}
	typ := part.MediaType(h.Get("Content-Type"))
	if typ != "message/rfc822" && typ != "message/global" {
		return x.unwrapped(h, signed)
	}
	x.out.Wrapped, x.out.Report.Wrapped = true, true
	x.out.Inner = io.NewSectionReader(signed, h.Size, signed.Size()-h.Size)
	enc := part.MediaType(h.Get("Content-Transfer-Encoding"))
	if enc == "base64" || enc == "quoted-printable" {
		x.out.Report.lenient(LenientWrapEncoding) // QUIRK: peers that encode message/rfc822 (CMS-47)
		if err := x.decodeWrapper(enc); err != nil {
			return err
		}
	}
	return x.header()
}

func (x *opening) header() error {
	h, err := part.ReadHeader(x.out.Inner, x.out.Inner.Size(), x.lim)
	if err != nil {
		return &Error{Reason: ReasonHeader, Detail: err.Error(), Err: err}
	}
	x.out.Header = h
	return nil
}

// section is the content in the form that verified: as it lies in the scratch, or rewritten into
// another scratch, so that what is delivered is exactly what was signed.
func (x *opening) section(c *candidate) (*io.SectionReader, error) {
	if c.form == (form{}) {
		return io.NewSectionReader(c.src, c.span.from, c.span.to-c.span.from), nil
	}
	s, err := x.scratch()
	if err != nil {
		return nil, err
	}
	if err := c.copy(s); err != nil {
		return nil, err
	}
	return io.NewSectionReader(s, 0, s.Size()), nil
}

func (x *opening) decodeWrapper(enc string) error {
	s, err := x.scratch()
	if err != nil {
		return err
	}
	buf := make([]byte, copyChunk)
	if _, err := io.CopyBuffer(struct{ io.Writer }{s}, struct{ io.Reader }{part.Decode(enc, x.out.Inner)}, buf); err != nil {
		return fmt.Errorf("smime: scratch: %w", err)
	}
	x.out.Inner = io.NewSectionReader(s, 0, s.Size())
	return nil
}

// unwrapped makes a complete message of a signed entity without a header of its own (AS-41): the
// outer fields that are not about MIME or transport, then the entity octet for octet. Those fields
// were not signed, and the receipt says so; the sender still has to match a signer's certificate.
func (x *opening) unwrapped(h part.Header, signed *io.SectionReader) error {
	x.out.Report.lenient(LenientUnwrapped)
	var front []byte
	for _, f := range x.out.Outer.Fields {
		if f.Name == "" || h.Has(f.Name) || transportField(f.Name) {
			continue
		}
		front = append(front, f.Raw...)
		if lineEnd(f.Raw) == 0 {
			front = append(front, '\r', '\n')
		}
	}
	if !h.Has("MIME-Version") {
		front = append(front, "MIME-Version: 1.0\r\n"...)
	}
	j := joined{front, signed}
	x.out.Inner = io.NewSectionReader(j, 0, j.size())
	return x.header()
}

// transportField names outer fields that do not belong to the message inside.
func transportField(name string) bool {
	n := strings.ToLower(name)
	if strings.HasPrefix(n, "content-") || strings.HasPrefix(n, "arc-") || strings.HasPrefix(n, "x-received") {
		return true
	}
	switch n {
	case "mime-version", "received", "return-path", "delivered-to", "dkim-signature", "authentication-results", "received-spf", "bcc":
		return true
	}
	return false
}
