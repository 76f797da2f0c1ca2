package desk

import (
	"encoding/json"
	"time"

	"postern/gateway/clinic/rule"
	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/work"
	"postern/gateway/edge/web"
)

// trialPage is what changed rules would have done with what came in the last 30 days.
type trialPage struct {
	Version int64
	Set     string // the rules that will be saved, as JSON
	Days    int
	Looked  int
	Cut     bool // there were more than a trial looks at
	Unread  int  // could not be judged: their words cannot be read now
	Takes   []takes
	Only    []trialLine // what only the last rule would have taken
	OnlyN   int
	Moved   int // would have gone elsewhere than with the rules in force
}

// takes is how much one rule would have taken.
type takes struct {
	Name string
	N    int
	Off  bool
}

// trialLine is one message of the trial, as far as whoever asks may know it.
type trialLine struct {
	ID      work.ID
	At      time.Time
	From    string
	To      string
	Types   string
	Visible bool
}

// maxTrialLines bounds the messages a trial names.
const maxTrialLines = 40

// trialOf tries a list on what came before.
func (d *desk) trialOf(q *web.Request, now, next rule.Set) (trialPage, error) {
	text, err := json.Marshal(next.Rules)
	p := trialPage{Version: now.Version, Set: string(text), Days: TrialDays}
	if err != nil {
		return p, err
	}
	arrivals, err := d.Store.Arrivals(q.Context(), q.Org, q.Now.AddDate(0, 0, -TrialDays), MaxTrial)
	if err != nil {
		return p, err
	}
	p.Looked, p.Cut = len(arrivals), len(arrivals) == MaxTrial
	count := map[string]int{}
	read := 0
	for _, a := range arrivals {
		f := a.Facts
		f.Text = d.trialText(q, a.Blob, a.Subject, &read)
		was, _ := judge(now, f)
		r, unread := judge(next, f)
		if unread {
			p.Unread++
		}
		count[r]++
		if r != was {
			p.Moved++
		}
		if r != "" {
			continue
		}
		p.OnlyN++
		if len(p.Only) < maxTrialLines {
			l := trialLine{ID: a.Work.ID, At: a.Work.Received, From: a.Work.Sender.String(), To: a.Work.Recipient.String(), Visible: q.Rights.On(a.Work.Pool, a.Work.Scope()) >= staff.Read}
			if len(f.Types) > 0 {
				l.Types = f.Types[0]
			}
			p.Only = append(p.Only, l)
		}
	}
	for _, r := range next.Rules {
		p.Takes = append(p.Takes, takes{r.Name, count[r.ID], r.Off})
	}
	return p, nil
}

// trialText reads the words of a stored message once, and only where a rule asks for them.
func (d *desk) trialText(q *web.Request, blob, subject string, read *int) func() (string, bool) {
	var text string
	var ok, asked bool
	return func() (string, bool) {
		if asked {
			return text, ok
		}
		asked = true
		if *read >= MaxTrialRead || d.Words == nil || q.Context().Err() != nil {
			return "", false
		}
		*read++
		text, ok = d.Words(q.Context(), blob, subject)
		return text, ok
	}
}

// judge is the rule that takes a message, "" for the last; unread says that a rule asked for words nobody can read.
func judge(set rule.Set, f rule.Facts) (id string, unread bool) {
	for _, r := range set.Rules {
		if r.Off {
			continue
		}
		switch _, v := r.When.Matches(f); v {
		case rule.Yes:
			return r.ID, unread
		case rule.Unread:
			unread = true
		}
	}
	return "", unread
}
