package charset

import "unicode/utf8"

// Append adds the bytes src to dst as UTF-8 and returns dst and how many bytes were not UTF-8.
// With single every byte above 0x7F is a Windows-1252 character; else only those that are no UTF-8 are.
func Append(dst, src []byte, single bool) ([]byte, int) {
	bad := 0
	for i := 0; i < len(src); {
		j := i
		for j < len(src) && src[j] < 0x80 {
			j++
		}
		dst = append(dst, src[i:j]...)
		i = j
		if i == len(src) {
			break
		}
		if !single {
			if r, n := utf8.DecodeRune(src[i:]); r != utf8.RuneError || n > 1 {
				dst = append(dst, src[i:i+n]...)
				i += n
				continue
			}
			bad++
		}
		dst = utf8.AppendRune(dst, windows1252(src[i]))
		i++
	}
	return dst, bad
}

// FromC1 is the character a control character from U+0080 to U+009F stands for where Windows-1252 was
// taken for ISO-8859-1 on the way; browsers read &#147; the same way. Others are returned as they are.
func FromC1(r rune) rune {
	if r >= 0x80 && r < 0xA0 {
		return windows1252(byte(r))
	}
	return r
}

// windows1252 is the character of one byte; the five unassigned bytes become U+FFFD.
func windows1252(c byte) rune {
	if c < 0x80 || c >= 0xA0 {
		return rune(c)
	}
	return [32]rune{
		0x20AC, 0xFFFD, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0xFFFD, 0x017D, 0xFFFD,
		0xFFFD, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0xFFFD, 0x017E, 0x0178,
	}[c-0x80]
}
