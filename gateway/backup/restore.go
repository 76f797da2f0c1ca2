package backup

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"postern/gateway/audit"
	"postern/gateway/spool"
	"postern/gateway/spool/keys"
	"postern/gateway/store"
)

// Target is where a backup is restored to.
type Target struct {
	Dir      string // new or empty: gets postern.toml and data/
	Master   keys.Master
	KeyCheck string // the database's own setting that a master key must match
	Actor    string // for the audit
	Now      func() time.Time
}

// Restored is what a restore made, each blob authenticated under its key and compared with its digest.
type Restored struct {
	Manifest
	Parked int64 `json:"parked"` // jobs kept out of work until a person resumes them
	Audit  int64 `json:"audit"`  // entries of the audit chain, verified
}

// Restore makes a site of a backup. Its queue is parked whole: what it would send, or report as failed, may
// have been settled after the backup was made.
func Restore(ctx context.Context, dir string, t Target) (r Restored, err error) {
	if r.Manifest, err = Read(dir); err != nil {
		return r, err
	}
	if err := emptyFolder(t.Dir); err != nil {
		return r, err
	}
	data := filepath.Join(t.Dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		return r, fmt.Errorf("backup: %w", err)
	}
	if err := copyLarge(filepath.Join(data, databaseFile), filepath.Join(dir, databaseFile)); err != nil {
		return r, err
	}
	if err := copyFile(filepath.Join(t.Dir, configFile), filepath.Join(dir, configFile), 0o600); err != nil {
		return r, err
	}
	db, err := store.Open(store.Config{Path: filepath.Join(data, databaseFile), Now: t.Now})
	if err != nil {
		return r, fmt.Errorf("backup: %w", err)
	}
	err = r.fill(ctx, db, dir, filepath.Join(data, "spool"), t)
	return r, errors.Join(err, db.Close())
}

// fill brings the bytes back and checks that everything is there.
func (r *Restored) fill(ctx context.Context, db *store.Store, dir, to string, t Target) error {
	ring, err := openKeys(ctx, db, t)
	if err != nil {
		return err
	}
	if err := r.compare(ctx, db); err != nil {
		return err
	}
	sp, err := spool.Open(spool.Config{Dir: to, Keys: ring, Now: t.Now})
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	err = r.blobs(ctx, db, sp, filepath.Join(dir, blobsFile))
	if err := errors.Join(err, sp.Close()); err != nil {
		return err
	}
	if err := r.audited(ctx, db); err != nil {
		return err
	}
	r.Parked, err = db.ParkAll(ctx, r.Made,
		store.AuditEntry{Actor: t.Actor, Action: "backup.restore", Object: r.Made.Format(time.RFC3339)})
	return err
}

// openKeys opens the organisations' keys: with another master key nothing of the backup is readable.
func openKeys(ctx context.Context, db *store.Store, t Target) (*keys.Ring, error) {
	check, err := db.Meta(ctx, t.KeyCheck)
	if err != nil {
		return nil, err
	}
	if err := t.Master.Matches(check); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrOtherKey, err)
	}
	ring := keys.NewRing(t.Master)
	orgs, err := db.Orgs(ctx)
	for _, o := range orgs {
		err = errors.Join(err, ring.AddOrg(o.ID, o.WrappedKey))
	}
	return ring, err
}

// compare holds the restored database against the manifest.
func (r *Restored) compare(ctx context.Context, db *store.Store) error {
	counts, err := db.Counts(ctx)
	if err != nil {
		return err
	}
	for table, n := range r.Counts {
		if counts[table] != n {
			return fmt.Errorf("%w: %d rows of %s, the manifest says %d", ErrDamaged, counts[table], table, n)
		}
	}
	return nil
}

// blobs imports the bytes, and demands those of every row.
func (r *Restored) blobs(ctx context.Context, db *store.Store, sp *spool.Store, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	defer f.Close()
	missing := map[string]bool{}
	for row, err := range db.BlobRows(ctx) {
		if err != nil {
			return err
		}
		missing[row.ID] = true
	}
	for in := tar.NewReader(bufio.NewReaderSize(f, 1<<20)); ; {
		h, err := in.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("%w: %s: %w", ErrDamaged, blobsFile, err)
		}
		if !missing[h.Name] {
			return fmt.Errorf("%w: %s has a blob %q that no row names", ErrDamaged, blobsFile, h.Name)
		}
		delete(missing, h.Name)
		if err := restoreBlob(ctx, db, sp, h.Name, in); err != nil {
			return err
		}
	}
	for id := range missing {
		return fmt.Errorf("%w: the bytes of %d blobs are missing, %s among them", ErrDamaged, len(missing), id)
	}
	return nil
}

func restoreBlob(ctx context.Context, db *store.Store, sp *spool.Store, id string, sealed io.Reader) error {
	row, err := db.Blob(ctx, id)
	if err != nil {
		return err
	}
	now, err := sp.Import(ctx, row, sealed)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	moved, err := db.MoveBlob(ctx, id, row.Place, now.Place)
	if err == nil && !moved && row.Place != now.Place {
		err = fmt.Errorf("backup: blob %s: its row changed under the restore", id)
	}
	return err
}

// audited verifies the restored audit chains.
func (r *Restored) audited(ctx context.Context, db *store.Store) error {
	_, err := audit.Verify(db.AuditEntries(ctx))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	r.Audit = r.Counts["audit"]
	return nil
}

// copyLarge copies a file of any size.
func copyLarge(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	_, err = io.Copy(out, in)
	if err := errors.Join(err, out.Sync(), out.Close()); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	return nil
}
