// Package week fills two gateways with a believable week of a clinic: its staff, teams and rules, and some twenty
// messages that a hospital's and a family practice's gateway sealed and sent over SMTP, and that people of the
// clinic took, passed on, answered and finished on its pages.
//
// Nothing is written into a database behind the gateways' backs: Play runs both, in this process, with a clock that
// begins six days before and goes from one event to the next. What is backdated is the clock alone, and what
// people do, they do with the forms of the pages. The same week comes out each time, but for keys and ids.
//
// No account has a password: Play gives a one-time link for each person. Every document is made here (paper.go) or
// comes from package sample.
//
// Limits: two gateways; Patience for one event.
package week

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"postern/gateway"
	"postern/gateway/clinic/compose"
	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/work"
	"postern/gateway/delivery/track"
	"postern/gateway/message"
	"postern/gateway/store"
	"postern/smime/addr"
)

// Patience is how long one event may take.
const Patience = 2 * time.Minute

// Zone is where the clinic is.
const Zone = "America/Los_Angeles"

// Begins is the time at which the sites of a week that ends now must have been made.
func Begins(now time.Time) time.Time { return now.Add(-7 * 24 * time.Hour) }

// Domains of the two gateways. The hospital's hosts its family practice, and an imaging centre that the clinic has no
// reason to trust.
var (
	Clinic   = addr.MustDomain("direct.hillside.example")
	Hospital = addr.MustDomain("direct.mercy.example")
	Practice = addr.MustDomain("direct.lakeview.example")
	Imaging  = addr.MustDomain("direct.uptown-imaging.example")
)

// Options say what to fill.
type Options struct {
	Clinic, Hospital string // configuration files of two sites made at Begins, that know where each other is
	Web              string // where the clinic's pages listen, host:port
	URL              string // their public URL
	Now              time.Time
	Clock            *Clock // nil is a new one; it shows Now at the end, and goes on
	Log              *slog.Logger
}

// Invitation is a person of the clinic with the one-time link by which they choose a password.
type Invitation struct {
	staff.Person
	Link string
	Ends time.Time
}

// Played is what came of it.
type Played struct {
	People   []Invitation
	Messages int // that travelled from gateway to gateway
	Acts     int // forms that people of the clinic sent
	Items    map[string]work.ID
}

// player is a week under way.
type player struct {
	Options
	ctx              context.Context
	clock            *Clock
	zone             *time.Location
	clinic, hospital *Running
	people           map[string]staff.Person
	pools            map[string]string
	hands            *hands
	out              Played
	rfc              map[string]string // Message-IDs by name, for answers
}

// Play fills both sites. Neither may be open; both are closed again afterwards.
func Play(ctx context.Context, o Options) (out Played, err error) {
	p := &player{Options: o, ctx: ctx, clock: o.Clock, people: map[string]staff.Person{}, pools: map[string]string{}, rfc: map[string]string{}}
	if p.clock == nil {
		p.clock = &Clock{}
	}
	if p.Log == nil {
		p.Log = slog.New(slog.DiscardHandler)
	}
	p.out.Items = map[string]work.ID{}
	if p.zone, err = time.LoadLocation(Zone); err != nil {
		return out, fmt.Errorf("week: %w", err)
	}
	p.clock.Set(Begins(o.Now).Add(time.Minute))
	for _, s := range []struct {
		at   **Running
		file string
	}{{&p.hospital, o.Hospital}, {&p.clinic, o.Clinic}} {
		if *s.at, err = open(ctx, s.file, p.clock, p.Log); err != nil {
			return out, err
		}
		defer func() { err = errors.Join(err, (*s.at).Stop()) }()
	}
	p.hands = newHands(p, o.Web, o.URL)
	if err := p.partners(); err != nil { // before they run, so that their DNS has it all from the first question on
		return p.out, err
	}
	for _, s := range []*Running{p.hospital, p.clinic} {
		if err := s.run(ctx); err != nil {
			return p.out, err
		}
	}
	for _, step := range []func() error{p.staff, p.rules, p.book, p.script, p.links} {
		if err := step(); err != nil {
			return p.out, err
		}
	}
	return p.out, nil
}

// at moves the clock to a time of a day of the week, 0 being the last one, and never back nor beyond the end.
func (p *player) at(day int, hour string) error {
	t, err := time.Parse("15:04", hour)
	if err != nil {
		return fmt.Errorf("week: %w", err)
	}
	d := p.Now.In(p.zone).AddDate(0, 0, day)
	return p.to(time.Date(d.Year(), d.Month(), d.Day(), t.Hour(), t.Minute(), 5, 0, p.zone))
}

// before moves the clock to a time before the end.
func (p *player) before(d time.Duration) error { return p.to(p.Now.Add(-d)) }

func (p *player) to(t time.Time) error {
	if now := p.clock.Now(); t.Before(now) {
		t = now.Add(time.Minute)
	}
	if t.After(p.Now) {
		t = p.Now
	}
	p.clock.Set(t)
	if err := errors.Join(p.hospital.wake(p.ctx), p.clinic.wake(p.ctx)); err != nil {
		return err
	}
	return p.rest()
}

// rest waits until everything that was sent is where it goes.
func (p *player) rest() error {
	ctx, cancel := context.WithTimeoutCause(p.ctx, Patience, fmt.Errorf("week: not within %s", Patience))
	defer cancel()
	return quiet(ctx, p.clock, p.hospital, p.clinic)
}

// mail is one message to the clinic.
type mail struct {
	Name          string // by which the script speaks of it
	From          addr.Address
	To            string // name at the clinic
	Subject, Text string
	Purpose       string
	Files         []file
	Answers       string // name of a message
}

type file struct {
	name string
	body []byte
}

// send sends a message at the hospital's gateway and waits until it has come to rest. It notes the work it became.
func (p *player) send(m mail) error {
	to := addr.MustParse(m.To + "@" + Clinic.String())
	msg := compose.Message{From: m.From, To: []addr.Address{to}, Subject: m.Subject, Text: m.Text, FinalDelivery: true, InReplyTo: p.rfc[m.Answers], Now: p.clock.Now()}
	for _, f := range m.Files {
		msg.Attachments = append(msg.Attachments, compose.Attachment{Name: f.name, Content: bytes.NewReader(f.body)})
	}
	var b bytes.Buffer
	rfc, err := msg.Write(&b)
	if err != nil {
		return fmt.Errorf("week: %s: %w", m.Name, err)
	}
	id, err := p.hospital.As("demo").Send(p.ctx, gateway.Send{From: m.From, Recipients: []addr.Address{to}, Purpose: m.Purpose}, &b)
	if err == nil {
		err = p.rest()
	}
	if err != nil {
		return fmt.Errorf("week: %s: %w", m.Name, err)
	}
	p.rfc[m.Name] = rfc
	p.out.Messages++
	events, err := p.hospital.Store.Events(p.ctx, id)
	if err != nil {
		return err
	}
	if l := track.Fold(events)[track.Key{Message: id, Recipient: to.Key()}]; m.From.Domain() != Imaging && l.State != track.StateDelivered && l.State != track.StateProcessed {
		return fmt.Errorf("week: %s: it is %s: %s", m.Name, l.State, l.Words)
	}
	return p.arrived(m.Name, rfc)
}

// arrived notes the work that a message became at the clinic, if any.
func (p *player) arrived(name, rfc string) error {
	list, err := p.clinic.Store.Messages(p.ctx, store.Query{RFCID: rfc, Direction: store.In})
	if err != nil {
		return err
	}
	for _, m := range list {
		entries, err := p.clinic.Store.WorkOfMessage(p.ctx, p.clinic.Org, m.ID)
		if err != nil {
			return err
		}
		for _, e := range entries {
			p.out.Items[name] = e.ID
		}
	}
	return nil
}

// answers sends an answer of the practice to the newest message that the clinic sent in a conversation.
func (p *player) rfcOf(id message.ID) (string, error) {
	m, err := p.clinic.Store.Message(p.ctx, id)
	return m.RFCID, err
}

// do is one person's act on a message.
func (p *player) do(login, name, act string, fields ...string) error {
	id, ok := p.out.Items[name]
	if !ok {
		return fmt.Errorf("week: %s did not become anybody's work", name)
	}
	p.out.Acts++
	return p.hands.by(p.ctx, login, func(b *browser) error { return b.act(p.ctx, id, act, fields...) })
}

// form is one person's form on a page of a message: item is the name of the message, from and to are what follows
// its path.
func (p *player) form(login, name, from, to string, fields ...string) error {
	p.out.Acts++
	at := "/item/" + string(p.out.Items[name])
	return p.hands.by(p.ctx, login, func(b *browser) error {
		_, err := b.post(p.ctx, at+from, at+to, fields...)
		return err
	})
}

// links gives everybody a link to choose a password by.
func (p *player) links() error {
	if err := p.to(p.Now); err != nil {
		return err
	}
	for {
		n, err := p.clinic.Index(p.ctx) // what the search reads behind delivery
		if err != nil || n == 0 {
			if err != nil {
				return err
			}
			break
		}
	}
	for _, c := range cast() {
		made, err := p.clinic.As("demo").PersonReset(p.ctx, gateway.PersonArg{Login: c.login})
		if err != nil {
			return err
		}
		p.out.People = append(p.out.People, Invitation{made.Person, made.Link, made.Ends})
	}
	return nil
}
