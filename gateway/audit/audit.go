// Package audit is the append-only record of who changed or decided what: entries that each carry the
// hash of the one before, so that a changed, removed or inserted row is found by Verify.
//
// Entries carry no patient data, keys or passwords: actor, action, object and a detail value made of
// settings, addresses, fingerprints and reasons. Each writing node has its own chain and numbering.
package audit

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
)

// Entry is one row of a node's chain.
type Entry struct {
	Node   string          `json:"node"`
	Seq    int64           `json:"seq"` // from 1, without gaps
	Org    string          `json:"org"`
	Time   time.Time       `json:"time"` // UTC, milliseconds
	Actor  string          `json:"actor"`
	Action string          `json:"action"` // "anchor.add", "held.release", …
	Object string          `json:"object"`
	Detail json.RawMessage `json:"detail"`
	Prev   string          `json:"prev"` // hash of the entry before; "" for the first
	Hash   string          `json:"hash"`
}

// Sum is the entry's hash: SHA-256 over each field but Hash, each with its length in front, so that no
// two different entries have the same input.
func (e Entry) Sum() string {
	h := sha256.New()
	for _, f := range []string{"postern-audit-1", e.Node, fmt.Sprint(e.Seq), e.Org, e.Time.UTC().Format(time.RFC3339Nano),
		e.Actor, e.Action, e.Object, string(e.Detail), e.Prev} {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(f)))
		h.Write(n[:])
		h.Write([]byte(f))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Chain gives an entry its number, predecessor and hash; last is the zero Entry for the first one.
func Chain(last, e Entry) Entry {
	e.Seq, e.Prev = last.Seq+1, last.Hash
	e.Time = e.Time.UTC().Truncate(time.Millisecond)
	e.Hash = e.Sum()
	return e
}

// BrokenError names the first entry at which a chain does not hold.
type BrokenError struct {
	Node string
	Seq  int64
	Why  string
}

func (e *BrokenError) Error() string {
	return fmt.Sprintf("audit: chain of node %s is broken at entry %d: %s", e.Node, e.Seq, e.Why)
}

// Verifier checks one node's chain, fed in order.
type Verifier struct{ last Entry }

// Next checks one more entry against those before it.
func (v *Verifier) Next(e Entry) error {
	broken := func(why string) error { return &BrokenError{e.Node, e.Seq, why} }
	switch {
	case e.Seq != v.last.Seq+1:
		return broken(fmt.Sprintf("number %d expected", v.last.Seq+1))
	case v.last.Seq > 0 && e.Node != v.last.Node:
		return broken("it belongs to another node")
	case e.Prev != v.last.Hash:
		return broken("it does not follow the entry before it")
	case e.Hash != e.Sum():
		return broken("its content does not match its hash")
	}
	v.last = e
	return nil
}
