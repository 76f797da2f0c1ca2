package pipeline

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"strings"
	"sync"

	"postern/gateway/clinic/document"
	"postern/gateway/clinic/document/charset"
	"postern/gateway/clinic/document/chart"
	"postern/gateway/clinic/document/mailhtml"
	"postern/gateway/clinic/inbox"
	"postern/gateway/clinic/patient"
	"postern/gateway/clinic/rule"
	"postern/gateway/clinic/search"
	"postern/gateway/clinic/work"
	"postern/gateway/delivery/notice"
	"postern/gateway/message"
	"postern/gateway/store"
	"postern/smime/part"
)

// place says of each item of a step where it goes in the clinic's hands, before the step is committed. It never
// fails: where the rules or the message cannot be read, the item goes to the catch-all and says why.
func (p *Pipeline) place(ctx context.Context, step *store.Step) {
	for i := len(step.Places); i < len(step.Items); i++ {
		step.Places = append(step.Places, p.placeItem(ctx, *step, step.Items[i]))
	}
}

func (p *Pipeline) placeItem(ctx context.Context, step store.Step, it inbox.Item) (at store.Place) {
	facts := rule.Facts{Recipient: it.Recipient, Also: it.Also, Sender: it.Sender, Patient: p.patientOf(ctx, it)}
	defer func() {
		if r := recover(); r != nil {
			p.Log.Error("a message could not be placed by the rules; it went to the catch-all", "message", it.Message, "error", r, "stack", string(debug.Stack()))
			at.Placement = rule.CatchAll("", facts, "an internal fault")
		}
	}()
	at.Kind, at.About = p.about(ctx, step, it)
	src, err := p.stepBlob(ctx, step, it.Blob)
	if err == nil {
		defer src.Close()
		facts = facts.Read(p.said(src, src.Size(), it, p.purpose(ctx, it)))
		own := facts.Text
		facts.Text = sync.OnceValues(func() (string, bool) { return allWords(src, src.Size(), own) })
	}
	set, rerr := p.Store.Rules(ctx, it.Org)
	switch {
	case err != nil, rerr != nil && ctx.Err() == nil:
		p.Log.Warn("the rules could not be asked about a message; it goes to the catch-all", "message", it.Message, "error", fmt.Sprint(err, rerr))
		at.Placement = rule.CatchAll("", facts, "the message or the rules could not be read")
	case at.Kind == work.Failure: // about something of ours: whoever sent it, or the catch-all
		at.Placement = rule.Set{CatchAll: set.CatchAll}.Place(facts)
		at.Placement.Because = []string{"something sent from here did not arrive"}
	case at.Kind == work.Unconfirmed:
		at.Placement = rule.Set{CatchAll: set.CatchAll}.Place(facts)
		at.Placement.Because = []string{"something sent from here was not confirmed in its time"}
	default:
		at.Placement = set.Place(facts)
	}
	return at
}

// allWords is everything a rule about words can find: what the message itself says, and its documents.
func allWords(src io.ReaderAt, size int64, own func() (string, bool)) (string, bool) {
	words, err := search.Words(src, size, document.Hint{MediaType: "message/rfc822"})
	if err != nil {
		return "", false
	}
	text := strings.ToLower(words)
	if own != nil {
		if t, ok := own(); ok {
			text = t + "\n" + text
		}
	}
	return text, true
}

// WordsOf is what a rule about words would find in a stored message, for a trial of rules on what came before.
func (p *Pipeline) WordsOf(ctx context.Context, blob, subject string) (string, bool) {
	src, err := p.blob(ctx, blob)
	if err != nil {
		return "", false
	}
	defer src.Close()
	return allWords(src, src.Size(), func() (string, bool) { return strings.ToLower(subject), true })
}

// patientOf says whether a message names a patient, and whether that is one of the clinic's beyond doubt. It only
// tells rules so: whose message it is, a person says.
func (p *Pipeline) patientOf(ctx context.Context, it inbox.Item) rule.Match {
	for _, d := range it.Documents {
		if len(d.Patient) == 0 {
			continue
		}
		var stated chart.Patient
		if json.Unmarshal(d.Patient, &stated) != nil {
			return rule.Named
		}
		known, err := p.Store.Acquainted(ctx, it.Org, stated)
		if err != nil {
			p.Log.Warn("whether a patient is known could not be asked; the message counts as one that names a patient", "message", it.Message, "error", err)
			return rule.Named
		}
		if _, ok := patient.Only(patient.Candidates(stated, known, patient.MaxCandidates)); ok {
			return rule.Known
		}
		return rule.Named
	}
	return rule.NoPatient
}

// stepBlob opens bytes that the step itself is about to name, or stored ones.
func (p *Pipeline) stepBlob(ctx context.Context, step store.Step, id string) (reader, error) {
	for _, b := range step.Blobs {
		if b.ID == id {
			return p.Spool.Open(b)
		}
	}
	return p.blob(ctx, id)
}

// reader is stored bytes.
type reader interface {
	io.ReaderAt
	io.Closer
	Size() int64
}

// about tells a message for the clinic from a report about one of ours, and which that was.
func (p *Pipeline) about(ctx context.Context, step store.Step, it inbox.Item) (work.Kind, message.ID) {
	switch it.Origin.String() {
	case "system":
		for _, m := range step.Messages {
			switch {
			case m.ID != it.Message:
			case m.Kind == message.Mail && m.About != "":
				return work.Unconfirmed, m.About
			default:
				return work.Failure, m.About
			}
		}
		return work.Failure, ""
	case "notice":
		return p.reported(ctx, step, it)
	}
	return work.Message, ""
}

// reported is what a peer's notice in an inbox is about: a failure of a message of ours, else something for people to read.
func (p *Pipeline) reported(ctx context.Context, step store.Step, it inbox.Item) (work.Kind, message.ID) {
	src, err := p.stepBlob(ctx, step, it.Blob)
	if err != nil {
		return work.Notice, ""
	}
	defer src.Close()
	rep, err := notice.Parse(src, src.Size())
	if err != nil || rep.OriginalMessageID == "" {
		return work.Notice, ""
	}
	failed := slices.ContainsFunc(rep.Entries, func(e notice.Entry) bool {
		return e.Outcome() == notice.OutcomeFailed || e.Outcome() == notice.OutcomeImportFailed
	})
	sent, err := p.Store.Messages(ctx, store.Query{RFCID: rep.OriginalMessageID, Direction: store.Out})
	if err != nil || !failed {
		return work.Notice, ""
	}
	for _, m := range sent {
		if asked(m, it.Recipient) {
			return work.Failure, m.ID
		}
	}
	return work.Notice, ""
}

// purpose is what the sender's system declared where the message is one of this gateway's own (AS-74): elsewhere
// there is no such declaration.
func (p *Pipeline) purpose(ctx context.Context, it inbox.Item) string {
	if it.RFCID == "" {
		return ""
	}
	sent, err := p.Store.Messages(ctx, store.Query{RFCID: it.RFCID, Direction: store.Out, Limit: 1})
	if err != nil || len(sent) == 0 || !sent[0].Sender.SameMailbox(it.Sender) {
		return ""
	}
	return sent[0].Submission.Purpose
}

// said gathers what a message says of itself.
func (p *Pipeline) said(src io.ReaderAt, size int64, it inbox.Item, purpose string) rule.Said {
	s := rule.Said{Subject: it.Subject, Purpose: purpose}
	for _, d := range it.Documents {
		s.Types = append(s.Types, strings.TrimSpace(d.Type+" "+d.TypeCode))
		s.Titles = append(s.Titles, d.Title)
		s.Priorities = append(s.Priorities, d.Priorities...)
		s.Restricted = s.Restricted || d.Restricted
	}
	root, err := part.Parse(src, size, part.Limits{})
	if err != nil {
		return s
	}
	s.Importance = strings.Join([]string{root.Header.Get("Importance"), root.Header.Get("Priority"), root.Header.Get("X-Priority")}, " ")
	s.Text = ownText(root, src)
	return s
}

// ownText is the first text of a message that is no attachment, up to rule.MaxText octets: plain where there is
// one, else the words of its HTML.
func ownText(root *part.Part, src io.ReaderAt) string {
	var plain, html *part.Part
	_ = root.Walk(func(n *part.Part) error { // only the function's own errors come back
		switch {
		case len(n.Children) > 0 || n.Disposition == "attachment" || n.Filename != "":
		case n.MediaType == "text/plain" && plain == nil:
			plain = n
		case n.MediaType == "text/html" && html == nil:
			html = n
		}
		return nil
	})
	chosen := plain
	if chosen == nil {
		if chosen = html; chosen == nil {
			return ""
		}
	}
	raw, err := io.ReadAll(io.LimitReader(chosen.Open(src), rule.MaxText))
	if err != nil && len(raw) == 0 {
		return ""
	}
	text := decoded(raw, chosen.Params["charset"])
	if chosen == html {
		reduced, _ := mailhtml.Reduce(text)
		text = untagged(reduced)
	}
	return text
}

func decoded(raw []byte, label string) string {
	t, err := charset.Open(bytes.NewReader(raw), int64(len(raw)), label)
	if err != nil {
		return string(raw)
	}
	b := make([]byte, t.Size)
	n, _ := t.Src.ReadAt(b, 0) // of bytes in memory
	out, _ := charset.Append(nil, b[:n], t.Single)
	return string(out)
}

// untagged takes the marks out of reduced HTML, a line for each.
func untagged(html string) string {
	var b strings.Builder
	for _, piece := range strings.Split(html, "<") {
		if _, text, ok := strings.Cut(piece, ">"); ok {
			piece = text
		}
		if t := strings.TrimSpace(piece); t != "" {
			b.WriteString(t + "\n")
		}
	}
	return b.String()
}

// priorities is what a document says of its own urgency: in orders and referrals, as HL7 v2, FHIR and CDA have it.
func priorities(s document.Summary) (out []string) {
	for _, l := range s.Lines {
		if l.Group != "Referral" && l.Group != "Orders" || l.Standing != chart.Holds && l.Standing != chart.Unsettled {
			continue
		}
		for _, piece := range strings.Split(l.Note, " · ") {
			piece, labelled := strings.CutPrefix(piece, "priority ")
			if labelled || isPriority(piece) {
				out = append(out, piece)
			}
		}
	}
	for _, it := range s.Items {
		for _, piece := range strings.Split(it.Detail, " · ") {
			if v, ok := strings.CutPrefix(piece, "priority "); ok && !it.Negated && it.Status != "completed" {
				out = append(out, v)
			}
		}
	}
	return out[:min(len(out), 20)]
}

func isPriority(s string) bool {
	switch s {
	case "routine", "urgent", "asap", "stat":
		return true
	}
	return false
}
