package desk

import (
	"crypto/sha256"
	"encoding/hex"
	"html/template"
	"strconv"
	"time"

	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/work"
	"postern/gateway/edge/web"
)

// How often a live page is made anew at most, and at least, so that ages grow and rights that ended are felt.
const (
	liveRest = time.Second
	liveBeat = 30 * time.Second
)

// fingerprint is how a live piece is recognised: the page names what it shows, so that nothing is missed between the page
// and its stream, and nothing is sent that is there already.
func fingerprint(h template.HTML) string {
	sum := sha256.Sum256([]byte(h))
	return hex.EncodeToString(sum[:8])
}

// live sends the element again whenever it looks different from what the page shows, until the browser leaves.
func (d *desk) live(q *web.Request, id string, make func() (web.Replace, string, error)) error {
	last := q.URL.Query().Get("seen")
	return q.Stream(func(send func(event string, data any) error) error {
		for {
			work, people := d.Store.DeskChanged(), d.here.wait()
			q.Now = d.Clock().UTC()
			if err := d.refresh(q); err != nil {
				return err
			}
			piece, title, err := make()
			if err != nil {
				return err
			}
			piece.ID = id
			if sum := fingerprint(piece.HTML); sum != last {
				last = sum
				if err := send("replace", piece); err != nil {
					return err
				}
				if title != "" {
					if err := send("title", title+" · Postern"); err != nil {
						return err
					}
				}
			}
			if !pause(q, liveRest, nil, nil) || !pause(q, liveBeat, work, people) {
				return nil
			}
		}
	})
}

// refresh works out the rights anew: a page that stays open shows nothing that was taken from its reader meanwhile.
func (d *desk) refresh(q *web.Request) error {
	p, err := d.Store.Person(q.Context(), q.Org, q.Person.ID)
	if err != nil {
		return err
	}
	ms, err := d.Store.Memberships(q.Context(), q.Org, p.ID)
	if err != nil {
		return err
	}
	emergency, err := d.Store.Emergencies(q.Context(), q.Org, p.ID)
	q.Person, q.Rights = p, staff.Of(p, ms, emergency, q.Now)
	return err
}

// pause waits for a time or one of two signs; it is false when the browser left.
func pause(q *web.Request, d time.Duration, a, b <-chan struct{}) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-q.Context().Done():
		return false
	case <-t.C:
	case <-a:
	case <-b:
	}
	return true
}

func (d *desk) liveHome(q *web.Request) error {
	return d.live(q, "home", func() (web.Replace, string, error) {
		p, err := d.homeOf(q)
		if err != nil {
			return web.Replace{}, "", err
		}
		html, err := q.Render(d.homeLive, p)
		return web.Replace{HTML: html}, p.title(), err
	})
}

func (d *desk) liveList(q *web.Request) error {
	return d.live(q, "list", func() (web.Replace, string, error) {
		p, err := d.listOf(q)
		if err != nil {
			return web.Replace{}, "", err
		}
		html, err := q.Render(d.listLive, p)
		return web.Replace{HTML: html}, p.title(), err
	})
}

// liveItem keeps the sign of who is here and what changed; the page itself is not replaced under somebody's hands.
func (d *desk) liveItem(q *web.Request) error {
	id, who := q.Work.ID, q.Person.ID
	defer d.here.leave(id, who)
	seen := q.Work // as the page showed it
	count := func(name string, or int) int {
		if n, err := strconv.Atoi(q.URL.Query().Get(name)); err == nil {
			return n
		}
		return or
	}
	seen.Version = int64(count("version", int(seen.Version)))
	var began *now
	return d.live(q, "now", func() (web.Replace, string, error) {
		d.here.look(id, who, q.Now)
		e, err := d.Store.Work(q.Context(), q.Org, id)
		if err != nil {
			return web.Replace{}, "", err
		}
		if q.Rights.On(e.Pool, e.Scope()) < staff.Read {
			return web.Replace{}, "", web.ErrNotFound
		}
		p, err := d.nowOf(q, e, seen)
		if err != nil {
			return web.Replace{}, "", err
		}
		if began == nil {
			began = &now{Notes: count("notes", p.Notes), Answers: count("answers", p.Answers)}
		}
		p.since(*began)
		html, err := q.Render(d.itemLive, p)
		return web.Replace{HTML: html}, "", err
	})
}

// now is who else is here, and what changed since the page was opened.
type now struct {
	Item    work.ID
	Looking []string
	Writing []string
	Answers int
	Notes   int
	Changed []string // what changed since the page was opened, in sentences
}

// since says what came since the page was opened.
func (n *now) since(began now) {
	if n.Answers > began.Answers {
		n.Changed = append(n.Changed, "An answer was sent.")
	}
	if n.Notes > began.Notes {
		n.Changed = append(n.Changed, "There is a new note.")
	}
}

func (d *desk) nowOf(q *web.Request, e, seen work.Entry) (now, error) {
	n := now{Item: e.ID}
	h, err := d.house(q)
	if err != nil {
		return n, err
	}
	for _, p := range d.here.others(e.ID, q.Person.ID, q.Now) {
		n.Looking = append(n.Looking, h.Person(p))
	}
	writers, err := d.Store.Writers(q.Context(), q.Org, e.ID)
	if err != nil {
		return n, err
	}
	for _, w := range writers {
		if w.Person != q.Person.ID {
			n.Writing = append(n.Writing, h.Person(w.Person))
		}
	}
	answers, err := d.Store.AnswersTo(q.Context(), q.Org, e.ID)
	if err != nil {
		return n, err
	}
	notes, err := d.Store.Notes(q.Context(), q.Org, e.ID)
	n.Answers, n.Notes = len(answers), len(notes)
	if e.Version != seen.Version {
		n.Changed = append(n.Changed, "Meanwhile "+stands(h, e)+".")
	}
	return n, err
}

// stands says in words where an entry is.
func stands(h house, e work.Entry) string {
	switch e.State {
	case work.New:
		return "nobody has this; it is with " + h.Pool(e.Pool)
	case work.Taken:
		return h.Person(e.Owner) + " has this"
	case work.Waiting:
		return h.Person(e.Owner) + " waits for something"
	}
	if e.Owner == "" {
		return "finished; nobody had it"
	}
	return h.Person(e.Owner) + " finished this"
}
