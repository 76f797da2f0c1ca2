package store

import (
	"context"
	"fmt"
)

// Snapshot writes the whole database, as it is at one instant, into a new file, while everything goes on.
func (s *Store) Snapshot(ctx context.Context, path string) error {
	if _, err := s.read.ExecContext(ctx, "VACUUM INTO ?", path); err != nil {
		return fmt.Errorf("store: snapshot: %w", err)
	}
	return nil
}
