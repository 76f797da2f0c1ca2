package cms_test

import (
	"bytes"
	"testing"

	"postern/smime/cms"
)

func TestConstantsAreWhatTheyStandFor(t *testing.T) {
	for name, pair := range cms.Constants() {
		if !bytes.Equal(pair[0], pair[1]) {
			t.Errorf("%s is %x, want %x", name, pair[0], pair[1])
		}
	}
}

func TestAnnouncedCapabilitiesAreThoseWeRead(t *testing.T) {
	if got, want := cms.Announced(), cms.BuildAnnounced(); !bytes.Equal(got, want) {
		t.Errorf("announced %q,\nwant %x", got, want)
	}
}
