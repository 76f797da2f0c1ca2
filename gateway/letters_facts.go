package gateway

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"postern/gateway/clinic/custody"
	"postern/gateway/clinic/document"
	"postern/gateway/clinic/document/brief"
	"postern/gateway/clinic/document/chart"
	"postern/gateway/clinic/inbox"
	"postern/gateway/clinic/letter"
	"postern/gateway/clinic/staff"
)

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
	files, err := l.files(ctx, it)
	if err != nil || slices.ContainsFunc(files, func(f custody.File) bool { return f.Path == doc.Path && f.State != custody.Free }) {
		return "", err
	}
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
