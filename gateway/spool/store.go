package spool

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"postern/gateway/spool/disk"
	"postern/gateway/spool/seal"
)

// Limits in octets.
const (
	SmallBlob   = 256 << 10 // plain octets up to which a blob goes to the log
	MaxBlob     = 2 << 30
	MaxBatch    = 16 << 20 // written between two syncs
	MaxWaiting  = 64 << 20 // of small blobs that wait for their sync
	SegmentSize = 64 << 20
)

// DefaultReserve is the free space below which nothing new is taken, in octets.
const DefaultReserve = 256 << 20

// Reasons why something was not kept or cannot be read.
var (
	ErrNoSpace  = errors.New("spool: the disk is full")                 // temporary: SMTP 452
	ErrTooLarge = errors.New("spool: larger than a blob may be")        // permanent: SMTP 552
	ErrDamaged  = errors.New("spool: stored data is damaged")           // what is on disk is not what was kept
	ErrNotFound = errors.New("spool: no data at the place of the blob") // deleted, or moved: read the row again
	ErrBusy     = errors.New("spool: the disk does not keep up")        // temporary: SMTP 451
	ErrClosed   = errors.New("spool: closed")
	ErrLate     = errors.New("spool: Recover comes before anything is written")
)

// Keys wraps the data keys of blobs; *keys.Ring does it.
type Keys interface {
	WrapData(org, blob string, key seal.Key) ([]byte, error)
	UnwrapData(org, blob string, wrapped []byte) (seal.Key, error)
}

// Config says how a spool works. Dir (or FS) and Keys are needed, the rest has defaults.
type Config struct {
	Dir     string
	Keys    Keys
	Now     func() time.Time // for ids; time.Now
	Rand    io.Reader        // for ids; crypto/rand
	Reserve int64            // free octets to keep from new messages; 0 = DefaultReserve, negative = none
	MaxBlob int64            // 0 = MaxBlob
	Segment int64            // octets a segment; 0 = SegmentSize
	Site    string           // names the database whose rows this spool serves; "" = not checked
	FS      disk.FS          // instead of Dir, in tests
}

func (c Config) withDefaults() (Config, error) {
	if c.Keys == nil {
		return c, errors.New("spool: no keys")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	if c.Reserve == 0 {
		c.Reserve = DefaultReserve
	}
	if c.MaxBlob == 0 {
		c.MaxBlob = MaxBlob
	}
	if c.Segment == 0 {
		c.Segment = SegmentSize
	}
	if least := alignUp(recordHeader+maxPayload, pageSize); c.Segment < least || c.Segment > 1<<31 {
		return c, fmt.Errorf("spool: segment size %d, must be %d to %d", c.Segment, least, 1<<31)
	}
	if c.FS != nil {
		return c, nil
	}
	if c.Dir == "" {
		return c, errors.New("spool: no directory")
	}
	var err error
	if c.FS, err = disk.OS(c.Dir); err != nil {
		return c, fmt.Errorf("spool: %w", err)
	}
	return c, nil
}

// Store is one spool directory, used by one process. Several goroutines may use it at once.
type Store struct {
	cfg    Config
	fs     disk.FS
	lock   io.Closer
	log    *log
	ledger *ledger
	spares *spares
	count  counters
	bufs   buffers

	compacting sync.Mutex

	gate   sync.RWMutex // Recover holds it alone
	inUse  atomic.Bool  // something was created: too late for Recover
	closed atomic.Bool
}

// Open opens the spool in its directory, making it if need be, and removes what temporary files a
// crash left. The caller calls Recover next, with its rows, before it creates anything. Errors wrap
// disk.ErrLocked when another process has it, ErrOtherSite when it serves another database.
func Open(c Config) (*Store, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Store{cfg: c, fs: c.FS, ledger: newLedger()}
	if s.lock, err = c.FS.Lock(); err != nil {
		c.FS.Close()
		return nil, fmt.Errorf("spool: %w", err)
	}
	if err = s.prepare(); err != nil {
		err = fmt.Errorf("spool: %w", err)
	} else {
		err = s.claim()
	}
	if err != nil {
		return nil, errors.Join(err, s.lock.Close(), c.FS.Close())
	}
	s.spares = newSpares(s)
	s.log = startLog(s)
	return s, nil
}

// prepare makes the directories, removes temporary files and learns which segments there are.
func (s *Store) prepare() error {
	for _, d := range []string{"log", "blob", "tmp"} {
		if err := s.fs.Mkdir(d); err != nil {
			return err
		}
	}
	for _, c := range shards {
		if err := s.fs.Mkdir("blob/" + string(c)); err != nil {
			return err
		}
	}
	for _, d := range []string{"blob", "."} {
		if err := s.fs.SyncDir(d); err != nil {
			return err
		}
	}
	left, err := s.fs.List("tmp")
	if err != nil {
		return err
	}
	for _, e := range left {
		if err := s.fs.Remove("tmp/" + e.Name()); err != nil {
			return err
		}
	}
	old, err := s.fs.List("log")
	if err != nil {
		return err
	}
	for _, e := range old {
		if n, ok := segmentNumber(e.Name()); ok {
			s.ledger.addOld(n)
		}
	}
	return nil
}

// Close ends group commit after what waits was written, and gives the directory back. Writers not yet
// committed fail from here on; open readers stay good until they are closed.
func (s *Store) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	s.log.stop()
	return errors.Join(s.spares.close(), s.lock.Close(), s.fs.Close())
}

// Put writes what r gives as one blob. See Writer.Commit.
func (s *Store) Put(ctx context.Context, org string, r io.Reader) (Blob, error) {
	return s.put(ctx, forNew, org, r)
}

func (s *Store) put(ctx context.Context, why purpose, org string, r io.Reader) (Blob, error) {
	w, err := s.create(why, org)
	if err != nil {
		return Blob{}, err
	}
	defer w.Abort()
	if _, err := io.Copy(w, r); err != nil {
		return Blob{}, err
	}
	return w.Commit(ctx)
}

// Delete frees a blob whose row the caller has removed, for good. Deleting what is gone is no error.
// If the process ends before the space is freed, Recover does it at the next start.
func (s *Store) Delete(b Blob) error {
	id, p, err := b.parse()
	if err != nil {
		return err
	}
	p = s.ledger.current(id, p)
	if p.file == "" {
		return s.retire(s.ledger.kill(p))
	}
	if err := s.fs.Remove(p.path()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("spool: delete %s: %w", b.ID, err)
	}
	return nil
}

// parse reads what a row says.
func (b Blob) parse() (blobID, place, error) {
	id, err := parseID(b.ID)
	if err != nil {
		return id, place{}, err
	}
	p, err := parsePlace(id, b.Place)
	return id, p, err
}

// retire frees the file of a segment in which nothing lives; nil is none.
func (s *Store) retire(seg *segment) error {
	if seg == nil || s.ledger.reusable(seg) && s.spares.offer(segmentName(seg.number)) {
		return nil
	}
	if err := s.fs.Remove(segmentName(seg.number)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("spool: remove segment %016x: %w", seg.number, err)
	}
	return nil
}

// purpose is what octets are written for. New messages leave the whole reserve alone; what finishes work
// that was accepted may use three quarters of it, or a nearly full disk could not even be emptied.
type purpose int64

const (
	forNew  purpose = 1 // what of the reserve is left: all
	forWork purpose = 4 // a quarter
)

// room is the space guard: it fails with ErrNoSpace while less would be left than the purpose leaves alone.
func (s *Store) room(why purpose, want int64) error {
	if s.cfg.Reserve < 0 {
		return nil
	}
	free, err := s.fs.Free()
	if err != nil {
		return fmt.Errorf("spool: free space: %w", err)
	}
	if keep := s.cfg.Reserve / int64(why); free-want < keep {
		return fmt.Errorf("%w: %d MiB are free, %d MiB are kept in reserve", ErrNoSpace, free>>20, keep>>20)
	}
	return nil
}

// Room says whether so many octets of new messages may be written: nil, or an error that wraps ErrNoSpace.
func (s *Store) Room(want int64) error { return s.room(forNew, want) }

// diskError gives a full disk its name.
func diskError(op string, err error) error {
	if errors.Is(err, ErrNoSpace) {
		return err
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: %s: %w", ErrNoSpace, op, err)
	}
	return fmt.Errorf("spool: %s: %w", op, err)
}

// writeAll writes all of b, or fails.
func writeAll(f io.WriterAt, b []byte, off int64) error {
	n, err := f.WriteAt(b, off)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	return err
}
