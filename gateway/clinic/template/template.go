// Package template is a clinic's ready texts: a subject and a body with fields that are filled from the message
// being answered, its document and the writer.
//
// A field is written {{patient.name}}. One that has nothing to fill it stays as it is written, so that its writer
// sees it, and Open finds it again: nothing is sent while a field is open.
//
// There is no logic in a template and nothing else it can reach. Limits: 64 KiB of text, 100 fields.
package template

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Limits of one template.
const (
	MaxText    = 64 << 10
	MaxFields  = 100
	MaxSubject = 200
	MaxName    = 80
)

// Template is one ready text.
type Template struct {
	ID       string    `json:"id"` // "tp-…"
	Org      string    `json:"-"`
	Name     string    `json:"name"`
	Category string    `json:"category"` // of the message it makes
	Subject  string    `json:"subject"`
	Body     string    `json:"body"`
	Owner    string    `json:"owner"`            // the person who answers for it
	Review   time.Time `json:"review,omitzero"`  // when it is to be read again
	Changed  time.Time `json:"changed,omitzero"` // when it was last saved
}

// Field is one thing a template may ask for.
type Field struct {
	Name string // "patient.name"
	Text string // what fills it
}

// Fields are all fields there are, in the order they are offered.
func Fields() []Field {
	return []Field{
		{"patient.name", "the patient's name as the message states it"},
		{"patient.birth", "the patient's birth date"},
		{"patient.sex", "the patient's administrative sex"},
		{"patient.number", "the patient's first identifier, with who gave it"},
		{"document.type", "what the document is: Referral Note, Discharge Summary"},
		{"document.title", "the document's title"},
		{"document.date", "the document's date"},
		{"document.author", "who wrote the document"},
		{"document.reason", "the reason for referral or visit the document states"},
		{"message.subject", "the subject of the message being answered"},
		{"message.date", "when it came"},
		{"message.from", "the verified address it came from"},
		{"writer.name", "your name"},
		{"writer.title", "your title"},
		{"team.name", "the team you write for"},
		{"today", "today's date"},
	}
}

var mark = regexp.MustCompile(`\{\{\s*([^{}\n]{0,80}?)\s*\}\}`)

// Errors of a template, in words that may be shown.
var (
	ErrName = errors.New("a name of at most 80 characters is needed")
	ErrText = errors.New("a text is needed")
	ErrLong = fmt.Errorf("at most %d characters of text, %d of subject and %d fields", MaxText, MaxSubject, MaxFields)
)

// Check says what is wrong with a template before it is saved: an unknown field is named with its line.
func (t Template) Check() error {
	switch {
	case strings.TrimSpace(t.Name) == "" || len(t.Name) > MaxName:
		return ErrName
	case strings.TrimSpace(t.Body) == "":
		return ErrText
	case len(t.Body) > MaxText, len(t.Subject) > MaxSubject, len(mark.FindAllString(t.Body, MaxFields+1)) > MaxFields:
		return ErrLong
	case strings.ContainsAny(t.Subject, "\r\n"):
		return errors.New("a subject has one line")
	}
	if err := known("the subject", t.Subject); err != nil {
		return err
	}
	for i, line := range strings.Split(t.Body, "\n") {
		if err := known(fmt.Sprintf("line %d", i+1), line); err != nil {
			return err
		}
	}
	return nil
}

func known(where, text string) error {
	for _, m := range mark.FindAllStringSubmatch(text, -1) {
		if !slices.ContainsFunc(Fields(), func(f Field) bool { return f.Name == m[1] }) {
			return fmt.Errorf("%s: there is no field {{%s}}", where, m[1])
		}
	}
	if rest := mark.ReplaceAllString(text, ""); strings.Contains(rest, "{{") || strings.Contains(rest, "}}") {
		return fmt.Errorf("%s: a field is written {{like.this}}", where)
	}
	return nil
}

// Fill puts facts into text. missing are the fields it asks for that have none, each once; they stay in the text.
func Fill(text string, facts map[string]string) (filled string, missing []string) {
	filled = mark.ReplaceAllStringFunc(text, func(m string) string {
		name := mark.FindStringSubmatch(m)[1]
		if v := strings.TrimSpace(facts[name]); v != "" {
			return v
		}
		if !slices.Contains(missing, name) {
			missing = append(missing, name)
		}
		return m
	})
	return filled, missing
}

// Open are the known fields that still stand unfilled in a text: it must not be sent so.
func Open(text string) (names []string) {
	for _, m := range mark.FindAllStringSubmatch(text, -1) {
		if !slices.Contains(names, m[1]) && slices.ContainsFunc(Fields(), func(f Field) bool { return f.Name == m[1] }) {
			names = append(names, m[1])
		}
	}
	return names
}
