package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"postern/gateway/clinic/directory"
	"postern/smime/addr"
)

const bookColumns = "id, org, kind, name, organization, address, phone, fax, note, source, changed, heard, messages"

func scanBook(r *sql.Rows) (e directory.Entry, err error) {
	var address, changed, heard string
	if err = r.Scan(&e.ID, &e.Org, &e.Kind, &e.Name, &e.Organization, &address, &e.Phone, &e.Fax, &e.Note, &e.Source, &changed, &heard, &e.Messages); err != nil {
		return e, err
	}
	e.Changed, e.Heard = parseStamp(changed), parseStamp(heard)
	e.Address, err = addr.Parse(address)
	return e, err
}

// SaveBook writes entries of the address book, each in the place of what was there for its address; what was heard
// from it stays. All or none are written.
func (s *Store) SaveBook(ctx context.Context, org string, entries []directory.Entry, entry AuditEntry) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		for _, e := range entries {
			w.exec(`INSERT INTO book VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT(org, address_key) DO UPDATE SET kind=excluded.kind, name=excluded.name,
				organization=excluded.organization, address=excluded.address, phone=excluded.phone, fax=excluded.fax, note=excluded.note,
				source=excluded.source, sort=excluded.sort, changed=excluded.changed`, newID("ab-"), org, e.Address.Key(), e.Kind, e.Name, e.Organization,
				e.Address.String(), e.Phone, e.Fax, e.Note, e.Source, bookSort(e), stamp(s.now()), "", 0)
		}
		w.audit(entry)
		return w.err
	})
}

func bookSort(e directory.Entry) string {
	return strings.ToLower(e.Name + " " + e.Organization + " " + e.Address.String())
}

// learn records that verified mail came from an address: a new entry where there is none, named as its sender
// writes its name, and never a change of what a person has written.
func (w *writer) learn(org string, from addr.Address, called string, at string) {
	e := directory.Entry{Kind: directory.Person, Name: called, Address: from}
	if e.Tidy() != nil {
		e.Name = from.String()
	}
	w.exec(`INSERT INTO book VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT(org, address_key) DO UPDATE SET messages=book.messages+1,
		heard=CASE WHEN excluded.heard>book.heard THEN excluded.heard ELSE book.heard END`, newID("ab-"), org, from.Key(), e.Kind, e.Name, "", from.String(), "", "", "", directory.Learned, bookSort(e),
		stamp(w.s.now()), at, 1)
}

// RemoveBook takes an entry out of the book.
func (s *Store) RemoveBook(ctx context.Context, org, id string, entry AuditEntry) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		if w.exec("DELETE FROM book WHERE id=? AND org=?", id, org) == 0 && w.err == nil {
			return fmt.Errorf("store: address book entry %s: %w", id, ErrNotFound)
		}
		w.audit(entry)
		return w.err
	})
}

// BookEntry is one entry.
func (s *Store) BookEntry(ctx context.Context, org, id string) (directory.Entry, error) {
	return one(ctx, s, "SELECT "+bookColumns+" FROM book WHERE id=? AND org=?", []any{id, org}, scanBook)
}

// BookOf is the entry of an address; ok is false where there is none.
func (s *Store) BookOf(ctx context.Context, org string, a addr.Address) (e directory.Entry, ok bool, err error) {
	e, err = one(ctx, s, "SELECT "+bookColumns+" FROM book WHERE org=? AND address_key=?", []any{org, a.WithoutTag().Key()}, scanBook)
	if errors.Is(err, ErrNotFound) {
		return e, false, nil
	}
	return e, err == nil, err
}

// maxBookWord is longer than any word of an entry, and short enough for a pattern.
const maxBookWord = 4 * directory.MaxField

// Book lists the entries whose name, organisation or address hold every word of find, in order of names, behind
// the entry after ("" is the beginning): at most n.
func (s *Store) Book(ctx context.Context, org, find, after string, n int) ([]directory.Entry, error) {
	where, args := "org=?", []any{org}
	words := strings.Fields(strings.ToLower(find))
	for _, word := range words[:min(len(words), 8)] {
		if len(word) > maxBookWord {
			return nil, nil
		}
		where, args = where+" AND sort"+holds, append(args, holding(word))
	}
	if after != "" {
		where, args = where+" AND (sort, id)>(SELECT sort, id FROM book WHERE id=? AND org=?)", append(args, after, org)
	}
	return list(ctx, s, "SELECT "+bookColumns+" FROM book WHERE "+where+" ORDER BY sort, id LIMIT ?", append(args, n), scanBook)
}
