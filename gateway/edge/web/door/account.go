package door

import (
	"errors"
	"time"

	"postern/gateway/auth"
	"postern/gateway/clinic/staff"
	"postern/gateway/edge/web"
	"postern/gateway/store"
)

// accountData is the dot of the account page.
type accountData struct {
	Least    int
	Sessions []sessionLine
	Zones    []string
	Factors  factors
	Keys     bool // passkeys can be had here
	Lately   []lateLine
}

type sessionLine struct {
	auth.Session
	Short string // enough of the hash to name it, and of no use to anybody
	Here  bool
}

func (d *door) accountData(q *web.Request) (accountData, error) {
	data := accountData{Least: auth.MinPassword, Zones: zones(), Keys: d.keys != nil}
	var err error
	if data.Sessions, err = d.sessions(q, q.Person); err != nil {
		return data, err
	}
	if data.Lately, err = d.lately(q, q.Person); err != nil {
		return data, err
	}
	data.Factors, err = d.factors(q.Context(), q.Person)
	return data, err
}

// sessions are the browsers in which a person is signed in now.
func (d *door) sessions(q *web.Request, p staff.Person) (out []sessionLine, err error) {
	all, err := d.Store.Sessions(q.Context(), p.Org, p.ID)
	for _, s := range all {
		if s.Alive(q.Now) {
			out = append(out, sessionLine{s, s.Hash[:16], s.Hash == q.Session.Hash})
		}
	}
	return out, err
}

// endSession ends the session of a person that a form names by the beginning of its hash.
func (d *door) endSession(q *web.Request, p staff.Person, which string, action string, detail map[string]any) error {
	all, err := d.Store.Sessions(q.Context(), p.Org, p.ID)
	if err != nil {
		return err
	}
	for _, s := range all {
		if s.Hash[:16] == which {
			detail["where"] = s.Agent
			return d.Store.EndSession(q.Context(), p.Org, p.ID, s.Hash, entry(q, p, action, detail))
		}
	}
	return web.ErrNotFound
}

func (d *door) showAccount(q *web.Request) error {
	data, err := d.accountData(q)
	if err != nil {
		return err
	}
	return q.Page(d.account, "Your account", data)
}

// againAccount shows the account page for a form that was refused.
func (d *door) againAccount(q *web.Request, refusal error) error {
	data, err := d.accountData(q)
	if err != nil {
		return err
	}
	return q.Again(d.account, "Your account", data, refusal)
}

func (d *door) setPassword(q *web.Request) error {
	if _, err := d.verify(q, q.Org, q.Person.Login, q.PostForm.Get("password")); err != nil {
		var refusal *web.Refusal
		if errors.As(err, &refusal) {
			err = &web.Invalid{Field: "password", Text: "That is not your password now."}
		}
		return d.againAccount(q, err)
	}
	record, err := d.newPassword(q, q.Person)
	if err != nil {
		return d.againAccount(q, err)
	}
	if err := d.Store.SetPassword(q.Context(), q.Person, record, q.Session.Hash, entry(q, q.Person, "person.password", map[string]any{"by": "person"})); err != nil {
		return err
	}
	return q.See("/account", "Your password is changed. Every other browser is signed out.")
}

func (d *door) setZone(q *web.Request) error {
	p := q.Person
	p.Zone = q.PostForm.Get("zone")
	if _, err := time.LoadLocation(p.Zone); err != nil || p.Zone == "" || p.Zone == "Local" {
		return d.againAccount(q, &web.Invalid{Field: "zone", Text: "There is no such time zone. One is America/Chicago."})
	}
	if err := d.Store.SetPerson(q.Context(), p, true, entry(q, p, "person.zone", map[string]any{"zone": p.Zone})); err != nil {
		return err
	}
	return q.See("/account", "Times are shown in "+p.Zone+".")
}

// endSessions ends one other session, or all of them.
func (d *door) endSessions(q *web.Request) error {
	ctx := q.Context()
	switch which := q.PostForm.Get("which"); which {
	case "all":
		if err := d.Store.EndSessions(ctx, q.Org, q.Person.ID, "", entry(q, q.Person, "person.sign_out", map[string]any{"where": "everywhere"})); err != nil {
			return err
		}
		q.Forget()
		return q.See("/sign-in", "You are signed out everywhere.")
	default:
		if err := d.endSession(q, q.Person, which, "person.sign_out", map[string]any{}); err != nil && !errors.Is(err, web.ErrNotFound) && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		return q.See("/account", "That browser is signed out.")
	}
}

func (d *door) showSettings(q *web.Request) error {
	return q.Page(d.index, "Settings", q.Settings())
}

// zones are offered while typing; every name of the IANA list is taken.
func zones() []string {
	return []string{"America/New_York", "America/Detroit", "America/Chicago", "America/Denver", "America/Phoenix", "America/Los_Angeles",
		"America/Anchorage", "Pacific/Honolulu", "America/Puerto_Rico", "Pacific/Guam", "UTC", "Europe/London", "Europe/Berlin"}
}
