// Package armour makes PEM (RFC 7468) readable that people's tools have changed on the way: with a byte order mark
// or in UTF-16 as Windows saves text, indented as mails and wikis quote it, with blanks or the line ends of other
// systems. encoding/pem wants ASCII and every boundary at the beginning of a line.
//
// Not here: anything about what the blocks hold. The work is one pass; nothing is bounded that the caller's file is not.
package armour

import (
	"bytes"
	"encoding/binary"
)

// Plain is the file with its PEM in the form that encoding/pem reads. A file that needs nothing, DER among them, comes
// back as it is.
func Plain(file []byte) []byte {
	switch {
	case bytes.HasPrefix(file, []byte("\xef\xbb\xbf")):
		file = file[3:]
	case bytes.HasPrefix(file, []byte("\xff\xfe")):
		file = narrow(file[2:], binary.LittleEndian)
	case bytes.HasPrefix(file, []byte("\xfe\xff")):
		file = narrow(file[2:], binary.BigEndian)
	}
	if !bytes.Contains(file, []byte("-----BEGIN ")) || !odd(file) {
		return file
	}
	out := make([]byte, 0, len(file))
	for len(file) > 0 {
		line := file
		if i := bytes.IndexAny(file, "\r\n"); i >= 0 {
			line, file = file[:i], file[i+1:]
		} else {
			file = nil
		}
		out = append(append(out, bytes.Trim(line, " \t")...), '\n')
	}
	return out
}

// odd reports a blank at the beginning or the end of a line, or a CR that ends one alone.
func odd(file []byte) bool {
	before := byte('\n')
	for i, c := range file {
		blank := c == ' ' || c == '\t'
		end := i+1 == len(file) || file[i+1] == '\r' || file[i+1] == '\n'
		if blank && (before == '\n' || end) || c == '\r' && (i+1 == len(file) || file[i+1] != '\n') {
			return true
		}
		before = c
	}
	return false
}

// narrow takes UTF-16 for ASCII; what is not becomes a question mark, which no PEM has in it.
func narrow(wide []byte, order binary.ByteOrder) []byte {
	out := make([]byte, 0, len(wide)/2)
	for ; len(wide) > 1; wide = wide[2:] {
		c := order.Uint16(wide)
		if c > '~' {
			c = '?'
		}
		out = append(out, byte(c))
	}
	return out
}
