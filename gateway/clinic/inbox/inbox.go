// Package inbox is a clinic's inbox: items, numbered as they arrive and never renumbered, each with
// where it came from, its parts and the documents in it.
//
// An inbox takes an item only with an Origin: proof that its sender was verified and approved, or that
// the gateway itself wrote it. The zero Origin is refused. Items keep views (offset, length) into the one
// sealed copy of the message; nothing is copied out of it.
//
// Limits: 200 parts and 50 documents an item; what is beyond is still in the message.
package inbox

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"postern/gateway/message"
	"postern/smime/addr"
	"postern/trust"
)

// Limits of one item.
const (
	MaxParts     = 200
	MaxDocuments = 50
)

// ErrNoOrigin means that an item was offered without proof of where it came from.
var ErrNoOrigin = errors.New("inbox: item without an origin")

// Origin says why an item may be in an inbox. Only FromPeer, FromNotice and FromSystem make a useful one.
type Origin struct {
	kind   string
	signer addr.Address
}

// FromPeer is the origin of a message whose signer was verified and approved: the approval must cover
// this certificate for this sender's signatures, inbound, now.
func FromPeer(a trust.Approval, signer *x509.Certificate, sender addr.Address, now time.Time) (Origin, error) {
	if err := a.Covers(signer, sender, trust.Incoming, now); err != nil {
		return Origin{}, fmt.Errorf("inbox: %w", err)
	}
	if a.Purpose() != trust.Mail {
		return Origin{}, fmt.Errorf("%w: the approval serves notices only (AS-88)", ErrNoOrigin)
	}
	return Origin{kind: "peer", signer: sender}, nil
}

// FromNotice is the origin of a notice about a message of ours: its sender may also be one that is
// believed about such notices and nothing else (AS-88).
func FromNotice(a trust.Approval, signer *x509.Certificate, sender addr.Address, now time.Time) (Origin, error) {
	if err := a.Covers(signer, sender, trust.Incoming, now); err != nil {
		return Origin{}, fmt.Errorf("inbox: %w", err)
	}
	return Origin{kind: "notice", signer: sender}, nil
}

// FromSystem is the origin of a notice that this gateway wrote for one of its own senders.
func FromSystem(postmaster addr.Address) Origin { return Origin{kind: "system", signer: postmaster} }

// Valid reports whether the origin proves anything.
func (o Origin) Valid() bool { return o.kind != "" }

// String names the kind of origin: "peer", "notice", "system" or "".
func (o Origin) String() string { return o.kind }

// Signer is the verified sender's address: part of what makes a delivery unique.
func (o Origin) Signer() addr.Address { return o.signer }

// Item is one message in one inbox. Number is given by the store.
type Item struct {
	Inbox      string
	Number     int64
	Org        string
	Message    message.ID
	Recipient  addr.Address   // the address it was sent to, tag included
	Also       []addr.Address // further addresses of this inbox that it was sent to
	Sender     addr.Address   // the verified sender
	Origin     Origin
	RFCID      string   // Message-ID without brackets
	References []string // ids this message refers to, nearest last
	Thread     string   // the message that began the thread; given by the store
	Subject    string
	Received   time.Time
	DeleteOn   time.Time // when it will be deleted by the retention in force; zero: never
	Blob       string    // the opened inner message
	Size       int64
	SHA256     [32]byte // of the opened inner message
	Flags      Flags
	Receipt    json.RawMessage // the security receipt
	Parts      []Part
	Documents  []Document
	ToScan     []string // paths of the parts that a scanner is to see; asked when the item is filed and not stored with it
}

// Recipients is every address of this inbox that the item was sent to.
func (it Item) Recipients() []addr.Address { return append([]addr.Address{it.Recipient}, it.Also...) }

// Body is the part that is what the sender wrote: the first plain text that is no file, else the first page of HTML that
// is none. What is called text and was found to be something else, a program or a package, is a file. ok is false where
// the message is only files.
func (it Item) Body() (p Part, ok bool) {
	for _, kind := range []string{"text/plain", "text/html"} {
		for _, p := range it.Parts {
			if p.MediaType == kind && p.Filename == "" && it.Wordy(p.Path) {
				return p, true
			}
		}
	}
	return Part{}, false
}

// Wordy reports whether no document but words was found in a part when it was filed.
func (it Item) Wordy(path string) bool {
	for _, d := range it.Documents {
		if d.Path == path && d.Kind != "text" && d.Kind != "html" && d.Kind != "mail" {
			return false
		}
	}
	return true
}

// PatientName is the name of the document's patient as it is read aloud; "" where none is stated.
func (d Document) PatientName() string {
	var p struct {
		Names []personName `json:"names"`
		Name  personName   `json:"name"`
	}
	if len(d.Patient) == 0 || json.Unmarshal(d.Patient, &p) != nil {
		return ""
	}
	if len(p.Names) > 0 {
		p.Name = p.Names[0]
	}
	if s := strings.TrimSpace(p.Name.Given + " " + p.Name.Family); s != "" {
		return s
	}
	return p.Name.Text
}

// personName is a name as chart.Name writes it.
type personName struct {
	Given  string `json:"given"`
	Family string `json:"family"`
	Text   string `json:"text"`
}

// Flags are remarks on an item, for people.
type Flags struct {
	// SameID: a message with this id and sender but other content came before; both are kept.
	SameID bool `json:"same_id,omitempty"`
	// PartsLeftOut: the message has more parts or documents than an item lists.
	PartsLeftOut bool `json:"parts_left_out,omitempty"`
	// Unreadable: the MIME structure could not be read; the message is kept whole.
	Unreadable string `json:"unreadable,omitempty"`
}

// Part is a view into the opened message.
type Part struct {
	Path      string `json:"path"`
	Offset    int64  `json:"offset"`
	Length    int64  `json:"length"`
	SHA256    string `json:"sha256"` // of the decoded content, hex
	MediaType string `json:"media_type"`
	Filename  string `json:"filename,omitempty"`
	Encoding  string `json:"encoding,omitempty"`
}

// Document is what a clinical document in the message says of itself.
type Document struct {
	ID       string          `json:"id"`
	Path     string          `json:"path"` // the part it is in
	Kind     string          `json:"kind"`
	Type     string          `json:"type,omitempty"`
	TypeCode string          `json:"type_code,omitempty"`
	Title    string          `json:"title,omitempty"`
	Patient  json.RawMessage `json:"patient,omitempty"`
	Author   string          `json:"author,omitempty"`
	Date     time.Time       `json:"date,omitzero"`
	SetID    string          `json:"set_id,omitempty"`
	OwnID    string          `json:"document_id,omitempty"`
	Refs     json.RawMessage `json:"refs,omitempty"`

	// What places an arriving message; it is asked once and not stored.
	Priorities []string `json:"-"` // priorities of its orders and referrals, in the document's own codes or words
	Restricted bool     `json:"-"` // its author marked it restricted or very restricted
}
