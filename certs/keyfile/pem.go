package keyfile

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"

	"postern/certs"
)

// parsePEM reads every block; unknown ones (parameters, requests, lists) are passed over.
func parsePEM(file []byte, password string) (parts, error) {
	var found parts
	var shrouded [][]byte
	for n := 1; ; n++ {
		block, rest := pem.Decode(file)
		if block == nil {
			break
		}
		file = rest
		if n > MaxCerts+MaxKeys {
			return found, fail(ReasonTooLarge, "", "more than %d PEM blocks", MaxCerts+MaxKeys)
		}
		if block.Headers["DEK-Info"] != "" {
			return found, fail(ReasonUnsupported, "convert the key: openssl pkcs8 -topk8 -in OLD.pem -out NEW.pem",
				"PEM block %d is encrypted in the old OpenSSL way, which is not safe", n)
		}
		switch block.Type {
		case "CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE":
			cert, err := certs.Parse(block.Bytes)
			if err != nil {
				return found, fail(ReasonUnreadable, "", "PEM block %d: %v", n, err)
			}
			if err := found.addCert(cert); err != nil {
				return found, err
			}
		case "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY":
			key, err := parseKey(block)
			if err != nil {
				return found, fail(ReasonUnreadable, "", "PEM block %d (%s): %v", n, block.Type, err)
			}
			if err := found.addKey(key); err != nil {
				return found, err
			}
		case "PKCS7", "CMS":
			if err := found.addBundle(block.Bytes); err != nil {
				return found, err
			}
		case "ENCRYPTED PRIVATE KEY":
			shrouded = append(shrouded, block.Bytes)
		}
	}
	return found, openShrouded(&found, shrouded, password)
}

func parseKey(block *pem.Block) (crypto.PrivateKey, error) {
	switch block.Type {
	case "RSA PRIVATE KEY":
		return x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		return x509.ParseECPrivateKey(block.Bytes)
	}
	return x509.ParsePKCS8PrivateKey(block.Bytes)
}

// checkKey refuses kinds and sizes that nothing in Direct can use, before any arithmetic with them.
func checkKey(key crypto.PrivateKey) error {
	switch k := key.(type) {
	case *rsa.PrivateKey:
		if n := k.N.BitLen(); n < MinRSA || n > MaxRSA {
			return fail(ReasonWeakKey, "use 2048 to 4096 bits", "RSA key of %d bits", n)
		}
		return nil
	case *ecdsa.PrivateKey, *ecdh.PrivateKey, ed25519.PrivateKey:
		return nil
	}
	return fail(ReasonUnsupported, "use RSA or an elliptic curve key (P-256, P-384)", "private key of a kind S/MIME here cannot use (%T)", key)
}
