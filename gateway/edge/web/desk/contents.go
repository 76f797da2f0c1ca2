package desk

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"postern/gateway/clinic/document"
	"postern/gateway/clinic/document/ccda"
	"postern/gateway/clinic/document/charset"
	"postern/gateway/clinic/inbox"
	"postern/gateway/clinic/letter"
	"postern/gateway/clinic/staff"
	"postern/gateway/edge/web"
	"postern/gateway/store"
	"postern/smime/part"
)

// shown is a document of a message, shown in a frame on its page.
type shown struct {
	Part     string // path of the part it is in
	Title    string
	Kind     string
	Author   string
	Date     time.Time
	Frame    string // path of its page for a frame
	Full     string // path of its own page
	Repairs  []string
	Findings int
	Older    string // what it is compared with, in words
	Compared string // path of the comparison
	Too      bool   // too large to be read for this page
}

// fileLine is a part of a message as a file.
type fileLine struct {
	Part, Name, What string
	Size             string
	Path             string // "" is not offered
	Why              string
}

// maxText is how much of a message's own words is on its page.
const maxText = 32 << 10

// contents reads the message for its page: its own words, its documents, its files.
func (d *desk) contents(q *web.Request, p *itemPage) error {
	src, err := d.Open(q.Context(), p.Item.Blob)
	if err != nil {
		return fmt.Errorf("desk: message of item %s: %w", p.E.ID, err)
	}
	defer src.Close()
	root, err := part.Parse(src, src.Size(), part.Limits{})
	if err != nil {
		return nil // remarks says so
	}
	p.Typed = typedName(root.Header.Get("From"), p.E.Sender.String())
	main := d.ownText(root, src, p)
	docs := map[string][]inbox.Document{}
	for _, doc := range p.Item.Documents {
		docs[doc.Path] = append(docs[doc.Path], doc)
	}
	policy, err := d.Store.FilePolicy(q.Context(), q.Org)
	if err != nil {
		return err
	}
	spent := int64(0)
	for _, v := range p.Item.Parts {
		node := root.Find(v.Path)
		if node == nil || v.Path == main && main != "none" {
			continue
		}
		p.Files = append(p.Files, fileOf(q, v, docs[v.Path], policy))
		if (len(docs[v.Path]) > 0 || v.MediaType == "text/html") && len(p.Shown) < MaxShown {
			spent += v.Length
			s, err := d.show(q, p, node, src, docs[v.Path], spent > MaxInspected)
			if err != nil {
				return err
			}
			p.Shown = append(p.Shown, s)
		}
	}
	return nil
}

// typedName is the name in a From field, where it says more than the address.
func typedName(field, address string) string {
	at := strings.LastIndexByte(field, '<')
	if at < 0 {
		return ""
	}
	name := strings.Trim(strings.TrimSpace(part.DecodeWords(field[:at])), `"' `)
	if strings.EqualFold(name, address) {
		return ""
	}
	return name
}

// ownText puts the first plain text that is no attachment on the page and says which part that was; "none" is none.
func (d *desk) ownText(root *part.Part, src io.ReaderAt, p *itemPage) string {
	found := "none"
	_ = root.Walk(func(n *part.Part) error { // only the function's own errors come back
		if found != "none" || len(n.Children) > 0 || n.MediaType != "text/plain" || n.Disposition == "attachment" || n.Filename != "" {
			return nil
		}
		raw, _ := io.ReadAll(io.LimitReader(n.Open(src), maxText+1)) // what of it cannot be decoded is left out
		p.TextCut = len(raw) > maxText
		raw = raw[:min(len(raw), maxText)]
		if t, err := charset.Open(bytes.NewReader(raw), int64(len(raw)), n.Params["charset"]); err == nil {
			b := make([]byte, t.Size)
			k, _ := t.Src.ReadAt(b, 0) // of bytes in memory
			out, _ := charset.Append(nil, b[:k], t.Single)
			p.Text = strings.TrimSpace(string(out))
		}
		found = n.Path
		return nil
	})
	return found
}

// show reads one document for the page: its repairs, and what it can be compared with.
func (d *desk) show(q *web.Request, p *itemPage, node *part.Part, src io.ReaderAt, docs []inbox.Document, tooMuch bool) (shown, error) {
	s := shown{Part: node.Path, Title: "Message text", Kind: "Web page", Too: tooMuch,
		Frame: fmt.Sprintf("/item/%s/page/%s", p.E.ID, pathName(node.Path)), Full: fmt.Sprintf("/item/%s/document/%s", p.E.ID, pathName(node.Path))}
	if len(docs) > 0 {
		first := docs[0]
		s.Title, s.Kind, s.Author, s.Date = docWords(first), kindWords(first.Kind), first.Author, first.Date
		if first.Title != "" {
			s.Title = first.Title
		}
		if isClinical(first.Kind) {
			older, err := d.older(q)
			if err != nil {
				return s, err
			}
			if older != nil {
				s.Older = docWords(older.Document)
				at := older.Document.Date
				if at.IsZero() {
					at = older.Work.Received
				}
				s.Older += " of " + at.In(q.Person.Location()).Format("2 Jan 2006")
				s.Compared = s.Full + "?with=" + string(older.Work.ID) + "&part=" + pathName(older.Document.Path)
			}
		}
	}
	if tooMuch {
		return s, nil
	}
	whole, err := decoded(node, src)
	if err != nil {
		return s, nil // it cannot be decoded; its frame says so
	}
	sum, err := document.Inspect(bytes.NewReader(whole), int64(len(whole)), d.hint(q, node))
	if err != nil {
		if q.Context().Err() != nil {
			return s, err
		}
		s.Too = true
		return s, nil
	}
	s.Repairs, s.Findings = sum.Repairs, len(sum.Problems)
	s.Repairs = s.Repairs[:min(len(s.Repairs), 10)]
	return s, nil
}

// hint is what surrounds a document, with an end to reading it.
func (d *desk) hint(q *web.Request, node *part.Part) document.Hint {
	return document.Hint{Filename: node.Filename, MediaType: node.Header.Get("Content-Type"), Now: q.Now, Stop: q.Context().Err}
}

// errLarge means that a part is larger than a page reads.
var errLarge = errors.New("desk: the part is too large to be shown")

// decoded is a part's content in memory.
func decoded(node *part.Part, src io.ReaderAt) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(node.Open(src), MaxInspected+1))
	if len(b) > MaxInspected {
		return nil, errLarge
	}
	if len(b) > 0 {
		err = nil // what of a part cannot be decoded is left out
	}
	return b, err
}

func isClinical(kind string) bool {
	return slices.Contains([]string{string(ccda.CCDA), string(ccda.C32), string(ccda.OtherCDA)}, kind)
}

// older is the last clinical document before this one about the same patient, that whoever asks may see; nil is none.
func (d *desk) older(q *web.Request) (*store.Older, error) {
	all, err := d.Store.OlderDocuments(q.Context(), q.Work, 10)
	for _, o := range all {
		if q.Rights.On(o.Work.Pool, o.Work.Scope()) >= staff.Read {
			return &o, err
		}
	}
	return nil, err
}

// fileOf is a part as a file with a safe name and what it really is.
func fileOf(q *web.Request, v inbox.Part, docs []inbox.Document, policy letter.Policy) fileLine {
	f := fileLine{Part: v.Path, Name: web.SafeName(v.Filename), What: "Text", Size: sizeWords(v), Path: fmt.Sprintf("/item/%s/file/%s", q.Work.ID, pathName(v.Path))}
	if v.Filename == "" {
		f.Name = "part " + cmp.Or(v.Path, "1")
	}
	kind := v.MediaType
	if len(docs) > 0 {
		kind = docs[0].Kind
		f.What = kindWords(kind)
	} else if !strings.HasPrefix(kind, "text/") {
		f.What = kindWords("unknown")
	}
	if kind == string(document.Program) {
		f.Path, f.Why = "", "a program is not offered: ask the sender what it is for"
	} else if j := judged(v, docs, policy); j.Action == letter.Hold && !mayOpenHeld(q) {
		f.Path, f.Why = "", "held back: "+j.Reason+" Somebody who may send for the team can save it"
	} else if j.Action == letter.Hold {
		f.Path, f.Why = f.Path+query("held", "yes"), "held back: "+j.Reason+" Save it only if you expect it"
	}
	return f
}

// judged is what the organisation's rules for files say of a part that came in.
func judged(v inbox.Part, docs []inbox.Document, policy letter.Policy) letter.Verdict {
	kind := document.Kind("")
	if len(docs) > 0 {
		kind = document.Kind(docs[0].Kind)
	}
	return policy.Arrived(kind, v.MediaType, v.Encoding, v.Length)
}

// mayOpenHeld tells who may save a file that is held back, when they say so.
func mayOpenHeld(q *web.Request) bool { return q.Rights.On(q.Work.Pool, q.Work.Scope()) >= staff.Send }

// pathName writes a part's path so that it is one element of a URL; the message itself is "0".
func pathName(p string) string {
	if p == "" {
		return "0"
	}
	return p
}

func partPath(name string) string {
	if name == "0" {
		return ""
	}
	return name
}

// node finds the part a URL names, with the message it is in; the caller closes the bytes.
func (d *desk) node(ctx context.Context, box string, number int64, name string) (inbox.Item, Bytes, *part.Part, error) {
	it, err := d.Store.Item(ctx, box, number)
	if err != nil {
		return it, nil, nil, err
	}
	if !slices.ContainsFunc(it.Parts, func(v inbox.Part) bool { return v.Path == partPath(name) }) {
		return it, nil, nil, web.ErrNotFound
	}
	src, err := d.Open(ctx, it.Blob)
	if err != nil {
		return it, nil, nil, err
	}
	root, err := part.Parse(src, src.Size(), part.Limits{})
	if err == nil {
		if n := root.Find(partPath(name)); n != nil {
			return it, src, n, nil
		}
	}
	src.Close()
	return it, nil, nil, web.ErrNotFound
}

// sizeWords is about how large a part is once decoded.
func sizeWords(v inbox.Part) string {
	n := v.Length
	if v.Encoding == "base64" {
		n = n * 3 / 4
	}
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%d bytes", n)
	case n < 1<<20:
		return fmt.Sprintf("%d KB", (n+512)>>10)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/(1<<20))
}
