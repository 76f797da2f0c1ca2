package keyfile

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509/pkix"
	"encoding/asn1"
)

// rewrap makes a file of the given safes under PBMAC1 (RFC 9579), whose arithmetic is in the
// standard library. One round is enough: the file never leaves the process.
func rewrap(safes []contentInfo, password string) ([]byte, error) {
	authSafe, err := asn1.Marshal(safes)
	if err != nil {
		return nil, fail(ReasonUnreadable, "", "PKCS#12: %v", err)
	}
	outer, err := dataInfo(authSafe)
	if err != nil {
		return nil, err
	}
	mac, err := pbmac1(authSafe, password)
	if err != nil {
		return nil, err
	}
	file, err := asn1.Marshal(pfx{3, outer, asn1.RawValue{FullBytes: mac}})
	if err != nil {
		return nil, fail(ReasonUnreadable, "", "PKCS#12: %v", err)
	}
	return file, nil
}

func pbmac1(message []byte, password string) ([]byte, error) {
	type kdfParams struct {
		Salt      []byte
		Rounds    int
		KeyLength int
		PRF       pkix.AlgorithmIdentifier
	}
	salt := make([]byte, 16)
	if _, err := rand.Read(salt); err != nil {
		return nil, err
	}
	key, err := pbkdf2.Key(sha256.New, password, salt, 1, sha256.Size)
	if err != nil {
		return nil, err
	}
	kdf, err := asn1.Marshal(kdfParams{salt, 1, sha256.Size, pkix.AlgorithmIdentifier{Algorithm: oidHMACSHA256}})
	if err != nil {
		return nil, err
	}
	params, err := asn1.Marshal(struct{ KDF, MAC pkix.AlgorithmIdentifier }{
		pkix.AlgorithmIdentifier{Algorithm: oidPBKDF2, Parameters: asn1.RawValue{FullBytes: kdf}},
		pkix.AlgorithmIdentifier{Algorithm: oidHMACSHA256},
	})
	if err != nil {
		return nil, err
	}
	h := hmac.New(sha256.New, key)
	h.Write(message)
	type digestInfo struct {
		Algorithm pkix.AlgorithmIdentifier
		Digest    []byte
	}
	return asn1.Marshal(struct {
		Mac    digestInfo
		Salt   []byte
		Rounds int
	}{digestInfo{pkix.AlgorithmIdentifier{Algorithm: oidPBMAC1, Parameters: asn1.RawValue{FullBytes: params}}, h.Sum(nil)}, salt, 1})
}
