package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"postern/gateway/agent"
	"postern/gateway/delivery/notice"
	"postern/gateway/delivery/queue"
	"postern/gateway/delivery/relay"
	"postern/gateway/delivery/route"
	"postern/gateway/delivery/track"
	"postern/gateway/message"
	"postern/gateway/spool"
	"postern/gateway/store"
	"postern/smime/addr"
)

// deliverData is what a delivery to an SMTP edge needs: whom to notify, and what makes the delivery unique.
type deliverData struct {
	NotifyTo addr.Address `json:"notify_to,omitzero"`
	SHA256   []byte       `json:"sha256"`
}

func (p *Pipeline) deliverData(m store.Message, v agent.Verdict, body spool.Blob) json.RawMessage {
	return rawJSON(deliverData{NotifyTo: notifyTo(m, v), SHA256: body.SHA256[:]})
}

// EdgePurpose is what the password of an SMTP edge is sealed for.
func EdgePurpose(e route.Edge) string { return "edge " + e.HostPort() + " " + e.Login }

// deliver is the stage that hands opened mail, or a notice for one of our own senders, to the SMTP edge
// of its recipient as plain MIME (EP-31, EP-32). Its 250 is what `dispatched` reports (DN-21).
func (p *Pipeline) deliver(ctx context.Context, j queue.Job, m store.Message) (store.Step, error) {
	var d deliverData
	if err := json.Unmarshal(j.Data, &d); err != nil || len(j.Recipients) != 1 {
		return store.Step{}, fmt.Errorf("pipeline: delivery job %d is damaged: %v", j.ID, err)
	}
	r := j.Recipients[0]
	step := store.Step{Settle: done()}
	if left, err := p.wanted(ctx, &step, j, m); err != nil || len(left) == 0 {
		return step, err
	}
	stone := store.Tombstone{Recipient: r, Signer: m.Sender, RFCID: m.RFCID}
	copy(stone.SHA256[:], d.SHA256)
	if before, err := p.Store.Delivered(ctx, stone); err != nil {
		return step, err
	} else if before && m.Kind == message.Mail { // DN-63: delivered once, told again
		p.told(&step, m, r, d.NotifyTo)
		return step, nil
	}
	mb, err := p.Store.Resolve(ctx, r)
	if err != nil {
		return step, err
	}
	if mb.Destination.Edge == nil {
		return step, p.lost(&step, m, r, d.NotifyTo, "5.1.1", "the address no longer leads to a mail server")
	}
	end := m.Received.Add(p.Clocks.Inside) // DN-60
	res, wait, err := p.visit(ctx, j, end, func() (relay.Result, error) { return p.toEdge(ctx, m, r, *mb.Destination.Edge) })
	if err != nil {
		return step, err
	}
	if wait != nil {
		p.waits(&step, j, m, wait)
		return step, nil
	}
	o := res.Outcomes[0]
	evidence := map[string]any{"destination": mb.Destination.String(), "host": res.Host, "tls": res.TLS, "code": o.Code,
		"enhanced": o.Enhanced, "text": o.Text, "attempts": res.Attempts}
	switch {
	case o.Status == relay.Delivered:
		step.Events = append(step.Events, p.event(m.ID, r, track.Delivered, "edge", evidence))
		step.Forget = append(step.Forget, stone)
		p.told(&step, m, r, d.NotifyTo)
	case o.Status == relay.Temporary && p.Now().Before(end):
		step.Events = append(step.Events, p.event(m.ID, r, track.Deferred, "edge", evidence))
		step.Settle = &queue.Settlement{Fate: queue.Retry, Due: p.nextTry(j, end), Error: o.Text}
	case o.Status == relay.Temporary:
		return step, p.lost(&step, m, r, d.NotifyTo, "5.4.7", "its mail server could not be reached in time")
	default:
		return step, p.lost(&step, m, r, d.NotifyTo, orStatus(o.Enhanced), "its mail server refused the message")
	}
	return step, nil
}

func orStatus(s string) string {
	if s == "" {
		return "5.0.0"
	}
	return s
}

// told makes the dispatched notice due, where final delivery was asked for.
func (p *Pipeline) told(step *store.Step, m store.Message, r, to addr.Address) {
	if m.Final && m.Kind == message.Mail {
		p.tell(step, m, r, noticeData{Disposition: notice.Dispatched, To: to})
	}
}

// lost ends a delivery that cannot be made: a failed notice to the peer for mail, an alarm for a notice
// of our own that its sender's edge would not take.
func (p *Pipeline) lost(step *store.Step, m store.Message, r, to addr.Address, status, why string) error {
	if m.Kind == message.Mail {
		p.fail(step, m, r, to, status+" "+why)
		return nil
	}
	step.Events = append(step.Events, p.event(m.ID, r, track.Undeliverable, "edge", map[string]any{"status": status, "text": why}))
	p.Log.Error("a notice could not be handed to its sender's mail server", "message", m.ID, "about", m.About, "status", status)
	return nil
}

// edgeTLS is how an edge is spoken to. The link carries plain content, so what is not known means TLS (EP-02).
func edgeTLS(setting string) relay.TLSMode {
	switch setting {
	case "implicit":
		return relay.Implicit
	case "opportunistic":
		return relay.Opportunistic
	case "none":
		return relay.None
	}
	return relay.Required
}

// toEdge sends the opened message to the edge over TLS with its login.
func (p *Pipeline) toEdge(ctx context.Context, m store.Message, r addr.Address, e route.Edge) (relay.Result, error) {
	body, err := p.blob(ctx, m.OpenedBlob)
	if err != nil {
		return relay.Result{}, err
	}
	defer body.Close()
	hop := relay.Route{Host: e.Host, Port: e.Port, TLS: edgeTLS(e.TLS), Login: e.Login, Private: true}
	if len(e.Password) > 0 {
		secret, err := p.Secrets.OpenSecret(m.Submission.Org, EdgePurpose(e), e.Password)
		if err != nil {
			return relay.Result{}, fmt.Errorf("pipeline: password of %s: %w", e.HostPort(), err)
		}
		hop.Password = string(secret)
	}
	env := relay.Envelope{From: m.Sender, To: []addr.Address{r}, Size: body.Size()}
	if m.Kind != message.Mail {
		env.From = addr.Address{} // RFC 8098 §3, RFC 3464 §2: a notice has no return path on the edge (DN-35)
	}
	return p.Sender.Send(ctx, hop, env, func() (io.ReadCloser, error) {
		return io.NopCloser(io.NewSectionReader(body, 0, body.Size())), nil
	})
}
