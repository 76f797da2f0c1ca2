package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"

	"postern/gateway/clinic/document"
	"postern/gateway/clinic/document/ccda"
	"postern/gateway/clinic/document/view"
	"postern/gateway/clinic/document/xdm"
)

// maxDocument is the largest file read from standard input, in bytes; a named file has no such limit.
const maxDocument = 256 << 20

// documentInspectCommand says what a file is and what it says.
func documentInspectCommand() command {
	return command{
		name:  "document inspect",
		short: "say what a clinical document, XDM zip, HL7 message or mail part is and says",
		help: `usage: postern document inspect FILE [--json]

Recognises FILE ("-" is standard input) by its content, whatever its name or type says: C-CDA of
every kind, C32, CCR, XDM packages and zips, HL7 v2, FHIR, mail, PDF, pictures, text. Prints type,
patient, author, date, sections and the lines a clinician decides on, with the section each came
from; what was mended while reading; and what is missing, implausible or contradictory. Documents
inside a package are told one by one.

  --json   one JSON object, with every coded line

Exit codes: 0 told (also when the document has faults: they are listed), 1 the file cannot be read,
2 used wrongly.

Example: postern document inspect referral.xml
`,
		run: func(ctx context.Context, c *console, args []string) error {
			fs := c.flags("document inspect")
			asJSON := fs.Bool("json", false, "")
			files, err := parse(fs, args)
			if err != nil {
				return err
			}
			if len(files) != 1 {
				return usagef("one FILE is needed, %d were given", len(files))
			}
			d, done, err := openDocument(ctx, c, files[0])
			if err != nil {
				return err
			}
			defer done()
			if *asJSON {
				return c.printJSON(struct {
					V int `json:"v"`
					*document.Summary
					Package *xdm.Package `json:"package,omitempty"` // the metadata of an XDM package
				}{1, &d.Summary, d.XDM})
			}
			var text strings.Builder
			printSummary(&text, &d.Summary, "")
			_, err = io.WriteString(c.out, text.String())
			return err
		},
	}
}

// printSummary prints a summary for people; what is inside a container is indented.
func printSummary(w *strings.Builder, s *document.Summary, indent string) {
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "%s%-11s %s\n", indent, name, plainLine(value))
		}
	}
	line("kind", string(s.Kind))
	line("type", strings.TrimSpace(s.Type+" "+s.Release))
	line("title", s.Title)
	line("name", s.Filename)
	if p := s.Patient; p != nil {
		born := p.Birth.Date()
		if born != "" {
			born = "born " + born
		}
		var known []string
		for _, w := range []string{p.Name.String(), born, p.Sex.Words()} {
			if w != "" {
				known = append(known, w)
			}
		}
		line("patient", strings.Join(known, ", "))
		for _, id := range p.IDs {
			line("  number", strings.TrimSpace(id.String()+" "+id.Authority))
		}
	}
	for _, a := range s.Authors {
		line("author", a.String())
	}
	line("date", s.Date.String())
	line("size", fmt.Sprintf("%d bytes", s.Size))
	for _, x := range s.Sections {
		note := ""
		if x.Empty {
			note = " (empty)"
		}
		line("section", fmt.Sprintf("%-4s %s%s%s, %d entries", x.Anchor, strings.Repeat("  ", x.Level-1), x.Title, note, x.Entries))
	}
	for _, it := range s.Items {
		line(string(it.Kind), fmt.Sprintf("%-4s %s", it.Section, itemText(it)))
	}
	for _, l := range s.Lines {
		line(strings.ToLower(l.Group), l.String())
	}
	for _, r := range s.Repairs {
		line("mended", r)
	}
	for _, f := range s.Problems {
		line(string(f.Severity), strings.TrimSpace(f.Text+" "+f.Where))
	}
	for i := range s.Inside {
		fmt.Fprintf(w, "%sinside      %d of %d\n", indent, i+1, len(s.Inside))
		printSummary(w, &s.Inside[i], indent+"  ")
	}
}

// itemText is a coded line on one line; what it does not state as a fact about the patient now is said.
func itemText(it ccda.Item) string {
	stands := view.Standing(it)
	parts := []string{stands + it.Name}
	for _, x := range []string{it.Value, it.Flag, it.Detail, it.Status, it.Start.Date(), it.Conflict} {
		if x != "" {
			parts = append(parts, x)
		}
	}
	if it.Negated {
		parts = append(parts, "stated not to be so")
	}
	switch {
	case it.Over():
		parts = append(parts, "no longer current")
	case it.Later:
		parts = append(parts, "starts later")
	}
	return strings.Join(parts, " · ")
}

// plainLine keeps a document's text from steering the terminal: one line, no control characters.
func plainLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r >= 0x202A && r <= 0x202E || r >= 0x2066 && r <= 0x2069 {
			return ' '
		}
		return r
	}, s)
}

// documentRenderCommand writes one safe HTML page of a file.
func documentRenderCommand() command {
	return command{
		name:  "document render",
		short: "show a clinical document, XDM zip, HL7 message or mail as one safe HTML page",
		help: `usage: postern document render FILE [--compare OLDER] > page.html

Writes one HTML page of FILE ("-" is standard input) to standard output: a C-CDA with its first
page and all sections, an XDM or zip with every document in it, an HL7 v2 message, FHIR, a mail,
a PDF or picture, text. Nothing in the file is run, fetched or followed, and the page cannot do so
either, with or without the policy it carries.

  --compare OLDER   an earlier document of the same patient: medicines, problems and allergies that
                    are new, changed, stopped or no longer listed come first; either may be
                    C-CDA, HL7 v2, FHIR or CCR

Exit codes: 0 written, 1 the file cannot be read, 2 used wrongly.

Example: postern document render referral.xml --compare january.xml > page.html
`,
		run: func(ctx context.Context, c *console, args []string) error {
			fs := c.flags("document render")
			older := fs.String("compare", "", "")
			files, err := parse(fs, args)
			if err != nil {
				return err
			}
			if len(files) != 1 {
				return usagef("one FILE is needed, %d were given", len(files))
			}
			d, done, err := openDocument(ctx, c, files[0])
			if err != nil {
				return err
			}
			defer done()
			var o document.RenderOptions
			if *older != "" {
				if files[0] == "-" && *older == "-" {
					return usagef("standard input can be read once: give FILE or OLDER by name")
				}
				before, done, err := openDocument(ctx, c, *older)
				if err != nil {
					return err
				}
				defer done()
				if is, err := d.Comparable(); err != nil {
					return err
				} else if !is {
					return fmt.Errorf("%s holds no clinical document to compare with another; leave --compare out", files[0])
				}
				o.Older = before
			}
			return d.Render(c.out, o)
		},
	}
}

// openDocument opens a file, or standard input for "-", as a document.
func openDocument(ctx context.Context, c *console, name string) (*document.Document, func(), error) {
	hint := document.Hint{Filename: name, Now: time.Now(), Stop: ctx.Err}
	if name == "-" {
		b, err := io.ReadAll(io.LimitReader(c.in, maxDocument+1))
		if err != nil {
			return nil, nil, fmt.Errorf("reading standard input: %w", err)
		}
		if len(b) > maxDocument {
			return nil, nil, fmt.Errorf("standard input is larger than %d MiB; give the file by name", maxDocument>>20)
		}
		hint.Filename = ""
		d, err := document.OpenBytes(b, hint)
		return d, func() {}, err
	}
	st, err := os.Stat(name) // before it is opened: opening a pipe waits for its writer
	if err != nil {
		return nil, nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("%s is no regular file; use - and standard input for a pipe", name)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, nil, err
	}
	d, err := document.Open(f, st.Size(), hint)
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return d, func() { f.Close() }, nil
}
