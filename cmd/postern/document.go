package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"postern/gateway/clinic/document"
)

// maxDocument is the largest file read from standard input, in bytes; a named file has no such limit.
const maxDocument = 256 << 20

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
                    are new, changed, stopped or no longer listed come first

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
				before, done, err := openDocument(ctx, c, *older)
				if err != nil {
					return err
				}
				defer done()
				o.Older = before
			}
			return d.Render(c.out, o)
		},
	}
}

// openDocument opens a file, or standard input for "-", as a document.
func openDocument(ctx context.Context, c *console, name string) (*document.Document, func(), error) {
	hint := document.Hint{Filename: name, Stop: ctx.Err}
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
	f, err := os.Open(name)
	if err != nil {
		return nil, nil, err
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file; use - and standard input for a pipe", name)
	}
	var d *document.Document
	if err == nil {
		d, err = document.Open(f, st.Size(), hint)
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return d, func() { f.Close() }, nil
}
