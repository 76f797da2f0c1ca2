package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"postern/certs"
	"postern/gateway/agent"
	"postern/gateway/delivery/notice"
	"postern/gateway/delivery/queue"
	"postern/gateway/delivery/track"
	"postern/gateway/message"
	"postern/gateway/store"
	"postern/smime/addr"
)

// noticeData is what a due notice needs.
type noticeData struct {
	Disposition notice.Disposition `json:"disposition"`
	To          addr.Address       `json:"to"`
	Failure     string             `json:"failure,omitempty"`
}

// notifyTo is whom the notices about an inbound message go to: its verified sender; another address in
// Disposition-Notification-To only when the certificate that signed is bound to it too.
func notifyTo(m store.Message, v agent.Verdict) addr.Address {
	if to := m.Facts.DispositionNotificationTo; len(to) == 1 && v.Signer != nil {
		if _, ok := certs.Binding(v.Signer, to[0]); ok {
			return to[0]
		}
	}
	return m.Sender
}

// deliverTo is whom the notices of a delivery job go to; zero where that cannot be read.
func deliverTo(j queue.Job) addr.Address {
	var d deliverData
	if json.Unmarshal(j.Data, &d) != nil {
		return addr.Address{}
	}
	return d.NotifyTo
}

// tell makes a notice due from the recipient's address and records that it is, in the same step as what it
// speaks of. Without an address to go to it goes to the sender.
func (p *Pipeline) tell(step *store.Step, m store.Message, r addr.Address, d noticeData) {
	if d.To.IsZero() {
		d.To = m.Sender
	}
	kind := map[notice.Disposition]track.Kind{notice.Processed: track.ToldProcessed, notice.Dispatched: track.ToldDispatched,
		notice.Failed: track.ToldFailed}[d.Disposition]
	step.Events = append(step.Events, p.event(m.ID, r, kind, "gateway", nil))
	step.Jobs = append(step.Jobs, queue.Job{Org: m.Submission.Org, Message: m.ID, Kind: queue.Notice, Notice: true,
		Lane: "notice " + d.To.Domain().String(), Recipients: []addr.Address{r}, Data: rawJSON(d)})
}

// notice is the stage that writes one MDN from the address that received the message (AS-94), seals it
// like any message and queues it. One that cannot be sealed is recorded, never bounced (AS-100).
func (p *Pipeline) notice(ctx context.Context, j queue.Job, about store.Message) (store.Step, error) {
	var d noticeData
	if err := json.Unmarshal(j.Data, &d); err != nil || len(j.Recipients) != 1 {
		return store.Step{}, fmt.Errorf("pipeline: notice job %d is damaged: %v", j.ID, err)
	}
	from := j.Recipients[0]
	now := p.Now()
	n := notice.MDN{From: from, To: d.To, OriginalMessageID: about.Facts.MessageID, OriginalBare: about.Facts.BareID, Disposition: d.Disposition,
		FinalDelivery: d.Disposition == notice.Dispatched && about.Final, // DN-22
		ReportingUA:   p.Hostname + "; Postern", Failure: d.Failure, Subject: about.Facts.Subject,
		MessageID: message.NewMessageID(from.Domain(), now, nil), Date: now}
	var ins message.Inspector
	b, err := p.write(ctx, j.Org, func(w io.Writer) error { return n.Write(io.MultiWriter(w, &ins)) })
	if err != nil {
		return store.Step{}, err
	}
	m := store.Message{ID: p.newID(), Direction: store.Out, Kind: message.MDN, RFCID: message.NormalID(n.MessageID), Sender: from, Facts: ins.Facts(),
		Blob: b.ID, Size: b.Size, About: about.ID, Received: now,
		Submission: message.Submission{Org: j.Org, Edge: message.EdgeNotice, From: from, Recipients: []addr.Address{d.To}, Received: now}}
	step := store.Step{Settle: done(), Messages: []store.Message{m}}
	step.Blobs = append(step.Blobs, b)
	step.Jobs = []queue.Job{{Org: j.Org, Message: m.ID, Kind: queue.Seal, Notice: true, Recipients: []addr.Address{d.To}}}
	step.Events = p.begun(m, d.To)
	return step, nil
}
