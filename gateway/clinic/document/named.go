package document

import (
	"bytes"
	"encoding/binary"
)

// unopened are formats that are known by name and not opened: what they are, and what a reader can do.
// Their Kind is Unknown, so that whoever keeps unknown files away keeps these away too.
func unopened(b []byte) (name, advice string, ok bool) {
	const unpack = "It is not unpacked here: save it and open it with a program for archives, or ask the sender for the file itself."
	for _, m := range []struct {
		at          int
		bytes, name string
	}{
		{0, "\x1F\x8B\x08", "gzip archive"}, {257, "ustar", "tar archive"}, {0, "7z\xBC\xAF\x27\x1C", "7-Zip archive"}, {0, "Rar!\x1A\x07", "RAR archive"},
		{0, "\xFD7zXZ\x00", "xz archive"}, {0, "\x28\xB5\x2F\xFD", "Zstandard archive"},
	} {
		if len(b) >= m.at+len(m.bytes) && string(b[m.at:m.at+len(m.bytes)]) == m.bytes {
			return m.name, unpack, true
		}
	}
	switch {
	case len(b) >= 10 && string(b[:3]) == "BZh" && string(b[4:10]) == "1AY&SY":
		return "bzip2 archive", unpack, true
	case isCMS(b):
		return "S/MIME file (p7m)", "It is a signed or encrypted message inside another. It is not opened here: its signature was not checked and its words are not known. Ask the sender for the document itself.", true
	case isUTF32(b):
		return "text in UTF-32", "This encoding is not read. Ask the sender for UTF-8.", true
	}
	return "", "", false
}

// isCMS says whether the bytes are a ContentInfo of CMS (RFC 5652 section 3): a SEQUENCE whose first element
// is one of the content types 1.2.840.113549.1.7.*; or the same in PEM (RFC 7468 sections 8 and 9).
func isCMS(b []byte) bool {
	for _, label := range []string{"PKCS7", "CMS", "PKCS #7 SIGNED DATA"} {
		if bytes.HasPrefix(trimLead(b), []byte("-----BEGIN "+label+"-----")) {
			return true
		}
	}
	if len(b) < 2 || b[0] != 0x30 {
		return false
	}
	head := 2
	if b[1] > 0x80 {
		head += int(b[1] & 0x7F) // a length of that many bytes; 0x80 alone is an indefinite one
	}
	return head <= 10 && len(b) > head && bytes.HasPrefix(b[head:], []byte("\x06\x09\x2A\x86\x48\x86\xF7\x0D\x01\x07"))
}

// isUTF32 says whether the bytes are text of 32-bit units: by a mark, or by four units of ASCII at the start.
func isUTF32(b []byte) bool {
	if len(b) < 8 || len(b) < 16 && !bytes.HasPrefix(b, []byte("\xFF\xFE\x00\x00")) && !bytes.HasPrefix(b, []byte("\x00\x00\xFE\xFF")) {
		return false
	}
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		good := 0
		for i := 0; i+4 <= min(len(b), 16); i += 4 {
			u := order.Uint32(b[i:])
			if i == 0 && u == 0xFEFF || u >= ' ' && u < 0x7F || u == '\n' || u == '\r' || u == '\t' || i > 0 && u > 0x7F && u < 0x3000 {
				good++
			}
		}
		if good == min(len(b), 16)/4 {
			return true
		}
	}
	return false
}
