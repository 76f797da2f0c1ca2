package faultdisk

import (
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"postern/gateway/spool/disk"
)

// Op is a kind of operation.
type Op string

// The operations a hook sees. Reading is not among them.
const (
	Create   Op = "create"
	Write    Op = "write"
	Sync     Op = "sync"
	SyncDir  Op = "syncdir"
	Rename   Op = "rename"
	Remove   Op = "remove"
	Reserve  Op = "reserve"
	Truncate Op = "truncate"
)

// Fault is what happens to one operation; the zero Fault is nothing.
type Fault struct {
	Err  error           // the operation fails with it
	Part int             // of a write that fails: octets written before it does
	Wait <-chan struct{} // the operation waits until it is closed
}

// ErrPower is what every operation says once the power is off.
var ErrPower = errors.New("faultdisk: power is off")

// Disk is one disk. Several goroutines may use it at once.
type Disk struct {
	mu     sync.Mutex
	rnd    *rand.Rand
	dirs   map[string]*dir
	locked bool
	free   int64
	life   int // counts power cycles: a view from before one is dead
	off    bool
	hook   func(op Op, name string) Fault
}

// dir is a directory's names now, and what is needed to go back.
type dir struct {
	now     names
	durable names
	pending []change // since the last SyncDir, in order
}

type change struct {
	name string
	to   *inode // nil: removed
}

// New is an empty disk; seed decides what crashes keep.
func New(seed uint64) *Disk {
	return &Disk{
		rnd:  rand.New(rand.NewPCG(seed, 0)),
		dirs: map[string]*dir{".": newDir()},
		free: 1 << 40,
	}
}

// Hook sets what sees every operation, nil for nothing. It is called without any lock held.
func (d *Disk) Hook(h func(op Op, name string) Fault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.hook = h
}

// SetFree sets the space that Free reports.
func (d *Disk) SetFree(n int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.free = n
}

// PowerOff makes every operation fail from now on, until Crash.
func (d *Disk) PowerOff() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.off = true
}

// Crash takes the power away and brings it back: views made before it fail for ever, and what was not
// durable is kept or dropped at random.
func (d *Disk) Crash() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.life++
	d.off, d.locked, d.hook = false, false, nil
	seen := map[*inode]bool{}
	for _, name := range sortedKeys(d.dirs) {
		dr := d.dirs[name]
		keep := 0
		if n := len(dr.pending); n > 0 {
			keep = d.rnd.IntN(n + 1)
		}
		for _, c := range dr.pending[:keep] {
			dr.durable.apply(c)
		}
		dr.now, dr.pending = names{}, nil
		for _, file := range sortedKeys(dr.durable) {
			f := dr.durable[file]
			if !seen[f] {
				seen[f] = true
				f.crash(d.rnd)
			}
			dr.now[file] = f
		}
	}
}

type names map[string]*inode

func newDir() *dir { return &dir{now: names{}, durable: names{}} }

func (n names) apply(c change) {
	if c.to == nil {
		delete(n, c.name)
	} else {
		n[c.name] = c.to
	}
}

func sortedKeys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// Files is the names and lengths of all files, as they are now.
func (d *Disk) Files() map[string]int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := map[string]int64{}
	for name, dr := range d.dirs {
		for file, f := range dr.now {
			out[path.Join(name, file)] = int64(len(f.data))
		}
	}
	return out
}

// FS is the disk as a process sees it, until the next Crash.
func (d *Disk) FS() disk.FS {
	d.mu.Lock()
	defer d.mu.Unlock()
	return &view{d, d.life}
}

// view is the FS of one life of the machine.
type view struct {
	d    *Disk
	life int
}

// begin runs the hook for an operation and takes the lock; on an error the lock is not held.
func (v *view) begin(op Op, name string) (Fault, error) {
	v.d.mu.Lock()
	h := v.d.hook
	v.d.mu.Unlock()
	var f Fault
	if h != nil {
		f = h(op, name)
	}
	if f.Wait != nil {
		<-f.Wait
	}
	return f, v.enter()
}

// enter takes the lock, or fails when the power is off.
func (v *view) enter() error {
	v.d.mu.Lock()
	if v.d.off || v.d.life != v.life {
		v.d.mu.Unlock()
		return ErrPower
	}
	return nil
}

func (v *view) Mkdir(name string) error {
	if err := v.enter(); err != nil {
		return err
	}
	defer v.d.mu.Unlock()
	if v.d.dirs[name] == nil {
		v.d.dirs[name] = newDir()
	}
	return nil
}

// at finds a name's directory. The caller holds the lock.
func (v *view) at(name string) (*dir, string, error) {
	d, file := path.Split(name)
	dr := v.d.dirs[path.Clean(d)]
	if dr == nil || file == "" {
		return nil, "", &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return dr, file, nil
}

func (v *view) find(name string) (*dir, *inode, error) {
	dr, file, err := v.at(name)
	if err != nil {
		return nil, nil, err
	}
	f := dr.now[file]
	if f == nil {
		return nil, nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return dr, f, nil
}

// change changes a name; it is durable after SyncDir, or when a crash keeps it.
func (dr *dir) change(name string, to *inode) {
	c := change{name, to}
	dr.now.apply(c)
	dr.pending = append(dr.pending, c)
}

func (v *view) Create(name string) (disk.File, error) {
	f, err := v.begin(Create, name)
	if err != nil {
		return nil, err
	}
	defer v.d.mu.Unlock()
	if f.Err != nil {
		return nil, f.Err
	}
	dr, file, err := v.at(name)
	if err != nil {
		return nil, err
	}
	if dr.now[file] != nil {
		return nil, &fs.PathError{Op: "create", Path: name, Err: fs.ErrExist}
	}
	in := newInode()
	dr.change(file, in)
	return &handle{v, name, in}, nil
}

func (v *view) Open(name string) (disk.File, error) {
	if err := v.enter(); err != nil {
		return nil, err
	}
	defer v.d.mu.Unlock()
	_, in, err := v.find(name)
	if err != nil {
		return nil, err
	}
	return &handle{v, name, in}, nil
}

func (v *view) Edit(name string) (disk.File, error) { return v.Open(name) }

func (v *view) Rename(from, to string) error {
	f, err := v.begin(Rename, to)
	if err != nil {
		return err
	}
	defer v.d.mu.Unlock()
	if f.Err != nil {
		return f.Err
	}
	src, in, err := v.find(from)
	if err != nil {
		return err
	}
	dst, file, err := v.at(to)
	if err != nil {
		return err
	}
	dst.change(file, in)
	src.change(path.Base(from), nil)
	return nil
}

func (v *view) Remove(name string) error {
	f, err := v.begin(Remove, name)
	if err != nil {
		return err
	}
	defer v.d.mu.Unlock()
	if f.Err != nil {
		return f.Err
	}
	dr, _, err := v.find(name)
	if err != nil {
		return err
	}
	dr.change(path.Base(name), nil)
	return nil
}

func (v *view) List(name string) ([]fs.DirEntry, error) {
	if err := v.enter(); err != nil {
		return nil, err
	}
	defer v.d.mu.Unlock()
	dr := v.d.dirs[name]
	if dr == nil {
		return nil, &fs.PathError{Op: "list", Path: name, Err: fs.ErrNotExist}
	}
	var out []fs.DirEntry
	for _, n := range sortedKeys(dr.now) {
		out = append(out, fs.FileInfoToDirEntry(info{n, int64(len(dr.now[n].data))}))
	}
	return out, nil
}

func (v *view) Size(name string) (int64, error) {
	if err := v.enter(); err != nil {
		return 0, err
	}
	defer v.d.mu.Unlock()
	_, in, err := v.find(name)
	if err != nil {
		return 0, err
	}
	return int64(len(in.data)), nil
}

func (v *view) SyncDir(name string) error {
	f, err := v.begin(SyncDir, name)
	if err != nil {
		return err
	}
	defer v.d.mu.Unlock()
	if f.Err != nil {
		return f.Err
	}
	dr := v.d.dirs[name]
	if dr == nil {
		return &fs.PathError{Op: "sync", Path: name, Err: fs.ErrNotExist}
	}
	for _, c := range dr.pending {
		dr.durable.apply(c)
	}
	dr.pending = nil
	return nil
}

func (v *view) Free() (int64, error) {
	if err := v.enter(); err != nil {
		return 0, err
	}
	defer v.d.mu.Unlock()
	return v.d.free, nil
}

func (v *view) Lock() (io.Closer, error) {
	if err := v.enter(); err != nil {
		return nil, err
	}
	defer v.d.mu.Unlock()
	if v.d.locked {
		return nil, disk.ErrLocked
	}
	v.d.locked = true
	return unlock{v}, nil
}

type unlock struct{ v *view }

func (u unlock) Close() error {
	u.v.d.mu.Lock()
	defer u.v.d.mu.Unlock()
	if u.v.d.life == u.v.life {
		u.v.d.locked = false
	}
	return nil
}

func (v *view) Close() error { return nil }

// info is a file's entry in a list.
type info struct {
	name string
	size int64
}

func (i info) Name() string       { return strings.TrimPrefix(i.name, "/") }
func (i info) Size() int64        { return i.size }
func (i info) Mode() fs.FileMode  { return 0o600 }
func (i info) ModTime() time.Time { return time.Time{} }
func (i info) IsDir() bool        { return false }
func (i info) Sys() any           { return nil }
