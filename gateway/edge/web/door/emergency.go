package door

import (
	"crypto/rand"
	"strings"
	"time"
	"unicode/utf8"

	"postern/gateway/clinic/staff"
	"postern/gateway/edge/web"
	"postern/gateway/store"
)

// Limits of emergency access.
const (
	MinReason = 15  // characters
	MaxReason = 500 // characters
	shownFor  = 90 * 24 * time.Hour
)

// emergencies is the pages of access in an emergency: taken by a person, for a reason, for an hour, and seen by who
// answers for the pool.
func (d *door) emergencies() []web.Route {
	return []web.Route{
		{Method: "GET", Pattern: "/emergency", Need: web.SignedIn(), Handle: d.showEmergency,
			Setting: web.Setting{Name: "Emergency access", Text: "Read what a team has that is not yours, for a reason, for one hour", Icon: "alert"}},
		{Method: "POST", Pattern: "/emergency", Need: web.SignedIn(), Fresh: true, Handle: d.takeEmergency},
		{Method: "POST", Pattern: "/emergency/end", Need: web.SignedIn(), Handle: d.endEmergency},
		{Method: "POST", Pattern: "/emergency/seen", Need: web.SignedIn(), Handle: d.answerEmergency},
	}
}

// emergencyData is the dot of the page.
type emergencyData struct {
	May   bool   // this person may take it
	Pools []Pool // that are not theirs
	Mine  []emergencyLine
	Seen  []emergencyLine // what others took, for whom answers for it
	Chief bool            // sees all of the organisation
	Least int
}

type emergencyLine struct {
	store.Emergency
	PoolName string
	Open     bool
	Answer   bool // this person answers for it
}

// mayBreak tells who may take emergency access: who treats patients or sends them on.
func mayBreak(r staff.Role) bool { return r != staff.TrustAdministrator }

func (d *door) emergencyData(q *web.Request) (emergencyData, error) {
	ctx := q.Context()
	data := emergencyData{May: mayBreak(q.Person.Role), Least: MinReason, Chief: q.Rights.Can(staff.ManagePeople)}
	pools, err := d.Pools(ctx, q.Org)
	if err != nil {
		return data, err
	}
	byID := map[string]Pool{}
	for _, p := range pools {
		byID[p.ID] = p
		if !q.Rights.Member(p.ID) && q.Rights.Emergency(p.ID).IsZero() {
			data.Pools = append(data.Pools, p)
		}
	}
	all, err := d.Store.EmergenciesSince(ctx, q.Org, q.Now.Add(-shownFor))
	for _, e := range all {
		p := byID[e.Pool]
		line := emergencyLine{Emergency: e, PoolName: p.Name, Open: q.Now.Before(e.Until), Answer: p.Owner == q.Person.ID || p.Owner == "" && data.Chief}
		if e.Person == q.Person.ID {
			if line.Open {
				data.Mine = append(data.Mine, line)
			}
			line.Answer = false // nobody answers for themselves
		}
		if line.Answer || data.Chief || e.Person == q.Person.ID {
			data.Seen = append(data.Seen, line)
		}
	}
	return data, err
}

func (d *door) showEmergency(q *web.Request) error {
	data, err := d.emergencyData(q)
	if err != nil {
		return err
	}
	return q.Page(d.emergency, "Emergency access", data)
}

func (d *door) takeEmergency(q *web.Request) error {
	data, err := d.emergencyData(q)
	if err != nil {
		return err
	}
	if !data.May {
		return web.ErrNotFound
	}
	pool, reason := q.PostForm.Get("pool"), strings.Join(strings.Fields(q.PostForm.Get("reason")), " ")
	known := false
	for _, p := range data.Pools {
		known = known || p.ID == pool
	}
	switch n := utf8.RuneCountInString(reason); {
	case !known:
		err = &web.Invalid{Field: "pool", Text: "Choose a team."}
	case n < MinReason || n > MaxReason:
		err = &web.Invalid{Field: "reason", Text: "Say in a sentence why you need it now. Name no patient."}
	}
	if err != nil {
		return q.Again(d.emergency, "Emergency access", data, err)
	}
	b := staff.BreakGlass{ID: "e-" + strings.ToLower(rand.Text()[:20]), Person: q.Person.ID, Pool: pool, Reason: reason, At: q.Now, Until: q.Now.Add(staff.BreakGlassTime)}
	e := entry(q, q.Person, "emergency.open", map[string]any{"pool": pool, "until": b.Until, "emergency": b.ID})
	if err := d.Store.AddEmergency(q.Context(), q.Org, b, e); err != nil {
		return err
	}
	return q.See("/emergency", "You may read what that team has for one hour. Who answers for it is told.")
}

func (d *door) endEmergency(q *web.Request) error {
	id := q.PostForm.Get("which")
	if err := d.Store.EndEmergency(q.Context(), q.Org, id, q.Person.ID, entry(q, q.Person, "emergency.close", map[string]any{"emergency": id})); err != nil {
		return err
	}
	return q.See("/emergency", "Closed.")
}

func (d *door) answerEmergency(q *web.Request) error {
	data, err := d.emergencyData(q)
	if err != nil {
		return err
	}
	id := q.PostForm.Get("which")
	for _, e := range data.Seen {
		if e.ID == id && e.Answer {
			if err := d.Store.AnswerEmergency(q.Context(), q.Org, id, q.Person, entry(q, q.Person, "emergency.seen", map[string]any{"emergency": id})); err != nil {
				return err
			}
			return q.See("/emergency", "Noted that you have seen it.")
		}
	}
	return web.ErrNotFound
}
