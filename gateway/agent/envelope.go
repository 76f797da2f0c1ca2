package agent

import (
	"fmt"
	"io"
	"slices"

	"postern/certs"
	"postern/smime"
	"postern/smime/addr"
	"postern/smime/cms"
)

// Envelope is one sealed message, for all the recipients who read its cipher.
type Envelope struct {
	Recipients []addr.Address
	Report     *smime.SealReport
}

// For is the envelope that a recipient is sent; nil when there is none for him.
func (s Sealed) For(r addr.Address) *Envelope {
	for i, e := range s.Envelopes {
		if slices.Contains(e.Recipients, r) {
			return &s.Envelopes[i]
		}
	}
	return nil
}

// Approved lists the recipients the sealed message is for.
func (s Sealed) Approved() []addr.Address {
	var out []addr.Address
	for _, v := range s.Verdicts {
		if v.OK {
			out = append(out, v.Recipient)
		}
	}
	return out
}

// packet is one sealed message before it is written.
type packet struct {
	cipher     cms.Cipher
	to         []addr.Address
	recipients []smime.Recipient
	why        [][]string // by recipient certificate
	seen       map[string]bool
}

// add puts a recipient's certificates in; one that is there already counts once.
func (e *packet) add(v *Verdict, cs []certificate) {
	e.to = append(e.to, v.Recipient)
	if v.Algorithms != nil && v.Algorithms.Cipher != e.cipher.String() {
		v.Algorithms.Cipher = e.cipher.String()
		v.Algorithms.Why = append(slices.Clip(v.Algorithms.Why), sharedCipher(e.cipher))
	}
	for _, c := range cs {
		if e.seen[string(c.cert.Raw)] {
			continue
		}
		if e.seen == nil {
			e.seen = map[string]bool{}
		}
		e.seen[string(c.cert.Raw)] = true
		why := c.choice.Why
		if c.choice.Cipher != e.cipher {
			why = append(slices.Clip(why), sharedCipher(e.cipher))
		}
		e.recipients = append(e.recipients, smime.Recipient{Cert: c.cert, Transport: c.choice.Transport})
		e.why = append(e.why, why)
	}
}

func sharedCipher(c cms.Cipher) string {
	return "cipher " + c.String() + " instead: for a message to all these recipients, or of this length"
}

func (a *Agent) write(m Outbound, signer certs.Credential, e packet, open func() (io.Writer, error)) (*smime.SealReport, error) {
	w, err := open()
	if err != nil {
		return nil, err
	}
	report, err := smime.Seal(w, m.Content, smime.SealOptions{Signer: identity(signer), Recipients: e.recipients, Cipher: e.cipher,
		EightBit: m.EightBit, Now: a.Now(), Budget: a.Limits.Budget})
	if err != nil {
		return nil, fmt.Errorf("agent: seal: %w", err)
	}
	for i := range report.Recipients {
		report.Recipients[i].Why = e.why[i]
	}
	return report, nil
}
