package document

import "unicode/utf8"

func raised(on bool, how int) int {
	if on {
		return how
	}
	return 0
}

// level keeps raised and lowered digits apart from those beside them: ten to the ninth never reads 109.
// first is the character that is about to be written.
func (r *rtf) level(first rune) {
	if r.state.script == r.script {
		return
	}
	r.flush()
	s := r.out.String()
	last, _ := utf8.DecodeLastRuneInString(s[max(0, len(s)-8):])
	if digit(last) && (digit(first) || r.state.script > 0 && (first == '-' || first == '+' || first == '\u2212')) {
		r.out.WriteString(map[int]string{1: "^", 0: " ", -1: "_"}[r.state.script])
	}
	r.script = r.state.script
}

func digit(c rune) bool { return c >= '0' && c <= '9' }

// setFont is \fN: the font of what follows, or the one that is described next.
func (r *rtf) setFont(n int) {
	if r.state.table {
		r.font = n
		return
	}
	if n != r.state.font {
		r.flush()
		r.state.font = n
	}
}

// describe is \fcharsetN of the font table: the code page of what is set in that font.
func (r *rtf) describe(set int) {
	if !r.state.table || len(r.fonts) >= maxFonts {
		return
	}
	f := r.fonts[r.font]
	f.page = map[int]int{77: 10000, 128: 932, 129: 949, 134: 936, 136: 950, 161: 1253, 162: 1254, 163: 1258, 177: 1255, 178: 1256, 186: 1257, 204: 1251, 222: 874, 238: 1250}[set]
	r.fonts[r.font] = f
}

// naming is one byte of a font's name in the font table.
func (r *rtf) naming(c byte) {
	f, known := r.fonts[r.font]
	if c == ';' || len(f.name) >= 60 || !known && len(r.fonts) >= maxFonts {
		return
	}
	f.name += string(rune(c))
	r.fonts[r.font] = f
}
