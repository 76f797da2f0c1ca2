package find

import (
	"errors"
	"net/url"
	"strings"

	"postern/gateway/clinic/pool"
	"postern/gateway/clinic/search"
	"postern/gateway/clinic/staff"
	"postern/gateway/edge/web"
	"postern/gateway/store"
)

// searchData is the dot of the search page.
type searchData struct {
	Asked, Wrong string
	Lines        []line
	Older        string // link to the page behind
	Tired        bool
	Help         []filterHelp
	Categories   []staff.Category
}

type filterHelp struct{ Write, Finds string }

func help() []filterHelp {
	return []filterHelp{{"chest pain", "both words, anywhere"}, {`"chest pain"`, "the words side by side"}, {"diab*", "words that begin so"},
		{"-fax", "not this word"}, {"from:riverside", "in the sender's address"}, {"patient:ruiz", "in the names of patients"},
		{"type:discharge", "kind or title of a document"}, {"category:referral", ""}, {"state:waiting", "new, taken, waiting or done"}, {"pool:\"Front desk\"", ""},
		{"owner:me", "or a sign-in name"}, {"after:2026-11-01", "also before: and on:"}, {"has:document", "also has:attachment"}, {"is:urgent", ""}}
}

func (f *find) showSearch(q *web.Request) error {
	asked := strings.TrimSpace(q.URL.Query().Get("q"))
	data := searchData{Asked: asked, Help: help(), Categories: staff.Categories()}
	if asked == "" {
		return q.Page(f.search, "Find", data)
	}
	reach, pools, err := f.reach(q)
	if err != nil {
		return err
	}
	query, err := f.parse(q, asked, pools)
	if err == nil {
		var r store.Results
		r, err = f.Store.Search(q.Context(), store.Asked{Org: q.Org, Query: query, Reach: reach, After: q.URL.Query().Get("after"), N: PageLines})
		if err == nil {
			data.Lines, err = f.lines(q, r.Found, pools)
		}
		if data.Tired = r.Tired; r.Older != "" {
			data.Older = "/find?" + url.Values{"q": {asked}, "after": {r.Older}}.Encode()
		}
	}
	var e *search.Error
	switch {
	case errors.As(err, &e):
		data.Wrong = strings.ToUpper(e.Text[:1]) + e.Text[1:] + "."
	case errors.Is(err, store.ErrCursor):
		return web.ErrNotFound
	case err != nil:
		return err
	}
	// The words themselves may name a patient: the audit holds how much was found, the messages seen are their own entries.
	if err := f.note(q, "search", "", map[string]any{"found": len(data.Lines)}); err != nil {
		return err
	}
	return q.Page(f.search, "Find", data)
}

// parse reads the question and turns names of pools and people into their ids.
func (f *find) parse(q *web.Request, asked string, pools []pool.Pool) (search.Query, error) {
	query, err := search.Parse(asked, q.Person.Location())
	if err != nil {
		return query, err
	}
	if query.Category != "" && !staff.Category(query.Category).Valid() {
		return query, &search.Error{Text: "there is no category " + query.Category}
	}
	if query.Pool != "" {
		id := ""
		for _, p := range pools {
			if strings.EqualFold(p.Name, query.Pool) && q.Rights.InPool(p.ID) > staff.None {
				id = p.ID
			}
		}
		if id == "" {
			return query, &search.Error{Text: "you work in no team called " + query.Pool}
		}
		query.Pool = id
	}
	if query.Owner != "" {
		return query, f.owner(q, &query)
	}
	return query, nil
}

func (f *find) owner(q *web.Request, query *search.Query) error {
	if strings.EqualFold(query.Owner, "me") {
		query.Owner = string(q.Person.ID)
		return nil
	}
	people, err := f.Store.People(q.Context(), q.Org)
	if err != nil {
		return err
	}
	for _, p := range people {
		if strings.EqualFold(p.Login, query.Owner) || strings.EqualFold(p.Name, query.Owner) {
			query.Owner = string(p.ID)
			return nil
		}
	}
	return &search.Error{Text: "nobody here is called " + query.Owner}
}
