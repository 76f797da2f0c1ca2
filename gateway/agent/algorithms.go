package agent

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"postern/gateway/message"
	"postern/smime"
	"postern/smime/addr"
	"postern/trust"
)

// Algorithms is what a recipient is sent, and why.
type Algorithms struct {
	Cipher       string   `json:"cipher"`
	KeyTransport string   `json:"key_transport"` // of an RSA certificate; the first one's where there are several
	Why          []string `json:"why"`
}

// certificate is one that a recipient may be encrypted to, with its approval and what it is sent.
type certificate struct {
	cert     *x509.Certificate
	approval trust.Approval
	choice   smime.Choice
}

// choose decides with what each of a recipient's certificates is encrypted to, by what the sender's domain
// knows of the recipient.
func (a *Agent) choose(ctx context.Context, local addr.Domain, v *Verdict, good []certificate) error {
	var k smime.Known
	if a.Peers != nil {
		var err error
		if k, err = a.Peers.Known(ctx, local, v.Recipient); err != nil {
			return fmt.Errorf("agent: algorithms of %s: %w", v.Recipient, err)
		}
	}
	for i := range good {
		good[i].choice = smime.Choose(good[i].cert, k)
	}
	if len(good) > 0 {
		v.Algorithms = described(good[0])
	}
	return nil
}

func described(c certificate) *Algorithms {
	out := &Algorithms{Cipher: c.choice.Cipher.String(), KeyTransport: c.choice.Transport.String(), Why: c.choice.Why}
	if c.cert.PublicKeyAlgorithm != x509.RSA {
		out.KeyTransport = "key agreement"
	}
	return out
}

// Lesson is what a message that a domain of ours verified and trusted has taught about its sender.
type Lesson struct {
	Local addr.Domain
	Name  string            // whom the signer's certificate speaks for: an address key, or a domain
	Cert  *x509.Certificate // the signer's
	Known smime.Known
	Time  time.Time // when it was signed, as it claims, and not later than now
}

// lessons lists what the approved recipients' domains learn of the sender. A claimed time in the future
// counts as now, so that no message can stand in the way of every later one.
//
// The envelope itself is not signed: another recipient can put a message that he was sent too into one of his own
// and send it to us, and so choose with what we answer its author. What the envelope shows is therefore learnt only
// from a message that nobody but us has been sent (onlyOurs).
func (a *Agent) lessons(o *smime.Opened, sender addr.Address, onlyOurs bool, verdicts []Verdict) []Lesson {
	var out []Lesson
	seen := map[addr.Domain]bool{}
	for _, v := range verdicts {
		local := v.Recipient.Domain()
		if !v.OK || v.Signer == nil || seen[local] {
			continue
		}
		seen[local] = true
		for _, s := range o.Signers {
			if s.Reason != "" || !v.Signer.Equal(s.Cert) {
				continue
			}
			l := Lesson{Local: local, Name: sender.Domain().String(), Cert: s.Cert, Known: smime.Taught(o, s), Time: s.SigningTime}
			if !onlyOurs {
				l.Known.KeyTransport, l.Known.MailCipher = "", ""
			}
			if v.Bound == "address" {
				l.Name = sender.WithoutTag().Key()
			}
			if now := a.Now(); l.Time.IsZero() || l.Time.After(now) {
				l.Time = now
			}
			out = append(out, l)
			break
		}
	}
	return out
}

// onlyOurs reports that a message names nobody in its signed header but those it has reached here for.
func onlyOurs(o *smime.Opened, f message.Facts, rcpts []addr.Address) bool {
	if !o.Wrapped || f.Bcc {
		return false
	}
	here := map[string]bool{}
	for _, r := range rcpts {
		here[r.WithoutTag().Key()] = true
	}
	for _, r := range slices.Concat(f.To, f.Cc) {
		if !here[r.WithoutTag().Key()] {
			return false
		}
	}
	return true
}
