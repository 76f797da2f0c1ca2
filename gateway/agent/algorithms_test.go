package agent_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"postern/certs/issue"
	"postern/gateway/agent"
	"postern/smime"
	"postern/smime/addr"
	"postern/smime/cms"
	"postern/trust"
)

// known is what is known of peers, by "domain of ours>address".
type known map[string]smime.Known

func (k known) Known(_ context.Context, local addr.Domain, peer addr.Address) (smime.Known, error) {
	if v, ok := k[local.String()+">"+peer.Key()]; ok {
		return v, nil
	}
	return smime.Known{}, nil
}

type deaf struct{ err error }

func (d deaf) Known(context.Context, addr.Domain, addr.Address) (smime.Known, error) {
	return smime.Known{}, d.err
}

// One message to several is sealed once for each cipher that not all of them read; every recipient can open
// the envelope that is his and no other, and all that was decided is in the verdicts and receipts.
func TestSealedForEachByWhatHeReads(t *testing.T) {
	f, ca, _ := sender(t)
	third := addr.MustParse("third@clinic.example")
	people := []addr.Address{intake, front, third}
	for _, a := range people {
		c := leaf(t, ca, issue.LeafOptions{Address: a, Algorithm: issue.RSA2048})
		f.found[a.Key()], f.keys[a.Key()] = found(c), append(f.keys[a.Key()][:0:0], c)
	}
	a := f.agent()
	a.Peers = known{
		"hospital.example>" + intake.Key(): {Capabilities: []cms.Capability{cms.CapAES256GCM, cms.CapOAEPSHA256}},
		"hospital.example>" + front.Key():  {KeyTransport: "rsaes-pkcs1-v1_5"},
		"practice.example>" + third.Key():  {Cipher: "aes-128-cbc"}, // another domain's knowledge
	}
	var written []*bytes.Buffer
	inner := mail(fromDoc + "To: <intake@clinic.example>, <front@clinic.example>, <third@clinic.example>\n")
	s, err := a.Seal(t.Context(), agent.Outbound{From: doc, Recipients: people, Content: section(inner), Purpose: trust.Mail, EightBit: true}, func() (io.Writer, error) {
		written = append(written, &bytes.Buffer{})
		return written[len(written)-1], nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i, e := range s.Envelopes {
		got = append(got, fmt.Sprint(e.Report.Cipher, e.Recipients))
		for _, who := range people {
			c := f.keys[who.Key()][0]
			o, err := smime.Open(bytes.NewReader(written[i].Bytes()), smime.OpenOptions{Keys: []smime.Key{{Cert: c.Cert, Private: c.Key}}})
			if mine := s.For(who) == &s.Envelopes[i]; mine != (err == nil) {
				t.Errorf("envelope %d for %s: %v", i, who, err)
			}
			if err == nil {
				o.Close()
			}
		}
	}
	if g := strings.Join(got, "; "); g != "aes-256-gcm[intake@clinic.example]; aes-256-cbc[front@clinic.example third@clinic.example]" {
		t.Errorf("envelopes %s", g)
	}
	for i, want := range []string{"aes-256-gcm rsaes-oaep-sha256", "aes-256-cbc rsaes-pkcs1-v1_5", "aes-256-cbc rsaes-oaep-sha1"} {
		alg := s.Verdicts[i].Algorithms
		if alg == nil || alg.Cipher+" "+alg.KeyTransport != want || len(alg.Why) < 2 {
			t.Errorf("%s: %+v, want %s", people[i], alg, want)
		}
	}
	if words := strings.Join(s.Envelopes[1].Report.Words(), " "); !strings.Contains(words, "own mail uses it") {
		t.Errorf("receipt %s", words)
	}
	a.Peers = deaf{errors.New("away")}
	if _, err := a.Seal(t.Context(), agent.Outbound{From: doc, Recipients: people, Content: section(inner)}, nil); err == nil || !strings.Contains(err.Error(), "away") {
		t.Errorf("without an answer about peers: %v", err)
	}
}

// What is learnt of a sender is learnt by the domains that approved it, about whom its certificate speaks for, and
// not from the future.
func TestWhatAMessageTeaches(t *testing.T) {
	f, ca := receiver(t)
	inner := mail(fromDoc + "To: <intake@clinic.example>, <front@clinic.example>\nCc: <second@practice.example>\n")
	for _, c := range []struct {
		name   string
		signer issue.LeafOptions
		change func()
		want   string
	}{
		{"bound to the address", issue.LeafOptions{Address: doc}, nil, "clinic.example:doc@hospital.example practice.example:doc@hospital.example"},
		{"bound to the domain", issue.LeafOptions{Domain: doc.Domain()}, nil, "clinic.example:hospital.example practice.example:hospital.example"},
		{"trusted by one domain of ours", issue.LeafOptions{Address: doc}, func() { delete(f.in, "practice.example") }, "clinic.example:doc@hospital.example"},
		{"trusted by nobody", issue.LeafOptions{Address: doc}, func() { delete(f.in, "clinic.example") }, ""},
	} {
		if c.change != nil {
			c.change()
		}
		signer := leaf(t, ca, c.signer)
		f.now = now.AddDate(0, 0, 3) // it claims to be signed later than it is
		sealed := f.seal(signer, inner, intake, front, second)
		f.now = now
		res, err := f.agent().Open(t.Context(), agent.Inbound{MailFrom: doc, Recipients: []addr.Address{intake, front, second}, Sealed: bytes.NewReader(sealed)})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, l := range res.Lessons {
			got = append(got, l.Local.String()+":"+l.Name)
			if !l.Time.Equal(now) || !l.Cert.Equal(signer.Cert) || len(l.Known.Capabilities) < 5 || l.Known.MailCipher != "aes-256-cbc" {
				t.Errorf("%s: learnt %+v", c.name, l)
			}
		}
		if g := strings.Join(got, " "); g != c.want {
			t.Errorf("%s: learnt of %q, want %q", c.name, g, c.want)
		}
		if res.Opened != nil {
			res.Opened.Close()
		}
	}
}

// A message that somebody else was sent too may come in an envelope of his: it teaches only what is signed.
func TestAnEnvelopeThatAnotherMayHaveMadeTeachesNothing(t *testing.T) {
	f, ca := receiver(t)
	signer := leaf(t, ca, issue.LeafOptions{Address: doc})
	for _, c := range []struct{ name, to, cipher string }{
		{"to us alone", "To: <intake@clinic.example>\n", "aes-256-cbc"},
		{"to us alone, with a tag", "To: <INTAKE+ward@clinic.example>\n", "aes-256-cbc"},
		{"to another too", "To: <intake@clinic.example>, <eve@evil.example>\n", ""},
		{"with a copy to another", "To: <intake@clinic.example>\nCc: <eve@evil.example>\n", ""},
		{"with blind copies", "To: <intake@clinic.example>\nBcc: <eve@evil.example>\n", ""},
	} {
		sealed := f.seal(signer, mail(fromDoc+c.to), intake)
		res, err := f.agent().Open(t.Context(), agent.Inbound{MailFrom: doc, Recipients: []addr.Address{intake}, Sealed: bytes.NewReader(sealed)})
		if err != nil || len(res.Lessons) != 1 {
			t.Fatalf("%s: %v, %+v", c.name, err, res)
		}
		if k := res.Lessons[0].Known; k.MailCipher != c.cipher || (k.KeyTransport != "") != (c.cipher != "") || len(k.Capabilities) < 5 {
			t.Errorf("%s: learnt %+v", c.name, k)
		}
		res.Opened.Close()
	}
}
