package discover

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"time"

	"postern/certs"
	"postern/certs/dnsclient"
	"postern/smime/addr"
)

// Verdict is what one step of a search means for the search.
type Verdict string

// The verdicts.
const (
	VerdictFound   Verdict = "found"   // certificates here: the search ends
	VerdictNone    Verdict = "none"    // nothing here: on to the next place
	VerdictWait    Verdict = "wait"    // a fault: the search ends, the message waits
	VerdictPassed  Verdict = "passed"  // a fault that lasts: on to the next place
	VerdictSkipped Verdict = "skipped" // cannot be asked for this address
)

// Who must act on a step, if anybody.
const (
	WhoNobody = "nobody"
	WhoPeer   = "the recipient's gateway"
	WhoHere   = "your administrator"
)

// Trace is a search step by step. It is stored with messages: Version names its form. It holds no
// patient data, only the recipient's address and what public directories said.
type Trace struct {
	Version      int           `json:"v"`
	Address      addr.Address  `json:"address"`
	Started      time.Time     `json:"started"`
	Status       Status        `json:"status"`
	Location     Location      `json:"location,omitempty"`
	Name         string        `json:"name,omitempty"`
	Certificates []Certificate `json:"certificates,omitempty"`
	Steps        []Step        `json:"steps"`
	Conclusion   string        `json:"conclusion"`
	WhoActs      string        `json:"who_acts"`
}

// Step is one place: what was asked, of whom, what it answered, which rule decided, what follows.
type Step struct {
	Location   Location         `json:"location"`
	Name       string           `json:"name,omitempty"`
	Asked      string           `json:"asked,omitempty"` // of whom: a server, or "this site"
	Answer     string           `json:"answer"`
	Notes      []string         `json:"notes,omitempty"` // values passed over, and why
	Rule       string           `json:"rule,omitempty"`
	Verdict    Verdict          `json:"verdict"`
	Meaning    string           `json:"meaning"`
	Remedy     string           `json:"remedy,omitempty"`
	Remembered bool             `json:"remembered,omitempty"` // answered from memory
	Questions  []dnsclient.Step `json:"questions,omitempty"`
	Took       time.Duration    `json:"took_ns"`
}

// Certificate describes a certificate found, for people.
type Certificate struct {
	Fingerprint string    `json:"fingerprint_sha256"`
	Subject     string    `json:"subject"`
	Issuer      string    `json:"issuer"`
	Serial      string    `json:"serial"`
	Emails      []string  `json:"emails,omitempty"`
	Domains     []string  `json:"domains,omitempty"`
	NotBefore   time.Time `json:"not_before"`
	NotAfter    time.Time `json:"not_after"`
	Key         string    `json:"key"`
	Receives    bool      `json:"receives"` // its key usage allows encrypting to it
}

func describe(c *x509.Certificate) Certificate {
	key := c.PublicKeyAlgorithm.String()
	switch k := c.PublicKey.(type) {
	case *rsa.PublicKey:
		key = fmt.Sprintf("RSA %d", k.N.BitLen())
	case *ecdsa.PublicKey:
		key = k.Curve.Params().Name
	}
	return Certificate{
		Fingerprint: certs.Fingerprint(c), Subject: c.Subject.String(), Issuer: c.Issuer.String(), Serial: c.SerialNumber.Text(16),
		Emails: c.EmailAddresses, Domains: c.DNSNames, NotBefore: c.NotBefore.UTC(), NotAfter: c.NotAfter.UTC(), Key: key, Receives: certs.CanReceive(c),
	}
}

// explain puts the verdict into words.
func (s *Step) explain() {
	switch s.Verdict {
	case VerdictFound:
		s.Meaning = "certificates are published here; later places are not asked, even if none of these can be used"
	case VerdictNone:
		s.Meaning = "nothing is published here; the next place is asked"
	case VerdictWait:
		s.Meaning = "it is not known whether something is published here"
	case VerdictPassed:
		s.Meaning = "this place does not answer and is passed by"
	case VerdictSkipped:
		s.Meaning = "this place cannot be asked for this address"
	}
}

// conclude says what the whole search came to and who must act.
func (t *Trace) conclude() {
	switch t.Status {
	case Found:
		t.WhoActs = WhoNobody
		t.Conclusion = fmt.Sprintf("%d certificates at %s %s", len(t.Certificates), t.Location, t.Name)
		if len(t.Certificates) == 1 {
			t.Conclusion = fmt.Sprintf("1 certificate at %s %s", t.Location, t.Name)
		}
	case None:
		t.Conclusion = "no certificate is published for this address or its domain, in DNS or LDAP"
		t.WhoActs = WhoPeer
	case Unknown:
		t.Conclusion = "not known: a server that may hold the certificate does not answer"
		if t.WhoActs == "" {
			t.WhoActs = WhoPeer
			break
		}
		t.Conclusion = "not known: no DNS server answers this site; check its resolvers and its way to the network"
	}
}
