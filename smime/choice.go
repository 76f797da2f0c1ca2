package smime

import (
	"crypto"
	"crypto/fips140"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"slices"

	"postern/smime/cms"
)

// Known is what a gateway has learnt of one peer. It is a small value to store beside the peer; the
// zero Known is a peer never heard of. Only mail whose signer was verified and trusted may teach it.
//
// Capabilities stand in what was signed. KeyTransport and MailCipher are the envelope's, which anybody may
// have put around a genuine signed message that he was sent too: they count only where the capabilities say
// nothing, and are to be learnt only from a message that nobody else was sent.
type Known struct {
	Capabilities []Capability `json:"capabilities,omitempty"`  // of the newest verified mail (CMS-14)
	KeyTransport string       `json:"key_transport,omitempty"` // how its newest verified mail to us carried the content key
	MailCipher   string       `json:"mail_cipher,omitempty"`   // what its newest verified mail to us was encrypted with; only shown
	Transport    string       `json:"transport,omitempty"`     // a person's setting: name of a cms.Transport
	Cipher       string       `json:"cipher,omitempty"`        // a person's setting: name of a cms.Cipher
}

// Taught is what an opened message says of its signer s, who must be trusted. Names of algorithms that
// mean nothing here are left out, so that a peer cannot make the value large.
func Taught(o *Opened, s Signer) Known {
	k := Known{KeyTransport: o.Report.KeyTransport, MailCipher: o.Report.Cipher}
	for _, c := range s.Capabilities {
		if slices.Contains(understood(), c) {
			k.Capabilities = append(k.Capabilities, c)
		}
	}
	return k
}

func understood() []Capability {
	return []Capability{cms.CapAES256CBC, cms.CapAES192CBC, cms.CapAES128CBC, cms.CapAES256GCM, cms.CapAES192GCM, cms.CapAES128GCM,
		cms.Cap3DES, cms.CapRSA, cms.CapOAEP, cms.CapOAEPSHA256, cms.CapECDH256}
}

// With is k where by says nothing, and by where it does.
func (k Known) With(by Known) Known {
	if len(by.Capabilities) > 0 {
		k.Capabilities = slices.Clone(by.Capabilities)
	}
	for _, f := range []struct {
		to *string
		by string
	}{{&k.KeyTransport, by.KeyTransport}, {&k.MailCipher, by.MailCipher}, {&k.Transport, by.Transport}, {&k.Cipher, by.Cipher}} {
		if f.by != "" {
			*f.to = f.by
		}
	}
	return k
}

// CipherNames and TransportNames are what a person may set for a peer.
func CipherNames() []string { return names(ciphers()) }

// TransportNames: see CipherNames.
func TransportNames() []string { return names(transports()) }

func ciphers() []cms.Cipher {
	return []cms.Cipher{cms.AES256CBC, cms.AES192CBC, cms.AES128CBC, cms.AES256GCM, cms.AES128GCM}
}

func transports() []cms.Transport {
	return []cms.Transport{cms.OAEP, cms.OAEPSHA256, cms.PKCS1v15}
}

func names[T fmt.Stringer](of []T) []string {
	out := make([]string, len(of))
	for i, v := range of {
		out[i] = v.String()
	}
	return out
}

// Choice is what to send one recipient, and why: the sentences stand in its trace, and name the
// algorithms as a possible cause when the peer never answers.
type Choice struct {
	Cipher    cms.Cipher
	Reads     []cms.Cipher // what the peer reads that is no weaker than Cipher, which is the first of them
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
	if cbc := c.Cipher.CBC(); fips140.Enforced() && cbc != c.Cipher {
		c.Cipher = cbc
		c.why("cipher " + cbc.String() + " instead: AES-GCM is not sent in FIPS 140 only mode")
	}
	c.Reads = []cms.Cipher{c.Cipher}
	if strong := map[cms.Cipher]cms.Cipher{cms.AES256CBC: cms.AES256GCM, cms.AES256GCM: cms.AES256CBC,
		cms.AES128CBC: cms.AES128GCM, cms.AES128GCM: cms.AES128CBC}; k.Cipher != c.Cipher.String() && !fips140.Enforced() && slices.Contains(k.Capabilities, Capability(strong[c.Cipher].String())) {
		c.Reads = append(c.Reads, strong[c.Cipher])
	}
	if _, isRSA := cert.PublicKey.(*rsa.PublicKey); isRSA {
		c.chooseTransport(k)
	} else {
		c.why("key agreement: the certificate has an elliptic-curve key")
	}
	return c
}

func (c *Choice) why(s string) { c.Why = append(c.Why, s) }

func (c *Choice) chooseCipher(k Known) {
	for _, have := range ciphers() {
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
	for _, have := range transports() {
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

// Envelope is what goes to several recipients together: one cipher, and who.
type Envelope struct {
	Cipher  cms.Cipher
	Members []int // indexes into the choices, rising
}

// maxGCM is the largest message that is sent with AES-GCM: readers, this one among them, must hold such a
// message whole (cms.MaxWhole), with its signature.
const maxGCM = cms.MaxWhole - maxSignature

// Envelopes shares a message of that size out: one envelope where there is a cipher that all recipients
// read, none getting a weaker one for the sake of another; else as few as it takes. A message too long for
// AES-GCM goes with AES-CBC of the same key length.
func Envelopes(choices []Choice, size int64) []Envelope {
	reads := make([][]cms.Cipher, len(choices))
	for i, c := range choices {
		reads[i] = fitting(c.Reads, size)
	}
	for _, common := range append([]cms.Cipher{reads[0][0]}, ciphers()...) {
		if i := slices.IndexFunc(reads, func(r []cms.Cipher) bool { return !slices.Contains(r, common) }); i < 0 {
			return []Envelope{{common, upTo(len(choices))}}
		}
	}
	var out []Envelope
	for _, alone := range []bool{true, false} { // those who read one thing only say what envelopes there must be
		for i, r := range reads {
			if (len(r) == 1) == alone {
				out = join(out, i, r)
			}
		}
	}
	for i := range out {
		slices.Sort(out[i].Members)
	}
	slices.SortFunc(out, func(a, b Envelope) int { return a.Members[0] - b.Members[0] })
	return out
}

func join(out []Envelope, i int, reads []cms.Cipher) []Envelope {
	for e := range out {
		if slices.Contains(reads, out[e].Cipher) {
			out[e].Members = append(out[e].Members, i)
			return out
		}
	}
	return append(out, Envelope{reads[0], []int{i}})
}

func fitting(reads []cms.Cipher, size int64) []cms.Cipher {
	if size <= maxGCM {
		return reads
	}
	var out []cms.Cipher
	for _, c := range reads {
		c = c.CBC()
		if !slices.Contains(out, c) {
			out = append(out, c)
		}
	}
	return out
}

func upTo(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}
