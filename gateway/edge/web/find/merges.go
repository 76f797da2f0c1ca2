package find

import (
	"errors"
	"strings"
	"unicode/utf8"

	"postern/gateway/clinic/patient"
	"postern/gateway/clinic/staff"
	"postern/gateway/edge/web"
	"postern/gateway/store"
)

// Limits of merges.
const (
	MaxMerges = 20  // shown of one patient
	MaxMoves  = 200 // messages of one merge that are looked at for the page
	MinWhy    = 5   // characters of why two records are one, or are not
	MaxWhy    = 300
)

// merged is one merge of this record with another, as the asker may know of it.
type merged struct {
	store.Merge
	Name                    string // of the other record; "" where none of what moved may be read
	Here                    bool   // the other record was made part of this one
	ByName, UndoneName, Why string // Why is left out with the name: it may speak of the patient
	UndoneWhy               string

	// Of the messages that the asker may read; how many others there are is not said.
	Back  int    // would go back
	Stay  []stay // something else was said of them since
	Since int    // came to this record after the merge, and stay
}

// stay is a message that would not go back, as somebody said something else of it since the merge.
type stay struct {
	store.Moved
	By string
}

// merges are the merges of a record.
func (f *find) merges(q *web.Request, id patient.ID, reach []store.Reach) (out []merged, err error) {
	all, err := f.Store.Merges(q.Context(), q.Org, id, MaxMerges)
	if err != nil {
		return nil, err
	}
	for _, m := range all {
		x := merged{Merge: m, Here: m.Into == id}
		if x.ByName, err = f.called(q, m.By); err != nil {
			return nil, err
		}
		if x.UndoneName, err = f.called(q, m.UndoneBy); err != nil {
			return nil, err
		}
		if err := f.moves(q, &x, reach); err != nil {
			return nil, err
		}
		out = append(out, x)
	}
	return out, nil
}

// moves fills in what a merge moved and what became of it. The other record's name is for who may see a message that
// came from it or is its now.
func (f *find) moves(q *web.Request, x *merged, reach []store.Reach) error {
	moves, err := f.Store.MergeMoves(q.Context(), q.Org, x.ID, MaxMoves)
	if err != nil {
		return err
	}
	readable := false
	for _, v := range moves {
		if q.Rights.On(v.Pool, v.Scope()) < staff.Read {
			continue
		}
		readable = true
		if v.Back {
			x.Back++
		} else {
			s := stay{Moved: v}
			if s.By, err = f.called(q, v.Changer); err != nil {
				return err
			}
			x.Stay = append(x.Stay, s)
		}
	}
	other := x.Gone
	if !x.Here {
		other = x.Into
	}
	if x.Name, err = f.nameOf(q, other, reach); err != nil {
		return err
	}
	if x.Name == "" && readable && x.Here {
		r, err := f.Store.Patient(q.Context(), q.Org, other)
		if err != nil {
			return err
		}
		x.Name = r.Name()
	}
	if x.Name != "" {
		x.Why, x.UndoneWhy = x.Merge.Why, x.Merge.UndoneWhy
	}
	if x.Undone.IsZero() && x.Here {
		x.Since, err = f.Store.CameSince(q.Context(), q.Org, x.Merge, reach)
	}
	return err
}

// reason reads why two records are one, or are not.
func reason(q *web.Request) (string, error) {
	why := strings.Join(strings.Fields(q.PostForm.Get("why")), " ")
	if n := utf8.RuneCountInString(why); n < MinWhy || n > MaxWhy {
		return "", &web.Invalid{Field: "why", Text: "Say in a few words why."}
	}
	return why, nil
}

// merge says that another record is the same person.
func (f *find) merge(q *web.Request) error {
	data, err := f.changing(q)
	if err != nil {
		return err
	}
	into := patient.ID(q.PostForm.Get("into"))
	for _, o := range data.Others {
		if o.ID != into {
			continue
		}
		why, err := reason(q)
		if err != nil {
			return q.Again(f.patient, "Patient", data, err)
		}
		m := store.Merge{Gone: data.Who.ID, Into: into, Why: why, By: q.Person.Login}
		if err := f.Store.MergePatient(q.Context(), q.Org, m, entry(q, "merge_patient", string(data.Who.ID), map[string]any{"into": into})); err != nil {
			return err
		}
		return q.See("/patient/"+string(into), "The two records are one now. That can be taken back here.")
	}
	return &web.Refusal{Text: "Choose the record that is the same person."}
}

// part takes a merge into this record back.
func (f *find) part(q *web.Request) error {
	data, err := f.changing(q)
	if err != nil {
		return err
	}
	reach, _, err := f.reach(q)
	if err != nil {
		return err
	}
	for _, m := range data.Merges {
		if m.ID != q.PostForm.Get("merge") || !m.Here {
			continue
		}
		if !m.Undone.IsZero() {
			return q.See("/patient/"+string(data.Who.ID), "Somebody took them apart a moment ago.")
		}
		if m.UndoneWhy, err = reason(q); err != nil {
			return q.Again(f.patient, "Patient", data, err)
		}
		m.Merge.UndoneWhy, m.Merge.UndoneBy = m.UndoneWhy, q.Person.Login
		to := data.Who.ID
		_, err := f.Store.UndoMerge(q.Context(), q.Org, m.Merge, func(u store.MergeUndone) store.AuditEntry {
			return entry(q, "part_patients", string(data.Who.ID), map[string]any{"from": m.Gone, "merged": m.At, "merged_by": m.By, "back": u.Back, "stayed": u.Stayed})
		})
		if errors.Is(err, store.ErrMergedOn) {
			return &web.Refusal{Text: "This record was made part of another one since: take that apart first."}
		}
		if errors.Is(err, store.ErrNotFound) { // two people said so at once
			return q.See("/patient/"+string(to), "Somebody took them apart a moment ago.")
		}
		if err != nil {
			return err
		}
		if left, err := f.nameOf(q, to, reach); err != nil {
			return err
		} else if left == "" { // nothing that the asker may read is this record's any more
			to = m.Gone
		}
		return q.See("/patient/"+string(to), "They are two records again.")
	}
	return web.ErrNotFound
}
