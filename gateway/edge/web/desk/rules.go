package desk

import (
	"cmp"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"postern/gateway/clinic/pool"
	"postern/gateway/clinic/rule"
	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/work"
	"postern/gateway/edge/web"
	"postern/gateway/store"
)

// ruleLine is one rule in words.
type ruleLine struct {
	N           int
	Rule        rule.Rule
	When        []string
	Then        []string
	First, Last bool
}

// rulesPage is the list in force.
type rulesPage struct {
	Version    int64
	Saved      time.Time
	By         string
	Lines      []ruleLine
	CatchAll   pool.Pool
	CatchOwner string
}

func (d *desk) showRules(q *web.Request) error {
	p, err := d.rulesOf(q)
	if err != nil {
		return err
	}
	return q.Page(d.rules, "Rules", p)
}

func (d *desk) rulesOf(q *web.Request) (rulesPage, error) {
	var p rulesPage
	h, err := d.house(q)
	if err != nil {
		return p, err
	}
	set, err := d.set(q)
	if err != nil {
		return p, err
	}
	p.Version, p.Saved, p.By = set.Version, set.Saved, set.By
	for _, v := range h.Pools {
		if v.ID == set.CatchAll {
			p.CatchAll, p.CatchOwner = v, h.Person(v.Owner)
		}
	}
	for i, r := range set.Rules {
		p.Lines = append(p.Lines, ruleLine{i + 1, r, whenWords(r.When), thenWords(h, r), i == 0, i == len(set.Rules)-1})
	}
	return p, nil
}

// set is the rules in force; an organisation that has no team yet gets its first one.
func (d *desk) set(q *web.Request) (rule.Set, error) {
	set, err := d.Store.Rules(q.Context(), q.Org)
	if errors.Is(err, store.ErrNotFound) {
		if err = d.Store.EnsurePools(q.Context(), q.Org); err == nil {
			set, err = d.Store.Rules(q.Context(), q.Org)
		}
	}
	return set, err
}

// whenWords is a rule's conditions, one phrase each.
func whenWords(w rule.When) []string {
	var out []string
	add := func(what string, values []string) {
		if len(values) > 0 {
			out = append(out, what+" "+strings.Join(values, " or "))
		}
	}
	add("was sent to", w.Recipients)
	add("comes from", w.Senders)
	add("comes from the partner", w.Partners)
	add("holds a document of type", quotes(w.Types))
	if len(w.Categories) > 0 {
		add("is of category", text(w.Categories))
	}
	if w.Urgency > 0 {
		out = append(out, "is "+w.Urgency.Words()+map[bool]string{true: " or more"}[w.Urgency < work.Emergency])
	}
	switch w.Patient {
	case rule.NoPatient:
		out = append(out, "names no patient")
	case rule.Named:
		out = append(out, "names a patient")
	case rule.Known:
		out = append(out, "is about a patient of ours")
	}
	add("holds the words", quotes(w.Words))
	return out
}

func quotes(in []string) []string {
	out := make([]string, len(in))
	for i, v := range in {
		out[i] = "“" + v + "”"
	}
	return out
}

func text(in []staff.Category) []string {
	out := make([]string, len(in))
	for i, v := range in {
		out[i] = string(v)
	}
	return out
}

// thenWords is what a rule does.
func thenWords(h house, r rule.Rule) []string {
	out := []string{"goes to " + h.Pool(r.Pool)}
	if r.Owner != "" {
		out[0] += ", to " + h.Person(r.Owner)
	}
	if r.Category != "" {
		out = append(out, "is taken for "+string(r.Category)+" where it does not say itself")
	}
	if r.Urgency > 0 {
		out = append(out, "counts as "+r.Urgency.Words())
	}
	if r.Sensitive {
		out = append(out, "is sensitive")
	}
	return out
}

// rulePage is one rule as a form.
type rulePage struct {
	Rule                                        rule.Rule
	New                                         bool
	Version                                     int64
	Pools                                       []pool.Pool
	People                                      []staff.Person
	Categories                                  []staff.Category
	Recipients, Senders, Partners, Types, Words string // one a line
}

func (d *desk) editRule(q *web.Request) error {
	p, err := d.ruleOf(q, q.URL.Query().Get("rule"))
	if err != nil {
		return err
	}
	return q.Page(d.ruleEdit, "Rule", p)
}

// ruleOf is the form of a rule; "" is a new one.
func (d *desk) ruleOf(q *web.Request, id string) (rulePage, error) {
	p := rulePage{Categories: staff.Categories()}
	h, err := d.house(q)
	if err != nil {
		return p, err
	}
	set, err := d.set(q)
	if err != nil {
		return p, err
	}
	p.Version, p.Pools = set.Version, h.Pools
	for _, v := range h.People {
		if !v.Disabled {
			p.People = append(p.People, v)
		}
	}
	slices.SortFunc(p.People, func(a, b staff.Person) int { return strings.Compare(a.Name+string(a.ID), b.Name+string(b.ID)) })
	if id == "" {
		p.New, p.Rule = true, rule.Rule{ID: rule.NewID()}
		return p, nil
	}
	i := slices.IndexFunc(set.Rules, func(r rule.Rule) bool { return r.ID == id })
	if i < 0 {
		return p, web.ErrNotFound
	}
	p.Rule = set.Rules[i]
	w := p.Rule.When
	lines := func(v []string) string { return strings.Join(v, "\n") }
	p.Recipients, p.Senders, p.Partners, p.Types, p.Words = lines(w.Recipients), lines(w.Senders), lines(w.Partners), lines(w.Types), lines(w.Words)
	return p, nil
}

// fromForm reads a rule as a person filled it in.
func fromForm(q *web.Request) rule.Rule {
	f := q.PostForm
	values := func(name string) []string {
		var out []string
		for line := range strings.SplitSeq(strings.ReplaceAll(f.Get(name), ",", "\n"), "\n") {
			if line = strings.Join(strings.Fields(line), " "); line != "" {
				out = append(out, line)
			}
		}
		return out
	}
	r := rule.Rule{ID: f.Get("rule"), Name: strings.TrimSpace(f.Get("name")), Off: f.Get("off") != "", Pool: f.Get("pool"), Owner: staff.PersonID(f.Get("owner")),
		Category: staff.Category(f.Get("category")), Sensitive: f.Get("sensitive") != "",
		When: rule.When{Recipients: values("recipients"), Senders: values("senders"), Partners: values("partners"), Types: values("types"), Words: values("words"), Patient: rule.Match(f.Get("patient"))}}
	for _, c := range f["categories"] {
		r.When.Categories = append(r.When.Categories, staff.Category(c))
	}
	r.When.Urgency, _ = work.ParseUrgency(f.Get("when-urgency")) // what is none asks for nothing
	r.Urgency, _ = work.ParseUrgency(f.Get("urgency"))
	return r
}

// changedSet is the list after what the form asks for: one rule saved, moved, switched or removed.
func changedSet(q *web.Request, set rule.Set) (rule.Set, error) {
	f := q.PostForm
	version, err := strconv.ParseInt(f.Get("version"), 10, 64)
	if err != nil {
		return set, &web.Refusal{Text: "The form is not whole. Open the page again."}
	}
	if version != set.Version {
		return set, &web.Refusal{Text: "Somebody saved other rules meanwhile. Look at them first."}
	}
	set.Rules = slices.Clone(set.Rules)
	i := slices.IndexFunc(set.Rules, func(r rule.Rule) bool { return r.ID == f.Get("rule") })
	switch do := f.Get("do"); {
	case do == "save" && i >= 0:
		set.Rules[i] = fromForm(q)
	case do == "save":
		set.Rules = append(set.Rules, fromForm(q))
	case i < 0:
		return set, &web.Refusal{Text: "There is no such rule any more."}
	case do == "up" && i > 0:
		set.Rules[i-1], set.Rules[i] = set.Rules[i], set.Rules[i-1]
	case do == "down" && i < len(set.Rules)-1:
		set.Rules[i+1], set.Rules[i] = set.Rules[i], set.Rules[i+1]
	case do == "switch":
		set.Rules[i].Off = !set.Rules[i].Off
	case do == "remove":
		set.Rules = slices.Delete(set.Rules, i, i+1)
	default:
		return set, &web.Refusal{Text: "That changes nothing."}
	}
	return set, nil
}

// tryRules shows what changed rules would have done with what came before, and asks.
func (d *desk) tryRules(q *web.Request) error {
	set, err := d.set(q)
	if err != nil {
		return err
	}
	next, err := changedSet(q, set)
	if err == nil {
		err = d.check(q, next)
	}
	if err != nil {
		return d.ruleAgain(q, err)
	}
	p, err := d.trialOf(q, set, next)
	if err != nil {
		return err
	}
	return q.Page(d.trial, "Before you save", p)
}

// check says what is wrong with a list, for whoever wrote it.
func (d *desk) check(q *web.Request, set rule.Set) error {
	pools, err := d.Store.Pools(q.Context(), q.Org)
	if err != nil {
		return err
	}
	names := map[string]bool{}
	for _, p := range pools {
		names[p.ID] = true
	}
	err = set.Check(names)
	var bad *rule.Invalid
	if errors.As(err, &bad) {
		return &web.Refusal{Text: bad.Error()}
	}
	if errors.Is(err, rule.ErrTooMany) {
		return &web.Refusal{Text: "There are too many rules: " + strconv.Itoa(rule.MaxRules) + " at most."}
	}
	return err
}

// ruleAgain shows the form of a rule, or the list, once more.
func (d *desk) ruleAgain(q *web.Request, err error) error {
	if q.PostForm.Get("do") == "save" && q.PostForm.Get("set") == "" {
		p, perr := d.ruleOf(q, "")
		if perr != nil {
			return perr
		}
		f := q.PostForm
		p.Rule, p.New = fromForm(q), f.Get("new") != ""
		p.Recipients, p.Senders, p.Partners, p.Types, p.Words = f.Get("recipients"), f.Get("senders"), f.Get("partners"), f.Get("types"), f.Get("words")
		return q.Again(d.ruleEdit, "Rule", p, err)
	}
	p, perr := d.rulesOf(q)
	if perr != nil {
		return perr
	}
	return q.Again(d.rules, "Rules", p, err)
}

// saveRules puts the list of a trial in force.
func (d *desk) saveRules(q *web.Request) error {
	now, err := d.set(q)
	if err != nil {
		return err
	}
	next := rule.Set{Org: q.Org, CatchAll: now.CatchAll, By: q.Person.Login}
	version, verr := strconv.ParseInt(q.PostForm.Get("version"), 10, 64)
	if err := json.Unmarshal([]byte(q.PostForm.Get("set")), &next.Rules); err != nil || verr != nil {
		return d.ruleAgain(q, &web.Refusal{Text: "The form is not whole. Try the rules again."})
	}
	next.Version = version
	if err := d.check(q, next); err != nil {
		return d.ruleAgain(q, err)
	}
	err = d.Store.SaveRules(q.Context(), next, entry(q, "rules.save", q.Org, map[string]any{"version": version + 1, "rules": next.Rules}))
	var bad *rule.Invalid
	switch {
	case errors.Is(err, store.ErrStalePool):
		return d.ruleAgain(q, &web.Refusal{Text: "Somebody saved other rules meanwhile. Look at them first."})
	case errors.As(err, &bad):
		return d.ruleAgain(q, &web.Refusal{Text: bad.Error()})
	case err != nil:
		return err
	}
	return q.See("/rules", cmp.Or(map[bool]string{len(next.Rules) == 0: "Saved: there is no rule but the last."}[true], "Saved. They hold from the next message on."))
}
