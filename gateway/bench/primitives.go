package bench

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"postern/certs"
	"postern/smime/part"
)

// piece is how much is worked on at a time: it stays in the cache.
const piece = 65664

// primitives is the arithmetic of one message: one private-key operation each way, one digest, one
// pass of the cipher, one of base64.
type primitives struct {
	from, to  *rsa.PrivateKey
	block     cipher.Block
	clear     []byte
	work      []byte
	text      []byte // clear in base64 lines
	wrapped   []byte
	signature []byte
	sum       [sha256.Size]byte
}

func newPrimitives(from, to certs.Credential) (*primitives, error) {
	p := &primitives{clear: bytes.Repeat([]byte("0123456789abcdef"), piece/16), work: make([]byte, piece)}
	var ok1, ok2 bool
	p.from, ok1 = from.Key.(*rsa.PrivateKey)
	p.to, ok2 = to.Key.(*rsa.PrivateKey)
	if !ok1 || !ok2 {
		return nil, errors.New("bench: RSA keys are needed")
	}
	var err error
	if p.block, err = aes.NewCipher(p.clear[:32]); err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	var text bytes.Buffer
	w := part.NewBase64Writer(&text)
	_, err1 := w.Write(p.clear)
	if err := errors.Join(err1, w.Close()); err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	p.text = text.Bytes()
	if p.signature, err = rsa.SignPKCS1v15(nil, p.from, crypto.SHA256, p.sum[:]); err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	if p.wrapped, err = rsa.EncryptOAEP(sha1.New(), rand.Reader, &p.to.PublicKey, p.clear[:32], nil); err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	return p, nil
}

// seal is the arithmetic of sealing n octets.
func (p *primitives) seal(n int) error {
	digest := sha256.New()
	mode := cipher.NewCBCEncrypter(p.block, p.clear[:16])
	b64 := part.NewBase64WriterSize(io.Discard, int64(n))
	for left := n; left > 0; left -= piece {
		size := min(left, piece)
		digest.Write(p.clear[:size])
		whole := (size + 15) / 16 * 16
		mode.CryptBlocks(p.work[:whole], p.clear[:whole])
		if _, err := b64.Write(p.work[:whole]); err != nil {
			return err
		}
	}
	if err := b64.Close(); err != nil {
		return err
	}
	if _, err := rsa.SignPKCS1v15(nil, p.from, crypto.SHA256, digest.Sum(nil)); err != nil {
		return err
	}
	_, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, &p.to.PublicKey, p.clear[:32], nil)
	return err
}

// open is the arithmetic of opening n octets.
func (p *primitives) open(n int) error {
	if _, err := rsa.DecryptOAEP(sha1.New(), nil, p.to, p.wrapped, nil); err != nil {
		return err
	}
	digest := sha256.New()
	mode := cipher.NewCBCDecrypter(p.block, p.clear[:16])
	b64 := part.NewBase64ReaderSize(&endless{text: p.text}, int64(n))
	for left := n; left > 0; left -= piece {
		size := min(left, piece)
		whole := (size + 15) / 16 * 16
		if _, err := io.ReadFull(b64, p.work[:whole]); err != nil {
			return err
		}
		mode.CryptBlocks(p.work[:whole], p.work[:whole])
		digest.Write(p.work[:size])
	}
	return rsa.VerifyPKCS1v15(&p.from.PublicKey, crypto.SHA256, p.sum[:], p.signature)
}

// endless is the same text over and over.
type endless struct {
	text []byte
	at   int
}

func (e *endless) Read(b []byte) (int, error) {
	n := copy(b, e.text[e.at:])
	e.at = (e.at + n) % len(e.text)
	return n, nil
}
