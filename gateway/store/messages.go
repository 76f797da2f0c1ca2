package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"postern/gateway/delivery/track"
	"postern/gateway/message"
	"postern/gateway/spool"
	"postern/smime/addr"
)

// Direction of a message, seen from this gateway.
const (
	Out = "out" // submitted by one of ours, or a notice of ours to a peer
	In  = "in"  // sealed mail for one of ours
	Own = "own" // written by this gateway for one of its own senders (a DSN); never sealed
)

// Message is one message as the gateway accepted or wrote it.
type Message struct {
	ID         message.ID
	Submission message.Submission
	Direction  string
	Kind       message.Kind
	RFCID      string       // Message-ID without brackets; inbound: known once opened
	Sender     addr.Address // inner From; inbound: known once opened
	Facts      message.Facts
	Final      bool   // final delivery was asked for (DN-10)
	Prefix     string // whole header lines the gateway put in front
	Blob       string // what was accepted, octet for octet
	Size       int64
	SealedBlob string
	OpenedBlob string
	Receipt    string     // JSON
	About      message.ID // a notice: the message it is about
	Received   time.Time
}

func (w *writer) message(m Message) {
	sub := m.Submission
	w.exec("INSERT INTO message VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
		m.ID, sub.Org, m.Direction, m.Kind, m.RFCID, sub.From.String(), m.Sender.String(), column(lowerAll(sub.Recipients)),
		sub.Edge, sub.EdgeID, sub.Principal, sub.Peer, sub.IdempotencyKey, sub.Purpose, sub.Deadline.Milliseconds(), m.Final,
		m.Size, m.Prefix, column(m.Facts), m.Receipt, m.Blob, m.SealedBlob, m.OpenedBlob, m.About, stamp(m.Received))
}

func lowerAll(as []addr.Address) []string {
	out := make([]string, len(as))
	for i, a := range as {
		out[i] = a.Key()
	}
	return out
}

func (w *writer) receipt(id message.ID, r Receipt) {
	set := func(col string, v any) { w.exec("UPDATE message SET "+col+"=? WHERE id=?", v, id) }
	if r.SealedBlob != "" {
		set("sealed_blob", r.SealedBlob)
	}
	if r.OpenedBlob != "" {
		set("opened_blob", r.OpenedBlob)
	}
	if r.Receipt != "" {
		set("receipt", r.Receipt)
	}
	if r.Facts != nil {
		set("facts", column(r.Facts))
	}
	if r.Sender != "" {
		set("sender", r.Sender)
	}
	if r.RFCID != "" {
		set("rfc_id", r.RFCID)
	}
	if r.Kind != "" {
		set("kind", r.Kind)
	}
	if r.Final != nil {
		set("final_requested", *r.Final)
	}
}

const messageColumns = `id, org, direction, kind, rfc_id, mail_from, sender, recipients, edge, edge_id, principal, peer,
	idempotency, purpose, deadline_ms, final_requested, size, prefix, facts, receipt, blob, sealed_blob, opened_blob, about, received`

func scanMessage(r *sql.Rows) (m Message, err error) {
	var from, sender, rcpts, facts, received string
	var deadline int64
	s := &m.Submission
	if err = r.Scan(&m.ID, &s.Org, &m.Direction, &m.Kind, &m.RFCID, &from, &sender, &rcpts, &s.Edge, &s.EdgeID, &s.Principal, &s.Peer,
		&s.IdempotencyKey, &s.Purpose, &deadline, &m.Final, &m.Size, &m.Prefix, &facts, &m.Receipt, &m.Blob, &m.SealedBlob,
		&m.OpenedBlob, &m.About, &received); err != nil {
		return m, err
	}
	s.Deadline = time.Duration(deadline) * time.Millisecond
	m.Received = parseStamp(received)
	s.Received = m.Received
	return m, errors.Join(s.From.UnmarshalText([]byte(from)), m.Sender.UnmarshalText([]byte(sender)),
		json.Unmarshal([]byte(rcpts), &s.Recipients), json.Unmarshal([]byte(facts), &m.Facts))
}

// Message is one message by our own id.
func (s *Store) Message(ctx context.Context, id message.ID) (Message, error) {
	m, err := one(ctx, s, "SELECT "+messageColumns+" FROM message WHERE id=?", []any{id}, scanMessage)
	if err != nil {
		err = fmt.Errorf("message %s: %w", id, err)
	}
	return m, err
}

// Query selects messages for trace and correlation; the zero value selects all.
type Query struct {
	RFCID     string // without brackets
	Direction string
	To, From  string // address keys
	Since     time.Time
	Overdue   bool // only those of which a deadline passed for some recipient
	Uncertain bool // only mail of ours of which some recipient's clock runs, ran out, or was never answered
	Limit     int  // 0 means 100
}

// Messages lists messages, newest first.
func (s *Store) Messages(ctx context.Context, q Query) ([]Message, error) {
	if q.Limit == 0 {
		q.Limit = 100
	}
	query := "SELECT " + messageColumns + " FROM message WHERE received>=?"
	args := []any{stamp(q.Since)}
	where := func(cond string, v any) {
		query += " AND " + cond
		args = append(args, v)
	}
	if q.RFCID != "" {
		where("rfc_id<>'' AND rfc_id=?", q.RFCID)
	}
	if q.Direction != "" {
		where("direction=?", q.Direction)
	}
	if q.From != "" {
		where("(lower(sender)=? OR lower(mail_from)=?)", q.From)
		args = append(args, q.From)
	}
	if q.To != "" {
		where("recipients"+holds, holding(`"`+q.To+`"`))
	}
	if q.Overdue {
		query += " AND EXISTS (SELECT 1 FROM event e WHERE e.message=message.id AND e.kind='deadline_passed')"
	}
	if q.Uncertain {
		query += " AND direction='out' AND kind='mail' AND (EXISTS (SELECT 1 FROM job j WHERE j.message=message.id AND j.kind='timer') OR" +
			" EXISTS (SELECT 1 FROM event e WHERE e.message=message.id AND e.kind IN ('timed_out_processed','timed_out_dispatched','rejected')))"
	}
	return list(ctx, s, query+" ORDER BY received DESC, id DESC LIMIT ?", append(args, q.Limit), scanMessage)
}

// ByIdempotencyKey finds an earlier submission of the same principal with the same key.
func (s *Store) ByIdempotencyKey(ctx context.Context, org, principal, key string) (Message, error) {
	return one(ctx, s, "SELECT "+messageColumns+" FROM message WHERE org=? AND principal=? AND idempotency=? AND idempotency<>''",
		[]any{org, principal, key}, scanMessage)
}

// Event is a ladder event with its place in the one order in which events were committed.
type Event struct {
	Seq int64 `json:"seq"`
	track.Event
}

func scanEvent(r *sql.Rows) (e Event, err error) {
	var org, rcpt, at, evidence string
	if err = r.Scan(&e.Seq, &org, &e.Message, &rcpt, &e.Kind, &at, &e.Source, &evidence); err != nil {
		return e, err
	}
	e.Time, e.Evidence = parseStamp(at), json.RawMessage(evidence)
	return e, e.Recipient.UnmarshalText([]byte(rcpt))
}

// Events is the ladder of one message, in commit order.
func (s *Store) Events(ctx context.Context, id message.ID) ([]track.Event, error) {
	evs, err := list(ctx, s, "SELECT seq, org, message, recipient, kind, at, source, evidence FROM event WHERE message=? ORDER BY seq", []any{id}, scanEvent)
	out := make([]track.Event, len(evs))
	for i, e := range evs {
		out[i] = e.Event
	}
	return out, err
}

// EventsAfter is the stream of all events after a cursor, in commit order, up to n.
func (s *Store) EventsAfter(ctx context.Context, cursor int64, n int) ([]Event, error) {
	return list(ctx, s, "SELECT seq, org, message, recipient, kind, at, source, evidence FROM event WHERE seq>? ORDER BY seq LIMIT ?",
		[]any{cursor, n}, scanEvent)
}

// Blob is the row of a blob: where its bytes are and their wrapped key.
func (s *Store) Blob(ctx context.Context, id string) (spool.Blob, error) {
	b, err := one(ctx, s, "SELECT id, org, size, sha256, wrapped_key, place FROM blob WHERE id=?", []any{id}, scanBlob)
	if err != nil {
		err = fmt.Errorf("blob %s: %w", id, err)
	}
	return b, err
}

func scanBlob(r *sql.Rows) (b spool.Blob, err error) {
	var sum []byte
	err = r.Scan(&b.ID, &b.Org, &b.Size, &sum, &b.Key, &b.Place)
	copy(b.SHA256[:], sum)
	return b, err
}

// NoticesAbout lists the notices this gateway wrote about a message.
func (s *Store) NoticesAbout(ctx context.Context, id message.ID) ([]Message, error) {
	return list(ctx, s, "SELECT "+messageColumns+" FROM message WHERE about=? AND about<>'' ORDER BY received", []any{id}, scanMessage)
}
