package notice

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
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

	maxReports = 16       // report parts of one kind that are read
	frontScan  = 32 << 10 // octets that are looked at when the whole is over MaxParts or MaxDepth
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
	notification [][]byte // each message/disposition-notification
	status       [][]byte // each message/delivery-status
	original     []byte   // the returned header of the original message
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

// visit goes through the message's own multiparts, not into messages it carries. The global types are
// those of RFC 6533.
func (p *parser) visit(n *part.Part) error {
	switch n.MediaType {
	case "message/disposition-notification", "message/global-disposition-notification":
		return p.reportPart(&p.notification, n)
	case "message/delivery-status", "message/global-delivery-status":
		return p.reportPart(&p.status, n)
	case "message/rfc822", "text/rfc822-headers", "message/rfc822-headers", "message/global", "message/global-headers", "message/partial":
		if p.original != nil {
			return nil
		}
		b, err := p.read(n)
		p.original = append([]byte{}, bytes.TrimLeft(b, "\r\n")...)
		return err
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

// reportPart keeps a report part. QUIRK: some agents forget the blank line before the fields, which makes them
// the part's own header.
func (p *parser) reportPart(to *[][]byte, n *part.Part) error {
	if len(*to) == maxReports {
		p.repair("more report parts than are read")
		return nil
	}
	b, err := p.read(n)
	if err != nil {
		return err
	}
	if len(bytes.TrimSpace(b)) == 0 {
		b = nil
		for _, f := range n.Header.Fields {
			name := strings.ToLower(f.Name)
			if !strings.HasPrefix(name, "content-") && !strings.EqualFold(name, message.FinalDelivery) { // DN-22: it counts inside the part only
				b = append(b, f.Raw...)
			}
		}
		if len(b) > 0 {
			p.repair("the fields stand in the header of their part")
		}
	}
	*to = append(*to, b)
	return nil
}

// read is as much of a part as is looked at.
func (p *parser) read(n *part.Part) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(n.Open(p.src), MaxPart))
	if len(b) == MaxPart && n.MediaType != "message/rfc822" {
		p.repair("a part longer than is read")
	}
	return b, err
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
		p.readMDN(f)
	} else {
		p.readDSN()
	}
	p.correlate(f)
	return r, nil
}

// groups are the blocks of all parts of the report's kind.
func (p *parser) groups(parts [][]byte) (all []group) {
	odd := 0
	for _, b := range parts {
		groups, strange := readGroups(b)
		all = append(all, groups...)
		odd += strange
	}
	if odd > 0 {
		p.repair("lines that are no fields")
	}
	return all[:min(len(all), MaxRecipients+1)] // the first may be of the message
}

func (p *parser) readDSN() {
	for i, g := range p.groups(p.status) {
		if i == 0 || p.report.Reporter == "" {
			_, mta, ok := strings.Cut(g.get("reporting-mta"), ";")
			if !ok {
				mta = g.get("reporting-mta")
			}
			p.report.Reporter = oneLineText(mta, MaxText)
		}
		p.identify(g, "x-original-message-id", "original-message-id") // DN-45
		if !g.has("final-recipient") && !g.has("action") {
			continue
		}
		e := readEntry(g)
		e.Action, e.Status, e.Detail = cleanAction(g.get("action")), cleanStatus(g.get("status")), diagnostic(g.get("diagnostic-code"))
		if len(p.report.Entries) < MaxRecipients {
			p.report.Entries = append(p.report.Entries, e)
		}
	}
}

// readEntry reads whom a block speaks of.
func readEntry(g group) (e Entry) {
	e.Recipient, e.Written = readRecipient(g.get("final-recipient"))
	if g.has("original-recipient") {
		e.Original, _ = readRecipient(g.get("original-recipient"))
	}
	return e
}

// identify takes the original's id from the first of the fields that holds one, or from an extension field of
// such a name. QUIRK: some agents put a vendor's prefix before it.
func (p *parser) identify(g group, names ...string) {
	if p.report.OriginalMessageID != "" {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(g)) {
		if strings.HasPrefix(name, "x-") && strings.HasSuffix(name, "-original-message-id") {
			names = append(names, name)
		}
	}
	for _, name := range names {
		if id := message.NormalID(g.get(name)); id != "" && len(id) <= message.MaxMessageID {
			p.report.OriginalMessageID, p.report.IDSource = id, name
			return
		}
	}
}

// correlate falls back to In-Reply-To, then to the returned header (DN-45), then to a message that is the only
// one referred to.
func (p *parser) correlate(f message.Facts) {
	if p.report.OriginalMessageID != "" {
		return
	}
	found := func(id, source string) bool {
		if id = message.NormalID(id); id == "" {
			return false
		}
		p.report.OriginalMessageID, p.report.IDSource = id, source
		return true
	}
	if found(f.InReplyTo, "in-reply-to") {
		return
	}
	var i message.Inspector
	if _, err := i.Write(p.original); err == nil && found(i.Facts().MessageID, "returned-header") {
		return
	}
	if len(f.References) == 1 {
		found(f.References[0], "references")
	}
}
