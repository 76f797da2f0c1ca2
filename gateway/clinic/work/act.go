package work

import (
	"fmt"
	"time"

	"postern/gateway/clinic/staff"
)

// Act is something a person does with an entry.
type Act string

// The acts.
const (
	Take         Act = "take"      // I have it
	TakeOver     Act = "take_over" // I have it now, although somebody else had it
	GiveBack     Act = "give_back" // nobody has it
	Pass         Act = "pass"      // To has it, or the pool Pool
	Finish       Act = "finish"    // nothing is left to do; Category says what it was
	Wait         Act = "wait"      // until Until
	Reopen       Act = "reopen"    // it was not finished, or need not wait any longer
	SetCategory  Act = "category"
	SetUrgency   Act = "urgency"
	SetSensitive Act = "sensitive" // Sensitive says whether
)

// Acts lists them all.
func Acts() []Act {
	return []Act{Take, TakeOver, GiveBack, Pass, Finish, Wait, Reopen, SetCategory, SetUrgency, SetSensitive}
}

// Change is one act with what it needs. Version is that of the entry its author saw.
type Change struct {
	Act       Act
	Version   int64
	To        staff.PersonID // Pass
	Pool      string         // Pass; "" is the same pool
	Category  staff.Category // Finish, SetCategory
	Until     time.Time      // Wait
	Urgency   Urgency        // SetUrgency
	Sensitive bool           // SetSensitive
}

// Actor is who acts, with the rights that matter.
type Actor struct {
	ID     staff.PersonID
	Here   staff.Level // on the entry as it is
	There  staff.Level // Pass: of the actor, on the pool it goes to
	Theirs staff.Level // Pass to a person: theirs, on the entry where it goes
	Hidden staff.Level // SetSensitive: of the actor, on sensitive messages of the pool
}

// Reason is why an act was refused.
type Reason string

// The reasons.
const (
	Stale       Reason = "stale"        // somebody acted since it was seen
	NoRight     Reason = "no_right"     // the actor's level is too low
	NotYours    Reason = "not_yours"    // somebody else has it
	YoursNow    Reason = "yours_now"    // the actor has it already
	NobodyHas   Reason = "nobody_has"   // it cannot be given back or taken over
	IsDone      Reason = "is_done"      // it is finished: reopen it first
	IsOpen      Reason = "is_open"      // it is open: there is nothing to reopen
	NoCategory  Reason = "no_category"  // nothing is finished without a category (A3)
	BadCategory Reason = "bad_category" // a category that does not exist
	BadDate     Reason = "bad_date"     // a wait ends in the future, within MaxWait
	NowhereTo   Reason = "nowhere_to"   // passed on to where it is, or to nobody
	TheyMayNot  Reason = "they_may_not" // whom it is passed to may not work on it
	Unknown     Reason = "unknown_act"
)

// Refusal is why an act was not done, for its author.
type Refusal struct {
	Reason Reason
	Text   string
}

// Error says why in words.
func (r *Refusal) Error() string { return "work: " + r.Text }

func refuse(r Reason, format string, args ...any) (Entry, error) {
	return Entry{}, &Refusal{r, fmt.Sprintf(format, args...)}
}

// Apply is the entry after the act, or a *Refusal. The entry itself is not changed.
func (e Entry) Apply(c Change, who Actor, now time.Time) (Entry, error) {
	switch {
	case who.Here < staff.Draft:
		return refuse(NoRight, "You may read this but not work on it.")
	case c.Version != e.Version:
		return refuse(Stale, "Somebody acted on this after you opened it. Look at what changed, then decide again.")
	case e.State == Done && c.Act != Reopen && c.Act != SetSensitive && c.Act != SetCategory:
		return refuse(IsDone, "This is finished. Reopen it first.")
	}
	out, err := e.step(c, who, now)
	if err != nil {
		return Entry{}, err
	}
	out.Version, out.Changed = e.Version+1, now
	return out, nil
}

func (e Entry) step(c Change, who Actor, now time.Time) (Entry, error) {
	switch c.Act {
	case Take, TakeOver:
		return e.take(c, who)
	case GiveBack:
		switch e.Owner {
		case "":
			return refuse(NobodyHas, "Nobody has this.")
		case who.ID:
			e.Owner, e.State, e.Due = "", New, time.Time{}
			return e, nil
		}
		return refuse(NotYours, "Only who has this can give it back. Take it over if it cannot wait.")
	case Pass:
		return e.pass(c, who)
	case Finish:
		return e.finish(c, who, now)
	case Wait:
		return e.wait(c, who, now)
	case Reopen:
		return e.reopen(who)
	}
	return e.mark(c, who)
}

func (e Entry) take(c Change, who Actor) (Entry, error) {
	switch {
	case e.Owner == who.ID:
		return refuse(YoursNow, "You have this already.")
	case e.Owner != "" && c.Act == Take:
		return refuse(NotYours, "Somebody else has this. Take it over only if it cannot wait for them.")
	case e.Owner == "" && c.Act == TakeOver:
		return refuse(NobodyHas, "Nobody has this: just take it.")
	}
	e.Owner = who.ID
	if e.State != Waiting { // what waits goes on waiting, in other hands
		e.State = Taken
	}
	return e, nil
}

func (e Entry) pass(c Change, who Actor) (Entry, error) {
	pool := c.Pool
	if pool == "" {
		pool = e.Pool
	}
	switch {
	case e.Owner != "" && e.Owner != who.ID:
		return refuse(NotYours, "Somebody else has this: only they can pass it on. Take it over first if it cannot wait.")
	case c.To == "" && pool == e.Pool && e.Owner == "", c.To != "" && c.To == e.Owner && pool == e.Pool:
		return refuse(NowhereTo, "Say whom or which team it goes to.")
	case pool != e.Pool && who.There < staff.Read:
		return refuse(NowhereTo, "There is no such team.")
	case c.To != "" && c.To != who.ID && who.Theirs < staff.Draft, c.To == who.ID && pool != e.Pool && who.There < staff.Draft:
		return refuse(TheyMayNot, "They may not work on this. Choose somebody of that team, or pass it to the team.")
	}
	e.Pool, e.Owner, e.State, e.Due = pool, c.To, New, time.Time{}
	if c.To != "" {
		e.State = Taken
	}
	return e, nil
}

func (e Entry) finish(c Change, who Actor, now time.Time) (Entry, error) {
	category := c.Category
	if category == "" {
		category = e.Category
	}
	switch {
	case e.Owner != "" && e.Owner != who.ID:
		return refuse(NotYours, "Somebody else has this: only they can finish it.")
	case category == "":
		return refuse(NoCategory, "Say what it was: nothing is finished without a category.")
	case !category.Valid():
		return refuse(BadCategory, "There is no such category.")
	}
	e.Owner, e.State, e.Category, e.Finished, e.Due = who.ID, Done, category, now, time.Time{}
	return e, nil
}

func (e Entry) wait(c Change, who Actor, now time.Time) (Entry, error) {
	switch {
	case e.Owner != "" && e.Owner != who.ID:
		return refuse(NotYours, "Somebody else has this: only they can let it wait.")
	case !c.Until.After(now) || c.Until.After(now.Add(MaxWait)):
		return refuse(BadDate, "Give a day in the future, at most a year from now.")
	}
	e.Owner, e.State, e.Due = who.ID, Waiting, c.Until
	return e, nil
}

func (e Entry) reopen(who Actor) (Entry, error) {
	switch e.State {
	case Done:
		e.Owner, e.State, e.Finished = who.ID, Taken, time.Time{}
		return e, nil
	case Waiting:
		if e.Owner != who.ID {
			return refuse(NotYours, "Somebody else waits for this. Take it over first if it cannot wait.")
		}
		e.State, e.Due = Taken, time.Time{}
		return e, nil
	}
	return refuse(IsOpen, "This is open already.")
}

// mark sets what an entry is, without moving it.
func (e Entry) mark(c Change, who Actor) (Entry, error) {
	switch c.Act {
	case SetCategory:
		if !c.Category.Valid() {
			return refuse(BadCategory, "There is no such category.")
		}
		e.Category = c.Category
	case SetUrgency:
		if c.Urgency < Routine || c.Urgency > Emergency {
			return refuse(Unknown, "There is no such urgency.")
		}
		e.Urgency = c.Urgency
	case SetSensitive:
		if !c.Sensitive && who.Hidden < staff.Draft {
			return refuse(NoRight, "Only who may see sensitive messages can say that this is none.")
		}
		e.Sensitive = c.Sensitive
	default:
		return refuse(Unknown, "There is no such act.")
	}
	return e, nil
}

// Woken is the entry when what it waited for has come: an answer in its conversation.
func (e Entry) Woken(now time.Time) Entry {
	if e.State == Waiting && e.Due.After(now) {
		e.Due, e.Changed = now, now
		e.Version++
	}
	return e
}
