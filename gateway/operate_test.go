package gateway_test

import (
	"errors"
	"strings"
	"testing"

	"postern/gateway"
	"postern/gateway/audit"
	"postern/gateway/delivery/queue"
	"postern/gateway/delivery/track"
	"postern/gateway/lab"
	"postern/gateway/message"
	"postern/gateway/store"
)

// waiting is the jobs of a message of one kind.
func (w *world) waiting(s *lab.Site, id message.ID, kind queue.Kind) []queue.Job {
	w.Helper()
	jobs, err := s.Store.Jobs(w.ctx, id)
	w.ok(err)
	var out []queue.Job
	for _, j := range jobs {
		if j.Kind == kind {
			out = append(out, j)
		}
	}
	return out
}

// audited counts the audit entries of an action.
func (w *world) audited(s *lab.Site, action string) (n int) {
	w.Helper()
	w.ok(s.Store.Audit(w.ctx, func(e audit.Entry) error {
		if e.Action == action {
			n++
		}
		return nil
	}))
	return n
}

func (w *world) mode(s *lab.Site, action string) {
	w.Helper()
	_, err := s.Admin().SetMode(w.ctx, action)
	w.ok(err)
}

func (w *world) operate(s *lab.Site, action string, c store.Selection, want int64) {
	w.Helper()
	n, err := s.Admin().OperateQueue(w.ctx, gateway.QueueArg{Action: action, Selection: c})
	w.ok(err)
	if n != want {
		w.Errorf("%s %+v: %d jobs, want %d", action, c, n, want)
	}
}

func TestAPausedGatewayTakesMailAndWorksOnNothing(t *testing.T) {
	w := newWorld(t, "")
	w.mode(w.hospital, "pause")
	id := w.send(w.hospital, w.note(w.dr, w.intake), w.dr, w.intake)
	w.ok(w.hospital.Stop()) // it is still paused after a restart
	w.ok(w.hospital.Start(w.ctx))
	jobs := w.waiting(w.hospital, id, queue.Seal)
	if len(jobs) != 1 || jobs[0].Attempts != 0 {
		t.Fatalf("while paused: %+v", jobs)
	}
	w.mode(w.hospital, "resume")
	w.reach(w.hospital, id, w.intake, track.StateDone)
	w.items(w.clinic, "intake", 1)
	if w.audited(w.hospital, "queue.pause") != 1 || w.audited(w.hospital, "queue.resume") != 1 {
		t.Error("pause and resume are not in the audit")
	}
}

func TestADrainingGatewayTakesNothingNew(t *testing.T) {
	w := newWorld(t, "")
	w.mode(w.hospital, "drain")
	if err := w.hospital.Admit(w.ctx, 1000); err == nil || !strings.Contains(err.Error(), "draining") {
		t.Fatalf("admitted while draining: %v", err)
	}
	if _, err := w.hospital.Send(w.ctx, w.note(w.dr, w.intake), w.dr, w.intake); err == nil || !strings.Contains(err.Error(), "draining") || !strings.Contains(err.Error(), "not taken") {
		t.Errorf("sent while draining: %v", err)
	}
	w.mode(w.hospital, "resume")
	w.ok(w.hospital.Admit(w.ctx, 1000))
}

func TestAHeldJobWaitsForAPerson(t *testing.T) {
	w := newWorld(t, "")
	w.mode(w.hospital, "pause")
	id := w.send(w.hospital, w.note(w.dr, w.intake), w.dr, w.intake)
	w.operate(w.hospital, "hold", store.Selection{Message: id}, 1)
	w.operate(w.hospital, "hold", store.Selection{Message: id}, 0)
	w.mode(w.hospital, "resume")
	w.reach(w.hospital, w.send(w.hospital, w.note(w.dr, w.intake), w.dr, w.intake), w.intake, track.StateDone) // others pass it
	jobs := w.waiting(w.hospital, id, queue.Seal)
	if len(jobs) != 1 || !jobs[0].Parked || !strings.Contains(jobs[0].LastError, "held by") {
		t.Fatalf("held job: %+v", jobs)
	}
	w.operate(w.hospital, "resume", store.Selection{Job: jobs[0].ID}, 1)
	w.reach(w.hospital, id, w.intake, track.StateDone)
	if n := w.audited(w.hospital, "queue.hold"); n != 1 {
		t.Errorf("%d audit entries for one hold", n)
	}
}

func TestADroppedJobIsTold(t *testing.T) {
	w := newWorld(t, "")
	admin := w.hospital.Admin()
	w.mode(w.hospital, "pause")
	out := w.send(w.hospital, w.note(w.dr, w.intake), w.dr, w.intake)
	_, err := admin.DropJob(w.ctx, w.waiting(w.hospital, out, queue.Seal)[0].ID)
	w.ok(err)
	l := w.reach(w.hospital, out, w.intake, track.StateFailed)
	if l.Failure != track.Refused || !has(l, track.ToldFailed) {
		t.Errorf("dropped before it was sealed: %v", kinds(l))
	}
	if items := w.items(w.hospital, "dr", 1); !strings.Contains(string(w.saved(w.hospital, items[0])), "operator") {
		t.Error("the failure notice does not say who took the message out")
	}
	w.mode(w.hospital, "resume")

	w.mode(w.clinic, "pause")
	id := w.send(w.hospital, w.note(w.dr, w.intake), w.dr, w.intake)
	w.reach(w.hospital, id, w.intake, track.StateSent)
	in, err := w.clinic.Store.Messages(w.ctx, store.Query{Direction: store.In})
	w.ok(err)
	_, err = w.clinic.Admin().DropJob(w.ctx, w.waiting(w.clinic, in[0].ID, queue.Open)[0].ID)
	w.ok(err)
	held, err := w.clinic.Store.HeldList(w.ctx, 10)
	w.ok(err)
	if len(held) != 1 || held[0].Reason != "dropped_by_operator" {
		t.Errorf("dropped before it was opened: held %+v", held)
	}
	clock := w.waiting(w.hospital, id, queue.Timer)
	if len(clock) != 1 {
		t.Fatalf("%d clocks", len(clock))
	}
	if _, err := admin.DropJob(w.ctx, clock[0].ID); err == nil || !strings.Contains(err.Error(), "clock") {
		t.Errorf("a clock was dropped: %v", err)
	}
	w.operate(w.hospital, "retry", store.Selection{Message: id}, 0) // nor hurried
	if _, err := admin.DropJob(w.ctx, 1<<40); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("no such job: %v", err)
	}
}
