package fhir

import (
	"fmt"
	"slices"
	"strings"

	"postern/gateway/clinic/document/chart"
)

// entry is one resource of a bundle, or the root.
type entry struct {
	e      element
	url    string // fullUrl
	old    string // why it is not the resource's present state: "older version", "deleted"
	around string // key of the patient of the resource it is contained in
}

// bundle is the resources that were sent together, and how they are found.
type bundle struct {
	root     element
	res      *Resource
	entries  []entry
	byURL    map[string]int     // index of an entry; ambiguous for several
	byID     map[string]int     // "Patient/1"
	held     map[string]element // what a root that is no bundle contains
	versions map[string]bool    // of a history: resources whose newest state was read
}

const ambiguous = -1

func read(root element) *Resource {
	r := &Resource{Type: root.kind(), ID: str(root, "id"), Counts: map[string]int{}}
	r.Date = when(root, "timestamp", "date", "authoredOn", "issued", "effectiveDateTime", "recordedDate")
	r.Title = str(root, "title")
	b := &bundle{root: root, res: r, byURL: map[string]int{}, byID: map[string]int{}, held: map[string]element{}, versions: map[string]bool{}}
	if r.Type == "Bundle" {
		r.Kind = str(root, "type")
		b.collect(root, 0)
	} else {
		b.add(entry{e: root})
		for _, c := range root.get("contained") {
			b.held["#"+str(c, "id")] = c
			b.add(entry{e: c, around: "#root"})
		}
	}
	if r.Cut {
		r.find(chart.Problem, "too-many-resources", "Only the first %d resources are read; what the others say is only in the data as sent.", MaxEntries)
	}
	b.label()
	newSorting(b).sort()
	return r
}

func (r *Resource) find(sev chart.Severity, rule, format string, args ...any) {
	if len(r.Findings) < 100 {
		r.Findings = append(r.Findings, chart.Finding{Severity: sev, Rule: rule, Text: fmt.Sprintf(format, args...)})
	}
}

// collect takes the entries of a bundle and of bundles in it.
func (b *bundle) collect(bun element, depth int) {
	history := str(bun, "type") == "history"
	for _, e := range bun.get("entry") {
		url := str(e, "fullUrl")
		method := str(e, "request", "method")
		list := e.get("resource")
		if method == "DELETE" {
			b.deletion(str(e, "request", "url"), url, history)
		}
		for _, res := range list {
			if res.kind() == "Bundle" {
				if depth+1 >= maxBundles {
					b.res.find(chart.Problem, "nested-bundles", "Bundles lie more than %d deep in each other; the inner ones are not read.", maxBundles)
					continue
				}
				b.res.Counts["Bundle"]++
				b.collect(res, depth+1)
				continue
			}
			x := entry{e: res, url: url}
			if history {
				x.old = b.version(res, method)
			}
			b.add(x)
		}
	}
}

// deletion is an entry without a resource: in a history the resource is gone, elsewhere the receiver is
// asked to delete it.
func (b *bundle) deletion(target, url string, history bool) {
	if target == "" {
		target = url
	}
	if history {
		b.versions[relative(target)] = true
	}
	b.res.find(chart.Warning, "deletion", "The bundle has an entry that deletes %s.", clip(target))
}

// version says whether a newer state of the same resource came before: a history begins with the newest.
func (b *bundle) version(res element, method string) string {
	key := res.kind() + "/" + str(res, "id")
	if b.versions[key] {
		return "older version"
	}
	b.versions[key] = true
	if method == "DELETE" {
		return "deleted"
	}
	return ""
}

func (b *bundle) add(x entry) {
	if len(b.entries) >= MaxEntries {
		b.res.Cut = true
		return
	}
	n := len(b.entries)
	b.entries = append(b.entries, x)
	b.res.Counts[x.e.kind()]++
	if x.around != "" || x.old != "" {
		return // a contained resource is found from around it only
	}
	if x.url != "" {
		put(b.byURL, x.url, n)
	}
	if id := str(x.e, "id"); id != "" {
		put(b.byID, x.e.kind()+"/"+id, n)
	}
}

func put(m map[string]int, key string, n int) {
	if _, there := m[key]; there {
		n = ambiguous
	}
	m[key] = n
}

// resolve finds what a reference in a resource points at: contained in that resource, an entry by its
// fullUrl, by the base of the referring entry, or by type and id where only one can be meant.
func (b *bundle) resolve(ref string, from entry) (target element, index int) {
	ref = strings.TrimSpace(ref)
	if ref == "" {
		return nil, ambiguous
	}
	if c, ok := b.held[ref]; ok && ref != "#" {
		return c, ambiguous
	}
	if id, ok := strings.CutPrefix(ref, "#"); ok {
		for _, c := range from.e.get("contained") {
			if str(c, "id") == id && id != "" {
				return c, ambiguous
			}
		}
		return nil, ambiguous
	}
	if i, ok := b.byURL[ref]; ok {
		return b.at(i)
	}
	rel := relative(ref)
	if rel == ref { // a relative reference means the server of the entry it stands in
		if base, ok := strings.CutSuffix(from.url, from.e.kind()+"/"+str(from.e, "id")); ok && from.url != "" {
			if i, ok := b.byURL[base+rel]; ok {
				return b.at(i)
			}
		}
	}
	i, ok := b.byID[rel]
	if !ok || i == ambiguous {
		return nil, ambiguous
	}
	if url := b.entries[i].url; rel != ref && strings.HasPrefix(url, "http") && url != strings.TrimSuffix(ref[:strings.Index(ref, rel)]+rel, "/") {
		return nil, ambiguous // the same id on another server is another resource
	}
	return b.at(i)
}

func (b *bundle) at(i int) (element, int) {
	if i == ambiguous {
		return nil, ambiguous
	}
	return b.entries[i].e, i
}

// relative is the "Type/id" of a literal reference; a reference that has none is returned as it is.
func relative(ref string) string {
	if i := strings.Index(ref, "/_history/"); i >= 0 {
		ref = ref[:i]
	}
	parts := strings.Split(ref, "/")
	if n := len(parts); n >= 2 && parts[n-2] != "" && parts[n-2][0] >= 'A' && parts[n-2][0] <= 'Z' {
		return parts[n-2] + "/" + parts[n-1]
	}
	return ref
}

// follow is the resource a reference element points at, or nil.
func (b *bundle) follow(ref element, from entry) element {
	if ref == nil {
		return nil
	}
	target, _ := b.resolve(str(ref, "reference"), from)
	return target
}

// label is title, confidentiality and author.
func (b *bundle) label() {
	r := b.res
	for _, sec := range b.root.get("meta") {
		for _, s := range sec.get("security") {
			if c := str(s, "code"); slices.Contains([]string{"R", "V", "N", "L", "M", "U"}, c) && r.Privacy == "" {
				r.Privacy = c
			}
		}
	}
	b.about()
	for _, x := range b.entries {
		if kind := x.e.kind(); r.Title == "" && x.old == "" && (kind == "Composition" || kind == "List" || kind == "DocumentReference") {
			r.Title = str(x.e, "title")
		}
	}
	r.Author = b.author()
}

// about says what a bundle brings: what its composition calls itself, else that it is a report of results, with the
// report's name for a title where it is the only one.
func (b *bundle) about() {
	reports := 0
	var name string
	for _, x := range b.entries {
		switch {
		case b.res.Type != "Bundle" || x.old != "":
		case x.e.kind() == "Composition" && b.res.Main == "":
			b.res.Main = clip(codeWords(concept(at(x.e, "type"))))
		case x.e.kind() == "DiagnosticReport":
			reports++
			name = clip(codeWords(concept(at(x.e, "code"))))
		}
	}
	if b.res.Main == "" && reports > 0 {
		b.res.Main = "diagnostic report"
		if reports == 1 && b.res.Title == "" {
			b.res.Title = name
		}
	}
}

func clip(s string) string {
	if len(s) > 120 {
		return strings.ToValidUTF8(s[:120], "") + "…"
	}
	return s
}
