// Package audit is the append-only record of who changed or decided what: entries that each carry the
// hash of the one before, so that a changed, removed, exchanged or inserted row is found and named.
//
// Entries carry no patient data, keys or passwords: actor, action, object and a detail value made of
// settings, addresses, fingerprints and reasons. Each writing node has its own chain and numbering.
//
// What a chain proves by itself: that nobody touched a row without rewriting every later one of that
// node. What it does not: that rows were not cut off its end, or the whole of it written anew, by someone
// who may write to the database. Both are found by a Head noted elsewhere (printed, exported, with
// another node): Verify takes the heads its caller knows and demands that the chains still lead through
// them.
//
// It stores nothing. Limits: none of its own; an entry is as long as its writer makes it, and checking
// holds one entry at a time.
package audit

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"strconv"
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
	Detail json.RawMessage `json:"detail"` // kept octet for octet: another spelling is another entry
	Prev   string          `json:"prev"`   // hash of the entry before; "" for the first
	Hash   string          `json:"hash"`
}

// Sum is the entry's hash: SHA-256 over each field but Hash, each with its length in front, so that no
// two different entries have the same input.
func (e Entry) Sum() string {
	h := sha256.New()
	for _, f := range []string{"postern-audit-1", e.Node, strconv.FormatInt(e.Seq, 10), e.Org,
		e.Time.UTC().Format(time.RFC3339Nano), e.Actor, e.Action, e.Object, string(e.Detail), e.Prev} {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(f)))
		h.Write(n[:])
		h.Write([]byte(f))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Chain gives an entry its number, predecessor and hash; of last only Seq and Hash matter, and it is the
// zero Entry for the first one of a node.
func Chain(last, e Entry) Entry {
	e.Seq, e.Prev = last.Seq+1, last.Hash
	e.Time = e.Time.UTC().Truncate(time.Millisecond)
	e.Hash = e.Sum()
	return e
}

// Head is how far a chain went: enough to tell later that it still does.
type Head struct {
	Node string `json:"node"`
	Seq  int64  `json:"seq"`
	Hash string `json:"hash"`
}

// Head is the head of a chain that ends with this entry.
func (e Entry) Head() Head { return Head{e.Node, e.Seq, e.Hash} }
