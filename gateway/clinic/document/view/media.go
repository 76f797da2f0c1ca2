package view

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"strings"

	"postern/gateway/clinic/document/page"
	"postern/gateway/clinic/document/xmltree"
)

// The limits of pictures on one page.
const (
	maxPictures     = 24       // pictures
	maxPictureBytes = 16 << 20 // bytes of all of them
	maxSide         = 12000    // pixels of one side
	maxPixels       = 40e6     // pixels of one picture
	maxMedia        = 1000     // observationMedia elements that are indexed
)

// media are the files inside the entries of a document.
type media struct {
	byID  map[string]xmltree.Node
	shown map[int]bool
	count int
	bytes int
}

func findMedia(root xmltree.Node) *media {
	m := &media{byID: map[string]xmltree.Node{}, shown: map[int]bool{}}
	root.Walk(func(n xmltree.Node) bool {
		if n.Name() == "observationMedia" || n.Name() == "regionOfInterest" {
			if id := n.Attr("ID"); id != "" && len(m.byID) < maxMedia {
				m.byID[id] = n
			}
		}
		return n.Name() != "text"
	}, nil)
	return m
}

// show writes what a renderMultiMedia refers to.
func (m *media) show(p *page.Writer, ref xmltree.Node) {
	found := false
	for i, id := range strings.Fields(ref.Attr("referencedObject")) {
		n, ok := m.byID[id]
		if !ok || i >= 10 {
			continue
		}
		if n.Name() == "regionOfInterest" {
			if inner := findElement(n, "observationMedia"); inner.OK() {
				n = inner
			}
		}
		found = true
		m.object(p, n)
	}
	if !found {
		p.Elem(page.Span, " (a picture or file that is not in the document) ", page.Cls(page.Added))
	}
}

func findElement(n xmltree.Node, name string) xmltree.Node {
	var found xmltree.Node
	n.Walk(func(c xmltree.Node) bool {
		if !found.OK() && c.Name() == name {
			found = c
		}
		return !found.OK()
	}, nil)
	return found
}

func (m *media) object(p *page.Writer, n xmltree.Node) {
	if m.shown[n.ID()] {
		p.Elem(page.Span, " (the same picture as above) ", page.Cls(page.Added))
		return
	}
	m.shown[n.ID()] = true
	v := n.Child("value")
	if ref := v.Child("reference").Attr("value"); ref != "" {
		p.Elem(page.Span, " (a file outside the document, not fetched: "+page.OneLine(ref)+") ", page.Cls(page.Added))
		return
	}
	m.embedded(p, v, "picture in the document")
}

// embedded shows an ED's base64 bytes if they are a sound picture, else says what they are.
func (m *media) embedded(p *page.Writer, v xmltree.Node, alt string) {
	raw, whole := Embedded(v, page.MaxPicture)
	kind, why := checkPicture(raw)
	switch {
	case !whole:
		p.Elem(page.Span, fmt.Sprintf(" (a file of more than %d MiB inside the document, not shown: %s) ", page.MaxPicture>>20, said(v)), page.Cls(page.Added))
	case why != nil:
		p.Elem(page.Span, fmt.Sprintf(" (a file inside the document, %s, not shown as a picture: %v; %s) ", sizeText(int64(len(raw))), why, said(v)), page.Cls(page.Added))
	case m.count >= maxPictures || m.bytes+len(raw) > maxPictureBytes:
		p.Elem(page.Span, " (one more picture; the page already holds as many as it may) ", page.Cls(page.Added))
	default:
		m.count++
		m.bytes += len(raw)
		p.Picture(kind, raw, alt)
	}
}

func said(v xmltree.Node) string {
	if t := v.Attr("mediaType"); t != "" {
		return "said to be " + page.OneLine(t)
	}
	return "without a stated type"
}

// Embedded decodes the base64 (or plain) bytes of an ED element, at most limit bytes; whole is false
// when there are more.
func Embedded(v xmltree.Node, limit int64) (raw []byte, whole bool) {
	for t := v.First(); t.OK(); t = t.Next() {
		if !t.IsText() {
			continue
		}
		var src io.Reader = bytes.NewReader(t.Bytes())
		if t.Long() {
			src = t.Open()
		}
		if v.Attr("representation") == "B64" || v.Attr("representation") == "" && looksBase64(t.Bytes()) {
			src = base64.NewDecoder(base64.StdEncoding, &alphabet{r: src})
		}
		part, err := io.ReadAll(io.LimitReader(src, limit+1-int64(len(raw))))
		raw = append(raw, part...)
		if int64(len(raw)) > limit {
			return raw[:limit], false
		}
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && len(part) == 0 {
			break
		}
	}
	return raw, true
}

// looksBase64 says whether text without a stated representation is base64: lines of its alphabet only,
// without a blank inside, long enough not to be a word.
func looksBase64(b []byte) bool {
	b = bytes.TrimSpace(b)
	run, longest := 0, 0
	for _, c := range b[:min(len(b), 1024)] {
		switch {
		case inAlphabet(c):
			run++
			longest = max(longest, run)
		case c == '\n' || c == '\r':
			run = 0
		default:
			return false
		}
	}
	return longest >= 40
}

// alphabet lets only base64 characters through, and nothing of the references (&#13;) and marks
// (<![CDATA[) that XML may hold between them.
type alphabet struct {
	r    io.Reader
	skip byte // what ends the part left out, 0 = none
	mark int  // how much of "<![CDATA[" was seen
}

func inAlphabet(c byte) bool {
	return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '+' || c == '/' || c == '='
}

func (a *alphabet) Read(b []byte) (int, error) {
	for {
		n, err := a.r.Read(b)
		k := 0
		for _, c := range b[:n] {
			if a.keep(c) {
				b[k] = c
				k++
			}
		}
		if k > 0 || err != nil {
			return k, err
		}
	}
}

func (a *alphabet) keep(c byte) bool {
	const cdata = "<![CDATA["
	switch {
	case a.skip != 0:
		if a.mark > 0 && a.mark < len(cdata) && c == cdata[a.mark] {
			if a.mark++; a.mark == len(cdata) {
				a.skip, a.mark = 0, 0
			}
			return false
		}
		a.mark = 0
		if c == a.skip {
			a.skip = 0
		}
		return false
	case c == '&':
		a.skip = ';'
		return false
	case c == '<':
		a.skip, a.mark = '>', 1
		return false
	}
	return inAlphabet(c)
}

// checkPicture says whether bytes are a picture of a type and size that a browser may be handed.
func checkPicture(raw []byte) (page.PictureType, error) {
	var cfg image.Config
	var kind page.PictureType
	err := errors.New("no mark of a picture")
	switch {
	case bytes.HasPrefix(raw, []byte("\x89PNG")):
		kind = page.PNG
		cfg, err = png.DecodeConfig(bytes.NewReader(raw))
	case bytes.HasPrefix(raw, []byte("\xFF\xD8")):
		kind = page.JPEG
		cfg, err = jpeg.DecodeConfig(bytes.NewReader(raw))
	case bytes.HasPrefix(raw, []byte("GIF8")):
		kind = page.GIF
		cfg, err = gif.DecodeConfig(bytes.NewReader(raw))
	}
	if err != nil {
		return "", errors.New("it is no PNG, JPEG or GIF")
	}
	if cfg.Width <= 0 || cfg.Height <= 0 || cfg.Width > maxSide || cfg.Height > maxSide || float64(cfg.Width)*float64(cfg.Height) > maxPixels {
		return "", fmt.Errorf("it is %d by %d pixels, too large to show", cfg.Width, cfg.Height)
	}
	return kind, nil
}

func sizeText(n int64) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%d KB", n>>10)
	}
	return fmt.Sprintf("%d bytes", n)
}
