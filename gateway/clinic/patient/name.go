package patient

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"postern/gateway/clinic/document/chart"
)

// name is one name of a person, folded for comparison.
type name struct {
	family string
	given  []string
}

// names are all names of a person: maiden and former ones count as much as the present one.
func names(p chart.Patient) (out []name) {
	all := append([]chart.Name{p.Name}, p.Others...)
	for _, n := range all[:min(len(all), maxNames)] {
		family, given := n.Family, strings.Fields(n.Given)
		if words := strings.Fields(n.Text); family == "" && len(given) == 0 && len(words) > 1 {
			family, given = words[len(words)-1], words[:len(words)-1]
		}
		f := name{family: fold(family)}
		for _, g := range given {
			if g = fold(g); g != "" {
				f.given = append(f.given, g)
			}
		}
		if f.family != "" || len(f.given) > 0 {
			out = append(out, f)
		}
	}
	return out
}

// fold takes case, accents, punctuation and blanks away: "O'Brien-Núñez" and "OBRIEN NUNEZ" are one name.
func fold(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, norm.NFKD.String(s))
}

func family(a, b chart.Patient) Reason {
	return best("last name", a, b, func(x, y name) Verdict {
		switch {
		case x.family == "" || y.family == "":
			return NotStated
		case x.family == y.family:
			return Agrees
		case slip(x.family, y.family), longPart(x.family, y.family):
			return Close
		}
		return Differs
	})
}

func given(a, b chart.Patient) Reason {
	return best("first name", a, b, func(x, y name) Verdict {
		if len(x.given) == 0 || len(y.given) == 0 {
			return NotStated
		}
		switch g, h := x.given[0], y.given[0]; {
		case g == h:
			return Agrees
		case len([]rune(g)) == 1 && strings.HasPrefix(h, g), len([]rune(h)) == 1 && strings.HasPrefix(g, h), slip(g, h), shortForm(g, h),
			slices.Contains(x.given[1:], h), slices.Contains(y.given[1:], g):
			return Close
		}
		return Differs
	})
}

// best compares every name of one with every name of the other and keeps the best verdict.
func best(field string, a, b chart.Patient, compare func(x, y name) Verdict) Reason {
	rank := map[Verdict]int{Agrees: 3, Close: 2, Differs: 1, NotStated: 0}
	verdict := NotStated
	for _, x := range names(a) {
		for _, y := range names(b) {
			if v := compare(x, y); rank[v] > rank[verdict] {
				verdict = v
			}
		}
	}
	text := map[Verdict]string{Agrees: "same " + field, NotStated: field + " not stated by both"}[verdict]
	if text == "" {
		text = different(a.Name.String(), b.Name.String())
	}
	return Reason{field, verdict, text}
}

// longPart reports that one double name holds the other: Garcia in Garcia Lopez.
func longPart(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	return len([]rune(a)) >= 4 && (strings.HasPrefix(b, a) || strings.HasSuffix(b, a))
}

// slip reports that one typing error lies between two words of four characters or more: a character changed,
// left out, added, or two neighbours exchanged.
func slip(a, b string) bool {
	x, y := []rune(a), []rune(b)
	if len(x) > len(y) {
		x, y = y, x
	}
	if len(x) < 4 || len(y)-len(x) > 1 {
		return false
	}
	i := 0
	for i < len(x) && x[i] == y[i] {
		i++
	}
	if len(x) < len(y) {
		return slices.Equal(x[i:], y[i+1:])
	}
	switch rest := len(x) - i; {
	case rest == 0:
		return true
	case slices.Equal(x[i+1:], y[i+1:]):
		return true
	case rest >= 2:
		return x[i] == y[i+1] && x[i+1] == y[i] && slices.Equal(x[i+2:], y[i+2:])
	}
	return false
}

// shortForms are the commonest short forms in the US; each line is one name.
var shortForms = [][]string{
	{"william", "bill", "will", "billy", "liam"}, {"robert", "bob", "rob", "bobby"}, {"richard", "rick", "dick", "rich"},
	{"james", "jim", "jimmy"}, {"john", "jack", "johnny"}, {"michael", "mike", "mick"}, {"joseph", "joe", "joey"},
	{"thomas", "tom", "tommy"}, {"charles", "charlie", "chuck"}, {"daniel", "dan", "danny"}, {"matthew", "matt"},
	{"anthony", "tony"}, {"edward", "ed", "eddie", "ted"}, {"steven", "stephen", "steve"}, {"kenneth", "ken"},
	{"elizabeth", "liz", "beth", "betty", "eliza", "lisa"}, {"margaret", "maggie", "meg", "peggy"}, {"katherine", "catherine", "kate", "kathy", "katie"},
	{"patricia", "pat", "patty", "trish"}, {"jennifer", "jen", "jenny"}, {"barbara", "barb"}, {"susan", "sue", "susie"},
	{"deborah", "debra", "deb", "debbie"}, {"alexander", "alex"}, {"benjamin", "ben"}, {"samuel", "sam"}, {"nicholas", "nick"},
	{"christopher", "chris"}, {"christine", "christina", "chris", "tina"}, {"rebecca", "becky"}, {"jose", "pepe"}, {"francisco", "paco"},
}

func shortForm(a, b string) bool {
	for _, forms := range shortForms {
		if slices.Contains(forms, a) && slices.Contains(forms, b) {
			return true
		}
	}
	return false
}
