package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"postern/gateway/auth"
	"postern/gateway/auth/totp"
	"postern/gateway/clinic/staff"
	"postern/gateway/edge/control"
	"postern/gateway/edge/web/door"
	"postern/gateway/store"
)

// AsArg is a verb of trust that somebody asks for under their own sign-in.
type AsArg struct {
	Login    string          `json:"login"`
	Password string          `json:"password"`
	Code     string          `json:"code,omitempty"` // of their app, where they have one
	Verb     string          `json:"verb"`
	Args     json.RawMessage `json:"args"`
}

// asPeer is where these sign-ins come from, for the bound on guesses.
const asPeer = "127.0.0.1"

// actAs does one verb of trust for a person, once they have shown who they are. It is audited under their name, with
// the user of the machine by whom it came.
func actAs(ctx context.Context, a Admin, args json.RawMessage, body io.Reader) (control.Answer, error) {
	var in AsArg
	if err := json.Unmarshal(args, &in); err != nil {
		return control.Answer{}, &control.Error{Kind: "usage", Text: "gateway: arguments: " + err.Error()}
	}
	f, ok := trustVerbs()[in.Verb]
	if !ok || in.Verb == asVerb {
		return control.Answer{}, &control.Error{Kind: "usage", Text: fmt.Sprintf("gateway: %q is not done under a person's sign-in", in.Verb)}
	}
	p, err := a.signIn(ctx, in)
	if err != nil {
		return control.Answer{}, err
	}
	return f(ctx, Admin{s: a.s, actor: p.Login + " (" + a.actor + ")", who: voicePerson + string(p.ID), uid: a.actor}, in.Args, body)
}

// voicePerson begins the voice of somebody who signed in.
const voicePerson = "person:"

// asVerb is the verb that does another one under a sign-in.
const asVerb = "trust.as"

// signIn is the trust administrator who has that password, and that code where they have an app for it.
func (a Admin) signIn(ctx context.Context, in AsArg) (staff.Person, error) {
	login := strings.ToLower(in.Login)
	id, err := a.s.signIns.Login(ctx, a.s.Org+"/"+login, in.Password, asPeer)
	if errors.Is(err, auth.ErrRefused) {
		p, _ := a.s.Store.PersonByLogin(ctx, a.s.Org, login) // nobody: it counts for the organisation
		a.countFailure(ctx, p, store.FailedPassword)
		return staff.Person{}, fmt.Errorf("gateway: nobody signs in as %s with that password (postern person list): nothing is changed", in.Login)
	}
	if err != nil {
		return staff.Person{}, fmt.Errorf("gateway: sign-in of %s: %w", in.Login, err)
	}
	p, err := a.s.Store.Person(ctx, a.s.Org, staff.PersonID(id))
	if err != nil {
		return p, err
	}
	if p.Role != staff.TrustAdministrator {
		return p, fmt.Errorf("gateway: %s is %s, and only a trust administrator changes trust under their own sign-in (postern person role): nothing is changed", p.Login, p.Role)
	}
	return p, a.secondProof(ctx, p, in.Code)
}

func (a Admin) countFailure(ctx context.Context, p staff.Person, kind store.FailureKind) {
	if err := a.s.Store.CountFailure(ctx, a.s.Org, p.ID, kind, asPeer); err != nil {
		a.s.Log.Warn("a sign-in that failed could not be counted", "error", err)
	}
}

// secondProof asks for the code of whoever has a second proof. A passkey cannot be shown at a terminal.
func (a Admin) secondProof(ctx context.Context, p staff.Person, code string) error {
	all, err := a.s.Store.Factors(ctx, p.Org, p.ID)
	if err != nil {
		return err
	}
	var app *store.Factor
	second := false
	for i, f := range all {
		if f.Kind == store.FactorTOTP {
			app = &all[i]
		}
		second = second || f.Kind == store.FactorTOTP || f.Kind == store.FactorPasskey
	}
	switch {
	case !second:
		return nil
	case app == nil:
		return fmt.Errorf("gateway: %s has a passkey as second proof, which cannot be shown here: add one-time codes under Settings in the browser", p.Login)
	case code == "":
		return fmt.Errorf("gateway: %s has one-time codes: give the present one with --as-code", p.Login)
	}
	who := "second " + p.Org + " " + string(p.ID)
	if w := a.s.codes.Wait(who, asPeer); w > 0 {
		return fmt.Errorf("gateway: too many codes of %s were wrong: try again in %s", p.Login, w)
	}
	secret, err := a.s.Keys.OpenSecret(p.Org, door.TOTPPurpose(p.ID), app.Data)
	if err != nil {
		return err
	}
	step, ok := totp.Check(secret, code, a.s.now(), app.Counter)
	if ok {
		err = a.s.Store.UseFactor(ctx, *app, step, nil)
	}
	if !ok || errors.Is(err, store.ErrNotFound) { // the same code came twice
		a.s.codes.Failed(who, asPeer)
		a.countFailure(ctx, p, store.FailedSecond)
		return fmt.Errorf("gateway: that is not the present code of %s, or it was used already: nothing is changed", p.Login)
	}
	if err == nil {
		a.s.codes.Succeeded(who, asPeer)
	}
	return err
}

// trustAdministrators counts those who can sign in.
func (a Admin) trustAdministrators(ctx context.Context) (n int, err error) {
	all, err := a.s.Store.People(ctx, a.s.Org)
	for _, p := range all {
		if p.Role != staff.TrustAdministrator || p.Disabled {
			continue
		}
		switch _, _, err := a.s.Store.PersonRecord(ctx, p.Org, p.Login); {
		case err == nil:
			n++
		case !errors.Is(err, auth.ErrNoAccount):
			return n, err
		}
	}
	return n, err
}

// voice is by whom an act counts where two persons are needed. Where two trust administrators or more can sign in,
// they count and nobody else; with fewer it is the users of the machine, so that nobody counts once as the one and
// once as the other.
func (a Admin) voice(ctx context.Context) (string, error) {
	n, err := a.trustAdministrators(ctx)
	switch {
	case err != nil:
		return "", err
	case n >= 2 && a.who == "":
		return "", fmt.Errorf("gateway: this needs two persons, and %d trust administrators of this site can sign in: say who you are with --as LOGIN; nothing is changed", n)
	case n >= 2:
		return a.who, nil
	case a.who != "":
		return a.uid, nil
	}
	return a.actor, nil
}

// alike reports whether two voices are of one kind: people who signed in, or users of the machine. What was said while
// the other kind counted counts no more.
func alike(a, b string) bool {
	return strings.HasPrefix(a, voicePerson) == strings.HasPrefix(b, voicePerson)
}

// standing is the approvals that count by now: of people, those who are trust administrators still.
func (a Admin) standing(ctx context.Context, all []store.Approval) ([]store.Approval, error) {
	var out []store.Approval
	for _, y := range all {
		if id, person := strings.CutPrefix(y.Actor, voicePerson); person {
			p, err := a.s.Store.Person(ctx, a.s.Org, staff.PersonID(id))
			if errors.Is(err, store.ErrNotFound) || err == nil && (p.Disabled || p.Role != staff.TrustAdministrator) {
				continue
			}
			if err != nil {
				return nil, err
			}
		}
		out = append(out, y)
	}
	return out, nil
}
