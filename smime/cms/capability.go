package cms

import (
	"slices"
)

// Capability is one algorithm a signer says it can use (RFC 8551 §2.5.2), in its order of
// preference: a hint bound to that signer's certificate, never a permission (CMS-14).
type Capability string

// Capabilities this gateway announces and understands.
const (
	CapAES256CBC  Capability = "aes-256-cbc"
	CapAES192CBC  Capability = "aes-192-cbc"
	CapAES128CBC  Capability = "aes-128-cbc"
	CapAES256GCM  Capability = "aes-256-gcm"
	CapAES192GCM  Capability = "aes-192-gcm"
	CapAES128GCM  Capability = "aes-128-gcm"
	Cap3DES       Capability = "3des-cbc"
	CapRSA        Capability = "rsaes-pkcs1-v1_5"
	CapOAEP       Capability = "rsaes-oaep-sha1"
	CapOAEPSHA256 Capability = "rsaes-oaep-sha256"
	CapECDH256    Capability = "ecdh-x963-sha256"
)

// maxCapabilities bounds what is read of a peer's list.
const maxCapabilities = 64

// capabilities reads the SMIMECapabilities attribute; a malformed one is no capability at all.
func (a *attributes) capabilities() []Capability {
	v := a.values[oidAttrCapabilities]
	if len(v) == 0 || !v[0].IsSequence() {
		return nil
	}
	out := make([]Capability, 0, 8)
	for c := v[0].Children(); !c.Empty() && len(out) < maxCapabilities; {
		e, err := c.Next()
		if err != nil {
			return nil
		}
		alg, err := parseAlgorithm(e)
		if err != nil {
			return nil
		}
		if name := capabilityName(alg); !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

func capabilityName(a algorithm) Capability {
	if s, ok := suiteOf(a.oid); ok {
		return Capability(s.name)
	}
	switch a.oid {
	case oidRSA:
		return CapRSA
	case oidOAEP:
		if _, name, err := parseOAEP(a.params); err == nil {
			return Capability(name)
		}
	}
	if s, ok := schemeOf(a.oid); ok {
		return Capability(s.name)
	}
	return Capability(a.oid.String())
}

// announced is this gateway's own SMIMECapabilities value: what Decrypt reads, best first. It never
// changes, so its octets stand here; a test builds them anew from the algorithms.
func announced() []byte { return []byte(announcedDER) }

const announcedDER = "\x30\x81\xa1\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x01\x2a\x30\x0b\x06\x09" +
	"\x60\x86\x48\x01\x65\x03\x04\x01\x16\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04" +
	"\x01\x02\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x01\x2e\x30\x0b\x06\x09\x60" +
	"\x86\x48\x01\x65\x03\x04\x01\x06\x30\x38\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01" +
	"\x07\x30\x2b\xa0\x0d\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\xa1\x1a" +
	"\x30\x18\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08\x30\x0b\x06\x09\x60\x86\x48" +
	"\x01\x65\x03\x04\x02\x01\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x07\x30" +
	"\x00\x30\x15\x06\x06\x2b\x81\x04\x01\x0b\x01\x30\x0b\x06\x09\x60\x86\x48\x01\x65" +
	"\x03\x04\x01\x2d"
