package keyfile

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"

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
			if isPKCS7(block.Bytes) { // QUIRK: CAs that hand out a chain under the label of a certificate
				if err := found.addBundle(block.Bytes); err != nil {
					return found, err
				}
				continue
			}
			cert, err := certs.Parse(block.Bytes)
			if err != nil {
				return found, fail(ReasonUnreadable, "", "PEM block %d: %v", n, err)
			}
			if err := found.addCert(cert); err != nil {
				return found, err
			}
		case "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY":
			key, err := parseKey(block)
			if large := (*Error)(nil); errors.As(err, &large) {
				return found, large
			}
			if err != nil {
				return found, fail(ReasonUnreadable, "", "PEM block %d (%s): %v", n, block.Type, err)
			}
			if err := found.addKey(key); err != nil {
				return found, err
			}
		case "PKCS7", "CMS", "PKCS #7 SIGNED DATA":
			if err := found.addBundle(block.Bytes); err != nil {
				return found, err
			}
		case "ENCRYPTED PRIVATE KEY":
			shrouded = append(shrouded, block.Bytes)
		}
	}
	return found, openShrouded(&found, shrouded, password)
}

// parseKey reads a key by its label, else as any of the three kinds. QUIRK: tools that write one kind under the label
// of another.
func parseKey(block *pem.Block) (key crypto.PrivateKey, err error) {
	if err := checkKeySize(block.Bytes); err != nil {
		return nil, err
	}
	kinds := []func([]byte) (any, error){
		x509.ParsePKCS8PrivateKey,
		func(der []byte) (any, error) { return x509.ParsePKCS1PrivateKey(der) },
		func(der []byte) (any, error) { return x509.ParseECPrivateKey(der) },
	}
	switch block.Type {
	case "RSA PRIVATE KEY":
		kinds[0], kinds[1] = kinds[1], kinds[0]
	case "EC PRIVATE KEY":
		kinds[0], kinds[2] = kinds[2], kinds[0]
	}
	for i, parse := range kinds {
		k, kerr := parse(block.Bytes)
		if kerr == nil {
			return k, nil
		}
		if i == 0 {
			err = kerr
		}
	}
	return nil, err
}

// checkKeySize refuses a key before the standard library multiplies its parts, which takes a minute for one that fills
// a file.
func checkKeySize(der []byte) error {
	if len(der) > MaxKey {
		return fail(ReasonTooLarge, "use RSA of 2048 to 4096 bits", "private key of %d octets, at most %d are read", len(der), MaxKey)
	}
	return nil
}

// checkKey refuses kinds and sizes that nothing in Direct can use.
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
