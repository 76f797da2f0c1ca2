package cms_test

import (
	"bytes"
	"testing"

	"postern/smime/cms"
)

func TestAnnouncedCapabilitiesAreThoseWeRead(t *testing.T) {
	if got, want := cms.Announced(), cms.BuildAnnounced(); !bytes.Equal(got, want) {
		t.Errorf("announced %q,\nwant %x", got, want)
	}
}
