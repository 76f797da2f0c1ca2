package desk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"postern/gateway/clinic/custody"
	"postern/gateway/clinic/document"
	"postern/gateway/clinic/document/ccda"
	"postern/gateway/clinic/document/charset"
	"postern/gateway/clinic/inbox"
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
	Held     string // why it is not shown; "" is shown
	Insist   string // path to see it all the same, for who may
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
	kept, err := d.filesOf(q, q.Work, p.Item)
	if err != nil {
		return err
	}
	if body, ok := p.Item.Body(); ok && main == "none" && !slices.ContainsFunc(kept, func(f custody.File) bool { return f.Path == body.Path }) { // the sender's own words are a page
		kept = append([]custody.File{{Part: body, Kind: document.HTML, State: custody.Free}}, kept...)
	}
	spent := int64(0)
	for _, v := range kept {
		node := root.Find(v.Path)
		if node == nil || v.Path == main && main != "none" {
			continue
		}
		p.Files = append(p.Files, fileOf(q, v, docs[v.Path]))
		if (len(docs[v.Path]) > 0 || v.MediaType == "text/html") && len(p.Shown) < MaxShown {
			spent += v.Length
			s, err := d.show(q, p, node, src, docs[v.Path], spent > MaxInspected || v.State != custody.Free)
			if err != nil {
				return err
			}
			if v.State != custody.Free {
				s.Too, s.Held, s.Compared = false, v.Why, ""
			}
			if v.Opens(q.Rights.On(q.Work.Pool, q.Work.Scope()), true) && s.Held != "" {
				s.Insist = s.Full + query("held", "yes")
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
		if found != "none" || len(n.Children) > 0 || n.MediaType != "text/plain" || n.Disposition == "attachment" || n.Filename != "" || !p.Item.Wordy(n.Path) {
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
		s.Title, s.Kind, s.Author, s.Date = docWords(first), document.Kind(first.Kind).Words(), first.Author, first.Date
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
