package gateway

import (
	"context"

	"postern/gateway/clinic/staff"
)

// checkTeams looks over the clinic's teams: what comes to one must have somebody who works on it and somebody who
// answers for it.
func (s *Site) checkTeams(ctx context.Context, add func(level, about, format string, args ...any)) {
	orgs, err := s.Store.Orgs(ctx)
	if err != nil {
		add("error", "teams", "%v", err)
		return
	}
	for _, o := range orgs {
		if err := s.checkTeamsOf(ctx, o.ID, add); err != nil {
			add("error", "teams", "%v", err)
		}
	}
}

func (s *Site) checkTeamsOf(ctx context.Context, org string, add func(level, about, format string, args ...any)) error {
	people, err := s.Store.People(ctx, org)
	if err != nil || len(people) == 0 { // nobody signs in here: the mail goes elsewhere
		return err
	}
	pools, err := s.Store.Pools(ctx, org)
	if err != nil {
		return err
	}
	members, err := s.Store.PoolMembers(ctx, org)
	if err != nil {
		return err
	}
	by := map[staff.PersonID]staff.Person{}
	for _, p := range people {
		by[p.ID] = p
	}
	for _, p := range pools {
		if owner, ok := by[p.Owner]; !ok || owner.Disabled {
			add("warning", "team "+p.Name, "nobody answers for it: who did is not here any more; a manager names another under Settings, Teams")
		}
		if members[p.ID] == 0 {
			add("warning", "team "+p.Name, "nobody belongs to it, so nobody works on what comes there; a manager adds somebody under Settings, Teams")
		}
	}
	return nil
}
