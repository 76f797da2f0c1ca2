package door

import (
	"errors"
	"fmt"
	"strings"

	"postern/gateway/auth/passkey"
	"postern/gateway/auth/totp"
	"postern/gateway/edge/web"
	"postern/gateway/store"
)

// appData is the dot of the page on which an authenticator app is set up.
type appData struct {
	Text, Secret, Path string // the secret as typed, sealed as the form brings it back, and as a picture
	Size               int
	Replaces           bool
}

func (d *door) showApp(q *web.Request) error {
	data, err := d.appData(q, "")
	if err != nil {
		return err
	}
	return q.Page(d.app, "Authenticator app", data)
}

// appData makes a new secret, or opens the one that the form brings back: it is sealed for this person meanwhile.
func (d *door) appData(q *web.Request, sealed string) (data appData, err error) {
	f, err := d.factors(q.Context(), q.Person)
	if err != nil {
		return data, err
	}
	var secret []byte
	if sealed == "" {
		secret = totp.NewSecret()
		b, err := d.Secrets.SealSecret(q.Org, d.offered(q), secret)
		if err != nil {
			return data, err
		}
		sealed = fmt.Sprintf("%x", b)
	} else if secret, err = d.openOffered(q, sealed); err != nil {
		return data, err
	}
	data = appData{Text: totp.Text(secret), Secret: sealed, Replaces: f.TOTP != nil}
	data.Size, data.Path, err = totp.Picture(totp.URI(secret, "Postern "+q.OrgName, q.Person.Login))
	if err != nil { // an organisation with a very long name
		data.Size, data.Path, err = totp.Picture(totp.URI(secret, "Postern", q.Person.Login))
	}
	data.Size += 8 // the light margin that readers need (ISO/IEC 18004 §6.3.8), four on each side
	return data, err
}

// offered is what a secret on offer is sealed for: this browser, so that no other form fits.
func (d *door) offered(q *web.Request) string {
	return "one-time codes offered to " + string(q.Person.ID) + " " + q.Browser()
}

func (d *door) openOffered(q *web.Request, sealed string) ([]byte, error) {
	var b []byte
	if _, err := fmt.Sscanf(sealed, "%x", &b); err != nil {
		return nil, &web.Refusal{Text: "The page is too old. Begin again."}
	}
	secret, err := d.Secrets.OpenSecret(q.Org, d.offered(q), b)
	if err != nil {
		return nil, &web.Refusal{Text: "The page is too old. Begin again."}
	}
	return secret, nil
}

func (d *door) saveApp(q *web.Request) error {
	sealed := q.PostForm.Get("secret")
	if len(sealed) > 1000 || sealed == "" {
		return &web.Refusal{Text: "The page is too old. Begin again."}
	}
	secret, err := d.openOffered(q, sealed)
	if err != nil {
		return err
	}
	step, ok := totp.Check(secret, q.PostForm.Get("code"), q.Now, 0)
	if !ok {
		data, err := d.appData(q, sealed)
		if err != nil {
			return err
		}
		return q.Again(d.app, "Authenticator app", data, &web.Invalid{Field: "code", Text: "That is not the code of this moment. Is the clock of the phone right?"})
	}
	kept, err := d.Secrets.SealSecret(q.Org, TOTPPurpose(q.Person.ID), secret)
	if err != nil {
		return err
	}
	codes, fs := newRecovery(q.Person)
	fs = append(fs, store.Factor{ID: newID(), Kind: store.FactorTOTP, Name: "authenticator app", Data: kept, Counter: step})
	if err := d.Store.AddFactors(q.Context(), q.Person, fs, []string{store.FactorTOTP, store.FactorRecovery}, entry(q, q.Person, "person.app_added", nil)); err != nil {
		return err
	}
	return q.Page(d.codes, "Recovery codes", codes)
}

func (d *door) newCodes(q *web.Request) error {
	codes, fs := newRecovery(q.Person)
	if err := d.Store.AddFactors(q.Context(), q.Person, fs, []string{store.FactorRecovery}, entry(q, q.Person, "person.recovery_codes", nil)); err != nil {
		return err
	}
	return q.Page(d.codes, "Recovery codes", codes)
}

// keyData is the dot of the page on which a passkey is made.
type keyData struct{ Options string }

func (d *door) showKey(q *web.Request) error {
	data, err := d.keyData(q)
	if err != nil {
		return err
	}
	return q.Page(d.key, "New passkey", data)
}

func (d *door) keyData(q *web.Request) (keyData, error) {
	if d.keys == nil {
		return keyData{}, &web.Refusal{Text: "Passkeys need the pages to have a host name, not an IP address."}
	}
	f, err := d.factors(q.Context(), q.Person)
	if err != nil {
		return keyData{}, err
	}
	if len(f.Passkeys) >= MaxFactors {
		return keyData{}, &web.Refusal{Text: fmt.Sprintf("A person has at most %d passkeys. Remove one first.", MaxFactors)}
	}
	o, err := d.keys.Register(q.Browser(), *d.keyPerson(q.Person, f))
	return keyData{string(o)}, err
}

func (d *door) saveKey(q *web.Request) error {
	f, err := d.factors(q.Context(), q.Person)
	if err != nil || d.keys == nil {
		return errors.Join(err)
	}
	name := strings.TrimSpace(q.PostForm.Get("name"))
	if name == "" {
		name = agent(q.UserAgent())
	}
	id, data, err := d.keys.Registered(q.Browser(), *d.keyPerson(q.Person, f), []byte(q.PostForm.Get("answer")))
	if errors.Is(err, passkey.ErrOver) {
		return errBeginAgain
	}
	if errors.Is(err, passkey.ErrRefused) {
		d.Log.Info("passkey not registered", "person", q.Person.ID, "error", err)
		return &web.Refusal{Text: "The browser made no passkey. Begin again; another device may do it."}
	}
	if err != nil {
		return err
	}
	fs := []store.Factor{{ID: newID(), Kind: store.FactorPasskey, Name: short(name), Lookup: id, Data: data}}
	err = d.Store.AddFactors(q.Context(), q.Person, fs, nil, entry(q, q.Person, "person.passkey_added", map[string]any{"name": short(name)}))
	if errors.Is(err, store.ErrExists) {
		return &web.Refusal{Text: "That passkey is known already."}
	}
	if err != nil {
		return err
	}
	return q.See("/account", "The passkey is yours. Next time, sign in with it.")
}

func short(s string) string {
	if r := []rune(s); len(r) > 60 {
		return string(r[:60])
	}
	return s
}

// removeFactor removes one of the person's own proofs.
func (d *door) removeFactor(q *web.Request) error {
	f, err := d.factors(q.Context(), q.Person)
	if err != nil {
		return err
	}
	which := q.PostForm.Get("which")
	for _, k := range f.all {
		if k.ID != which {
			continue
		}
		if err := d.Store.SpendFactor(q.Context(), k, entry(q, q.Person, "person.factor_removed", map[string]any{"kind": k.Kind, "name": k.Name})); err != nil {
			return err
		}
		if last := len(f.Passkeys) + boolInt(f.TOTP != nil); last == 1 && k.Kind != store.FactorRecovery { // codes alone are no second proof
			if err := d.Store.DropFactors(q.Context(), q.Person, store.FactorRecovery, store.AuditEntry{}); err != nil {
				return err
			}
		}
		return q.See("/account", "Removed. It opens nothing any more.")
	}
	return web.ErrNotFound
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
