package cms

import (
	"io"

	"postern/smime/cms/ber"
)

// Type is the content type of a CMS object.
type Type uint8

// Content types (RFC 5652 §3).
const (
	TypeUnknown Type = iota
	TypeData
	TypeSigned
	TypeEnveloped
	TypeAuthEnveloped
	TypeCompressed
	TypeDigested
	TypeEncrypted
	TypeAuthenticated
)

func (t Type) String() string {
	return [...]string{"unknown", "data", "signed-data", "enveloped-data", "authEnveloped-data",
		"compressed-data", "digested-data", "encrypted-data", "authenticated-data"}[t]
}

func typeOf(o oid) Type {
	switch o {
	case oidData:
		return TypeData
	case oidSignedData:
		return TypeSigned
	case oidEnvelopedData:
		return TypeEnveloped
	case oidAuthEnvelopedData:
		return TypeAuthEnveloped
	case oidCompressedData:
		return TypeCompressed
	case oidDigestedData:
		return TypeDigested
	case oidEncryptedData:
		return TypeEncrypted
	case oidAuthenticatedData:
		return TypeAuthenticated
	}
	return TypeUnknown
}

// Message is one ContentInfo being read from a stream, once, forwards.
type Message struct {
	s    *ber.Scanner
	typ  Type
	oid  oid
	open int  // containers open around the content
	full bool // nothing may stand in them behind what was read
	pad  [128]byte
}

// Read starts reading a ContentInfo (RFC 5652 §3) and stops in front of its content.
func Read(r io.Reader) (*Message, error) {
	m := &Message{s: ber.NewScanner(r)}
	if err := m.enterSequence("content info"); err != nil {
		return nil, err
	}
	id, err := m.element("content type", maxAlgorithm)
	if err != nil {
		return nil, err
	}
	if !id.Is(ber.Universal, ber.TagOID) {
		return nil, failf(ReasonMalformed, "content type is not an object identifier")
	}
	m.oid = oidOf(id.Content)
	m.typ = typeOf(m.oid)
	h, ok, err := m.s.Next()
	if err != nil {
		return nil, wrap("content", err)
	}
	if !ok || !h.IsContext(0) || !h.Constructed {
		return nil, failf(ReasonMalformed, "%s without content", m.typ)
	}
	return m, m.enter("content")
}

// Type is the content type of the object.
func (m *Message) Type() Type { return m.typ }

// Work is the number of elements read so far.
func (m *Message) Work() int64 { return m.s.Count() }

func (m *Message) enter(what string) error {
	if err := m.s.Enter(); err != nil {
		return wrap(what, err)
	}
	m.open++
	return nil
}

func (m *Message) leave(what string) error {
	if err := m.s.Leave(); err != nil {
		return wrap(what, err)
	}
	m.open--
	return nil
}

func (m *Message) enterSequence(what string) error {
	h, ok, err := m.s.Next()
	if err != nil {
		return wrap(what, err)
	}
	if !ok {
		return failf(ReasonTruncated, "%s missing", what)
	}
	if !h.IsSequence() {
		return failf(ReasonMalformed, "%s is not a sequence", what)
	}
	return m.enter(what)
}

func (m *Message) enterSet(what string) error {
	h, ok, err := m.s.Next()
	if err != nil {
		return wrap(what, err)
	}
	if !ok || !h.IsSet() {
		return failf(ReasonMalformed, "%s is not a set", what)
	}
	return m.enter(what)
}

// element reads the next element whole, in definite form.
func (m *Message) element(what string, limit int) (ber.Element, error) {
	_, ok, err := m.s.Next()
	if err != nil {
		return ber.Element{}, wrap(what, err)
	}
	if !ok {
		return ber.Element{}, failf(ReasonMalformed, "%s missing", what)
	}
	return m.pending(what, limit)
}

// pending reads the element whose header was just read, in definite form.
func (m *Message) pending(what string, limit int) (ber.Element, error) {
	raw, err := m.s.Raw(limit)
	if err != nil {
		return ber.Element{}, wrap(what, err)
	}
	if raw, err = ber.Definite(raw); err != nil {
		return ber.Element{}, wrap(what, err)
	}
	e, err := ber.One(raw)
	return e, wrap(what, err)
}

// version reads a CMSVersion and, as RFC 5652 readers do, ignores its value (CMS-20).
func (m *Message) version() error {
	v, err := m.element("version", 16)
	if err != nil {
		return err
	}
	if !v.Is(ber.Universal, ber.TagInteger) {
		return failf(ReasonMalformed, "version is not an integer")
	}
	return nil
}

// finish leaves all open containers and refuses what follows the object, except the zero octets and
// line ends that some senders append (CMS-63). At most maxPadding octets of those are read.
func (m *Message) finish() error {
	for m.open > 0 {
		if m.full {
			if _, more, err := m.s.Next(); err != nil {
				return wrap("end of the structure", err)
			} else if more {
				return failf(ReasonMalformed, "more in %s than belongs there", m.typ)
			}
		}
		if err := m.leave("end of the structure"); err != nil {
			return err
		}
	}
	rest := m.s.Rest()
	buf := m.pad[:]
	for total := 0; ; {
		n, err := rest.Read(buf)
		for _, c := range buf[:n] {
			if c != 0 && c != '\r' && c != '\n' && c != ' ' && c != '\t' {
				return failf(ReasonTrailing, "data after the end of %s", m.typ)
			}
		}
		if total += n; total > maxPadding {
			return failf(ReasonTrailing, "more than %d octets of padding after the end of %s", maxPadding, m.typ)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return wrap("end of "+m.typ.String(), err)
		}
	}
}

const maxPadding = 64 << 10
