package smime

import (
	"bytes"
	"crypto"
	"crypto/fips140"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
	"unicode/utf8"

	"postern/smime/cms"
	"postern/smime/part"
)

// maxSignature bounds the encoded signature part; certificates make up most of it.
const maxSignature = 4 << 20

// maxFront bounds what stands in front of the signed part: the header of the encrypted message and a preamble.
const maxFront = 512 << 10

// content reads the decrypted message: its root header decides what the rest is.
func (x *opening) content() error {
	head, err := x.rootHeader()
	if err != nil {
		return err
	}
	if !isText(head.start[:head.header.Size]) {
		if x.plain.Info.Type == cms.TypeEnveloped { // what a wrong key makes: the same answer as for one (CMS-31)
			return x.refuseAfter(fail(cms.ReasonUndecryptable, ""))
		}
		return x.refuseAfter(notText("header"))
	}
	typ, params, _ := part.ParseMedia(head.header.Get("Content-Type"))
	if typ == "multipart/signed" && params["boundary"] != "" {
		if len(params["boundary"]) > maxBoundary {
			return x.refuseAfter(fail(ReasonStructure, "a boundary that is too long"))
		}
		return x.detached(head, params)
	}
	if is, odd := isPKCS7(head.header); is {
		if odd {
			x.out.Report.lenient(LenientMediaType)
		}
		return x.opaque(head)
	}
	if err := x.drain(); err != nil {
		return err
	}
	if len(head.header.Fields) == 0 && x.plain.Info.Type == cms.TypeEnveloped {
		// Octets without any header field are what a wrong key makes: the same answer as for one (CMS-31).
		return fail(cms.ReasonUndecryptable, "")
	}
	return fail(ReasonUnsigned, "content type "+usualType(typ))
}

// usualType names a media type of a decrypted message that is refused. Only types everybody knows: details are kept
// with the refusal, and of what was decrypted nothing may be (whoever splices cipher blocks chooses what stands
// where a type is expected).
func usualType(typ string) string {
	switch typ {
	case "":
		return "none"
	case "text/plain", "text/html", "text/xml", "application/xml", "application/pdf", "application/zip", "application/octet-stream", "message/rfc822",
		"multipart/mixed", "multipart/alternative", "multipart/related", "multipart/report", "multipart/signed", "application/pkcs7-mime", "application/pkcs7-signature":
		return typ
	}
	return "of another kind"
}

// root is the header of the decrypted message and the octets read so far, which begin with it.
type root struct {
	header part.Header
	start  []byte
}

// isText tells text from what a wrong cipher block decrypts to: UTF-8 without control characters.
//
// In CBC whoever can alter a genuine message can put blocks into it that decrypt to what he cannot foresee. Where
// nothing is signed, which is everywhere but in the signed part, a reader that passes over such octets answers
// questions about them (is there a line end? how many of them are base64?), and with enough of those gives the
// message away (CMS-31, CMS-32). Two blocks of 16 octets, the fewest there can be, are text once in 10^11.
func isText(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\t' && c != '\r' && c != '\n' || c == 0x7f {
			return false
		}
	}
	return utf8.Valid(b)
}

func notText(where string) error {
	return fail(ReasonStructure, "octets that are not text in the "+where+", which is encrypted but not signed")
}

// rootHeader reads pieces of plaintext until the header is whole; it holds no more than a header may have.
func (x *opening) rootHeader() (root, error) {
	limit := int64(part.DefaultHeader)
	if x.lim.Header != 0 {
		limit = x.lim.Header
	}
	var start []byte
	for {
		b, err := x.plain.Next()
		if err != nil && !errors.Is(err, io.EOF) {
			return root{}, lift(err)
		}
		if start == nil && err == nil {
			start = b
		} else {
			start = append(start[:len(start):len(start)], b...)
		}
		h, ok, perr := part.ParseHeader(start, err != nil, x.lim)
		if perr != nil {
			return root{}, x.refuseAfter(&Error{Reason: cms.ReasonLimit, Detail: perr.Error(), Err: perr})
		}
		if ok {
			return root{own(h), start}, nil
		}
		if int64(len(start)) > limit { // one line without an end
			return root{}, x.refuseAfter(fail(cms.ReasonLimit, "header too long"))
		}
		start = bytes.Clone(start) // the next piece overwrites this one
	}
}

// own copies a header out of a buffer that is about to be overwritten.
func own(h part.Header) part.Header {
	fields := make([]part.Field, len(h.Fields))
	for i, f := range h.Fields {
		fields[i] = part.Field{Name: f.Name, Raw: bytes.Clone(f.Raw)}
	}
	h.Fields = fields
	return h
}

// drain reads to the end what will not be used, so that every refusal takes its time (CMS-31).
func (x *opening) drain() error {
	for {
		if _, err := x.plain.Next(); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return lift(err)
		}
	}
}

// hashOfMicalg is the digest a micalg parameter announces (CMS-44); SHA-256 when it says nothing
// usable: the signer decides in the end.
func hashOfMicalg(v string) (crypto.Hash, bool) {
	name, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(v)), ",")
	switch strings.TrimPrefix(strings.TrimSpace(name), "rsa-") {
	case "sha-256", "sha256":
		return crypto.SHA256, true
	case "sha-384", "sha384":
		return crypto.SHA384, true
	case "sha-512", "sha512":
		return crypto.SHA512, true
	case "sha-1", "sha1":
		return crypto.SHA1, true
	}
	return crypto.SHA256, false
}

// detached reads multipart/signed: everything goes to the scratch while the first part is digested.
func (x *opening) detached(head root, params map[string]string) error {
	s, err := x.scratch()
	if err != nil {
		return err
	}
	alg, _ := hashOfMicalg(params["micalg"])
	if alg == crypto.SHA1 && (!x.o.Legacy || fips140.Enforced()) {
		alg = crypto.SHA256
	}
	digest := alg.New()
	split := newSplitter(strings.TrimRight(params["boundary"], " \t"), head.header.Size, digest)
	if _, err := s.Write(head.start); err != nil {
		return fmt.Errorf("smime: scratch: %w", err)
	}
	split.feed(head.start[head.header.Size:])
	if err := x.stream(func(b []byte) error {
		if _, err := s.Write(b); err != nil {
			return fmt.Errorf("smime: scratch: %w", err)
		}
		split.feed(b)
		return nil
	}); err != nil {
		return err
	}
	split.finish()
	if err := x.signedParts(s, split, known{alg, digest}); err != nil {
		return err
	}
	x.checkMicalg(params["micalg"])
	return nil
}

// checkMicalg notes a micalg that no valid signer used (AS-37, CMS-44); the signer decides.
func (x *opening) checkMicalg(micalg string) {
	for _, one := range strings.Split(micalg, ",") {
		alg, ok := hashOfMicalg(one)
		for _, s := range x.out.Signers {
			if ok && s.Reason == "" && s.Digest == micalgName(alg) {
				return
			}
		}
	}
	if micalg != "" {
		x.out.Report.lenient(LenientMicalg)
	}
}

// micalgName is a digest as receipts and micalg name it (RFC 8551 §3.5.3.2).
func micalgName(h crypto.Hash) string {
	switch h {
	case crypto.SHA1:
		return "sha-1"
	case crypto.SHA384:
		return "sha-384"
	case crypto.SHA512:
		return "sha-512"
	}
	return "sha-256"
}

// known is a digest that is already there.
type known struct {
	alg    crypto.Hash
	digest hash.Hash
}

// signedParts checks the two parts that were found.
func (x *opening) signedParts(s Scratch, split *splitter, k known) error {
	switch {
	case split.extra:
		return fail(ReasonStructure, "a third part in multipart/signed")
	case split.state == inPreamble, split.state == inFirst, split.second.to <= split.second.from:
		return fail(ReasonStructure, "multipart/signed without its two parts")
	case split.behind:
		// Whoever can add cipher blocks to a genuine message would learn from its acceptance whether their
		// padding is right, and so, octet by octet, what other blocks hold (CMS-31, CMS-32).
		return fail(ReasonStructure, "something behind the end of multipart/signed")
	}
	if !split.closed {
		x.out.Report.lenient(LenientNotClosed)
	}
	if err := x.preamble(s, split); err != nil {
		return err
	}
	sd, err := x.signaturePart(io.NewSectionReader(s, split.second.from, split.second.to-split.second.from))
	if err != nil {
		return err
	}
	x.out.Report.Signature = "detached"
	form, err := x.verify(sd, &candidate{src: s, span: split.first, known: k})
	if err != nil {
		return err
	}
	return x.inner(form)
}

// preamble checks the text in front of the signed part, which is dropped.
func (x *opening) preamble(s Scratch, split *splitter) error {
	if split.first.from > maxFront {
		return fail(cms.ReasonLimit, "too much in front of the signed part")
	}
	text := make([]byte, split.first.from)
	if _, err := s.ReadAt(text, 0); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("smime: scratch: %w", err)
	}
	defer clear(text)
	if !isText(text) {
		return notText("text in front of the signed part")
	}
	return nil
}

// signaturePart reads the second part: a detached SignedData. Nothing in it may be passed over: see oddInside.
func (x *opening) signaturePart(sec *io.SectionReader) (*cms.Signed, error) {
	if sec.Size() > maxSignature {
		return nil, fail(cms.ReasonLimit, "signature part too long")
	}
	h, err := part.ReadHeader(sec, sec.Size(), x.lim)
	if err != nil {
		return nil, &Error{Reason: cms.ReasonLimit, Detail: err.Error(), Err: err}
	}
	head := make([]byte, h.Size)
	if _, err := sec.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("smime: scratch: %w", err)
	}
	if !isText(head) {
		return nil, notText("header of the signature")
	}
	typ := part.MediaType(h.Get("Content-Type"))
	switch typ {
	case "application/pkcs7-signature":
	case "application/x-pkcs7-signature", "application/octet-stream", "application/pkcs7-mime", "application/x-pkcs7-mime":
		x.out.Report.lenient(LenientMediaType) // QUIRK: old names, and relays that do not know the type
	default:
		return nil, fail(ReasonStructure, "the second part of multipart/signed is "+usualType(typ))
	}
	body, lenient, err := transferDecode(h, io.NewSectionReader(sec, h.Size, sec.Size()-h.Size))
	if err != nil {
		return nil, err
	}
	if lenient {
		x.out.Report.lenient(LenientNoEncoding)
	}
	m, err := cms.Read(body)
	if err != nil {
		return nil, lift(err)
	}
	sd, err := m.Signed()
	if err != nil {
		return nil, lift(err)
	}
	if sd.Content() != nil {
		return nil, fail(cms.ReasonDetached, "content inside a detached signature") // CMS-02
	}
	if err := sd.MustBeData(); err != nil {
		return nil, lift(err)
	}
	if err := sd.Finish(); err != nil {
		return nil, lift(err)
	}
	if b, ok := body.(*part.Base64Reader); ok && b.Odd() > 0 {
		return nil, oddInside()
	}
	return sd, nil
}

// oddInside refuses characters that are no base64 in what was encrypted. No relay can have put them there; and were
// they passed over, whoever adds cipher blocks to a genuine message would learn from its acceptance whether their
// padding is right, and how many of their octets are base64 (CMS-31, CMS-32).
func oddInside() error {
	return fail(ReasonStructure, "characters that are not base64 in the signature, which is encrypted")
}

// opaque reads application/pkcs7-mime inside the envelope: SignedData around its content.
func (x *opening) opaque(head root) error {
	rest := io.MultiReader(bytes.NewReader(bytes.Clone(head.start[head.header.Size:])), &plainReader{p: x.plain})
	body, lenient, err := transferDecode(head.header, rest)
	if err != nil {
		return lift(err)
	}
	if lenient {
		x.out.Report.lenient(LenientNoEncoding)
	}
	m, err := cms.Read(body)
	if err != nil {
		return x.refuseAfter(lift(err))
	}
	switch m.Type() {
	case cms.TypeSigned:
	case cms.TypeEnveloped, cms.TypeAuthEnveloped:
		return x.refuseAfter(fail(ReasonNested, "an envelope inside the envelope"))
	default:
		return x.refuseAfter(fail(cms.ReasonUnsupported, m.Type().String()+" inside the envelope"))
	}
	sd, err := m.Signed()
	if err != nil {
		return x.refuseAfter(lift(err))
	}
	if err := sd.MustBeData(); err != nil {
		return x.refuseAfter(lift(err))
	}
	if sd.Content() == nil {
		return x.refuseAfter(fail(ReasonStructure, "signed-data without content"))
	}
	form, err := x.readOpaque(sd)
	if err != nil {
		return x.refuseAfter(err)
	}
	if b, ok := body.(*part.Base64Reader); ok && b.Odd() > 0 {
		return x.refuseAfter(oddInside())
	}
	if err := x.drain(); err != nil {
		return err
	}
	x.out.Report.Signature = "opaque"
	x.out.Report.lenient(LenientOpaque)
	done, err := x.verify(sd, form)
	if err != nil {
		return err
	}
	return x.inner(done)
}

// refuseAfter goes through the rest of the plaintext before it refuses (CMS-31).
func (x *opening) refuseAfter(err error) error {
	if isForeign(err) {
		return err
	}
	if derr := x.drain(); derr != nil {
		return derr
	}
	return err
}

// readOpaque copies the enclosed content to a scratch, digesting it with what the message announces.
func (x *opening) readOpaque(sd *cms.Signed) (*candidate, error) {
	s, err := x.scratch()
	if err != nil {
		return nil, err
	}
	alg := crypto.SHA256
	for _, h := range sd.Digests() {
		if h != crypto.SHA1 || x.o.Legacy {
			alg = h
			break
		}
	}
	digest := alg.New()
	if err := copyTo(s, digest, sd.Content()); err != nil {
		return nil, lift(err)
	}
	if err := sd.Finish(); err != nil {
		return nil, lift(err)
	}
	return &candidate{src: s, span: span{0, s.Size()}, known: known{alg, digest}, exact: true}, nil
}

func copyTo(s Scratch, digest hash.Hash, r io.Reader) error {
	buf := make([]byte, copyChunk)
	for {
		n, err := r.Read(buf)
		if n > 0 {
			digest.Write(buf[:n])
			if _, werr := s.Write(buf[:n]); werr != nil {
				return fmt.Errorf("smime: scratch: %w", werr)
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// plainReader is the plaintext as a reader.
type plainReader struct {
	p *cms.Plaintext
	b []byte
}

func (r *plainReader) Read(p []byte) (int, error) {
	for len(r.b) == 0 {
		b, err := r.p.Next()
		if err != nil {
			return 0, err
		}
		r.b = b
	}
	n := copy(p, r.b)
	r.b = r.b[n:]
	return n, nil
}
