// Package letter is a message being written by people, from its first word to its submission: whom it goes to,
// what it answers, its text and files, and what must be in order before it leaves.
//
// A Draft belongs to one person and, from the start, to the team whose address it leaves from. Check says what
// stands in its way (Blocks), what its writer must confirm (Confirm) and what is worth knowing (Notes); nothing is
// sent while anything blocks. The message leaves from the shared address with its writer's name and title inside.
//
// It keeps nothing: texts and files are blobs of the caller's, rows too. It does not decide rights, trust or
// delivery. Limits: 256 KiB of text, 50 recipients, 25 files, 60 MiB together, less where a message may not be so large (Room).
package letter

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"time"

	"postern/gateway/clinic/document"
	"postern/gateway/clinic/document/chart"
	"postern/gateway/clinic/scan"
	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/work"
	"postern/gateway/message"
	"postern/smime/addr"
)

// Limits of one draft.
const (
	MaxText       = 256 << 10
	MaxSubject    = 200
	MaxRecipients = 50
	MaxFiles      = 25
	MaxOctets     = 60 << 20
)

// ID names a draft; it cannot be guessed.
type ID string

// NewID makes an id with 128 random bits.
func NewID() ID { return ID("dr-" + strings.ToLower(rand.Text())) }

// Valid reports whether it has the form of NewID's.
func (id ID) Valid() bool {
	rest, ok := strings.CutPrefix(string(id), "dr-")
	return ok && len(rest) == 26 && strings.Trim(rest, "abcdefghijklmnopqrstuvwxyz234567") == ""
}

// How is what a draft does with the message it began from.
type How string

// The ways to begin.
const (
	New      How = "new"
	Reply    How = "reply"
	ReplyAll How = "reply_all"
	Forward  How = "forward"
	Redirect How = "redirect" // it was meant for somebody else: it goes there, and its sender is told
)

// State is how far a draft is.
type State string

// The states.
const (
	Open   State = "open"
	Asked  State = "asked" // written by somebody who may not send it: waits for somebody who may
	Sent   State = "sent"
	Thrown State = "thrown"
)

// Draft is one message being written. Subject and Text are kept sealed, apart from the rest.
type Draft struct {
	ID       ID
	Org      string
	Person   staff.PersonID // who writes it
	Work     work.ID        // what it answers; "" for a new one
	How      How
	Pool     string // the team it is for
	From     addr.Address
	To, Cc   []addr.Address
	Category staff.Category
	Purpose  string // sets the deadline after which silence is an alarm
	SignFor  string // the physician it is signed for, by name; "" is nobody
	State    State
	Asked    staff.PersonID // Asked: of one person; "" is anybody of the team who may
	Message  message.ID     // Sent
	Subject  string
	Text     string
	Files    []File
	Version  int64
	Known    int // how many answers to Work its writer knew of when it was begun
	Begun    time.Time
	Changed  time.Time
}

// File is an attachment of a draft.
type File struct {
	Number    int
	Name      string
	Kind      document.Kind
	MediaType string
	Size      int64
	Blob      string
	Patient   string // name and birth date the document states; "" is none
	Findings  []chart.Finding
	Scan      scan.Answer
}

// Answers reports whether it answers the message it began from: whoever wrote that would hear from us by it.
func (d Draft) Answers() bool {
	return d.Work != "" && (d.How == Reply || d.How == ReplyAll || d.How == Redirect)
}

// Recipients are all of them, each once.
func (d Draft) Recipients() (out []addr.Address) {
	for _, a := range slices.Concat(d.To, d.Cc) {
		if !slices.ContainsFunc(out, func(b addr.Address) bool { return b.Key() == a.Key() }) {
			out = append(out, a)
		}
	}
	return out
}

// Parent is the message a draft begins from, as far as it is needed.
type Parent struct {
	Work     work.ID
	Pool     string
	Category staff.Category
	At       addr.Address // the address of ours it came to
	Sender   addr.Address // verified
	To, Cc   []addr.Address
	RFCID    string
	Subject  string
	Received time.Time
	Text     string // its text, for quoting
	Zone     *time.Location
}

// Begin is a new draft of a person's, for a team. p is nil for a new message.
func Begin(who staff.Person, how How, pool string, from addr.Address, p *Parent, now time.Time) Draft {
	d := Draft{ID: NewID(), Org: who.Org, Person: who.ID, How: how, Pool: pool, From: from, State: Open, Version: 1, Begun: now, Changed: now}
	if p == nil {
		d.How = New
		return d
	}
	d.Work, d.Category, d.From, d.Pool = p.Work, p.Category, p.At, p.Pool
	switch how {
	case Reply, ReplyAll:
		d.To, d.Subject, d.Text = []addr.Address{p.Sender}, prefixed("Re: ", p.Subject), "\n\n"+p.quote()
		if how == ReplyAll {
			d.Cc = p.others()
		}
	case Forward, Redirect:
		d.Subject, d.Text = prefixed("Fwd: ", p.Subject), "\n\n"+p.quote()
	}
	return d
}

// others are the other recipients: neither ours that it came to, nor its sender.
func (p *Parent) others() (out []addr.Address) {
	for _, a := range slices.Concat(p.To, p.Cc) {
		same := func(b addr.Address) bool { return b.Key() == a.Key() }
		if same(p.Sender) || a.WithoutTag().Key() == p.At.WithoutTag().Key() || slices.ContainsFunc(out, same) || len(out) == MaxRecipients-1 {
			continue
		}
		out = append(out, a)
	}
	return out
}

// maxQuote is how many lines of the other message are quoted: the rest is in the thread of both sides.
const maxQuote = 200

func (p *Parent) quote() string {
	if strings.TrimSpace(p.Text) == "" {
		return ""
	}
	zone := p.Zone
	if zone == nil {
		zone = time.UTC
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s wrote on %s:\n", p.Sender, p.Received.In(zone).Format("2 Jan 2006 at 15:04"))
	lines := strings.Split(strings.TrimRight(strings.ReplaceAll(p.Text, "\r\n", "\n"), "\n"), "\n")
	for i, l := range lines {
		if i == maxQuote || b.Len()+len(l) > MaxText/2 {
			b.WriteString("> […]\n")
			break
		}
		b.WriteString(strings.TrimRight("> "+l, " ") + "\n")
	}
	return b.String()
}

// Quotable reports whether a draft quotes all of a text: what of it is left out must go along as a file when the
// message is passed on to somebody who has not got it.
func Quotable(text string) bool {
	return strings.Count(strings.TrimRight(text, "\r\n"), "\n") < maxQuote && len(text) <= MaxText/4
}

// prefixed puts a prefix before a subject that does not begin with it.
func prefixed(prefix, subject string) string {
	if len(subject) >= len(prefix)-1 && strings.EqualFold(subject[:len(prefix)-1], prefix[:len(prefix)-1]) {
		return subject
	}
	return clip(prefix+subject, MaxSubject)
}

// clip cuts between characters.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n]
}

// Signed is the text as it leaves: with who wrote it, for whom, in which team's name.
func (d Draft) Signed(writer staff.Person, team string) string {
	lines := []string{writer.Signature()}
	if d.SignFor != "" {
		lines = append(lines, "for "+d.SignFor)
	}
	if team != "" {
		lines = append(lines, team)
	}
	own, quoted := split(d.Text)
	out := strings.TrimRight(own, " \n") + "\n\n-- \n" + strings.Join(lines, "\n") + "\n"
	if quoted != "" {
		out += "\n" + quoted
	}
	return out
}

// Unsigned is a text as it was before Signed put its writer under it.
func Unsigned(text string) string {
	own, quoted := split(text)
	if at := strings.LastIndex(own, "\n-- \n"); at >= 0 {
		own = own[:at]
	}
	own = strings.TrimRight(own, " \n") + "\n"
	if quoted != "" {
		own += "\n" + quoted
	}
	return own
}

// split parts what was written from what is quoted under it.
func split(text string) (own, quoted string) {
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	i := len(lines)
	for i > 0 && (strings.HasPrefix(lines[i-1], ">") || strings.TrimSpace(lines[i-1]) == "") {
		i--
	}
	if i > 0 && i < len(lines) && strings.Contains(lines[i-1], " wrote on ") && strings.HasSuffix(lines[i-1], ":") {
		i--
	}
	return strings.Join(lines[:i], "\n"), strings.TrimLeft(strings.Join(lines[i:], "\n"), "\n")
}
