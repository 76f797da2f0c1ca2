package vfs

import (
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// Layer is one registered layer. Close it when every database that uses it is closed.
type Layer struct {
	Name string // for the parameter vfs of a database's name; "" is SQLite's own

	hook  Hook
	tls   *libc.TLS
	own   uintptr // our sqlite3_vfs
	under uintptr // SQLite's
	name  uintptr

	mu     sync.Mutex
	tables map[uintptr]uintptr // SQLite's methods of a kind of file → ours
}

// layers finds the Layer of a C structure, which cannot hold a Go pointer. It is the one thing here that is shared:
// SQLite's own list of layers is too.
var layers struct {
	sync.Mutex
	last uintptr
	by   map[uintptr]*Layer
}

// methods is a table of a file's methods as SQLite reads it, and what ours need behind it.
type methods struct {
	sqlite3.Tsqlite3_io_methods
	under uintptr // SQLite's table
	layer uintptr // in layers
}

// Register makes a layer. hook may be nil.
func Register(hook Hook) (*Layer, error) {
	l := &Layer{Name: "postern-" + rand.Text(), hook: hook, tls: libc.NewTLS(), tables: map[uintptr]uintptr{}}
	l.under = sqlite3.Xsqlite3_vfs_find(l.tls, 0)
	l.own = libc.Xmalloc(l.tls, libc.Tsize_t(unsafe.Sizeof(sqlite3.Tsqlite3_vfs{})))
	var err error
	if l.name, err = libc.CString(l.Name); err != nil || l.own == 0 || l.under == 0 {
		return nil, errors.Join(err, errors.New("vfs: no layer of SQLite's own, or no memory"))
	}
	layers.Lock()
	layers.last++
	token := layers.last
	if layers.by == nil {
		layers.by = map[uintptr]*Layer{}
	}
	layers.by[token] = l
	layers.Unlock()
	own := at[sqlite3.Tsqlite3_vfs](l.own)
	*own = *at[sqlite3.Tsqlite3_vfs](l.under)
	own.FpNext, own.FzName, own.FpAppData, own.FxOpen = 0, l.name, token, function(open)
	if rc := sqlite3.Xsqlite3_vfs_register(l.tls, l.own, 0); rc != sqlite3.SQLITE_OK {
		return nil, fmt.Errorf("vfs: SQLite does not take the layer: %d", rc)
	}
	return l, nil
}

// Close takes the layer back.
func (l *Layer) Close() error {
	rc := sqlite3.Xsqlite3_vfs_unregister(l.tls, l.own)
	layers.Lock()
	delete(layers.by, at[sqlite3.Tsqlite3_vfs](l.own).FpAppData)
	layers.Unlock()
	for _, t := range l.tables {
		libc.Xfree(l.tls, t)
	}
	libc.Xfree(l.tls, l.name)
	libc.Xfree(l.tls, l.own)
	l.tls.Close()
	if rc != sqlite3.SQLITE_OK {
		return fmt.Errorf("vfs: SQLite does not give the layer back: %d", rc)
	}
	return nil
}

// at is what a C pointer points to.
func at[T any](p uintptr) *T { return *(**T)(unsafe.Pointer(&p)) }

// function is a package-level function as C knows it.
func function(f any) uintptr { return (*[2]uintptr)(unsafe.Pointer(&f))[1] }

// call is a C function as Go knows it.
func call[F any](p uintptr) F { return *(*F)(unsafe.Pointer(&struct{ uintptr }{p})) }

func layer(token uintptr) *Layer {
	layers.Lock()
	defer layers.Unlock()
	return layers.by[token]
}

// open opens a file as SQLite does, and puts our methods over its own. A file of SQLite's own kind begins with the
// pointer to its methods.
func open(tls *libc.TLS, vfs, name, file uintptr, flags int32, out uintptr) int32 {
	l := layer(at[sqlite3.Tsqlite3_vfs](vfs).FpAppData)
	type opener = func(*libc.TLS, uintptr, uintptr, uintptr, int32, uintptr) int32
	rc := call[opener](at[sqlite3.Tsqlite3_vfs](l.under).FxOpen)(tls, l.under, name, file, flags, out)
	if under := *at[uintptr](file); rc == sqlite3.SQLITE_OK && under != 0 {
		ours := l.table(tls, under, at[sqlite3.Tsqlite3_vfs](vfs).FpAppData)
		if ours == 0 {
			return sqlite3.SQLITE_NOMEM
		}
		*at[uintptr](file) = ours
	}
	return rc
}

// table is our methods over a kind of file.
func (l *Layer) table(tls *libc.TLS, under, token uintptr) uintptr {
	l.mu.Lock()
	defer l.mu.Unlock()
	if ours := l.tables[under]; ours != 0 {
		return ours
	}
	ours := libc.Xmalloc(tls, libc.Tsize_t(unsafe.Sizeof(methods{})))
	if ours == 0 {
		return 0
	}
	m := at[methods](ours)
	*m = methods{Tsqlite3_io_methods: *at[sqlite3.Tsqlite3_io_methods](under), under: under, layer: token}
	m.FxSync = function(syncFile)
	if l.hook != nil {
		m.FxWrite, m.FxTruncate = function(write), function(truncate)
	}
	l.tables[under] = ours
	return ours
}

// ask asks the hook, and says by which code of SQLite's the operation fails.
func ask(file uintptr, op Op, code int32) (Fault, int32) {
	l := layer(at[methods](*at[uintptr](file)).layer)
	if l.hook == nil {
		return Fault{}, sqlite3.SQLITE_OK
	}
	f := l.hook(op, libc.GoString(at[sqlite3.TunixFile](file).FzPath))
	switch {
	case f.Err == nil:
		return f, sqlite3.SQLITE_OK
	case errors.Is(f.Err, syscall.ENOSPC), errors.Is(f.Err, syscall.EDQUOT):
		return f, sqlite3.SQLITE_FULL
	}
	return f, code
}

// syncFile makes a file durable.
func syncFile(tls *libc.TLS, file uintptr, flags int32) int32 {
	if _, rc := ask(file, Sync, sqlite3.SQLITE_IOERR_FSYNC); rc != sqlite3.SQLITE_OK {
		return rc
	}
	f := at[sqlite3.TunixFile](file)
	if f.FctrlFlags&sqlite3.UNIXFILE_DIRSYNC != 0 { // a new file: its name must be made durable with it
		type syncer = func(*libc.TLS, uintptr, int32) int32
		return call[syncer](at[sqlite3.Tsqlite3_io_methods](at[methods](*at[uintptr](file)).under).FxSync)(tls, file, flags)
	}
	for {
		err := unix.Fdatasync(int(f.Fh))
		if err == nil {
			return sqlite3.SQLITE_OK
		}
		if !errors.Is(err, unix.EINTR) {
			return sqlite3.SQLITE_IOERR_FSYNC
		}
	}
}

// write is only there with a hook.
func write(tls *libc.TLS, file, from uintptr, n int32, offset int64) int32 {
	type writer = func(*libc.TLS, uintptr, uintptr, int32, int64) int32
	under := call[writer](at[sqlite3.Tsqlite3_io_methods](at[methods](*at[uintptr](file)).under).FxWrite)
	fault, rc := ask(file, Write, sqlite3.SQLITE_IOERR_WRITE)
	if rc == sqlite3.SQLITE_OK {
		return under(tls, file, from, n, offset)
	}
	if short := min(int32(fault.Short), n); short > 0 {
		if err := under(tls, file, from, short, offset); err != sqlite3.SQLITE_OK {
			return err
		}
	}
	return rc
}

// truncate is only there with a hook.
func truncate(tls *libc.TLS, file uintptr, size int64) int32 {
	if _, rc := ask(file, Truncate, sqlite3.SQLITE_IOERR_TRUNCATE); rc != sqlite3.SQLITE_OK {
		return rc
	}
	type truncater = func(*libc.TLS, uintptr, int64) int32
	return call[truncater](at[sqlite3.Tsqlite3_io_methods](at[methods](*at[uintptr](file)).under).FxTruncate)(tls, file, size)
}
