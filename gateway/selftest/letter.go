package selftest

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strings"
	"time"

	"postern/certs"
	"postern/smime/addr"
	"postern/smime/cms"
)

// letter is one message as a peer, honest or not, makes it. It is put together here and not by smime.Seal, which
// makes good messages only.
type letter struct {
	from     addr.Address   // the inner From
	envelope string         // MAIL FROM; "" is from, "<>" is the empty one
	to       []addr.Address // the inner To
	rcpt     []addr.Address // the envelope's recipients; nil is to
	signers  []certs.Credential
	report   bool            // the inner message is a notice
	altered  bool            // changed after it was signed
	bare     bool            // without the signers' certificates
	unsigned bool            // encrypted only
	decoys   [][]byte        // certificates put in front of the signers' own
	stray    bool            // encrypted to nobody here
	readers  []cms.Recipient // who can open it; nil is its recipients
}

// mailFrom is the envelope sender as SMTP has it.
func (l letter) mailFrom() string {
	switch l.envelope {
	case "":
		return l.from.String()
	case "<>":
		return ""
	}
	return l.envelope
}

func (l letter) recipients() []addr.Address {
	if l.rcpt != nil {
		return l.rcpt
	}
	return l.to
}

// inner is the message that is signed.
func (l letter) inner(now time.Time) string {
	to := make([]string, len(l.to))
	for i, a := range l.to {
		to[i] = a.String()
	}
	kind, body := "text/plain", "selftest\r\n"
	if l.report {
		kind = "multipart/report; report-type=disposition-notification; boundary=b"
		body = "--b\r\nContent-Type: text/plain\r\n\r\nread\r\n--b\r\nContent-Type: message/disposition-notification\r\n\r\n" +
			"Final-Recipient: rfc822; " + l.from.String() + "\r\nOriginal-Message-ID: <never@sent.selftest.example>\r\n" +
			"Disposition: automatic-action/MDN-sent-automatically; processed\r\n\r\n--b--\r\n"
	}
	return "From: " + l.from.String() + "\r\nTo: " + strings.Join(to, ", ") + "\r\nSubject: selftest\r\nMessage-ID: <" +
		l.from.Local() + "@" + l.from.Domain().String() + ">\r\nDate: " + now.Format(time.RFC1123Z) + "\r\nMIME-Version: 1.0\r\nContent-Type: " +
		kind + "\r\n\r\n" + body
}

// seal is the message as it goes over SMTP.
func (l letter) seal(now time.Time) ([]byte, error) {
	entity := "Content-Type: text/plain\r\n\r\nselftest\r\n"
	if !l.unsigned {
		var err error
		if entity, err = l.signed(now); err != nil {
			return nil, err
		}
	}
	var enveloped bytes.Buffer
	w, err := cms.NewEnvelope(&enveloped, cms.EnvelopeOptions{Recipients: l.readers, Size: int64(len(entity))})
	if err == nil {
		_, err = io.WriteString(w, entity)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, err
	}
	header := "From: " + l.from.String() + "\r\nTo: undisclosed:;\r\nDate: " + now.Format(time.RFC1123Z) + "\r\nMIME-Version: 1.0\r\n" +
		"Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\r\nContent-Transfer-Encoding: base64\r\n\r\n"
	return append([]byte(header), lines(enveloped.Bytes())...), nil
}

// signed is the multipart/signed entity around the inner message.
func (l letter) signed(now time.Time) (string, error) {
	part := "Content-Type: message/rfc822\r\n\r\n" + l.inner(now)
	var all [][]byte
	for _, who := range l.signers {
		key, ok := who.Key.(crypto.Signer)
		if !ok {
			return "", errors.New("a certificate without its key cannot sign")
		}
		s, err := cms.NewDetachedSigner(cms.SignOptions{Signer: cms.Identity{Cert: who.Cert, Chain: who.Chain, Key: key}, Now: now})
		if err != nil {
			return "", err
		}
		h := s.Digest().New()
		io.WriteString(h, part)
		der, err := s.Sign(h.Sum(nil))
		if err != nil {
			return "", err
		}
		all = append(all, der)
	}
	signature, err := together(all, l.bare, l.decoys)
	if err != nil {
		return "", err
	}
	if l.altered {
		part = strings.Replace(part, "selftest\r\n", "selfless\r\n", 1)
	}
	return "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256; boundary=\"=_s\"\r\n\r\n--=_s\r\n" + part +
		"\r\n--=_s\r\nContent-Type: application/pkcs7-signature; name=smime.p7s\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
		string(lines(signature)) + "--=_s--\r\n", nil
}

// together makes one SignedData (RFC 5652 §5.1) of several with one signer each; bare leaves the certificates out,
// decoys go in front of them.
func together(all [][]byte, bare bool, decoys [][]byte) ([]byte, error) {
	var info, data []asn1.RawValue // content type and content; version, digests, content, certificates, signers
	for i, der := range all {
		var outer, one []asn1.RawValue
		if _, err := asn1.Unmarshal(der, &outer); err != nil || len(outer) != 2 {
			return nil, errors.Join(err, errors.New("signature: not a ContentInfo"))
		}
		if _, err := asn1.Unmarshal(outer[1].Bytes, &one); err != nil || len(one) != 5 {
			return nil, errors.Join(err, errors.New("signature: not SignedData with certificates"))
		}
		if i == 0 {
			info, data = outer, one
			continue
		}
		for _, k := range []int{3, 4} {
			data[k].Bytes = slices.Concat(data[k].Bytes, one[k].Bytes)
			data[k].FullBytes = nil
		}
	}
	if len(decoys) > 0 {
		data[3].Bytes, data[3].FullBytes = slices.Concat(append(slices.Clone(decoys), data[3].Bytes)...), nil
	}
	if bare {
		data = append(data[:3:3], data[4])
	}
	der, err := asn1.Marshal(data)
	if err != nil {
		return nil, fmt.Errorf("signature: %w", err)
	}
	info[1].Bytes, info[1].FullBytes = der, nil
	return asn1.Marshal(info)
}

// lines is base64 in lines of 76.
func lines(b []byte) []byte {
	var out bytes.Buffer
	for text := base64.StdEncoding.EncodeToString(b); text != ""; {
		n := min(76, len(text))
		out.WriteString(text[:n] + "\r\n")
		text = text[n:]
	}
	return out.Bytes()
}

// doubles is n certificates of one authority's name and key identifier, whose keys are not its own.
func doubles(n int, of *x509.Certificate, key crypto.Signer, now time.Time) (out [][]byte, err error) {
	t := &x509.Certificate{Subject: of.Subject, RawSubject: of.RawSubject, SubjectKeyId: of.SubjectKeyId, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true}
	for i := range n {
		t.SerialNumber = big.NewInt(int64(i + 1))
		der, err := x509.CreateCertificate(nil, t, t, key.Public(), key)
		if err != nil {
			return nil, err
		}
		out = append(out, der)
	}
	return out, nil
}

// lookalike is a certificate that made itself and bears the name and the key identifier of an anchor.
func lookalike(anchor *x509.Certificate, a addr.Address, key crypto.Signer, now time.Time) (certs.Credential, error) {
	t := &x509.Certificate{SerialNumber: anchor.SerialNumber, Subject: anchor.Subject, RawSubject: anchor.RawSubject, SubjectKeyId: anchor.SubjectKeyId,
		AuthorityKeyId: anchor.SubjectKeyId, EmailAddresses: []string{a.String()}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(nil, t, t, key.Public(), key)
	if err != nil {
		return certs.Credential{}, err
	}
	c, err := certs.Parse(der)
	if err != nil {
		return certs.Credential{}, err
	}
	return certs.NewCredential(c, nil, key)
}
