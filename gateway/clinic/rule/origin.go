package rule

import (
	"slices"

	"postern/gateway/clinic/staff"
	"postern/smime/addr"
)

// Origin is an address of ours and who writes from it: the teams it belongs to, or one person.
type Origin struct {
	Address addr.Address
	Pools   []string
	Owner   staff.PersonID // whom a rule names for all that comes to it; "" is nobody
}

// Origins says whose each address is, as the rules place what is sent to it. An address belongs to the team that its
// ordinary mail goes to: that of the first rule which names the address and nothing else, or the catch-all; where such
// a rule names a person it is theirs, and the team's only by who signs for them. A team to which no address belongs so
// shares those of the catch-all; where it has none either, those by which mail can reach the team at all.
func (s Set) Origins(addresses []addr.Address, pools []string) []Origin {
	out := make([]Origin, len(addresses))
	reach := make([][]string, len(addresses))
	has := map[string]bool{}
	for i, a := range addresses {
		out[i], reach[i] = s.origin(a)
		if out[i].Owner != "" { // one person's mail gives their team no address
			reach[i] = nil
			continue
		}
		has[out[i].Pools[0]] = true
	}
	for _, p := range pools {
		if has[p] {
			continue
		}
		by := func(i int) bool { return out[i].Pools[0] == s.CatchAll }
		if !has[s.CatchAll] {
			by = func(i int) bool { return slices.Contains(reach[i], p) }
		}
		for i := range out {
			if out[i].Owner == "" && by(i) {
				out[i].Pools = append(out[i].Pools, p)
			}
		}
	}
	return out
}

// origin is whose one address is by its ordinary mail, and the teams that any rule may bring its mail to.
func (s Set) origin(a addr.Address) (o Origin, reach []string) {
	for _, r := range s.Rules {
		named := slices.ContainsFunc(r.When.Recipients, func(want string) bool { return sameRecipient(want, a) })
		if r.Off || len(r.When.Recipients) > 0 && !named {
			continue
		}
		reach = append(reach, r.Pool)
		if rest := r.When; named {
			if rest.Recipients = nil; rest.Zero() { // nothing to this address comes further
				return Origin{a, []string{r.Pool}, r.Owner}, reach
			}
		}
	}
	return Origin{a, []string{s.CatchAll}, ""}, append(reach, s.CatchAll)
}

// Lets reports whether a person may write from the address what is of a category ("" is any) with that level: their own
// always, a colleague's as who signs for them, a team's by their level in it.
func (o Origin) Lets(who staff.Person, r staff.Rights, c staff.Category, need staff.Level) bool {
	switch {
	case who.Disabled:
		return false
	case o.Owner != "" && o.Owner == who.ID:
		return true
	case o.Owner != "":
		need = staff.Sign
	}
	return slices.ContainsFunc(o.Pools, func(p string) bool {
		if c == "" {
			return r.InPool(p) >= need
		}
		return r.On(p, c) >= need
	})
}
