package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"postern/gateway/clinic/inbox"
	"postern/gateway/clinic/scan"
	"postern/smime/addr"
)

// Tombstone remembers that one opened message was delivered to one recipient, whatever became of it. A
// +tag does not make another recipient: whoever holds the sealed bytes can write any tag on the envelope (AS-82).
type Tombstone struct {
	Recipient, Signer addr.Address
	RFCID             string
	SHA256            [32]byte
}

func (w *writer) tombstone(t Tombstone) bool {
	return w.exec("INSERT INTO delivered VALUES (?,?,?,?,?) ON CONFLICT DO NOTHING",
		t.Recipient.WithoutTag().Key(), t.Signer.Key(), t.RFCID, t.SHA256[:], stamp(w.s.now())) == 1
}

// Delivered reports whether that very message was delivered to that recipient before.
func (s *Store) Delivered(ctx context.Context, t Tombstone) (bool, error) {
	var n int
	err := s.read.QueryRowContext(ctx, "SELECT count(*) FROM delivered WHERE recipient=? AND signer=? AND rfc_id=? AND sha256=?",
		t.Recipient.WithoutTag().Key(), t.Signer.Key(), t.RFCID, t.SHA256[:]).Scan(&n)
	return n > 0, err
}

// item files one item and returns its number, or 0 when no new one came to be: the very same message was delivered to
// its recipients before, or is in this inbox already under another of its names, which is then noted there. The
// same id with other content is filed and flagged, never swallowed.
func (w *writer) item(it inbox.Item, place Place) int64 {
	if w.err == nil && !it.Origin.Valid() {
		w.err = inbox.ErrNoOrigin
	}
	signer := it.Origin.Signer()
	var fresh []addr.Address
	for _, r := range it.Recipients() {
		it.Flags.SameID = it.Flags.SameID || it.RFCID != "" && w.exists("SELECT 1 FROM delivered WHERE recipient=? AND signer=? AND rfc_id=? AND sha256<>?",
			r.WithoutTag().Key(), signer.Key(), it.RFCID, it.SHA256[:])
		if w.tombstone(Tombstone{r, signer, it.RFCID, it.SHA256}) {
			fresh = append(fresh, r)
		}
	}
	if w.err != nil || len(fresh) == 0 || w.joined(it, fresh) {
		return 0
	}
	it.Recipient, it.Also = fresh[0], fresh[1:]
	if err := w.row("UPDATE inbox SET next_number=next_number+1 WHERE id=? RETURNING next_number-1", it.Inbox).Scan(&it.Number); err != nil {
		w.err = fmt.Errorf("store: inbox %s: %w", it.Inbox, err)
		return 0
	}
	it.Thread = w.thread(it, place.Patient)
	w.exec("INSERT INTO item("+itemColumns+", origin) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", it.Inbox, it.Number, it.Org, it.Message, it.Recipient.String(),
		column(spelled(it.Also)), it.Sender.String(), it.RFCID, it.Thread, it.Subject, stamp(it.Received), it.Blob, it.Size,
		column(it.Flags), orEmpty(it.Receipt), it.Origin.String())
	for _, p := range it.Parts {
		w.exec("INSERT INTO part VALUES (?,?,?,?,?,?,?,?,?)", it.Inbox, it.Number, p.Path, p.Offset, p.Length, p.SHA256,
			p.MediaType, p.Filename, p.Encoding)
	}
	for _, d := range it.Documents {
		w.exec("INSERT INTO document VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", d.ID, it.Org, it.Inbox, it.Number, d.Path, d.Kind,
			d.Type, d.TypeCode, d.Title, orEmpty(d.Patient), d.Author, stamp(d.Date), d.SetID, d.OwnID, orEmpty(d.Refs))
	}
	for _, path := range it.ToScan {
		w.exec("INSERT INTO part_scan VALUES (?,?,?,?,?,'',0,?,?,'','')", it.Inbox, it.Number, path, it.Org, scan.Waiting, stamp(w.s.now()), stamp(w.s.now()))
	}
	w.work(it, place)
	return it.Number
}

func spelled(as []addr.Address) []string {
	out := make([]string, len(as))
	for i, a := range as {
		out[i] = a.String()
	}
	return out
}

// joined reports whether the very same message is in the inbox already, sent to another of its names, and notes the
// new names there: a peer may hand over one copy for each address.
func (w *writer) joined(it inbox.Item, fresh []addr.Address) bool {
	var number int64
	var also string
	err := w.row("SELECT i.number, i.also FROM item i JOIN blob b ON b.id=i.blob WHERE i.inbox=? AND i.rfc_id=? AND i.sender=? AND b.sha256=?",
		it.Inbox, it.RFCID, it.Sender.String(), it.SHA256[:]).Scan(&number, &also)
	if errors.Is(err, sql.ErrNoRows) {
		return false
	}
	var names []string
	if err = errors.Join(err, json.Unmarshal([]byte(also), &names)); err != nil {
		w.err = fmt.Errorf("store: item of inbox %s: %w", it.Inbox, err)
		return false
	}
	w.exec("UPDATE item SET also=? WHERE inbox=? AND number=?", column(append(names, spelled(fresh)...)), it.Inbox, number)
	return true
}

// thread is the thread an item joins: by reference, and only one its sender already belongs to, either
// as the sender of an item or as a recipient of what this inbox's address sent, or one about the same patient.
// Otherwise it begins one, and the messages it named are told as references (work.Entry.Refers).
func (w *writer) thread(it inbox.Item, patient string) string {
	for i := len(it.References) - 1; i >= 0; i-- {
		var thread string
		err := w.row(`SELECT i.thread FROM item i WHERE i.inbox=? AND i.rfc_id=? AND EXISTS
			(SELECT 1 FROM item o WHERE o.inbox=i.inbox AND o.thread=i.thread AND lower(o.sender)=? UNION ALL
			SELECT 1 FROM work k WHERE k.inbox=i.inbox AND k.thread=i.thread AND k.patient<>'' AND k.patient=?)`,
			it.Inbox, it.References[i], it.Sender.Key(), patient).Scan(&thread)
		if errors.Is(err, sql.ErrNoRows) {
			err = w.row("SELECT id FROM message WHERE rfc_id<>'' AND rfc_id=? AND direction='out' AND lower(sender)=? AND lower(recipients)"+holds,
				it.References[i], it.Recipient.WithoutTag().Key(), holding(`"`+it.Sender.Key()+`"`)).Scan(&thread)
		}
		if err == nil {
			return thread
		}
		if !errors.Is(err, sql.ErrNoRows) {
			w.err = fmt.Errorf("store: thread: %w", err)
			return ""
		}
	}
	return string(it.Message)
}

func orEmpty(j json.RawMessage) string {
	if len(j) == 0 {
		return "null"
	}
	return string(j)
}

const itemColumns = "inbox, number, org, message, recipient, also, sender, rfc_id, thread, subject, received, blob, size, flags, receipt"

func scanItem(r *sql.Rows) (it inbox.Item, err error) {
	var rcpt, also, sender, received, flags, receipt string
	if err = r.Scan(&it.Inbox, &it.Number, &it.Org, &it.Message, &rcpt, &also, &sender, &it.RFCID, &it.Thread, &it.Subject, &received,
		&it.Blob, &it.Size, &flags, &receipt); err != nil {
		return it, err
	}
	it.Received, it.Receipt = parseStamp(received), json.RawMessage(receipt)
	if it.Recipient, err = addr.Parse(rcpt); err != nil {
		return it, err
	}
	if it.Sender, err = addr.Parse(sender); err != nil {
		return it, err
	}
	return it, errors.Join(json.Unmarshal([]byte(also), &it.Also), json.Unmarshal([]byte(flags), &it.Flags))
}

// Items lists an inbox's items, newest first, below number `before` (0 = from the newest), up to n, each
// with its documents and without its parts.
func (s *Store) Items(ctx context.Context, inboxID string, before int64, n int) ([]inbox.Item, error) {
	items, err := list(ctx, s, "SELECT "+itemColumns+" FROM item WHERE inbox=? AND (?=0 OR number<?) ORDER BY number DESC LIMIT ?",
		[]any{inboxID, before, before, n}, scanItem)
	if err == nil {
		err = s.leaving(ctx, items)
	}
	if err != nil {
		return nil, err
	}
	for i := range items {
		if items[i].Documents, err = s.documents(ctx, inboxID, items[i].Number); err != nil {
			return nil, err
		}
	}
	return items, err
}

// Item is one item with its parts and documents.
func (s *Store) Item(ctx context.Context, inboxID string, number int64) (inbox.Item, error) {
	it, err := one(ctx, s, "SELECT "+itemColumns+" FROM item WHERE inbox=? AND number=?", []any{inboxID, number}, scanItem)
	if err != nil {
		return it, err
	}
	one := []inbox.Item{it}
	if err := s.leaving(ctx, one); err != nil {
		return it, err
	}
	it = one[0]
	if it.Documents, err = s.documents(ctx, inboxID, number); err != nil {
		return it, err
	}
	it.Parts, err = list(ctx, s, `SELECT path, "offset", length, sha256, media_type, filename, encoding FROM part WHERE inbox=? AND number=? ORDER BY "offset"`,
		[]any{inboxID, number}, func(r *sql.Rows) (p inbox.Part, err error) {
			err = r.Scan(&p.Path, &p.Offset, &p.Length, &p.SHA256, &p.MediaType, &p.Filename, &p.Encoding)
			return p, err
		})
	return it, err
}

// leaving says of each item when the retention in force will delete it.
func (s *Store) leaving(ctx context.Context, items []inbox.Item) error {
	keep, err := s.Retention(ctx)
	if err != nil || keep[KeptInbox] <= 0 {
		return err
	}
	for i := range items {
		items[i].DeleteOn = items[i].Received.Add(keep[KeptInbox])
	}
	return nil
}

// ItemsOf lists the items one message became, over all inboxes.
func (s *Store) ItemsOf(ctx context.Context, id string) ([]inbox.Item, error) {
	return list(ctx, s, "SELECT "+itemColumns+" FROM item WHERE message=? ORDER BY inbox, number", []any{id}, scanItem)
}

func (s *Store) documents(ctx context.Context, inboxID string, number int64) ([]inbox.Document, error) {
	return list(ctx, s, `SELECT id, path, kind, type, type_code, title, patient, author, date, set_id, document_id, refs
		FROM document WHERE inbox=? AND number=? ORDER BY path`, []any{inboxID, number}, func(r *sql.Rows) (d inbox.Document, err error) {
		var patient, date, refs string
		err = r.Scan(&d.ID, &d.Path, &d.Kind, &d.Type, &d.TypeCode, &d.Title, &patient, &d.Author, &date, &d.SetID, &d.OwnID, &refs)
		d.Patient, d.Date, d.Refs = rawOrNil(patient), parseStamp(date), rawOrNil(refs)
		return d, err
	})
}

func rawOrNil(s string) json.RawMessage {
	if s = strings.TrimSpace(s); s == "" || s == "null" {
		return nil
	}
	return json.RawMessage(s)
}
