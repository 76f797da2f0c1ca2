package write

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"postern/gateway/clinic/letter"
	"postern/gateway/clinic/pool"
	"postern/gateway/clinic/rule"
	"postern/gateway/clinic/staff"
	"postern/gateway/edge/web"
	"postern/gateway/store"
	"postern/smime/addr"
)

// origins are the organisation's addresses that lead to an inbox, with whose they are.
func (p *pen) origins(q *web.Request) ([]rule.Origin, error) {
	all, err := p.Store.InboxAddresses(q.Context(), q.Org)
	if err != nil {
		return nil, err
	}
	set, err := p.Store.Rules(q.Context(), q.Org)
	if err != nil {
		return nil, err
	}
	pools, err := p.Store.Pools(q.Context(), q.Org)
	ids := make([]string, len(pools))
	for i, x := range pools {
		ids[i] = x.ID
	}
	return set.Origins(all, ids), err
}

// from narrows origins to those from which the person may write a draft with that level, those of the draft's team first.
// What a message came to, an answer to it may leave from.
func (p *pen) from(q *web.Request, d letter.Draft, need staff.Level) ([]addr.Address, error) {
	all, err := p.origins(q)
	if err != nil {
		return nil, err
	}
	scope, err := p.scope(q, d.Work, d.Category)
	if err != nil {
		return nil, err
	}
	came, err := p.cameTo(q, d, need)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(o rule.Origin) bool {
		return !o.Lets(q.Person, q.Rights, scope, need) && o.Address.Key() != came.Key()
	})
	rank := func(o rule.Origin) int {
		switch {
		case o.Address.Key() == came.Key():
			return 0
		case slices.Contains(o.Pools, d.Pool) && o.Owner == "":
			return 1
		}
		return 2
	}
	slices.SortStableFunc(all, func(a, b rule.Origin) int { return cmp.Compare(rank(a), rank(b)) })
	out := make([]addr.Address, len(all))
	for i, o := range all {
		out[i] = o.Address
	}
	return out, nil
}

// cameTo is the address that the message came to which a draft begins from, for who has that level on it; zero is none.
func (p *pen) cameTo(q *web.Request, d letter.Draft, need staff.Level) (addr.Address, error) {
	if d.Work == "" {
		return addr.Address{}, nil
	}
	e, err := p.Store.Work(q.Context(), q.Org, d.Work)
	if errors.Is(err, store.ErrNotFound) || err == nil && q.Rights.On(e.Pool, e.Scope()) < need {
		return addr.Address{}, nil
	}
	return e.Recipient.WithoutTag(), err
}

// mayFrom is nil where the person may write the draft from its address with that level, else why not.
func (p *pen) mayFrom(q *web.Request, d letter.Draft, need staff.Level) error {
	mine, err := p.from(q, d, need)
	if err != nil || slices.ContainsFunc(mine, func(a addr.Address) bool { return a.Key() == d.From.Key() }) {
		return err
	}
	all, err := p.origins(q)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(o rule.Origin) bool { return o.Address.Key() == d.From.Key() })
	if i < 0 {
		return &web.Invalid{Field: "from", Text: "That is not an address of yours."}
	}
	whose, err := p.whose(q, all[i])
	verb := map[bool]string{true: "send", false: "write"}[need >= staff.Send]
	return errors.Join(err, &web.Invalid{Field: "from", Text: fmt.Sprintf("%s is the address of %s: you may not %s from it. Choose another, or ask them.", d.From, whose, verb)})
}

// whose names those an address belongs to.
func (p *pen) whose(q *web.Request, o rule.Origin) (string, error) {
	if o.Owner != "" {
		who, err := p.Store.Person(q.Context(), q.Org, o.Owner)
		if errors.Is(err, store.ErrNotFound) {
			return "somebody who left", nil
		}
		return who.Name, err
	}
	pools, err := p.Store.Pools(q.Context(), q.Org)
	var names []string
	for _, id := range o.Pools {
		if i := slices.IndexFunc(pools, func(x pool.Pool) bool { return x.ID == id }); i >= 0 {
			names = append(names, pools[i].Name)
		}
	}
	return strings.Join(names, " and "), err
}
