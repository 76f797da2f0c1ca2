package work_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/work"
)

var now = time.Date(2030, 3, 4, 9, 0, 0, 0, time.UTC)

func TestActs(t *testing.T) {
	const me, sam = staff.PersonID("p-me"), staff.PersonID("p-sam")
	nobodys := work.Entry{Pool: "desk", State: work.New, Version: 3}
	mine := work.Entry{Pool: "desk", State: work.Taken, Owner: me, Version: 3}
	sams := work.Entry{Pool: "desk", State: work.Taken, Owner: sam, Version: 3}
	waits := work.Entry{Pool: "desk", State: work.Waiting, Owner: me, Due: now.Add(time.Hour), Version: 3}
	samWaits := waits
	samWaits.Owner = sam
	done := work.Entry{Pool: "desk", State: work.Done, Owner: sam, Category: staff.Referral, Finished: now, Version: 3}
	full := work.Actor{ID: me, Here: staff.Send, There: staff.Send, Theirs: staff.Draft, Hidden: staff.None}
	with := func(f func(*work.Actor)) work.Actor { a := full; f(&a); return a }
	for _, c := range []struct {
		name string
		e    work.Entry
		do   work.Change
		who  work.Actor
		want work.Reason // "" is done
		then work.State
		owns staff.PersonID
	}{
		{"take what nobody has", nobodys, work.Change{Act: work.Take}, full, "", work.Taken, me},
		{"take what one has", mine, work.Change{Act: work.Take}, full, work.YoursNow, "", ""},
		{"take what another has", sams, work.Change{Act: work.Take}, full, work.NotYours, "", ""},
		{"take it over", sams, work.Change{Act: work.TakeOver}, full, "", work.Taken, me},
		{"take over what waits", samWaits, work.Change{Act: work.TakeOver}, full, "", work.Waiting, me},
		{"take over what nobody has", nobodys, work.Change{Act: work.TakeOver}, full, work.NobodyHas, "", ""},
		{"a reader takes", nobodys, work.Change{Act: work.Take}, with(func(a *work.Actor) { a.Here = staff.Read }), work.NoRight, "", ""},
		{"an older version", nobodys, work.Change{Act: work.Take, Version: 2}, full, work.Stale, "", ""},
		{"give back", mine, work.Change{Act: work.GiveBack}, full, "", work.New, ""},
		{"give back what waits", waits, work.Change{Act: work.GiveBack}, full, "", work.New, ""},
		{"give back another's", sams, work.Change{Act: work.GiveBack}, full, work.NotYours, "", ""},
		{"give back nobody's", nobodys, work.Change{Act: work.GiveBack}, full, work.NobodyHas, "", ""},
		{"pass to a colleague", mine, work.Change{Act: work.Pass, To: sam}, full, "", work.Taken, sam},
		{"pass to who may not work on it", mine, work.Change{Act: work.Pass, To: sam}, with(func(a *work.Actor) { a.Theirs = staff.Read }), work.TheyMayNot, "", ""},
		{"pass to a team", mine, work.Change{Act: work.Pass, Pool: "nurses"}, full, "", work.New, ""},
		{"pass to a team one cannot see", mine, work.Change{Act: work.Pass, Pool: "x"}, with(func(a *work.Actor) { a.There = staff.None }), work.NowhereTo, "", ""},
		{"pass nobody's to nobody", nobodys, work.Change{Act: work.Pass}, full, work.NowhereTo, "", ""},
		{"pass another's", sams, work.Change{Act: work.Pass, Pool: "nurses"}, full, work.NotYours, "", ""},
		{"pass to oneself in a team where one may only read", mine, work.Change{Act: work.Pass, To: me, Pool: "nurses"}, with(func(a *work.Actor) { a.There = staff.Read }), work.TheyMayNot, "", ""},
		{"finish", mine, work.Change{Act: work.Finish, Category: staff.Records}, full, "", work.Done, me},
		{"finish without a category", mine, work.Change{Act: work.Finish}, full, work.NoCategory, "", ""},
		{"finish with a category that is none", mine, work.Change{Act: work.Finish, Category: "x"}, full, work.BadCategory, "", ""},
		{"finish nobody's", nobodys, work.Change{Act: work.Finish, Category: staff.Other}, full, "", work.Done, me},
		{"finish another's", sams, work.Change{Act: work.Finish, Category: staff.Other}, full, work.NotYours, "", ""},
		{"finish twice", done, work.Change{Act: work.Finish, Category: staff.Other}, full, work.IsDone, "", ""},
		{"wait", mine, work.Change{Act: work.Wait, Until: now.Add(time.Hour)}, full, "", work.Waiting, me},
		{"wait for the past", mine, work.Change{Act: work.Wait, Until: now}, full, work.BadDate, "", ""},
		{"wait for ever", mine, work.Change{Act: work.Wait, Until: now.Add(work.MaxWait + 1)}, full, work.BadDate, "", ""},
		{"wait no longer", waits, work.Change{Act: work.Reopen}, full, "", work.Taken, me},
		{"end another's wait", samWaits, work.Change{Act: work.Reopen}, full, work.NotYours, "", ""},
		{"reopen", done, work.Change{Act: work.Reopen}, full, "", work.Taken, me},
		{"reopen what is open", mine, work.Change{Act: work.Reopen}, full, work.IsOpen, "", ""},
		{"a category of what is finished", done, work.Change{Act: work.SetCategory, Category: staff.Result}, full, "", work.Done, sam},
		{"an urgency that is none", mine, work.Change{Act: work.SetUrgency, Urgency: 3}, full, work.Unknown, "", ""},
		{"make it sensitive", mine, work.Change{Act: work.SetSensitive, Sensitive: true}, full, "", work.Taken, me},
		{"not sensitive, by who may not see it", mine, work.Change{Act: work.SetSensitive}, full, work.NoRight, "", ""},
		{"an act that is none", mine, work.Change{Act: "eat"}, full, work.Unknown, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.do.Version == 0 {
				c.do.Version = c.e.Version
			}
			after, err := c.e.Apply(c.do, c.who, now)
			var r *work.Refusal
			if c.want != "" {
				if !errors.As(err, &r) || r.Reason != c.want || r.Text == "" {
					t.Fatalf("%v, want %s", err, c.want)
				}
				return
			}
			if err != nil || after.State != c.then || after.Owner != c.owns || after.Version != c.e.Version+1 || !after.Changed.Equal(now) {
				t.Errorf("%+v, %v: want %s of %q", after, err, c.then, c.owns)
			}
		})
	}
}

func TestWords(t *testing.T) {
	for _, s := range work.States() {
		if s.Words() == "unknown" {
			t.Errorf("%s has no words", s)
		}
	}
	for u := work.Routine; u <= work.Emergency; u++ {
		if back, ok := work.ParseUrgency(u.Words()); !ok || back != u {
			t.Errorf("urgency %d is written %q and read as %d", u, u.Words(), back)
		}
	}
}

// model is what a small book-keeper would say of one entry.
type model struct {
	state work.State
	owner staff.PersonID
}

// TestStates drives entries at random and holds them against what must always be so.
func TestStates(t *testing.T) {
	people := []staff.PersonID{"p-a", "p-b", "p-c"}
	rapid.Check(t, func(t *rapid.T) {
		e := work.Entry{Pool: "desk", State: work.New, Version: 1}
		m := model{work.New, ""}
		at := now
		for range rapid.IntRange(1, 40).Draw(t, "acts") {
			at = at.Add(time.Duration(rapid.IntRange(0, 100).Draw(t, "minutes")) * time.Minute)
			who := work.Actor{ID: rapid.SampledFrom(people).Draw(t, "who")}
			for _, l := range []*staff.Level{&who.Here, &who.There, &who.Theirs, &who.Hidden} {
				*l = rapid.SampledFrom(staff.Levels()).Draw(t, "level")
			}
			c := work.Change{Act: rapid.SampledFrom(work.Acts()).Draw(t, "act"), Version: e.Version - int64(rapid.IntRange(0, 1).Draw(t, "stale")),
				To: rapid.SampledFrom(append(people, "")).Draw(t, "to"), Pool: rapid.SampledFrom([]string{"", "desk", "nurses"}).Draw(t, "pool"),
				Category: rapid.SampledFrom(append(staff.Categories(), "")).Draw(t, "category"), Sensitive: rapid.Bool().Draw(t, "sensitive"),
				Until: at.Add(time.Duration(rapid.IntRange(-10, 1000).Draw(t, "until")) * time.Hour), Urgency: work.Urgency(rapid.IntRange(0, 2).Draw(t, "urgency"))}
			before := e
			after, err := e.Apply(c, who, at)
			if err != nil {
				var r *work.Refusal
				if !errors.As(err, &r) || r.Text == "" {
					t.Fatalf("refused without a reason: %v", err)
				}
				continue
			}
			m = m.after(c, who)
			e = after
			switch {
			case who.Here < staff.Draft:
				t.Fatal("who may only read has changed it")
			case c.Version != before.Version:
				t.Fatal("a change made of an older version was done")
			case !slices.Contains(work.States(), e.State) || e.State != m.state || e.Owner != m.owner:
				t.Fatalf("%s of %q, the model says %s of %q", e.State, e.Owner, m.state, m.owner)
			case e.State == work.New && e.Owner != "", e.State != work.New && e.Owner == "":
				t.Fatalf("%s of %q", e.State, e.Owner)
			case e.State == work.Done && (e.Category == "" || e.Finished.IsZero()):
				t.Fatal("finished without a category or an hour")
			case e.State != work.Done && !e.Finished.IsZero(), (e.State == work.Waiting) != !e.Due.IsZero():
				t.Fatalf("%s, finished %v, due %v", e.State, e.Finished, e.Due)
			case e.State.Open() == (e.State == work.Done):
				t.Fatal("neither open nor finished")
			case e.Pool == "" || e.Version != before.Version+1:
				t.Fatalf("pool %q version %d", e.Pool, e.Version)
			case before.Owner != "" && before.Owner != who.ID && e.Owner != before.Owner && c.Act != work.TakeOver && c.Act != work.Reopen:
				t.Fatalf("%s took it from %s by %s", who.ID, before.Owner, c.Act)
			}
		}
	})
}

// after is the model of an act that was done.
func (m model) after(c work.Change, who work.Actor) model {
	switch c.Act {
	case work.Take, work.TakeOver:
		if m.state != work.Waiting {
			m.state = work.Taken
		}
		m.owner = who.ID
	case work.GiveBack:
		return model{work.New, ""}
	case work.Pass:
		if c.To == "" {
			return model{work.New, ""}
		}
		return model{work.Taken, c.To}
	case work.Finish:
		return model{work.Done, who.ID}
	case work.Wait:
		return model{work.Waiting, who.ID}
	case work.Reopen:
		return model{work.Taken, who.ID}
	}
	return m
}

func TestNamesInANote(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string
	}{
		{"@sam please look", []string{"sam"}},
		{"ask (@Dana.Reyes), @sam. and @sam!", []string{"dana.reyes", "sam"}},
		{"write to dr@hospital.example", nil},
		{"@ nobody", nil},
	} {
		if got := work.Mentioned(c.text); !slices.Equal(got, c.want) {
			t.Errorf("%q names %v, want %v", c.text, got, c.want)
		}
	}
	many := ""
	for i := range 30 {
		many += " @p" + string(rune('a'+i%26)) + string(rune('a'+i/26))
	}
	if n := len(work.Mentioned(many)); n != work.MaxMentions {
		t.Errorf("%d names", n)
	}
	if work.CheckNote(" \n") == nil || work.CheckNote(string(make([]byte, work.MaxNote+1))) == nil || work.CheckNote("fine") != nil {
		t.Error("notes are not measured")
	}
}

func TestCollisions(t *testing.T) {
	writer := func(p staff.PersonID, ago time.Duration) work.Writer {
		return work.Writer{Person: p, Since: now.Add(-ago), Seen: now.Add(-ago)}
	}
	sent := work.Answer{Message: "m-1", By: "sam", At: now.Add(-time.Minute)}
	for _, c := range []struct {
		name     string
		since    time.Time
		writers  []work.Writer
		answers  []work.Answer
		writing  int
		answered int
	}{
		{"nobody", time.Time{}, nil, nil, 0, 0},
		{"oneself", now.Add(-time.Minute), []work.Writer{writer("p-me", time.Minute)}, nil, 0, 0},
		{"another writes", time.Time{}, []work.Writer{writer("p-sam", time.Minute)}, nil, 1, 0},
		{"another left", time.Time{}, []work.Writer{writer("p-sam", work.WritingFor)}, nil, 0, 0},
		{"an answer left before", time.Time{}, nil, []work.Answer{sent}, 0, 1},
		{"an answer left while one wrote", now.Add(-time.Hour), nil, []work.Answer{sent}, 0, 1},
		{"an answer one knew of", now.Add(-time.Second), nil, []work.Answer{sent}, 0, 0},
	} {
		got := work.Collides("p-me", c.since, now, c.writers, c.answers)
		if got == nil {
			got = &work.Collision{}
		}
		if len(got.Writing) != c.writing || len(got.Answered) != c.answered {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}
