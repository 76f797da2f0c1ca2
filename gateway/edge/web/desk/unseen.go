package desk

import (
	"cmp"
	"errors"
	"fmt"

	"postern/gateway/clinic/pool"
	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/work"
	"postern/gateway/edge/web"
	"postern/gateway/store"
)

// unseenError is an act after which nobody of the team could open the message: it is done only by who insists.
type unseenError struct{ text string }

func (e *unseenError) Error() string { return e.text }

// unseen says what is wrong with an act after which nobody could work on the message: passed to a team of which nobody
// may, or made sensitive where nobody may open what is. nil is nothing.
func (d *desk) unseen(q *web.Request, c work.Change) error {
	at, scope := cmp.Or(c.Pool, q.Work.Pool), q.Work.Scope()
	switch {
	case c.Act == work.Pass && c.To == "" && at != q.Work.Pool:
	case c.Act == work.SetSensitive && c.Sensitive:
		scope = staff.Sensitive
	default:
		return nil
	}
	h, err := d.house(q)
	if err != nil {
		return err
	}
	able, err := d.mayWork(q, h, at, scope)
	if err != nil || len(able) > 0 {
		return err
	}
	if _, err := d.Store.Pool(q.Context(), q.Org, at); errors.Is(err, store.ErrNotFound) {
		return nil // Apply says that there is no such team
	} else if err != nil {
		return err
	}
	what := "open this"
	if scope == staff.Sensitive {
		what = "open sensitive messages"
	}
	return &unseenError{fmt.Sprintf("Nobody of %s may %s: it would wait there unseen.", h.Pool(at), what)}
}

// destination is a team that a message can be passed to.
type destination struct {
	pool.Pool
	Unseen bool // nobody there may work on it
}

// destinations are the other teams, each with whether somebody there could work on such a message.
func (d *desk) destinations(q *web.Request, h house, e work.Entry) ([]destination, error) {
	var out []destination
	for _, v := range h.Pools {
		if v.ID == e.Pool {
			continue
		}
		able, err := d.mayWork(q, h, v.ID, e.Scope())
		if err != nil {
			return nil, err
		}
		out = append(out, destination{v, len(able) == 0})
	}
	return out, nil
}
