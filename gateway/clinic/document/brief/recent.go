package brief

import (
	"slices"
	"strconv"
	"strings"

	"postern/gateway/clinic/document/ccda"
	"postern/gateway/clinic/document/chart"
)

// olderValue stands in front of the detail of a result when a newer one of the same test is listed too.
const olderValue = "an older value"

// recent is a block of measurements. Of results the newest of each test come first, those the sender
// flagged before the others; then the older ones, each said to be one. Of vital signs only the newest of
// each kind and place stand.
func recent(d *ccda.Document, b Block, kinds ...ccda.Kind) Block {
	each(d, &b, kinds, func(s *ccda.Section) {
		for _, it := range d.SectionItems(s) {
			if it.Value == "" && it.Source == ccda.FromEntry && it.Narrative == "" {
				continue // a panel's placeholder without a value
			}
			b.file(it)
		}
	})
	if why := unsaid(b); why != "" {
		b.State, b.Null, b.Items = Withheld, why, nil
		return b
	}
	older := outdated(b.Items)
	var newest, rest []ccda.Item
	for i, it := range b.Items {
		switch {
		case !older[i]:
			newest = append(newest, it)
		case b.Subject == Results:
			it.Detail = strings.TrimSuffix(olderValue+" · "+it.Detail, " · ")
			rest = append(rest, it)
		}
	}
	if b.Subject == Vitals {
		newest = once(newest)
	}
	for _, list := range [][]ccda.Item{newest, rest} {
		slices.SortStableFunc(list, func(x, y ccda.Item) int {
			if x.Mood != y.Mood { // what was measured before what is wanted
				return strings.Compare(x.Mood, y.Mood)
			}
			if fx, fy := x.Flag != "", y.Flag != ""; fx != fy && b.Subject == Results {
				if fx {
					return -1
				}
				return 1
			}
			return y.Start.At.Compare(x.Start.At)
		})
	}
	b.Items = slices.Concat(newest, rest)
	b.cut(maxResults)
	return b
}

// unsaid is the null flavour of a block whose lines name nothing and only say why, "" if any says more.
func unsaid(b Block) string {
	if len(b.Items) == 0 || len(b.Past)+len(b.Others) > 0 {
		return ""
	}
	for _, it := range b.Items {
		bare := it.Code.Code == "" && it.Code.Display == "" && it.Code.Text == "" && it.Code.Null != "" && it.Narrative == "" && it.Detail == ""
		if !bare || it.Source != ccda.FromEntry || it.Value != "" && it.Value != chart.NullWords(it.Code.Null) {
			return ""
		}
	}
	return b.Items[0].Code.Null
}

// test names what was measured: by code, else by name; and where on the body and how (anywhere: not where). What was not done,
// is not known or only wanted hides nothing that was measured.
func test(it ccda.Item, anywhere bool) string {
	site := strings.ToLower(it.Site)
	if anywhere {
		site = "anywhere"
	}
	return strings.Join([]string{key(it), site, it.Mood, it.Null, strconv.FormatBool(it.Negated)}, "|")
}

// outdated says of each item whether a newer one of the same test is in the list. One without a date, or
// whose date can be that of the other, is not older.
func outdated(items []ccda.Item) []bool {
	newest := map[string]ccda.Item{}
	for _, it := range items {
		for _, anywhere := range []bool{false, true} {
			k := test(it, anywhere)
			if n, ok := newest[k]; Dated(it) && (!ok || it.Start.At.After(n.Start.At)) {
				newest[k] = it
			}
		}
	}
	out := make([]bool, len(items))
	for i, it := range items {
		n, ok := newest[test(it, it.Site == "")] // one that names no place is replaced by one of any
		out[i] = ok && Dated(it) && !it.Start.Last().After(n.Start.At) && it.Start.At.Before(n.Start.At)
	}
	return out
}

// once drops a measurement that reads like one before it.
func once(items []ccda.Item) []ccda.Item {
	seen := map[string]bool{}
	return slices.DeleteFunc(items, func(it ccda.Item) bool {
		k := test(it, false) + "|" + it.Value + "|" + it.Flag + "|" + it.Conflict
		old := seen[k]
		seen[k] = true
		return old
	})
}

// Dated says whether the item's start is known at least to the year.
func Dated(it ccda.Item) bool { return it.Start.Precision > chart.Unknown }
