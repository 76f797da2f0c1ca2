package desk

import (
	"cmp"
	"encoding/json"
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"

	"postern/gateway/clinic/document/chart"
	"postern/gateway/clinic/inbox"
	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/work"
	"postern/gateway/edge/web"
)

// itemPage is one message with all that is known of it.
type itemPage struct {
	E       work.Entry
	Item    inbox.Item
	Subject string
	Typed   string  // the name its sender typed; anybody can type any name
	Trust   trustIn // who it really is from
	Stands  string  // in whose hands it is
	Pool    string
	Owner   string
	Mine    bool
	Work    bool // whoever asks may work on it
	Send    bool
	Why     []string
	Patient string // as the documents state it
	Born    string
	Text    string
	TextCut bool
	Shown   []shown
	Files   []fileLine
	Remarks []string // what is odd about the message, in words
	Receipt []string
	Thread  []threadLine
	Refers  []threadLine
	Notes   []noteLine
	History []historyLine
	Now     now
	NowHTML template.HTML // the live piece, and how it is recognised
	NowSeen string
	Failure *failure

	Categories []staff.Category
	Colleagues []staff.Person // whom it can be passed to
	Pools      []destination  // where it can be passed to
	To         string         // what was chosen before
	Insist     string         // the act that was refused because nobody could see the message then
	Tomorrow   string
	Back       string
	Answers    []wayOn // reply, forward …
	PatientAt  string  // path to say whose message it is
	PrintAt    string  // path of the print view
	ExportAt   string  // path of everything as files
	OfPatient  string  // path of all of the patient's messages
	CanAudit   bool
}

// wayOn is a path into the writing room.
type wayOn struct{ Name, Path, Key, Icon string }

func (d *desk) showItem(q *web.Request) error {
	p, err := d.itemOf(q)
	if err != nil {
		return err
	}
	if err := d.Store.AuditAct(q.Context(), entry(q, "work.view", string(q.Work.ID), map[string]any{"message": q.Work.Message})); err != nil {
		return err
	}
	if err := d.Store.SeeMentions(q.Context(), q.Org, q.Work.ID, q.Person.ID); err != nil {
		return err
	}
	d.here.look(q.Work.ID, q.Person.ID, q.Now)
	return q.Page(d.item, "Message", p)
}

// itemOf gathers the page.
func (d *desk) itemOf(q *web.Request) (*itemPage, error) {
	e := q.Work
	h, err := d.house(q)
	if err != nil {
		return nil, err
	}
	it, err := d.Store.Item(q.Context(), e.Inbox, e.Number)
	if err != nil {
		return nil, err
	}
	p := &itemPage{E: e, Item: it, Subject: cmp.Or(strings.TrimSpace(it.Subject), "(no subject)"), Stands: stands(h, e), Pool: h.Pool(e.Pool), Owner: h.Person(e.Owner),
		Mine: e.Owner == q.Person.ID, Work: q.Rights.On(e.Pool, e.Scope()) >= staff.Draft, Send: q.Rights.On(e.Pool, e.Scope()) >= staff.Send, Why: because(e),
		Categories: staff.Categories(), Receipt: receiptWords(it.Receipt), Remarks: remarks(it), CanAudit: q.Rights.Can(staff.ReadAudit),
		Back: web.Local(cmp.Or(q.URL.Query().Get("next"), "/work"))}
	p.Tomorrow = q.Now.In(q.Person.Location()).AddDate(0, 0, 1).Format(time.DateOnly)
	p.Patient, p.Born = statedPatient(it.Documents)
	if p.Trust, err = d.trusted(q, e); err != nil {
		return nil, err
	}
	if err := d.contents(q, p); err != nil {
		return nil, err
	}
	if err := d.around(q, h, p); err != nil {
		return nil, err
	}
	if e.Kind == work.Failure || e.Kind == work.Unconfirmed {
		if p.Failure, err = d.failureOf(q, e); err != nil {
			return nil, err
		}
	}
	if p.Now, err = d.nowOf(q, e, e); err != nil {
		return nil, err
	}
	if p.NowHTML, err = q.Render(d.itemLive, p.Now); err != nil {
		return nil, err
	}
	p.NowSeen = fingerprint(p.NowHTML)
	return p, d.ways(q, h, p)
}

// because is why the message is here, in sentences.
func because(e work.Entry) []string {
	out := slices.Clone(e.Why.Because)
	switch {
	case e.Why.Fault != "" || e.Why.Rule == "" || e.Why.Rule == "conversation" || e.Why.Rule == "failure" || e.Why.Rule == "deadline":
	case e.Why.RuleName != "":
		out = append([]string{"the rule “" + e.Why.RuleName + "” took it"}, out...)
	}
	return out
}

// statedPatient is whom the first document that names somebody names.
func statedPatient(docs []inbox.Document) (name, born string) {
	for _, doc := range docs {
		if name = doc.PatientName(); name == "" {
			continue
		}
		var p chart.Patient
		if json.Unmarshal(doc.Patient, &p) == nil {
			born = p.Birth.String()
		}
		if all := among(name, docs); all != name {
			return all, ""
		}
		return name, born
	}
	return "", ""
}

// remarks is what is odd about the message as it was filed.
func remarks(it inbox.Item) []string {
	var out []string
	if it.Flags.SameID {
		out = append(out, "A message with this number but other content came before from the same sender; both were kept.")
	}
	if it.Flags.PartsLeftOut {
		out = append(out, "It has more parts or documents than are listed here; the message is kept whole.")
	}
	if it.Flags.Unreadable != "" {
		out = append(out, "Its structure cannot be read, so nothing of it can be shown apart. It is kept whole.")
	}
	return out
}

// around gathers what people did with the message: conversation, notes, history.
func (d *desk) around(q *web.Request, h house, p *itemPage) error {
	e := p.E
	if err := d.conversation(q, h, p); err != nil {
		return err
	}
	notes, err := d.Store.Notes(q.Context(), q.Org, e.ID)
	if err != nil {
		return err
	}
	for _, n := range notes {
		p.Notes = append(p.Notes, noteLine{h.Person(n.By), h.People[n.By].Initials(), n.At, n.Text})
	}
	rows, err := d.Store.AuditOf(q.Context(), q.Org, []string{string(e.ID)}, maxHistory)
	if err != nil {
		return err
	}
	names := map[string]string{}
	for _, v := range h.People {
		names[v.Login] = v.Name
	}
	opened := map[string]bool{}
	for _, v := range rows {
		if v.Action == "work.view" && opened[v.Actor] {
			continue // the last time is enough here; the record has them all
		}
		opened[v.Actor] = opened[v.Actor] || v.Action == "work.view"
		if w := historyWords(v.Action, v.Detail, h); w != "" {
			p.History = append(p.History, historyLine{cmp.Or(names[v.Actor], v.Actor), w, v.Time})
		}
	}
	return nil
}

// ways fills what can be done next.
func (d *desk) ways(q *web.Request, h house, p *itemPage) error {
	e := p.E
	var err error
	if p.Work {
		if p.Colleagues, err = d.mayWork(q, h, e.Pool, e.Scope()); err != nil {
			return err
		}
		p.Colleagues = slices.DeleteFunc(p.Colleagues, func(c staff.Person) bool { return c.ID == e.Owner })
		if p.Pools, err = d.destinations(q, h, e); err != nil {
			return err
		}
	}
	if d.Answer != nil && p.Work {
		base := "/item/" + string(e.ID) + "/answer?how="
		if e.Kind == work.Message {
			p.Answers = []wayOn{{"Answer", base + "reply", "r", "reply"}, {"Answer all", base + "reply_all", "", "reply"}, {"Redirect", base + "redirect", "", "forward"}}
		}
		p.Answers = append(p.Answers, wayOn{"Forward", base + "forward", "", "forward"})
	}
	if d.Print != nil {
		p.PrintAt, p.ExportAt = d.Print(e.ID), d.Export(e.ID)
	}
	if d.Patient != nil {
		p.PatientAt = d.Patient(e.ID)
	}
	if d.OfPatient != nil && e.Patient != "" {
		p.OfPatient = d.OfPatient(e.Patient)
	}
	return nil
}

type noteLine struct {
	By, Initials string
	At           time.Time
	Text         string
}

type historyLine struct {
	By, What string
	At       time.Time
}

// maxHistory bounds the acts shown on the page of a message; all of them are in the audit.
const maxHistory = 60

// historyWords says what an audit entry of an item records; "" for what is not told there.
func historyWords(action string, detail json.RawMessage, h house) string {
	var v struct {
		Act, Category, Pool, Urgency string
		To                           staff.PersonID
		Until                        time.Time
		Sensitive                    bool
		How, Scan, Reason            string
	}
	if json.Unmarshal(detail, &v) != nil && action != "work.view" {
		return ""
	}
	switch action {
	case "work.view":
		return "opened it"
	case "work.answered":
		return map[bool]string{true: "finished it: it has failed, which is an entry of its own", false: "finished it: everybody has confirmed"}[v.How == "failed"]
	case "work.note":
		return "wrote a note"
	case "work.document":
		return "opened a document"
	case "work.file":
		return "saved a file"
	case "file.held":
		return map[string]string{"found": "held a file: the scanner found something"}[v.Scan] + map[bool]string{true: "held a file: it could not be scanned"}[v.Scan == "unknown"]
	case "file.release":
		return "let a file go that the scanner held: " + v.Reason
	case "file.scan":
		return "had the files scanned again"
	case "work.answer":
		return "began to write (" + strings.ReplaceAll(v.How, "_", " ") + ")"
	case "work.act":
		return actWords(work.Act(v.Act), v.Category, v.Urgency, v.Sensitive, v.Until, h, v.Pool, v.To)
	}
	return ""
}

func actWords(a work.Act, category, urgency string, sensitive bool, until time.Time, h house, poolID string, to staff.PersonID) string {
	switch a {
	case work.Take:
		return "took it"
	case work.TakeOver:
		return "took it over"
	case work.GiveBack:
		return "gave it back"
	case work.Pass:
		if to != "" {
			return "passed it to " + h.Person(to)
		}
		return "passed it to " + h.Pool(poolID)
	case work.Finish:
		return "finished it as " + category
	case work.Wait:
		return "lets it wait until " + until.Format("2 Jan 2006")
	case work.Reopen:
		return "opened it again"
	case work.SetCategory:
		return "said that it is " + category
	case work.SetUrgency:
		return "said that it is " + cmp.Or(urgency, "routine")
	case work.SetSensitive:
		return map[bool]string{true: "made it sensitive", false: "said that it is not sensitive"}[sensitive]
	}
	return fmt.Sprint("did: ", a)
}
