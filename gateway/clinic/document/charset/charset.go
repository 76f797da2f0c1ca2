// Package charset decides in which character encoding a text really is, and makes it readable as UTF-8.
//
// Clinical documents lie about their encoding: byte-order marks in front of a declaration that says
// something else, Windows-1252 said to be UTF-8, UTF-8 said to be ISO-8859-1, UTF-16 without a word.
// Open believes the bytes before the label, and states what it did as a repair.
//
// An ASCII-compatible text is not copied: Append decodes it piece by piece while it is read. UTF-16
// and the labelled multi-byte encodings are decoded into memory, up to MaxDecoded bytes.
//
// It does not guess languages and does not detect unlabelled East Asian encodings. The table of
// labelled encodings is golang.org/x/text (the WHATWG index), of which this package is the only home.
package charset

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// MaxDecoded is how many bytes of UTF-8 a transcoded text may become, in bytes; the rest is cut and stated.
const MaxDecoded = 32 << 20

// sample is how much of the text decides, in bytes.
const sample = 256 << 10

// Text is a text that can be read as UTF-8 through Append.
type Text struct {
	Src     io.ReaderAt // ASCII-compatible bytes, byte-order mark removed
	Size    int64       // bytes of Src
	Base    int64       // where Src starts in the original, in bytes; -1 when Src is a decoded copy
	Name    string      // the encoding found: "UTF-8", "Windows-1252", "UTF-16LE" …
	Single  bool        // every byte above 0x7F is one Windows-1252 character
	Repairs []string    // what was done against the label, in words
}

// Open decides the encoding of the size bytes of src. label is what the transport said of it ("" =
// nothing); an XML declaration inside the text is found by itself. An error is only src's own.
func Open(src io.ReaderAt, size int64, label string) (*Text, error) {
	head := make([]byte, min(size, sample))
	n, err := src.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("charset: %w", err)
	}
	head = head[:n]
	switch {
	case bytes.HasPrefix(head, []byte("\xEF\xBB\xBF")):
		t := plain(src, size, 3)
		t.Repairs = append(t.Repairs, "a byte-order mark stood in front of the text and was skipped")
		t.notDeclared(declared(head[3:]), "UTF-8")
		t.notSample(head[3:], int64(n) == size)
		return t, nil
	case bytes.HasPrefix(head, []byte("\xFF\xFE")) && !bytes.HasPrefix(head, []byte("\xFF\xFE\x00\x00")):
		return decode(src, size, "UTF-16LE", "")
	case bytes.HasPrefix(head, []byte("\xFE\xFF")):
		return decode(src, size, "UTF-16BE", "")
	case looksUTF16(head, 1):
		return decode(src, size, "UTF-16LE", "the text is UTF-16 without a byte-order mark")
	case looksUTF16(head, 0):
		return decode(src, size, "UTF-16BE", "the text is UTF-16 without a byte-order mark")
	}
	if d := declared(head); d != "" {
		label = d
	}
	if bytes.IndexByte(head, 0) >= 0 { // zeros are in no other encoding of text: here the label may speak
		switch strings.ToLower(strings.TrimSpace(label)) {
		case "utf-16le", "utf-16", "ucs-2":
			return decode(src, size, "UTF-16LE", "")
		case "utf-16be":
			return decode(src, size, "UTF-16BE", "")
		}
	}
	return byLabel(src, size, head, strings.ToLower(strings.TrimSpace(label)))
}

// byLabel settles the ASCII-compatible case: the bytes decide between UTF-8 and Windows-1252.
func byLabel(src io.ReaderAt, size int64, head []byte, label string) (*Text, error) {
	t := plain(src, size, 0)
	high := highBytes(head)
	valid := validPrefix(head, int64(len(head)) == size)
	switch label {
	case "", "utf-8", "utf8", "us-ascii", "ascii", "utf-16", "utf-16le", "utf-16be", "ucs-2":
		if strings.HasPrefix(label, "utf-16") || label == "ucs-2" {
			t.Repairs = append(t.Repairs, "the text says it is UTF-16 but is not; read as UTF-8")
		}
		t.notSample(head, int64(len(head)) == size)
		return t, nil
	case "iso-8859-1", "latin1", "iso8859-1", "iso_8859-1", "windows-1252", "cp1252", "iso-8859-15":
		if high && valid {
			t.Repairs = append(t.Repairs, fmt.Sprintf("the text says it is %s but is UTF-8; read as UTF-8", upper(label)))
			return t, nil
		}
		t.Name, t.Single = "Windows-1252", true
		return t, nil
	}
	if enc, err := htmlindex.Get(label); err == nil && high {
		name, _ := htmlindex.Name(enc)
		if name == "utf-8" || valid {
			t.Repairs = append(t.Repairs, fmt.Sprintf("the text says it is %s but is UTF-8; read as UTF-8", upper(label)))
			return t, nil
		}
		return transcode(src, size, upper(name), enc.NewDecoder())
	} else if err != nil {
		t.Repairs = append(t.Repairs, fmt.Sprintf("the text names an unknown encoding %q; read as UTF-8", clip(label)))
	}
	t.notSample(head, int64(len(head)) == size)
	return t, nil
}

func plain(src io.ReaderAt, size, skip int64) *Text {
	return &Text{Src: io.NewSectionReader(src, skip, size-skip), Size: size - skip, Base: skip, Name: "UTF-8"}
}

// notSample turns to Windows-1252 when the sample is no UTF-8 at all: not one valid multi-byte sequence.
func (t *Text) notSample(head []byte, whole bool) {
	if !highBytes(head) || validPrefix(head, whole) || multibyte(head) {
		return // stray bytes, if any, are decoded one by one in Append
	}
	t.Name, t.Single = "Windows-1252", true
	t.Repairs = append(t.Repairs, "the text passes for UTF-8 but is Windows-1252 (Latin-1); read as that")
}

func (t *Text) notDeclared(label, found string) {
	label = strings.ToLower(label)
	if label != "" && label != strings.ToLower(found) && label != "utf8" {
		t.Repairs = append(t.Repairs, fmt.Sprintf("the text says it is %s but is %s; read as %s", upper(clip(label)), found, found))
	}
}

func decode(src io.ReaderAt, size int64, name, repair string) (*Text, error) {
	end := unicode.LittleEndian
	if name == "UTF-16BE" {
		end = unicode.BigEndian
	}
	t, err := transcode(src, size, name, unicode.UTF16(end, unicode.UseBOM).NewDecoder())
	if err == nil && repair != "" {
		t.Repairs = append(t.Repairs, repair)
	}
	return t, err
}

func transcode(src io.ReaderAt, size int64, name string, dec transform.Transformer) (*Text, error) {
	r := transform.NewReader(io.NewSectionReader(src, 0, size), dec)
	out, err := io.ReadAll(io.LimitReader(r, MaxDecoded+1))
	if err != nil {
		return nil, fmt.Errorf("charset: decoding %s: %w", name, err)
	}
	t := &Text{Base: -1, Name: name, Repairs: []string{"the text is " + name + "; it was decoded"}}
	if len(out) > MaxDecoded {
		out = out[:MaxDecoded]
		t.Repairs = append(t.Repairs, fmt.Sprintf("only the first %d MiB of this encoding are read", MaxDecoded>>20))
	}
	t.Src, t.Size = bytes.NewReader(out), int64(len(out))
	return t, nil
}

// declared is the encoding named by an XML declaration at the start of the text, or "".
func declared(head []byte) string {
	head = bytes.TrimLeft(head, " \t\r\n")
	if !bytes.HasPrefix(head, []byte("<?xml")) {
		return ""
	}
	end := bytes.Index(head[:min(len(head), 256)], []byte("?>"))
	if end < 0 {
		return ""
	}
	_, after, ok := bytes.Cut(head[:end], []byte("encoding"))
	if !ok {
		return ""
	}
	after = bytes.TrimLeft(after, " \t\r\n=")
	if len(after) == 0 || after[0] != '"' && after[0] != '\'' {
		return ""
	}
	name, _, ok := bytes.Cut(after[1:], after[:1])
	if !ok {
		return ""
	}
	return string(name)
}

// looksUTF16 says whether the text starts with two ASCII characters in 16-bit units that have their zero
// at byte `zero`, and goes on without a unit of zero.
func looksUTF16(head []byte, zero int) bool {
	if len(head) < 8 {
		return false
	}
	for i := 0; i < 8; i += 2 {
		u := binary.BigEndian.Uint16(head[i:])
		if zero == 1 {
			u = binary.LittleEndian.Uint16(head[i:])
		}
		if u == 0 || i < 4 && (u > 0x7F || u < 0x20 && u != '\n' && u != '\r' && u != '\t') {
			return false
		}
	}
	return true
}

func highBytes(b []byte) bool {
	for _, c := range b {
		if c >= 0x80 {
			return true
		}
	}
	return false
}

// validPrefix says whether b is UTF-8; unless whole, a sequence cut off at the end is forgiven.
func validPrefix(b []byte, whole bool) bool {
	if !whole {
		b = b[:len(b)-Incomplete(b)]
	}
	return utf8.Valid(b)
}

func multibyte(b []byte) bool {
	for len(b) > 0 {
		if b[0] < 0x80 {
			b = b[1:]
			continue
		}
		r, n := utf8.DecodeRune(b)
		if r != utf8.RuneError {
			return true
		}
		b = b[n:]
	}
	return false
}

// Incomplete is how many bytes at the end of b begin a UTF-8 sequence that b does not finish (0 to 3).
func Incomplete(b []byte) int {
	for i := 1; i <= min(3, len(b)); i++ {
		c := b[len(b)-i]
		if c < 0x80 {
			return 0
		}
		if utf8.RuneStart(c) {
			if utf8.FullRune(b[len(b)-i:]) {
				return 0
			}
			return i
		}
	}
	return 0
}

func upper(s string) string { return strings.ToUpper(s) }

func clip(s string) string {
	if len(s) > 40 {
		return s[:40]
	}
	return s
}
