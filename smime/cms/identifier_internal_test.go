package cms

import (
	"bytes"
	"crypto/x509"
	"math/big"
	"runtime"
	"testing"

	"postern/smime/cms/ber"
)

// A long issuer name in an identifier is taken apart once, however many certificates have its serial number.
func TestOneIdentifierAgainstManyCertificates(t *testing.T) {
	rdn := func(text string, tag byte) []byte {
		return ber.Build(ber.Set, ber.Build(ber.Sequence, ber.Build(ber.OID, []byte{0x55, 4, 3}), ber.Build(tag, []byte(text))))
	}
	long := ber.Build(ber.Sequence, bytes.Repeat(rdn("somebody", ber.TagUTF8String), 3000))
	same := ber.Build(ber.Sequence, bytes.Repeat(rdn("SomeBody", ber.TagPrintableString), 3000))
	other := ber.Build(ber.Sequence, rdn("nobody", ber.TagUTF8String))
	id := identifier{issuer: long, serial: []byte{0, 7}}
	cert := func(issuer []byte, serial int64) *x509.Certificate {
		return &x509.Certificate{RawIssuer: issuer, SerialNumber: big.NewInt(serial)}
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 100 {
		if id.matches(cert(other, 7)) {
			t.Fatal("another issuer matches")
		}
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 20*uint64(len(long)) {
		t.Errorf("%d octets allocated for a name of %d", n, len(long))
	}
	for name, c := range map[string]*x509.Certificate{"as it is": cert(long, 7), "in another case and string type": cert(same, 7)} {
		if !id.matches(c) {
			t.Errorf("the issuer %s does not match", name)
		}
	}
	if id.matches(cert(long, 8)) {
		t.Error("another serial number matches")
	}
}
