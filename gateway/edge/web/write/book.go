package write

import (
	"fmt"
	"strings"

	"postern/gateway/clinic/directory"
	"postern/gateway/clinic/staff"
	"postern/gateway/edge/web"
	"postern/smime/addr"
)

// bookData is the dot of the address book.
type bookData struct {
	Asked   string
	Entries []directory.Entry
	After   string // id to go on behind
	May     bool
}

func (p *pen) showBook(q *web.Request) error {
	data := bookData{Asked: strings.TrimSpace(q.URL.Query().Get("find")), May: q.Rights.Can(staff.ManageAddresses)}
	got, err := p.Store.Book(q.Context(), q.Org, data.Asked, q.URL.Query().Get("after"), PageLines+1)
	if err != nil {
		return err
	}
	if len(got) > PageLines {
		got = got[:PageLines]
		data.After = got[PageLines-1].ID
	}
	data.Entries = got
	return q.Page(p.book, "Address book", data)
}

// entryData is the dot of one entry's page.
type entryData struct {
	directory.Entry
	Kinds []directory.Kind
	New   bool
}

func (p *pen) entryData(q *web.Request) (d entryData, err error) {
	d.Kinds = []directory.Kind{directory.Person, directory.Department, directory.Partner}
	id := q.URL.Query().Get("id")
	if id == "" {
		d.New = true
		return d, nil
	}
	d.Entry, err = p.Store.BookEntry(q.Context(), q.Org, id)
	return d, err
}

func (p *pen) showEntry(q *web.Request) error {
	d, err := p.entryData(q)
	if err != nil {
		return err
	}
	return q.Page(p.entry, "Address book", d)
}

func (p *pen) saveEntry(q *web.Request) error {
	d, err := p.entryData(q)
	if err != nil {
		return err
	}
	f := q.PostForm
	e := directory.Entry{Kind: directory.Kind(f.Get("kind")), Name: f.Get("name"), Organization: f.Get("organization"), Phone: f.Get("phone"), Fax: f.Get("fax"),
		Note: f.Get("note"), Source: directory.Typed}
	if e.Address, err = addr.Parse(strings.TrimSpace(f.Get("address"))); err != nil && strings.TrimSpace(f.Get("address")) != "" {
		return q.Again(p.entry, "Address book", d, &web.Invalid{Field: "address", Text: "That is no Direct address: it reads like referrals@direct.clinic.example."})
	}
	if err := e.Tidy(); err != nil {
		field := map[error]string{directory.ErrNoName: "name", directory.ErrNoAddress: "address", directory.ErrKind: "kind"}[err]
		if field == "" {
			return q.Again(p.entry, "Address book", d, &web.Refusal{Text: sentence(err)})
		}
		return q.Again(p.entry, "Address book", d, &web.Invalid{Field: field, Text: sentence(err)})
	}
	moved := !d.New && d.Address.Key() != e.Address.Key()
	if d.New || moved {
		if other, taken, err := p.Store.BookOf(q.Context(), q.Org, e.Address); err != nil {
			return err
		} else if taken && other.Source != directory.Learned {
			return q.Again(p.entry, "Address book", d, &web.Invalid{Field: "address", Text: "It stands in the book already, as " + other.Label() + "."})
		}
	}
	if err := p.Store.SaveBook(q.Context(), q.Org, []directory.Entry{e}, entry(q, "address_book.save", e.Address.String(), nil)); err != nil {
		return err
	}
	if moved {
		if err := p.Store.RemoveBook(q.Context(), q.Org, d.ID, entry(q, "address_book.remove", d.Address.String(), map[string]any{"now": e.Address})); err != nil {
			return err
		}
	}
	return q.See("/addresses?find="+e.Address.String(), "Saved.")
}

// sentence is an error as one.
func sentence(err error) string {
	s := err.Error()
	return strings.ToUpper(s[:1]) + s[1:] + "."
}

func (p *pen) removeEntry(q *web.Request) error {
	e, err := p.Store.BookEntry(q.Context(), q.Org, q.PostForm.Get("id"))
	if err != nil {
		return err
	}
	if err := p.Store.RemoveBook(q.Context(), q.Org, e.ID, entry(q, "address_book.remove", e.Address.String(), nil)); err != nil {
		return err
	}
	return q.See("/addresses", "The entry is gone. Messages from and to it stay.")
}

// importData is the dot of the import page.
type importData struct{ Flaws []directory.LineError }

func (p *pen) showImport(q *web.Request) error {
	return q.Page(p.imported, "Import addresses", importData{})
}

// doImport takes a whole list or none of it.
func (p *pen) doImport(q *web.Request) error {
	var entries []directory.Entry
	var flaws []directory.LineError
	seen := false
	if err := q.Parts(func(f web.File) error {
		if !seen {
			entries, flaws = directory.ReadCSV(f.Body)
		}
		seen = true
		return nil
	}); err != nil {
		return err
	}
	switch {
	case !seen:
		return q.Again(p.imported, "Import addresses", importData{}, &web.Invalid{Field: "file", Text: "Choose a file."})
	case len(flaws) > 0:
		return q.Again(p.imported, "Import addresses", importData{flaws}, &web.Refusal{Text: "Nothing was taken in: every line must be right first."})
	}
	if err := p.Store.SaveBook(q.Context(), q.Org, entries, entry(q, "address_book.import", "", map[string]any{"entries": len(entries)})); err != nil {
		return err
	}
	return q.See("/addresses", fmt.Sprintf("%d addresses are in the book.", len(entries)))
}
