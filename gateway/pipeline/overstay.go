package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"postern/gateway/agent"
	"postern/gateway/delivery/queue"
	"postern/gateway/delivery/track"
	"postern/gateway/store"
	"postern/smime/addr"
)

// lookEvery is how often it is looked whether something was kept back for too long.
const lookEvery = time.Minute

// overstay ends, until ctx does, what people keep back for longer than those concerned can be left without a word:
// mail of ours not handed over by the end of T1, which runs from its acceptance for as long as nobody has it, and mail
// taken from a peer but not delivered when no such delivery is tried any longer (DN-60). Whoever put it aside may have
// forgotten it; its sender is told, and may act. What nobody keeps back ends by itself: its stage gives up in time.
func (p *Pipeline) overstay(ctx context.Context) {
	var last time.Time
	for {
		work := p.Store.Ready(queue.Clerical)
		if now := p.Now(); now.Sub(last) >= lookEvery || now.Before(last) {
			if err := p.endKept(ctx); err != nil && ctx.Err() == nil {
				p.Log.Error("what is kept back cannot be looked through; it is looked again", "error", err)
			}
			last = now
		}
		t := time.NewTimer(idle)
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-work:
		case <-t.C:
		}
		t.Stop()
	}
}

// keptAtOnce bounds the jobs that are looked at together.
const keptAtOnce = 200

func (p *Pipeline) endKept(ctx context.Context) error {
	for _, class := range []queue.Class{queue.Lookups, queue.Network} {
		for skip := 0; ; {
			jobs, err := p.Store.Kept(ctx, class, p.paused(), p.Now().Add(-min(p.Clocks.T1, p.Clocks.Inside)), skip, keptAtOnce)
			if err != nil {
				return err
			}
			for _, j := range jobs {
				ended, err := p.endOne(ctx, j)
				if err != nil && ctx.Err() == nil {
					p.Log.Error("what an operator keeps back for too long cannot be given up yet", "message", j.Message, "job", j.ID, "error", err)
				}
				if !ended {
					skip++
				}
			}
			if len(jobs) < keptAtOnce {
				break
			}
		}
	}
	return nil
}

// endOf is until when a job of a message is tried: so long its sender, or the peer's, is left without a word.
func (p *Pipeline) endOf(j queue.Job, m store.Message) time.Time {
	if j.Kind == queue.Deliver {
		return m.Received.Add(p.Clocks.Inside)
	}
	return p.giveUp(m)
}

func (p *Pipeline) paused() bool { return p.Paused != nil && p.Paused() }

// endOne settles one job in its worker's place, if it is still kept back and its time is over.
func (p *Pipeline) endOne(ctx context.Context, listed queue.Job) (ended bool, err error) {
	m, err := p.Store.Message(ctx, listed.Message)
	if err != nil || p.Now().Before(p.endOf(listed, m)) {
		return false, err
	}
	if left, clocks, err := p.undone(ctx, listed, m); err != nil || len(left)+len(clocks) == 0 {
		return false, err
	}
	j, err := p.Store.Take(ctx, listed.ID)
	switch {
	case errors.Is(err, store.ErrLeaseLost), errors.Is(err, store.ErrNotFound):
		return false, nil
	case err != nil:
		return false, err
	}
	defer func() {
		if !ended {
			if e := p.Store.Release(context.WithoutCancel(ctx), []queue.Lease{j.Lease}); e != nil {
				p.Log.Error("job not given back; it falls due when its lease ends", "job", j.ID, "error", e)
			}
		}
	}()
	if !j.Parked && !p.paused() {
		return false, nil
	}
	left, clocks, err := p.undone(ctx, j, m) // a worker may have had it, or a peer have spoken, until it was taken
	if err != nil {
		return false, err
	}
	step := store.Step{Settle: done(), Jobs: clocks, Audit: []store.AuditEntry{{Org: m.Submission.Org, Actor: "gateway", Action: "queue.give_up", Object: fmt.Sprintf("job %d", j.ID),
		Detail: map[string]any{"message": m.ID, "kind": j.Kind, "recipients": left, "kept": j.LastError, "paused": p.paused()}}}}
	if err := p.kept(ctx, &step, j, m, left); err != nil {
		return false, err
	}
	p.Log.Warn("kept back by an operator for too long: given up, and told", "message", m.ID, "job", j.ID, "kind", j.Kind, "recipients", len(left), "parked", j.Parked)
	p.place(ctx, &step)
	_, err = p.Store.Commit(ctx, j.Lease, step)
	return err == nil, err
}

// kept is what must be said when a job was kept back for too long.
func (p *Pipeline) kept(ctx context.Context, step *store.Step, j queue.Job, m store.Message, left []addr.Address) error {
	if j.Kind == queue.Deliver {
		for _, r := range left {
			p.fail(step, m, r, deliverTo(j), "5.4.7 an operator kept its delivery back until it was too late")
		}
		return nil
	}
	how := "held the message back"
	if !j.Parked {
		how = "stopped all sending"
	}
	var refused []refusal
	for _, r := range left {
		refused = append(refused, refusal{kind: track.Refused, recipient: r, status: "5.4.7", reason: agent.ReasonKept,
			text:   fmt.Sprintf("An operator of this gateway %s, and it was not sent to %s within %s.", how, r, track.Span(p.Clocks.T1)),
			advice: "It will not be sent any more. Telephone if it is urgent, ask the operator, or send it again."})
	}
	return p.refuse(ctx, step, m, refused)
}
