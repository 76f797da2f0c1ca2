package keyfile

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/fips140"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"hash"
	"unicode/utf16"
	"unicode/utf8"

	"postern/smime/cms/ber"
)

// Why something could not be decrypted. Everything else that goes wrong is a damaged file.
var (
	errPassword = errors.New("the password is not the right one")
	errFIPS     = errors.New("its encryption is not available in FIPS 140 only mode (RC2, 3DES, SHA-1, a salt under 16 octets as " +
		"OpenSSL 3.0 writes it, or a password under 14)")
	errRounds = errors.New("too many password hashing rounds")
)

// unknownError is an algorithm that is not read, by what it is for.
type unknownError struct{ what, id string }

func (e unknownError) Error() string { return e.what + " " + e.id + " is not read" }

// rounds are the password hashing rounds that are left to a file.
type rounds struct{ left int }

// take asks for n rounds, as the file names them.
func (r *rounds) take(n ber.Element) (int, error) {
	v, err := n.Uint()
	if err != nil || !n.Is(ber.Universal, ber.TagInteger) || v > r.left {
		return 0, errRounds
	}
	r.left -= v
	return max(v, 1), nil
}

// password is one way to write a password in octets: in UTF-16 with two zero octets behind it for PKCS#12's own key
// derivation (RFC 7292 appendix B.1), as it was typed for PBES2 and PBMAC1 (RFC 8018 §3).
type password struct {
	wide  []byte
	plain []byte
}

// forms are the ways in which programs write a password, the right one first.
func forms(text string) []password {
	plain := []byte(text)
	each := make([]uint16, len(plain))
	for i, c := range plain {
		each[i] = uint16(c)
	}
	switch {
	case text == "":
		return []password{{wide: []byte{0, 0}}, {}} // QUIRK: Windows and others take no octets at all for the empty password
	case !utf8.ValidString(text):
		return []password{{wide(each), plain}} // typed in Latin-1
	case bytes.ContainsFunc(plain, func(r rune) bool { return r >= utf8.RuneSelf }):
		return []password{{wide(utf16.Encode([]rune(text))), plain}, {wide(each), plain}} // QUIRK: OpenSSL before 1.1.0 widened octets
	}
	return []password{{wide(each), plain}}
}

func wide(units []uint16) []byte {
	out := make([]byte, 0, 2*len(units)+2)
	for _, u := range units {
		out = binary.BigEndian.AppendUint16(out, u)
	}
	return append(out, 0, 0)
}

// hashByID is a digest by the object identifier of itself or of its HMAC.
func hashByID(id []byte) func() hash.Hash {
	switch string(id) {
	case oidSHA1, oidHMACSHA1:
		return sha1.New
	case oidSHA224, oidHMACSHA224:
		return sha256.New224
	case oidSHA256, oidHMACSHA256:
		return sha256.New
	case oidSHA384, oidHMACSHA384:
		return sha512.New384
	case oidSHA512, oidHMACSHA512:
		return sha512.New
	}
	return nil
}

// Purposes of derived octets (RFC 7292 appendix B.3).
const (
	forKey = 1
	forIV  = 2
	forMAC = 3
)

// pkcs12KDF is the key derivation of RFC 7292 appendix B.2.
type pkcs12KDF struct {
	hash     func() hash.Hash
	salt     []byte
	password []byte
	rounds   int
}

func (k pkcs12KDF) derive(purpose byte, size int) []byte {
	h := k.hash()
	v := h.BlockSize()
	in := append(stretch(k.salt, v), stretch(k.password, v)...)
	var out []byte
	for {
		h.Reset()
		h.Write(bytes.Repeat([]byte{purpose}, v))
		h.Write(in)
		a := h.Sum(nil)
		for range k.rounds - 1 {
			h.Reset()
			h.Write(a)
			a = h.Sum(a[:0])
		}
		if out = append(out, a...); len(out) >= size {
			return out[:size]
		}
		b := repeat(a, v)
		for at := 0; at < len(in); at += v { // each block of the input grows by B + 1
			carry := 1
			for j := v - 1; j >= 0; j-- {
				carry += int(in[at+j]) + int(b[j])
				in[at+j] = byte(carry)
				carry >>= 8
			}
		}
	}
}

// stretch repeats s to the next multiple of v; of nothing comes nothing.
func stretch(s []byte, v int) []byte { return repeat(s, (len(s)+v-1)/v*v) }

func repeat(s []byte, n int) []byte {
	out := make([]byte, 0, n+len(s))
	for len(out) < n {
		out = append(out, s...)
	}
	return out[:n]
}

// pbkdf2Of reads PBKDF2-params (RFC 8018 appendix A.2) and derives size octets, or as many as the parameters name.
func (r *rounds) pbkdf2Of(params ber.Element, plain []byte, size int) ([]byte, error) {
	c := params.Children()
	salt, err1 := c.Expect(ber.TagOctetString)
	count, err2 := c.Next()
	named, isNamed, err3 := c.Optional(ber.Universal, ber.TagInteger)
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	if isNamed {
		n, err := named.Uint()
		if err != nil || size != 0 && n != size {
			return nil, errors.New("the length of the derived key")
		}
		size = n
	}
	prf := sha1.New // the default
	if !c.Empty() {
		alg, err := readAlgorithm(&c)
		if err != nil {
			return nil, err
		}
		if prf = hashByID(alg.id); prf == nil {
			return nil, unknownError{"pseudo-random function", alg.name()}
		}
	}
	n, err := r.take(count)
	if err != nil {
		return nil, err
	}
	octets, err := salt.Octets()
	if err != nil {
		return nil, err
	}
	key, err := pbkdf2.Key(prf, string(plain), octets, n, size)
	if err != nil {
		return nil, errFIPS // nothing else can be wrong with its arguments
	}
	return key, nil
}

// decrypter is the cipher that a password-based algorithm makes.
func (r *rounds) decrypter(alg algorithm, p password) (cipher.BlockMode, error) {
	if string(alg.id) == oidPBES2 {
		return r.pbes2(alg, p)
	}
	size, ok := map[string]int{oidPBE3DES: 24, oidPBE2DES: 16, oidPBERC2128: 16, oidPBERC240: 5}[string(alg.id)]
	if !ok {
		return nil, unknownError{"password-based encryption", alg.name()}
	}
	if fips140.Enforced() {
		return nil, errFIPS
	}
	c := alg.params.Children()
	salt, err1 := c.Expect(ber.TagOctetString)
	count, err2 := c.Next()
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	n, err := r.take(count)
	if err != nil {
		return nil, err
	}
	octets, err := salt.Octets()
	if err != nil {
		return nil, err
	}
	kdf := pkcs12KDF{sha1.New, octets, p.wide, n}
	key, iv := kdf.derive(forKey, size), kdf.derive(forIV, 8)
	if id := string(alg.id); id == oidPBERC2128 || id == oidPBERC240 {
		return cipher.NewCBCDecrypter(newRC2(key), iv), nil
	}
	if size == 16 {
		key = append(key, key[:8]...)
	}
	block, err := des.NewTripleDESCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewCBCDecrypter(block, iv), nil
}

// pbes2 reads PBES2-params (RFC 8018 appendix A.4).
func (r *rounds) pbes2(alg algorithm, p password) (cipher.BlockMode, error) {
	c := alg.params.Children()
	kdf, err1 := readAlgorithm(&c)
	enc, err2 := readAlgorithm(&c)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	if string(kdf.id) != oidPBKDF2 {
		return nil, unknownError{"key derivation", kdf.name()}
	}
	size, ok := map[string]int{oidAES128CBC: 16, oidAES192CBC: 24, oidAES256CBC: 32, oidTripleDESCBC: 24}[string(enc.id)]
	if !ok {
		return nil, unknownError{"encryption", enc.name()}
	}
	make, length := aes.NewCipher, aes.BlockSize
	if string(enc.id) == oidTripleDESCBC {
		if fips140.Enforced() {
			return nil, errFIPS
		}
		make, length = des.NewTripleDESCipher, des.BlockSize
	}
	iv, err := enc.params.Octets()
	if err != nil || len(iv) != length {
		return nil, errors.New("the initialisation vector")
	}
	key, err := r.pbkdf2Of(kdf.params, p.plain, size)
	if err != nil {
		return nil, err
	}
	block, err := make(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewCBCDecrypter(block, iv), nil
}

// open decrypts a structure. What comes out must look like one: in a file without an authentication code a wrong
// password is noticed by nothing else.
func (r *rounds) open(alg algorithm, sealed []byte, p password) ([]byte, error) {
	clear, err := r.decrypt(alg, sealed, p)
	if err != nil {
		return nil, err
	}
	if e, err := one(clear); err != nil || !e.IsSequence() {
		return nil, errPassword
	}
	return clear, nil
}

// decrypt undoes one password-based encryption. Wrong padding means a wrong password.
func (r *rounds) decrypt(alg algorithm, sealed []byte, p password) ([]byte, error) {
	mode, err := r.decrypter(alg, p)
	if err != nil {
		return nil, err
	}
	n := len(sealed)
	if n == 0 || n%mode.BlockSize() != 0 {
		return nil, errors.New("the encrypted octets are no whole blocks")
	}
	out := make([]byte, n)
	mode.CryptBlocks(out, sealed)
	pad := int(out[n-1])
	if pad == 0 || pad > mode.BlockSize() || !bytes.Equal(out[n-pad:], bytes.Repeat(out[n-1:], pad)) {
		return nil, errPassword
	}
	return out[:n-pad], nil
}
