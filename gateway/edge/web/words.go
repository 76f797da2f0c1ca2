package web

import (
	"errors"
	"fmt"
	"html/template"
	"net/url"
	"strings"
	"time"

	"postern/gateway/clinic/staff"
)

// functions are those of the package's doc. They look at the request of the copy they belong to.
func (b *bound) functions() template.FuncMap {
	return template.FuncMap{
		"csrf": func() template.HTML {
			return template.HTML(`<input type="hidden" name="csrf" value="` + b.q.token() + `">`) // base64 of a digest
		},
		"ago":       func(t time.Time) template.HTML { return b.time(t, Age(b.q.Now.Sub(t))) },
		"when":      func(t time.Time) template.HTML { return b.time(t, b.when(t)) },
		"day":       func(t time.Time) template.HTML { return b.time(t, t.In(b.zone()).Format("2 Jan 2006")) },
		"due":       Age,
		"short":     short,
		"plural":    plural,
		"icon":      icon,
		"path":      pathOf,
		"typed":     b.typed,
		"wrong":     b.wrong,
		"asset":     b.asset,
		"me":        func() staff.Person { return b.q.Person },
		"signature": func() string { return b.q.Person.Signature() },
		"can":       func(a string) bool { return b.q.Rights.Can(staff.Ability(a)) },
	}
}

func (b *bound) zone() *time.Location { return b.q.Person.Location() }

func (b *bound) time(t time.Time, words string) template.HTML {
	if t.IsZero() {
		return ""
	}
	at := t.In(b.zone())
	return template.HTML(`<time datetime="` + t.UTC().Format(time.RFC3339) + `" title="` + at.Format("Mon 2 Jan 2006, 15:04 MST") + `">` +
		template.HTMLEscapeString(words) + `</time>`)
}

// when is an instant as a person in their zone says it.
func (b *bound) when(t time.Time) string {
	at, now := t.In(b.zone()), b.q.Now.In(b.zone())
	days := func(d time.Time) int {
		y, m, n := d.Date()
		return int(time.Date(y, m, n, 0, 0, 0, 0, time.UTC).Unix() / 86400)
	}
	switch gap := days(now) - days(at); {
	case gap == 0:
		return "today " + at.Format("15:04")
	case gap == 1:
		return "yesterday " + at.Format("15:04")
	case gap == -1:
		return "tomorrow " + at.Format("15:04")
	case gap > -7 && gap < 7:
		return at.Format("Mon 2 Jan 15:04")
	case at.Year() == now.Year():
		return at.Format("2 Jan 15:04")
	}
	return at.Format("2 Jan 2006")
}

// Age is a duration in words: "41 min", "3 h", "2 d".
func Age(d time.Duration) string {
	switch {
	case d < 0:
		return "in " + Age(-d)
	case d < time.Minute:
		return "now"
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d/time.Minute))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d/time.Hour))
	case d < 60*24*time.Hour:
		return fmt.Sprintf("%d d", int(d/(24*time.Hour)))
	}
	return fmt.Sprintf("%d months", int(d/(30*24*time.Hour)))
}

// short is at most n characters of a text.
func short(n int, s string) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return strings.TrimRight(string(r[:max(n-1, 0)]), " ") + "…"
}

func plural(n any, one, many string) (string, error) {
	var v int64
	switch x := n.(type) {
	case int:
		v = int64(x)
	case int64:
		v = x
	default:
		return "", fmt.Errorf("web: plural of %T", n)
	}
	if v == 1 {
		return "1 " + one, nil
	}
	return fmt.Sprintf("%d %s", v, many), nil
}

// pathOf is a path: every second part, beginning with the second, is escaped; the others are the page's own.
func pathOf(parts ...any) string {
	var out strings.Builder
	for i, p := range parts {
		s := fmt.Sprint(p)
		if i%2 == 1 {
			s = url.PathEscape(s)
		}
		out.WriteString(s)
	}
	return out.String()
}

// typed is what the refused form says of a field, else the value.
func (b *bound) typed(field string, value ...any) string {
	if b.q.fault != nil && b.q.PostForm != nil {
		return b.q.PostForm.Get(field)
	}
	if len(value) == 0 {
		return ""
	}
	return fmt.Sprint(value[0])
}

// wrong is the error of a field.
func (b *bound) wrong(field string) template.HTML {
	var invalid *Invalid
	if !errors.As(b.q.fault, &invalid) || invalid.Field != field {
		return ""
	}
	f := template.HTMLEscapeString(field)
	return template.HTML(`<p class="wrong" id="` + f + `-wrong" role="alert">` + template.HTMLEscapeString(invalid.Text) + `</p>`)
}

func (b *bound) asset(name string) (string, error) {
	p, ok := b.q.s.assets[name]
	if !ok {
		return "", fmt.Errorf("web: no file %q among the routes: add web.Files", name)
	}
	return p, nil
}
