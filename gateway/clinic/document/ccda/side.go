package ccda

import (
	"fmt"
	"regexp"
	"strings"
)

// sideApart compares the side of the body and the type or stage an entry names with those of its text:
// the words the entry points at, or the row around them where those name none.
func sideApart(it *Item, w told) string {
	if w.whole || len(w.row) >= maxCell {
		return ""
	}
	detail, _, _ := strings.Cut(it.Detail, "note: ")
	own := strings.Join([]string{it.Name, it.Code.Display, it.Code.Text, detail}, " ")
	for _, of := range []func(string) map[string]string{sides, classes} {
		mine, text := of(own), of(w.itself)
		if len(text) == 0 {
			text = of(w.row)
		}
		for what, a := range mine {
			if b := text[what]; b != "" && a != b && a != both && b != both {
				return fmt.Sprintf("the entry says %s, the text says “%s”", strings.TrimSpace(what+" "+a), clip(w.row, 160))
			}
		}
	}
	return ""
}

// both stands for a text that names more than one side or type: then nothing is told apart.
const both = "both"

// sides is the one side of the body a text names.
func sides(s string) map[string]string {
	out := map[string]string{}
	for _, w := range wordsOf(clip(s, maxCell)) {
		switch w {
		case "left", "right":
			note(out, "", w)
		case "bilateral", "bilaterally", "both", "lt", "rt":
			note(out, "", both)
		}
	}
	return out
}

var classText = regexp.MustCompile(`\b(type|stage|grade)[\s-]+([0-9]|iv|i{1,3})\b`)

// classes are the types, stages and grades a text names, each by its number.
func classes(s string) map[string]string {
	out := map[string]string{}
	for _, m := range classText.FindAllStringSubmatch(strings.ToLower(clip(s, maxCell)), maxMeasures) {
		n := m[2]
		if roman, ok := map[string]string{"i": "1", "ii": "2", "iii": "3", "iv": "4"}[n]; ok {
			n = roman
		}
		note(out, m[1], n)
	}
	return out
}

func note(out map[string]string, what, v string) {
	if old := out[what]; old != "" && old != v {
		v = both
	}
	out[what] = v
}
