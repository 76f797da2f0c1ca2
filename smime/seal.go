package smime

import (
	"crypto"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"postern/smime/cms"
	"postern/smime/part"
)

// Content is a complete message that can be read at any offset.
type Content = *io.SectionReader

// Identity is who signs.
type Identity = cms.Identity

// Recipient is one certificate to encrypt for.
type Recipient = cms.Recipient

// SealOptions say by whom, for whom and with what. The zero values are the safe defaults.
type SealOptions struct {
	Signer     Identity
	Recipients []Recipient
	Cipher     cms.Cipher  // zero = AES-256-CBC
	Digest     crypto.Hash // zero = SHA-256
	Now        time.Time   // signing time, and Date if the message has none
	EightBit   bool        // the message holds octets over 127: said in the wrapper's header
	Rand       io.Reader   // nil = crypto/rand
	Budget     *cms.Budget // shared memory for messages sealed with AES-GCM, which are held whole; nil = only cms.MaxWhole each
}

// copyChunk is a multiple of 16 (cipher) and 57 (base64 lines).
const copyChunk = 65664

// Seal writes the complete sealed message to w: wrapped as message/rfc822, signed, encrypted
// (AS-32 to AS-39). inner is the complete canonical inner message and goes in octet for octet.
// Lengths are known before the first octet, so nothing is held: inner is read once, or twice when
// the signature's length depends on the content (ECDSA). After an error, what was written to w must be
// thrown away.
func Seal(w io.Writer, inner Content, o SealOptions) (*SealReport, error) {
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	h, err := part.ReadHeader(inner, inner.Size(), part.Limits{})
	if err != nil {
		return nil, &Error{Reason: ReasonHeader, Detail: err.Error(), Err: err}
	}
	outer, err := outerHeader(h, o.Now)
	if err != nil {
		return nil, err
	}
	signer, err := cms.NewDetachedSigner(cms.SignOptions{Signer: o.Signer, Digest: o.Digest, Now: o.Now, Rand: o.Rand})
	if err != nil {
		return nil, lift(err)
	}
	e, err := newEntity(signer, inner, o)
	if err != nil {
		return nil, err
	}
	count := &counter{w: w}
	if _, err := count.Write(append(outer, pkcs7Header(o.Cipher)...)); err != nil {
		return nil, fmt.Errorf("smime: write: %w", err)
	}
	b64 := part.NewBase64WriterSize(count, e.size+8<<10)
	env, err := cms.NewEnvelope(b64, cms.EnvelopeOptions{Recipients: o.Recipients, Cipher: o.Cipher, Size: e.size, Rand: o.Rand, Budget: o.Budget})
	if err != nil {
		return nil, lift(err)
	}
	defer env.Free()
	if err := e.write(env); err != nil {
		return nil, err
	}
	if err := env.Close(); err != nil {
		return nil, fmt.Errorf("smime: write: %w", err)
	}
	if err := b64.Close(); err != nil {
		return nil, fmt.Errorf("smime: write: %w", err)
	}
	r := &SealReport{V: ReportVersion, Cipher: o.Cipher.String(), Digest: signer.Micalg(), Signature: signer.Scheme(),
		Signer: refOf(o.Signer.Cert), InnerSize: inner.Size(), SealedSize: count.n}
	for i, t := range env.Transports() {
		r.Recipients = append(r.Recipients, SealRecipient{Cert: refOf(o.Recipients[i].Cert), Transport: t})
	}
	return r, nil
}

// pkcs7Header is the S/MIME header of the outer message (AS-38).
func pkcs7Header(c cms.Cipher) string {
	kind := cms.TypeEnveloped
	if c == cms.AES256GCM || c == cms.AES128GCM {
		kind = cms.TypeAuthEnveloped
	}
	return "Content-Type: application/pkcs7-mime; smime-type=" + kind.String() + "; name=\"smime.p7m\"\r\n" +
		"Content-Transfer-Encoding: base64\r\n" +
		"Content-Disposition: attachment; filename=\"smime.p7m\"\r\n\r\n"
}

// entity is the multipart/signed that is encrypted: fixed texts around the inner message and its
// signature.
type entity struct {
	signer    *cms.DetachedSigner
	inner     Content
	head      string // up to the signed part
	wrapper   string // header of the signed part
	middle    string // between inner message and signature
	end       string
	signature []byte // nil until made
	size      int64
}

func newEntity(signer *cms.DetachedSigner, inner Content, o SealOptions) (*entity, error) {
	var id [16]byte
	if _, err := io.ReadFull(o.Rand, id[:]); err != nil {
		return nil, fmt.Errorf("smime: boundary: %w", err)
	}
	// 128 random bits cannot occur in the message by chance, nor by design (CMS-42).
	boundary := "=_" + hex.EncodeToString(id[:])
	e := &entity{signer: signer, inner: inner}
	e.head = "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\";\r\n micalg=" + signer.Micalg() +
		"; boundary=\"" + boundary + "\"\r\n\r\n--" + boundary + "\r\n"
	e.wrapper = "Content-Type: message/rfc822\r\n"
	if o.EightBit {
		e.wrapper += "Content-Transfer-Encoding: 8bit\r\n"
	}
	e.wrapper += "\r\n"
	e.middle = "\r\n--" + boundary + "\r\nContent-Type: application/pkcs7-signature; name=smime.p7s\r\n" +
		"Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=\"smime.p7s\"\r\n\r\n"
	e.end = "--" + boundary + "--\r\n"
	n, known := signer.Size()
	if !known {
		if err := e.presign(); err != nil {
			return nil, err
		}
		n = len(e.signature)
	}
	e.size = int64(len(e.head)+len(e.wrapper)+len(e.middle)+len(e.end)) + inner.Size() + part.Base64Size(int64(n))
	return e, nil
}

// presign makes the signature in a pass of its own, where its length cannot be told beforehand.
func (e *entity) presign() error {
	digest := e.signer.Digest().New()
	io.WriteString(digest, e.wrapper)
	if _, err := io.CopyBuffer(digest, io.NewSectionReader(e.inner, 0, e.inner.Size()), make([]byte, copyChunk)); err != nil {
		return fmt.Errorf("smime: read message: %w", err)
	}
	var err error
	e.signature, err = e.signer.Sign(digest.Sum(nil))
	return lift(err)
}

// write passes the whole entity to w, digesting the signed part on the way.
func (e *entity) write(w io.Writer) error {
	digest := e.signer.Digest().New()
	io.WriteString(digest, e.wrapper)
	if _, err := io.WriteString(w, e.head+e.wrapper); err != nil {
		return fmt.Errorf("smime: write: %w", err)
	}
	if err := e.copy(w, digest); err != nil {
		return err
	}
	if e.signature == nil {
		var err error
		if e.signature, err = e.signer.Sign(digest.Sum(nil)); err != nil {
			return lift(err)
		}
	}
	if _, err := io.WriteString(w, e.middle); err != nil {
		return fmt.Errorf("smime: write: %w", err)
	}
	b64 := part.NewBase64WriterSize(w, int64(len(e.signature)))
	if _, err := b64.Write(e.signature); err != nil {
		return fmt.Errorf("smime: write: %w", err)
	}
	if err := b64.Close(); err != nil {
		return fmt.Errorf("smime: write: %w", err)
	}
	if _, err := io.WriteString(w, e.end); err != nil {
		return fmt.Errorf("smime: write: %w", err)
	}
	return nil
}

// copy passes the inner message to w; reading and digesting run one piece ahead of encrypting in a
// large one.
func (e *entity) copy(w io.Writer, digest hash.Hash) error {
	if e.signature != nil {
		digest = nil // made in a pass of its own
	}
	r := newReader(e.inner, digest)
	use := func(b []byte) error {
		if _, err := w.Write(b); err != nil {
			return fmt.Errorf("smime: write: %w", err)
		}
		return nil
	}
	for range overlapAfter {
		b, err := r.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("smime: read message: %w", err)
		}
		if err := use(b); err != nil {
			return err
		}
	}
	r.ahead(piecesAhead + 1)
	next := func() ([]byte, error) {
		b, err := r.next()
		if err != nil && !errors.Is(err, io.EOF) {
			err = fmt.Errorf("smime: read message: %w", err)
		}
		return b, err
	}
	return overlap(next, use)
}

// counter counts what passes.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
