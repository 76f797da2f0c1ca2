package spool

import (
	"encoding/base32"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// Blob is a byte string that is kept: the row of the caller's database. Everything in it but Place
// stays the same as long as the blob lives; Compact asks the caller to change Place.
type Blob struct {
	ID     string   // of this spool's making, unique, rising with time
	Org    string   // the organisation whose key wraps Key
	Size   int64    // plain octets
	SHA256 [32]byte // of the plain octets
	Key    []byte   // the data key, wrapped; without it the blob cannot be read by anyone
	Place  string   // where it lies; opaque to callers
}

// blobJSON is Blob in the project's JSON style.
type blobJSON struct {
	ID     string `json:"id"`
	Org    string `json:"org"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
	Key    []byte `json:"key"`
	Place  string `json:"place"`
}

// MarshalJSON writes the digest in hexadecimal and the wrapped key in base64.
func (b Blob) MarshalJSON() ([]byte, error) {
	return json.Marshal(blobJSON{b.ID, b.Org, b.Size, hex.EncodeToString(b.SHA256[:]), b.Key, b.Place})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (b *Blob) UnmarshalJSON(text []byte) error {
	var j blobJSON
	if err := json.Unmarshal(text, &j); err != nil {
		return err
	}
	sum, err := hex.DecodeString(j.SHA256)
	if err != nil || len(sum) != len(b.SHA256) {
		return errors.New("spool: sha256 of a blob is not 64 hexadecimal digits")
	}
	*b = Blob{ID: j.ID, Org: j.Org, Size: j.Size, SHA256: [32]byte(sum), Key: j.Key, Place: j.Place}
	return nil
}

// blobID is a blob's id: 48 bits of time in milliseconds, 80 random bits.
type blobID [16]byte

const idPrefix = "b-"

// base32 of RFC 4648 with digits first, so that ids sort as their bytes do.
var idText = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

func newID(now time.Time, rnd io.Reader) (blobID, error) {
	var id blobID
	ms := now.UnixMilli()
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	if _, err := io.ReadFull(rnd, id[6:]); err != nil {
		return id, fmt.Errorf("spool: random id: %w", err)
	}
	return id, nil
}

func (id blobID) String() string { return idPrefix + idText.EncodeToString(id[:]) }

// parseID reads an id from a row.
func parseID(s string) (blobID, error) {
	var id blobID
	text, ok := strings.CutPrefix(s, idPrefix)
	raw, err := idText.DecodeString(text)
	if !ok || err != nil || len(raw) != len(id) || idText.EncodeToString(raw) != text {
		return id, fmt.Errorf("spool: %.80q is not a blob id", s)
	}
	return blobID(raw), nil
}

// place is a parsed Blob.Place: a record in a segment, or a file.
type place struct {
	segment uint64
	offset  uint32
	file    string // name below the file's shard directory; "" for a record
}

func (p place) String() string {
	if p.file != "" {
		return "file/" + p.file
	}
	return fmt.Sprintf("log/%016x/%d", p.segment, p.offset)
}

// path is the file of a place that is one.
func (p place) path() string { return shard(p.file) + "/" + p.file }

const (
	segmentDigits = 16
	suffixLen     = 8 // of a file that Compact made: "<id>-<suffix>"
)

// parsePlace reads the place of the blob with that id. A file's name must be its blob's: a row
// cannot name any other file.
func parsePlace(id blobID, s string) (place, error) {
	kind, rest, _ := strings.Cut(s, "/")
	switch kind {
	case "file":
		suffix, ok := strings.CutPrefix(rest, id.String())
		if ok && (suffix == "" || len(suffix) == 1+suffixLen && suffix[0] == '-' && isPlain(suffix[1:])) {
			return place{file: rest}, nil
		}
	case "log":
		seg, off, _ := strings.Cut(rest, "/")
		n, err1 := strconv.ParseUint(seg, 16, 64)
		o, err2 := strconv.ParseUint(off, 10, 32)
		p := place{segment: n, offset: uint32(o)}
		if err1 == nil && err2 == nil && p.String() == s {
			return p, nil
		}
	}
	return place{}, fmt.Errorf("spool: %.80q is not a place of blob %s", s, id)
}

func isPlain(s string) bool {
	return strings.Trim(s, "0123456789abcdefghijklmnopqrstuv") == ""
}

// Shards keep directories small; the last character of an id is as random as it gets.
const shards = "0123456789abcdefghijklmnopqrstuv"

// shard is the directory of a blob's file.
func shard(name string) string {
	id, _, _ := strings.Cut(strings.TrimPrefix(name, idPrefix), "-")
	if id == "" {
		return "blob/0"
	}
	// The last of 26 characters carries 3 bits only; the one before it carries 5.
	return "blob/" + id[len(id)-2:len(id)-1]
}
