// Package search is how a clinic finds a message again: the language of a query, and the words of a message
// that can be found.
//
// A query is words that must all be there, in any order and any form of accents and case; "two words" side by
// side; a word with a star for its beginning (diab*); a word with a minus for what must not be there. Filters
// narrow it: from: to: patient: subject: type: (words of that place alone), category: pool: state: owner:
// (a name each), after: before: on: (dates, in the reader's zone), has:document, has:attachment, is:urgent.
//
// It reads no database: the store asks the question this package has taken apart, and adds what the reader may
// see. Limits: 500 octets and 24 terms a query; 256 KiB of words a message, what is beyond is not found.
package search

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Limits of one query.
const (
	MaxQuery = 500
	MaxTerms = 24
)

// Place is where in a message a term must stand.
type Place string

// The places. They are the columns of the full-text index.
const (
	Anywhere  Place = ""
	Sender    Place = "sender"
	Recipient Place = "recipient"
	Patient   Place = "patient"
	Subject   Place = "subject"
	Type      Place = "kind"
)

// Term is one word or phrase.
type Term struct {
	Place  Place
	Text   string
	Prefix bool // any word that begins so
	Not    bool
}

// Query is a question taken apart. The zero Query finds everything the reader may see.
type Query struct {
	Terms         []Term
	Category      string
	Pool          string // name or id
	State         string // new, taken, waiting, done
	Owner         string // login, name or "me"
	Before, After time.Time
	Document      bool // has:document
	Attachment    bool // has:attachment
	Urgent        bool // is:urgent
}

// Empty reports whether the query narrows nothing.
func (q Query) Empty() bool {
	return len(q.Terms) == 0 && q.Category+q.Pool+q.State+q.Owner == "" && q.Before.IsZero() && q.After.IsZero() &&
		!q.Document && !q.Attachment && !q.Urgent
}

// Error says what of a query was not understood, and what would be.
type Error struct{ Text string }

func (e *Error) Error() string { return "search: " + e.Text }

func refuse(format string, args ...any) error { return &Error{fmt.Sprintf(format, args...)} }

// Parse takes a query apart. Dates are days in zone. An error is an *Error whose text may be shown.
func Parse(s string, zone *time.Location) (Query, error) {
	var q Query
	switch {
	case len(s) > MaxQuery:
		return q, refuse("the question is longer than %d characters", MaxQuery)
	case !utf8.ValidString(s) || strings.ContainsRune(s, 0):
		return q, refuse("the question holds characters that are no text")
	}
	for rest := s; ; {
		name, value, quoted, not, tail := next(rest)
		if tail == rest {
			return q, nil
		}
		rest = tail
		if err := q.add(name, value, quoted, not, zone); err != nil {
			return Query{}, err
		}
		if len(q.Terms) > MaxTerms {
			return Query{}, refuse("at most %d words at once", MaxTerms)
		}
	}
}

// next reads one piece: -filter:"value" with each part but the value optional. tail == s at the end.
func next(s string) (name, value string, quoted, not bool, tail string) {
	t := strings.TrimLeftFunc(s, unicode.IsSpace)
	if t == "" {
		return "", "", false, false, s
	}
	if t, not = strings.CutPrefix(t, "-"); t == "" {
		return "", "", false, false, t
	}
	if i := strings.IndexFunc(t, func(r rune) bool { return !unicode.IsLetter(r) }); i > 0 && t[i] == ':' && filters[strings.ToLower(t[:i])] {
		name, t = strings.ToLower(t[:i]), t[i+1:]
	}
	if body, ok := strings.CutPrefix(t, `"`); ok {
		value, tail, _ = strings.Cut(body, `"`) // an unclosed quote ends with the question
		return name, value, true, not, tail
	}
	end := strings.IndexFunc(t, unicode.IsSpace)
	if end < 0 {
		end = len(t)
	}
	return name, t[:end], false, not, t[end:]
}

// filters are the names before a colon that mean something; any other word with a colon is a word.
var filters = map[string]bool{"from": true, "to": true, "patient": true, "subject": true, "type": true, "category": true, "pool": true,
	"state": true, "owner": true, "after": true, "before": true, "on": true, "has": true, "is": true}

var places = map[string]Place{"": Anywhere, "from": Sender, "to": Recipient, "patient": Patient, "subject": Subject, "type": Type}

func (q *Query) add(name, value string, quoted, not bool, zone *time.Location) error {
	place, isPlace := places[name]
	switch {
	case name != "" && strings.TrimSpace(value) == "":
		return refuse("nothing follows %s:", name)
	case isPlace:
		q.term(place, value, quoted, not)
		return nil
	case not:
		return refuse("-%s: is not understood: a minus goes before words, from:, to:, patient:, subject: and type:", name)
	}
	switch name {
	case "category":
		q.Category = strings.ToLower(value)
	case "pool":
		q.Pool = value
	case "owner":
		q.Owner = value
	case "state":
		return q.state(value)
	case "has", "is":
		return q.feature(name + ":" + strings.ToLower(value))
	default:
		return q.date(name, value, zone)
	}
	return nil
}

// term keeps a word or phrase that has a letter or digit in it: punctuation alone is in no index.
func (q *Query) term(p Place, text string, quoted, not bool) {
	prefix := false
	if !quoted {
		text, prefix = strings.CutSuffix(text, "*")
	}
	if strings.IndexFunc(text, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }) >= 0 {
		q.Terms = append(q.Terms, Term{Place: p, Text: text, Prefix: prefix, Not: not})
	}
}

func (q *Query) state(value string) error {
	switch v := strings.ToLower(value); v {
	case "new", "taken", "waiting", "done":
		q.State = v
		return nil
	}
	return refuse("state:%s is not one of new, taken, waiting, done", value)
}

func (q *Query) feature(f string) error {
	switch f {
	case "has:document":
		q.Document = true
	case "has:attachment":
		q.Attachment = true
	case "is:urgent":
		q.Urgent = true
	default:
		return refuse("%s is not one of has:document, has:attachment, is:urgent", f)
	}
	return nil
}

func (q *Query) date(name, value string, zone *time.Location) error {
	day, err := time.ParseInLocation(time.DateOnly, value, zone)
	if err != nil {
		return refuse("%s:%s is no date: write it as 2026-11-30", name, value)
	}
	switch name {
	case "after":
		q.After = day.AddDate(0, 0, 1)
	case "before":
		q.Before = day
	case "on":
		q.After, q.Before = day, day.AddDate(0, 0, 1)
	}
	return nil
}

// everywhere is all columns a reader's words may stand in: the organisation's own column is none of them.
const everywhere = "{sender recipient patient subject kind text} : "

// Match is the query's words as a full-text expression in the form of SQLite's FTS5: each term quoted, so that no
// word of the reader's is ever an operator. "" means that the query asks for no words. FTS5 cannot ask only for
// what is not there; such a query is refused.
func (q Query) Match() (string, error) {
	var yes, no []string
	for _, t := range q.Terms {
		e := `"` + strings.ReplaceAll(t.Text, `"`, `""`) + `"`
		if t.Prefix {
			e += " *"
		}
		if t.Place == Anywhere {
			e = everywhere + e
		} else {
			e = string(t.Place) + " : " + e
		}
		if t.Not {
			no = append(no, e)
		} else {
			yes = append(yes, "("+e+")")
		}
	}
	switch {
	case len(yes) == 0 && len(no) > 0:
		return "", refuse("a question cannot ask only for what is not there: add a word that is")
	case len(no) > 0:
		return "(" + strings.Join(yes, " AND ") + ") NOT (" + strings.Join(no, " OR ") + ")", nil
	}
	return strings.Join(yes, " AND "), nil
}
