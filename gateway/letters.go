package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"postern/gateway/agent"
	"postern/gateway/clinic/compose"
	"postern/gateway/clinic/document"
	"postern/gateway/clinic/document/brief"
	"postern/gateway/clinic/document/chart"
	"postern/gateway/clinic/inbox"
	"postern/gateway/clinic/letter"
	"postern/gateway/clinic/patient"
	"postern/gateway/clinic/reading"
	"postern/gateway/clinic/scan"
	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/work"
	"postern/gateway/edge/web"
	"postern/gateway/message"
	"postern/gateway/spool"
	"postern/gateway/store"
	"postern/smime/addr"
	"postern/smime/part"
)

// letters is the clinic's writing desk: drafts kept sealed, checked as they stand, and submitted like the messages of
// any other edge.
type letters struct {
	s       *Site
	scanner scan.Scanner // nil: nothing is scanned
}

func (l letters) entry(who staff.Person, action, object string, detail any) store.AuditEntry {
	return store.AuditEntry{Org: who.Org, Actor: who.Login, Action: action, Object: object, Detail: detail}
}

// draftText is what of a draft is kept sealed.
type draftText struct {
	Subject string `json:"subject"`
	Text    string `json:"text"`
}

// Parent is the message an answer begins from.
func (l letters) Parent(ctx context.Context, e work.Entry, zone *time.Location) (letter.Parent, error) {
	it, err := l.s.Store.Item(ctx, e.Inbox, e.Number)
	if err != nil {
		return letter.Parent{}, err
	}
	m, err := l.s.Store.Message(ctx, e.Message)
	if err != nil {
		return letter.Parent{}, err
	}
	p := letter.Parent{Work: e.ID, Pool: e.Pool, Category: e.Category, At: e.Recipient.WithoutTag(), Sender: e.Sender, To: m.Facts.To, Cc: m.Facts.Cc,
		RFCID: it.RFCID, Subject: it.Subject, Received: e.Received, Zone: zone}
	opened, err := l.s.reader().Open(ctx, it)
	if err != nil {
		return p, err
	}
	defer opened.Close()
	p.Text, _, err = opened.Text()
	return p, err
}

// Load is a draft with its text.
func (l letters) Load(ctx context.Context, org string, id letter.ID) (letter.Draft, error) {
	row, err := l.s.Store.Draft(ctx, org, id)
	if err != nil || row.Blob == "" {
		return row.Draft, err
	}
	b, err := l.read(ctx, row.Blob)
	if err != nil {
		return row.Draft, err
	}
	var t draftText
	if err := json.Unmarshal(b, &t); err != nil {
		return row.Draft, fmt.Errorf("gateway: draft %s: %w", id, err)
	}
	row.Subject, row.Text = t.Subject, t.Text
	return row.Draft, nil
}

func (l letters) read(ctx context.Context, blob string) ([]byte, error) {
	b, err := l.s.Store.Blob(ctx, blob)
	if err != nil {
		return nil, err
	}
	src, err := l.s.Spool.Open(b)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	return io.ReadAll(src.Section())
}

// keep writes a draft's text, sealed.
func (l letters) keep(ctx context.Context, d letter.Draft) (spool.Blob, error) {
	text, err := json.Marshal(draftText{d.Subject, d.Text})
	if err != nil {
		return spool.Blob{}, err
	}
	return l.blob(ctx, d.Org, bytes.NewReader(text))
}

func (l letters) blob(ctx context.Context, org string, r io.Reader) (spool.Blob, error) {
	w, err := l.s.Spool.Create(org)
	if err != nil {
		return spool.Blob{}, err
	}
	defer w.Abort()
	if _, err := io.Copy(w, r); err != nil {
		return spool.Blob{}, err
	}
	return w.Commit(ctx)
}

// Begin keeps a new draft. What is passed on goes along as files: every document and attachment of the message.
func (l letters) Begin(ctx context.Context, who staff.Person, d letter.Draft) error {
	var passed *inbox.Item
	if d.Work != "" && (d.How == letter.Forward || d.How == letter.Redirect) {
		e, err := l.s.Store.Work(ctx, d.Org, d.Work)
		if err != nil {
			return err
		}
		it, err := l.s.Store.Item(ctx, e.Inbox, e.Number)
		if err != nil {
			return err
		}
		if it.Flags.PartsLeftOut || it.Flags.Unreadable != "" {
			return &web.Refusal{Text: "Not all parts of this message can be taken along one by one, so it cannot be passed on from here. Export it, and send what you need as files."}
		}
		passed = &it
	}
	b, err := l.keep(ctx, d)
	if err != nil {
		return err
	}
	if err := l.s.Store.AddDraft(ctx, d, b, l.entry(who, "draft", string(d.ID), map[string]any{"how": d.How, "work": d.Work})); err != nil || passed == nil {
		return err
	}
	return l.along(ctx, who, d, *passed)
}

// along attaches the files of an item to a draft, all of them: what is too much for one message is for Check to say. Words
// too long to be quoted go along as a file.
func (l letters) along(ctx context.Context, who staff.Person, d letter.Draft, it inbox.Item) error {
	m, err := l.s.reader().Open(ctx, it)
	if err != nil {
		return err
	}
	defer m.Close()
	body, hasBody := m.Body()
	text, more, err := m.Text()
	if err != nil {
		return err
	}
	whole := !more && letter.Quotable(text)
	for _, p := range it.Parts {
		if hasBody && p.Path == body.Path && whole {
			continue
		}
		c, err := m.Part(p.Path)
		if err != nil {
			return err
		}
		_, err = l.Attach(ctx, who, d, reading.Name(p), p.MediaType, c.Section())
		if err := errors.Join(err, c.Close()); err != nil {
			return err
		}
	}
	return nil
}

// several reports that documents name different patients.
func several(docs []inbox.Document) bool {
	first := ""
	for _, doc := range docs {
		var p chart.Patient
		if len(doc.Patient) == 0 || json.Unmarshal(doc.Patient, &p) != nil || p.Name.Zero() {
			continue
		}
		who := strings.ToLower(called(p))
		if first != "" && who != first {
			return true
		}
		first = who
	}
	return false
}

// Save keeps a draft as it is now; store.ErrStaleDraft says that it was saved elsewhere meanwhile.
func (l letters) Save(ctx context.Context, who staff.Person, d letter.Draft) error {
	b, err := l.keep(ctx, d)
	if err != nil {
		return err
	}
	return l.s.Store.SaveDraft(ctx, d, b, l.entry(who, "draft.save", string(d.ID), nil))
}

// Attach keeps a file with a draft: what it is, whom it names and what is odd about it is found out now.
func (l letters) Attach(ctx context.Context, who staff.Person, d letter.Draft, name, mediaType string, r io.Reader) (f letter.File, err error) {
	b, err := l.blob(ctx, d.Org, r)
	if err != nil {
		return f, err
	}
	src, err := l.s.Spool.Open(b)
	if err != nil {
		return f, err
	}
	defer src.Close()
	s, err := document.Inspect(src, src.Size(), document.Hint{Filename: name, MediaType: mediaType, Now: l.s.now(), Stop: ctx.Err})
	if err != nil {
		return f, err
	}
	f = letter.File{Name: name, Kind: s.Kind, MediaType: mediaType, Size: b.Size, Blob: b.ID, Findings: s.Problems}
	if s.Patient != nil {
		f.Patient = called(*s.Patient)
	}
	if l.scanner != nil {
		f.Scan = l.scanner.Scan(ctx, src.Section(), src.Size())
	}
	f.Number, err = l.s.Store.AddFile(ctx, d.Org, d.ID, f, b, l.entry(who, "draft.attach", string(d.ID), map[string]any{"kind": f.Kind, "size": f.Size, "scan": f.Scan.Verdict}))
	return f, err
}

// called is a person as two documents are compared by.
func called(p chart.Patient) string {
	name := p.Name.String()
	if d := p.Birth.Date(); d != "" {
		name += ", born " + d
	}
	return name
}

// Detach takes a file off a draft.
func (l letters) Detach(ctx context.Context, who staff.Person, d letter.Draft, number int) error {
	return l.s.Store.RemoveFile(ctx, d.Org, d.ID, number, l.entry(who, "draft.detach", string(d.ID), nil))
}

// Throw throws a draft away.
func (l letters) Throw(ctx context.Context, who staff.Person, d letter.Draft) error {
	return l.s.Store.ThrowDraft(ctx, d.Org, d.ID, l.entry(who, "draft.throw", string(d.ID), nil))
}

// Check looks at a draft as it stands, and asks of each recipient what a message sent now would meet.
func (l letters) Check(ctx context.Context, d letter.Draft) (letter.Report, error) {
	policy, err := l.s.Store.FilePolicy(ctx, d.Org)
	if err != nil {
		return letter.Report{}, err
	}
	about, err := l.about(ctx, d)
	if err != nil {
		return letter.Report{}, err
	}
	var fault error
	r := letter.Check(d, letter.Surroundings{Policy: policy, Patient: about, Reach: func(to addr.Address) letter.Reached {
		v, err := l.s.Agent.Explain(ctx, d.From, to)
		if err != nil {
			fault = err
		}
		return reached(v)
	}})
	return r, fault
}

// reached is a verdict as the writer of a message reads it.
func reached(v agent.Verdict) letter.Reached {
	if v.OK {
		return letter.Reached{OK: true, Text: "Can be reached, and is trusted."}
	}
	a := agent.AdviceOn(v.Reason)
	return letter.Reached{Later: v.Temporary, Text: a.Explain, Remedy: a.Remedy}
}

// about is whom the conversation a draft answers is about, "" where nobody said.
func (l letters) about(ctx context.Context, d letter.Draft) (string, error) {
	if d.Work == "" {
		return "", nil
	}
	e, err := l.s.Store.Work(ctx, d.Org, d.Work)
	if errors.Is(err, store.ErrNotFound) || err == nil && e.Patient == "" {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	r, err := l.s.Store.Patient(ctx, d.Org, patient.ID(e.Patient))
	return called(r.Stated), err
}

// Send submits a draft in the name of its team. Its report says why not, where it is not sent. To send it twice is
// to send it once: the draft is what tells one from the other.
func (l letters) Send(ctx context.Context, who staff.Person, d letter.Draft, confirmed string) (id message.ID, r letter.Report, err error) {
	if r, err = l.Check(ctx, d); err != nil || !r.Ready(confirmed == r.Seal()) {
		return "", r, err
	}
	team := ""
	if p, err := l.s.Store.Pool(ctx, d.Org, d.Pool); err == nil {
		team = p.Name
	}
	m := compose.Message{From: d.From, To: d.To, Cc: d.Cc, Subject: d.Subject, Text: d.Signed(who, team), FinalDelivery: true, Now: l.s.now()}
	if d.Work != "" && (d.How == letter.Reply || d.How == letter.ReplyAll) {
		e, err := l.s.Store.Work(ctx, d.Org, d.Work)
		if err != nil {
			return "", r, err
		}
		it, err := l.s.Store.Item(ctx, e.Inbox, e.Number)
		if err != nil {
			return "", r, err
		}
		m.InReplyTo, m.References = it.RFCID, it.References
	}
	id, err = l.submit(ctx, who, d, m)
	if err == nil && d.How == letter.Redirect {
		err = l.tellRedirected(ctx, who, d, team)
	}
	if err != nil {
		return "", r, err
	}
	return id, r, l.s.Store.MarkSent(ctx, d, store.SentRow{Message: id, Org: d.Org, Person: who.ID, SignFor: d.SignFor, Pool: d.Pool, Work: d.Work, How: d.How,
		Category: d.Category}, l.entry(who, "send", string(id), map[string]any{"draft": d.ID, "recipients": len(d.Recipients()), "files": len(d.Files), "work": d.Work, "confirmed": len(r.Confirm) > 0}))
}

// tellRedirected tells the sender of a message that reached the wrong place where it went, so that the next goes there
// at once. Nothing of the message is in it.
func (l letters) tellRedirected(ctx context.Context, who staff.Person, d letter.Draft, team string) error {
	e, err := l.s.Store.Work(ctx, d.Org, d.Work)
	if err != nil {
		return err
	}
	it, err := l.s.Store.Item(ctx, e.Inbox, e.Number)
	if err != nil {
		return err
	}
	to := make([]string, len(d.To))
	for i, a := range d.To {
		to[i] = a.String()
	}
	note := letter.Draft{ID: d.ID + "-told", Org: d.Org, How: letter.Reply, From: d.From, To: []addr.Address{e.Sender}, Text: "Your message reached us, and it is for somebody else. We have passed it on to " +
		strings.Join(to, ", ") + ".\n\nPlease write there next time: it will be seen sooner."}
	_, err = l.submit(ctx, who, note, compose.Message{From: d.From, To: note.To, Subject: "Passed on: your message", Text: note.Signed(who, team), Now: l.s.now(),
		InReplyTo: it.RFCID, References: it.References})
	return err
}

// submit writes the message and gives it to the pipeline.
func (l letters) submit(ctx context.Context, who staff.Person, d letter.Draft, m compose.Message) (message.ID, error) {
	var open []io.Closer
	defer func() {
		for _, c := range open {
			c.Close()
		}
	}()
	for _, f := range d.Files {
		b, err := l.s.Store.Blob(ctx, f.Blob)
		if err != nil {
			return "", err
		}
		src, err := l.s.Spool.Open(b)
		if err != nil {
			return "", err
		}
		open = append(open, src)
		m.Attachments = append(m.Attachments, compose.Attachment{Name: f.Name, MediaType: sendType(f), Content: src.Section()})
	}
	if id, err := l.left(ctx, d); err != nil || id != "" {
		return id, err
	}
	pr, pw := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, err := m.Write(pw)
		pw.CloseWithError(err)
	}()
	id, err := l.s.submit(ctx, message.Submission{Org: d.Org, Edge: message.EdgeWeb, EdgeID: string(d.ID), Principal: who.Login, From: d.From,
		Recipients: d.Recipients(), Purpose: d.Purpose, IdempotencyKey: string(d.ID)}, pr)
	pr.CloseWithError(io.ErrClosedPipe)
	<-done
	return id, err
}

// left is the message as which a draft left before, whoever pressed Send; "" is none. The gateway may have stopped
// between the submission and its record, and a message is written with a new name and time whenever it is written.
func (l letters) left(ctx context.Context, d letter.Draft) (message.ID, error) {
	people, err := l.s.Store.People(ctx, d.Org)
	if err != nil {
		return "", err
	}
	for _, p := range people {
		m, err := l.s.Store.ByIdempotencyKey(ctx, d.Org, p.Login, string(d.ID))
		if err == nil || !errors.Is(err, store.ErrNotFound) {
			return m.ID, err
		}
	}
	return "", nil
}

// sendType is the media type a file is sent under: told by what it is, where we know that better than its name.
func sendType(f letter.File) string {
	switch f.Kind {
	case document.CCDA, document.C32, document.CDA:
		return "text/xml" // EP-08
	case document.XDM:
		return "application/zip"
	case document.PDF:
		return "application/pdf"
	}
	if f.MediaType == "application/octet-stream" {
		return ""
	}
	return f.MediaType
}

// Sent is what a message of ours says, and the names of its files.
func (l letters) Sent(ctx context.Context, blob string) (text string, files []string, err error) {
	b, err := l.s.Store.Blob(ctx, blob)
	if err != nil {
		return "", nil, err
	}
	src, err := l.s.Spool.Open(b)
	if err != nil {
		return "", nil, err
	}
	defer src.Close()
	root, err := part.Parse(src, src.Size(), part.Limits{})
	if err != nil {
		return "", nil, fmt.Errorf("gateway: message of ours: %w", err)
	}
	err = root.Walk(func(n *part.Part) error {
		switch {
		case len(n.Children) > 0:
		case n.Filename != "":
			files = append(files, n.Filename)
		case text == "" && n.MediaType == "text/plain":
			b, err := io.ReadAll(io.LimitReader(n.Open(src), 2*letter.MaxText))
			text = strings.ReplaceAll(string(b), "\r\n", "\n")
			return err
		}
		return nil
	})
	return text, files, err
}

// Again begins a message anew that did not arrive: to one of its recipients, or to nobody yet, with its text and files.
func (l letters) Again(ctx context.Context, who staff.Person, r store.SentRow, to []addr.Address) (letter.ID, error) {
	m, err := l.s.Store.Message(ctx, r.Message)
	if err != nil {
		return "", err
	}
	text, _, err := l.Sent(ctx, r.Blob)
	if err != nil {
		return "", err
	}
	d := letter.Begin(who, letter.New, r.Pool, m.Submission.From, nil, l.s.now())
	d.To, d.Category, d.SignFor, d.Purpose, d.Subject, d.Text = to, r.Category, r.SignFor, m.Submission.Purpose, m.Facts.Subject, letter.Unsigned(text)
	if err := l.Begin(ctx, who, d); err != nil {
		return "", err
	}
	b, err := l.s.Store.Blob(ctx, r.Blob)
	if err != nil {
		return "", err
	}
	src, err := l.s.Spool.Open(b)
	if err != nil {
		return "", err
	}
	defer src.Close()
	root, err := part.Parse(src, src.Size(), part.Limits{})
	if err != nil {
		return "", fmt.Errorf("gateway: message %s: %w", r.Message, err)
	}
	return d.ID, root.Walk(func(n *part.Part) error {
		if len(n.Children) > 0 || n.Filename == "" {
			return nil
		}
		_, err := l.Attach(ctx, who, d, n.Filename, n.MediaType, n.Open(src))
		return err
	})
}

// Facts are what a template's fields are filled with.
func (l letters) Facts(ctx context.Context, who staff.Person, d letter.Draft, team string) (map[string]string, error) {
	zone := who.Location()
	facts := map[string]string{"writer.name": who.Name, "writer.title": who.Title, "team.name": team, "today": l.s.now().In(zone).Format("2 January 2006")}
	if d.Work == "" {
		return facts, nil
	}
	e, err := l.s.Store.Work(ctx, d.Org, d.Work)
	if err != nil {
		return nil, err
	}
	it, err := l.s.Store.Item(ctx, e.Inbox, e.Number)
	if err != nil {
		return nil, err
	}
	facts["message.subject"], facts["message.date"], facts["message.from"] = it.Subject, e.Received.In(zone).Format("2 January 2006"), e.Sender.String()
	if several(it.Documents) { // whose facts they would be is not for a machine to choose: the fields stay open
		return facts, nil
	}
	for _, doc := range it.Documents {
		var p chart.Patient
		if len(doc.Patient) == 0 || json.Unmarshal(doc.Patient, &p) != nil {
			continue
		}
		facts["document.type"], facts["document.title"], facts["document.author"] = doc.Type, doc.Title, doc.Author
		if !doc.Date.IsZero() {
			facts["document.date"] = doc.Date.In(zone).Format("2 January 2006")
		}
		patientFacts(facts, p)
		facts["document.reason"], err = l.reason(ctx, it, doc)
		return facts, err
	}
	return facts, nil
}

func patientFacts(facts map[string]string, p chart.Patient) {
	facts["patient.name"], facts["patient.birth"], facts["patient.sex"] = p.Name.String(), p.Birth.Date(), p.Sex.Words()
	for _, id := range p.IDs {
		if id.Null == "" && id.Extension != "" {
			facts["patient.number"] = id.String()
			return
		}
	}
}

// maxReason bounds what a template quotes of a document, in characters.
const maxReason = 1000

// reason is why a document says that the patient was sent or came, "" where it does not.
func (l letters) reason(ctx context.Context, it inbox.Item, doc inbox.Document) (string, error) {
	m, err := l.s.reader().Open(ctx, it)
	if err != nil {
		return "", err
	}
	defer m.Close()
	c, err := m.Part(doc.Path)
	if err != nil {
		return "", err
	}
	defer c.Close()
	d, err := document.Open(c, c.Size(), document.Hint{Stop: ctx.Err})
	if err != nil {
		return "", err
	}
	if d, err = d.Clinical(); err != nil || d == nil || d.CDA == nil {
		return "", err
	}
	var said []string
	for _, t := range brief.Of(d.CDA).Block(brief.Why).Texts {
		if t.Of == "" {
			said = append(said, t.Words)
		}
	}
	text := []rune(strings.TrimSpace(strings.Join(said, "\n")))
	if len(text) > maxReason {
		return string(text[:maxReason]) + " […]", nil
	}
	return string(text), nil
}
