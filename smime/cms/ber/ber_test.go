package ber_test

import (
	"bytes"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"postern/smime/cms/ber"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestDefinite(t *testing.T) {
	for _, c := range []struct {
		name, in, want string
		err            error
	}{
		{"DER stays", "30 03 02 01 05", "30 03 02 01 05", nil},
		{"indefinite", "30 80 02 01 05 00 00", "30 03 02 01 05", nil},
		{"nested indefinite", "30 80 31 80 02 01 05 00 00 00 00", "30 05 31 03 02 01 05", nil},
		{"indefinite in definite", "30 07 31 80 02 01 05 00 00", "30 05 31 03 02 01 05", nil},
		{"long lengths stay", "30 83 00 00 03 02 01 05", "30 83 00 00 03 02 01 05", nil},
		{"long lengths beside indefinite", "30 80 04 82 00 01 ff 00 00", "30 05 04 82 00 01 ff", nil},
		{"constructed octet string", "24 80 04 01 61 04 01 62 00 00", "24 06 04 01 61 04 01 62", nil},
		{"high tag", "7f 81 01 80 02 01 05 00 00", "7f 81 01 03 02 01 05", nil},
		{"content like end-of-contents", "30 80 04 02 00 00 00 00", "30 04 04 02 00 00", nil},
		{"empty indefinite", "30 80 00 00", "30 00", nil},
		{"primitive", "02 01 05", "02 01 05", nil},
		{"no end", "30 80 02 01 05", "", ber.ErrTruncated},
		{"content cut", "30 03 02 01", "", ber.ErrTruncated},
		{"nothing", "", "", ber.ErrTruncated},
		{"stray end-of-contents", "30 02 00 00", "", ber.ErrSyntax},
		{"two elements", "02 01 05 02 01 06", "", ber.ErrSyntax},
		{"child too long", "30 03 02 05 01 01 01", "", ber.ErrTruncated},
		{"indefinite child beyond its parent", "30 02 31 80 02 01 05 00 00", "", ber.ErrSyntax},
		{"indefinite primitive", "04 80 00 00", "", ber.ErrSyntax},
		{"reserved length", "30 ff", "", ber.ErrSyntax},
		{"end-of-contents with a long length", "30 80 00 81 00", "", ber.ErrSyntax},
		{"reserved tag with content", "30 80 00 01 00 00 00", "", ber.ErrSyntax},
		{"end-of-contents in the long form", "7f 30 80 1f 00 00", "", ber.ErrSyntax},
		{"33 deep", strings.Repeat("30 80 ", 33) + strings.Repeat("00 00 ", 33), "", ber.ErrLimit},
	} {
		got, err := ber.Definite(unhex(t, c.in))
		if !errors.Is(err, c.err) || err == nil && !bytes.Equal(got, unhex(t, c.want)) {
			t.Errorf("%s: %x, %v; want %s, %v", c.name, got, err, c.want, c.err)
		}
	}
}

func TestOctetStrings(t *testing.T) {
	for _, c := range []struct {
		name, in, want string
		err            error
	}{
		{"primitive", "04 03 61 62 63", "abc", nil},
		{"implicit primitive", "80 03 61 62 63", "abc", nil},
		{"segments", "24 06 04 01 61 04 01 62", "ab", nil},
		{"indefinite segments", "24 80 04 01 61 04 02 62 63 00 00", "abc", nil},
		{"implicit indefinite", "a0 80 04 01 61 04 00 04 01 62 00 00", "ab", nil},
		{"nested segments", "24 80 24 80 04 01 61 24 03 04 01 62 00 00 04 01 63 00 00", "abc", nil},
		{"empty", "04 00", "", nil},
		{"empty segments", "24 80 24 00 24 80 00 00 04 00 00 00", "", nil},
		{"segment of another type", "24 03 02 01 05", "", ber.ErrSyntax},
		{"cut in a segment", "24 80 04 05 61 62", "", ber.ErrTruncated},
		{"cut between segments", "24 80 04 01 61", "", ber.ErrTruncated},
		{"segment beyond its container", "24 03 04 05 61 62 63 64 65", "", ber.ErrSyntax},
		{"33 deep", strings.Repeat("24 80 ", 33), "", ber.ErrLimit},
	} {
		for _, one := range []bool{false, true} {
			var src io.Reader = bytes.NewReader(unhex(t, c.in))
			if one {
				src = iotest.OneByteReader(src)
			}
			s := ber.NewScanner(src)
			if _, ok, err := s.Next(); !ok || err != nil {
				t.Fatalf("%s: %v %v", c.name, ok, err)
			}
			r, err := s.Octets()
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(r)
			if !errors.Is(err, c.err) || err == nil && string(got) != c.want {
				t.Errorf("%s: %q, %v; want %q, %v", c.name, got, err, c.want, c.err)
			}
			if err == nil {
				if _, ok, err := s.Next(); ok || err != nil || s.Depth() != 0 {
					t.Errorf("%s: scanner does not stand behind the string: %v %v", c.name, ok, err)
				}
			}
		}
		e, err := ber.Definite(unhex(t, c.in))
		if c.err != nil || err != nil {
			continue
		}
		el, err := ber.One(e)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := el.Octets(); err != nil || string(got) != c.want {
			t.Errorf("%s in memory: %q, %v", c.name, got, err)
		}
	}
}

func TestScannerUse(t *testing.T) {
	s := ber.NewScanner(bytes.NewReader(unhex(t, "30 80 02 01 05 31 80 04 01 61 00 00 04 02 62 63 00 00 30 02 05 00 ff")))
	next := func() ber.Header {
		t.Helper()
		h, ok, err := s.Next()
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		return h
	}
	if h := next(); !h.IsSequence() || h.Length != -1 {
		t.Fatalf("%+v", h)
	}
	if err := s.Enter(); err != nil {
		t.Fatal(err)
	}
	next()
	if raw, err := s.Raw(3); err != nil || !bytes.Equal(raw, []byte{2, 1, 5}) {
		t.Fatalf("%x %v", raw, err)
	}
	next()
	if raw, err := s.Raw(100); err != nil || !bytes.Equal(raw, unhex(t, "31 80 04 01 61 00 00")) {
		t.Fatalf("%x %v", raw, err)
	}
	if _, _, err := s.Next(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Next(); err == nil {
		t.Error("Next without handling the last element")
	}
	if err := s.Leave(); err != nil {
		t.Fatal(err)
	}
	next()
	if _, err := s.Raw(3); !errors.Is(err, ber.ErrLimit) {
		t.Errorf("over the limit: %v", err)
	}
	if err := s.Leave(); err == nil {
		t.Error("Leave outside any container")
	}
}

func TestWritersAgreeWithTheStandardLibrary(t *testing.T) {
	for _, n := range []int{0, 1, 127, 128, 255, 256, 65535, 65536, 1 << 20} {
		content := make([]byte, n)
		want, err := asn1.Marshal(content)
		if err != nil {
			t.Fatal(err)
		}
		if got := ber.Build(ber.OctetString, content); !bytes.Equal(got, want) {
			t.Errorf("octet string of %d: header %x, want %x", n, got[:6], want[:6])
		}
		if got := 1 + ber.LengthSize(int64(n)) + n; got != len(want) {
			t.Errorf("size of %d: %d, want %d", n, got, len(want))
		}
	}
	got := ber.SetOf(ber.Set, [][]byte{{2, 1, 9}, {1, 1, 0}, {2, 1, 3}})
	if !bytes.Equal(got, unhex(t, "31 09 01 01 00 02 01 03 02 01 09")) {
		t.Errorf("set %x", got)
	}
}

func TestSmallIntegers(t *testing.T) {
	for in, want := range map[string]int{"02 01 00": 0, "02 01 7f": 127, "02 02 00 80": 128, "02 05 00 7f ff ff ff": 1<<31 - 1} {
		e, err := ber.One(unhex(t, in))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := e.Uint(); err != nil || got != want {
			t.Errorf("%s: %d, %v", in, got, err)
		}
	}
	for _, in := range []string{"02 01 80", "02 00", "02 05 01 00 00 00 00", "04 01 00", "02 05 00 80 00 00 00"} {
		e, err := ber.One(unhex(t, in))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := e.Uint(); err == nil {
			t.Errorf("%s: %d", in, got)
		}
	}
}

func TestElementsAreCounted(t *testing.T) {
	s := ber.NewScanner(io.MultiReader(bytes.NewReader([]byte{0x30, 0x80}), bytes.NewReader(bytes.Repeat([]byte{5, 0}, ber.MaxElements+10))))
	if _, _, err := s.Next(); err != nil {
		t.Fatal(err)
	}
	if err := s.Skip(); !errors.Is(err, ber.ErrLimit) {
		t.Errorf("more than the limit: %v", err)
	}
	if _, err := ber.Definite(append([]byte{0x30, 0x80}, bytes.Repeat([]byte{5, 0}, ber.MaxNodes+10)...)); !errors.Is(err, ber.ErrLimit) {
		t.Errorf("in memory: %v", err)
	}
}

// FuzzBER holds the streaming scanner, the rewriting into definite form and the cursor against each
// other: what one reads whole, all read, and to the same octets.
func FuzzBER(f *testing.F) {
	for _, s := range []string{"30 80 02 01 05 00 00", "24 80 04 01 61 24 03 04 01 62 00 00", "7f 81 01 80 02 01 05 00 00", "30 83 00 00 03 02 01 05", "30 07 31 80 02 01 05 00 00"} {
		f.Add(unhex(f, s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		s := ber.NewScanner(bytes.NewReader(in))
		_, ok, err := s.Next()
		if !ok || err != nil {
			return
		}
		raw, err := s.Raw(1 << 20)
		if err != nil {
			return
		}
		if !bytes.Equal(raw, in[:len(raw)]) {
			t.Fatalf("raw element is not the input: %x of %x", raw, in)
		}
		definite, err := ber.Definite(raw)
		if err != nil {
			return // a definite element is not looked into by the scanner
		}
		again, err := ber.Definite(definite)
		if err != nil || !bytes.Equal(again, definite) {
			t.Fatalf("definite form is not stable: %x, %v", definite, err)
		}
		e, err := ber.One(definite)
		if err != nil {
			t.Fatalf("definite form does not parse: %v", err)
		}
		inMemory, err1 := e.Octets()
		if !e.Constructed {
			return
		}
		s = ber.NewScanner(iotest.HalfReader(bytes.NewReader(raw)))
		if _, _, err := s.Next(); err != nil {
			t.Fatal(err)
		}
		r, err := s.Octets()
		if err != nil {
			t.Fatal(err)
		}
		streamed, err2 := io.ReadAll(r)
		if (err1 == nil) != (err2 == nil) || err1 == nil && !bytes.Equal(inMemory, streamed) {
			t.Fatalf("octets of %x: %x (%v) in memory, %x (%v) streaming", raw, inMemory, err1, streamed, err2)
		}
	})
}
