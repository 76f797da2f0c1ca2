package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"postern/certs"
	"postern/gateway/auth"
	"postern/gateway/clinic/inbox"
	"postern/gateway/edge/control"
	"postern/gateway/message"
	"postern/gateway/store"
	"postern/smime/addr"
)

// Verbs are what can be asked of a site, by name: through the control socket while a gateway runs, or
// directly by the process that has the site open.
type Verbs struct{ s *Site }

// Verbs gives the verbs of a site.
func (s *Site) Verbs() Verbs { return Verbs{s} }

type verb func(ctx context.Context, a Admin, args json.RawMessage, body io.Reader) (control.Answer, error)

// with makes a verb of a method that takes arguments and returns a value.
func with[In, Out any](f func(ctx context.Context, a Admin, in In) (Out, error)) verb {
	return func(ctx context.Context, a Admin, args json.RawMessage, _ io.Reader) (control.Answer, error) {
		var in In
		if err := json.Unmarshal(args, &in); err != nil {
			return control.Answer{}, &control.Error{Kind: "usage", Text: "gateway: arguments: " + err.Error()}
		}
		out, err := f(ctx, a, in)
		return control.Answer{Value: out}, err
	}
}

// none is the value of a verb that returns nothing.
type none struct{}

// Do does one verb (control.Handler).
func (v Verbs) Do(ctx context.Context, r control.Request) (control.Answer, error) {
	f, ok := verbs()[r.Verb]
	if !ok {
		f, ok = operatorVerbs()[r.Verb]
	}
	if !ok {
		f, ok = peopleVerbs()[r.Verb]
	}
	if !ok {
		f, ok = trustVerbs()[r.Verb]
	}
	if !ok {
		return control.Answer{}, &control.Error{Kind: "usage", Text: fmt.Sprintf("gateway: no verb %q; is the running gateway another version?", r.Verb)}
	}
	a, err := f(ctx, v.s.As(r.Actor), r.Args, r.Body)
	if err != nil {
		err = missing(r.Verb, err)
	}
	return a, err
}

// ItemArg names an item of an inbox.
type ItemArg struct {
	Inbox  string `json:"inbox"`
	Number int64  `json:"number"`
	Before int64  `json:"before,omitempty"`
	Limit  int    `json:"limit,omitempty"`
}

// StaticArg pins a certificate.
type StaticArg struct {
	Name        string `json:"name"`
	Certificate []byte `json:"certificate"`
}

// UserAdd are the arguments of `user add`.
type UserAdd struct {
	Login     string         `json:"login"`
	Password  string         `json:"password"`
	Addresses []addr.Address `json:"addresses"`
}

// EventsArg asks for events after a cursor.
type EventsArg struct {
	After int64 `json:"after"`
	Limit int   `json:"limit"`
}

func verbs() map[string]verb {
	return map[string]verb{
		"domain.add":    with(func(ctx context.Context, a Admin, in DomainAdd) (none, error) { return none{}, a.DomainAdd(ctx, in) }),
		"domain.list":   with(func(ctx context.Context, a Admin, _ none) ([]store.Domain, error) { return a.s.Store.Domains(ctx) }),
		"domain.remove": with(func(ctx context.Context, a Admin, d addr.Domain) (none, error) { return none{}, a.DomainRemove(ctx, d) }),
		"address.add": with(func(ctx context.Context, a Admin, in []AddressAdd) (none, error) {
			return none{}, a.AddressAdd(ctx, in)
		}),
		"address.list": with(func(ctx context.Context, a Admin, d addr.Domain) ([]store.Address, error) {
			return a.s.Store.Addresses(ctx, d)
		}),
		"address.remove": with(func(ctx context.Context, a Admin, ad addr.Address) (none, error) {
			return none{}, a.AddressRemove(ctx, ad)
		}),
		"user.add":  with(userAdd),
		"user.list": with(func(ctx context.Context, a Admin, _ none) ([]store.Account, error) { return a.s.Store.Accounts(ctx) }),
		"user.remove": with(func(ctx context.Context, a Admin, login string) (none, error) {
			return none{}, a.s.Store.RemoveAccount(ctx, login, a.entry("user.remove", login, nil))
		}),
		"cert.create": with(func(ctx context.Context, a Admin, in CertCreate) ([]string, error) {
			rows, err := a.CertCreate(ctx, in)
			return ids(rows), err
		}),
		"cert.list":          with(func(ctx context.Context, a Admin, _ none) ([]CertInfo, error) { return a.CertList(ctx) }),
		"cert.export":        with(func(ctx context.Context, a Admin, in ExportArg) (Exported, error) { return a.CertExport(ctx, in) }),
		"cert.retire":        with(func(ctx context.Context, a Admin, id string) (none, error) { return none{}, a.CertRetire(ctx, id) }),
		"cert.pin":           with(certPin),
		"cert.import_device": certImportDevice,
		"peer.list": with(func(ctx context.Context, a Admin, d addr.Domain) ([]store.Peer, error) {
			return a.PeerList(ctx, d)
		}),
		"peer.set":    with(func(ctx context.Context, a Admin, in PeerSet) (none, error) { return none{}, a.PeerSet(ctx, in) }),
		"peer.forget": with(func(ctx context.Context, a Admin, in PeerArg) (none, error) { return none{}, a.PeerForget(ctx, in) }),
		"send":        send,
		"trace":       with(func(ctx context.Context, a Admin, id message.ID) (Trace, error) { return a.Trace(ctx, id) }),
		"messages":    with(func(ctx context.Context, a Admin, q store.Query) ([]MessageLine, error) { return a.Messages(ctx, q) }),
		"events": with(func(ctx context.Context, a Admin, in EventsArg) ([]store.Event, error) {
			return a.s.Store.EventsAfter(ctx, in.After, in.Limit)
		}),
		"queue":         with(func(ctx context.Context, a Admin, id message.ID) ([]QueueLine, error) { return a.Queue(ctx, id) }),
		"held.list":     with(func(ctx context.Context, a Admin, n int) ([]store.Held, error) { return a.s.Store.HeldList(ctx, n) }),
		"held.show":     with(func(ctx context.Context, a Admin, id string) (store.Held, error) { return a.s.Store.HeldEntry(ctx, id) }),
		"held.release":  with(func(ctx context.Context, a Admin, id string) (none, error) { return none{}, a.HeldRelease(ctx, id) }),
		"held.discard":  with(func(ctx context.Context, a Admin, id string) (none, error) { return none{}, a.HeldDiscard(ctx, id) }),
		"inbox.inboxes": with(func(ctx context.Context, a Admin, _ none) (map[string]int64, error) { return a.s.Store.Inboxes(ctx) }),
		"inbox.list": with(func(ctx context.Context, a Admin, in ItemArg) ([]inbox.Item, error) {
			return a.Items(ctx, in)
		}),
		"inbox.show": with(func(ctx context.Context, a Admin, in ItemArg) (inbox.Item, error) {
			it, err := a.s.Store.Item(ctx, in.Inbox, in.Number)
			if errors.Is(err, store.ErrNotFound) {
				err = fmt.Errorf("item %d of inbox %.60s: %w", in.Number, in.Inbox, store.ErrNotFound)
			}
			return it, err
		}),
		"inbox.save":  save,
		"sealed":      sealed,
		"find":        with(find),
		"why":         with(func(ctx context.Context, a Admin, in WhyArg) (Why, error) { return a.WhyAddress(ctx, in) }),
		"why.message": with(func(ctx context.Context, a Admin, id message.ID) (WhyMessage, error) { return a.WhyMessage(ctx, id) }),
		"status":      with(func(ctx context.Context, a Admin, _ none) (Running, error) { return a.Status(ctx) }),
	}
}

func ids(rows []store.Credential) []string {
	out := make([]string, len(rows))
	for i, r := range rows {
		out[i] = r.ID
	}
	return out
}

func userAdd(ctx context.Context, a Admin, in UserAdd) (none, error) {
	record, err := auth.Hash(in.Password, nil)
	if err != nil {
		return none{}, err
	}
	return none{}, a.s.Store.AddAccount(ctx, store.Account{Login: in.Login, Org: a.s.Org, Record: record, Addresses: in.Addresses},
		a.entry("user.add", in.Login, map[string]any{"addresses": in.Addresses}))
}

func certPin(ctx context.Context, a Admin, in StaticArg) (string, error) {
	c, err := certs.Parse(in.Certificate)
	if err != nil {
		return "", err
	}
	print := certs.Fingerprint(c)
	return print, a.s.Store.AddStatic(ctx, a.s.Org, in.Name, print, c.Raw, a.entry("cert.pin", in.Name, map[string]any{"certificate": print}))
}

func send(ctx context.Context, a Admin, args json.RawMessage, body io.Reader) (control.Answer, error) {
	var in Send
	if err := json.Unmarshal(args, &in); err != nil {
		return control.Answer{}, err
	}
	id, err := a.Send(ctx, in, body)
	return control.Answer{Value: id}, err
}

func save(ctx context.Context, a Admin, args json.RawMessage, _ io.Reader) (control.Answer, error) {
	var in ItemArg
	if err := json.Unmarshal(args, &in); err != nil {
		return control.Answer{}, err
	}
	r, size, err := a.Raw(ctx, in.Inbox, in.Number)
	if err != nil {
		return control.Answer{}, err
	}
	return control.Answer{Value: size, Body: func(w io.Writer) error {
		defer r.Close()
		_, err := io.Copy(w, r)
		return err
	}}, nil
}

// sealed gives the sealed bytes of a message: what went over the wire, or what came.
func sealed(ctx context.Context, a Admin, args json.RawMessage, _ io.Reader) (control.Answer, error) {
	var id message.ID
	if err := json.Unmarshal(args, &id); err != nil {
		return control.Answer{}, err
	}
	m, err := a.s.Store.Message(ctx, id)
	if err != nil {
		return control.Answer{}, err
	}
	blob := m.SealedBlob
	if m.Direction == store.In {
		blob = m.Blob
	}
	if blob == "" {
		return control.Answer{}, fmt.Errorf("gateway: %s has no sealed form (yet)", id)
	}
	row, err := a.s.Store.Blob(ctx, blob)
	if err != nil {
		return control.Answer{}, err
	}
	r, err := a.s.Spool.Open(row)
	if err != nil {
		return control.Answer{}, err
	}
	return control.Answer{Value: r.Size(), Body: func(w io.Writer) error {
		defer r.Close()
		_, err := io.Copy(w, r.Section())
		return err
	}}, nil
}

// find looks up an address as a message sent now would.
func find(ctx context.Context, a Admin, ad addr.Address) (json.RawMessage, error) {
	f, err := a.s.Finder.Find(ctx, ad)
	if err != nil {
		return nil, err
	}
	return json.Marshal(f.Trace)
}
