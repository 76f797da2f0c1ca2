package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// ErrLocked means that another process uses the directory.
var ErrLocked = errors.New("disk: the directory is in use by another process")

const (
	fileMode = 0o600
	dirMode  = 0o700
)

// OS opens the directory of that name on this machine, making it if it is not there.
func OS(dir string) (FS, error) {
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return nil, fmt.Errorf("disk: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("disk: %w", err)
	}
	return &osFS{root}, nil
}

type osFS struct{ root *os.Root }

func (o *osFS) Mkdir(name string) error {
	err := o.root.Mkdir(name, dirMode)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

func (o *osFS) Create(name string) (File, error) {
	return o.open(name, os.O_RDWR|os.O_CREATE|os.O_EXCL)
}
func (o *osFS) Open(name string) (File, error) { return o.open(name, os.O_RDONLY) }
func (o *osFS) Edit(name string) (File, error) { return o.open(name, os.O_RDWR) }

func (o *osFS) open(name string, flag int) (File, error) {
	f, err := o.root.OpenFile(name, flag, fileMode)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (o *osFS) Rename(from, to string) error { return o.root.Rename(from, to) }
func (o *osFS) Remove(name string) error     { return o.root.Remove(name) }

func (o *osFS) List(dir string) ([]fs.DirEntry, error) {
	f, err := o.root.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.ReadDir(-1)
}

func (o *osFS) Size(name string) (int64, error) {
	st, err := o.root.Lstat(name)
	if err != nil {
		return 0, err
	}
	if !st.Mode().IsRegular() {
		return 0, fmt.Errorf("disk: %s is not a regular file", name)
	}
	return st.Size(), nil
}

func (o *osFS) SyncDir(dir string) error {
	f, err := o.root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func (o *osFS) Free() (int64, error) {
	f, err := o.root.Open(".")
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return free(f)
}

func (o *osFS) Lock() (io.Closer, error) {
	f, err := o.root.OpenFile("lock", os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return nil, fmt.Errorf("disk: %w", err)
	}
	if err := lock(f); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil // the lock goes with the descriptor, also when the process is killed
}

func (o *osFS) Close() error { return o.root.Close() }

type osFile struct{ *os.File }

func (f osFile) Sync() error              { return syncData(f.File) }
func (f osFile) Reserve(size int64) error { return reserve(f.File, size) }

func (f osFile) Size() (int64, error) {
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}
