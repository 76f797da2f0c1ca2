package notice

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	gomessage "github.com/emersion/go-message"

	"postern/gateway/message"
)

// Limits of reading.
const (
	MaxPart  = 256 << 10 // octets of a report part or returned header that are read; the rest is passed over
	MaxParts = 32
	MaxDepth = 4
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
	p := parser{report: &Report{Kind: f.Kind()}}
	start := mboxLine(inner)
	p.walk(io.NewSectionReader(inner, start, size-start))
	if p.readErr != nil {
		return nil, fmt.Errorf("notice: read: %w", p.readErr)
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

// mboxLine is the length of a "From " line in front of the header. QUIRK: mail stores put it there.
func mboxLine(r io.ReaderAt) int64 {
	b := make([]byte, message.MaxLine)
	n, _ := r.ReadAt(b, 0)
	if b = b[:n]; bytes.HasPrefix(b, []byte("From ")) {
		return int64(bytes.IndexByte(b, '\n') + 1)
	}
	return 0
}

type parser struct {
	report       *Report
	notification []byte // the first message/disposition-notification
	status       []byte // the first message/delivery-status
	original     []byte // the returned header of the original message
	parts        int
	readErr      error
}

func (p *parser) repair(s string) { p.report.Repairs = append(p.report.Repairs, s) }

func (p *parser) walk(r io.Reader) {
	e, err := gomessage.ReadWithOptions(r, &gomessage.ReadOptions{MaxHeaderBytes: message.MaxHeader})
	if e == nil {
		p.repair("the header stops the MIME reader")
		return
	}
	_ = err // unknown character sets and encodings still leave a readable entity
	p.entity(e, 0)
}

func (p *parser) entity(e *gomessage.Entity, depth int) {
	if p.parts++; p.parts > MaxParts || depth > MaxDepth {
		p.repair("more parts than are read")
		return
	}
	mediaType, _, _ := message.ContentType(e.Header.Get("Content-Type"))
	if mr := e.MultipartReader(); mr != nil {
		for {
			child, err := mr.NextPart()
			if child == nil {
				if err != nil && !errors.Is(err, io.EOF) {
					p.repair("a part that cannot be read")
				}
				return
			}
			p.entity(child, depth+1)
		}
	}
	switch mediaType {
	case "message/disposition-notification":
		p.keep(&p.notification, e.Body)
	case "message/delivery-status", "message/global-delivery-status":
		p.keep(&p.status, e.Body)
	case "message/rfc822", "text/rfc822-headers", "message/rfc822-headers":
		p.keep(&p.original, e.Body)
	}
}

func (p *parser) keep(to *[]byte, r io.Reader) {
	if *to != nil {
		return
	}
	b, err := io.ReadAll(io.LimitReader(r, MaxPart))
	if err != nil {
		p.repair("a part that breaks off")
	}
	if len(b) == MaxPart {
		p.repair("a part longer than is read")
	}
	*to = append([]byte{}, b...)
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
