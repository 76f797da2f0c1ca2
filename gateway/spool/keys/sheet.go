package keys

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"

	"postern/gateway/spool/seal"
)

// ErrSheet means that a text is not a recovery sheet or was copied wrongly.
var ErrSheet = errors.New("keys: not a correct recovery sheet")

// Crockford's base 32: no I, L, O or U, so that a key survives handwriting and a telephone.
var crockford = base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ").WithPadding(base32.NoPadding)

// 32 octets of key and 3 of checksum make 56 characters: 14 groups of four in two rows.
const (
	sumSize    = 3
	sheetChars = 56
	keyMark    = "KEY"
)

// Sheet is the recovery sheet: the master key in words and characters for paper. Who holds it can
// read everything the gateway keeps.
func (m Master) Sheet() string {
	text := crockford.EncodeToString(append(bytes.Clone(m.key[:]), sheetSum(m.key[:])...))
	var rows [2][]string
	for i := 0; i < len(text); i += 4 {
		row := i / (sheetChars / 2)
		rows[row] = append(rows[row], text[i:i+4])
	}
	return "Postern recovery sheet, " + m.String() + "\n" +
		"This key opens everything this gateway stores. Keep it on paper, locked away, apart from\n" +
		"the machine and its backups. Without it or the key file a backup cannot be read by anyone.\n\n" +
		keyMark + " 1  " + strings.Join(rows[0], " ") + "\n" +
		keyMark + " 2  " + strings.Join(rows[1], " ") + "\n"
}

// ParseSheet reads a recovery sheet, or only its characters as typed by a person: case, spaces,
// hyphens and line ends do not matter, O reads as 0 and I or L as 1. A wrong character is noticed
// (all but one in 16 million of random errors).
func ParseSheet(text string) (Master, error) {
	if len(text) > MaxFile {
		return Master{}, fmt.Errorf("%w: %d octets", ErrSheet, len(text))
	}
	chars := sheetLetters(text)
	if len(chars) != sheetChars {
		return Master{}, fmt.Errorf("%w: it has %d key characters, must be %d", ErrSheet, len(chars), sheetChars)
	}
	b, err := crockford.DecodeString(chars)
	if err != nil {
		return Master{}, fmt.Errorf("%w: a character is not one of the alphabet", ErrSheet)
	}
	key, sum := b[:seal.KeySize], b[seal.KeySize:]
	if !bytes.Equal(sum, sheetSum(key)) {
		return Master{}, fmt.Errorf("%w: the checksum does not fit, a character was copied wrongly", ErrSheet)
	}
	return Master{seal.Key(key), true}, nil
}

// sheetLetters is the key's characters in one string: those of the marked rows, or of the whole text
// when no row is marked.
func sheetLetters(text string) string {
	var marked []string
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), keyMark+" "); ok {
			_, chars, _ := strings.Cut(strings.TrimSpace(rest), " ") // after the row's number
			marked = append(marked, chars)
		}
	}
	if marked != nil {
		text = strings.Join(marked, "")
	}
	return strings.Map(func(c rune) rune {
		switch {
		case c == ' ' || c == '-' || c == '\n' || c == '\r' || c == '\t':
			return -1
		case c == 'o' || c == 'O':
			return '0'
		case strings.ContainsRune("iIlL", c):
			return '1'
		case c >= 'a' && c <= 'z':
			return c - 'a' + 'A'
		}
		return c
	}, text)
}

func sheetSum(key []byte) []byte {
	h := sha256.New()
	h.Write([]byte("postern/sheet/1\x00"))
	h.Write(key)
	return h.Sum(nil)[:sumSize]
}
