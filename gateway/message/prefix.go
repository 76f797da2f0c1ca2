package message

import (
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"time"

	"postern/smime/addr"
)

// PrefixOptions says what may be put in front of a submitted message.
type PrefixOptions struct {
	From          addr.Address // the submitter: his domain makes the Message-ID, he gets the notices
	FinalDelivery bool         // ask for final delivery where the submitter did not (DN-11)
	Now           time.Time
	Rand          io.Reader // nil is crypto/rand
}

// Prefixed is what was put in front: whole header lines with CRLF. What the submitter handed in
// follows it octet for octet.
type Prefixed struct {
	Lines     []byte
	Added     []string // the names of the fields, in order
	MessageID string   // the message's id, added or its own, without brackets
}

// Prefix makes the header lines a message lacks: Message-ID (EP-04, DN-12), Date and MIME-Version
// (AS-30), and for mail the request for final delivery with the address it is answered to (DN-10,
// DN-11). A field that is there in any form, however odd, is left alone and not added again. Notices
// never ask for notices (DN-17).
func Prefix(f Facts, o PrefixOptions) (Prefixed, error) {
	if o.From.IsZero() {
		return Prefixed{}, fmt.Errorf("message: prefix: no submitter")
	}
	if o.Now.IsZero() {
		return Prefixed{}, fmt.Errorf("message: prefix: no time")
	}
	out := Prefixed{MessageID: f.MessageID}
	add := func(name, value string) {
		out.Lines = append(out.Lines, name+": "+value+"\r\n"...)
		out.Added = append(out.Added, name)
	}
	if f.MessageID == "" && !f.Flawed(ReasonBadMessageID, "") {
		out.MessageID = NewMessageID(o.From.Domain(), o.Now, o.Rand)
		add("Message-ID", "<"+out.MessageID+">")
	}
	if f.Date.IsZero() && !f.Flawed(ReasonBadDate, "") {
		add("Date", FormatDate(o.Now))
	}
	if !f.MIMEVersion {
		add("MIME-Version", "1.0")
	}
	if o.FinalDelivery && f.Kind() == Mail && !f.DeliveryOptions {
		if len(f.DispositionNotificationTo) == 0 && !f.Flawed(ReasonBadAddress, "disposition-notification-to") {
			add("Disposition-Notification-To", "<"+o.From.String()+">")
		}
		add(OptionsField, finalDeliveryOn)
	}
	return out, nil
}

// NewMessageID makes an RFC 5322 §3.6.4 id, without its brackets, that nobody else makes: the
// instant, 96 random bits, and the sender's domain.
func NewMessageID(d addr.Domain, now time.Time, rnd io.Reader) string {
	var b [12]byte
	for i := 0; i < len(b); i += 8 {
		r := randomUint64(rnd)
		for j := i; j < min(i+8, len(b)); j++ {
			b[j] = byte(r)
			r >>= 8
		}
	}
	return strings.TrimPrefix(string(NewID(now, rnd)), idPrefix) + "." + hex.EncodeToString(b[:]) + "@" + d.String()
}

// FormatDate is the Date field's form of an instant (RFC 5322 §3.3), in UTC.
func FormatDate(t time.Time) string { return t.UTC().Format("Mon, 02 Jan 2006 15:04:05 -0700") }
