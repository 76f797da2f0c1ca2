package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"strings"

	"postern/gateway/audit"
	"postern/gateway/clinic/inbox"
	"postern/gateway/clinic/work"
)

// maxObjects bounds the objects one question for audit entries names.
const maxObjects = 50

// AuditOf lists what was recorded in an organisation about any of the objects, newest first, up to n.
func (s *Store) AuditOf(ctx context.Context, org string, objects []string, n int) ([]audit.Entry, error) {
	if len(objects) == 0 {
		return nil, nil
	}
	objects = objects[:min(len(objects), maxObjects)]
	args := []any{org}
	for _, o := range objects {
		args = append(args, o)
	}
	return list(ctx, s, "SELECT node, seq, org, at, actor, action, object, detail, hash FROM audit WHERE org=? AND object IN (?"+
		strings.Repeat(",?", len(objects)-1)+") ORDER BY at DESC, seq DESC LIMIT ?", append(args, n), func(r *sql.Rows) (e audit.Entry, err error) {
		var at, detail string
		err = r.Scan(&e.Node, &e.Seq, &e.Org, &at, &e.Actor, &e.Action, &e.Object, &detail, &e.Hash)
		e.Time, e.Detail = parseStamp(at), json.RawMessage(detail)
		return e, err
	})
}

// HeldOf lists what is held of an organisation, newest first, up to n.
func (s *Store) HeldOf(ctx context.Context, org string, n int) ([]Held, error) {
	return list(ctx, s, "SELECT "+heldColumns+" FROM held WHERE org=? AND state='held' ORDER BY at DESC LIMIT ?", []any{org, n}, scanHeld)
}

// HeldOfCount is how many messages are held of an organisation, as far as MaxCount.
func (s *Store) HeldOfCount(ctx context.Context, org string) (n int, err error) {
	err = s.read.QueryRowContext(ctx, "SELECT count(*) FROM (SELECT 1 FROM held WHERE org=? AND state='held' LIMIT ?) held", org, MaxCount).Scan(&n)
	return n, err
}

// Older is a clinical document that came before an entry, about the same patient.
type Older struct {
	Work     work.Entry
	Document inbox.Document
}

// OlderDocuments lists the clinical documents (CDA) that came before an entry about its patient, newest first;
// where nobody has said whose it is, those of its conversation. The caller narrows them to what a person may see.
func (s *Store) OlderDocuments(ctx context.Context, e work.Entry, n int) ([]Older, error) {
	where, args := "k.inbox=? AND k.thread=?", []any{e.Inbox, e.Thread}
	if e.Patient != "" {
		where, args = "k.org=? AND k.patient<>'' AND k.patient=?", []any{e.Org, e.Patient}
	}
	args = append(args, e.Org, stamp(e.Received), e.ID, n)
	return list(ctx, s, "SELECT "+workColumns+", d.id, d.path, d.kind, d.type, d.title, d.patient, d.date"+workFrom+
		"JOIN document d ON d.inbox=k.inbox AND d.number=k.number WHERE "+where+" AND k.org=? AND k.received<=? AND k.id<>? AND d.kind IN ('c-cda','c32','cda') "+
		"ORDER BY k.received DESC, d.path LIMIT ?", args, func(r *sql.Rows) (o Older, err error) {
		var patient, date string
		d := &o.Document
		o.Work, err = scanWork(r, &d.ID, &d.Path, &d.Kind, &d.Type, &d.Title, &patient, &date)
		d.Patient, d.Date = rawOrNil(patient), parseStamp(date)
		return o, err
	})
}
