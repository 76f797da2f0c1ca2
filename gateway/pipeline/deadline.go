package pipeline

import (
	"context"
	"fmt"
	"io"
	"strings"
	"unicode"

	"postern/gateway/clinic/compose"
	"postern/gateway/clinic/inbox"
	"postern/gateway/delivery/track"
	"postern/gateway/message"
	"postern/gateway/store"
	"postern/smime/addr"
)

// unconfirmed raises the alarm for recipients whose deadline passed: a line in the log and, where the sender has an
// inbox here, one entry of work for all of them, in the commit that says so on their ladders. It is no failure and is
// never called one, because who reads "failed" sends twice; so an edge hears nothing (DN-40: only T1 and T2 do that).
// The entry ends by itself when nobody is left to be telephoned (store.Commit).
func (p *Pipeline) unconfirmed(ctx context.Context, step *store.Step, m store.Message, quiet []track.Ladder) error {
	if len(quiet) == 0 {
		return nil
	}
	p.Log.Warn("deadline passed without confirmation; telephone the recipients", "message", m.ID, "recipients", len(quiet), "purpose", m.Submission.Purpose)
	mb, err := p.Store.Resolve(ctx, m.Sender)
	if err != nil || mb.Destination.Inbox == "" {
		return err
	}
	postmaster, err := addr.Parse("postmaster@" + m.Sender.Domain().String())
	if err != nil {
		return fmt.Errorf("pipeline: %w", err)
	}
	var ins message.Inspector
	letter := compose.Message{From: postmaster, To: []addr.Address{m.Sender}, Subject: track.Call(p.clocksFor(m)) + " (" + oneLine(m.Facts.Subject, maxAbout) + ")",
		Text: p.callText(m, quiet), InReplyTo: m.RFCID, Now: p.Now(), Auto: true}
	var id string
	b, err := p.write(ctx, m.Submission.Org, func(w io.Writer) error {
		id, err = letter.Write(io.MultiWriter(w, &ins))
		return err
	})
	if err != nil {
		return err
	}
	own := store.Message{ID: p.newID(), Direction: store.Own, Kind: message.Mail, RFCID: id, Sender: postmaster, Facts: ins.Facts(), Blob: b.ID,
		OpenedBlob: b.ID, Size: b.Size, About: m.ID, Received: p.Now(),
		Submission: message.Submission{Org: m.Submission.Org, Edge: message.EdgeNotice, Recipients: []addr.Address{m.Sender}}}
	it, err := p.item(own, m.Sender, mb.Destination.Inbox, inbox.FromSystem(postmaster), b)
	if err != nil {
		return err
	}
	step.Blobs, step.Messages, step.Items = append(step.Blobs, b), append(step.Messages, own), append(step.Items, it)
	return nil
}

// callText says who has not confirmed, what is known of each, and what to do.
func (p *Pipeline) callText(m store.Message, quiet []track.Ladder) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Nobody has confirmed your message “%s” of %s yet.\n", oneLine(m.Facts.Subject, maxAbout), m.Received.UTC().Format("2 January 2006 15:04 MST"))
	for _, l := range quiet {
		fmt.Fprintf(&b, "\n%s\n  %s\n", l.Recipient, l.Words)
	}
	b.WriteString("\nTelephone them if they need it now. It may be there already, and the confirmation may still come:\n" +
		"then this closes by itself. Ask before you send it again, or they may get it twice.\n")
	return b.String()
}

// maxAbout bounds what is repeated of a subject, in octets.
const maxAbout = 200

// oneLine is text of anybody's as one line of at most n octets.
func oneLine(s string, n int) string {
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "?"), func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
	if s == "" {
		return "no subject"
	}
	if len(s) > n {
		s = strings.ToValidUTF8(s[:n], "") + "…"
	}
	return s
}
