package smime

import (
	"bytes"
	"testing"
)

// What a scratch in memory outgrows is wiped like the rest.
func TestMemoryScratchIsWipedAsItGrows(t *testing.T) {
	m := &Memory{}
	var outgrown [][]byte
	for range 40 {
		if _, err := m.Write(bytes.Repeat([]byte("secret "), 300)); err != nil {
			t.Fatal(err)
		}
		outgrown = append(outgrown, m.b)
	}
	last := m.b
	if int64(len(last)) != m.Size() || !bytes.Equal(last, bytes.Repeat([]byte("secret "), 40*300)) {
		t.Fatal("the scratch holds something else than what was written")
	}
	if err := m.Discard(); err != nil {
		t.Fatal(err)
	}
	for i, b := range outgrown {
		if len(bytes.Trim(b, "\x00")) > 0 {
			t.Errorf("%d octets of the place after write %d were not wiped", len(b), i)
		}
	}
}
