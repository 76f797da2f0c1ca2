package smime

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"postern/smime/cms"
	"postern/smime/part"
)

// Key is a certificate with its private key.
type Key = cms.Key

// Limits bound one opening. The zero value means the defaults of packages part and cms.
type Limits struct {
	Header int64       // octets of any one header
	Budget *cms.Budget // shared memory for authenticated contents; nil = only cms.MaxWhole each
}

// OpenOptions say with which keys, where plaintext may wait, and how much is allowed.
type OpenOptions struct {
	Keys    []Key
	Scratch func() (Scratch, error) // nil = NewMemory
	Legacy  bool                    // SHA-1 and 3DES, for old evidence; marked in the receipt
	Limits  Limits
}

// Signer is one SignerInfo, evaluated on its own (AS-84). Trust and binding are not asked here.
type Signer struct {
	Cert         *x509.Certificate // nil when the message does not hold it
	Reason       Reason            // "" = cryptographically valid
	Detail       string
	Digest       string
	Signature    string
	SigningTime  time.Time // claimed
	Capabilities []Capability
}

// Line is the signer as receipts show it.
func (s Signer) Line() SignerLine {
	return SignerLine{Cert: refOf(s.Cert), Reason: s.Reason, Digest: s.Digest, Algorithm: s.Signature}
}

// Opened is a decrypted message with at least one cryptographically valid signer. Nothing in it may
// be acted on before such a signer is also bound to the sender and trusted.
type Opened struct {
	Inner   Content     // the complete inner message, octet for octet; valid until Close
	Header  part.Header // of Inner
	Outer   part.Header // of the sealed message: never signed
	Wrapped bool        // the inner message was wrapped as message/rfc822, so its header is signed
	Signers []Signer
	Certs   []*x509.Certificate // all parsable certificates of the message
	Report  Report

	scratches []Scratch
}

// Close destroys the plaintext.
func (o *Opened) Close() error {
	var first error
	for _, s := range o.scratches {
		if err := s.Discard(); err != nil && first == nil {
			first = err
		}
	}
	o.scratches, o.Inner = nil, nil
	return first
}

// opening is one run of Open.
type opening struct {
	o     OpenOptions
	out   *Opened
	plain *cms.Plaintext
	lim   part.Limits
}

// Open decrypts the sealed message read once from r and checks the signatures inside. It returns
// *Error with a Reason when nothing can be opened or no signer is cryptographically valid; plaintext
// is then already destroyed. Other errors are those of r and of the scratch. It never judges trust
// or binding. Every failure of decryption is ReasonUndecryptable, decided only after the whole
// message was gone through as if it were good (CMS-30, CMS-31).
func Open(r io.Reader, o OpenOptions) (*Opened, error) {
	if o.Scratch == nil {
		o.Scratch = NewMemory
	}
	run := &opening{o: o, out: &Opened{Report: Report{V: ReportVersion}}, lim: part.Limits{Header: o.Limits.Header}}
	err := lift(run.open(r))
	if run.plain != nil {
		if run.plain.Failed() && !isForeign(err) {
			err = &Error{Reason: cms.ReasonUndecryptable}
		}
		var e *Error
		if errors.As(err, &e) && e.Reason != cms.ReasonUndecryptable {
			e.Decrypted = run.plain.Finished()
		}
		run.plain.Close()
	}
	if err != nil {
		if cerr := run.out.Close(); cerr != nil {
			return nil, fmt.Errorf("smime: destroy plaintext: %w", cerr)
		}
		return nil, err
	}
	return run.out, nil
}

// isForeign reports an error that is no fault of the message: of its source or of the scratch.
func isForeign(err error) bool {
	var e *Error
	return err != nil && !errors.As(err, &e) && cms.ReasonOf(err) == ""
}

func (x *opening) open(r io.Reader) error {
	header, body, err := readHeader(r, x.lim)
	if err != nil {
		return err
	}
	x.out.Outer = header
	body, err = x.envelopeBody(header, body)
	if err != nil {
		return err
	}
	m, err := cms.Read(body)
	if err != nil {
		return x.notCMS(header, err)
	}
	switch m.Type() {
	case cms.TypeEnveloped, cms.TypeAuthEnveloped:
	case cms.TypeSigned, cms.TypeCompressed, cms.TypeDigested, cms.TypeData:
		return fail(ReasonNotEncrypted, m.Type().String()+" without an envelope")
	default:
		return fail(cms.ReasonUnsupported, "content type "+m.Type().String())
	}
	x.plain, err = m.Decrypt(cms.DecryptOptions{Keys: x.o.Keys, Legacy: x.o.Legacy, Budget: x.o.Limits.Budget, Plausible: plausible})
	if err != nil {
		return lift(err)
	}
	x.receiveEnvelope()
	if err := x.content(); err != nil {
		return err
	}
	if b, ok := body.(*part.Base64Reader); ok && b.Odd() > 0 {
		x.out.Report.lenient(LenientBase64)
	}
	return nil
}

// readHeader reads a header from the front of a stream; body is what follows.
func readHeader(r io.Reader, lim part.Limits) (part.Header, io.Reader, error) {
	limit := lim.Header
	if limit == 0 {
		limit = part.DefaultHeader
	}
	buf := make([]byte, 0, 8<<10)
	for {
		n, err := io.ReadFull(r, buf[len(buf):cap(buf)]) // whole, or a trickling source would cost a parse an octet
		buf = buf[:len(buf)+n]
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = io.EOF
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return part.Header{}, nil, err
		}
		h, ok, perr := part.ParseHeader(buf, err != nil, lim)
		if perr != nil {
			return h, nil, &Error{Reason: cms.ReasonLimit, Detail: perr.Error(), Err: perr}
		}
		if ok {
			rest := io.Reader(bytes.NewReader(buf[h.Size:]))
			if err == nil {
				rest = io.MultiReader(rest, r)
			}
			return h, rest, nil
		}
		if int64(len(buf)) > limit {
			return h, nil, fail(cms.ReasonLimit, "header too long")
		}
		if len(buf) == cap(buf) {
			buf = append(make([]byte, 0, 2*cap(buf)), buf...)
		}
	}
}

// isPKCS7 reports whether a header announces CMS: by type, or by a general type with an S/MIME file
// name (AS-40).
func isPKCS7(h part.Header) (is, odd bool) {
	typ, params, _ := part.ParseMedia(h.Get("Content-Type"))
	_, disposition, _ := part.ParseMedia(h.Get("Content-Disposition"))
	switch typ {
	case "application/pkcs7-mime":
		return true, false
	case "application/x-pkcs7-mime":
		return true, true // QUIRK: Netscape's old names, still sent by Java agents
	case "application/octet-stream", "application/pkcs7", "application/x-pkcs7":
		for _, name := range []string{params["name"], disposition["filename"]} {
			if strings.HasSuffix(strings.ToLower(strings.TrimSpace(name)), ".p7m") {
				return true, true // QUIRK: relays and edge systems that do not know the type
			}
		}
	}
	return false, false
}

// envelopeBody finds the outer CMS object's octets in the message.
func (x *opening) envelopeBody(h part.Header, body io.Reader) (io.Reader, error) {
	is, odd := isPKCS7(h)
	if !is {
		typ, params, _ := part.ParseMedia(h.Get("Content-Type"))
		if typ == "multipart/signed" && params["boundary"] != "" {
			return nil, fail(ReasonNotEncrypted, "multipart/signed without an envelope")
		}
		return nil, fail(ReasonNotSMIME, "content type "+shortened(printable(typ)))
	}
	if odd {
		x.out.Report.lenient(LenientMediaType)
	}
	r, lenient, err := transferDecode(h, body)
	if lenient {
		x.out.Report.lenient(LenientNoEncoding)
	}
	return r, err
}

// shortened keeps a detail small, whatever a sender wrote.
func shortened(s string) string {
	const most = 80
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

// transferDecode removes the transfer encoding of a CMS body. Where the header calls it an
// identity, the first octet decides: CMS starts with 30 hexadecimal and then a length that is never a
// base64 digit's continuation of "MI", so base64 without its label is recognised.
func transferDecode(h part.Header, body io.Reader) (io.Reader, bool, error) {
	size := int64(1 << 62)
	if s, ok := body.(*io.SectionReader); ok {
		size = s.Size()
	}
	enc := part.MediaType(h.Get("Content-Transfer-Encoding"))
	switch enc {
	case "base64":
		return part.NewBase64ReaderSize(body, size), false, nil
	case "quoted-printable":
		return part.NewQuotedReader(body), false, nil
	}
	start := make([]byte, 64)
	n, err := io.ReadFull(body, start)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, false, err
	}
	start = start[:n]
	body = io.MultiReader(bytes.NewReader(start), body)
	if text := bytes.TrimLeft(start, "\r\n \t"); len(text) > 0 && text[0] == 'M' {
		return part.NewBase64Reader(body), true, nil // QUIRK: encoders that leave the header out
	}
	return body, false, nil
}

// notCMS is the verdict on octets that are no ContentInfo: "not S/MIME" where only a file name
// said otherwise, damaged where the type did.
func (x *opening) notCMS(h part.Header, err error) error {
	if _, odd := isPKCS7(h); odd && cms.ReasonOf(err) == cms.ReasonMalformed {
		return fail(ReasonNotSMIME, "the content is not CMS")
	}
	return lift(err)
}

// plausible tells decrypted mail from octets decrypted with a wrong key: a header of printable text.
func plausible(start []byte) bool {
	line, _, _ := bytes.Cut(start, []byte("\n"))
	name, _, colon := bytes.Cut(line, []byte(":"))
	if !colon {
		return false
	}
	for _, c := range name {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return len(name) > 0
}

// receiveEnvelope writes the envelope's side of the receipt.
func (x *opening) receiveEnvelope() {
	info, r := x.plain.Info, &x.out.Report
	r.Envelope, r.Cipher, r.KeyTransport = info.Type.String(), info.Cipher, info.Transport
	r.Key, r.Recipients = refOf(info.Cert), info.Recipients
	if info.PKCS1v15 {
		r.lenient(LenientPKCS1)
	}
	if info.Unknown > 0 {
		r.lenient(LenientUnknownRcpt)
	}
	if info.Cipher == "3des-cbc" {
		r.lenient(LenientLegacy)
	}
	const forSigning = x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment
	if ku := info.Cert.KeyUsage; ku&forSigning != 0 && ku&(x509.KeyUsageKeyEncipherment|x509.KeyUsageKeyAgreement) == 0 {
		r.lenient(LenientSignKey)
	}
}

// scratch makes one more place for plaintext, destroyed with the Opened.
func (x *opening) scratch() (Scratch, error) {
	s, err := x.o.Scratch()
	if err != nil {
		return nil, fmt.Errorf("smime: scratch: %w", err)
	}
	x.out.scratches = append(x.out.scratches, s)
	return s, nil
}
