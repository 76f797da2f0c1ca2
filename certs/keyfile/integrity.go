package keyfile

import (
	"crypto/fips140"
	"crypto/hmac"
	"errors"

	"postern/smime/cms/ber"
)

// verifyMAC checks MacData (RFC 7292 §4) over the octets of the safes: with PKCS#12's own key derivation, or PBMAC1
// (RFC 9879). A wrong one means a wrong password.
func (r *rounds) verifyMAC(mac ber.Element, safes []byte, p password) error {
	c := mac.Children()
	info, err := c.Expect(ber.TagSequence)
	if err != nil {
		return err
	}
	k := info.Children()
	alg, err1 := readAlgorithm(&k)
	want, err2 := k.Expect(ber.TagOctetString)
	salt, err3 := c.Expect(ber.TagOctetString)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	digest, err := want.Octets()
	if err != nil {
		return err
	}
	if string(alg.id) == oidPBMAC1 {
		return r.verifyPBMAC1(alg, safes, digest, p)
	}
	h := hashByID(alg.id)
	if h == nil {
		return unknownError{"message authentication with digest", alg.name()}
	}
	if string(alg.id) == oidSHA1 && fips140.Enforced() {
		return errFIPS
	}
	count := 1 // the default
	if !c.Empty() {
		e, err := c.Next()
		if err != nil {
			return err
		}
		if count, err = r.take(e); err != nil {
			return err
		}
	}
	octets, err := salt.Octets()
	if err != nil {
		return err
	}
	kdf := pkcs12KDF{h, octets, p.wide, count}
	m := hmac.New(h, kdf.derive(forMAC, h().Size()))
	m.Write(safes)
	if !hmac.Equal(m.Sum(nil), digest) {
		return errPassword
	}
	return nil
}

// verifyPBMAC1 reads PBMAC1-params (RFC 8018 appendix A.5). Its key length must be named, and neither so short that
// a forger could try them all nor longer than any digest (RFC 9879 §5).
func (r *rounds) verifyPBMAC1(alg algorithm, safes, digest []byte, p password) error {
	const shortest, longest = 20, 64
	c := alg.params.Children()
	kdf, err1 := readAlgorithm(&c)
	scheme, err2 := readAlgorithm(&c)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	if string(kdf.id) != oidPBKDF2 {
		return unknownError{"key derivation", kdf.name()}
	}
	h := hashByID(scheme.id)
	if h == nil {
		return unknownError{"message authentication", scheme.name()}
	}
	params := kdf.params.Children()
	_, err1 = params.Next()
	_, err2 = params.Next()
	named, ok, err3 := params.Optional(ber.Universal, ber.TagInteger)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	if size, err := named.Uint(); !ok || err != nil || size < shortest || size > longest {
		return errors.New("the key length of PBMAC1 must be 20 to 64 octets")
	}
	key, err := r.pbkdf2Of(kdf.params, p.plain, 0)
	if err != nil {
		return err
	}
	m := hmac.New(h, key)
	m.Write(safes)
	if !hmac.Equal(m.Sum(nil), digest) {
		return errPassword
	}
	return nil
}
