package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"postern/gateway/delivery/queue"
	"postern/gateway/store/vfs"
)

// Errors of this package.
var (
	ErrNotFound  = errors.New("not found")
	ErrLeaseLost = errors.New("store: the job's lease is no longer ours")
	ErrExists    = errors.New("exists already")
	ErrVersion   = errors.New("store: database was written by another version of this program")
	errClosed    = errors.New("store: closed")
)

// Store is one open database. It is safe for concurrent use.
type Store struct {
	write *sql.DB // one connection, used by the committer alone
	read  *sql.DB
	now   func() time.Time
	node  string

	layer   *vfs.Layer
	fault   func(committed bool) error
	workers workers
	queue   chan *change
	stop    chan struct{} // closed by Close
	ended   chan struct{} // closed by the committer

	written written
	asked   asked
	relaxed relaxed

	wake   wakers
	desk   wakers // pages of people's work
	unsure tokens
	cache  trustCache
}

// Config says where the database is and which clock to use.
type Config struct {
	Path string           // the database file; its folder exists
	Now  func() time.Time // nil means time.Now
	Node string           // this node's name in the audit chain; "" means "1"
	// Fault makes transactions fail, for tests of what stands above: it is asked before each is committed, and
	// again after. Its error is what the callers hear; the first is undone, the second is on disk all the same.
	Fault func(committed bool) error
	// Disk sees what SQLite does to its files and may make it fail, for tests of what stands above.
	Disk vfs.Hook
}

// Create makes a new database file with its schema. It fails with ErrExists when the file is there.
func Create(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%w: %s", ErrExists, path)
	}
	if err != nil {
		return fmt.Errorf("store: create: %w", err)
	}
	f.Close()
	db, err := open(path, "", 1)
	if err != nil {
		return err
	}
	defer db.Close()
	all, err := migrations(schemaFiles)
	if err != nil {
		return err
	}
	return migrate(db, all, time.Now())
}

// Open opens a database made by Create, brings it to this program's schema and starts its committer. Close ends it.
func Open(c Config) (*Store, error) {
	if _, err := os.Stat(c.Path); err != nil {
		return nil, fmt.Errorf("store: open: %w", err)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Node == "" {
		c.Node = "1"
	}
	s := &Store{now: c.Now, node: c.Node, fault: c.Fault, workers: newWorkers(), queue: make(chan *change, maxBatch), stop: make(chan struct{}), ended: make(chan struct{})}
	if err := s.openFiles(c); err != nil {
		return nil, errors.Join(err, s.closeFiles())
	}
	go s.committer()
	return s, nil
}

func (s *Store) openFiles(c Config) (err error) {
	if s.layer, err = vfs.Register(c.Disk); err != nil {
		return fmt.Errorf("store: open: %w", err)
	}
	if s.write, err = open(c.Path, s.layer.Name, 1); err != nil {
		return err
	}
	if err = forward(s.write, c.Now()); err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(c.Path), err)
	}
	s.read, err = open(c.Path, s.layer.Name, 4)
	return err
}

// closeFiles closes what was opened.
func (s *Store) closeFiles() error {
	s.asked.close()
	s.written.close()
	var errs []error
	for _, db := range []*sql.DB{s.read, s.write} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	if s.layer != nil {
		errs = append(errs, s.layer.Close())
	}
	return errors.Join(errs...)
}

// Close waits for the changes under way, then closes the database.
func (s *Store) Close() error {
	close(s.stop)
	<-s.ended
	return s.closeFiles()
}

// Now is the database's clock: the one leases are compared with.
func (s *Store) Now() time.Time { return s.now().UTC() }

// change is one caller's work inside a group commit.
type change struct {
	apply func(tx *sql.Tx) error
	wakes bool // somebody may find something to do or to see afterwards
	// Of the workers, those of these classes; nil is all.
	work  []queue.Class
	desk  bool // pages of people's work may have changed
	lease bool // it moves leases and nothing else: see relaxed
	reply chan error
}

const maxBatch = 512

// do runs apply inside the next group commit and returns once it is on disk. apply must not keep tx
// and must not wait for anything but the database. It may be run twice, the first time undone: what it
// leaves in the caller's variables is of the last run.
func (s *Store) do(ctx context.Context, apply func(tx *sql.Tx) error) error {
	return s.enqueue(ctx, &change{apply: apply, reply: make(chan error, 1)})
}

// doLease is do for a change that only moves leases.
func (s *Store) doLease(ctx context.Context, apply func(tx *sql.Tx) error) error {
	return s.enqueue(ctx, &change{apply: apply, lease: true, reply: make(chan error, 1)})
}

func (s *Store) enqueue(ctx context.Context, c *change) error {
	select {
	case s.queue <- c:
	case <-s.ended:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	// Once queued, the change may be committed: its outcome must be heard, not abandoned.
	select {
	case err := <-c.reply:
		return err
	case <-s.ended:
		select {
		case err := <-c.reply:
			return err
		default:
			return errClosed
		}
	}
}

func (s *Store) committer() {
	defer close(s.ended)
	for {
		var batch []*change
		select {
		case c := <-s.queue:
			batch = s.gather(c)
		case <-s.stop:
			select {
			case c := <-s.queue:
				batch = s.gather(c)
			default:
				return
			}
		}
		s.commit(batch)
	}
}

// gather takes what waits. No timer is needed: while one transaction syncs, the next batch forms.
func (s *Store) gather(first *change) []*change {
	batch := []*change{first}
	for len(batch) < maxBatch {
		select {
		case c := <-s.queue:
			batch = append(batch, c)
		default:
			return batch
		}
	}
	return batch
}

func (s *Store) commit(batch []*change) {
	errs := make([]error, len(batch))
	err := s.transact(batch, errs, len(batch) > 1)
	wake, desk := false, false
	var done []*change
	for i, c := range batch {
		if err != nil && errs[i] == nil {
			errs[i] = fmt.Errorf("store: commit: %w", err)
		}
		wake, desk = wake || c.wakes && errs[i] == nil, desk || c.desk && errs[i] == nil
		if c.wakes && errs[i] == nil {
			done = append(done, c)
		}
		c.reply <- errs[i]
	}
	for _, c := range done {
		s.workers.wake(c)
	}
	if wake {
		s.wake.all()
	}
	if desk {
		s.desk.all()
	}
	s.written.prepare(s.write) // while the callers go on
}

// transact runs the batch in one transaction. Nearly always every change succeeds, so they first run without a
// savepoint each, which would double the cost of every page they touch; when one fails (in errs) all is undone,
// and they run again, kept apart.
func (s *Store) transact(batch []*change, errs []error, hopeful bool) error {
	if err := s.relaxed.set(s.write, batch); err != nil {
		return err
	}
	tx, err := s.write.Begin()
	if err != nil {
		return err
	}
	s.written.begin(tx)
	for i, c := range batch {
		switch {
		case hopeful || len(batch) == 1:
			errs[i] = c.apply(tx)
		default:
			errs[i] = s.savepoint(tx, c.apply)
		}
		if errs[i] == nil {
			continue
		}
		if len(batch) == 1 {
			return tx.Rollback() // the change's own error is told
		}
		if hopeful {
			if err := tx.Rollback(); err != nil {
				return err
			}
			clear(errs)
			return s.transact(batch, errs, false)
		}
	}
	if err = s.ask(false); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	if err = tx.Commit(); err != nil {
		return err
	}
	return s.ask(true)
}

// ask is where a test makes a transaction fail.
func (s *Store) ask(committed bool) error {
	if s.fault == nil {
		return nil
	}
	return s.fault(committed)
}

// savepoint runs one change; if it fails, only it is undone.
func (s *Store) savepoint(tx *sql.Tx, apply func(*sql.Tx) error) error {
	if _, err := tx.Exec("SAVEPOINT step"); err != nil {
		return err
	}
	err := apply(tx)
	if err != nil {
		if _, e := tx.Exec("ROLLBACK TO step"); e != nil {
			return errors.Join(err, e)
		}
	}
	if _, e := tx.Exec("RELEASE step"); e != nil {
		return errors.Join(err, e)
	}
	return err
}

// timeText is the one form of an instant in the database.
const timeText = "2006-01-02T15:04:05.000Z"

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(timeText)
}

func parseStamp(s string) time.Time {
	t, _ := time.Parse(timeText, s) // only stamp writes these columns
	return t
}

// column is a value as JSON text for a column.
func column(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic("store: value cannot be written as JSON: " + err.Error()) // our own types only
	}
	return string(b)
}

// wakers tells those who wait that something was committed.
type wakers struct {
	mu sync.Mutex
	ch chan struct{}
}

func (w *wakers) wait() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ch == nil {
		w.ch = make(chan struct{})
	}
	return w.ch
}

func (w *wakers) all() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ch != nil {
		close(w.ch)
		w.ch = nil
	}
}

// workers are the wakers of each class.
type workers map[queue.Class]*wakers

func newWorkers() workers {
	w := workers{}
	for _, c := range queue.Classes() {
		w[c] = &wakers{}
	}
	return w
}

// wake wakes the workers that may find work after a change.
func (w workers) wake(c *change) {
	if c.work == nil {
		for _, class := range w {
			class.all()
		}
	}
	for _, class := range c.work {
		w[class].all()
	}
}

// Changed is readable after the next step is committed by this process.
func (s *Store) Changed() <-chan struct{} { return s.wake.wait() }

// Ready is readable after this process next commits something that may be work for that class, besides what a
// worker of the class commits of its own job.
func (s *Store) Ready(c queue.Class) <-chan struct{} { return s.workers[c].wait() }
