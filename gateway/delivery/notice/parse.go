package notice

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"postern/gateway/message"
	"postern/smime/part"
)

// Limits of reading.
const (
	MaxScan  = 4 << 20   // octets of the message that are looked at
	MaxPart  = 256 << 10 // octets of a report part or returned header that are read; the rest is passed over
	MaxParts = 1000      // of the message and of what it returns
	MaxDepth = 16

	frontScan = 32 << 10 // octets that are looked at when the whole is over MaxParts or MaxDepth
)

// ErrNotNotice is Parse's answer for any other mail, among it bounces in prose.
var ErrNotNotice = errors.New("notice: not a notice")

// Parse reads an inner message as a notice. It is lenient in form, as DN-44 to DN-48 and the field's
// many dialects demand, and looks only at the message's own multipart tree: a notice attached as a
// message is not this message's statement. The error is ErrNotNotice or the reader's.
func Parse(inner io.ReaderAt, size int64) (*Report, error) {
	f, err := facts(inner, size)
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(f.MediaType, "multipart/") {
		return nil, ErrNotNotice
	}
	p := parser{src: inner, report: &Report{Kind: f.Kind()}}
	if err := p.walk(min(size, MaxScan)); err != nil {
		return nil, fmt.Errorf("notice: read: %w", err)
	}
	return p.finish(f)
}

// facts reads no more than the header.
func facts(r io.ReaderAt, size int64) (message.Facts, error) {
	var i message.Inspector
	_, err := io.Copy(&i, io.NewSectionReader(r, 0, min(size, message.MaxHeader)))
	f := i.Facts()
	var refused *message.Error
	if errors.As(err, &refused) || i.Err() != nil {
		return f, ErrNotNotice
	}
	if err != nil {
		return f, fmt.Errorf("notice: read: %w", err)
	}
	return f, nil
}

type parser struct {
	src          io.ReaderAt
	report       *Report
	notification []byte // the first message/disposition-notification
	status       []byte // the first message/delivery-status
	original     []byte // the returned header of the original message
}

func (p *parser) repair(s string) { p.report.Repairs = append(p.report.Repairs, s) }

// walk finds the parts that tell, in the first size octets. They stand in front of what is returned
// of the original message, which may be as large and as deep as mail can be.
func (p *parser) walk(size int64) error {
	lim := part.Limits{Depth: MaxDepth, Parts: MaxParts}
	root, err := part.Parse(p.src, size, lim)
	if errors.Is(err, part.ErrLimit) { // the returned message is monstrous, not the notice: look at its front
		p.repair("more parts than are read")
		root, err = part.Parse(p.src, min(size, frontScan), lim)
	}
	switch {
	case errors.Is(err, part.ErrLimit):
		return nil
	case err != nil:
		return err
	}
	return p.visit(root)
}

// visit goes through the message's own multiparts, not into messages it carries.
func (p *parser) visit(n *part.Part) error {
	switch n.MediaType {
	case "message/disposition-notification":
		return p.keep(&p.notification, n)
	case "message/delivery-status", "message/global-delivery-status":
		return p.keep(&p.status, n)
	case "message/rfc822", "text/rfc822-headers", "message/rfc822-headers":
		return p.keep(&p.original, n)
	}
	if !n.Multipart() {
		return nil
	}
	for _, child := range n.Children {
		if err := p.visit(child); err != nil {
			return err
		}
	}
	return nil
}

// keep reads the first part of its kind, as much of it as is looked at.
func (p *parser) keep(to *[]byte, n *part.Part) error {
	if *to != nil {
		return nil
	}
	b, err := io.ReadAll(io.LimitReader(n.Open(p.src), MaxPart))
	if err != nil {
		return err
	}
	if len(b) == MaxPart && n.MediaType != "message/rfc822" {
		p.repair("a part longer than is read")
	}
	*to = append([]byte{}, b...)
	return nil
}

// finish makes the report of what was found. A message without the part that its report-type
// promises is still a notice when it says it is; one that does not say so needs the part.
func (p *parser) finish(f message.Facts) (*Report, error) {
	r := p.report
	r.Standard = r.Kind != message.Mail
	switch {
	case r.Kind == message.MDN && p.notification != nil, r.Kind == message.DSN && p.status != nil:
	case p.notification != nil:
		r.Kind, r.Standard = message.MDN, false
	case p.status != nil:
		r.Kind, r.Standard = message.DSN, false
	case r.Kind == message.Mail:
		return nil, ErrNotNotice
	default:
		r.Standard = false
		p.repair("the report part is missing")
	}
	if r.Kind == message.MDN {
		p.readMDN()
	} else {
		p.readDSN()
	}
	p.correlate(f)
	return r, nil
}

func (p *parser) readMDN() {
	groups, strange := readGroups(p.notification)
	if strange > 0 {
		p.repair("lines that are no fields")
	}
	all := group{}
	for _, g := range groups { // one block by the RFC; blank lines inside it are forgiven
		for name, v := range g {
			if _, again := all[name]; !again {
				all[name] = v
			}
		}
	}
	if len(all) == 0 {
		return
	}
	p.report.Reporter = oneLineText(all["reporting-ua"], MaxText)
	p.identify(all, "original-message-id", "x-original-message-id")
	var e Entry
	e.Recipient, e.Written = readRecipient(all["final-recipient"])
	if v, ok := all["original-recipient"]; ok {
		e.Original, _ = readRecipient(v)
	}
	e.Disposition, e.Modifier = readDisposition(all["disposition"])
	e.Modifier = oneLineText(e.Modifier, MaxText)
	_, e.FinalField = all[strings.ToLower(message.FinalDelivery)]
	for _, name := range []string{"failure", "error", "warning"} {
		if v := oneLineText(all[name], MaxText); v != "" && e.Detail == "" {
			e.Detail = v
		}
	}
	p.report.Entries = []Entry{e}
}

func (p *parser) readDSN() {
	groups, strange := readGroups(p.status)
	if strange > 0 {
		p.repair("lines that are no fields")
	}
	for i, g := range groups {
		if i == 0 || p.report.Reporter == "" {
			_, mta, ok := strings.Cut(g["reporting-mta"], ";")
			if !ok {
				mta = g["reporting-mta"]
			}
			p.report.Reporter = oneLineText(mta, MaxText)
		}
		p.identify(g, "x-original-message-id", "original-message-id") // DN-45
		_, final := g["final-recipient"]
		_, action := g["action"]
		if !final && !action {
			continue
		}
		var e Entry
		e.Recipient, e.Written = readRecipient(g["final-recipient"])
		if v, ok := g["original-recipient"]; ok {
			e.Original, _ = readRecipient(v)
		}
		e.Action, e.Status, e.Detail = cleanAction(g["action"]), cleanStatus(g["status"]), diagnostic(g["diagnostic-code"])
		if len(p.report.Entries) < MaxRecipients {
			p.report.Entries = append(p.report.Entries, e)
		}
	}
}

// identify takes the original's id from the first of the fields that holds one.
func (p *parser) identify(g group, names ...string) {
	for _, name := range names {
		if id := message.NormalID(g[name]); id != "" && len(id) <= message.MaxMessageID && p.report.OriginalMessageID == "" {
			p.report.OriginalMessageID, p.report.IDSource = id, name
		}
	}
}

// correlate falls back to In-Reply-To, then to the returned header (DN-45).
func (p *parser) correlate(f message.Facts) {
	if p.report.OriginalMessageID != "" {
		return
	}
	if id := message.NormalID(f.InReplyTo); id != "" {
		p.report.OriginalMessageID, p.report.IDSource = id, "in-reply-to"
		return
	}
	var i message.Inspector
	if _, err := i.Write(p.original); err != nil {
		return
	}
	if id := message.NormalID(i.Facts().MessageID); id != "" {
		p.report.OriginalMessageID, p.report.IDSource = id, "returned-header"
	}
}
