package part

import (
	"strings"
	"testing"
)

// A parameter is looked for up to the next semicolon, however many semicolons there are.
func TestSemicolonsAreLinear(t *testing.T) {
	for _, flood := range []string{";", ";=", "a;", ";a=\"", ";(", ";a=b"} {
		s := scan{in: strings.Repeat(flood, 50_000) + "="}
		for s.pos < len(s.in) {
			s.param()
		}
		if s.looked > 2*len(s.in) {
			t.Errorf("%q: %d octets searched in %d", flood, s.looked, len(s.in))
		}
	}
}
