package smime

import (
	"crypto"
	"crypto/fips140"
	"crypto/rsa"
	"crypto/x509"
	"slices"

	"postern/smime/cms"
)

// Known is what a gateway has learnt of one peer. It is a small value to store beside the peer; the
// zero Known is a peer never heard of. Only mail whose signer was verified and trusted may teach it.
type Known struct {
	Capabilities []Capability `json:"capabilities,omitempty"`  // of the newest verified mail (CMS-14)
	KeyTransport string       `json:"key_transport,omitempty"` // how its newest verified mail to us carried the content key
	Transport    string       `json:"transport,omitempty"`     // a person's setting: name of a cms.Transport
	Cipher       string       `json:"cipher,omitempty"`        // a person's setting: name of a cms.Cipher
}

// Learn is k after a message of that peer was opened and its signer s trusted.
func (k Known) Learn(o *Opened, s Signer) Known {
	if len(s.Capabilities) > 0 {
		k.Capabilities = slices.Clone(s.Capabilities)
	}
	if t := o.Report.KeyTransport; t != "" {
		k.KeyTransport = t
	}
	return k
}

// Choice is what to send one recipient, and why: the sentences stand in its trace, and name the
// algorithms as a possible cause when the peer never answers.
type Choice struct {
	Cipher    cms.Cipher
	Transport cms.Transport
	Digest    crypto.Hash
	Why       []string
}

// Choose decides for one recipient certificate. The default is what today's certified products read:
// AES-256-CBC, RSAES-OAEP with its default parameters, SHA-256. It is left only for a setting or for
// what the peer itself said or did, never for anything weaker than AES-128, and in FIPS 140 only
// mode the transport is always RSAES-OAEP with SHA-256.
func Choose(cert *x509.Certificate, k Known) Choice {
	c := Choice{Cipher: cms.AES256CBC, Transport: cms.OAEP, Digest: crypto.SHA256}
	c.chooseCipher(k)
	if _, isRSA := cert.PublicKey.(*rsa.PublicKey); isRSA {
		c.chooseTransport(k)
	} else {
		c.why("key agreement: the certificate has an elliptic-curve key")
	}
	return c
}

func (c *Choice) why(s string) { c.Why = append(c.Why, s) }

func (c *Choice) chooseCipher(k Known) {
	for _, have := range []cms.Cipher{cms.AES256CBC, cms.AES192CBC, cms.AES128CBC, cms.AES256GCM, cms.AES128GCM} {
		if k.Cipher == have.String() {
			c.Cipher = have
			c.why("cipher " + k.Cipher + ": set for this peer")
			return
		}
	}
	// The first cipher of ours in the peer's list; CBC counts before GCM unless the peer puts GCM first (CMS-28).
	for _, said := range k.Capabilities {
		switch said {
		case cms.CapAES256CBC:
			c.why("cipher aes-256-cbc: the peer says it reads it")
			return
		case cms.CapAES192CBC, cms.CapAES128CBC, cms.CapAES256GCM, cms.CapAES128GCM:
			if slices.Contains(k.Capabilities, cms.CapAES256CBC) && said != cms.CapAES256GCM {
				continue
			}
			c.Cipher = map[Capability]cms.Cipher{cms.CapAES192CBC: cms.AES192CBC, cms.CapAES128CBC: cms.AES128CBC,
				cms.CapAES256GCM: cms.AES256GCM, cms.CapAES128GCM: cms.AES128GCM}[said]
			c.why("cipher " + string(said) + ": first in what the peer says it reads")
			return
		}
	}
	c.why("cipher aes-256-cbc: the default; nothing else is known of the peer")
}

func (c *Choice) chooseTransport(k Known) {
	if fips140.Enforced() {
		c.Transport = cms.OAEPSHA256
		c.why("key transport rsaes-oaep-sha256: the only one in FIPS 140 only mode")
		return
	}
	for _, have := range []cms.Transport{cms.OAEP, cms.OAEPSHA256, cms.PKCS1v15} {
		if k.Transport == have.String() {
			c.Transport = have
			c.why("key transport " + k.Transport + ": set for this peer")
			return
		}
	}
	for _, have := range []struct {
		said Capability
		use  cms.Transport
	}{{cms.CapOAEP, cms.OAEP}, {cms.CapOAEPSHA256, cms.OAEPSHA256}, {cms.CapRSA, cms.PKCS1v15}} {
		if slices.Contains(k.Capabilities, have.said) {
			c.Transport = have.use
			c.why("key transport " + string(have.said) + ": the peer says it reads it")
			return
		}
	}
	switch k.KeyTransport {
	case cms.OAEPSHA256.String():
		c.Transport = cms.OAEPSHA256
		c.why("key transport rsaes-oaep-sha256: the peer's own mail uses it")
	case cms.PKCS1v15.String():
		c.Transport = cms.PKCS1v15
		c.why("key transport rsaes-pkcs1-v1_5: the peer's own mail uses it, and some that do read nothing else")
	default:
		c.why("key transport rsaes-oaep-sha1: the default")
	}
}

// Group puts recipients that can share one envelope together, in order: an envelope has one cipher,
// so those whose choice differs get one of their own. The values are indexes into choices.
func Group(choices []Choice) [][]int {
	var out [][]int
	at := map[cms.Cipher]int{}
	for i, c := range choices {
		g, ok := at[c.Cipher]
		if !ok {
			g = len(out)
			at[c.Cipher] = g
			out = append(out, nil)
		}
		out[g] = append(out[g], i)
	}
	return out
}
