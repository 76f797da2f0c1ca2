package revoke

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// Store keeps lists between runs, each under a key that names its URL and its issuer. What it gives back is judged again as if it had just been
// fetched, so it needs no protection but against loss. It is used from several goroutines.
type Store interface {
	// Open is the list last committed under the key; an error that is fs.ErrNotExist when there is none.
	Open(key string) (io.ReadCloser, error)
	// Create begins a new list under the key; nothing changes before Commit.
	Create(key string) (Pending, error)
}

// Pending is a list being written. Exactly one of Commit and Abort is called.
type Pending interface {
	io.Writer
	Commit() error // the new list replaces the old one, whole or not at all
	Abort()
}

// MaxStored bounds the octets a Dir holds; beyond it the lists committed longest ago are forgotten.
const MaxStored = 1 << 30

// Dir is a Store in a directory: one file a key, replaced by renaming. Each list it ever took stays, up to
// MaxStored in all, in the folder "used" under its SHA-256, as decisions name it.
type Dir struct {
	path string
	max  int64
	mu   sync.Mutex // one sweep at a time
}

// OpenDir makes the directory if it is not there, and removes what a crash left half written. One
// process uses a directory at a time.
func OpenDir(path string) (*Dir, error) {
	if err := os.MkdirAll(filepath.Join(path, usedFolder), 0o700); err != nil {
		return nil, fmt.Errorf("revoke: list store: %w", err)
	}
	halves, err := filepath.Glob(filepath.Join(path, ".new-*"))
	if err != nil {
		return nil, fmt.Errorf("revoke: list store: %w", err)
	}
	for _, h := range halves {
		os.Remove(h)
	}
	return &Dir{path: path, max: MaxStored}, nil
}

func (d *Dir) file(key string) string {
	id := sha256.Sum256([]byte(key))
	return filepath.Join(d.path, hex.EncodeToString(id[:])+listSuffix)
}

// Open opens the list under the key.
func (d *Dir) Open(key string) (io.ReadCloser, error) { return os.Open(d.file(key)) }

// Create begins a new list under the key.
func (d *Dir) Create(key string) (Pending, error) {
	f, err := os.CreateTemp(d.path, ".new-*")
	if err != nil {
		return nil, fmt.Errorf("revoke: list store: %w", err)
	}
	return &pendingFile{f, d, d.file(key), sha256.New()}, nil
}

// Used opens a list by the SHA-256, in hex, that a decision names (Evidence.SHA256). An error that is
// fs.ErrNotExist says that it was forgotten.
func (d *Dir) Used(id string) (io.ReadCloser, error) {
	if b, err := hex.DecodeString(id); err != nil || len(b) != sha256.Size {
		return nil, fs.ErrNotExist
	}
	return os.Open(filepath.Join(d.path, usedFolder, strings.ToLower(id)+listSuffix))
}

const (
	usedFolder = "used"
	listSuffix = ".crl"
)

type pendingFile struct {
	*os.File
	dir   *Dir
	final string
	sum   hash.Hash
}

func (p *pendingFile) Write(b []byte) (int, error) {
	n, err := p.File.Write(b)
	p.sum.Write(b[:n])
	return n, err
}

// Commit makes the file durable, then puts it in place.
func (p *pendingFile) Commit() error {
	err := p.Sync()
	if cerr := p.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(p.Name(), p.final)
	}
	if err != nil {
		os.Remove(p.Name())
		return fmt.Errorf("revoke: list store: %w", err)
	}
	used := filepath.Join(p.dir.path, usedFolder, hex.EncodeToString(p.sum.Sum(nil))+listSuffix)
	if err := os.Link(p.final, used); err != nil && !errors.Is(err, fs.ErrExist) { // the same octets under two names cost their space once
		return fmt.Errorf("revoke: list store: %w", err)
	}
	return errors.Join(p.dir.sweep(p.dir.path, p.final), p.dir.sweep(filepath.Join(p.dir.path, usedFolder), used))
}

// sweep forgets the oldest lists while a folder holds too much; keep stays.
func (d *Dir) sweep(folder, keep string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	entries, err := os.ReadDir(folder)
	if err != nil {
		return fmt.Errorf("revoke: list store: %w", err)
	}
	var files []fs.FileInfo
	total := int64(0)
	for _, e := range entries {
		if info, err := e.Info(); err == nil && !e.IsDir() && strings.HasSuffix(e.Name(), listSuffix) {
			files = append(files, info)
			total += info.Size()
		}
	}
	slices.SortFunc(files, func(a, b fs.FileInfo) int { return a.ModTime().Compare(b.ModTime()) })
	for _, f := range files {
		if total <= d.max {
			break
		}
		if name := filepath.Join(folder, f.Name()); name != keep {
			total -= f.Size()
			os.Remove(name)
		}
	}
	return nil
}

// Abort forgets the file.
func (p *pendingFile) Abort() {
	p.Close()
	os.Remove(p.Name())
}
