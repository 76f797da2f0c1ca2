package web

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"path"
)

//go:embed asset
var frameFiles embed.FS

// Template is a page of some package, in the layout. It may be used by several goroutines.
type Template struct {
	base *template.Template // never executed: only what was not can be cloned
	idle chan *bound
}

// bound is one copy of a template with the request it works for.
type bound struct {
	t *template.Template
	q *Request
}

// idleCopies is how many copies of a template are kept for the next requests.
const idleCopies = 4

// Parse reads a page: the first file is its body, the others are included by their base names. It panics on a
// fault, as the files are part of the program.
func Parse(files embed.FS, names ...string) *Template {
	b := &bound{}
	t := template.New("root").Funcs(b.functions()).Option("missingkey=error")
	read := func(from embed.FS, as, name string) {
		text, err := from.ReadFile(name)
		if err == nil {
			_, err = t.New(as).Parse(string(text))
		}
		if err != nil {
			panic(fmt.Sprintf("web: template %s: %v", name, err))
		}
	}
	read(frameFiles, "layout", "asset/layout.html")
	for i, name := range names {
		as := path.Base(name)
		if i == 0 {
			as = "page"
		}
		read(files, as, name)
	}
	return &Template{base: t.Lookup("layout"), idle: make(chan *bound, idleCopies)}
}

// take is a copy that is free.
func (t *Template) take() (*bound, error) {
	select {
	case b := <-t.idle:
		return b, nil
	default:
	}
	b := &bound{}
	var err error
	if b.t, err = t.base.Clone(); err != nil {
		return nil, fmt.Errorf("web: template: %w", err)
	}
	b.t.Funcs(b.functions())
	return b, nil
}

func (t *Template) execute(out *bytes.Buffer, name string, q *Request, data any) error {
	b, err := t.take()
	if err != nil {
		return err
	}
	b.q = q
	if err := b.t.ExecuteTemplate(out, name, data); err != nil {
		return fmt.Errorf("web: template: %w", err) // the copy is not used again
	}
	b.q = nil
	select {
	case t.idle <- b:
	default:
	}
	return nil
}
