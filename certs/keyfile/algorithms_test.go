package keyfile

import (
	"bytes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"testing"

	"postern/smime/cms/ber"
)

// The vectors of RFC 2268 §5 in which every bit of the key counts.
func TestRC2(t *testing.T) {
	for _, v := range []struct{ key, plain, sealed string }{
		{"ffffffffffffffff", "ffffffffffffffff", "278b27e42e2f0d49"},
		{"3000000000000000", "1000000000000001", "30649edf9be7d2c2"},
		{"88bca90e90875a7f0f79c384627bafb2", "0000000000000000", "2269552ab0f85ca6"},
	} {
		key, _ := hex.DecodeString(v.key)
		sealed, _ := hex.DecodeString(v.sealed)
		var block cipher.Block = newRC2(key)
		got := make([]byte, block.BlockSize())
		block.Decrypt(got, sealed)
		if hex.EncodeToString(got) != v.plain {
			t.Errorf("key %s: %x, want %s", v.key, got, v.plain)
		}
	}
}

// clearFile is a PKCS#12 file with nothing in it, under a code made from the octets of a password.
func clearFile(password []byte, rounds []byte) []byte {
	safes := ber.Build(ber.Sequence)
	salt := []byte("12345678")
	count := 0
	for _, b := range rounds {
		count = count<<8 | int(b)
	}
	m := hmac.New(sha1.New, pkcs12KDF{sha1.New, salt, password, count}.derive(forMAC, sha1.Size))
	m.Write(safes)
	info := ber.Build(ber.Sequence, ber.Build(ber.OID, []byte(oidData)), ber.Build(ber.ContextConstructed(0), ber.Build(ber.OctetString, safes)))
	digest := ber.Build(ber.Sequence, ber.Build(ber.Sequence, ber.Build(ber.OID, []byte(oidSHA1))), ber.Build(ber.OctetString, m.Sum(nil)))
	return ber.Build(ber.Sequence, ber.Build(ber.Integer, []byte{3}), info, ber.Build(ber.Sequence, digest, ber.Build(ber.OctetString, salt), ber.Build(ber.Integer, rounds)))
}

// The empty password is two zero octets to some programs and nothing at all to others.
func TestEmptyPassword(t *testing.T) {
	for situation, tc := range map[string]struct {
		octets []byte
		reason Reason
	}{
		"two zero octets": {[]byte{0, 0}, ReasonNoCert}, // the code is right, and nothing is in the file
		"nothing":         {nil, ReasonNoCert},
		"another one":     {[]byte{0, 'x', 0, 0}, ReasonPassword},
	} {
		var e *Error
		if _, err := Parse(clearFile(tc.octets, []byte{4}), ""); !errors.As(err, &e) || e.Reason != tc.reason {
			t.Errorf("%s: %v, want %s", situation, err, tc.reason)
		}
	}
}

// Both forms of a password together may cost no more rounds than one file has.
func TestFormsShareTheirRounds(t *testing.T) {
	var e *Error
	if _, err := Parse(clearFile([]byte("x"), []byte{0x2d, 0xc6, 0xc0}), ""); !errors.As(err, &e) || e.Reason != ReasonTooLarge { // 3,000,000 twice
		t.Errorf("%v", err)
	}
}

// Bags within bags are followed a few levels deep, and counted.
func TestBagsWithinBags(t *testing.T) {
	nest := func(levels int) []byte {
		in := ber.Build(ber.Sequence)
		for range levels {
			in = ber.Build(ber.Sequence, ber.Build(ber.Sequence, ber.Build(ber.OID, []byte(oidSafeBag)), ber.Build(ber.ContextConstructed(0), in)))
		}
		return in
	}
	r := &safeReader{rounds: &rounds{MaxRounds}}
	if err := r.contents(nest(4), 4); err != nil || r.bags != 4 {
		t.Errorf("%v after %d bags", err, r.bags)
	}
	r = &safeReader{rounds: &rounds{MaxRounds}}
	if err := r.contents(nest(9), 4); err != nil || r.bags != 5 { // the fifth is passed over as an unknown thing
		t.Errorf("%v after %d bags", err, r.bags)
	}
	one := ber.Build(ber.Sequence, ber.Build(ber.OID, []byte(oidData)), ber.Build(ber.ContextConstructed(0), ber.Build(ber.OctetString)))
	r = &safeReader{rounds: &rounds{MaxRounds}}
	var e *Error
	if err := r.contents(ber.Build(ber.Sequence, bytes.Repeat(one, maxBags+1)), 4); !errors.As(err, &e) || e.Reason != ReasonTooLarge {
		t.Errorf("too many: %v", err)
	}
}
