package gateway

import (
	"context"

	"postern/gateway/clinic/custody"
	"postern/gateway/clinic/scan"
	"postern/gateway/delivery/track"
	"postern/gateway/edge/web"
	pagesfind "postern/gateway/edge/web/find"
	"postern/gateway/edge/web/write"
	"postern/gateway/message"
	"postern/gateway/store"
)

// clinicPages are the pages on which people find and write.
func (s *Site) clinicPages() []web.Route {
	return append(pagesfind.Routes(pagesfind.Services{Store: s.Store, Reader: s.reader(), Clock: s.now, Fates: s.fates, House: s.house}),
		write.Routes(write.Services{Store: s.Store, Desk: letters{s: s, scanner: s.outScanner()}, Ladders: s.ladders, Clock: s.now, Scanner: s.scanned()})...)
}

// scanner is the one the configuration names, nil for none.
func (s *Site) scanner() scan.Scanner {
	switch c := s.Config.Scan; {
	case len(c.Command) > 0:
		return scan.Command{Argv: c.Command}
	case c.Socket != "":
		return scan.Socket{Address: c.Socket}
	}
	return nil
}

// outScanner is the one for files that go out, nil for none.
func (s *Site) outScanner() scan.Scanner {
	if !s.Config.Scan.Outgoing() {
		return nil
	}
	return s.scanner()
}

// scanned is which files are shown to a scanner, in words.
func (s *Site) scanned() string {
	switch c := s.Config.Scan; {
	case c.Outgoing() && c.Incoming():
		return "files that go out and files that come in"
	case c.Outgoing():
		return "files that go out; those that come in are not scanned"
	case c.Incoming():
		return "files that come in; those that go out are not scanned"
	}
	return ""
}

// house is what an organisation and this gateway say about files that come in.
func (s *Site) house(ctx context.Context, org string) (custody.House, error) {
	policy, err := s.Store.FilePolicy(ctx, org)
	return custody.House{Policy: policy, Scanning: s.Config.Scan.Incoming()}, err
}

// ladders are how far a message of an organisation's own came with each recipient.
func (s *Site) ladders(ctx context.Context, org string, id message.ID) ([]write.Ladder, error) {
	m, err := s.Store.Message(ctx, id)
	if err != nil {
		return nil, err
	}
	if m.Submission.Org != org {
		return nil, store.ErrNotFound
	}
	events, err := s.Store.Events(ctx, id)
	if err != nil {
		return nil, err
	}
	folded := track.Fold(events)
	var out []write.Ladder
	for _, r := range m.Submission.Recipients {
		l, ok := folded[track.Key{Message: id, Recipient: r.Key()}]
		if !ok {
			out = append(out, write.Ladder{Recipient: r, State: "under way", Words: "Accepted; nothing is known yet."})
			continue
		}
		x := write.Ladder{Recipient: r, State: fate(l), Words: l.Words}
		for _, e := range l.Rungs {
			x.Rungs = append(x.Rungs, write.Rung{At: e.Time, Words: e.Kind.Words(), Bad: e.Kind.Bad()})
		}
		out = append(out, x)
	}
	return out, nil
}

// fate is a ladder's state in the words of the pages: what is not known is never shown as success.
func fate(l track.Ladder) string {
	switch {
	case l.State == track.StateFailed:
		return "failed"
	case l.State == track.StateDelivered:
		return "delivered"
	case l.Unknown, l.State == track.StateDone: // whether it reached the mailbox was not asked for
		return "unknown"
	}
	return "under way"
}
