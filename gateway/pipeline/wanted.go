package pipeline

import (
	"context"

	"postern/gateway/delivery/queue"
	"postern/gateway/delivery/track"
	"postern/gateway/message"
	"postern/gateway/store"
	"postern/smime/addr"
)

// wanted is the recipients of a job tried before for whom it is still to be done, by their ladders. Whoever was told
// that a message failed may send it again or telephone, so it goes no more, whoever puts the job back to work. And
// a message that the peer has confirmed is there, though no answer to its delivery ever came: sending it again could
// only end in a failure that is none. What remains of such a one is its clocks.
func (p *Pipeline) wanted(ctx context.Context, step *store.Step, j queue.Job, m store.Message) ([]addr.Address, error) {
	if j.LastError == "" || m.Kind != message.Mail {
		return j.Recipients, nil
	}
	events, err := p.Store.Events(ctx, m.ID)
	if err != nil {
		return nil, err
	}
	ladders := track.Fold(events)
	var out []addr.Address
	for _, r := range j.Recipients {
		switch l := ladders[track.Key{Message: m.ID, Recipient: r.Key()}]; {
		case l.State == track.StateFailed:
			p.Log.Info("not sent any more: its failure was told", "message", m.ID, "job", j.ID, "failure", l.Failure)
		case l.Role == track.Outgoing && l.State != track.StateNew && l.State != "":
			if !l.Terminal {
				step.Jobs = append(step.Jobs, p.clock(m, 0, r)) // looks at once how long it may still wait
			}
		default:
			out = append(out, r)
		}
	}
	return out, nil
}

// undone is the recipients of a job whose fate is still open, which are those to be told when it goes undone, and the
// clocks of those whom peers have confirmed meanwhile: a ladder that ended was told of before, and nobody is told
// twice.
func (p *Pipeline) undone(ctx context.Context, j queue.Job, m store.Message) (left []addr.Address, clocks []queue.Job, err error) {
	events, err := p.Store.Events(ctx, m.ID)
	if err != nil {
		return nil, nil, err
	}
	ladders := track.Fold(events)
	for _, r := range j.Recipients {
		switch l := ladders[track.Key{Message: m.ID, Recipient: r.Key()}]; l.State {
		case track.StateNew, track.StateTrusted, track.StateRetrying:
			left = append(left, r)
		case track.StateSent, track.StateProcessed: // told of by a clock, which nothing else of this job would begin
			clocks = append(clocks, p.clock(m, 0, r))
		}
	}
	return left, clocks, nil
}
