// Package vfs is the layer between SQLite and its files.
//
// It does two things that SQLite as translated to Go (modernc.org/sqlite) cannot be told. A commit is made durable
// by fdatasync(2) instead of fsync(2), as SQLite itself does where it is built for Linux: the write-ahead log is
// written over again and again, so its length seldom changes, and a sync that need not write the file's times does
// not wait for the file system's journal, which others fill. And a Hook sees every write, sync and truncation before
// it happens and may make it fail, wait, or write only a part: tests of what stands above prove with it what a
// failing disk does.
//
// All else is SQLite's own code: locks, shared memory, reading, and the sync of a new file's directory. On other
// systems than Linux there is no such layer, and Register says so by an empty name.
//
// modernc.org/libc, the C library of the translation, is taken because functions are handed to SQLite by it; its
// version is that of modernc.org/sqlite, and this package is its only home.
package vfs

// Op is what SQLite is about to do to a file.
type Op string

// The operations a Hook sees.
const (
	Write    Op = "write"
	Sync     Op = "sync"
	Truncate Op = "truncate"
)

// Fault is what happens instead. The zero Fault is none.
type Fault struct {
	Err   error // syscall.ENOSPC and EDQUOT mean that there is no space; any other an input/output error
	Short int   // octets that a failing write writes all the same
}

// Hook decides about one operation on one file. It may wait. It is called from several goroutines.
type Hook func(op Op, path string) Fault
