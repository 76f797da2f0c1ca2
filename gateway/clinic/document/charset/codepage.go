package charset

import (
	"strconv"
	"strings"

	"golang.org/x/text/encoding/htmlindex"
)

// CodePage decodes bytes of a Windows code page as rich text names them: 1252, 1250, 932 … Numbers
// that are not known are read as Windows-1252.
func CodePage(b []byte, page int) string {
	name := map[int]string{932: "shift_jis", 936: "gbk", 949: "euc-kr", 950: "big5", 866: "ibm866", 10000: "macintosh", 65001: "utf-8"}[page]
	if name == "" {
		name = "windows-" + strconv.Itoa(page)
	}
	if enc, err := htmlindex.Get(name); err == nil && page != 1252 {
		if out, err := enc.NewDecoder().Bytes(b); err == nil {
			return strings.ToValidUTF8(string(out), "\uFFFD")
		}
	}
	out, _ := Append(nil, b, true)
	return string(out)
}
