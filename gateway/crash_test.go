package gateway_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"postern/gateway/delivery/track"
	"postern/gateway/lab"
	"postern/gateway/store"
)

// snapshot keeps a stopped site's data as it is; back puts it there again, as if everything since had not
// reached the disk.
func (w *world) snapshot(s *lab.Site) (back func()) {
	w.Helper()
	data := filepath.Join(s.Dir, "data")
	kept := filepath.Join(w.TempDir(), "data")
	w.ok(os.CopyFS(kept, os.DirFS(data)))
	return func() {
		w.Helper()
		w.ok(os.RemoveAll(data))
		w.ok(os.CopyFS(data, os.DirFS(kept)))
		w.ok(os.Chmod(data, 0o700))
	}
}

// The sender's gateway dies after the peer's 250 and before that is written down: the message goes out
// twice and arrives once.
func TestHandOverNotWrittenDown(t *testing.T) {
	w := newWorld(t, "")
	w.ok(w.clinic.Stop())
	id := w.send(w.hospital, w.referral(w.dr, w.intake), w.dr, w.intake)
	w.ok(w.hospital.Until(w.ctx, "the message is to wait for the clinic", func() (bool, error) {
		l, err := w.hospital.Ladder(w.ctx, id, w.intake)
		return has(l, track.Deferred), err
	}))
	w.ok(w.hospital.Stop())
	back := w.snapshot(w.hospital)
	w.ok(w.hospital.Start(w.ctx))
	w.ok(w.clinic.Start(w.ctx))
	w.ok(w.Advance(w.ctx, time.Minute))
	w.reach(w.hospital, id, w.intake, track.StateDelivered)
	w.quiet()
	w.ok(w.hospital.Stop())
	back()
	w.ok(w.hospital.Start(w.ctx))
	w.ok(w.Advance(w.ctx, time.Minute))
	w.reach(w.hospital, id, w.intake, track.StateDelivered) // told again, because asked again (DN-63)
	w.quiet()
	w.items(w.clinic, "intake", 1)
	w.items(w.hospital, "dr", 0)
	list, err := w.clinic.Store.Messages(w.ctx, store.Query{Direction: store.In})
	w.ok(err)
	if len(list) != 2 {
		t.Errorf("the clinic accepted %d copies: the test did not repeat the hand-over", len(list))
	}
}

// The recipient's gateway dies after its notices went out and before anything of it is written down: it
// files the message once and says everything twice, which changes nothing at the sender.
func TestFilingNotWrittenDown(t *testing.T) {
	w := newWorld(t, "")
	w.forgetAnchors(w.clinic)
	id := w.send(w.hospital, w.referral(w.dr, w.intake), w.dr, w.intake)
	if got := w.heldReasons(w.clinic); len(got) != 1 {
		t.Fatalf("held for %v", got)
	}
	w.ok(w.clinic.Trust(w.ctx, w.hospital.Anchor))
	w.ok(w.clinic.Stop())
	back := w.snapshot(w.clinic)
	for i := range 2 {
		if i > 0 {
			w.ok(w.clinic.Stop())
			back()
		}
		w.ok(w.clinic.Start(w.ctx))
		list, err := w.clinic.Store.HeldList(w.ctx, 10)
		w.ok(err)
		w.ok(w.clinic.Admin().HeldRelease(w.ctx, list[0].ID))
		w.items(w.clinic, "intake", 1)
		w.reach(w.hospital, id, w.intake, track.StateDelivered)
		w.quiet()
	}
	l, err := w.hospital.Ladder(w.ctx, id, w.intake)
	w.ok(err)
	n := map[track.Kind]int{}
	for _, k := range kinds(l) {
		n[k]++
	}
	if n[track.Processed] != 2 || n[track.Dispatched] != 2 || n[track.Forwarded] != 0 || n[track.Suppressed] != 2 {
		t.Errorf("after %v; want each notice twice, once suppressed", kinds(l))
	}
	w.items(w.hospital, "dr", 0)
}
