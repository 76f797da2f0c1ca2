package ldapwire_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"postern/certs/ldapwire"

	ber "github.com/go-asn1-ber/asn1-ber"
)

// given is a connection from which fixed octets come.
type given struct{ io.Reader }

func (given) Write(p []byte) (int, error)      { return len(p), nil }
func (given) Close() error                     { return nil }
func (given) LocalAddr() net.Addr              { return nil }
func (given) RemoteAddr() net.Addr             { return nil }
func (given) SetDeadline(time.Time) error      { return nil }
func (given) SetReadDeadline(time.Time) error  { return nil }
func (given) SetWriteDeadline(time.Time) error { return nil }

var limits = ldapwire.Limits{Message: 1000, Elements: 50, Total: 3000}

func nested(n int) string {
	s := ""
	for range n {
		s = "\x30" + string(rune(len(s))) + s
	}
	return s
}

func TestMessages(t *testing.T) {
	good := "\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00"
	for _, tc := range []struct {
		situation, octets string
		messages          int
		words             string // of the hostile end; "" = the connection just ends
	}{
		{"one", good, 1, ""},
		{"three", good + good + good, 3, ""},
		{"long form of the length", "\x30\x81\x03\x02\x01\x01", 1, ""},
		{"cut off", good[:9], 0, ""},
		{"deepest allowed", nested(ldapwire.MaxDepth), 1, ""},
		{"deeper", nested(ldapwire.MaxDepth + 2), 0, "deeper than"},
		{"too long", "\x30\x82\x03\xe8" + strings.Repeat("x", 1000), 0, "octets, at most 1000"},
		{"length of 5 octets", "\x30\x85\x00\x00\x00\x00\x01x", 0, "overlong"},
		{"indefinite", "\x30\x80\x00\x00", 0, "indefinite"},
		{"not a sequence", "\x04\x01x", 0, "begins with"},
		{"long tag inside", "\x30\x03\x3f\x81\x00", 0, "long tag"},
		{"element beyond its message", "\x30\x03\x04\x05x", 0, "longer than its message"},
		{"many elements", "\x30\x70" + strings.Repeat("\x05\x00", 56), 0, "elements"},
		{"good, then hostile", good + "\x04\x01x" + good, 1, "begins with"},
		{"more in all than allowed", strings.Repeat("\x30\x82\x03\x00\x04\x82\x02\xfc"+strings.Repeat("x", 764), 5), 3, "in all"},
	} {
		t.Run(tc.situation, func(t *testing.T) {
			c := ldapwire.NewConn(given{strings.NewReader(tc.octets)}, limits)
			var err error
			n := 0
			for ; ; n++ {
				if _, err = c.Message(); err != nil {
					break
				}
			}
			if n != tc.messages || errors.Is(err, ldapwire.ErrHostile) != (tc.words != "") || tc.words != "" && !strings.Contains(err.Error(), tc.words) {
				t.Errorf("%d messages, then %v; want %d and %q", n, err, tc.messages, tc.words)
			}
			// The same through Read: exactly the good octets, and nothing after a hostile message.
			c = ldapwire.NewConn(given{strings.NewReader(tc.octets)}, limits)
			all, err := io.ReadAll(c)
			if tc.words != "" && (!errors.Is(err, ldapwire.ErrHostile) || c.Cut() == nil) {
				t.Errorf("Read ends with %v", err)
			}
			if !strings.HasPrefix(tc.octets, string(all)) {
				t.Errorf("Read gave other octets")
			}
			if more, err := c.Read(make([]byte, 10)); tc.words != "" && (more != 0 || err == nil) {
				t.Errorf("Read goes on after a hostile message")
			}
		})
	}
}

// What passes the check is decoded by the library without trouble, and is as small as promised.
func FuzzMessage(f *testing.F) {
	f.Add([]byte("\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00"))
	f.Add([]byte("\x30\x80\x00\x00"))
	f.Add([]byte(nested(20)))
	f.Fuzz(func(t *testing.T, octets []byte) {
		c := ldapwire.NewConn(given{bytes.NewReader(octets)}, limits)
		for {
			message, err := c.Message()
			if err != nil {
				return
			}
			if len(message) > limits.Message {
				t.Fatalf("message of %d octets", len(message))
			}
			p, err := ber.DecodePacketErr(message)
			if err != nil {
				continue // the library is stricter: an empty boolean and the like
			}
			if n := count(p); n > limits.Elements+1 {
				t.Fatalf("%d elements", n)
			}
		}
	})
}

func count(p *ber.Packet) int {
	n := 1
	for _, c := range p.Children {
		n += count(c)
	}
	return n
}
