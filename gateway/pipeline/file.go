package pipeline

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strings"

	"postern/gateway/clinic/custody"
	"postern/gateway/clinic/document"
	"postern/gateway/clinic/document/chart"
	"postern/gateway/clinic/inbox"
	"postern/gateway/message"
	"postern/gateway/spool"
	"postern/gateway/store"
	"postern/smime/addr"
	"postern/smime/part"
)

// item is what an inbox files of a message: its parts as views, and what each document in it says of
// itself. A message whose structure cannot be read is filed whole with a remark; reading it never
// stops its delivery.
func (p *Pipeline) item(m store.Message, r addr.Address, id string, origin inbox.Origin, body spool.Blob) (inbox.Item, error) {
	it := inbox.Item{Inbox: id, Org: m.Submission.Org, Message: m.ID, Recipient: r, Sender: m.Sender, Origin: origin, RFCID: m.RFCID,
		References: append([]string{}, m.Facts.References...), Subject: m.Facts.Subject, Received: p.Now(), Blob: body.ID,
		Size: body.Size, SHA256: body.SHA256}
	if m.Facts.InReplyTo != "" {
		it.References = append(it.References, m.Facts.InReplyTo)
	}
	for i, ref := range it.References {
		it.References[i] = message.NormalID(ref)
	}
	if m.Receipt != "" {
		it.Receipt = []byte(m.Receipt)
	}
	src, err := p.Spool.Open(body)
	if err != nil {
		return it, err
	}
	defer src.Close()
	root, err := part.Parse(src, src.Size(), part.Limits{})
	if err != nil {
		it.Flags.Unreadable = err.Error()
		return it, nil
	}
	err = root.Walk(func(n *part.Part) error {
		if len(n.Children) > 0 {
			return nil
		}
		if len(it.Parts) == inbox.MaxParts {
			it.Flags.PartsLeftOut = true
			return nil
		}
		return p.filePart(&it, n, src)
	})
	if p.Scan {
		it.ToScan = custody.ToScan(it)
	}
	return it, err
}

// filePart lists one leaf part, and as a document when it is one.
func (p *Pipeline) filePart(it *inbox.Item, n *part.Part, src io.ReaderAt) error {
	h := sha256.New()
	scratch, err := p.Spool.Scratch()
	if err != nil {
		return err
	}
	defer scratch.Discard()
	// What of a part cannot be decoded is left out; what cannot be written is a fault of ours, tried again.
	if err := part.CopyDecoded(io.MultiWriter(h, scratch), n.Open(src)); err != nil {
		return fmt.Errorf("pipeline: part %s: %w", n.Path, err)
	}
	it.Parts = append(it.Parts, inbox.Part{Path: n.Path, Offset: n.Offset, Length: n.Length, SHA256: hex.EncodeToString(h.Sum(nil)),
		MediaType: n.MediaType, Filename: n.Filename, Encoding: n.Encoding})
	s, err := document.Inspect(scratch, scratch.Size(), document.Hint{Filename: n.Filename, MediaType: n.Header.Get("Content-Type"), Now: p.Now()})
	if err != nil {
		return err
	}
	p.fileDocument(it, n.Path, *s)
	return nil
}

// fileDocument lists a document and those inside it. Plain text and pages without a patient are parts, not documents.
func (p *Pipeline) fileDocument(it *inbox.Item, path string, s document.Summary) {
	if len(it.Documents) == inbox.MaxDocuments {
		it.Flags.PartsLeftOut = true
		return
	}
	switch s.Kind {
	case document.Text, document.HTML, document.Empty, document.Unknown, document.Mail:
		if s.Patient == nil {
			break
		}
		fallthrough
	default:
		it.Documents = append(it.Documents, describe(path, s))
	}
	for _, in := range s.Inside {
		p.fileDocument(it, path, in)
	}
}

// authorName is a person's name, else the organisation or device that wrote.
func authorName(a chart.Person) string {
	for _, s := range []string{a.Name.String(), a.Organization.Name, a.Device} {
		if s != "" {
			return s
		}
	}
	return ""
}

func describe(path string, s document.Summary) inbox.Document {
	d := inbox.Document{ID: "d-" + strings.ToLower(rand.Text()[:16]), Path: path, Kind: string(s.Kind), Type: s.Type, TypeCode: s.TypeCode,
		Title: s.Title, SetID: s.SetID, OwnID: s.ID, Date: s.Date.At}
	d.Priorities, d.Restricted = priorities(s), s.Privacy == "R" || s.Privacy == "V"
	if s.Patient != nil {
		d.Patient = rawJSON(s.Patient)
	}
	if len(s.Authors) > 0 {
		d.Author = authorName(s.Authors[0])
	}
	if len(s.References) > 0 || len(s.Related) > 0 {
		d.Refs = rawJSON(map[string]any{"references": s.References, "related": s.Related})
	}
	return d
}
