package smime_test

import (
	"bytes"
	"testing"
	"testing/iotest"

	"postern/smime"
)

func TestMemoryScratch(t *testing.T) {
	s, err := smime.NewMemory()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write([]byte("hello")); err != nil || s.Size() != 5 {
		t.Fatal(s.Size(), err)
	}
	got := make([]byte, 3)
	if n, err := s.ReadAt(got, 1); n != 3 || err != nil || string(got) != "ell" {
		t.Errorf("%d %q %v", n, got, err)
	}
	if _, err := s.Write(make([]byte, smime.MaxMemory)); err == nil {
		t.Error("more than MaxMemory was taken")
	}
	for range 2 {
		if err := s.Discard(); err != nil || s.Size() != 0 {
			t.Errorf("after Discard: %d octets, %v", s.Size(), err)
		}
	}
}

// The inner message of an unwrapped one is put together from two places; it reads like one.
func TestUnwrappedReadsAtAnyOffset(t *testing.T) {
	from, to := someone(t, "hospital", "rsa2048"), someone(t, "clinic", "rsa2048")
	entity := []byte("Content-Type: text/plain\r\n\r\nhello\r\n")
	msg := mail(sealedFor(t, to, multipart(entity, forgedData{signers: []forgedSigner{{p: from}}}.der(t, entity))).der())
	got := opened(t, msg, smime.OpenOptions{Keys: []smime.Key{to.decrypt()}})
	want := append([]byte("From: ada@hospital.example\r\nTo: ben@clinic.example\r\nMIME-Version: 1.0\r\n"), entity...)
	if err := iotest.TestReader(got.Inner, want); err != nil {
		t.Error(err)
	}
	for off := range want {
		b := make([]byte, 7)
		n, _ := got.Inner.ReadAt(b, int64(off))
		if !bytes.Equal(b[:n], want[off:min(off+7, len(want))]) {
			t.Fatalf("at %d: %q", off, b[:n])
		}
	}
}
