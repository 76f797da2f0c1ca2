package directory

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"postern/smime/addr"
)

// columns are the names a file's first line may hold, and the field each fills. Name and address are needed.
var columns = map[string]func(e *Entry, v string) error{
	"name":         func(e *Entry, v string) error { e.Name = v; return nil },
	"organization": func(e *Entry, v string) error { e.Organization = v; return nil },
	"kind":         func(e *Entry, v string) error { e.Kind = Kind(strings.ToLower(v)); return nil },
	"phone":        func(e *Entry, v string) error { e.Phone = v; return nil },
	"fax":          func(e *Entry, v string) error { e.Fax = v; return nil },
	"note":         func(e *Entry, v string) error { e.Note = v; return nil },
	"address": func(e *Entry, v string) (err error) {
		if e.Address, err = addr.Parse(v); err != nil {
			return fmt.Errorf("%q is no Direct address", v)
		}
		return nil
	},
}

// synonyms are what spreadsheets call the same columns.
var synonyms = map[string]string{"organisation": "organization", "practice": "organization", "direct address": "address", "direct": "address",
	"email": "address", "e-mail": "address", "telephone": "phone", "full name": "name", "notes": "note", "type": "kind"}

// LineError is what is wrong with one line of a file. Line numbers begin at 1 with the first line.
type LineError struct {
	Line int    `json:"line"`
	Text string `json:"text"`
}

func (e LineError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Text) }

// maxLineErrors is how many wrong lines are named; a file with more of them is the wrong file.
const maxLineErrors = 50

// ReadCSV reads a whole address list: comma or semicolon between fields, UTF-8 with or without a byte-order mark, a
// first line that names the columns in any order. It returns every entry and nothing is wrong, or no entry and all
// that is wrong (at most 50 lines): a list is never half taken.
func ReadCSV(r io.Reader) ([]Entry, []LineError) {
	b, err := io.ReadAll(io.LimitReader(r, MaxFile+1))
	switch {
	case err != nil:
		return nil, []LineError{{1, "the file could not be read"}}
	case len(b) > MaxFile:
		return nil, []LineError{{1, fmt.Sprintf("the file is larger than %d MB", MaxFile>>20)}}
	}
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	cr := csv.NewReader(bytes.NewReader(b))
	cr.Comma, cr.FieldsPerRecord, cr.ReuseRecord = separator(b), -1, true
	fill, flaw := header(cr)
	if flaw != nil {
		return nil, []LineError{*flaw}
	}
	return rows(cr, fill)
}

// separator is a semicolon where the first line has one and no comma (QUIRK: spreadsheets of some countries).
func separator(b []byte) rune {
	line, _ := bufio.NewReader(bytes.NewReader(b)).ReadString('\n')
	if strings.Contains(line, ";") && !strings.Contains(line, ",") {
		return ';'
	}
	return ','
}

func header(cr *csv.Reader) ([]func(*Entry, string) error, *LineError) {
	head, err := cr.Read()
	if err != nil {
		return nil, &LineError{1, "the first line must name the columns: name, address, and any of organization, kind, phone, fax, note"}
	}
	var fill []func(*Entry, string) error
	var seen []string
	for _, h := range head {
		name := strings.ToLower(strings.TrimSpace(h))
		if s, ok := synonyms[name]; ok {
			name = s
		}
		f, ok := columns[name]
		switch {
		case !ok:
			return nil, &LineError{1, fmt.Sprintf("the column %q is not known: name, address, organization, kind, phone, fax and note are", clip(h))}
		case slices.Contains(seen, name):
			return nil, &LineError{1, fmt.Sprintf("the column %q is there twice", clip(h))}
		}
		seen, fill = append(seen, name), append(fill, f)
	}
	for _, need := range []string{"name", "address"} {
		if !slices.Contains(seen, need) {
			return nil, &LineError{1, fmt.Sprintf("the column %q is missing", need)}
		}
	}
	return fill, nil
}

func rows(cr *csv.Reader, fill []func(*Entry, string) error) (entries []Entry, flaws []LineError) {
	first := map[string]int{}
	for {
		record, err := cr.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		var syntax *csv.ParseError
		switch {
		case errors.As(err, &syntax):
			return nil, append(flaws, LineError{syntax.Line, "a quotation mark is open or stands in the wrong place; nothing after it was read"})
		case err != nil:
			return nil, append(flaws, LineError{1, "the file could not be read"})
		}
		line, _ := cr.FieldPos(0)
		switch {
		case blank(record):
			continue
		case len(entries) == MaxRows:
			return nil, append(flaws, LineError{line, fmt.Sprintf("more than %d lines", MaxRows)})
		}
		e, text := row(record, fill)
		if at := first[e.Address.Key()]; text == "" && at > 0 {
			text = fmt.Sprintf("%s is on line %d already", e.Address, at)
		}
		if text != "" {
			if flaws = append(flaws, LineError{line, text}); len(flaws) == maxLineErrors {
				return nil, flaws
			}
			continue
		}
		first[e.Address.Key()] = line
		entries = append(entries, e)
	}
	switch {
	case len(flaws) > 0:
		return nil, flaws
	case len(entries) == 0:
		return nil, []LineError{{1, "the file names nobody"}}
	}
	return entries, nil
}

func row(record []string, fill []func(*Entry, string) error) (e Entry, flaw string) {
	if len(record) > len(fill) {
		return e, fmt.Sprintf("%d fields, the first line names %d", len(record), len(fill))
	}
	e.Source = Imported
	for i, v := range record {
		if v = strings.TrimSpace(v); v == "" {
			continue
		}
		if err := fill[i](&e, strings.Clone(v)); err != nil {
			return e, err.Error()
		}
	}
	if err := e.Tidy(); err != nil {
		return e, err.Error()
	}
	return e, ""
}

func blank(record []string) bool {
	return !slices.ContainsFunc(record, func(s string) bool { return strings.TrimSpace(s) != "" })
}

func clip(s string) string {
	if r := []rune(s); len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return s
}
