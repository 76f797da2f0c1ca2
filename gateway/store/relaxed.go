package store

import (
	"database/sql"
	"fmt"
)

// relaxed is whether the writing connection answers before its transaction is on disk. It does so for a batch in which
// every change moves leases and nothing else: a claim, its renewal, its return. What a power cut can take of these is
// the claim of a job that is claimed again after it, as each one is that its worker did not live to settle; a process
// that is killed loses none. The pages of the write-ahead log go to the file in the order of their transactions, and
// the next batch that is not relaxed is synced with all before it, so nothing that anybody was promised rests on a
// transaction that may be lost. The committer alone uses it.
type relaxed struct{ now bool }

// set makes the connection ready for a batch.
func (r *relaxed) set(db *sql.DB, batch []*change) error {
	want := true
	for _, c := range batch {
		want = want && c.lease
	}
	if want == r.now {
		return nil
	}
	text := answerOnDisk
	if want {
		text = answerWhenWritten
	}
	if _, err := db.Exec(text); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	r.now = want
	return nil
}
