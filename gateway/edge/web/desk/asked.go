package desk

import (
	"errors"
	"time"

	"postern/gateway/clinic/staff"
	"postern/gateway/edge/web"
	"postern/gateway/store"
)

// askedDraft is a draft that somebody of the team wrote and may not send: it waits for whoever asks.
type askedDraft struct {
	Writer, Team, Path string
	Since              time.Time
}

// asked lists the drafts that whoever looks is asked to send: an answer that waits for nobody's eye is an answer
// that never leaves.
func (d *desk) asked(q *web.Request, h house) (out []askedDraft, err error) {
	if d.Draft == nil {
		return nil, nil
	}
	for _, p := range h.Pools {
		if !q.Rights.Member(p.ID) || q.Rights.InPool(p.ID) < staff.Send {
			continue
		}
		drafts, err := d.Store.DraftsAsked(q.Context(), q.Org, p.ID, 2*HomeLines)
		if err != nil {
			return nil, err
		}
		for _, v := range drafts {
			scope := v.Category
			if v.Work != "" {
				e, err := d.Store.Work(q.Context(), q.Org, v.Work)
				if err != nil && !errors.Is(err, store.ErrNotFound) {
					return nil, err
				}
				if e.Scope() == staff.Sensitive {
					scope = staff.Sensitive
				}
			}
			if v.Person != q.Person.ID && q.Rights.On(v.Pool, scope) >= staff.Send {
				out = append(out, askedDraft{h.Person(v.Person), p.Name, d.Draft(string(v.ID)), v.Changed})
			}
		}
	}
	return out, nil
}
