// Package disk is the few file operations that durable storage is made of.
//
// They stand behind an interface for one reason: a test can make each of them fail (a full disk, an
// I/O error, half a write, a sync that fails or hangs) and see what the storage above says of it.
// Names are relative to one directory, with slashes, and cannot leave it, not by ".." nor by a
// symbolic link (os.Root). Files are made readable by their owner only.
//
// What a caller may rely on: after File.Sync returned nil the octets written before survive a crash of
// the machine; after SyncDir so do the names in that directory. After a failed Sync nothing is known of
// what was written since the last good one, and syncing again does not tell: the operating system may
// have dropped the octets and reports success the second time. The caller gives the file up.
package disk

import (
	"io"
	"io/fs"
)

// FS is one directory tree.
type FS interface {
	// Mkdir makes a directory; one that exists already is no error.
	Mkdir(name string) error
	// Create makes a new file for reading and writing; one that exists already is an error (fs.ErrExist).
	Create(name string) (File, error)
	// Open opens a file for reading; its error wraps fs.ErrNotExist where none is.
	Open(name string) (File, error)
	// Edit opens an existing file for reading and writing.
	Edit(name string) (File, error)
	// Rename moves a file within the tree, replacing what bears the new name.
	Rename(from, to string) error
	// Remove removes a file; its error wraps fs.ErrNotExist where none is.
	Remove(name string) error
	// List is what a directory holds, in no order.
	List(dir string) ([]fs.DirEntry, error)
	// Size is the length of a file in octets; its error wraps fs.ErrNotExist where none is.
	Size(name string) (int64, error)
	// SyncDir makes the names in a directory durable.
	SyncDir(dir string) error
	// Free is the space left for this user, in octets.
	Free() (int64, error)
	// Lock takes the tree for this process until the lock is closed or the process ends; when another
	// has it, the error wraps ErrLocked.
	Lock() (io.Closer, error)
	// Close gives the tree's handle back.
	Close() error
}

// File is one open file. Several goroutines may use it at once.
type File interface {
	io.ReaderAt
	io.WriterAt
	// Sync makes the octets written durable, and the length needed to read them back (fdatasync).
	Sync() error
	// Reserve asks for disk space up to size octets without changing the length that is read back; a
	// file system that cannot is no error.
	Reserve(size int64) error
	// Truncate sets the length.
	Truncate(size int64) error
	// Size is the length in octets.
	Size() (int64, error)
	Close() error
}
