package store_test

import (
	"crypto/rand"
	"errors"
	"slices"
	"testing"
	"time"

	"postern/gateway/clinic/directory"
	"postern/gateway/clinic/document"
	"postern/gateway/clinic/document/chart"
	"postern/gateway/clinic/letter"
	"postern/gateway/clinic/scan"
	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/template"
	"postern/gateway/store"
	"postern/smime/addr"
)

func TestDraft(t *testing.T) {
	c := newTeams(t)
	d := letter.Begin(c.dana, letter.New, c.desk.ID, intake, nil, c.now)
	d.To, d.Category, d.SignFor, d.Purpose = []addr.Address{dr}, staff.Referral, "Dr. Okafor", "referral"
	_, err := c.AddDraft(t.Context(), d, blobRow("t-1"), false, store.AuditEntry{})
	ok(t, err)

	t.Run("saved, and a second writer hears of it", func(t *testing.T) {
		ok(t, c.SaveDraft(t.Context(), d, blobRow("t-2"), store.AuditEntry{}))
		if err := c.SaveDraft(t.Context(), d, blobRow("t-3"), store.AuditEntry{}); !errors.Is(err, store.ErrStaleDraft) {
			t.Fatalf("%v", err)
		}
		got, err := c.Draft(t.Context(), "o", d.ID)
		ok(t, err)
		if got.Version != 2 || got.Blob != "t-2" || !slices.Equal(got.To, d.To) || got.SignFor != d.SignFor || got.From != intake || got.Category != staff.Referral {
			t.Fatalf("%+v", got)
		}
	})
	t.Run("files", func(t *testing.T) {
		f := letter.File{Name: "a.xml", Kind: document.CCDA, MediaType: "text/xml", Size: 7, Patient: "Ana Ruiz", Scan: scan.Answer{Verdict: scan.Clean},
			Findings: []chart.Finding{{Severity: chart.Warning, Rule: "r", Text: "t"}}}
		for _, blob := range []string{"f-1", "f-2"} {
			_, err := c.AddFile(t.Context(), "o", d.ID, f, blobRow(blob), store.AuditEntry{})
			ok(t, err)
		}
		ok(t, c.RemoveFile(t.Context(), "o", d.ID, 1, store.AuditEntry{}))
		got, err := c.Draft(t.Context(), "o", d.ID)
		ok(t, err)
		if len(got.Files) != 1 || got.Files[0].Number != 2 || got.Files[0].Blob != "f-2" || got.Files[0].Patient != "Ana Ruiz" || len(got.Files[0].Findings) != 1 {
			t.Fatalf("%+v", got.Files)
		}
		if err := c.RemoveFile(t.Context(), "o", d.ID, 1, store.AuditEntry{}); !errors.Is(err, store.ErrNotFound) {
			t.Fatalf("%v", err)
		}
		if _, err := c.AddFile(t.Context(), "other", d.ID, f, blobRow("f-3"), store.AuditEntry{}); !errors.Is(err, store.ErrNotFound) {
			t.Fatalf("another organisation: %v", err)
		}
	})
	t.Run("what it needs is kept and what it needed goes", func(t *testing.T) {
		c.now = c.now.Add(store.SettledFor + time.Hour)
		gone, err := c.Unreferenced(t.Context(), 10)
		ok(t, err)
		var ids []string
		for _, b := range gone {
			ids = append(ids, b.ID)
		}
		slices.Sort(ids)
		if !slices.Equal(ids, []string{"f-1", "t-1"}) {
			t.Fatalf("%v", ids)
		}
	})
	t.Run("sent once", func(t *testing.T) {
		c.must(t, store.Step{Messages: []store.Message{out("m-9", dr)}})
		row := store.SentRow{Message: "m-9", Org: "o", Person: c.dana.ID, Pool: c.desk.ID, How: letter.New, Category: staff.Referral}
		for range 2 {
			ok(t, c.MarkSent(t.Context(), d, row, store.AuditEntry{}))
		}
		got, err := c.SentBy(t.Context(), "o", []string{c.desk.ID}, time.Time{}, 10)
		ok(t, err)
		if len(got) != 1 || got[0].Blob != "b-m-9" || got[0].Person != c.dana.ID {
			t.Fatalf("%+v", got)
		}
		if mine, err := c.DraftsOf(t.Context(), "o", c.dana.ID, 10); err != nil || len(mine) != 0 {
			t.Fatalf("%+v %v", mine, err)
		}
		if err := c.SaveDraft(t.Context(), d, blobRow("t-9"), store.AuditEntry{}); !errors.Is(err, store.ErrStaleDraft) {
			t.Fatalf("what is sent is not written any more: %v", err)
		}
		if err := c.ThrowDraft(t.Context(), "o", d.ID, store.AuditEntry{}); !errors.Is(err, store.ErrNotFound) {
			t.Fatalf("%v", err)
		}
	})
	t.Run("asked of the team", func(t *testing.T) {
		d := letter.Begin(c.sam, letter.New, c.desk.ID, intake, nil, c.now)
		d.State = letter.Asked
		_, err := c.AddDraft(t.Context(), d, blobRow("t-5"), false, store.AuditEntry{})
		ok(t, err)
		got, err := c.DraftsAsked(t.Context(), "o", c.desk.ID, 10)
		ok(t, err)
		if len(got) != 1 || got[0].Person != c.sam.ID {
			t.Fatalf("%+v", got)
		}
		ok(t, c.ThrowDraft(t.Context(), "o", d.ID, store.AuditEntry{}))
		if got, err := c.DraftsAsked(t.Context(), "o", c.desk.ID, 10); err != nil || len(got) != 0 {
			t.Fatalf("%+v %v", got, err)
		}
	})
}

func TestBook(t *testing.T) {
	c := newTeams(t)
	entry := func(name, org, address string) directory.Entry {
		return directory.Entry{Kind: directory.Person, Name: name, Organization: org, Address: addr.MustParse(address), Source: directory.Typed}
	}
	ok(t, c.SaveBook(t.Context(), "o", []directory.Entry{entry("Ana Lee", "Riverside", "lee@a.example"), entry("Tom Ng", "Hill", "ng@b.example")}, store.AuditEntry{}))
	ok(t, c.SaveBook(t.Context(), "o", []directory.Entry{entry("Ana Lee-Wong", "Riverside", "LEE@a.example")}, store.AuditEntry{}))
	labels := func(org, find, after string, n int) (out []string) {
		t.Helper()
		es, err := c.Book(t.Context(), org, find, after, n)
		ok(t, err)
		for _, e := range es {
			out = append(out, e.Label())
		}
		return out
	}
	if got := labels("o", "", "", 10); !slices.Equal(got, []string{"Ana Lee-Wong, Riverside", "Tom Ng, Hill"}) {
		t.Errorf("one entry an address: %v", got)
	}
	if got := labels("o", "RIVER ana", "", 10); !slices.Equal(got, []string{"Ana Lee-Wong, Riverside"}) {
		t.Errorf("found by all words: %v", got)
	}
	if got := labels("other", "", "", 10); len(got) != 0 {
		t.Errorf("another organisation's: %v", got)
	}
	first, err := c.Book(t.Context(), "o", "", "", 1)
	ok(t, err)
	if got := labels("o", "", first[0].ID, 10); !slices.Equal(got, []string{"Tom Ng, Hill"}) {
		t.Errorf("the next page: %v", got)
	}
	if err := c.RemoveBook(t.Context(), "other", first[0].ID, store.AuditEntry{}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("removed by another organisation: %v", err)
	}
	ok(t, c.RemoveBook(t.Context(), "o", first[0].ID, store.AuditEntry{}))
	if _, found, err := c.BookOf(t.Context(), "o", addr.MustParse("lee+x@a.example")); found || err != nil {
		t.Errorf("still there: %v", err)
	}
}

func TestTemplates(t *testing.T) {
	c := newTeams(t)
	a := template.Template{Org: "o", Name: "Ask for missing", Body: "x", Owner: string(c.dana.ID), Review: c.now}
	id, err := c.SaveTemplate(t.Context(), a, store.AuditEntry{})
	ok(t, err)
	if _, err := c.SaveTemplate(t.Context(), template.Template{Org: "o", Name: "ASK for missing", Body: "y"}, store.AuditEntry{}); !errors.Is(err, store.ErrExists) {
		t.Errorf("one name twice: %v", err)
	}
	a.ID, a.Body = id, "z"
	if _, err := c.SaveTemplate(t.Context(), a, store.AuditEntry{}); err != nil {
		t.Error(err)
	}
	a.Org = "other"
	if _, err := c.SaveTemplate(t.Context(), a, store.AuditEntry{}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("another organisation's: %v", err)
	}
	if got, err := c.Templates(t.Context(), "o"); err != nil || len(got) != 1 || got[0].Body != "z" || !got[0].Review.Equal(c.now) {
		t.Errorf("%+v %v", got, err)
	}
	ok(t, c.RemoveTemplate(t.Context(), "o", id, store.AuditEntry{}))
}

func TestFilePolicyIsReplacedWhole(t *testing.T) {
	c := newTeams(t)
	ok(t, c.SetFilePolicy(t.Context(), "o", letter.Policy{{Direction: letter.Outgoing, Kind: document.Zip, Action: letter.Refuse}}, store.AuditEntry{}))
	ok(t, c.SetFilePolicy(t.Context(), "o", letter.Policy{{Direction: letter.Incoming, Kind: document.HTML, Action: letter.Hold, Reason: "r"}}, store.AuditEntry{}))
	if got, err := c.FilePolicy(t.Context(), "o"); err != nil || len(got) != 1 || got[0].Kind != document.HTML || got[0].Reason != "r" {
		t.Errorf("%+v %v", got, err)
	}
}

// TestADraftTakesSoManyFiles: two windows that fill it at once cannot pass the bound together.
func TestADraftTakesSoManyFiles(t *testing.T) {
	c := newTeams(t)
	begin := func() letter.Draft {
		d := letter.Begin(c.dana, letter.New, c.desk.ID, intake, nil, c.now)
		_, err := c.AddDraft(t.Context(), d, blobRow("t-"+string(d.ID)), false, store.AuditEntry{})
		ok(t, err)
		return d
	}
	add := func(d letter.Draft, size int64) error {
		_, err := c.AddFile(t.Context(), "o", d.ID, letter.File{Name: "a", Size: size}, blobRow("f-"+rand.Text()), store.AuditEntry{})
		return err
	}
	d := begin()
	for range letter.MaxFiles {
		ok(t, add(d, 1))
	}
	if err := add(d, 1); !errors.Is(err, store.ErrDraftFull) {
		t.Errorf("one file more: %v", err)
	}
	d = begin()
	ok(t, add(d, letter.MaxOctets-1))
	if err := add(d, 2); !errors.Is(err, store.ErrDraftFull) {
		t.Errorf("more octets: %v", err)
	}
	ok(t, add(d, 1))
}
