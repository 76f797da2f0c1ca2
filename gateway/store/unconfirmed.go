package store

import (
	"context"
	"database/sql"
	"time"
)

// Unconfirmed is how many recipients of messages handed over nobody can say yet whether they have them.
type Unconfirmed struct {
	Sent      int64     `json:"sent"`            // their gateway has not answered
	Processed int64     `json:"processed"`       // it has the message, and its final delivery is still open
	Oldest    time.Time `json:"oldest,omitzero"` // the first hand-over among them
}

// unconfirmedClocks bounds the clocks looked through, so that counting takes no longer with many.
const unconfirmedClocks = 20000

// Unconfirmed counts those whose clocks are the next 20,000 to run out.
func (s *Store) Unconfirmed(ctx context.Context) (Unconfirmed, error) {
	is := func(kinds string) string { return "max(CASE WHEN e.kind IN (" + kinds + ") THEN 1 ELSE 0 END)" }
	count := "SELECT coalesce(sum(1-processed), 0), coalesce(sum(processed), 0), min(handed) FROM (SELECT min(CASE WHEN e.kind='handed' THEN e.at END) AS handed, " +
		is("'processed'") + " AS processed, " + is("'final_requested'") + " AS final, " + is("'dispatched'") + " AS dispatched, " + is("'dispatched_bare'") + " AS passed, " +
		is("'failed','rejected','refused','timed_out_processed','timed_out_dispatched','notice'") + " AS settled" +
		" FROM (SELECT DISTINCT message FROM (SELECT message FROM job WHERE class='clerical' ORDER BY parked, priority, due LIMIT ?) soonest) clock" +
		" JOIN event e ON e.message=clock.message GROUP BY e.message, e.recipient) ladder" +
		" WHERE handed<>'' AND settled=0 AND NOT (processed=1 AND (final=0 OR dispatched=1)) AND NOT (final=0 AND (dispatched=1 OR passed=1))"
	return one(ctx, s, count, []any{unconfirmedClocks}, func(r *sql.Rows) (u Unconfirmed, err error) {
		var oldest sql.NullString
		err = r.Scan(&u.Sent, &u.Processed, &oldest)
		u.Oldest = parseStamp(oldest.String)
		return u, err
	})
}
