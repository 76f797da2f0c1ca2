// Package totp is one-time codes from an authenticator app: RFC 6238 over RFC 4226 with SHA-1, six digits and steps of
// 30 s, which is what every app understands.
//
// A code counts one step early and one late, for clocks that differ; a step that was used, and any before it, is not
// taken again (RFC 6238 §5.2). Secrets have 160 bits (RFC 4226 §4, R6).
//
// It is our own: the algorithm is twenty lines over the standard library, and the RFC's vectors are the test.
// rsc.io/qr (BSD-3-Clause, the work of one author, complete and without dependencies) draws the picture that apps
// read; this package is its only home.
//
// It stores nothing and does not count failures: callers bound the tries. Limits: a text of MaxURI octets in a picture.
package totp

import (
	"crypto/fips140"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1" // HMAC-SHA-1 is the algorithm of RFC 4226
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"net/url"
	"strings"
	"time"

	"rsc.io/qr"
)

// The parameters, and the longest text of a picture.
const (
	Digits     = 6
	Step       = 30 * time.Second
	SecretSize = 20 // octets
	MaxURI     = 400
	window     = 1 // steps early and late
)

// NewSecret is a new random secret.
func NewSecret() []byte {
	b := make([]byte, SecretSize)
	rand.Read(b) // never fails (crypto/rand)
	return b
}

// At is the code of a counter (RFC 4226 §5.3).
func At(secret []byte, counter int64) string {
	var c [8]byte
	binary.BigEndian.PutUint64(c[:], uint64(counter))
	var sum []byte
	// The codes of every authenticator are made with SHA-1; a FIPS 140 only build makes them as others do.
	fips140.WithoutEnforcement(func() {
		m := hmac.New(sha1.New, secret)
		m.Write(c[:])
		sum = m.Sum(nil)
	})
	n := binary.BigEndian.Uint32(sum[sum[19]&15:]) & 0x7fffffff
	return fmt.Sprintf("%0*d", Digits, n%1_000_000)
}

// Check tells whether a code is right now, and for which step; last is the step used before, which and whose
// predecessors are refused. Spaces in the code are ignored.
func Check(secret []byte, code string, now time.Time, last int64) (step int64, ok bool) {
	code = strings.ReplaceAll(code, " ", "")
	at := now.Unix() / int64(Step/time.Second)
	for s := at - window; s <= at+window; s++ {
		right := subtle.ConstantTimeCompare([]byte(At(secret, s)), []byte(code)) == 1
		if right && s > last && !ok {
			step, ok = s, true
		}
	}
	return step, ok && len(secret) == SecretSize
}

// Text is the secret as people type it, in groups of four.
func Text(secret []byte) string {
	s := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(secret)
	var out []string
	for len(s) > 4 {
		out, s = append(out, s[:4]), s[4:]
	}
	return strings.Join(append(out, s), " ")
}

// URI is what an app reads: otpauth://totp/ISSUER:ACCOUNT with the secret.
func URI(secret []byte, issuer, account string) string {
	clean := func(s string) string { return strings.ReplaceAll(s, ":", " ") }
	v := url.Values{"secret": {strings.ReplaceAll(Text(secret), " ", "")}, "issuer": {clean(issuer)}, "algorithm": {"SHA1"}, "digits": {"6"}, "period": {"30"}}
	return "otpauth://totp/" + url.PathEscape(clean(issuer)+":"+clean(account)) + "?" + strings.ReplaceAll(v.Encode(), "+", "%20")
}

// Picture is a text as a QR code: the size of its square, and the dark ones as a path for SVG.
func Picture(text string) (size int, path string, err error) {
	if len(text) > MaxURI {
		return 0, "", fmt.Errorf("totp: a picture holds %d octets", MaxURI)
	}
	c, err := qr.Encode(text, qr.M)
	if err != nil {
		return 0, "", fmt.Errorf("totp: picture: %w", err)
	}
	var b strings.Builder
	for y := range c.Size {
		for x := range c.Size {
			if c.Black(x, y) {
				fmt.Fprintf(&b, "M%d %dh1v1h-1z", x, y)
			}
		}
	}
	return c.Size, b.String(), nil
}
