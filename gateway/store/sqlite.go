package store

import (
	"context"
	"fmt"
)

// What is said in SQLite's own words is in this file, besides the parameters it is opened with and package vfs.

// shifted is a due time moved by a number of seconds, in the one form of an instant.
const shifted = `strftime('%Y-%m-%dT%H:%M:%fZ', due, ? || ' seconds')`

// heldAtPlus is the time a message was held plus a number of seconds.
const heldAtPlus = `strftime('%Y-%m-%dT%H:%M:%fZ', at, '+' || ? || ' seconds')`

// Snapshot writes the whole database, as it is at one instant, into a new file, while everything goes on.
func (s *Store) Snapshot(ctx context.Context, path string) error {
	if _, err := s.read.ExecContext(ctx, "VACUUM INTO ?", path); err != nil {
		return fmt.Errorf("store: snapshot: %w", err)
	}
	return nil
}
