package message_test

import "testing"

// Other readers end a line at a bare CR, so a field hidden behind one must refuse the message whatever the
// name in front of it looks like.
func TestFieldHiddenBehindABareCR(t *testing.T) {
	for _, head := range []string{
		"X-A\rFrom: Chief Physician <chief@other.example>\r\n",
		"X-A: b\rFrom: chief@other.example\r\n",
		"Fr\x00om: evil@other.example\r\n",
	} {
		f := facts(t, head+"From: ward3@direct.hospital.example\r\nTo: a@direct.clinic.example\r\n\r\nx\r\n")
		if f.CheckInner() == nil {
			t.Errorf("%q is taken", head)
		}
	}
	if f := facts(t, "X-A: b\r\nFrom: ward3@direct.hospital.example\r\n\r\nx\r\n"); f.CheckInner() != nil {
		t.Errorf("a plain header is refused: %v", f.CheckInner())
	}
}
