package door

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"postern/gateway/auth"
	"postern/gateway/clinic/staff"
	"postern/gateway/edge/web"
	"postern/gateway/store"
)

// signInData is the dot of the sign-in page.
type signInData struct {
	Next    string
	Options string // of a passkey, JSON; "" is none
	SSO     string // path to single sign-on; "" is none
}

func (d *door) showSignIn(q *web.Request) error {
	next := web.Local(q.URL.Query().Get("next"))
	if q.SignedIn() {
		return q.See(d.after(q, next), "")
	}
	data, err := d.signInData(q, next)
	if err != nil {
		return err
	}
	return q.Page(d.signIn, "Sign in", data)
}

// after is where a sign-in leads.
func (d *door) after(q *web.Request, next string) string {
	if next = web.Local(next); next != "/" {
		return next
	}
	return q.Home()
}

// refused is the same for everything that could be wrong with a name and its password.
func refused() error {
	return &web.Refusal{Text: "That sign-in name and password do not go together."}
}

func (d *door) doSignIn(q *web.Request) error {
	next := web.Local(q.PostForm.Get("next"))
	p, err := d.check(q, q.PostForm.Get("login"), q.PostForm.Get("password"))
	if err != nil {
		return d.againSignIn(q, next, err)
	}
	f, err := d.factors(q.Context(), p)
	if err != nil {
		return err
	}
	if f.second() {
		if err := d.begin(q, p, auth.Half, "password"); err != nil {
			return err
		}
		return q.See("/sign-in/second?"+url.Values{"next": {next}}.Encode(), "")
	}
	if err := d.begin(q, p, auth.Full, "password"); err != nil {
		return err
	}
	return q.See(d.after(q, next), "")
}

// check is the person of a sign-in name and password.
func (d *door) check(q *web.Request, typed, password string) (staff.Person, error) {
	if strings.TrimSpace(typed) == "" || password == "" {
		return staff.Person{}, &web.Refusal{Text: "Type your sign-in name and your password."}
	}
	if len(typed) > auth.MaxLogin-40 {
		return staff.Person{}, refused()
	}
	org, login, err := d.whose(q.Context(), typed)
	if err != nil {
		return staff.Person{}, err
	}
	return d.verify(q, org, login, password)
}

// verify is the person of a login in an organisation whose password that is.
func (d *door) verify(q *web.Request, org, login, password string) (staff.Person, error) {
	id, err := d.Passwords.Login(q.Context(), org+"/"+login, password, q.Peer)
	switch {
	case errors.Is(err, auth.ErrRefused):
		d.Log.Info("sign-in refused", "peer", q.Peer)
		d.failedLogin(q, org, login)
		return staff.Person{}, refused()
	case errors.Is(err, auth.ErrThrottle):
		d.Log.Warn("sign-in put off after failures", "peer", q.Peer)
		return staff.Person{}, &web.Refusal{Text: "Too many tries that failed. Wait a little, then try again."}
	case errors.Is(err, auth.ErrBusy):
		return staff.Person{}, &web.Refusal{Text: "Too many people are signing in this moment. Try again."}
	case err != nil:
		return staff.Person{}, err
	}
	return d.Store.Person(q.Context(), org, staff.PersonID(id))
}

func (d *door) signOut(q *web.Request) error {
	err := d.Store.EndSession(q.Context(), q.Org, q.Person.ID, q.Session.Hash, entry(q, q.Person, "person.sign_out", nil))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	q.Forget()
	return q.See("/sign-in", "You are signed out.")
}

// welcomeData is the dot of the page of a one-time link.
type welcomeData struct {
	Name, Login string
	Least       int
}

func (d *door) showWelcome(q *web.Request) error {
	p, err := d.invited(q)
	if err != nil {
		return err
	}
	return q.Page(d.welcome, "Choose a password", welcomeData{p.Name, p.Login, auth.MinPassword})
}

// invited is whom the link is for. Guesses are counted like those of a password.
func (d *door) invited(q *web.Request) (staff.Person, error) {
	if w := d.throttle.Wait("link "+q.Peer, q.Peer); w > 0 {
		return staff.Person{}, &web.Refusal{Text: fmt.Sprintf("Too many links that are none. Wait %s, then try again.", w.Round(time.Second))}
	}
	p, err := d.Store.Invited(q.Context(), auth.HashToken(q.PathValue("token")))
	if errors.Is(err, store.ErrNotFound) {
		d.throttle.Failed("link "+q.Peer, q.Peer)
		d.failed(q, "", "", store.FailedLink)
		return p, &web.Refusal{Text: "This link was used already, or it is too old. Ask your administrator for another one."}
	}
	return p, err
}

func (d *door) doWelcome(q *web.Request) error {
	p, err := d.invited(q)
	if err != nil {
		return err
	}
	record, err := d.newPassword(q, p)
	if err != nil {
		return q.Again(d.welcome, "Choose a password", welcomeData{p.Name, p.Login, auth.MinPassword}, err)
	}
	_, err = d.Store.Redeem(q.Context(), auth.HashToken(q.PathValue("token")), record, func(p staff.Person) store.AuditEntry {
		e := entry(q, p, "person.password", map[string]any{"by": "one-time link"})
		e.Actor = p.Login
		return e
	})
	if err != nil {
		return err
	}
	// Whoever has a second proof must show it: the link stands for the password alone.
	return q.See("/sign-in", "Your password is set. Sign in with it now.")
}

// newPassword reads a new password, typed twice, as a record.
func (d *door) newPassword(q *web.Request, p staff.Person) (string, error) {
	pw := q.PostForm.Get("new")
	if err := auth.CheckNew(pw, p.Login, p.Name); err != nil {
		return "", &web.Invalid{Field: "new", Text: sentence(err)}
	}
	if pw != q.PostForm.Get("again") {
		return "", &web.Invalid{Field: "again", Text: "The two are not the same."}
	}
	return d.Hash(pw)
}

// sentence is an error's words as a sentence.
func sentence(err error) string {
	s := strings.TrimPrefix(err.Error(), "auth: ")
	return strings.ToUpper(s[:1]) + s[1:] + "."
}
