package door

import (
	"errors"

	"postern/gateway/auth"
	"postern/gateway/auth/passkey"
	"postern/gateway/edge/web"
)

// proveData is the dot of the page that asks who signed in to prove it once more.
type proveData struct {
	Next, Options string
	Password      bool
}

func (d *door) proveData(q *web.Request, next string) (proveData, error) {
	f, err := d.factors(q.Context(), q.Person)
	data := proveData{Next: web.Local(next), Password: q.Session.Method != "single sign-on"}
	if err != nil || len(f.Passkeys) == 0 || d.keys == nil {
		return data, err
	}
	o, err := d.keys.Ask(q.Browser(), d.keyPerson(q.Person, f))
	data.Options = string(o)
	return data, err
}

func (d *door) showProve(q *web.Request) error {
	data, err := d.proveData(q, q.URL.Query().Get("next"))
	if err != nil {
		return err
	}
	return q.Page(d.proof, "Is it still you?", data)
}

func (d *door) doProve(q *web.Request) error {
	next := web.Local(q.PostForm.Get("next"))
	err := d.proveAgain(q)
	var refusal *web.Refusal
	if errors.As(err, &refusal) {
		data, derr := d.proveData(q, next)
		if derr != nil {
			return derr
		}
		return q.Again(d.proof, "Is it still you?", data, err)
	}
	if err != nil {
		return err
	}
	if err := d.Store.ProveSession(q.Context(), q.Session.Hash, q.Now); err != nil {
		return err
	}
	return q.See(next, "")
}

func (d *door) proveAgain(q *web.Request) error {
	if answer := q.PostForm.Get("answer"); answer != "" && d.keys != nil {
		f, err := d.factors(q.Context(), q.Person)
		if err != nil {
			return err
		}
		return d.provePasskey(q, q.Person, f, answer)
	}
	pw := q.PostForm.Get("password")
	if pw == "" || len(pw) > auth.MaxPassword {
		return &web.Refusal{Text: "Type your password."}
	}
	if _, err := d.verify(q, q.Org, q.Person.Login, pw); err != nil {
		var refusal *web.Refusal
		if errors.As(err, &refusal) && refusal.Text == refused().Error() {
			return &web.Refusal{Text: "That is not your password."}
		}
		return err
	}
	return nil
}

// keyService makes the passkeys of a host, or nothing where a host cannot have any (an IP address).
func keyService(s Services) *passkey.Service {
	k, err := passkey.New(s.Host, s.Origin, "Postern", s.Clock)
	if err != nil {
		s.Log.Warn("no passkeys here: the public URL must have a host name", "error", err)
		return nil
	}
	return k
}
