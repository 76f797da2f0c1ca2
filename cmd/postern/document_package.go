package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"postern/gateway/clinic/document"
	"postern/gateway/clinic/document/xdm"
)

// documentPackageCommand makes an XDM package of documents.
func documentPackageCommand() command {
	return command{
		name:  "document package",
		short: "put documents into one XDM package, to be attached to a message",
		help: `usage: postern document package FILE... --source OID [flags] [--out PACKAGE.zip]

Puts documents about one patient, with the metadata each says of itself, into one XDM package (IHE
ITI TF, as Direct sends several documents). What a document does not say is left out, never made up.
The package is read again as its receiver would; what is then wrong with it is told.

  --source OID     the object identifier of your organisation, digits and dots (required)
  --from A         the Direct address it will be sent from
  --to B           an address it will be sent to (may be repeated)
  --title T        what the package is
  --creator T      your institution and whom to ask, for its README.TXT
  --out PACKAGE    where it is written; "-" or none is standard output

Exit codes: 0 written, 1 a file cannot be read, or they are about several patients, 2 used wrongly.

Example: postern document package summary.xml laboratory.hl7 --source 2.16.840.1.113883.19.5 --out referral.zip
         postern send --from a@direct.hospital.example --to b@direct.clinic.example --subject "Referral XDM/1.0/DDM" \
           --text "See the package." --attach referral.zip   # older receivers look for XDM/1.0/DDM in the subject
`,
		run: runDocumentPackage,
	}
}

// oid is an object identifier in dotted form.
var oid = regexp.MustCompile(`^[0-2](\.(0|[1-9][0-9]*))+$`)

func runDocumentPackage(ctx context.Context, c *console, args []string) error {
	fs := c.flags("document package")
	s := xdm.Submission{Product: "Postern"}
	var from string
	var to listFlag
	out := fs.String("out", "", "")
	fs.StringVar(&s.SourceID, "source", "", "")
	fs.StringVar(&s.Title, "title", "", "")
	fs.StringVar(&s.Creator, "creator", "", "")
	fs.StringVar(&from, "from", "", "")
	fs.Var(&to, "to", "")
	files, err := parse(fs, args)
	if err != nil {
		return err
	}
	switch {
	case len(files) == 0:
		return usagef("at least one FILE is needed")
	case !oid.MatchString(s.SourceID) || len(s.SourceID) > 64:
		return usagef("--source is your organisation's object identifier, such as 2.16.840.1.113883.19.5, not %q", s.SourceID)
	}
	recipients, err := addresses(to)
	if err != nil {
		return err
	}
	for _, r := range recipients {
		s.Recipients = append(s.Recipients, r.String())
	}
	if from != "" {
		sender, err := addresses([]string{from})
		if err != nil {
			return err
		}
		s.From = sender[0].String()
	}
	s.Time = time.Now()
	opened, err := openAll(ctx, c, files)
	if err != nil {
		return err
	}
	defer opened.close()
	s.Documents = opened.parts
	var packed bytes.Buffer
	if err := xdm.Write(&packed, s); err != nil {
		return err
	}
	if err := c.asReceived(ctx, packed.Bytes()); err != nil {
		return err
	}
	w, err := c.output(*out)
	if err != nil {
		return err
	}
	_, err = w.Write(packed.Bytes())
	return w.done(err)
}

// opened is documents that are open, as parts of a package.
type opened struct {
	docs  []*document.Document
	names []string
	parts []xdm.Part
	size  int64
	done  []func()
}

func (o *opened) close() {
	for _, d := range o.done {
		d()
	}
}

// openAll opens documents about one patient, of up to maxDocument octets in all.
func openAll(ctx context.Context, c *console, files []string) (*opened, error) {
	o := &opened{}
	for _, name := range files {
		if err := o.add(ctx, c, name); err != nil {
			o.close()
			return nil, err
		}
	}
	return o, nil
}

func (o *opened) add(ctx context.Context, c *console, name string) error {
	d, done, err := openDocument(ctx, c, name)
	if err != nil {
		return err
	}
	o.done = append(o.done, done)
	switch d.Kind {
	case document.Empty, document.Program, document.XDM:
		return fmt.Errorf("%s: %s, which belongs in no package", name, strings.ToLower(d.Kind.Words()))
	}
	if o.size += d.Size; o.size > maxDocument {
		return fmt.Errorf("the files have more than %d MiB in all", maxDocument>>20)
	}
	for i, other := range o.docs {
		if why := d.OfAnother(other); why != "" {
			return fmt.Errorf("%s and %s are about different patients, and a package is about one: %s", o.names[i], name, why)
		}
	}
	o.docs, o.names = append(o.docs, d), append(o.names, name)
	o.parts = append(o.parts, d.Entry(d.Kind.SentAs()))
	return nil
}

// asReceived reads a package as its receiver would and tells what is wrong with it.
func (c *console) asReceived(ctx context.Context, packed []byte) error {
	d, err := document.OpenBytes(packed, document.Hint{Now: time.Now(), Stop: ctx.Err})
	if err != nil {
		return err
	}
	if d.Kind != document.XDM {
		return errors.New("the package cannot be read as one; nothing was written")
	}
	for _, f := range d.Problems {
		fmt.Fprintf(c.err, "postern: %s: %s\n", f.Severity, plainLine(f.Text))
	}
	return nil
}
