package part_test

import (
	"bytes"
	"encoding/base64"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"postern/smime/part"
)

// Texts of every length around the sizes of the buffers, written in pieces of any size, are what the standard
// library makes of them in lines of 76, and are read back through sources of every kind.
func TestBase64AroundItsBuffers(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	var sizes []int
	for _, around := range []int{0, 57, 57 * 2, 57 * 144, 12_000, 24_000, 48_000, 57 * 1152, 57*1152 + 12_000} {
		for d := -3; d <= 3; d++ {
			sizes = append(sizes, max(0, around+d))
		}
	}
	for _, n := range sizes {
		data := make([]byte, n)
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		var text bytes.Buffer
		w := part.NewBase64WriterSize(&text, int64(r.IntN(2*n+1)))
		for rest := data; len(rest) > 0; {
			k := 1 + r.IntN(len(rest))
			if _, err := w.Write(rest[:k]); err != nil {
				t.Fatal(err)
			}
			rest = rest[k:]
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		var want strings.Builder
		for all := base64.StdEncoding.EncodeToString(data); len(all) > 0; {
			k := min(76, len(all))
			want.WriteString(all[:k] + "\r\n")
			all = all[k:]
		}
		if text.String() != want.String() || part.Base64Size(int64(n)) != int64(text.Len()) {
			t.Fatalf("%d octets: written otherwise than the library does", n)
		}
		for name, src := range map[string]io.Reader{"whole": bytes.NewReader(text.Bytes()), "by octets": iotest.OneByteReader(bytes.NewReader(text.Bytes())),
			"end with data": iotest.DataErrReader(bytes.NewReader(text.Bytes())), "in halves": iotest.HalfReader(bytes.NewReader(text.Bytes()))} {
			d := part.NewBase64ReaderSize(src, int64(r.IntN(3)*text.Len()))
			if got, err := io.ReadAll(d); err != nil || !bytes.Equal(got, data) || d.Odd() != 0 {
				t.Fatalf("%d octets, %s: read %d, %v, %d odd", n, name, len(got), err, d.Odd())
			}
		}
	}
}

// Characters that have no place change nothing but their count, wherever they stand.
func TestStrangeCharactersAroundTheBuffers(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	for range 60 {
		data := make([]byte, r.IntN(60_000))
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		clean := base64.StdEncoding.EncodeToString(data)
		var text strings.Builder
		odd := int64(0)
		for i := range len(clean) {
			switch r.IntN(900) {
			case 0:
				text.WriteString("!>")
				odd += 2
			case 1:
				text.WriteString(" \t\r\n")
			case 2:
				text.WriteByte('\n')
			}
			text.WriteByte(clean[i])
		}
		d := part.NewBase64Reader(strings.NewReader(text.String()))
		if got, err := io.ReadAll(d); err != nil || !bytes.Equal(got, data) || d.Odd() != odd {
			t.Fatalf("%d octets: read %d, %v, %d odd of %d", len(data), len(got), err, d.Odd(), odd)
		}
	}
}
