package pipeline

import (
	"context"
	"io"
	"strings"

	"postern/gateway/clinic/compose"
	"postern/gateway/clinic/inbox"
	"postern/gateway/delivery/queue"
	"postern/gateway/message"
	"postern/gateway/store"
	"postern/smime/addr"
)

// Word is what the gateway has to say to the people who run a domain.
type Word struct {
	Domain  addr.Domain
	Subject string
	Text    string
	Told    []store.Told // ends this word tells of: remembered in the same commit, so each is told once
}

// Tell delivers a word of the gateway, unsealed, to the postmaster of one of our domains: into his inbox or to
// his edge. It is filed when Tell returns.
func (p *Pipeline) Tell(ctx context.Context, org string, word Word) error {
	postmaster, err := addr.Parse("postmaster@" + word.Domain.String())
	if err != nil {
		return err
	}
	var ins message.Inspector
	id := ""
	b, err := p.write(ctx, org, func(w io.Writer) error {
		id, err = compose.Message{From: postmaster, To: []addr.Address{postmaster}, Subject: word.Subject,
			Text: strings.ReplaceAll(word.Text, "\r\n", "\n"), Now: p.Now(), Auto: true}.Write(io.MultiWriter(w, &ins))
		return err
	})
	if err != nil {
		return err
	}
	// It is a notice of ours, as a DSN is: never answered, without a return path on the edge.
	own := store.Message{ID: p.newID(), Direction: store.Own, Kind: message.DSN, RFCID: id, Sender: postmaster, Facts: ins.Facts(), Blob: b.ID,
		OpenedBlob: b.ID, Size: b.Size, Received: p.Now(), Submission: message.Submission{Org: org, Edge: message.EdgeNotice, Recipients: []addr.Address{postmaster}}}
	step := store.Step{Messages: []store.Message{own}, Told: word.Told}
	step.Blobs = append(step.Blobs, b)
	mb, err := p.Store.Resolve(ctx, postmaster)
	switch {
	case err != nil:
		return err
	case mb.Destination.Inbox != "":
		it, err := p.item(own, postmaster, mb.Destination.Inbox, inbox.FromSystem(postmaster), b)
		if err != nil {
			return err
		}
		step.Items = append(step.Items, it)
	case mb.Destination.Edge != nil:
		step.Jobs = append(step.Jobs, queue.Job{Org: org, Message: own.ID, Kind: queue.Deliver, Notice: true,
			Lane: "edge " + mb.Destination.Edge.HostPort(), Recipients: []addr.Address{postmaster}})
	default:
		p.Log.Error("a word for the postmaster has nowhere to go: give postmaster a destination", "domain", word.Domain, "subject", word.Subject)
	}
	_, err = p.Store.Commit(ctx, queue.Lease{}, step)
	return err
}
