package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"postern/gateway/clinic/letter"
	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/work"
	"postern/gateway/message"
	"postern/gateway/spool"
	"postern/smime/addr"
)

// ErrStaleDraft says that a draft was saved elsewhere since it was opened.
var ErrStaleDraft = errors.New("store: the draft was saved elsewhere since it was opened")

// DraftRow is a draft as it is kept: Subject and Text are in the blob, sealed.
type DraftRow struct {
	letter.Draft
	Blob string
}

// envelope is what of a draft no question is asked about.
type envelope struct {
	To, Cc  []addr.Address
	Purpose string
	SignFor string
}

const draftColumns = "id, org, person, work, how, pool, mail_from, envelope, category, state, asked, message, blob, version, begun, changed, known"

func scanDraft(r *sql.Rows) (d DraftRow, err error) {
	var from, env, begun, changed string
	if err = r.Scan(&d.ID, &d.Org, &d.Person, &d.Work, &d.How, &d.Pool, &from, &env, &d.Category, &d.State, &d.Asked, &d.Message, &d.Blob, &d.Version,
		&begun, &changed, &d.Known); err != nil {
		return d, err
	}
	var e envelope
	if err = json.Unmarshal([]byte(env), &e); err != nil {
		return d, err
	}
	d.To, d.Cc, d.Purpose, d.SignFor, d.Begun, d.Changed = e.To, e.Cc, e.Purpose, e.SignFor, parseStamp(begun), parseStamp(changed)
	if from != "" {
		d.From, err = addr.Parse(from)
	}
	return d, err
}

// AddDraft keeps a new draft with its text. Where it answers an entry of work, it says in the same commit that its writer
// begins to: met is who else is at it or was first, and nil for who was told and goes on (again). The draft is kept all the same.
func (s *Store) AddDraft(ctx context.Context, d letter.Draft, text spool.Blob, again bool, entry AuditEntry) (met *work.Collision, err error) {
	err = s.doDesk(ctx, func(w *writer) error {
		met = nil
		if w.exists("SELECT 1 FROM draft WHERE id=?", d.ID) {
			return fmt.Errorf("store: draft %s: %w", d.ID, ErrNotFound) // the caller found none of its own: it is another organisation's
		}
		w.blob(text)
		if d.Answers() {
			met = w.begin(d, again)
		}
		w.exec("INSERT INTO draft("+draftColumns+") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", d.ID, d.Org, d.Person, d.Work, d.How, d.Pool, d.From.String(),
			column(envelope{d.To, d.Cc, d.Purpose, d.SignFor}), d.Category, d.State, d.Asked, "", text.ID, d.Version, stamp(d.Begun), stamp(w.s.now()), max(d.Known, 0))
		w.audit(entry)
		return w.err
	})
	return met, err
}

// begin says that the writer of a draft begins to answer.
func (w *writer) begin(d letter.Draft, again bool) *work.Collision {
	if w.err != nil || !w.exists("SELECT 1 FROM work WHERE id=? AND org=?", d.Work, d.Org) { // it went, as old messages do
		return nil
	}
	met, err := w.collision(d.Org, d.Work, d.Person)
	if err != nil {
		w.err = err
		return nil
	}
	w.writing(d.Org, d.Work, d.Person, again)
	if again {
		return nil
	}
	return met
}

// SaveDraft keeps a draft as it is now. It fails with ErrStaleDraft when d.Version is not the one that is kept.
func (s *Store) SaveDraft(ctx context.Context, d letter.Draft, text spool.Blob, entry AuditEntry) error {
	return s.doDesk(ctx, func(w *writer) error {
		w.blob(text)
		if w.exec(`UPDATE draft SET envelope=?, category=?, pool=?, mail_from=?, state=?, asked=?, blob=?, version=version+1, changed=?
			WHERE id=? AND org=? AND version=? AND state IN ('open','asked')`, column(envelope{d.To, d.Cc, d.Purpose, d.SignFor}), d.Category, d.Pool, d.From.String(),
			d.State, d.Asked, text.ID, stamp(w.s.now()), d.ID, d.Org, d.Version) == 0 && w.err == nil {
			return ErrStaleDraft
		}
		w.audit(entry)
		return w.err
	})
}

// Draft is one draft of an organisation, with its files.
func (s *Store) Draft(ctx context.Context, org string, id letter.ID) (DraftRow, error) {
	d, err := one(ctx, s, "SELECT "+draftColumns+" FROM draft WHERE id=? AND org=?", []any{id, org}, scanDraft)
	if err != nil {
		return d, err
	}
	d.Files, err = s.DraftFiles(ctx, id)
	return d, err
}

// fileFindings is what was found out about a file when it was attached.
type fileFindings struct {
	Patient  string          `json:"patient,omitempty"`
	Findings json.RawMessage `json:"findings,omitempty"`
}

func scanFile(r *sql.Rows) (f letter.File, err error) {
	var findings, scanned string
	if err = r.Scan(&f.Number, &f.Name, &f.Kind, &f.MediaType, &f.Size, &f.Blob, &findings, &scanned); err != nil {
		return f, err
	}
	var x fileFindings
	err = errors.Join(json.Unmarshal([]byte(findings), &x), json.Unmarshal([]byte(scanned), &f.Scan))
	f.Patient = x.Patient
	if len(x.Findings) > 0 {
		err = errors.Join(err, json.Unmarshal(x.Findings, &f.Findings))
	}
	return f, err
}

// DraftsOf lists a person's unsent drafts, the last changed first.
func (s *Store) DraftsOf(ctx context.Context, org string, who staff.PersonID, n int) ([]DraftRow, error) {
	return list(ctx, s, "SELECT "+draftColumns+" FROM draft WHERE org=? AND person=? AND state IN ('open','asked') ORDER BY changed DESC LIMIT ?", []any{org, who, n}, scanDraft)
}

// DraftsAsked lists drafts of a pool that wait for somebody who may send them.
func (s *Store) DraftsAsked(ctx context.Context, org, pool string, n int) ([]DraftRow, error) {
	return list(ctx, s, "SELECT "+draftColumns+" FROM draft WHERE org=? AND pool=? AND state='asked' ORDER BY changed LIMIT ?", []any{org, pool, n}, scanDraft)
}

// ErrDraftFull says that a draft has letter.MaxFiles, or would have more than letter.MaxOctets in them.
var ErrDraftFull = errors.New("store: the draft takes no more files")

// AddFile attaches a file to a draft and gives it its number. It fails with ErrDraftFull where there is no room.
func (s *Store) AddFile(ctx context.Context, org string, id letter.ID, f letter.File, b spool.Blob, entry AuditEntry) (number int, err error) {
	err = s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		if err := w.row("SELECT coalesce(max(number), 0)+1 FROM draft_file WHERE draft=?", id).Scan(&number); err != nil {
			return fmt.Errorf("store: attach: %w", err)
		}
		if w.exec("UPDATE draft SET version=version+1, changed=? WHERE id=? AND org=? AND state IN ('open','asked')", stamp(s.now()), id, org) == 0 && w.err == nil {
			return fmt.Errorf("store: draft %s: %w", id, ErrNotFound)
		}
		if w.exists("SELECT 1 FROM (SELECT count(*) AS n, coalesce(sum(size), 0) AS octets FROM draft_file WHERE draft=?) f WHERE n>=? OR octets+?>?", id,
			letter.MaxFiles, f.Size, int64(letter.MaxOctets)) {
			return fmt.Errorf("store: draft %s: %w", id, ErrDraftFull)
		}
		findings, err := json.Marshal(f.Findings)
		if err != nil {
			return fmt.Errorf("store: attach: %w", err)
		}
		w.blob(b)
		w.exec("INSERT INTO draft_file VALUES (?,?,?,?,?,?,?,?,?)", id, number, f.Name, f.Kind, f.MediaType, f.Size, b.ID,
			column(fileFindings{f.Patient, findings}), column(f.Scan))
		w.audit(entry)
		return w.err
	})
	return number, err
}

// DraftFiles lists the files of a draft.
func (s *Store) DraftFiles(ctx context.Context, id letter.ID) ([]letter.File, error) {
	return list(ctx, s, "SELECT number, name, kind, media_type, size, blob, findings, scan FROM draft_file WHERE draft=? ORDER BY number", []any{id}, scanFile)
}

// RemoveFile takes a file off a draft.
func (s *Store) RemoveFile(ctx context.Context, org string, id letter.ID, number int, entry AuditEntry) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		if w.exec("UPDATE draft SET version=version+1, changed=? WHERE id=? AND org=? AND state IN ('open','asked')", stamp(s.now()), id, org) == 0 ||
			w.exec("DELETE FROM draft_file WHERE draft=? AND number=?", id, number) == 0 {
			return errors.Join(w.err, fmt.Errorf("store: file %d of %s: %w", number, id, ErrNotFound))
		}
		w.audit(entry)
		return w.err
	})
}

// ThrowDraft throws a draft away: its text and files go with the next sweep.
func (s *Store) ThrowDraft(ctx context.Context, org string, id letter.ID, entry AuditEntry) error {
	return s.doDesk(ctx, func(w *writer) error {
		w.exec("DELETE FROM draft_file WHERE draft=? AND EXISTS (SELECT 1 FROM draft WHERE id=? AND org=? AND state<>'sent')", id, id, org)
		if w.exec("UPDATE draft SET state='thrown', blob='', version=version+1, changed=? WHERE id=? AND org=? AND state IN ('open','asked')",
			stamp(w.s.now()), id, org) == 0 && w.err == nil {
			return fmt.Errorf("store: draft %s: %w", id, ErrNotFound)
		}
		w.audit(entry)
		return w.err
	})
}

// SentRow says who sent a message, for whom and as an answer to what.
type SentRow struct {
	Message  message.ID
	Org      string
	Person   staff.PersonID
	SignFor  string
	Pool     string
	Work     work.ID
	How      letter.How
	Category staff.Category
	Blob     string // the message as it was submitted: kept as long as what came in
	At       time.Time
}

// MarkSent records that a draft left as a message that was accepted; to do so twice changes nothing.
func (s *Store) MarkSent(ctx context.Context, d letter.Draft, r SentRow, entry AuditEntry) error {
	return s.doDesk(ctx, func(w *writer) error {
		if w.exists("SELECT 1 FROM sent WHERE message=?", r.Message) {
			return w.err
		}
		w.exec("INSERT INTO sent SELECT id, org, ?, ?, ?, ?, ?, ?, blob, received FROM message WHERE id=? AND org=?", r.Person, r.SignFor, r.Pool, r.Work, r.How,
			r.Category, r.Message, r.Org)
		w.exec("UPDATE draft SET state='sent', message=?, blob='', version=version+1, changed=? WHERE id=? AND org=?", r.Message, stamp(w.s.now()), d.ID, d.Org)
		w.exec("DELETE FROM draft_file WHERE draft=?", d.ID)
		w.audit(entry)
		return w.err
	})
}

const sentColumns = "message, org, person, signed_by, pool, work, how, category, blob, at"

func scanSent(r *sql.Rows) (x SentRow, err error) {
	var at string
	err = r.Scan(&x.Message, &x.Org, &x.Person, &x.SignFor, &x.Pool, &x.Work, &x.How, &x.Category, &x.Blob, &at)
	x.At = parseStamp(at)
	return x, err
}

// SentMessage is what is known of a message a person sent.
func (s *Store) SentMessage(ctx context.Context, org string, id message.ID) (SentRow, error) {
	return one(ctx, s, "SELECT "+sentColumns+" FROM sent WHERE message=? AND org=?", []any{id, org}, scanSent)
}

// SentOf lists what left in answer to one message, oldest first.
func (s *Store) SentOf(ctx context.Context, org string, id work.ID) ([]SentRow, error) {
	return list(ctx, s, "SELECT "+sentColumns+" FROM sent WHERE work=? AND org=? ORDER BY at", []any{id, org}, scanSent)
}

// SentBy lists what some pools sent before an instant (zero: all), newest first: at most n.
func (s *Store) SentBy(ctx context.Context, org string, pools []string, before time.Time, n int) ([]SentRow, error) {
	if len(pools) == 0 {
		return nil, nil
	}
	if before.IsZero() {
		before = forEver
	}
	args := []any{org, stamp(before)}
	for _, p := range pools {
		args = append(args, p)
	}
	return list(ctx, s, "SELECT "+sentColumns+" FROM sent WHERE org=? AND at<? AND pool IN (?"+strings.Repeat(",?", len(pools)-1)+") ORDER BY at DESC LIMIT ?",
		append(args, n), scanSent)
}

// InboxAddresses lists an organisation's addresses that lead to an inbox of its own, but for postmasters: those people write from.
func (s *Store) InboxAddresses(ctx context.Context, org string) ([]addr.Address, error) {
	return list(ctx, s, "SELECT spelled FROM address WHERE org=? AND until='' AND destination LIKE '%\"inbox\":%' AND key NOT LIKE 'postmaster@%' ORDER BY key LIMIT 500",
		[]any{org}, func(r *sql.Rows) (a addr.Address, err error) {
			var text string
			if err = r.Scan(&text); err != nil {
				return a, err
			}
			return addr.Parse(text)
		})
}
