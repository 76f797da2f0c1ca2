package armour_test

import (
	"bytes"
	"encoding/binary"
	"encoding/pem"
	"strings"
	"testing"
	"unicode/utf16"

	"postern/smime/cms/armour"
)

func utf16File(order binary.AppendByteOrder, text string) []byte {
	out := order.AppendUint16(nil, 0xfeff)
	for _, u := range utf16.Encode([]rune(text)) {
		out = order.AppendUint16(out, u)
	}
	return out
}

func TestPlain(t *testing.T) {
	one, two := bytes.Repeat([]byte("certificate"), 20), bytes.Repeat([]byte("key"), 40)
	text := "Der Schlüssel:\n" + string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: one})) + "\n" +
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4"}, Bytes: two}))
	bare := text[strings.Index(text, "-----BEGIN"):]
	lines := func(change func(string) string) []byte {
		var out []string
		for _, l := range strings.Split(text, "\n") {
			out = append(out, change(l))
		}
		return []byte(strings.Join(out, "\n"))
	}
	for situation, file := range map[string][]byte{
		"as it should be":                  []byte(text),
		"CR LF":                            []byte(strings.ReplaceAll(text, "\n", "\r\n")),
		"CR alone":                         []byte(strings.ReplaceAll(text, "\n", "\r")),
		"a byte order mark":                []byte("\xef\xbb\xbf" + bare),
		"UTF-16 with the low octet first":  utf16File(binary.LittleEndian, strings.ReplaceAll(text, "\n", "\r\n")),
		"UTF-16 with the high octet first": utf16File(binary.BigEndian, text),
		"indented":                         lines(func(l string) string { return "    " + l }),
		"indented by tabs":                 lines(func(l string) string { return "\t" + l }),
		"blanks behind":                    lines(func(l string) string { return l + "  " }),
		"no line end":                      []byte(strings.TrimRight(text, "\n")),
	} {
		first, rest := pem.Decode(armour.Plain(file))
		if first == nil || !bytes.Equal(first.Bytes, one) {
			t.Errorf("%s: the first block is gone", situation)
			continue
		}
		if second, _ := pem.Decode(rest); second == nil || !bytes.Equal(second.Bytes, two) || second.Headers["Proc-Type"] != "4" {
			t.Errorf("%s: the second block is gone", situation)
		}
	}
	for situation, file := range map[string][]byte{
		"nothing": nil, "DER": {0x30, 3, 2, 1, ' '}, "PEM": []byte(bare), "text": []byte(" indented, and no PEM "), "half a character": []byte("\xff\xfe0"),
	} {
		got := armour.Plain(file)
		if situation == "half a character" {
			file = nil
		}
		if !bytes.Equal(got, file) {
			t.Errorf("%s: became %q", situation, got)
		}
	}
}
