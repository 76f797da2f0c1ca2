package write

import (
	"context"
	"errors"
	"sync"

	"postern/gateway/clinic/letter"
	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/work"
	"postern/gateway/edge/web"
	"postern/gateway/store"
)

// turns lets one request at a time act on a draft, so that a button pressed twice, or by two people, sends one
// message: the second waits for the first and is shown what came of it.
type turns struct {
	mu sync.Mutex
	at map[letter.ID]chan struct{} // closed when the turn is over
}

// take waits for the draft's turn; leave ends it.
func (t *turns) take(ctx context.Context, id letter.ID) (leave func(), err error) {
	for {
		t.mu.Lock()
		busy, taken := t.at[id]
		if !taken {
			done := make(chan struct{})
			t.at[id] = done
			t.mu.Unlock()
			return func() {
				t.mu.Lock()
				delete(t.at, id)
				t.mu.Unlock()
				close(done)
			}, nil
		}
		t.mu.Unlock()
		select {
		case <-busy:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// errPressed means that the form was sent before: a draft of its id is there.
var errPressed = errors.New("write: the form was sent before")

// named gives a new draft the id that its form was written with, and its turn. A form that comes a second time is
// errPressed.
func (p *pen) named(q *web.Request, d *letter.Draft) (leave func(), err error) {
	if id := letter.ID(q.PostForm.Get("draft")); id.Valid() {
		d.ID = id
	}
	if leave, err = p.turns.take(q.Context(), d.ID); err != nil {
		return nil, err
	}
	_, err = p.Desk.Load(q.Context(), q.Org, d.ID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return leave, nil
	case err == nil:
		err = errPressed
	}
	leave()
	return nil, err
}

// pressed leads on from a form that came a second time: to what became of the first.
func (p *pen) pressed(q *web.Request, id letter.ID) error {
	d, err := p.Desk.Load(q.Context(), q.Org, id)
	if err != nil {
		return err
	}
	if d.State == letter.Sent {
		return p.left(q, d)
	}
	if l, err := p.level(q, d); err != nil || l == staff.None || d.State == letter.Thrown {
		return errors.Join(err, web.ErrNotFound)
	}
	return q.See("/write/draft/"+string(id), "That form was sent before. What it kept stands here; what you changed in it since does not.")
}

// left shows the message as which a draft left, to whoever may see it.
func (p *pen) left(q *web.Request, d letter.Draft) error {
	scope, err := p.scope(q, d.Work, d.Category)
	if err != nil {
		return err
	}
	if q.Rights.On(d.Pool, scope) < staff.Read {
		return web.ErrNotFound
	}
	return q.See("/sent/"+string(d.Message), "It has been sent already, once.")
}

// scope is the category that decides who may see what is written: an answer to what is sensitive is sensitive.
func (p *pen) scope(q *web.Request, id work.ID, c staff.Category) (staff.Category, error) {
	if id == "" {
		return c, nil
	}
	e, err := p.Store.Work(q.Context(), q.Org, id)
	switch {
	case errors.Is(err, store.ErrNotFound): // it went, as old messages do
		return c, nil
	case err == nil && e.Scope() == staff.Sensitive:
		return staff.Sensitive, nil
	}
	return c, err
}
