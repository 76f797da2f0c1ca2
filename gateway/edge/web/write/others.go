package write

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"postern/gateway/clinic/letter"
	"postern/gateway/clinic/staff"
	"postern/gateway/edge/web"
	"postern/gateway/store"
)

// others are who else is at the message a draft answers, or has answered it.
type others struct {
	Writing  []other
	Answered []other // every answer there is
	News     []other // those of which the draft's writer did not know when it was begun
}

// other is somebody else, since when or when, and the path of what they sent.
type other struct {
	Name, Path string
	At         time.Time
}

// Known is how many answers whoever reads the page has been told of.
func (o others) Known() int { return len(o.Answered) }

// Any reports whether there is something to tell.
func (o others) Any() bool { return len(o.Writing)+len(o.Answered) > 0 }

// words tells of them in sentences.
func (o others) words(zone *time.Location) string {
	var out []string
	list := o.News
	if len(list) == 0 {
		list = o.Answered
	}
	for _, v := range list {
		out = append(out, fmt.Sprintf("%s answered this at %s.", v.Name, v.At.In(zone).Format("15:04:05 on 2 Jan")))
	}
	for _, v := range o.Writing {
		out = append(out, fmt.Sprintf("%s is writing an answer since %s.", v.Name, v.At.In(zone).Format("15:04")))
	}
	return strings.Join(append(out, "Look at that first; if a second answer is right, send yours all the same."), " ")
}

// others finds who else answers what a draft answers; people are those of the organisation.
func (p *pen) others(q *web.Request, d letter.Draft, people []staff.Person) (o others, err error) {
	if !d.Answers() {
		return o, nil
	}
	writers, err := p.Store.Writers(q.Context(), q.Org, d.Work)
	if err != nil {
		return o, err
	}
	for _, w := range writers {
		i := slices.IndexFunc(people, func(x staff.Person) bool { return x.ID == w.Person })
		if i >= 0 && w.Person != q.Person.ID && w.Person != d.Person {
			o.Writing = append(o.Writing, other{Name: people[i].Name, At: w.Since})
		}
	}
	answers, err := p.Store.AnswersTo(q.Context(), q.Org, d.Work)
	if err != nil {
		return o, err
	}
	for _, a := range answers {
		v := other{Name: a.By, At: a.At}
		if i := slices.IndexFunc(people, func(x staff.Person) bool { return x.Login == a.By }); i >= 0 {
			v.Name = people[i].Name
		}
		if a.By == q.Person.Login {
			v.Name = "You"
		}
		if _, err := p.Store.SentMessage(q.Context(), q.Org, a.Message); err == nil {
			v.Path = "/sent/" + string(a.Message)
		} else if !errors.Is(err, store.ErrNotFound) {
			return o, err
		}
		o.Answered = append(o.Answered, v)
	}
	o.News = o.Answered[min(max(d.Known, 0), len(o.Answered)):]
	return o, nil
}
