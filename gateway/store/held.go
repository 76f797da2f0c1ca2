package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"postern/gateway/message"
	"postern/smime/addr"
)

// HeldFor is how long a refused message is kept by default.
const HeldFor = 30 * 24 * time.Hour

// MaxHeldPerPeer bounds what one connecting host can make us keep, MaxHeld what all together can: above it
// the oldest go first. Hosts are told apart by their address, not by a MAIL FROM that anybody can write.
const (
	MaxHeldPerPeer = 1000
	MaxHeld        = 50_000
)

// Held is a refused inbound message: its sealed original, its envelope and why, nothing decrypted.
type Held struct {
	ID         string          `json:"id"`
	Org        string          `json:"org"`
	Message    message.ID      `json:"message"`
	Peer       string          `json:"peer"` // address of the host that sent it
	MailFrom   string          `json:"mail_from"`
	Recipients []addr.Address  `json:"recipients"`
	Reason     string          `json:"reason"`
	Detail     string          `json:"detail"`
	Trace      json.RawMessage `json:"trace,omitempty"`
	Blob       string          `json:"-"`
	Size       int64           `json:"size"`
	At         time.Time       `json:"at"`
	Expires    time.Time       `json:"expires"`
	State      string          `json:"state"` // held, released, discarded, expired
}

// held keeps a refused message. The very same sealed message, held already for the same recipients and
// reason, is the repetition of a peer that did not hear our 250: it is kept once.
func (w *writer) held(h Held) {
	rcpts := column(h.Recipients)
	h.Expires = w.heldUntil(h)
	if w.exists(`SELECT 1 FROM held o JOIN blob ob ON ob.id=o.blob JOIN blob nb ON nb.id=?
		WHERE o.peer=? AND o.state='held' AND o.reason=? AND o.recipients=? AND ob.sha256=nb.sha256`, h.Blob, h.Peer, h.Reason, rcpts) {
		return
	}
	w.exec("INSERT INTO held VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,'held')", h.ID, h.Org, h.Message, h.Peer, h.MailFrom,
		rcpts, h.Reason, h.Detail, orEmpty(h.Trace), h.Blob, h.Size, stamp(h.At), stamp(h.Expires))
	// What comes after so many newer ones goes.
	w.exec(`UPDATE held SET state='expired' WHERE peer=? AND state='held' AND (at, id) <=
		(SELECT at, id FROM held WHERE peer=? AND state='held' ORDER BY at DESC, id DESC LIMIT 1 OFFSET ?)`, h.Peer, h.Peer, MaxHeldPerPeer)
	w.exec(`UPDATE held SET state='expired' WHERE state='held' AND (at, id) <=
		(SELECT at, id FROM held WHERE state='held' ORDER BY at DESC, id DESC LIMIT 1 OFFSET ?)`, MaxHeld)
}

const heldColumns = "id, org, message, peer, mail_from, recipients, reason, detail, trace, blob, size, at, expires, state"

func scanHeld(r *sql.Rows) (h Held, err error) {
	var rcpts, trace, at, expires string
	if err = r.Scan(&h.ID, &h.Org, &h.Message, &h.Peer, &h.MailFrom, &rcpts, &h.Reason, &h.Detail, &trace, &h.Blob, &h.Size,
		&at, &expires, &h.State); err != nil {
		return h, err
	}
	h.Trace, h.At, h.Expires = rawOrNil(trace), parseStamp(at), parseStamp(expires)
	return h, json.Unmarshal([]byte(rcpts), &h.Recipients)
}

// heldUntil is the day on which a message held now will be deleted, by the retention in force.
func (w *writer) heldUntil(h Held) time.Time {
	var text string
	err := w.row("SELECT value FROM meta WHERE key=?", metaRetention).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return h.Expires
	}
	r := DefaultRetention()
	if err == nil {
		err = json.Unmarshal([]byte(text), &r)
	}
	if err != nil && w.err == nil {
		w.err = fmt.Errorf("store: retention: %w", err)
	}
	if r[KeptHeld] <= 0 {
		return forEver
	}
	return h.At.Add(r[KeptHeld])
}

// HeldList lists what is held now, newest first, up to n.
func (s *Store) HeldList(ctx context.Context, n int) ([]Held, error) {
	return list(ctx, s, "SELECT "+heldColumns+" FROM held WHERE state='held' ORDER BY at DESC LIMIT ?", []any{n}, scanHeld)
}

// HeldEntry is one held message by its id.
func (s *Store) HeldEntry(ctx context.Context, id string) (Held, error) {
	h, err := one(ctx, s, "SELECT "+heldColumns+" FROM held WHERE id=?", []any{id}, scanHeld)
	if err != nil {
		err = fmt.Errorf("held message %s: %w", id, err)
	}
	return h, err
}

// leaveHeld takes an entry out of hold; it fails when somebody else did so first.
func (w *writer) leaveHeld(id, state string) {
	if w.exec("UPDATE held SET state=? WHERE id=? AND state='held'", state, id) == 0 && w.err == nil {
		w.err = fmt.Errorf("held message %s: %w", id, ErrNotFound)
	}
}

// ExpireHeld lets go of what was held long enough and says how many.
func (s *Store) ExpireHeld(ctx context.Context) (n int64, err error) {
	err = s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		n = w.exec("UPDATE held SET state='expired' WHERE state='held' AND expires<=?", stamp(s.now()))
		return w.err
	})
	return n, err
}
