package message

import (
	"bytes"
	"net/mail"
	"strings"

	"postern/smime/addr"
	"postern/smime/part"
)

// Limits of single fields. A field beyond them is flawed, never silently cut in a way that matters.
const (
	MaxMessageID  = 990  // octets of an id; with its brackets it fits in a line of its own
	MaxReferences = 200  // the last ones are kept
	MaxSubject    = 2000 // octets after decoding; a longer Subject is shortened for people
	maxDate       = 200
	maxType       = 8 << 10
)

// parseHeader fills facts from a whole header. A line that is no field is noted and passed over, so
// that what follows is still seen: a reader that stops there sees less than we judge, never more.
func parseHeader(f *Facts, header []byte) *Error {
	p := fieldParser{facts: f, count: map[string]int{}}
	for len(header) > 0 {
		var raw []byte
		raw, header = cutField(header)
		if len(bytes.TrimRight(raw, "\r\n")) == 0 {
			continue // the blank line
		}
		if err := p.field(raw); err != nil {
			return err
		}
	}
	p.finish()
	return nil
}

// cutField splits off the first field with its continuation lines. LF ends a line, with or without CR.
func cutField(h []byte) (field, rest []byte) {
	for end := 0; ; {
		n := bytes.IndexByte(h[end:], '\n')
		if n < 0 {
			return h, nil
		}
		end += n + 1
		if end == len(h) || h[end] != ' ' && h[end] != '\t' {
			return h[:end], h[end:]
		}
	}
}

// fieldParser is one pass over a header.
type fieldParser struct {
	facts   *Facts
	count   map[string]int
	options []string // values of Disposition-Notification-Options
}

func (p *fieldParser) flaw(r Reason, field string) {
	if !p.facts.Flawed(r, field) {
		p.facts.Flaws = append(p.facts.Flaws, Flaw{r, field})
	}
}

func (p *fieldParser) field(raw []byte) *Error {
	if p.facts.Fields++; p.facts.Fields > MaxFields {
		return &Error{ReasonHeaderFields, ""}
	}
	// Before anything else: other readers end a line at a bare CR, and see a field where we see none.
	if hasControl(raw) {
		p.flaw(ReasonControl, "")
	}
	name, value, ok := bytes.Cut(raw, []byte(":"))
	name = bytes.TrimRight(name, " \t") // RFC 5322 §4.5: space before the colon
	if !ok || !isFieldName(name) {
		p.flaw(ReasonBadLine, "")
		return nil
	}
	key := knownField(name)
	if key == "" {
		return nil
	}
	p.count[key]++
	if key == "received" {
		if p.facts.Received++; p.facts.Received > MaxReceived {
			return &Error{ReasonLoop, ""}
		}
		return nil
	}
	p.known(key, unfold(value))
	return nil
}

// knownField is the lower-case name of a field the gateway acts on, "" for any other.
func knownField(name []byte) string {
	for _, k := range [...]string{"received", "from", "sender", "reply-to", "to", "cc", "bcc", "message-id", "in-reply-to", "references",
		"date", "subject", "content-type", "mime-version", "auto-submitted", "disposition-notification-to", "disposition-notification-options"} {
		if len(k) == len(name) && strings.EqualFold(k, string(name)) {
			return k
		}
	}
	return ""
}

// hasControl reports a NUL or a CR that ends no line.
func hasControl(value []byte) bool {
	if bytes.IndexByte(value, 0) >= 0 {
		return true
	}
	for {
		i := bytes.IndexByte(value, '\r')
		if i < 0 {
			return false
		}
		if i+1 == len(value) || value[i+1] != '\n' {
			return true
		}
		value = value[i+2:]
	}
}

// isFieldName is RFC 5322 §3.6.8: printable US-ASCII without the colon.
func isFieldName(b []byte) bool {
	for _, c := range b {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return len(b) > 0
}

// unfold takes line ends out; the white space that began a continuation stays (RFC 5322 §2.2.3).
func unfold(b []byte) string {
	s := string(b)
	if strings.IndexByte(s, '\n') < len(s)-1 {
		s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", ""), "\n", "")
	}
	return strings.TrimSpace(s)
}

// known reads the fields the gateway acts on. Of a field that may stand once, the first is used.
func (p *fieldParser) known(key, v string) {
	f := p.facts
	switch key {
	case "from":
		p.addresses(key, v, &f.From)
	case "sender":
		p.addresses(key, v, &f.Sender)
	case "reply-to":
		p.addresses(key, v, &f.ReplyTo)
	case "disposition-notification-to":
		p.addresses(key, v, &f.DispositionNotificationTo)
	case "to":
		p.addresses(key, v, &f.To)
	case "cc":
		p.addresses(key, v, &f.Cc)
	case "bcc":
		f.Bcc = true
	case "message-id":
		if p.once(key) {
			p.messageID(v)
		}
	case "in-reply-to":
		if ids := idList(v); p.once(key) && len(ids) > 0 {
			f.InReplyTo = ids[0]
		}
	case "references":
		if p.once(key) {
			f.References = idList(v)
		}
	case "date":
		p.date(v)
	case "subject":
		if p.once(key) {
			f.Subject = DecodeWords(v, MaxSubject)
		}
	case "content-type":
		p.contentType(v)
	case "mime-version":
		f.MIMEVersion = p.once(key)
	case "auto-submitted":
		if p.once(key) {
			word, _, _ := strings.Cut(WithoutComments(v), ";")
			f.AutoSubmitted = autoKeyword(strings.TrimSpace(word))
		}
	case "disposition-notification-options":
		f.DeliveryOptions = true
		p.options = append(p.options, v)
	}
}

// autoKeyword is the keyword of Auto-Submitted (RFC 3834 §5.2). What is no word at all is none that says a person sent it.
func autoKeyword(word string) string {
	if strings.ContainsFunc(word, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "unreadable"
	}
	return strings.ToLower(clip(word, 80))
}

// once notes a field that stands again; it is true for the first.
func (p *fieldParser) once(key string) bool {
	if p.count[key] > 1 {
		p.flaw(ReasonDuplicate, key)
		return false
	}
	return true
}

// addresses joins repeated lists, so that every check sees every address any reader may see; whether
// a repetition is tolerable is the check's to say.
func (p *fieldParser) addresses(key, v string, to *[]addr.Address) {
	p.once(key)
	list, err := addr.ParseList(v)
	if err != nil || len(*to)+len(list) > addr.MaxList {
		p.flaw(ReasonBadAddress, key)
		return
	}
	*to = append(*to, list...)
}

func (p *fieldParser) messageID(v string) {
	id := strings.Join(strings.Fields(bareID(v)), " ")
	if NormalID(v) == "" || len(id) > MaxMessageID || !printable(id) || strings.ContainsAny(id, "<>") {
		p.flaw(ReasonBadMessageID, "message-id")
		return
	}
	p.facts.MessageID, p.facts.BareID = id, !strings.Contains(v, "<")
}

func (p *fieldParser) date(v string) {
	if !p.once("date") {
		return
	}
	if len(v) > maxDate {
		p.flaw(ReasonBadDate, "date")
		return
	}
	t, err := mail.ParseDate(v) // obsolete zones and two-digit years included
	if err != nil {
		p.flaw(ReasonBadDate, "date")
		return
	}
	p.facts.Date = t.UTC()
}

func (p *fieldParser) contentType(v string) {
	if !p.once("content-type") {
		return
	}
	if len(v) > maxType {
		p.flaw(ReasonBadType, "content-type")
		return
	}
	// A notice with a broken field must still be known as one, or it would be answered (AS-95): the
	// reader of MIME trees and this one must see the same type.
	mediaType, params, repaired := part.ParseMedia(v)
	if repaired || strings.Count(mediaType, "/") != 1 {
		p.flaw(ReasonBadType, "content-type")
	}
	p.facts.MediaType = clip(mediaType, 200)
	p.facts.ReportType = strings.ToLower(clip(params["report-type"], 80))
	p.facts.SMIMEType = strings.ToLower(clip(params["smime-type"], 80))
}

// finish judges what needs the whole header: a request for final delivery, which nobody may make in
// a notice (DN-17).
func (p *fieldParser) finish() {
	f := p.facts
	if len(p.options) == 0 {
		return
	}
	f.FinalDelivery, f.FinalDeliveryMalformed, f.FinalDeliveryNote = readOptions(p.options)
	if f.Kind() != Mail && f.FinalDelivery {
		f.FinalDelivery = false
		f.FinalDeliveryNote = "a notice cannot ask for a notice"
	}
}
