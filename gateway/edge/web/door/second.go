package door

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"
	"time"

	"postern/gateway/auth"
	"postern/gateway/auth/passkey"
	"postern/gateway/auth/totp"
	"postern/gateway/clinic/staff"
	"postern/gateway/edge/web"
	"postern/gateway/store"
)

// factors is a person's other proofs.
type factors struct {
	all      []store.Factor
	TOTP     *store.Factor
	Passkeys []store.Factor
	Recovery int // codes left
}

func (f factors) second() bool { return f.TOTP != nil || len(f.Passkeys) > 0 }

func (d *door) factors(ctx context.Context, p staff.Person) (out factors, err error) {
	if out.all, err = d.Store.Factors(ctx, p.Org, p.ID); err != nil {
		return out, err
	}
	for i, f := range out.all {
		switch f.Kind {
		case store.FactorTOTP:
			out.TOTP = &out.all[i]
		case store.FactorPasskey:
			out.Passkeys = append(out.Passkeys, f)
		case store.FactorRecovery:
			out.Recovery++
		}
	}
	return out, nil
}

// secondData is the dot of the page that asks for the second proof.
type secondData struct {
	Next, Options string // of a passkey, JSON; "" is none
	Code          bool   // an app or recovery codes can answer
	Action        string
	Title, Text   string
}

// halfway is who has shown the first proof in this browser.
func (d *door) halfway(q *web.Request) (staff.Person, error) {
	if q.Session.Stage != auth.Half || !q.Session.Alive(q.Now) {
		return staff.Person{}, errOver
	}
	p, err := d.Store.Person(q.Context(), q.Session.Org, staff.PersonID(q.Session.Person))
	if err == nil && p.Disabled {
		err = errOver
	}
	return p, err
}

// errOver means that a sign-in must begin anew.
var errOver = errors.New("door: the sign-in is over")

func (d *door) secondData(q *web.Request, p staff.Person, next string) (secondData, error) {
	f, err := d.factors(q.Context(), p)
	data := secondData{Next: web.Local(next), Code: f.TOTP != nil || f.Recovery > 0, Action: "/sign-in/second", Title: "One more proof",
		Text: "Type the code that your authenticator app shows now, or a recovery code."}
	if err != nil || len(f.Passkeys) == 0 || d.keys == nil {
		return data, err
	}
	options, err := d.keys.Ask(q.Browser(), d.keyPerson(p, f))
	data.Options = string(options)
	return data, err
}

// keyPerson is a person as passkeys know them.
func (d *door) keyPerson(p staff.Person, f factors) *passkey.Person {
	out := &passkey.Person{Handle: p.Org + "/" + string(p.ID), Login: p.Login, Name: p.Name}
	for _, k := range f.Passkeys {
		out.Keys = append(out.Keys, k.Data)
	}
	return out
}

func (d *door) showSecond(q *web.Request) error {
	p, err := d.halfway(q)
	if errors.Is(err, errOver) {
		return q.See("/sign-in", "")
	}
	if err != nil {
		return err
	}
	data, err := d.secondData(q, p, q.URL.Query().Get("next"))
	if err != nil {
		return err
	}
	return q.Page(d.second, data.Title, data)
}

func (d *door) doSecond(q *web.Request) error {
	p, err := d.halfway(q)
	if errors.Is(err, errOver) {
		return q.See("/sign-in", "That took too long. Please begin again.")
	}
	if err != nil {
		return err
	}
	how, err := d.prove(q, p)
	if err != nil {
		data, derr := d.secondData(q, p, q.PostForm.Get("next"))
		if derr != nil {
			return derr
		}
		return q.Again(d.second, data.Title, data, err)
	}
	if err := d.grow(q, p, q.Session.Method+" and "+how); errors.Is(err, errOver) {
		return q.See("/sign-in", "You were signed out meanwhile. Please begin again.")
	} else if err != nil {
		return err
	}
	return q.See(d.after(q, q.PostForm.Get("next")), "")
}

// prove takes the second proof of a form: a passkey's answer, an app's code or a recovery code. Tries are counted
// for the person, so that the codes cannot be gone through.
func (d *door) prove(q *web.Request, p staff.Person) (how string, err error) {
	who := "second " + p.Org + " " + string(p.ID)
	if w := d.throttle.Wait(who, q.Peer); w > 0 {
		return "", &web.Refusal{Text: fmt.Sprintf("Too many codes that were wrong. Wait %s, then try again.", w.Round(time.Second))}
	}
	f, err := d.factors(q.Context(), p)
	if err != nil {
		return "", err
	}
	switch answer, code := q.PostForm.Get("answer"), q.PostForm.Get("code"); {
	case answer != "" && d.keys != nil:
		how, err = "passkey", d.provePasskey(q, p, f, answer)
	case len(strings.ReplaceAll(code, " ", "")) == totp.Digits:
		how, err = "code", d.proveCode(q, p, f, code)
	default:
		how, err = "recovery code", d.proveRecovery(q, p, f, code)
	}
	var refusal *web.Refusal
	switch {
	case errors.Is(err, errBeginAgain):
	case errors.As(err, &refusal):
		d.throttle.Failed(who, q.Peer)
		d.failed(q, p.Org, p.ID, store.FailedSecond)
	case err == nil:
		d.throttle.Succeeded(who, q.Peer)
	}
	return how, err
}

func notProved() error { return &web.Refusal{Text: "That did not fit. Nothing was changed."} }

// TOTPPurpose is what the secret of a person's one-time codes is sealed for.
func TOTPPurpose(id staff.PersonID) string { return "one-time codes of " + string(id) }

func (d *door) proveCode(q *web.Request, p staff.Person, f factors, code string) error {
	if f.TOTP == nil {
		return notProved()
	}
	secret, err := d.Secrets.OpenSecret(p.Org, TOTPPurpose(p.ID), f.TOTP.Data)
	if err != nil {
		return err
	}
	step, ok := totp.Check(secret, code, q.Now, f.TOTP.Counter)
	if !ok {
		return notProved()
	}
	err = d.Store.UseFactor(q.Context(), *f.TOTP, step, nil)
	if errors.Is(err, store.ErrNotFound) { // the same code came twice at once
		return notProved()
	}
	return err
}

func (d *door) proveRecovery(q *web.Request, p staff.Person, f factors, code string) error {
	want := recoveryHash(p.ID, code)
	for _, r := range f.all {
		if r.Kind == store.FactorRecovery && subtle.ConstantTimeCompare([]byte(r.Lookup), []byte(want)) == 1 {
			e := entry(q, p, "person.recovery_code", map[string]any{"left": f.Recovery - 1})
			e.Actor = p.Login
			err := d.Store.SpendFactor(q.Context(), r, e)
			if errors.Is(err, store.ErrNotFound) {
				return notProved()
			}
			return err
		}
	}
	return notProved()
}

// recoveryHash is what is stored of a recovery code: it has 80 random bits, so a plain digest tells nothing.
func recoveryHash(id staff.PersonID, code string) string {
	code = strings.ToUpper(strings.NewReplacer(" ", "", "-", "").Replace(code))
	return auth.HashToken("recovery " + string(id) + " " + code)
}

// RecoveryCodes is how many a person gets at a time.
const RecoveryCodes = 8

// newRecovery makes codes: as people write them down, and as they are stored.
func newRecovery(p staff.Person) (codes []string, fs []store.Factor) {
	for range RecoveryCodes {
		c := rand.Text()[:16]
		codes = append(codes, c[:4]+"-"+c[4:8]+"-"+c[8:12]+"-"+c[12:])
		fs = append(fs, store.Factor{ID: newID(), Kind: store.FactorRecovery, Name: "recovery code", Lookup: recoveryHash(p.ID, c), Data: []byte{}})
	}
	return codes, fs
}

func newID() string { return "f-" + strings.ToLower(rand.Text()[:20]) }

func (d *door) provePasskey(q *web.Request, p staff.Person, f factors, answer string) error {
	proof, err := d.keys.Answer(q.Browser(), []byte(answer), func(handle string) (passkey.Person, error) {
		if handle != p.Org+"/"+string(p.ID) {
			return passkey.Person{}, passkey.ErrRefused
		}
		return *d.keyPerson(p, f), nil
	})
	if err != nil {
		return d.passkeyFault(q, err)
	}
	return d.usePasskey(q, f, proof)
}

// errBeginAgain is an answer to what is not under way any more: nothing was tried, so it counts as no failure.
var errBeginAgain = &web.Refusal{Text: "That took too long, or this gateway was started anew meanwhile. Nothing was changed. Please begin again."}

func (d *door) passkeyFault(q *web.Request, err error) error {
	if errors.Is(err, passkey.ErrOver) {
		return errBeginAgain
	}
	if errors.Is(err, passkey.ErrRefused) {
		d.Log.Info("passkey refused", "peer", q.Peer, "error", err)
		return notProved()
	}
	return err
}

// usePasskey keeps the key's counter. Many keys do not count; ours then counts the uses.
func (d *door) usePasskey(q *web.Request, f factors, proof passkey.Proof) error {
	for _, k := range f.Passkeys {
		if k.Lookup != proof.ID {
			continue
		}
		err := d.Store.UseFactor(q.Context(), k, max(proof.Count, k.Counter+1), proof.Data)
		if errors.Is(err, store.ErrNotFound) {
			return notProved()
		}
		return err
	}
	return notProved()
}

// passkeySignIn signs in with a passkey alone: it is something one has, and a PIN or finger besides.
func (d *door) passkeySignIn(q *web.Request) error {
	if d.keys == nil {
		return web.ErrNotFound
	}
	next := web.Local(q.PostForm.Get("next"))
	if d.throttle.Wait("passkey "+q.Peer, q.Peer) > 0 { // by network only: a stranger's tries are nobody else's wait
		return d.againSignIn(q, next, &web.Refusal{Text: "Too many tries that failed. Wait a little, then try again."})
	}
	var p staff.Person
	var f factors
	proof, err := d.keys.Answer(q.Browser(), []byte(q.PostForm.Get("answer")), func(handle string) (passkey.Person, error) {
		org, id, _ := strings.Cut(handle, "/")
		var err error
		if p, err = d.Store.Person(q.Context(), org, staff.PersonID(id)); errors.Is(err, store.ErrNotFound) || err == nil && p.Disabled {
			return passkey.Person{}, passkey.ErrRefused
		} else if err != nil {
			return passkey.Person{}, err
		}
		f, err = d.factors(q.Context(), p)
		return *d.keyPerson(p, f), err
	})
	if err == nil {
		err = d.usePasskey(q, f, proof)
	} else {
		err = d.passkeyFault(q, err)
	}
	if errors.Is(err, errBeginAgain) {
		return d.againSignIn(q, next, err)
	}
	if err != nil {
		d.throttle.Failed("passkey "+q.Peer, q.Peer)
		d.failed(q, p.Org, p.ID, store.FailedPasskey)
		return d.againSignIn(q, next, err)
	}
	if err := d.begin(q, p, auth.Full, "passkey"); err != nil {
		return err
	}
	return q.See(d.after(q, next), "")
}

// againSignIn shows the sign-in page for what was refused; a new ceremony begins with it.
func (d *door) againSignIn(q *web.Request, next string, refusal error) error {
	data, err := d.signInData(q, next)
	if err != nil {
		return err
	}
	return q.Again(d.signIn, "Sign in", data, refusal)
}

// keyOptions is for a page that may ask for any passkey of this host.
func (d *door) keyOptions(q *web.Request) (string, error) {
	if d.keys == nil {
		return "", nil
	}
	o, err := d.keys.Ask(q.Browser(), nil)
	return string(o), err
}

// signInData is what the sign-in page needs.
func (d *door) signInData(q *web.Request, next string) (signInData, error) {
	options, err := d.keyOptions(q)
	if err != nil {
		return signInData{}, err
	}
	data := signInData{Next: web.Local(next), Options: options}
	data.SSO, err = d.ownProvider(q)
	return data, err
}
