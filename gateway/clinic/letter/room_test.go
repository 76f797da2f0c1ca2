package letter_test

import (
	"strings"
	"testing"

	. "postern/gateway/clinic/letter"
)

func TestRoom(t *testing.T) {
	small := RoomIn(10 << 20)
	for situation, c := range map[string]struct {
		room  Room
		there []File
		size  int64
		words string
	}{
		"the first":                  {RoomIn(1 << 30), nil, MaxOctets, ""},
		"one octet too large":        {RoomIn(1 << 30), nil, MaxOctets + 1, "larger than the 60 MB"},
		"full by number":             {RoomIn(1 << 30), make([]File, MaxFiles), 1, "at most 25 files"},
		"one place left":             {RoomIn(1 << 30), make([]File, MaxFiles-1), 1, ""},
		"full by size":               {RoomIn(1 << 30), []File{{Size: MaxOctets - 1}}, 2, "would be more than the 60 MB"},
		"what a small message holds": {small, nil, small.Octets, ""},
		"more than it holds":         {small, nil, small.Octets + 1, "larger than the 7 MB"},
		"a message with no room":     {RoomIn(1), nil, 1, "larger than the 0 KB"},
	} {
		got := c.room.Refuse(c.there, "scan.pdf", c.size)
		if (c.words == "") != (got == "") || !strings.Contains(got, c.words) {
			t.Errorf("%s: %q, want %q", situation, got, c.words)
		}
	}
	if encoded := (small.Octets + 56) / 57 * 78; encoded > 10<<20 {
		t.Errorf("what fits in raises the message to %d octets", encoded)
	}
}
