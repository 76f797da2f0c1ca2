package store_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"go/ast"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/gateway/clinic/inbox"
	"postern/gateway/clinic/search"
	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/work"
	"postern/gateway/delivery/queue"
	"postern/gateway/message"
	"postern/gateway/store"
	"postern/smime/addr"
	"postern/trust"
)

// statement is one that the store sends, whole.
type statement struct {
	text string
	at   string  // where it stands, "" for one that is put together
	args []kinds // what was bound to it when it was heard, by place; nil for one that was not
}

// statements is every statement of the package: those that stand in the sources as they are, and those that are put
// together, as a store sent them that was asked everything. A piece of SQL that is in none of them fails the test.
func statements(t *testing.T) []statement {
	t.Helper()
	sent := everythingAsked(t)
	all := map[string]statement{}
	for text, args := range sent {
		all[text] = statement{text: text, args: args}
	}
	var parts []piece
	for _, p := range pieces(t) {
		switch {
		case !sqlWords.MatchString(p.text) || strings.HasPrefix(p.text, "CREATE "): // tables are made with the schema
		case !p.whole || !beginning.MatchString(p.text) || !complete(p.text) || partOf(p.text, sent):
			parts = append(parts, p)
		default:
			s := all[p.text]
			s.text, s.at = p.text, p.at
			all[p.text] = s
		}
	}
	var out []statement
	for _, s := range all {
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b statement) int { return strings.Compare(a.text, b.text) })
	for _, p := range parts {
		text, _ := strings.CutSuffix(p.text, " LIMIT ?") // Store.query writes the number
		if !slices.ContainsFunc(out, func(s statement) bool { return strings.Contains(s.text, text) }) {
			t.Errorf("%s: no statement was sent that holds %q: let everythingAsked ask for it", p.at, p.text)
		}
	}
	return out
}

var (
	sqlWords  = regexp.MustCompile(`\b(SELECT|INSERT INTO|UPDATE|DELETE FROM|WHERE|JOIN|UNION|ORDER BY|GROUP BY|LIMIT|VALUES|RETURNING|ON CONFLICT|EXISTS|LIKE)\b|^ ?(AND|OR) `)
	limitOnly = regexp.MustCompile(`^ LIMIT [0-9]+$`)
	beginning = regexp.MustCompile(`^(SELECT|INSERT|UPDATE|DELETE|WITH)\b`)
)

// complete says whether a text may be all of a statement.
func complete(text string) bool {
	return !strings.HasSuffix(text, " ") && !strings.HasSuffix(text, "(")
}

// partOf says whether longer statements begin with the text.
func partOf(text string, sent map[string][]kinds) bool {
	if sent[text] != nil {
		return false
	}
	for s := range sent {
		if strings.Contains(s, text) && !limitOnly.MatchString(strings.TrimPrefix(s, strings.TrimSuffix(text, " LIMIT ?"))) {
			return true
		}
	}
	return false
}

// everythingAsked calls all there is to call on a store in which everything is called "o", several times over, so that
// what one call writes another finds, and gives what was sent. What the calls answer is of no account here.
func everythingAsked(t *testing.T) map[string][]kinds {
	t.Helper()
	c := newTeams(t)
	h := c.listen(t)
	f := filler{t: t, now: c.now, certificates: authorities(t, "o", "p"), constants: typedConstants(t)}
	for f.round = range rounds {
		v := reflect.ValueOf(c.Store)
		for i := range v.NumMethod() {
			name, m := v.Type().Method(i).Name, v.Method(i)
			if slices.Contains([]string{"Close", "Listen", "Changed", "Ready", "DeskChanged", "Snapshot"}, name) || f.round%2 == 0 && removes.MatchString(name) {
				continue
			}
			f.call(m)
		}
		further(t, c, f.round)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.kinds
}

// rounds is how often everything is called: removals every second time.
const rounds = 6

// removes are calls that take away what others are to find.
var removes = regexp.MustCompile(`^(Remove|Forget|Drop|End|Throw|Retire|Expire|Discard|Merge|Unlink|Undo|Reject|Withdraw|Redeem)`)

// filler makes values of any type.
type filler struct {
	t            *testing.T
	now          time.Time
	round        int
	certificates []*x509.Certificate
	constants    map[string][]string // of types of texts, by their names
}

// call calls a method with such values, and runs through what it gives.
func (f filler) call(m reflect.Value) {
	args := []reflect.Value{}
	for i := range m.Type().NumIn() {
		args = append(args, f.value(m.Type().In(i), 0))
	}
	for _, out := range m.Call(args) {
		if out.Kind() == reflect.Func && !out.IsNil() { // an iterator
			f.call(out)
		}
	}
}

var known = map[reflect.Type]func(f filler) any{
	reflect.TypeFor[context.Context](): func(f filler) any { return f.t.Context() },
	reflect.TypeFor[time.Time]():       func(f filler) any { return f.now.Add(time.Duration(f.round) * time.Hour) },
	reflect.TypeFor[addr.Address]():    func(filler) any { return addr.MustParse("o@clinic.example") },
	reflect.TypeFor[addr.Domain]():     func(filler) any { return addr.MustParse("o@clinic.example").Domain() },
	reflect.TypeFor[*x509.Certificate](): func(f filler) any {
		return f.certificates[f.round%len(f.certificates)]
	},
	reflect.TypeFor[queue.Class]():     func(f filler) any { return pick(queue.Classes(), f.round) },
	reflect.TypeFor[store.View]():      func(f filler) any { return pick(store.Views(), f.round) },
	reflect.TypeFor[staff.Role]():      func(filler) any { return staff.Manager },
	reflect.TypeFor[work.Kind]():       func(f filler) any { return pick([]work.Kind{work.Message, work.Failure, work.Notice}, f.round) },
	reflect.TypeFor[trust.Direction](): func(f filler) any { return pick([]trust.Direction{trust.Incoming, trust.Outgoing}, f.round) },
}

func pick[T any](of []T, n int) T { return of[n%len(of)] }

// value is a value of a type: texts are "o", numbers 1, lists have one entry.
func (f filler) value(of reflect.Type, depth int) reflect.Value {
	if make := known[of]; make != nil {
		return reflect.ValueOf(make(f))
	}
	v := reflect.New(of).Elem()
	if depth > 6 {
		return v
	}
	switch of.Kind() {
	case reflect.String:
		v.SetString("o")
		if all := f.constants[of.Name()]; all != nil && strings.HasSuffix(of.PkgPath(), "/store") {
			v.SetString(pick(all, f.round))
		}
	case reflect.Bool:
		v.SetBool(f.round%2 == 0)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(1)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(1)
	case reflect.Pointer:
		v.Set(reflect.New(of.Elem()))
		v.Elem().Set(f.value(of.Elem(), depth+1))
	case reflect.Slice:
		v.Set(reflect.Append(v, f.value(of.Elem(), depth+1)))
		if of.Elem().Kind() == reflect.Uint8 { // it may be JSON
			v.SetBytes([]byte("{}"))
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(of))
		v.SetMapIndex(f.value(of.Key(), depth+1), f.value(of.Elem(), depth+1))
	case reflect.Struct:
		for i := range of.NumField() {
			if of.Field(i).IsExported() {
				v.Field(i).Set(f.value(of.Field(i).Type, depth+1))
			}
		}
	case reflect.Func:
		v.Set(reflect.MakeFunc(of, func([]reflect.Value) []reflect.Value {
			var out []reflect.Value
			for i := range of.NumOut() {
				out = append(out, reflect.New(of.Out(i)).Elem())
				if of.Out(i).Kind() == reflect.Bool {
					out[i].SetBool(true)
				}
			}
			return out
		}))
	}
	return v
}

// typedConstants are the constants of the package that have a type of texts of its own.
func typedConstants(t *testing.T) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	r := reader{constants: map[string]string{}}
	for _, file := range sources(t) {
		ast.Inspect(file.ast, func(n ast.Node) bool {
			if v, is := n.(*ast.ValueSpec); is && len(v.Values) == 1 {
				if of, named := v.Type.(*ast.Ident); named {
					if text, known := r.value(v.Values[0]); known {
						out[of.Name] = append(out[of.Name], text)
					}
				}
			}
			return true
		})
	}
	return out
}

// further asks what one value of each kind does not reach.
func further(t *testing.T, c *teams, round int) {
	ctx := t.Context()
	id := message.ID(fmt.Sprint("m-further-", round))
	e := c.filed(t, id, store.Place{Placement: work.Placement{Pool: c.desk.ID}})
	mine := item(id+"-2", dr, string(id)+"-2@h", "hello")
	step := everything(id + "-3")
	step.Items, step.Receipts = []inbox.Item{mine}, map[message.ID]store.Receipt{step.Messages[0].ID: {SealedBlob: "o"}}
	c.must(t, step)
	reach := []store.Reach{{Pool: c.desk.ID, All: true}, {Pool: c.nurses.ID, Only: []staff.Category{"", staff.Referral}}}
	for _, v := range store.Views() {
		for _, after := range []work.ID{"", e.ID} {
			_, err := c.WorkList(ctx, store.WorkQuery{Org: "o", Reach: reach, View: v, Owner: c.dana.ID, After: after, N: 9})
			ok(t, err)
		}
		_, err := c.WorkCounts(ctx, store.WorkQuery{Org: "o", Reach: reach, View: v, Owner: c.dana.ID})
		ok(t, err)
	}
	for _, asked := range []struct{ words, after string }{{"hello", ""}, {"is:urgent has:document has:attachment hello", ""}, {"", ""},
		{"is:urgent has:document has:attachment after:2029-01-01 before:2031-01-01", c.now.Format(time.RFC3339) + " o"}} {
		q, err := search.Parse(asked.words, time.UTC)
		ok(t, err)
		_, err = c.Search(ctx, store.Asked{Org: "o", Query: q, Reach: reach, After: asked.after, N: 9})
		ok(t, err)
	}
	changes, err := c.TrustChanges(ctx, time.Time{}, 100)
	ok(t, err)
	for _, ch := range changes { // the newest first
		_, _ = c.UndoTrust(ctx, ch.Seq, store.AuditEntry{}) // many were undone before
	}
	for _, q := range []store.Query{{To: "a@b", From: "a@b", RFCID: "x", Direction: store.Out, Overdue: true}, {}} {
		_, err := c.Messages(ctx, q)
		ok(t, err)
	}
	for _, sel := range []store.Selection{{Job: 1}, {Message: "o"}, {Lane: "o"}, {Parked: true}} {
		_, err := c.HoldJobs(ctx, sel, "o", store.AuditEntry{})
		ok(t, err)
		_, err = c.RetryJobs(ctx, sel, store.AuditEntry{})
		ok(t, err)
		_, err = c.ResumeJobs(ctx, sel, store.AuditEntry{})
		ok(t, err)
	}
	c.now = c.now.Add(time.Hour)
	_, err = c.ExpireItems(ctx, time.Minute, store.AuditEntry{})
	ok(t, err)
}
