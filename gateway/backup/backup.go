// Package backup copies a site's whole state while it runs, and makes a site of the copy again.
//
// A backup is a folder: the database at one instant (postern.db), the sealed bytes of every blob that
// the database names (blobs.tar, one entry a blob, named by its id), the configuration, and last of all
// manifest.json with the digests and counts of it: without a manifest it is no backup.
//
// The master key is never in a backup, so the folder is worth nothing to a thief for what is sealed:
// messages, documents and private keys. What the database holds in clear (subjects, names, addresses)
// is in clear here too. The TLS key of the SMTP listeners is not in a backup either.
//
// While Write runs nothing may delete or move blobs of the site: its caller keeps the sweep away.
//
// Limits: a blob of 2 GiB; as many as there are.
package backup

import (
	"archive/tar"
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"postern/gateway/spool"
	"postern/gateway/store"
)

// Format is the number of the layout described above.
const Format = 1

// Names within a backup.
const (
	manifestFile = "manifest.json"
	databaseFile = "postern.db"
	blobsFile    = "blobs.tar"
	configFile   = "postern.toml"
)

// Errors of this package.
var (
	ErrExists   = errors.New("backup: the folder is not empty")
	ErrNone     = errors.New("backup: not a complete backup")
	ErrDamaged  = errors.New("backup: damaged")
	ErrOtherKey = errors.New("backup: made under another master key")
)

// Manifest says what a backup holds.
type Manifest struct {
	Format    int               `json:"format"`
	Hostname  string            `json:"hostname"`
	Made      time.Time         `json:"made"` // the instant of the database
	KeyNumber string            `json:"key_number"`
	Counts    map[string]int64  `json:"counts"` // rows, by table
	Blobs     int64             `json:"blobs"`  // with their bytes
	Octets    int64             `json:"octets"` // of them, sealed
	SHA256    map[string]string `json:"sha256"` // of each other file, hex
}

// Source is the site that is copied.
type Source struct {
	Store     *store.Store
	Spool     *spool.Store
	Config    string // path of the configuration file
	Hostname  string
	KeyNumber string // of the master key, for people
	Now       func() time.Time
}

// Write makes a backup in dir, which must be new or empty. What it wrote of one that fails stays without a
// manifest.
func Write(ctx context.Context, s Source, dir string) (m Manifest, err error) {
	if err := emptyFolder(dir); err != nil {
		return m, err
	}
	m = Manifest{Format: Format, Hostname: s.Hostname, Made: s.Now().UTC(), KeyNumber: s.KeyNumber, SHA256: map[string]string{}}
	if err := s.Store.Snapshot(ctx, filepath.Join(dir, databaseFile)); err != nil {
		return m, fmt.Errorf("backup: %w", err)
	}
	if err := copyFile(filepath.Join(dir, configFile), s.Config, 0o600); err != nil {
		return m, err
	}
	if err := m.count(ctx, filepath.Join(dir, databaseFile), func(db *store.Store) error { return m.blobs(ctx, s, db, dir) }); err != nil {
		return m, err
	}
	for _, name := range []string{databaseFile, blobsFile, configFile} {
		if m.SHA256[name], err = digestAndSync(filepath.Join(dir, name)); err != nil {
			return m, err
		}
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return m, fmt.Errorf("backup: %w", err)
	}
	return m, writeWhole(dir, manifestFile, append(text, '\n'))
}

// count opens the snapshot, notes its counts and gives it to f. Opening it as a database leaves nothing
// behind: it is closed before its digest is taken.
func (m *Manifest) count(ctx context.Context, path string, f func(*store.Store) error) error {
	db, err := store.Open(store.Config{Path: path})
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	if m.Counts, err = db.Counts(ctx); err == nil {
		err = f(db)
	}
	if err := errors.Join(err, db.Close()); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	return nil
}

// blobs writes the sealed bytes of every blob of the snapshot.
func (m *Manifest) blobs(ctx context.Context, s Source, db *store.Store, dir string) error {
	f, err := os.OpenFile(filepath.Join(dir, blobsFile), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	buf := bufio.NewWriterSize(f, 1<<20)
	w := tar.NewWriter(buf)
	for row, err := range db.BlobRows(ctx) {
		if err != nil {
			return err
		}
		if err := m.blob(ctx, s, db, w, row.ID); err != nil {
			return fmt.Errorf("blob %s: %w", row.ID, err)
		}
	}
	return errors.Join(w.Close(), buf.Flush(), f.Close())
}

func (m *Manifest) blob(ctx context.Context, s Source, db *store.Store, w *tar.Writer, id string) error {
	b, err := db.Blob(ctx, id)
	if err != nil {
		return err
	}
	r, err := s.Spool.Sealed(b)
	if err != nil {
		return err
	}
	defer r.Close()
	if err := w.WriteHeader(&tar.Header{Name: id, Size: r.Size(), Mode: 0o600, Format: tar.FormatPAX}); err != nil {
		return err
	}
	n, err := io.Copy(w, r)
	m.Blobs++
	m.Octets += n
	return err
}

// Read reads a backup's manifest and holds every file against it.
func Read(dir string) (m Manifest, err error) {
	text, err := os.ReadFile(filepath.Join(dir, manifestFile))
	if errors.Is(err, os.ErrNotExist) {
		return m, fmt.Errorf("%w: %s has no %s", ErrNone, dir, manifestFile)
	}
	if err != nil {
		return m, fmt.Errorf("backup: %w", err)
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return m, fmt.Errorf("%w: %s: %w", ErrDamaged, manifestFile, err)
	}
	if m.Format != Format {
		return m, fmt.Errorf("%w: format %d, this program reads %d", ErrNone, m.Format, Format)
	}
	for _, name := range []string{databaseFile, blobsFile, configFile} {
		sum, err := digestAndSync(filepath.Join(dir, name))
		if err != nil {
			return m, fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		if sum != m.SHA256[name] {
			return m, fmt.Errorf("%w: %s is not what was written", ErrDamaged, name)
		}
	}
	return m, nil
}

// emptyFolder makes a folder, or takes an empty one.
func emptyFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	there, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	if len(there) > 0 {
		return fmt.Errorf("%w: %s", ErrExists, dir)
	}
	return nil
}

// copyFile copies one small file into a new one.
func copyFile(to, from string, mode os.FileMode) error {
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, mode)
	}
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	return nil
}

// digestAndSync is a file's SHA-256, with its octets on disk.
func digestAndSync(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("backup: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("backup: %w", err)
	}
	if err := f.Sync(); err != nil {
		return "", fmt.Errorf("backup: %w", err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// writeWhole writes a file so that it is there whole or not at all, and survives a crash.
func writeWhole(dir, name string, b []byte) error {
	tmp := filepath.Join(dir, name+".new")
	if err := os.WriteFile(tmp, b, 0o600); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	if _, err := digestAndSync(tmp); err != nil {
		return err
	}
	if err := os.Rename(tmp, filepath.Join(dir, name)); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	return nil
}
