// Package compose writes a new message: a text and attachments, as RFC 5322 and MIME with CRLF line ends
// (AS-30, AS-31). Long lines and octets over 127 are carried in quoted-printable and base64, so that no
// gateway on the way has a reason to change the message (CMS-43).
//
// It does not seal, send or judge. Limits: 100 recipients, 50 attachments, 100 MiB together, a subject of
// 300 octets.
package compose

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"path/filepath"
	"strings"
	"time"

	"github.com/emersion/go-message/mail"

	"postern/gateway/message"
	"postern/smime/addr"
)

// Limits of one message.
const (
	MaxRecipients  = 100
	MaxAttachments = 50
	MaxOctets      = 100 << 20
	MaxSubject     = 300
	MaxReferences  = 20
)

// ErrLimit is the cause of every refusal to write a message that is too much.
var ErrLimit = errors.New("compose: too much for one message")

// Attachment is a file that goes along.
type Attachment struct {
	Name      string // file name; folders are dropped
	MediaType string // "" is told from the name
	Content   io.Reader
}

// Message is what is to be written. From, To and Now are needed.
type Message struct {
	From          addr.Address
	To, Cc        []addr.Address
	Subject, Text string
	Attachments   []Attachment
	InReplyTo     string   // without brackets
	References    []string // what InReplyTo refers to itself, nearest last (RFC 5322 §3.6.4); the last MaxReferences are named
	FinalDelivery bool     // ask for notice of final delivery (DN-10)
	Auto          bool     // written by a program: nobody's program answers it (RFC 3834 §5)
	Now           time.Time
}

// Write writes the message and returns its Message-ID without brackets.
func (m Message) Write(w io.Writer) (id string, err error) {
	switch n := len(m.To) + len(m.Cc); {
	case m.From.IsZero() || n == 0:
		return "", errors.New("compose: a message needs a sender and a recipient")
	case n > MaxRecipients:
		return "", fmt.Errorf("%w: %d recipients, at most %d", ErrLimit, n, MaxRecipients)
	case len(m.Attachments) > MaxAttachments:
		return "", fmt.Errorf("%w: %d attachments, at most %d", ErrLimit, len(m.Attachments), MaxAttachments)
	case len(m.Subject) > MaxSubject || strings.ContainsAny(m.Subject, "\r\n\x00"):
		return "", fmt.Errorf("%w: a subject is one line of at most %d octets", ErrLimit, MaxSubject)
	}
	id = message.NewMessageID(m.From.Domain(), m.Now, nil)
	mw, err := mail.CreateWriter(w, m.header(id))
	if err != nil {
		return "", fmt.Errorf("compose: %w", err)
	}
	if err := m.text(mw); err != nil {
		return "", fmt.Errorf("compose: %w", err)
	}
	total := int64(0)
	for _, a := range m.Attachments {
		n, err := attach(mw, a, MaxOctets-total)
		if err != nil {
			return "", fmt.Errorf("compose: %s: %w", filepath.Base(a.Name), err)
		}
		total += n
	}
	if err := mw.Close(); err != nil {
		return "", fmt.Errorf("compose: %w", err)
	}
	return id, nil
}

func (m Message) header(id string) mail.Header {
	var h mail.Header
	set := func(name string, as []addr.Address) {
		if len(as) == 0 {
			return
		}
		list := make([]string, len(as))
		for i, a := range as {
			list[i] = a.String()
		}
		h.Set(name, strings.Join(list, ", "))
	}
	// go-message writes fields in the reverse order of adding.
	if m.FinalDelivery {
		h.Set(message.OptionsField, "X-DIRECT-FINAL-DESTINATION-DELIVERY=optional,true") // DN-10
		h.Set("Disposition-Notification-To", "<"+m.From.String()+">")
	}
	if m.InReplyTo != "" {
		h.Set("References", m.references())
		h.Set("In-Reply-To", "<"+m.InReplyTo+">")
	}
	if m.Auto {
		h.Set("Auto-Submitted", "auto-generated")
	}
	h.SetSubject(m.Subject)
	set("Cc", m.Cc)
	set("To", m.To)
	set("From", []addr.Address{m.From})
	h.Set("Message-ID", "<"+id+">")
	h.Set("Date", message.FormatDate(m.Now))
	return h
}

// references names the conversation, the message answered last.
func (m Message) references() string {
	var ids []string
	for _, id := range m.References[max(0, len(m.References)-MaxReferences):] {
		if id = strings.Trim(id, "<> "); id != "" && id != m.InReplyTo && !strings.ContainsAny(id, "<> \t\r\n") {
			ids = append(ids, "<"+id+">")
		}
	}
	return strings.Join(append(ids, "<"+m.InReplyTo+">"), " ")
}

func (m Message) text(mw *mail.Writer) error {
	var h mail.InlineHeader
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Transfer-Encoding", "quoted-printable")
	w, err := mw.CreateSingleInline(h)
	if err != nil {
		return err
	}
	text := strings.ReplaceAll(strings.ReplaceAll(m.Text, "\r\n", "\n"), "\n", "\r\n")
	if !strings.HasSuffix(text, "\r\n") {
		text += "\r\n"
	}
	if _, err := io.WriteString(w, text); err != nil {
		return err
	}
	return w.Close()
}

func attach(mw *mail.Writer, a Attachment, room int64) (int64, error) {
	var h mail.AttachmentHeader
	name := filepath.Base(a.Name)
	kind := a.MediaType
	if kind == "" {
		kind = mediaType(name)
	}
	h.Set("Content-Type", mime.FormatMediaType(kind, map[string]string{"name": name}))
	h.SetFilename(name)
	h.Set("Content-Transfer-Encoding", "base64")
	w, err := mw.CreateAttachment(h)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(w, io.LimitReader(a.Content, room+1))
	if err == nil && n > room {
		err = fmt.Errorf("%w: attachments of more than %d octets", ErrLimit, int64(MaxOctets))
	}
	return n, errors.Join(err, w.Close())
}

// mediaType is the type of a file by its name, from a list of our own: the machine's would make the
// same message differ from one machine to the next.
func mediaType(name string) string {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".xml", ".ccd", ".ccda", ".cda":
		return "text/xml" // EP-08: how C-CDA travels
	case ".pdf":
		return "application/pdf"
	case ".zip", ".xdm":
		return "application/zip"
	case ".txt":
		return "text/plain"
	case ".html", ".htm":
		return "text/html"
	case ".json":
		return "application/json"
	case ".hl7":
		return "x-application/hl7-v2+er7"
	case ".png":
		return "image/png"
	case ".jpg", ".jpeg":
		return "image/jpeg"
	case ".tif", ".tiff":
		return "image/tiff"
	}
	return "application/octet-stream"
}
