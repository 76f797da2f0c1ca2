package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"postern/gateway/clinic/scan"
	"postern/gateway/clinic/work"
)

// FileToScan names a file that came in and is to be shown to the scanner.
type FileToScan struct {
	Org, Inbox string
	Number     int64
	Path       string
	Tries      int
}

// ToScan lists the files that are due to be scanned, the longest due first, up to n.
func (s *Store) ToScan(ctx context.Context, n int) ([]FileToScan, error) {
	return list(ctx, s, "SELECT org, inbox, number, path, tries FROM part_scan WHERE due<>'' AND due<=? ORDER BY due, inbox, number, path LIMIT ?", []any{stamp(s.now()), n},
		func(r *sql.Rows) (f FileToScan, err error) {
			err = r.Scan(&f.Org, &f.Inbox, &f.Number, &f.Path, &f.Tries)
			return f, err
		})
}

// Scanned records what the scanner said of a file. A file that a person let go meanwhile stays so, unless something was
// found. A file without an answer is due again (scan.Next), and at last only when a person asks.
func (s *Store) Scanned(ctx context.Context, f FileToScan, a scan.Answer) error {
	return s.doDesk(ctx, func(w *writer) error {
		due := time.Time{}
		if a.Verdict == scan.Unknown {
			if d := scan.Next(f.Tries + 1); d > 0 {
				due = s.now().Add(d)
			}
		}
		before := w.exists("SELECT 1 FROM part_scan WHERE inbox=? AND number=? AND path=? AND state=?", f.Inbox, f.Number, f.Path, a.Verdict)
		if w.exec("UPDATE part_scan SET state=?, words=?, tries=?, due=?, at=? WHERE inbox=? AND number=? AND path=? AND (state<>? OR ?=?)", a.Verdict, a.Words, f.Tries+1, stamp(due),
			stamp(s.now()), f.Inbox, f.Number, f.Path, scan.Released, a.Verdict, scan.Found) == 0 {
			w.exec("UPDATE part_scan SET due='' WHERE inbox=? AND number=? AND path=?", f.Inbox, f.Number, f.Path)
			return w.err
		}
		if a.Verdict != scan.Clean && !before {
			w.audit(AuditEntry{Org: f.Org, Actor: "gateway", Action: "file.held", Object: w.workAt(f.Inbox, f.Number), Detail: map[string]any{"part": f.Path, "scan": a.Verdict, "words": a.Words}})
		}
		return w.err
	})
}

// workAt is the entry of an item, for the record.
func (w *writer) workAt(box string, number int64) (id string) {
	if w.err == nil {
		_ = w.row("SELECT id FROM work WHERE inbox=? AND number=?", box, number).Scan(&id) // an item that went meanwhile has none
	}
	return id
}

// Scans lists what is known of an item's files that were to be scanned.
func (s *Store) Scans(ctx context.Context, box string, number int64) ([]scan.Record, error) {
	return list(ctx, s, "SELECT path, state, words, tries, at, released_by, reason FROM part_scan WHERE inbox=? AND number=? ORDER BY path", []any{box, number},
		func(r *sql.Rows) (x scan.Record, err error) {
			var at string
			err = r.Scan(&x.Path, &x.Stands, &x.Words, &x.Tries, &at, &x.By, &x.Reason)
			x.At = parseStamp(at)
			return x, err
		})
}

// ReleaseFile lets a file go that the scanner holds: r names it, how it stood for who decided, by whom and for what reason.
// It fails with ErrNotFound where it does not stand so any more, as when something was found in it meanwhile.
func (s *Store) ReleaseFile(ctx context.Context, e work.Entry, r scan.Record, entry AuditEntry) error {
	return s.doDesk(ctx, func(w *writer) error {
		if w.exec("UPDATE part_scan SET state=?, due='', at=?, released_by=?, reason=? WHERE inbox=? AND number=? AND path=? AND org=? AND state=? AND state IN (?,?,?)", scan.Released,
			stamp(s.now()), r.By, r.Reason, e.Inbox, e.Number, r.Path, e.Org, r.Stands, scan.Waiting, scan.Unknown, scan.Found) == 0 && w.err == nil {
			return fmt.Errorf("store: part %s: %w", r.Path, ErrNotFound)
		}
		w.audit(entry)
		return w.err
	})
}

// ScanAgain makes an item's files that are held, or wait, due to be scanned now.
func (s *Store) ScanAgain(ctx context.Context, e work.Entry, entry AuditEntry) error {
	return s.doDesk(ctx, func(w *writer) error {
		w.exec("UPDATE part_scan SET due=?, tries=0 WHERE inbox=? AND number=? AND org=? AND state IN (?,?,?)", stamp(s.now()), e.Inbox, e.Number, e.Org, scan.Waiting, scan.Unknown, scan.Found)
		w.audit(entry)
		return w.err
	})
}

// ScanHeld lists the entries of an organisation that somebody with that reach may see and that have a file in which the
// scanner found something or of which it gave no answer, the last held first, up to n.
func (s *Store) ScanHeld(ctx context.Context, org string, reach []Reach, n int) ([]work.Entry, error) {
	seen, args := reachable(org, reach)
	// Begun from the few files that are held, by their own index, never from all that may be seen: SQLite leaves the sides
	// of a CROSS JOIN in their order, and to PostgreSQL it is a join like others.
	return list(ctx, s, "SELECT "+workColumns+` FROM (SELECT inbox, number, max(at) AS at FROM part_scan WHERE org=? AND state IN ('found','unknown') GROUP BY inbox, number) p
		CROSS JOIN work k JOIN item i ON i.inbox=k.inbox AND i.number=k.number
		WHERE k.inbox=p.inbox AND k.number=p.number AND `+seen+" ORDER BY p.at DESC, k.id LIMIT ?", append(append([]any{org}, args...), n), scanEntry)
}
