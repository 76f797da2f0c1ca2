// Package write is where people write: drafts and answers, the address book, ready texts, and what files may pass.
//
// A page is a form that holds the whole draft; every button of it saves what was typed first. Nothing is kept until
// the first of them is pressed, so looking at an answer begins none. Who may not send asks somebody of the team who
// may; each of the two is recorded. Check and Send say the same about a draft: Send asks once more at its own moment.
//
// What may be done with a draft follows its team and category (staff.Rights.On): Draft to write it, Send to send it,
// Sign to sign it for a physician. It leaves from an address of the person's own, of a team they have that level in
// (rule.Origin), or from the one that the message came to which it answers. A draft is its writer's, and while it is asked for also of those who may send.
//
// Limits: those of package letter; PageLines lines of a list.
package write

import (
	"context"
	"embed"
	"errors"
	"io"
	"time"

	"postern/gateway/clinic/letter"
	"postern/gateway/clinic/pool"
	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/work"
	"postern/gateway/edge/web"
	"postern/gateway/message"
	"postern/gateway/store"
	"postern/smime/addr"
)

// PageLines is how many lines a list has.
const PageLines = 50

//go:embed *.html write.css
var files embed.FS

// Desk keeps, checks and sends drafts.
type Desk interface {
	Parent(ctx context.Context, e work.Entry, zone *time.Location) (letter.Parent, error)
	Load(ctx context.Context, org string, id letter.ID) (letter.Draft, error)
	Begin(ctx context.Context, who staff.Person, d letter.Draft, again bool) (met *work.Collision, err error) // met: the draft is kept all the same
	Save(ctx context.Context, who staff.Person, d letter.Draft) error
	Attach(ctx context.Context, who staff.Person, d letter.Draft, name, mediaType string, r io.Reader) (letter.File, error)
	Room() letter.Room                                             // for the files of one message
	LeftOut(ctx context.Context, d letter.Draft) ([]string, error) // files that are not passed on, with why
	Detach(ctx context.Context, who staff.Person, d letter.Draft, number int) error
	Throw(ctx context.Context, who staff.Person, d letter.Draft) error
	Check(ctx context.Context, d letter.Draft) (letter.Report, error)
	Send(ctx context.Context, who staff.Person, d letter.Draft, confirmed string) (message.ID, letter.Report, error) // confirmed: the Seal of the report that was
	Again(ctx context.Context, who staff.Person, r store.SentRow, to []addr.Address) (letter.ID, error)              // a message of ours, begun anew
	Sent(ctx context.Context, blob string) (text string, files []string, err error)                                  // what a message of ours says
	Facts(ctx context.Context, who staff.Person, d letter.Draft, team string) (map[string]string, error)
}

// Services is what the pages work with.
type Services struct {
	Store   *store.Store
	Desk    Desk
	Ladders func(ctx context.Context, org string, id message.ID) ([]Ladder, error) // of each recipient of a message of ours
	Clock   func() time.Time
	Scanner string // which files a scanner is set for, in words; "" is none
}

// Ladder is how far a message came with one recipient.
type Ladder struct {
	Recipient addr.Address
	State     string // "delivered", "failed", "unknown", "under way"
	Words     string
	Rungs     []Rung
}

// Rung is one thing that is known.
type Rung struct {
	At    time.Time
	Words string
	Bad   bool
}

type pen struct {
	Services
	turns                                                                            turns
	rooms, draft, sent, sentList, book, entry, imported, templates, template, policy *web.Template
}

// Routes are the pages of this package.
func Routes(s Services) []web.Route {
	p := &pen{Services: s, turns: turns{at: map[letter.ID]chan struct{}{}}}
	p.rooms, p.draft = web.Parse(files, "rooms.html"), web.Parse(files, "draft.html", "report.html")
	p.sent, p.sentList = web.Parse(files, "sent.html"), web.Parse(files, "sentlist.html")
	p.book, p.entry, p.imported = web.Parse(files, "book.html"), web.Parse(files, "entry.html"), web.Parse(files, "import.html")
	p.templates, p.template, p.policy = web.Parse(files, "templates.html"), web.Parse(files, "template.html"), web.Parse(files, "policy.html")
	signed := web.SignedIn()
	addresses, texts, rules := web.Able(staff.ManageAddresses), web.Able(staff.ManageTemplates), web.Able(staff.ManageRules)
	return append(web.Files(files, "write.css"), []web.Route{
		{Method: "GET", Pattern: "/write", Need: signed, Handle: p.showRooms},
		{Method: "GET", Pattern: "/write/new", Need: signed, Handle: p.showNew},
		{Method: "POST", Pattern: "/write/new", Need: signed, Handle: p.saveNew, Upload: letter.MaxOctets + web.MaxForm},
		{Method: "GET", Pattern: "/write/draft/{draft}", Need: signed, Handle: p.showDraft},
		{Method: "POST", Pattern: "/write/draft/{draft}", Need: signed, Handle: p.saveDraft, Upload: letter.MaxOctets + web.MaxForm},
		{Method: "GET", Pattern: "/item/{item}/write/{how}", Need: web.OnItem(staff.Draft), Handle: p.showAnswer},
		{Method: "POST", Pattern: "/item/{item}/write/{how}", Need: web.OnItem(staff.Draft), Handle: p.saveAnswer, Upload: letter.MaxOctets + web.MaxForm},
		{Method: "GET", Pattern: "/sent", Need: signed, Handle: p.showSentList},
		{Method: "GET", Pattern: "/sent/{message}", Need: signed, Handle: p.showSent},
		{Method: "POST", Pattern: "/sent/{message}/again", Need: signed, Handle: p.anew},
		{Method: "GET", Pattern: "/addresses", Need: signed, Handle: p.showBook},
		{Method: "GET", Pattern: "/addresses/edit", Need: addresses, Handle: p.showEntry},
		{Method: "POST", Pattern: "/addresses/edit", Need: addresses, Handle: p.saveEntry},
		{Method: "POST", Pattern: "/addresses/remove", Need: addresses, Handle: p.removeEntry},
		{Method: "GET", Pattern: "/addresses/import", Need: addresses, Handle: p.showImport},
		{Method: "POST", Pattern: "/addresses/import", Need: addresses, Handle: p.doImport, Upload: 6 << 20},
		{Method: "GET", Pattern: "/templates", Need: signed, Handle: p.showTemplates,
			Setting: web.Setting{Name: "Ready texts", Text: "Answers with fields that are filled from the message", Icon: "document"}},
		{Method: "GET", Pattern: "/templates/edit", Need: texts, Handle: p.showTemplate},
		{Method: "POST", Pattern: "/templates/edit", Need: texts, Handle: p.saveTemplate},
		{Method: "POST", Pattern: "/templates/remove", Need: texts, Handle: p.removeTemplate},
		{Method: "GET", Pattern: "/files", Need: rules, Handle: p.showPolicy,
			Setting: web.Setting{Name: "Files", Text: "Which kinds of files may be sent, and which are held back when they come", Icon: "attach"}},
		{Method: "POST", Pattern: "/files", Need: rules, Handle: p.savePolicy},
	}...)
}

func entry(q *web.Request, action, object string, detail any) store.AuditEntry {
	return store.AuditEntry{Org: q.Org, Actor: q.Person.Login, Action: action, Object: object, Detail: detail}
}

// teams are the pools the person may write for, and what of each.
func (p *pen) teams(q *web.Request) ([]pool.Pool, error) {
	all, err := p.Store.Pools(q.Context(), q.Org)
	var out []pool.Pool
	for _, x := range all {
		if q.Rights.InPool(x.ID) >= staff.Draft {
			out = append(out, x)
		}
	}
	return out, err
}

// level is what the person may do with a draft: by its team and category, as sensitive where it answers what is, and
// nothing with one that is somebody else's and not asked for.
func (p *pen) level(q *web.Request, d letter.Draft) (staff.Level, error) {
	scope, err := p.scope(q, d.Work, d.Category)
	if err != nil {
		return staff.None, err
	}
	l := q.Rights.On(d.Pool, scope)
	switch {
	case d.Org != q.Org, l < staff.Draft:
		return staff.None, nil
	case d.Person == q.Person.ID:
		return l, nil
	case d.State == letter.Asked && l >= staff.Send:
		return l, nil
	}
	return staff.None, nil
}

// mine loads a draft that the person may work on; any other is not there.
func (p *pen) mine(q *web.Request) (letter.Draft, error) {
	d, err := p.Desk.Load(q.Context(), q.Org, letter.ID(q.PathValue("draft")))
	if err != nil {
		return d, err
	}
	if l, err := p.level(q, d); err != nil || l == staff.None || d.State != letter.Open && d.State != letter.Asked {
		return d, errors.Join(err, web.ErrNotFound)
	}
	return d, nil
}

// stale is the refusal in place of an error that says that a draft was saved elsewhere.
func stale(err error) error {
	if errors.Is(err, store.ErrStaleDraft) {
		return &web.Refusal{Text: "This draft was saved in another window since you opened it here. Nothing was overwritten: open it again and compare."}
	}
	return err
}
