package pipeline

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"

	"postern/gateway/agent"
	"postern/gateway/clinic/inbox"
	"postern/gateway/delivery/notice"
	"postern/gateway/delivery/queue"
	"postern/gateway/delivery/route"
	"postern/gateway/delivery/track"
	"postern/gateway/message"
	"postern/gateway/spool"
	"postern/gateway/store"
	"postern/smime/addr"
	"postern/trust"
)

// open is the inbound stage: decrypt, verify, approve, and then, for the recipients approved, file or
// hand on, with the notices due. Recipients refused are held with their reason; their sender hears
// nothing (AS-96).
func (p *Pipeline) open(ctx context.Context, j queue.Job, m store.Message) (store.Step, error) {
	sealed, err := p.blob(ctx, m.Blob)
	if err != nil {
		return store.Step{}, err
	}
	defer sealed.Close()
	res, err := p.Agent.Open(ctx, agent.Inbound{MailFrom: m.Submission.From, Recipients: j.Recipients,
		Sealed: io.NewSectionReader(sealed, 0, sealed.Size())})
	if err != nil {
		return store.Step{}, err
	}
	step := store.Step{Settle: done()}
	again := p.hold(&step, m, res.Verdicts)
	for _, v := range res.Verdicts {
		p.decided(&step, m, v, trust.Incoming, v.Recipient.Domain(), res.Sender)
	}
	if len(again) > 0 {
		step.Settle = &queue.Settlement{Fate: queue.Retry, Due: p.nextTry(j, m.Received.Add(p.Clocks.Inside)), Recipients: again,
			Error: "a trust check has no answer yet"}
	}
	if res.Refused {
		return step, nil
	}
	defer res.Opened.Close()
	return step, p.opened(ctx, &step, m, res)
}

// hold keeps the sealed original for the recipients refused, and names those to try again because
// their refusal is transient.
func (p *Pipeline) hold(step *store.Step, m store.Message, verdicts []agent.Verdict) (again []addr.Address) {
	byReason := map[string]*store.Held{}
	for _, v := range verdicts {
		switch {
		case v.OK:
			continue
		case v.Temporary && p.Now().Before(m.Received.Add(p.Clocks.Inside)):
			again = append(again, v.Recipient)
			step.Events = append(step.Events, p.event(m.ID, v.Recipient, track.Deferred, "agent", refusedEvidence(v)))
			continue
		}
		step.Events = append(step.Events, p.event(m.ID, v.Recipient, track.Held, "agent", refusedEvidence(v)))
		h := byReason[v.Reason]
		if h == nil {
			h = &store.Held{ID: "h-" + strings.ToLower(rand.Text()[:12]), Org: m.Submission.Org, Message: m.ID, Peer: peerOf(m),
				MailFrom: m.Submission.From.String(), Reason: v.Reason, Detail: v.Detail, Trace: rawJSON(v), Blob: m.Blob, Size: m.Size,
				At: p.Now(), Expires: p.Now().Add(store.HeldFor)}
			byReason[v.Reason] = h
		}
		h.Recipients = append(h.Recipients, v.Recipient)
	}
	for _, h := range byReason {
		step.Held = append(step.Held, *h)
		p.Log.Warn("inbound message held", "message", m.ID, "held", h.ID, "reason", h.Reason, "peer", h.Peer)
		step.Audit = append(step.Audit, store.AuditEntry{Org: m.Submission.Org, Actor: "gateway", Action: "message.held", Object: string(m.ID),
			Detail: map[string]any{"held": h.ID, "reason": h.Reason, "peer": h.Peer}})
	}
	return again
}

// decided keeps what was decided about a partner's certificate, unless it is asked again.
func (p *Pipeline) decided(step *store.Step, m store.Message, v agent.Verdict, dir trust.Direction, local addr.Domain, peer addr.Address) {
	if len(v.Path) == 0 || v.Temporary || peer.IsZero() {
		return
	}
	step.Decisions = append(step.Decisions, store.Decision{Org: m.Submission.Org, At: p.Now(), Message: m.ID, Domain: local, Direction: dir,
		Purpose: v.Purpose, Peer: peer, Path: v.Path, Reason: v.Reason})
}

func peerOf(m store.Message) string {
	if host, _, err := net.SplitHostPort(m.Submission.Peer); err == nil {
		return host
	}
	return m.Submission.From.Domain().String() // mail between addresses of ours
}

// opened keeps the inner message and does what its kind asks for each approved recipient.
func (p *Pipeline) opened(ctx context.Context, step *store.Step, m store.Message, res *agent.Result) error {
	body, err := p.write(ctx, m.Submission.Org, func(w io.Writer) error {
		_, err := io.Copy(w, io.NewSectionReader(res.Opened.Inner, 0, res.Opened.Inner.Size()))
		return err
	})
	if err != nil {
		return err
	}
	m.Facts, m.Sender, m.OpenedBlob = res.Facts, res.Sender, body.ID
	m.Kind, m.RFCID = res.Facts.Kind(), message.NormalID(res.Facts.MessageID)
	m.Final = res.Facts.FinalDelivery && m.Kind == message.Mail // DN-16, DN-17: the inner header, never in a notice
	m.Receipt = jsonText(map[string]any{"format": 1, "opened": res.Opened.Report})
	step.Blobs, step.Lessons = append(step.Blobs, body), res.Lessons
	step.Receipts = map[message.ID]store.Receipt{m.ID: {OpenedBlob: body.ID, Receipt: m.Receipt, Facts: &m.Facts, Sender: m.Sender.String(),
		RFCID: m.RFCID, Kind: m.Kind, Final: &m.Final}}
	for _, v := range res.Verdicts {
		if !v.OK {
			continue
		}
		p.softFail(step, m, v)
		step.Events = append(step.Events, p.event(m.ID, v.Recipient, track.Trusted, "agent", map[string]any{"certificate": v.Cert,
			"bound": v.Bound, "anchor": v.Anchor, "anchor_subject": v.AnchorCN, "report": res.Opened.Report, "decision": v.Decision}))
		step.Events = append(step.Events, p.nature(m, v.Recipient)...)
		if m.Kind == message.Mail {
			err = p.arrive(ctx, step, m, v, body)
		} else {
			err = p.report(ctx, step, m, v, body)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// softFail audits an approval whose revocation could not be checked (AS-65).
func (p *Pipeline) softFail(step *store.Step, m store.Message, v agent.Verdict) {
	if v.SoftFail {
		step.Audit = append(step.Audit, store.AuditEntry{Org: m.Submission.Org, Actor: "gateway", Action: "revocation.unchecked", Object: string(m.ID),
			Detail: map[string]any{"certificate": v.Cert, "recipient": v.Recipient}})
	}
}

// arrive takes an approved message for one recipient to its final destination. The processed notice is
// due in any case (AS-90); a dispatched one only once the destination has it (DN-21).
func (p *Pipeline) arrive(ctx context.Context, step *store.Step, m store.Message, v agent.Verdict, body spool.Blob) error {
	mb, err := p.Store.Resolve(ctx, v.Recipient)
	if err != nil {
		return err
	}
	to := notifyTo(m, v)
	p.tell(step, m, v.Recipient, noticeData{Disposition: notice.Processed, To: to})
	switch {
	case !mb.Known: // it existed when the peer was answered (DN-62)
		p.fail(step, m, v.Recipient, to, "5.1.1 the address no longer exists")
	case mb.Destination.Inbox != "":
		return p.file(step, m, v, mb.Destination.Inbox, body)
	case mb.Destination.Edge != nil:
		step.Jobs = append(step.Jobs, queue.Job{Org: m.Submission.Org, Message: m.ID, Kind: queue.Deliver,
			Lane: "edge " + mb.Destination.Edge.HostPort(), Recipients: []addr.Address{v.Recipient}, Data: p.deliverData(m, v, body)})
	}
	return nil
}

// file puts an approved message into an inbox, once for all of its names; the approval is the item's origin.
func (p *Pipeline) file(step *store.Step, m store.Message, v agent.Verdict, id string, body spool.Blob) error {
	origin, err := inbox.FromPeer(v.Approval, v.Signer, m.Sender, p.Now())
	if err != nil {
		return err
	}
	var it inbox.Item
	if n := slices.IndexFunc(step.Items, func(o inbox.Item) bool { return o.Inbox == id }); n >= 0 { // another name of that inbox
		step.Items[n].Also = append(step.Items[n].Also, v.Recipient)
		it = step.Items[n]
	} else {
		if it, err = p.item(m, v.Recipient, id, origin, body); err != nil {
			return err
		}
		step.Items = append(step.Items, it)
	}
	step.Events = append(step.Events, p.event(m.ID, v.Recipient, track.Delivered, "inbox", deliveredEvidence(it)))
	if m.Final {
		p.tell(step, m, v.Recipient, noticeData{Disposition: notice.Dispatched, To: notifyTo(m, v)})
	}
	return nil
}

// deliveredEvidence says where an item went and what kind of documents it carries; nothing about a patient.
func deliveredEvidence(it inbox.Item) any {
	types := []string{}
	for _, d := range it.Documents {
		types = append(types, strings.TrimSpace(d.Kind+" "+d.Type))
	}
	return map[string]any{"destination": route.Destination{Inbox: it.Inbox}.String(), "documents": types, "parts": len(it.Parts)}
}

// fail is a final delivery failure after processed: the ladder says so and a failed notice is due (DN-25, DN-26).
func (p *Pipeline) fail(step *store.Step, m store.Message, r, to addr.Address, why string) {
	step.Events = append(step.Events, p.event(m.ID, r, track.Undeliverable, "delivery", map[string]any{"text": why}))
	p.tell(step, m, r, noticeData{Disposition: notice.Failed, Failure: why, To: to})
}

// mergeReceipt adds one named entry to a stored receipt.
func mergeReceipt(old, name string, v any) string {
	all := map[string]any{"format": 1}
	if old != "" {
		if err := json.Unmarshal([]byte(old), &all); err != nil {
			all = map[string]any{"format": 1, "unreadable": fmt.Sprint(err)}
		}
	}
	all[name] = v
	return jsonText(all)
}
