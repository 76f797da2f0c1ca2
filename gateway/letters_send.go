package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"postern/gateway/agent"
	"postern/gateway/clinic/compose"
	"postern/gateway/clinic/document"
	"postern/gateway/clinic/letter"
	"postern/gateway/clinic/patient"
	"postern/gateway/clinic/staff"
	"postern/gateway/edge/web"
	"postern/gateway/message"
	"postern/gateway/store"
	"postern/smime/addr"
	"postern/smime/part"
)

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
	r := letter.Check(d, letter.Surroundings{Policy: policy, Room: l.Room(), Patient: about, Reach: func(to addr.Address) letter.Reached {
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

// Send submits a draft in the name of its team. Its report says why not, where it is not sent; a *work.Collision says that
// more answers left than the d.Known its writer knew of. To send it twice is to send it once: the draft is what tells one
// from the other.
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
		Category: d.Category}, l.entry(who, "send", string(id), map[string]any{"draft": d.ID, "recipients": len(d.Recipients()), "files": len(d.Files), "work": d.Work, "confirmed": len(r.Confirm) > 0, "known": d.Known}))
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
	note := letter.Draft{ID: d.ID + "-told", Org: d.Org, How: letter.New, From: d.From, To: []addr.Address{e.Sender}, Text: "Your message reached us, and it is for somebody else. We have passed it on to " +
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
	if err := l.s.Admit(ctx, 0); err != nil {
		return "", &web.Refusal{Text: "No messages are taken for sending just now. This one was not sent, and its draft is kept: send it in a few minutes, or ask your administrator."}
	}
	pr, pw := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, err := m.Write(pw)
		pw.CloseWithError(err)
	}()
	sub := message.Submission{Org: d.Org, Edge: message.EdgeWeb, EdgeID: string(d.ID), Principal: who.Login, From: d.From, Recipients: d.Recipients(),
		Purpose: d.Purpose, IdempotencyKey: string(d.ID)}
	if d.Answers() {
		sub.Answering = &message.Answering{Entry: string(d.Work), Known: d.Known}
	}
	id, err := l.s.submit(ctx, sub, pr)
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
	if _, err := l.Begin(ctx, who, d, false); err != nil {
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
