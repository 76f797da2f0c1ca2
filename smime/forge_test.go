package smime_test

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/md5"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/binary"
	"math/big"
	"strings"
	"testing"

	"postern/smime/cms/ber"
)

// The forge writes CMS that no honest writer of ours would: odd, old, and hostile.

func oidDER(dotted string) []byte {
	var v asn1.ObjectIdentifier
	for _, s := range strings.Split(dotted, ".") {
		n := 0
		for _, c := range s {
			n = n*10 + int(c-'0')
		}
		v = append(v, n)
	}
	return ber.EncodeOID(v)
}

// Object identifiers the forge needs.
const (
	oData       = "1.2.840.113549.1.7.1"
	oSigned     = "1.2.840.113549.1.7.2"
	oEnveloped  = "1.2.840.113549.1.7.3"
	oAuthEnv    = "1.2.840.113549.1.9.16.1.23"
	oCompressed = "1.2.840.113549.1.9.16.1.9"
	oRSA        = "1.2.840.113549.1.1.1"
	oOAEP       = "1.2.840.113549.1.1.7"
	oMGF1       = "1.2.840.113549.1.1.8"
	oPSS        = "1.2.840.113549.1.1.10"
	oSHA1       = "1.3.14.3.2.26"
	oMD5        = "1.2.840.113549.2.5"
	oSHA256     = "2.16.840.1.101.3.4.2.1"
	oSHA384     = "2.16.840.1.101.3.4.2.2"
	oSHA512     = "2.16.840.1.101.3.4.2.3"
	oEd25519    = "1.3.101.112"
	oECDSA256   = "1.2.840.10045.4.3.2"
	oECDSA384   = "1.2.840.10045.4.3.3"
	oECDSA512   = "1.2.840.10045.4.3.4"
	oAES128CBC  = "2.16.840.1.101.3.4.1.2"
	oAES256CBC  = "2.16.840.1.101.3.4.1.42"
	oAES256GCM  = "2.16.840.1.101.3.4.1.46"
	o3DES       = "1.2.840.113549.3.7"
	oAES256Wrap = "2.16.840.1.101.3.4.1.45"
)

func null() []byte { return ber.Build(ber.TagNull) }

func seq(parts ...[]byte) []byte { return ber.Build(ber.Sequence, parts...) }

func set(parts ...[]byte) []byte { return ber.Build(ber.Set, parts...) }

func octets(b []byte) []byte { return ber.Build(ber.OctetString, b) }

func integer(n int) []byte {
	return ber.Build(ber.Integer, big.NewInt(int64(n)).FillBytes(make([]byte, 2)))
}

func ctx(tag byte, parts ...[]byte) []byte { return ber.Build(ber.ContextConstructed(tag), parts...) }

func alg(dotted string, params ...[]byte) []byte {
	return seq(append([][]byte{oidDER(dotted)}, params...)...)
}

func hashOID(h crypto.Hash) string {
	return map[crypto.Hash]string{crypto.MD5: oMD5, crypto.SHA1: oSHA1, crypto.SHA256: oSHA256, crypto.SHA384: oSHA384, crypto.SHA512: oSHA512}[h]
}

func sum(h crypto.Hash, b []byte) []byte {
	if h == crypto.MD5 {
		s := md5.Sum(b)
		return s[:]
	}
	d := h.New()
	d.Write(b)
	return d.Sum(nil)
}

func issuerSerial(c *x509.Certificate) []byte {
	serial, _ := asn1.Marshal(c.SerialNumber)
	return seq(c.RawIssuer, serial)
}

// forgedSigner is one SignerInfo and what is odd about it.
type forgedSigner struct {
	p         person
	digest    crypto.Hash // zero = SHA-256
	digestAlg []byte      // instead of the bare digest algorithm
	sigAlg    []byte      // instead of rsaEncryption with NULL or what fits the key
	id        []byte      // instead of issuer and serial
	pss       bool
	noAttrs   bool
	attrs     func([][]byte) [][]byte // changes the attributes
	unsorted  bool                    // written in this order, signed in DER order
	asWritten bool                    // signed as written
	content   []byte                  // signs this instead of the content
	damage    bool                    // one bit of the signature is wrong
	unsigned  []byte
}

func attribute(dotted string, values ...[]byte) []byte { return seq(oidDER(dotted), set(values...)) }

func (s forgedSigner) info(t testing.TB, content []byte) []byte {
	t.Helper()
	if s.digest == 0 {
		s.digest = crypto.SHA256
	}
	if s.content != nil {
		content = s.content
	}
	if s.id == nil {
		s.id = issuerSerial(s.p.cert)
	}
	if s.digestAlg == nil {
		s.digestAlg = alg(hashOID(s.digest))
	}
	signed := content
	var written []byte
	if !s.noAttrs {
		list := [][]byte{
			attribute("1.2.840.113549.1.9.3", oidDER(oData)),
			attribute("1.2.840.113549.1.9.5", ber.Build(ber.TagUTCTime, []byte("260314150926Z"))),
			attribute("1.2.840.113549.1.9.4", octets(sum(s.digest, content))),
		}
		if s.attrs != nil {
			list = s.attrs(list)
		}
		signed = ber.SetOf(ber.Set, list)
		written = bytes.Clone(signed)
		if s.unsorted || s.asWritten {
			for i, j := 0, len(list)-1; i < j; i, j = i+1, j-1 {
				list[i], list[j] = list[j], list[i]
			}
			written = set(list...)
			if s.asWritten {
				signed = bytes.Clone(written)
			}
		}
		written[0] = ber.ContextConstructed(0)
	}
	value, sigAlg := s.sign(t, signed)
	if s.sigAlg != nil {
		sigAlg = s.sigAlg
	}
	if s.damage {
		value[len(value)/2] ^= 1
	}
	return seq(integer(1), s.id, s.digestAlg, written, sigAlg, octets(value), s.unsigned)
}

func (s forgedSigner) sign(t testing.TB, signed []byte) (value, sigAlg []byte) {
	t.Helper()
	var err error
	digest := sum(s.digest, signed)
	switch k := s.p.key.(type) {
	case *rsa.PrivateKey:
		if s.pss {
			h := alg(hashOID(s.digest))
			sigAlg = alg(oPSS, seq(ctx(0, h), ctx(1, alg(oMGF1, h)), ctx(2, integer(32))))
			value, err = rsa.SignPSS(rand.Reader, k, s.digest, digest, &rsa.PSSOptions{SaltLength: 32})
			break
		}
		sigAlg = alg(oRSA, null())
		value, err = rsa.SignPKCS1v15(rand.Reader, k, s.digest, digest)
	case *ecdsa.PrivateKey:
		sigAlg = alg(map[crypto.Hash]string{crypto.SHA256: oECDSA256, crypto.SHA384: oECDSA384, crypto.SHA512: oECDSA512}[s.digest])
		value, err = ecdsa.SignASN1(rand.Reader, k, digest)
	case ed25519.PrivateKey:
		sigAlg = alg(oEd25519)
		value = ed25519.Sign(k, signed)
	default:
		t.Fatalf("cannot sign with %T", k)
	}
	if err != nil {
		t.Fatal(err)
	}
	return value, sigAlg
}

// forgedData is a SignedData.
type forgedData struct {
	signers []forgedSigner
	certs   [][]byte // nil = those of the signers
	opaque  bool
	ctype   string // of the content; "" = data
	segment int    // opaque content in indefinite form, in segments of this size
}

func (f forgedData) der(t testing.TB, content []byte) []byte {
	t.Helper()
	if f.ctype == "" {
		f.ctype = oData
	}
	var infos, digests [][]byte
	certs := f.certs
	for _, s := range f.signers {
		infos = append(infos, s.info(t, content))
		if s.digest == 0 {
			s.digest = crypto.SHA256
		}
		digests = append(digests, alg(hashOID(s.digest)))
		if f.certs == nil {
			certs = append(certs, s.p.cert.Raw)
		}
	}
	eci := seq(oidDER(f.ctype))
	if f.opaque {
		eci = seq(oidDER(f.ctype), ctx(0, octets(content)))
		if f.segment > 0 {
			eci = indefinite(t, eci, 3, f.segment)
		}
	}
	return seq(oidDER(oSigned), ctx(0, seq(integer(1), set(digests...), eci, ctx(0, certs...), set(infos...))))
}

// wrapped is the entity an agent signs: the inner message under a message/rfc822 header.
func wrapped(inner []byte) []byte {
	return append([]byte("Content-Type: message/rfc822\r\n\r\n"), inner...)
}

// multipart puts content and signature together.
func multipart(content, p7s []byte) []byte {
	return multipartAs(content, p7s, `multipart/signed; protocol="application/pkcs7-signature"; micalg=sha-256; boundary=b0`, "application/pkcs7-signature; name=smime.p7s")
}

func multipartAs(content, p7s []byte, outer, inner string) []byte {
	return []byte("Content-Type: " + outer + "\r\n\r\n--b0\r\n" + string(content) + "\r\n--b0\r\nContent-Type: " + inner +
		"\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64Lines(p7s) + "--b0--\r\n")
}

func base64Lines(b []byte) string {
	text := base64.StdEncoding.EncodeToString(b)
	var out strings.Builder
	for len(text) > 0 {
		n := min(76, len(text))
		out.WriteString(text[:n] + "\r\n")
		text = text[n:]
	}
	return out.String()
}

// mail puts a CMS object into a message.
func mail(der []byte) []byte {
	return mailAs(der, "Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\r\nContent-Transfer-Encoding: base64\r\n")
}

func mailAs(der []byte, header string) []byte {
	return []byte("From: ada@hospital.example\r\nTo: ben@clinic.example\r\nMIME-Version: 1.0\r\n" + header + "\r\n" + base64Lines(der))
}

// forgedEnvelope is an EnvelopedData.
type forgedEnvelope struct {
	recipients [][]byte // RecipientInfos; the content key is cek()
	cipher     []byte   // AlgorithmIdentifier
	content    []byte   // encrypted
	element    []byte   // the whole encryptedContent element, instead of content in one piece
	after      []byte   // elements after encryptedContentInfo
	typ        string
	front      []byte // originatorInfo
}

// cek is the content key the forge always uses.
func cek() []byte { return []byte("0123456789abcdef0123456789abcdef") }

func iv() []byte { return []byte("fedcba9876543210") }

func (f forgedEnvelope) der() []byte {
	if f.typ == "" {
		f.typ = oEnveloped
	}
	if f.cipher == nil {
		f.cipher = alg(oAES256CBC, octets(iv()))
	}
	if f.element == nil {
		f.element = ber.Build(ber.ContextPrimitive(0), f.content)
	}
	eci := seq(oidDER(oData), f.cipher, f.element)
	return seq(oidDER(f.typ), ctx(0, seq(integer(0), f.front, set(f.recipients...), eci, f.after)))
}

// sealedFor is an ordinary envelope around plain.
func sealedFor(t testing.TB, p person, plain []byte) forgedEnvelope {
	return forgedEnvelope{recipients: [][]byte{ktri(t, p, ktriOptions{})}, content: cbc(t, plain)}
}

func padded(plain []byte, block int) []byte {
	n := block - len(plain)%block
	return append(bytes.Clone(plain), bytes.Repeat([]byte{byte(n)}, n)...)
}

// cbc is AES-256-CBC under cek and iv with correct padding.
func cbc(t testing.TB, plain []byte) []byte { return rawCBC(t, padded(plain, 16)) }

func rawCBC(t testing.TB, p []byte) []byte {
	t.Helper()
	b, err := aes.NewCipher(cek())
	if err != nil {
		t.Fatal(err)
	}
	out := make([]byte, len(p))
	cipher.NewCBCEncrypter(b, iv()).CryptBlocks(out, p)
	return out
}

func tripleDES(t testing.TB, plain []byte) []byte {
	t.Helper()
	b, err := des.NewTripleDESCipher(cek()[:24])
	if err != nil {
		t.Fatal(err)
	}
	p := padded(plain, 8)
	cipher.NewCBCEncrypter(b, iv()[:8]).CryptBlocks(p, p)
	return p
}

type ktriOptions struct {
	id      []byte
	alg     []byte // AlgorithmIdentifier written
	oaep    *rsa.OAEPOptions
	key     []byte // content key; nil = cek()
	damage  bool
	version int
}

// ktri is a KeyTransRecipientInfo, PKCS#1 v1.5 unless OAEP is asked for.
func ktri(t testing.TB, p person, o ktriOptions) []byte {
	t.Helper()
	pub := p.cert.PublicKey.(*rsa.PublicKey)
	if o.key == nil {
		o.key = cek()
	}
	if o.id == nil {
		o.id = issuerSerial(p.cert)
	}
	var enc []byte
	var err error
	if o.oaep != nil {
		enc, err = rsa.EncryptOAEPWithOptions(rand.Reader, pub, o.key, o.oaep)
	} else {
		enc, err = rsa.EncryptPKCS1v15(rand.Reader, pub, o.key) //lint:ignore SA1019 what peers send
		if o.alg == nil {
			o.alg = alg(oRSA, null())
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	if o.damage {
		enc[len(enc)/2] ^= 1
	}
	return seq(integer(o.version), o.id, o.alg, octets(enc))
}

func oaepAlg(hash, mgf crypto.Hash) []byte {
	return alg(oOAEP, seq(ctx(0, alg(hashOID(hash), null())), ctx(1, alg(oMGF1, alg(hashOID(mgf), null())))))
}

type kariOptions struct {
	kdf      string
	hash     crypto.Hash
	hkdf     bool
	ukm      []byte
	wrapNull bool // NULL parameters in the wrap algorithm, as old writers put them
	ski      bool
	curve    []byte // originator key algorithm
	damage   bool
}

// kari is a KeyAgreeRecipientInfo for an EC key.
func kari(t testing.TB, p person, o kariOptions) []byte {
	t.Helper()
	var pub *ecdh.PublicKey
	switch k := p.key.(type) {
	case *ecdsa.PrivateKey:
		priv, err := k.ECDH()
		if err != nil {
			t.Fatal(err)
		}
		pub = priv.PublicKey()
	case *ecdh.PrivateKey:
		pub = k.PublicKey()
	}
	eph, err := pub.Curve().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	z, err := eph.ECDH(pub)
	if err != nil {
		t.Fatal(err)
	}
	wrapAlg := alg(oAES256Wrap)
	if o.wrapNull {
		wrapAlg = alg(oAES256Wrap, null())
	}
	info := [][]byte{wrapAlg}
	var ukm []byte
	if o.ukm != nil {
		info = append(info, ctx(0, octets(o.ukm)))
		ukm = ctx(1, octets(o.ukm))
	}
	info = append(info, ctx(2, octets([]byte{0, 0, 1, 0})))
	var kek []byte
	if o.hkdf {
		kek, err = hkdf.Key(o.hash.New, z, o.ukm, string(seq(info...)), 32)
		if err != nil {
			t.Fatal(err)
		}
	} else {
		for i := uint32(1); len(kek) < 32; i++ {
			kek = append(kek, sum(o.hash, bytes.Join([][]byte{z, binary.BigEndian.AppendUint32(nil, i), seq(info...)}, nil))...)
		}
		kek = kek[:32]
	}
	wrappedKey := aesWrap(t, kek, cek())
	if o.damage {
		wrappedKey[3] ^= 1
	}
	id := issuerSerial(p.cert)
	if o.ski {
		id = ctx(0, octets(p.cert.SubjectKeyId))
	}
	curve := o.curve
	if curve == nil {
		curve = alg("1.2.840.10045.2.1")
	}
	orig := ctx(0, ctx(1, curve, ber.Build(ber.TagBitString, []byte{0}, eph.PublicKey().Bytes())))
	return ctx(1, integer(3), orig, ukm, alg(o.kdf, wrapAlg), seq(seq(id, octets(wrappedKey))))
}

// aesWrap is RFC 3394, written a second time from the text so as to be a check.
func aesWrap(t testing.TB, kek, key []byte) []byte {
	t.Helper()
	b, err := aes.NewCipher(kek)
	if err != nil {
		t.Fatal(err)
	}
	a := bytes.Repeat([]byte{0xa6}, 8)
	r := bytes.Clone(key)
	for j := range 6 {
		for i := range len(r) / 8 {
			block := append(bytes.Clone(a), r[i*8:i*8+8]...)
			b.Encrypt(block, block)
			n := binary.BigEndian.Uint64(block[:8]) ^ uint64(len(r)/8*j+i+1)
			a = binary.BigEndian.AppendUint64(nil, n)
			copy(r[i*8:], block[8:])
		}
	}
	return append(a, r...)
}

// indefinite rewrites DER so that every constructed element down to depth has indefinite length, and
// octet strings there come in segments of size octets.
func indefinite(t testing.TB, der []byte, depth, size int) []byte {
	t.Helper()
	e, err := ber.One(der)
	if err != nil {
		t.Fatal(err)
	}
	if depth == 0 {
		return der
	}
	octetString := e.Is(ber.Universal, ber.TagOctetString) || e.IsContext(0) && !e.Constructed
	if !e.Constructed && !octetString {
		return der
	}
	out := []byte{der[0] | 0x20, 0x80}
	if octetString {
		for b := e.Content; len(b) > 0; {
			n := min(size, len(b))
			out = append(out, octets(b[:n])...)
			b = b[n:]
		}
		return append(out, 0, 0)
	}
	for c := e.Children(); !c.Empty(); {
		k, err := c.Next()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, indefinite(t, k.Full, depth-1, size)...)
	}
	return append(out, 0, 0)
}

// direct is a complete, ordinary message of another maker: signed by from, sealed for to.
func direct(t testing.TB, from, to person, inner []byte) []byte {
	t.Helper()
	content := wrapped(inner)
	return mail(sealedFor(t, to, multipart(content, forgedData{signers: []forgedSigner{{p: from}}}.der(t, content))).der())
}

func mustOne(t testing.TB, der []byte) ber.Element {
	t.Helper()
	e, err := ber.One(der)
	if err != nil {
		t.Fatal(err)
	}
	return e
}
