package store

import (
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"

	"postern/certs/zone"
)

// ZoneSerials is the serials our zones were last published with.
func (s *Store) ZoneSerials(ctx context.Context) (map[string]zone.Numbered, error) {
	out := map[string]zone.Numbered{}
	_, err := list(ctx, s, "SELECT zone, serial, digest FROM zone_serial", nil, func(r *sql.Rows) (none struct{}, err error) {
		var name, digest string
		var n zone.Numbered
		if err = r.Scan(&name, &n.Serial, &digest); err != nil {
			return none, err
		}
		if b, err := hex.DecodeString(digest); err != nil || copy(n.Digest[:], b) != len(n.Digest) {
			return none, fmt.Errorf("serial of zone %s: %q is no digest", name, digest)
		}
		out[name] = n
		return none, nil
	})
	return out, err
}

// SaveZoneSerials keeps serials before they are published.
func (s *Store) SaveZoneSerials(ctx context.Context, serials map[string]zone.Numbered) error {
	if len(serials) == 0 {
		return nil
	}
	return s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		for name, n := range serials {
			w.exec("INSERT INTO zone_serial VALUES (?,?,?,?) ON CONFLICT(zone) DO UPDATE SET serial=excluded.serial, digest=excluded.digest, at=excluded.at",
				name, n.Serial, hex.EncodeToString(n.Digest[:]), stamp(s.now()))
		}
		return w.err
	})
}
