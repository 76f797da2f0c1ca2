package cms

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/fips140"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"io"

	"postern/smime/cms/ber"
)

// Recipient is one certificate to encrypt for.
type Recipient struct {
	Cert      *x509.Certificate
	Transport Transport // for RSA keys
}

// EnvelopeOptions say what to write.
type EnvelopeOptions struct {
	Recipients []Recipient
	Cipher     Cipher
	Size       int64     // octets of plaintext that will be written: lengths come first in DER
	Rand       io.Reader // nil = crypto/rand
	Budget     *Budget   // shared bound on contents held whole: those of a GCM cipher
}

// EnvelopeWriter encrypts what is written to it into an EnvelopedData, or AuthEnvelopedData for a
// GCM cipher, as definite-length DER in one pass. Close completes it; Free must be called in any case.
type EnvelopeWriter struct {
	w          io.Writer
	st         suite
	mode       cipher.BlockMode
	aead       cipher.AEAD
	nonce      []byte
	buf        []byte // not yet encrypted: less than a chunk (CBC), all of it (GCM)
	left       int64
	transports []string
	closed     bool
	budget     *Budget
	taken      int64 // of budget
}

// NewEnvelope writes everything that stands before the encrypted content.
func NewEnvelope(w io.Writer, o EnvelopeOptions) (*EnvelopeWriter, error) {
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if len(o.Recipients) == 0 || len(o.Recipients) > MaxRecipients {
		return nil, fmt.Errorf("cms: %d recipients, must be 1 to %d", len(o.Recipients), MaxRecipients)
	}
	st := o.Cipher.suite()
	if st.aead && fips140.Enforced() {
		return nil, failf(ReasonUnsupported, "sending %s is not available in FIPS 140 only mode; %s is", st.name, o.Cipher.CBC())
	}
	if st.aead && o.Size > MaxWhole {
		return nil, failf(ReasonLimit, "%s seals at most %d octets", st.name, MaxWhole)
	}
	cek := make([]byte, st.key) // fresh for every message (CMS-21)
	defer clear(cek)
	if _, err := io.ReadFull(o.Rand, cek); err != nil {
		return nil, fmt.Errorf("cms: content key: %w", err)
	}
	e := &EnvelopeWriter{w: w, st: st, left: o.Size}
	ris, version, err := e.recipientInfos(cek, o)
	if err != nil {
		return nil, err
	}
	if st.aead {
		if !o.Budget.take(o.Size) {
			return nil, failf(ReasonBusy, "memory for authenticated content is in use")
		}
		e.budget, e.taken = o.Budget, o.Size
	}
	params, err := e.start(cek, o.Rand)
	if err == nil {
		err = e.header(ris, params, version, o.Size)
	}
	if err != nil {
		e.Free()
		return nil, err
	}
	return e, nil
}

// Free gives back what the writer holds, whether it was completed or not.
func (e *EnvelopeWriter) Free() {
	clear(e.buf)
	e.buf = nil
	e.budget.give(e.taken)
	e.taken = 0
}

// Transports names how the content key was wrapped, per recipient, in order.
func (e *EnvelopeWriter) Transports() []string { return e.transports }

// start prepares the cipher and returns its AlgorithmIdentifier parameters.
func (e *EnvelopeWriter) start(cek []byte, rnd io.Reader) ([]byte, error) {
	block, err := aes.NewCipher(cek)
	if err != nil {
		return nil, fmt.Errorf("cms: content cipher: %w", err)
	}
	if e.st.aead {
		if e.aead, err = cipher.NewGCM(block); err != nil {
			return nil, fmt.Errorf("cms: content cipher: %w", err)
		}
		e.nonce = make([]byte, 12)
		e.buf = make([]byte, 0, e.left+16) // sealed in place, with its tag
		_, err = io.ReadFull(rnd, e.nonce)
		return ber.Build(ber.Sequence, ber.Build(ber.OctetString, e.nonce), derInteger([]byte{16})), err // RFC 5084 §3.2
	}
	iv := make([]byte, aes.BlockSize)
	if _, err := io.ReadFull(rnd, iv); err != nil {
		return nil, fmt.Errorf("cms: initialisation vector: %w", err)
	}
	e.mode = cipher.NewCBCEncrypter(block, iv)
	e.buf = make([]byte, 0, min(chunkSize, (e.left/16+1)*16))
	return ber.Build(ber.OctetString, iv), nil
}

// header writes the outer structure: all its lengths are known (RFC 5652 §6.1, RFC 5083 §2.1).
func (e *EnvelopeWriter) header(ris, params []byte, version byte, size int64) error {
	encrypted := size
	typ, tail := oidEnvelopedData, int64(0)
	if e.st.aead {
		typ, version = oidAuthEnvelopedData, 0
		tail = 2 + 16 // mac
	} else {
		encrypted = (size/16 + 1) * 16 // always padded (CMS-26)
	}
	algLen := ber.Size(len(e.st.oid)) + len(params)
	eciFixed := ber.AppendString(make([]byte, 0, ber.Size(len(oidData))+ber.Size(algLen)), ber.OID, string(oidData))
	eciFixed = ber.AppendString(ber.AppendHeader(eciFixed, ber.Sequence, int64(algLen)), ber.OID, string(e.st.oid))
	eciFixed = append(eciFixed, params...)
	eciLen := int64(len(eciFixed)) + 1 + int64(ber.LengthSize(encrypted)) + encrypted
	headLen := 3 + len(ris)
	envLen := int64(headLen) + 1 + int64(ber.LengthSize(eciLen)) + eciLen + tail
	env := 1 + int64(ber.LengthSize(envLen)) + envLen
	explicit := 1 + int64(ber.LengthSize(env)) + env

	out := make([]byte, 0, 64+headLen+len(eciFixed))
	out = ber.AppendHeader(out, ber.Sequence, int64(ber.Size(len(typ)))+explicit)
	out = ber.AppendString(out, ber.OID, string(typ))
	out = ber.AppendHeader(out, ber.ContextConstructed(0), env)
	out = ber.AppendHeader(out, ber.Sequence, envLen)
	out = append(append(out, ber.Integer, 1, version), ris...)
	out = ber.AppendHeader(out, ber.Sequence, eciLen)
	out = append(out, eciFixed...)
	out = ber.AppendHeader(out, ber.ContextPrimitive(0), encrypted)
	_, err := e.w.Write(out)
	return err
}

// Write encrypts p.
func (e *EnvelopeWriter) Write(p []byte) (int, error) {
	if int64(len(p)) > e.left {
		return 0, fmt.Errorf("cms: %d octets more than announced", int64(len(p))-e.left)
	}
	e.left -= int64(len(p))
	if e.aead != nil {
		e.buf = append(e.buf, p...)
		return len(p), nil
	}
	done := len(p)
	for len(p) > 0 {
		n := copy(e.buf[len(e.buf):cap(e.buf)], p)
		e.buf = e.buf[:len(e.buf)+n]
		p = p[n:]
		if len(e.buf) == cap(e.buf) {
			if err := e.flush(); err != nil {
				return 0, err
			}
		}
	}
	return done, nil
}

// flush encrypts the buffer in place: whole blocks.
func (e *EnvelopeWriter) flush() error {
	e.mode.CryptBlocks(e.buf, e.buf)
	_, err := e.w.Write(e.buf)
	e.buf = e.buf[:0]
	return err
}

// Close pads and writes the last block, or seals and writes the tag.
func (e *EnvelopeWriter) Close() error {
	if e.closed {
		return nil
	}
	e.closed = true
	if e.left != 0 {
		return fmt.Errorf("cms: %d octets fewer than announced", e.left)
	}
	if e.aead != nil {
		sealed := e.aead.Seal(e.buf[:0], e.nonce, e.buf, nil)
		n := len(sealed) - 16
		if _, err := e.w.Write(sealed[:n]); err != nil {
			return err
		}
		_, err := e.w.Write(ber.Build(ber.OctetString, sealed[n:]))
		return err
	}
	pad := 16 - len(e.buf)%16
	for range pad {
		e.buf = append(e.buf, byte(pad))
	}
	return e.flush()
}

// recipientInfos wraps the content key for every recipient and returns the SET and the version
// (CMS-20): 0 when all are key transport by issuer and serial, else 2.
func (e *EnvelopeWriter) recipientInfos(cek []byte, o EnvelopeOptions) ([]byte, byte, error) {
	version := byte(0)
	infos := make([][]byte, 0, len(o.Recipients))
	for _, r := range o.Recipients {
		var info []byte
		var name string
		var err error
		switch pub := publicKey(r.Cert).(type) {
		case *rsa.PublicKey:
			name = r.Transport.String()
			info, err = keyTransInfo(cek, r, pub, o.Rand)
		case *ecdsa.PublicKey:
			var k *ecdh.PublicKey
			if k, err = pub.ECDH(); err == nil {
				version = 2
				info, name, err = keyAgreeInfo(cek, r.Cert, k, o.Rand)
			}
		case *ecdh.PublicKey:
			version = 2
			info, name, err = keyAgreeInfo(cek, r.Cert, pub, o.Rand)
		default:
			err = failf(ReasonUnsupported, "recipient key of kind %T", pub)
		}
		if err != nil {
			return nil, 0, fmt.Errorf("cms: encrypt to certificate %s of %s: %w", r.Cert.SerialNumber, r.Cert.Issuer, err)
		}
		infos = append(infos, info)
		e.transports = append(e.transports, name)
	}
	return ber.SetOf(ber.Set, infos), version, nil
}

// oaepDER is RSAES-OAEP with 30 00 for parameters: all defaults.
const oaepDER = "\x30\x0d\x06\x09" + string(oidOAEP) + "\x30\x00"

// transportAlgorithm is the AlgorithmIdentifier of a key transport (CMS-23).
func transportAlgorithm(t Transport) []byte {
	switch t {
	case PKCS1v15:
		return []byte(rsaDER)
	case OAEPSHA256:
		sha := ber.Build(ber.Sequence, oidSHA256.der())
		mgf := ber.Build(ber.Sequence, oidMGF1.der(), sha)
		return ber.Build(ber.Sequence, oidOAEP.der(), ber.Build(ber.Sequence,
			ber.Build(ber.ContextConstructed(0), sha), ber.Build(ber.ContextConstructed(1), mgf)))
	}
	return []byte(oaepDER)
}

// keyTransInfo is KeyTransRecipientInfo version 0 (RFC 5652 §6.2.1).
func keyTransInfo(cek []byte, r Recipient, pub *rsa.PublicKey, rnd io.Reader) ([]byte, error) {
	var enc []byte
	var err error
	t := r.Transport.real()
	if fips140.Enforced() && t != OAEPSHA256 {
		return nil, failf(ReasonUnsupported, "%s is not available in FIPS 140 only mode; rsaes-oaep-sha256 is", t)
	}
	switch t {
	case PKCS1v15:
		//lint:ignore SA1019 some certified peers read nothing else (CMS-24); only sent where chosen for them
		enc, err = rsa.EncryptPKCS1v15(rnd, pub, cek)
	case OAEPSHA256:
		enc, err = rsa.EncryptOAEP(sha256.New(), rnd, pub, cek, nil)
	default:
		enc, err = rsa.EncryptOAEP(sha1.New(), rnd, pub, cek, nil)
	}
	if err != nil {
		return nil, err
	}
	alg := transportAlgorithm(t)
	id := ber.Size(len(r.Cert.RawIssuer) + ber.Size(serialSize(r.Cert)))
	n := 3 + id + len(alg) + ber.Size(len(enc))
	b := ber.AppendHeader(make([]byte, 0, ber.Size(n)), ber.Sequence, int64(n))
	b = append(b, ber.Integer, 1, 0)
	b = append(appendIssuerAndSerial(b, r.Cert), alg...)
	return ber.Append(b, ber.OctetString, enc), nil
}

// keyAgreeInfo is KeyAgreeRecipientInfo with an ephemeral key (RFC 5753 §3.1, RFC 8418 §2.1): X9.63
// KDF with SHA-256, which more peers read than HKDF, for X25519 too; AES-256 key wrap.
func keyAgreeInfo(cek []byte, c *x509.Certificate, pub *ecdh.PublicKey, rnd io.Reader) ([]byte, string, error) {
	eph, err := pub.Curve().GenerateKey(rnd)
	if err != nil {
		return nil, "", err
	}
	z, err := eph.ECDH(pub)
	if err != nil {
		return nil, "", err
	}
	kdf, keyAlg := oidECDHSHA256, oidECPublicKey
	if pub.Curve() == ecdh.X25519() {
		keyAlg = oidX25519
	}
	scheme, _ := schemeOf(kdf)
	wrapAlg := ber.Build(ber.Sequence, oidAES256Wrap.der())
	kek, err := scheme.derive(z, sharedInfo(wrapAlg, nil, 32), nil, 32)
	if err != nil {
		return nil, "", err
	}
	wrapped, err := wrapAES(kek, cek)
	if err != nil {
		return nil, "", err
	}
	bits := ber.Build(ber.TagBitString, []byte{0}, eph.PublicKey().Bytes())
	origKey := ber.Build(ber.ContextConstructed(1), ber.Build(ber.Sequence, keyAlg.der()), bits)
	list := ber.Build(ber.Sequence, ber.Build(ber.Sequence, issuerAndSerial(c), ber.Build(ber.OctetString, wrapped)))
	info := ber.Build(ber.ContextConstructed(1), derInteger([]byte{3}), ber.Build(ber.ContextConstructed(0), origKey),
		ber.Build(ber.Sequence, kdf.der(), wrapAlg), list)
	return info, scheme.name, nil
}
