package gateway_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"postern/certs/issue"
	"postern/gateway"
	"postern/gateway/config"
	"postern/gateway/delivery/queue"
	"postern/gateway/delivery/track"
	"postern/gateway/lab"
	"postern/gateway/lab/faultdisk"
	"postern/gateway/store"
	"postern/smime/addr"
)

// onDisk restarts a site with its spool on a disk that can fail.
func (w *world) onDisk(s *lab.Site) *faultdisk.Disk {
	w.Helper()
	w.ok(s.Stop())
	d := faultdisk.New(1)
	s.Disk = d.FS()
	w.ok(s.Start(w.ctx))
	return d
}

// A disk that is full or fails at DATA: 452 (or another 4xx), nothing half kept, and service resumes by
// itself.
func TestDiskTroubleAtDATA(t *testing.T) {
	for _, c := range []struct {
		name  string
		code  int
		fault func(d *faultdisk.Disk) (undo func())
	}{
		{"no space left", 452, failing(faultdisk.Write, syscall.ENOSPC)},
		{"no space to reserve or to write", 452, failing("", syscall.ENOSPC)},
		{"below the reserve", 452, func(d *faultdisk.Disk) func() {
			d.SetFree(1 << 10)
			return func() { d.SetFree(1 << 40) }
		}},
		{"write error", 451, failing(faultdisk.Write, syscall.EIO)},
		{"sync error", 451, failing(faultdisk.Sync, syscall.EIO)},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, "")
			d := w.onDisk(w.clinic)
			p := w.stranger()
			doc := addr.MustParse("doc@stranger.example")
			text := crlf("From: <doc@stranger.example>\nTo: <intake@clinic.example>\nMessage-ID: <1@stranger.example>\nMIME-Version: 1.0\n\nHello.\n")
			sealed, err := p.Seal(w.ctx, w.certificate(p, issue.LeafOptions{Address: doc}), []byte(text), w.clinic, w.intake)
			w.ok(err)
			undo := c.fault(d)
			for range 3 {
				if err := w.clinic.Deliver(w.ctx, doc.String(), sealed, w.intake.String()); code(err) != c.code {
					t.Errorf("answered %v, want %d", err, c.code)
				}
			}
			list, err := w.clinic.Store.Messages(w.ctx, store.Query{})
			if err != nil || len(list) != 0 {
				t.Errorf("%d messages were kept, %v", len(list), err)
			}
			for row, err := range w.clinic.Store.BlobRows(w.ctx) {
				t.Errorf("blob %s was kept, %v", row.ID, err)
			}
			undo()
			w.ok(w.clinic.Deliver(w.ctx, doc.String(), sealed, w.intake.String()))
			w.items(w.clinic, "intake", 1)
		})
	}
}

func failing(op faultdisk.Op, err error) func(d *faultdisk.Disk) func() {
	return func(d *faultdisk.Disk) func() {
		d.Hook(func(o faultdisk.Op, _ string) faultdisk.Fault {
			if op == "" || o == op {
				return faultdisk.Fault{Err: err}
			}
			return faultdisk.Fault{}
		})
		return func() { d.Hook(nil) }
	}
}

// A disk that fails while messages are sealed and opened delays them and loses none.
func TestDiskTroubleInTheMiddle(t *testing.T) {
	w := newWorld(t, "")
	d := w.onDisk(w.hospital)
	id := w.send(w.hospital, w.referral(w.dr, w.intake), w.dr, w.intake)
	undo := failing(faultdisk.Write, syscall.ENOSPC)(d)
	for range 4 {
		w.quiet()
		w.ok(w.Advance(w.ctx, 2*time.Minute))
	}
	undo()
	w.ok(w.Advance(w.ctx, 10*time.Minute))
	w.reach(w.hospital, id, w.intake, track.StateDelivered)
	w.items(w.clinic, "intake", 1)
	w.quiet()
	w.items(w.hospital, "dr", 0)
}

// A socket that is taken, and a configuration that is wrong, are named with the place to look.
func TestPortInUse(t *testing.T) {
	w := newWorld(t, "")
	w.ok(w.clinic.Stop())
	for _, c := range []struct{ key, at string }{{"smtp.listen", w.clinic.SMTP}, {"submission.listen", w.clinic.Submission}, {"dns.listen", w.clinic.DNS}} {
		l, err := net.Listen("tcp", c.at)
		w.ok(err)
		err = w.clinic.Start(w.ctx)
		if err == nil || !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), c.key) || !strings.Contains(err.Error(), w.clinic.File+" line ") {
			t.Errorf("%s: %v", c.key, err)
		}
		w.ok(l.Close())
	}
	w.ok(w.clinic.Start(w.ctx)) // nothing was left half open
}

func TestMissingTLSFile(t *testing.T) {
	w := newWorld(t, "")
	w.ok(w.clinic.Stop())
	cert := filepath.Join(w.clinic.Dir, "tls", "cert.pem")
	kept, err := os.ReadFile(cert)
	w.ok(err)
	w.ok(os.Remove(cert))
	if err := w.clinic.Start(w.ctx); err == nil || !strings.Contains(err.Error(), cert) || !strings.Contains(err.Error(), w.clinic.File+" line ") {
		t.Errorf("without the certificate: %v", err)
	}
	w.ok(os.WriteFile(cert, []byte("no PEM"), 0o600))
	if err := w.clinic.Start(w.ctx); err == nil || !strings.Contains(err.Error(), cert) {
		t.Errorf("with a spoilt certificate: %v", err)
	}
	w.ok(os.WriteFile(cert, kept, 0o600))
	w.ok(w.clinic.Start(w.ctx))
}

func TestOneProcessASite(t *testing.T) {
	w := newWorld(t, "")
	c, err := config.Load(w.clinic.File)
	w.ok(err)
	if _, err := gateway.Open(w.ctx, c, gateway.Options{}); !errors.Is(err, gateway.ErrLocked) {
		t.Errorf("a second process: %v", err)
	}
}

func TestWrongMasterKey(t *testing.T) {
	w := newWorld(t, "")
	w.ok(w.clinic.Stop())
	key := filepath.Join(w.clinic.Dir, "master.key")
	other, err := os.ReadFile(filepath.Join(otherSite(w), "master.key"))
	w.ok(err)
	mine, err := os.ReadFile(key)
	w.ok(err)
	w.ok(os.WriteFile(key, other, 0o600))
	if err := w.clinic.Start(w.ctx); err == nil || !strings.Contains(err.Error(), "key") {
		t.Errorf("with another site's key: %v", err)
	}
	w.ok(os.Remove(key))
	if err := w.clinic.Start(w.ctx); err == nil || !strings.Contains(err.Error(), key) {
		t.Errorf("without a key: %v", err)
	}
	if _, err := os.Stat(key); !os.IsNotExist(err) {
		t.Error("a new key was made")
	}
	w.ok(os.WriteFile(key, mine, 0o600))
	w.ok(w.clinic.Start(w.ctx))
}

func otherSite(w *world) string { return w.hospital.Dir }

// A site outlives its clock going back and forth: nothing is lost, nothing is said twice.
func TestNothingHappensTwiceWhenRestartedIdle(t *testing.T) {
	w := newWorld(t, "")
	id := w.send(w.hospital, w.referral(w.dr, w.intake), w.dr, w.intake)
	w.reach(w.hospital, id, w.intake, track.StateDelivered)
	w.quiet()
	for range 3 {
		for _, s := range w.Sites {
			w.ok(s.Stop())
			w.ok(s.Start(w.ctx))
		}
		w.ok(w.Advance(w.ctx, time.Hour))
		w.quiet()
	}
	w.items(w.clinic, "intake", 1)
	w.items(w.hospital, "dr", 0)
	list, err := w.clinic.Store.Messages(w.ctx, store.Query{Direction: store.Out})
	w.ok(err)
	if len(list) != 2 {
		t.Errorf("the clinic wrote %d notices", len(list))
	}
}

// What a message leaves behind is swept once it is settled, and its inbox item stays readable.
func TestSweepKeepsWhatIsNeeded(t *testing.T) {
	w := newWorld(t, "")
	text := w.referral(w.dr, w.intake)
	id := w.send(w.hospital, text, w.dr, w.intake)
	w.reach(w.hospital, id, w.intake, track.StateDelivered)
	w.quiet()
	w.ok(w.Advance(w.ctx, time.Hour))
	w.quiet()
	blobs := func(s *lab.Site) (n int) {
		for _, err := range s.Store.BlobRows(w.ctx) {
			w.ok(err)
			n++
		}
		return n
	}
	before := blobs(w.clinic)
	w.ok(w.clinic.Sweep(w.ctx))
	if blobs(w.clinic) != before {
		t.Error("bytes younger than a week were swept")
	}
	w.ok(w.Advance(w.ctx, store.SettledFor+time.Hour))
	for _, s := range w.Sites {
		w.ok(s.Sweep(w.ctx))
	}
	if n := blobs(w.clinic); n != 1 {
		t.Errorf("%d blobs are left at the clinic, want the inbox item's", n)
	}
	if n := blobs(w.hospital); n != 0 {
		t.Errorf("%d blobs are left at the hospital", n)
	}
	if got := w.saved(w.clinic, w.items(w.clinic, "intake", 1)[0]); string(got) != text {
		t.Error("the item changed")
	}
	if _, err := w.hospital.Admin().Trace(w.ctx, id); err != nil {
		t.Errorf("the trace is gone: %v", err)
	}
}

// A message that this gateway can never send on, whatever the fault, ends with a word to its sender.
func TestPoisonIsTold(t *testing.T) {
	w := newWorld(t, "")
	w.DNS.Set("away.example", lab.ServFail)
	lost := addr.MustParse("dr@away.example")
	id := w.send(w.hospital, w.note(w.dr, lost), w.dr, lost)
	w.ok(w.hospital.Until(w.ctx, "a retry is to be noted", func() (bool, error) {
		l, err := w.hospital.Ladder(w.ctx, id, lost)
		return has(l, track.Deferred), err
	}))
	w.quiet()
	m, err := w.hospital.Store.Message(w.ctx, id)
	w.ok(err)
	w.ok(w.hospital.Store.ForgetBlob(w.ctx, m.Blob)) // its bytes are gone
	for range queue.MaxAttempts {
		w.items(w.hospital, "dr", 0)
		w.ok(w.Advance(w.ctx, 20*time.Minute))
		w.quiet()
		if l, err := w.hospital.Ladder(w.ctx, id, lost); err != nil || l.State == track.StateFailed {
			break
		}
	}
	l := w.reach(w.hospital, id, lost, track.StateFailed)
	if l.Failure != track.Refused {
		t.Errorf("failed by %s", l.Failure)
	}
	w.oneDSN(id, "5.3.0", lost)
	lines, err := w.hospital.Admin().Queue(w.ctx, id)
	w.ok(err)
	if len(lines) != 1 || !strings.Contains(lines[0].LastError, "missing") {
		t.Fatalf("queue %+v, want the parked job with its fault", lines)
	}
	_, err = w.hospital.Admin().DropJob(w.ctx, lines[0].Job) // and who clears it away does not tell it again
	w.ok(err)
	w.quiet()
	w.oneDSN(id, "5.3.0", lost)
	w.items(w.hospital, "dr", 1)
}
