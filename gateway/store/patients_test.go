package store_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"postern/gateway/clinic/directory"
	"postern/gateway/clinic/document/chart"
	"postern/gateway/clinic/patient"
	"postern/gateway/clinic/search"
	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/work"
	"postern/gateway/message"
	"postern/gateway/store"
)

func ana(phone string) chart.Patient {
	return chart.Patient{Name: chart.Name{Given: "Ana", Family: "Ruiz"}, Birth: chart.ParseTime("19700102"), Sex: chart.Code{Code: "F"},
		Telecoms: []chart.Telecom{{Value: phone}}}
}

func names(rs []patient.Record) (out []string) {
	for _, r := range rs {
		out = append(out, r.Name()+" "+string(r.State))
	}
	return out
}

func TestPatientOfAMessage(t *testing.T) {
	c := newTeams(t)
	one, two := c.filed(t, "m-1", store.Place{}), c.filed(t, "m-2", store.Place{})
	link := func(id work.ID) store.PatientLink {
		return store.PatientLink{Work: id, How: "provisional", Reasons: []patient.Reason{}, By: "dana"}
	}
	id, err := c.AddPatient(t.Context(), "o", ana("555-777-0101"), link(one.ID), store.AuditEntry{})
	ok(t, err)
	got, err := c.Acquainted(t.Context(), "o", ana("(555) 777 0101"))
	ok(t, err)
	if !slices.Equal(names(got), []string{"Ana Ruiz provisional"}) {
		t.Fatalf("acquainted: %v", names(got))
	}

	t.Run("a message has one patient at a time", func(t *testing.T) {
		l := link(one.ID)
		l.Patient = id
		if err := c.LinkPatient(t.Context(), "o", l, store.AuditEntry{}); !errors.Is(err, store.ErrLinked) {
			t.Fatalf("%v", err)
		}
		if e, err := c.Work(t.Context(), "o", one.ID); err != nil || e.Patient != string(id) {
			t.Fatalf("%+v %v", e.Patient, err)
		}
	})
	t.Run("another organisation knows nobody", func(t *testing.T) {
		if got, err := c.Acquainted(t.Context(), "other", ana("555-777-0101")); err != nil || len(got) != 0 {
			t.Fatalf("%v %v", got, err)
		}
		l := link(two.ID)
		l.Patient = id
		if err := c.LinkPatient(t.Context(), "other", l, store.AuditEntry{}); !errors.Is(err, store.ErrNotFound) {
			t.Fatalf("%v", err)
		}
		if _, err := c.Patient(t.Context(), "other", id); !errors.Is(err, store.ErrNotFound) {
			t.Fatalf("%v", err)
		}
		if err := c.UnlinkPatient(t.Context(), "other", one.ID, "x", store.AuditEntry{}); !errors.Is(err, store.ErrNotFound) {
			t.Fatalf("%v", err)
		}
	})
	t.Run("undone, and its trace is left", func(t *testing.T) {
		ok(t, c.UnlinkPatient(t.Context(), "o", one.ID, "sam", store.AuditEntry{}))
		links, err := c.PatientLinks(t.Context(), "o", one.ID)
		ok(t, err)
		if len(links) != 1 || links[0].By != "dana" || links[0].UndoneBy != "sam" || links[0].Undone.IsZero() {
			t.Fatalf("%+v", links)
		}
		if e, err := c.Work(t.Context(), "o", one.ID); err != nil || e.Patient != "" {
			t.Fatalf("%q %v", e.Patient, err)
		}
		if got, err := c.Acquainted(t.Context(), "o", ana("5557770101")); err != nil || len(got) != 0 {
			t.Fatalf("a mistake is proposed again: %v %v", names(got), err)
		}
	})
	t.Run("provisional, confirmed, merged", func(t *testing.T) {
		a, err := c.AddPatient(t.Context(), "o", ana("1"), link(one.ID), store.AuditEntry{})
		ok(t, err)
		b, err := c.AddPatient(t.Context(), "o", ana("555 777 0102"), link(two.ID), store.AuditEntry{})
		ok(t, err)
		ok(t, c.ConfirmPatient(t.Context(), "o", b, ana("555 777 0103"), store.AuditEntry{}))
		ok(t, c.MergePatient(t.Context(), "o", store.Merge{Gone: a, Into: b, By: "dana"}, store.AuditEntry{}))
		mine, err := c.PatientWork(t.Context(), "o", b, c.reach(t, c.dana), time.Time{}, 10)
		ok(t, err)
		if len(mine) != 2 {
			t.Fatalf("%d messages", len(mine))
		}
		got, err := c.Acquainted(t.Context(), "o", ana("555 777 0103"))
		ok(t, err)
		if !slices.Equal(names(got), []string{"Ana Ruiz confirmed"}) {
			t.Fatalf("%v", names(got))
		}
		if err := c.MergePatient(t.Context(), "o", store.Merge{Gone: a, Into: b, By: "dana"}, store.AuditEntry{}); !errors.Is(err, store.ErrNotFound) {
			t.Fatalf("merged twice: %v", err)
		}
		if got, err := c.PatientsSeen(t.Context(), "o", "RUI", c.reach(t, c.dana), 5); err != nil || len(got) != 1 {
			t.Fatalf("%v %v", names(got), err)
		}
		for _, who := range []staff.Person{c.dana, c.nora} {
			seen, err := c.PatientVisible(t.Context(), "o", b, c.reach(t, who))
			ok(t, err)
			if seen != (who.ID == c.dana.ID) {
				t.Errorf("%s sees the patient: %v", who.Login, seen)
			}
		}
	})
}

func TestSearch(t *testing.T) {
	c := newTeams(t)
	var all []store.Searchable
	for i, s := range []struct{ subject, patient, text, pool string }{
		{"Referral", "Ana Ruiz", "chest pain since Monday", ""},
		{"Discharge", "Tom Olsen", "chest drain removed", ""},
		{"Result", "Ana Ruiz", "troponin normal", ""},
		{"For nurses", "Ana Ruiz", "chest wound", c.nurses.ID},
	} {
		c.now = c.now.Add(time.Hour)
		place := store.Place{}
		place.Pool = s.pool
		e := c.filed(t, message.ID(fmt.Sprintf("m-%d", i)), place)
		all = append(all, store.Searchable{Work: e.ID, Org: "o", Received: e.Received, Sender: e.Sender.String(), Recipient: e.Recipient.String(),
			Patient: s.patient, Subject: s.subject, Text: s.text, From: e.Sender, Called: "Dr. Lee"})
	}
	pending, err := c.Unindexed(t.Context(), 10)
	ok(t, err)
	if len(pending) != 4 {
		t.Fatalf("%d wait to be indexed", len(pending))
	}
	for range 2 { // again is the same
		ok(t, c.Index(t.Context(), all))
	}
	if learned, _, err := c.BookOf(t.Context(), "o", dr); err != nil || learned.Messages != 4 || learned.Name != "Dr. Lee" || learned.Source != directory.Learned || !learned.Heard.Equal(c.now) {
		t.Errorf("the address book learned %+v, %v", learned, err)
	}
	find := func(t *testing.T, who staff.Person, org, q, after string, n int) ([]string, store.Results) {
		t.Helper()
		parsed, err := search.Parse(q, time.UTC)
		ok(t, err)
		r, err := c.Search(t.Context(), store.Asked{Org: org, Query: parsed, Reach: c.reach(t, who), After: after, N: n})
		ok(t, err)
		out := []string{}
		for _, e := range r.Found {
			out = append(out, string(e.Message))
		}
		return out, r
	}
	for situation, x := range map[string]struct {
		who   staff.Person
		org   string
		query string
		want  []string
	}{
		"a word, newest first":        {c.dana, "o", "chest", []string{"m-1", "m-0"}},
		"all words":                   {c.dana, "o", "chest pain", []string{"m-0"}},
		"not a word":                  {c.dana, "o", "chest -drain", []string{"m-0"}},
		"a place":                     {c.dana, "o", "patient:ruiz", []string{"m-2", "m-0"}},
		"the sender's domain":         {c.dana, "o", "from:hospital troponin", []string{"m-2"}},
		"the beginning of a word":     {c.dana, "o", "trop*", []string{"m-2"}},
		"case and accents":            {c.dana, "o", "CHÉST pain", []string{"m-0"}},
		"only what may be seen":       {c.nora, "o", "chest", []string{"m-3"}},
		"nothing said":                {c.nora, "o", "", []string{"m-3"}},
		"a filter alone":              {c.dana, "o", "state:new", []string{"m-2", "m-1", "m-0"}},
		"a filter that none meets":    {c.dana, "o", "chest state:done", []string{}},
		"another organisation":        {c.dana, "other", "chest", []string{}},
		"its operators are words":     {c.dana, "o", `org:o OR chest`, []string{}},
		"the organisation is no word": {c.dana, "o", "oo", []string{}},
	} {
		t.Run(situation, func(t *testing.T) {
			if got, _ := find(t, x.who, x.org, x.query, "", 10); !slices.Equal(got, x.want) {
				t.Fatalf("%v, want %v", got, x.want)
			}
		})
	}
	t.Run("page by page", func(t *testing.T) {
		first, r := find(t, c.dana, "o", "chest", "", 1)
		if !slices.Equal(first, []string{"m-1"}) || r.Older == "" {
			t.Fatalf("%v %v", first, r.Older)
		}
		if plain, r := find(t, c.dana, "o", "state:new", "", 2); !slices.Equal(plain, []string{"m-2", "m-1"}) {
			t.Fatalf("%v", plain)
		} else if rest, r := find(t, c.dana, "o", "state:new", r.Older, 2); !slices.Equal(rest, []string{"m-0"}) || r.Older != "" {
			t.Fatalf("%v %v", rest, r.Older)
		}
		second, r := find(t, c.dana, "o", "chest", r.Older, 1)
		if !slices.Equal(second, []string{"m-0"}) || r.Older != "" {
			t.Fatalf("%v %v", second, r.Older)
		}
	})
	t.Run("what goes is not found", func(t *testing.T) {
		ok(t, c.SetRetention(t.Context(), store.KeptInbox, time.Hour, store.AuditEntry{}))
		_, err := c.ExpireItems(t.Context(), 90*time.Minute, store.AuditEntry{})
		ok(t, err)
		if got, _ := find(t, c.dana, "o", "chest OR pain", "", 10); len(got) != 0 {
			t.Fatalf("%v", got)
		}
		if got, _ := find(t, c.dana, "o", "patient:ruiz", "", 10); !slices.Equal(got, []string{"m-2"}) {
			t.Fatalf("%v", got)
		}
	})
}
