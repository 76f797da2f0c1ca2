package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"postern/certs"
	"postern/certs/keyfile"
	"postern/gateway/spool"
	"postern/gateway/spool/seal"
	"postern/smime"
)

// workplace is where `seal` and `open` keep what does not fit into memory: a spool of its own in a
// temporary folder, made when first needed and removed at the end. What lies there is encrypted
// under keys that exist only in this process.
type workplace struct {
	mu    sync.Mutex
	dir   string
	store *spool.Store
}

// throwAway refuses to keep anything: the workplace holds only scratches.
type throwAway struct{}

var errKeeps = errors.New("nothing is kept here")

func (throwAway) WrapData(string, string, seal.Key) ([]byte, error)   { return nil, errKeeps }
func (throwAway) UnwrapData(string, string, []byte) (seal.Key, error) { return seal.Key{}, errKeeps }

// Scratch is one more place; it fits smime.OpenOptions.
func (w *workplace) Scratch() (smime.Scratch, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.store == nil {
		dir, err := os.MkdirTemp("", "postern-")
		if err != nil {
			return nil, err
		}
		w.dir = dir
		if w.store, err = spool.Open(spool.Config{Dir: dir, Keys: throwAway{}}); err != nil {
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
	}
	return w.store.Scratch()
}

// Close removes the workplace.
func (w *workplace) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.store == nil {
		return nil
	}
	err := errors.Join(w.store.Close(), os.RemoveAll(w.dir))
	w.store = nil
	return err
}

// readCredentials reads the certificates with keys of one PEM or PKCS#12 file.
func readCredentials(file, password string) ([]certs.Credential, error) {
	b, err := readFile(file, keyfile.MaxFile)
	if err != nil {
		return nil, err
	}
	creds, err := keyfile.Credentials(b, password)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return creds, nil
}

// output is where a message goes: a new file under a temporary name until it is whole, or standard
// output.
type output struct {
	c      *console
	name   string
	file   *os.File
	direct bool // written where it stands, not put into place at the end
}

func (c *console) output(name string) (*output, error) {
	o := &output{c: c, name: name}
	if name == "" || name == "-" {
		return o, nil
	}
	// What is no regular file (a device, a pipe, what a link leads to) is written to, and never put out of its place.
	if st, err := os.Lstat(name); err == nil && !st.Mode().IsRegular() {
		f, err := os.OpenFile(name, os.O_WRONLY, 0)
		if err != nil {
			return nil, err
		}
		o.file, o.direct = f, true
		if err := private(f); err != nil {
			return nil, errors.Join(fmt.Errorf("%s leads to a file that cannot be made yours alone: %w", name, err), f.Close())
		}
		return o, nil
	}
	// A name that nobody could plant: a fixed one might be somebody's link to another file.
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*.part")
	o.file = f
	return o, err
}

// private empties a regular file that a link led to and makes it its owner's alone, as a new one would be: it may have been
// everybody's to read.
func private(f *os.File) error {
	st, err := f.Stat()
	if err != nil || !st.Mode().IsRegular() {
		return err
	}
	if err := f.Chmod(0o600); err != nil {
		return err
	}
	return f.Truncate(0)
}

func (o *output) Write(p []byte) (int, error) {
	if o.file == nil {
		return o.c.out.Write(p)
	}
	return o.file.Write(p)
}

// done completes the file when err is nil and removes it otherwise.
func (o *output) done(err error) error {
	if o.file == nil {
		return err
	}
	err = errors.Join(err, o.file.Close())
	if o.direct {
		return err
	}
	if err != nil {
		return errors.Join(err, os.Remove(o.file.Name()))
	}
	return os.Rename(o.file.Name(), o.name)
}
