package smime

import (
	"bytes"
	"testing"
)

// A line of octets that all look like the boundary is looked at once a piece, not once an octet.
func TestLookAlikesInOneLine(t *testing.T) {
	look := func(n int) int64 {
		s := newSplitter(string(bytes.Repeat([]byte{'-'}, maxBoundary)), 0, nil)
		s.feed([]byte("--" + string(bytes.Repeat([]byte{'-'}, maxBoundary)) + "\r\nx"))
		for range n {
			s.feed(bytes.Repeat([]byte{'-'}, 64<<10))
		}
		s.finish()
		if s.state != inFirst {
			t.Fatalf("state %d", s.state)
		}
		return s.looked
	}
	if few, many := look(8), look(16); many > 2*few+4 || many > 64 {
		t.Errorf("looked %d times in 0.5 MiB, %d times in 1 MiB", few, many)
	}
}

// Lines that begin like a delimiter and go on are each looked at once.
func TestLookAlikesInManyLines(t *testing.T) {
	s := newSplitter("b", 0, nil)
	const lines = 10_000
	s.feed(bytes.Repeat([]byte("--b --b --b --b --b --b x\n"), lines))
	s.finish()
	if s.looked > lines+lines/10 {
		t.Errorf("looked %d times in %d lines", s.looked, lines)
	}
}
