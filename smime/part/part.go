// Package part is MIME (RFC 5322, RFC 2045 to 2047, RFC 2231) as offsets into bytes that nobody
// changes: headers with every field as received, and a tree of parts that point into the source.
//
// It is as lenient as a mail reader must be, and notes each repair it made; nothing is ever
// re-encoded, so a part's octets can be hashed, stored and handed on exactly as they came. A whole
// tree is found in one pass over the source, without recursion. message/rfc822 parts are descended
// into when their transfer encoding is an identity; encoded ones stay leaves.
//
// Not here: character sets other than UTF-8, ISO-8859-1 and US-ASCII in file names (they stay as
// they are), uuencode, and any judgement about content.
//
// Limits: header 256 KiB and 1,000 fields, depth 16, 1,000 parts, boundary 998 octets (a longer one is
// no boundary), 64 parameters a field, file name 255 octets.
package part

import (
	"errors"
	"io"
	"strings"
)

// Limits bound one parse. The zero value means the defaults named in the package doc.
type Limits struct {
	Header int64 // octets of one header
	Fields int   // fields of one header
	Depth  int   // nesting of parts
	Parts  int   // parts of one message
}

// Defaults of Limits, and bounds that are not configurable.
const (
	DefaultHeader = 256 << 10
	DefaultFields = 1000
	DefaultDepth  = 16
	DefaultParts  = 1000
	maxBoundary   = 998
	maxParams     = 64
	maxFilename   = 255
)

func (l Limits) orDefault() Limits {
	if l.Header == 0 {
		l.Header = DefaultHeader
	}
	if l.Fields == 0 {
		l.Fields = DefaultFields
	}
	if l.Depth == 0 {
		l.Depth = DefaultDepth
	}
	if l.Parts == 0 {
		l.Parts = DefaultParts
	}
	return l
}

// ErrLimit is the cause when a message is over one of the limits.
var ErrLimit = errors.New("part: over a limit")

// Part is one node of a message's tree. Offset and Length cover its body: what follows the blank
// line, without the line end that belongs to the next delimiter (RFC 2046 §5.1.1).
type Part struct {
	Path        string // "" for the message itself, then "1", "1.2" …
	Offset      int64
	Length      int64
	Start       int64 // of its header
	Header      Header
	MediaType   string // lower case; text/plain when absent or unreadable
	Params      map[string]string
	Encoding    string // transfer encoding, lower case; "7bit" when absent
	Disposition string // lower case, "" when absent
	Filename    string // as the sender wrote it, decoded; never to be used as a path
	Children    []*Part
	Depth       int
	Repairs     []string // what was wrong and how it was read
}

// Walk visits the part and everything below it, parents first.
func (p *Part) Walk(f func(*Part) error) error {
	stack := []*Part{p}
	for len(stack) > 0 {
		n := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if err := f(n); err != nil {
			return err
		}
		for i := len(n.Children) - 1; i >= 0; i-- {
			stack = append(stack, n.Children[i])
		}
	}
	return nil
}

// Find is the part with this path, nil when there is none.
func (p *Part) Find(path string) *Part {
	var found *Part
	_ = p.Walk(func(n *Part) error {
		if n.Path == path && found == nil {
			found = n
		}
		return nil
	})
	return found
}

// Multipart reports a multipart type with a boundary.
func (p *Part) Multipart() bool {
	return strings.HasPrefix(p.MediaType, "multipart/") && p.Params["boundary"] != ""
}

// Identity reports a transfer encoding that changes no octets.
func (p *Part) Identity() bool { return identity(p.Encoding) }

func identity(enc string) bool {
	switch enc {
	case "7bit", "8bit", "binary", "":
		return true
	}
	return false
}

// Raw reads the body as it stands in the source.
func (p *Part) Raw(src io.ReaderAt) *io.SectionReader {
	return io.NewSectionReader(src, p.Offset, p.Length)
}

// Open reads the body with its transfer encoding removed, leniently.
func (p *Part) Open(src io.ReaderAt) io.Reader { return Decode(p.Encoding, p.Raw(src)) }

// CopyDecoded copies to w what can be decoded of r, which Decode or Open gave: damage ends the copy without an error, as
// a reader of mail shows what there is. Only w's error, the keeper's own, is one.
func CopyDecoded(w io.Writer, r io.Reader) error {
	kept := &witness{w: w}
	if _, err := io.Copy(kept, r); kept.err != nil {
		return errors.Join(kept.err, err)
	}
	return nil
}

// witness remembers that writing failed, apart from what reading came to.
type witness struct {
	w   io.Writer
	err error
}

func (k *witness) Write(b []byte) (int, error) {
	n, err := k.w.Write(b)
	if err != nil {
		k.err = err
	}
	return n, err
}

// Decode removes a transfer encoding from r; unknown encodings and identities pass octets through.
func Decode(encoding string, r io.Reader) io.Reader {
	switch encoding {
	case "base64":
		return NewBase64Reader(r)
	case "quoted-printable":
		return NewQuotedReader(r)
	}
	return r
}
