package write

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"postern/gateway/clinic/directory"
	"postern/gateway/clinic/letter"
	"postern/gateway/clinic/pool"
	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/template"
	"postern/gateway/clinic/work"
	"postern/gateway/edge/web"
	"postern/gateway/store"
	"postern/smime/addr"
)

// draftData is the dot of the page on which a message is written.
type draftData struct {
	Draft      letter.Draft
	To, Cc     string // as typed
	Action     string // where the form goes
	Stored     bool
	Mine       bool
	May        staff.Level
	Teams      []pool.Pool
	From       []addr.Address
	Categories []staff.Category
	Templates  []template.Template
	Book       []directory.Entry
	Report     *letter.Report
	Physicians []staff.Person
	Parent     *letter.Parent
	Back       string
	Writer     string // of an asked one
	Others     others
	Room       letter.Room
	LeftOut    []string // files of the message that do not go along
}

// Title says what the page is for.
func (d draftData) Title() string {
	return map[letter.How]string{letter.Reply: "Reply", letter.ReplyAll: "Reply to all", letter.Forward: "Pass on", letter.Redirect: "Redirect"}[d.Draft.How] + ""
}

// page shows a draft.
func (p *pen) page(q *web.Request, d letter.Draft, fill func(*draftData)) (draftData, error) {
	data := draftData{Draft: d, To: list(d.To), Cc: list(d.Cc), Categories: staff.Categories(), Mine: d.Person == q.Person.ID, Room: p.Desk.Room()}
	scope, err := p.scope(q, d.Work, d.Category)
	if err != nil {
		return data, err
	}
	data.May = q.Rights.On(d.Pool, scope)
	if data.Teams, err = p.teams(q); err != nil {
		return data, err
	}
	if data.From, err = p.from(q, d, staff.Draft); err != nil {
		return data, err
	}
	if data.Templates, err = p.Store.Templates(q.Context(), q.Org); err != nil {
		return data, err
	}
	if data.Book, err = p.Store.Book(q.Context(), q.Org, "", "", 200); err != nil {
		return data, err
	}
	people, err := p.Store.People(q.Context(), q.Org)
	if err != nil {
		return data, err
	}
	for _, x := range people {
		if x.Role == staff.Physician && !x.Disabled {
			data.Physicians = append(data.Physicians, x)
		}
		if x.ID == d.Person && !data.Mine {
			data.Writer = x.Name
		}
	}
	if data.Others, err = p.others(q, d, people); err != nil {
		return data, err
	}
	if data.LeftOut, err = p.Desk.LeftOut(q.Context(), d); err != nil {
		return data, err
	}
	data.Action, data.Back = "/write/new", "/write"
	if d.Work != "" {
		data.Back = "/item/" + string(d.Work)
		data.Action = data.Back + "/write/" + string(d.How)
	}
	if fill != nil {
		fill(&data)
	}
	if data.Stored && !slices.ContainsFunc(data.From, func(a addr.Address) bool { return a.Key() == d.From.Key() }) {
		data.From = append(data.From, d.From) // as its writer chose it: who may not send from it is told so, and nothing is exchanged
	}
	if data.Stored {
		data.Action = "/write/draft/" + string(d.ID)
	}
	return data, err
}

func list(as []addr.Address) string {
	out := make([]string, len(as))
	for i, a := range as {
		out[i] = a.String()
	}
	return strings.Join(out, ", ")
}

func (p *pen) show(q *web.Request, d letter.Draft, fill func(*draftData)) error {
	data, err := p.page(q, d, fill)
	if err != nil {
		return err
	}
	return q.Page(p.draft, "Write", data)
}

// showNew shows an empty message; ?to= and ?team= fill it.
func (p *pen) showNew(q *web.Request) error {
	d, err := p.fresh(q)
	if err != nil {
		return err
	}
	return p.show(q, d, nil)
}

// fresh is a new message of the person's first team, from its first address.
func (p *pen) fresh(q *web.Request) (letter.Draft, error) {
	teams, err := p.teams(q)
	if err != nil {
		return letter.Draft{}, err
	}
	if len(teams) == 0 {
		return letter.Draft{}, &web.Refusal{Text: "You belong to no team that you may write for."}
	}
	at := teams[0].ID
	if want := q.URL.Query().Get("team"); slices.ContainsFunc(teams, func(t pool.Pool) bool { return t.ID == want }) {
		at = want
	}
	d := letter.Begin(q.Person, letter.New, at, addr.Address{}, nil, q.Now)
	from, err := p.from(q, d, staff.Draft)
	if err != nil {
		return letter.Draft{}, err
	}
	if len(from) == 0 {
		return letter.Draft{}, &web.Refusal{Text: "No Direct address of yours or of your teams leads here yet. Whoever looks after the gateway adds one (postern address add); the rules say whose it is."}
	}
	d.From = from[0]
	if to, err := addr.Parse(q.URL.Query().Get("to")); err == nil {
		d.To = []addr.Address{to}
	}
	return d, nil
}

// answering is the message the person begins to answer, not kept yet.
func (p *pen) answering(q *web.Request) (letter.Draft, letter.Parent, error) {
	how := letter.How(q.PathValue("how"))
	if !slices.Contains([]letter.How{letter.Reply, letter.ReplyAll, letter.Forward, letter.Redirect}, how) {
		return letter.Draft{}, letter.Parent{}, web.ErrNotFound
	}
	parent, err := p.Desk.Parent(q.Context(), q.Work, q.Person.Location())
	if err != nil {
		return letter.Draft{}, parent, err
	}
	return letter.Begin(q.Person, how, q.Work.Pool, parent.At, &parent, q.Now), parent, nil
}

func (p *pen) showAnswer(q *web.Request) error {
	d, parent, err := p.answering(q)
	if err != nil {
		return err
	}
	return p.show(q, d, func(x *draftData) { x.Parent = &parent })
}

func (p *pen) showDraft(q *web.Request) error {
	d, err := p.mine(q)
	if err != nil && d.State == letter.Sent {
		return p.left(q, d)
	}
	if err != nil {
		return err
	}
	if d.Work != "" && d.Person == q.Person.ID {
		if err := p.Store.StillWriting(q.Context(), q.Org, d.Work, q.Person.ID); err != nil {
			return err
		}
	}
	return p.show(q, d, func(x *draftData) { x.Stored = true })
}

// saveNew keeps a new message and does what its button says.
func (p *pen) saveNew(q *web.Request) error {
	d, err := p.fresh(q)
	if err != nil {
		return err
	}
	return p.begun(q, d, nil)
}

// saveAnswer keeps an answer and does what its button says. That it has begun is told to whoever looks at the message.
func (p *pen) saveAnswer(q *web.Request) error {
	d, parent, err := p.answering(q)
	if err != nil {
		return err
	}
	return p.begun(q, d, &parent)
}

// begun keeps a draft for the first time. The form's files come behind its fields: the draft is kept when the first
// file, or the end of the form, is there.
func (p *pen) begun(q *web.Request, d letter.Draft, parent *letter.Parent) error {
	kept := false
	var met *work.Collision
	leave := func() {}
	defer func() { leave() }()
	keep := func() error {
		if kept {
			return nil
		}
		done, err := p.named(q, &d)
		if err != nil {
			return err
		}
		leave = done
		if err := p.typed(q, &d); err != nil {
			return err
		}
		d.Known, _ = strconv.Atoi(q.PostForm.Get("known")) // what is no number is none
		met, err = p.Desk.Begin(q.Context(), q.Person, d, q.PostForm.Get("again") != "")
		kept = err == nil
		return err
	}
	left, err := p.attach(q, &d, keep)
	if err == nil {
		err = keep()
	}
	if err == nil && left != nil {
		err = left
	}
	if errors.Is(err, errPressed) {
		return p.pressed(q, d.ID)
	}
	if err != nil && !kept {
		return p.again(q, d, func(x *draftData) { x.Parent = parent }, err)
	}
	if err == nil && met != nil {
		err = met
	}
	if err != nil { // the draft is kept; a file of it is not, or somebody else answers too
		stored, fault := p.Desk.Load(q.Context(), q.Org, d.ID)
		if fault != nil {
			return errors.Join(err, fault)
		}
		return p.again(q, stored, func(x *draftData) { x.Stored = true }, err)
	}
	return p.next(q, d.ID)
}

// attach keeps the files of a form with a draft, behind its fields. left is the refusal of those that were not taken; the
// others were.
func (p *pen) attach(q *web.Request, d *letter.Draft, keep func() error) (left, err error) {
	var why []string
	err = q.Parts(func(f web.File) error {
		if err := keep(); err != nil {
			return err
		}
		_, err := p.Desk.Attach(q.Context(), q.Person, *d, f.Name, f.Type, f.Body)
		var r *web.Refusal
		if errors.As(err, &r) {
			why = append(why, r.Text)
			return nil
		}
		return err
	})
	if len(why) > maxWhy {
		why = append(why[:maxWhy], fmt.Sprintf("Nor were %d more.", len(why)-maxWhy))
	}
	if len(why) > 0 {
		left = &web.Refusal{Text: strings.Join(why, " ") + " What else you wrote and attached is kept; nothing was sent."}
	}
	return left, err
}

// maxWhy is how many files that were not taken are named.
const maxWhy = 3

// again shows the page with what was typed.
func (p *pen) again(q *web.Request, d letter.Draft, fill func(*draftData), err error) error {
	data, fault := p.page(q, d, fill)
	if fault != nil {
		return fault
	}
	var c *work.Collision
	if errors.As(err, &c) {
		err = &web.Refusal{Text: "Your draft is kept and was not sent. " + data.Others.words(q.Person.Location())}
	}
	return q.Again(p.draft, "Write", data, stale(err))
}

// saveDraft keeps what was typed and does what the button says.
func (p *pen) saveDraft(q *web.Request) error {
	leave, err := p.turns.take(q.Context(), letter.ID(q.PathValue("draft")))
	if err != nil {
		return err
	}
	defer leave()
	d, err := p.mine(q)
	if err != nil && d.State == letter.Sent {
		return p.left(q, d)
	}
	if err != nil {
		return err
	}
	saved := false
	save := func() error {
		if saved {
			return nil
		}
		version, err := strconv.ParseInt(q.PostForm.Get("version"), 10, 64)
		if err != nil || version != d.Version {
			return store.ErrStaleDraft
		}
		if err := p.typed(q, &d); err != nil {
			return err
		}
		saved = true
		return p.Desk.Save(q.Context(), q.Person, d)
	}
	left, err := p.attach(q, &d, save)
	if err == nil {
		err = save()
	}
	if err == nil && left != nil { // the page shows it as it is kept now
		if d, err = p.Desk.Load(q.Context(), q.Org, d.ID); err != nil {
			return err
		}
		err = left
	}
	if err != nil {
		return p.again(q, d, func(x *draftData) { x.Stored = true }, err)
	}
	return p.next(q, d.ID)
}

// typed puts what the form says into the draft.
func (p *pen) typed(q *web.Request, d *letter.Draft) error {
	f := q.PostForm
	var wrong error
	for _, x := range []struct {
		field string
		to    *[]addr.Address
	}{{"to", &d.To}, {"cc", &d.Cc}} {
		as, err := recipients(f.Get(x.field))
		if err != nil {
			wrong = &web.Invalid{Field: x.field, Text: err.Error()}
			continue
		}
		*x.to = as
	}
	if wrong != nil {
		return wrong
	}
	if len(f.Get("subject")) > letter.MaxSubject {
		return &web.Invalid{Field: "subject", Text: fmt.Sprintf("At most %d characters.", letter.MaxSubject)}
	}
	if len(f.Get("text")) > letter.MaxText {
		return &web.Invalid{Field: "text", Text: fmt.Sprintf("At most %d KB: attach what is longer.", letter.MaxText>>10)}
	}
	d.Subject, d.Text = strings.TrimSpace(f.Get("subject")), strings.ReplaceAll(f.Get("text"), "\r\n", "\n")
	if c := staff.Category(f.Get("category")); c == "" || c.Valid() {
		d.Category = c
	}
	d.Purpose = map[staff.Category]string{staff.Referral: "referral", staff.Discharge: "discharge", staff.Records: "records"}[d.Category]
	return p.placed(q, d)
}

// placed sets the team, the address and whom it is signed for, each only to what the person may.
func (p *pen) placed(q *web.Request, d *letter.Draft) error {
	f := q.PostForm
	if team := f.Get("team"); team != "" && team != d.Pool {
		if q.Rights.InPool(team) < staff.Draft {
			return &web.Invalid{Field: "team", Text: "You may not write for that team."}
		}
		d.Pool = team
	}
	scope, err := p.scope(q, d.Work, d.Category)
	if err != nil {
		return err
	}
	if q.Rights.On(d.Pool, scope) < staff.Draft {
		return &web.Invalid{Field: "category", Text: "You may not write messages of this category for this team."}
	}
	if from := f.Get("from"); from != "" {
		if d.From, err = addr.Parse(from); err != nil {
			return &web.Invalid{Field: "from", Text: "That is not an address."}
		}
	}
	if err := p.mayFrom(q, *d, staff.Draft); err != nil {
		return err
	}
	return p.signed(q, d, scope)
}

// signed sets whom it is signed for: a physician of the house, and only by who may.
func (p *pen) signed(q *web.Request, d *letter.Draft, scope staff.Category) error {
	who := q.PostForm.Get("signfor")
	if who == "" {
		d.SignFor = ""
	}
	if who == "" || q.Rights.On(d.Pool, scope) < staff.Sign {
		return nil
	}
	people, err := p.Store.People(q.Context(), q.Org)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(people, func(x staff.Person) bool { return x.Name == who && x.Role == staff.Physician && !x.Disabled }) {
		return &web.Invalid{Field: "signfor", Text: "Choose a physician of yours."}
	}
	d.SignFor = who
	return nil
}

// recipients reads addresses parted by commas, semicolons or line ends; a name around one is dropped.
func recipients(s string) ([]addr.Address, error) {
	var out []addr.Address
	for _, piece := range strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ';' || r == '\n' || r == '\r' }) {
		piece = strings.TrimSpace(piece)
		if piece == "" {
			continue
		}
		if i := strings.LastIndexByte(piece, '<'); i >= 0 && strings.HasSuffix(piece, ">") {
			piece = piece[i+1 : len(piece)-1]
		}
		a, err := addr.Parse(piece)
		if err != nil {
			return nil, fmt.Errorf("%q is no Direct address", clip(piece))
		}
		if len(out) == letter.MaxRecipients {
			return nil, fmt.Errorf("at most %d addresses", letter.MaxRecipients)
		}
		out = append(out, a)
	}
	return out, nil
}

func clip(s string) string {
	if r := []rune(s); len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return s
}
