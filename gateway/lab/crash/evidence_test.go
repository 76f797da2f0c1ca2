package crash_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"path/filepath"
	"strings"

	"postern/gateway"
	"postern/gateway/audit"
	"postern/gateway/clinic/inbox"
	"postern/gateway/delivery/track"
	"postern/gateway/store"
	"postern/smime/addr"
)

// outRow is a message of ours as its sender's gateway knows it.
type outRow struct {
	id      string
	state   track.State
	notices int // failure notices to the sender
}

// inRow is where a message from a peer went.
type inRow struct {
	inbox string // "" is held
	sum   func(last int64) ([32]byte, error)
	state track.State
}

// evidence is what one site has, by Message-ID.
type evidence struct {
	site   *site
	out    map[string][]outRow
	in     map[string][]inRow // filed and held
	faults []string           // of the site as such
}

const all = 1 << 30

// gather reads everything a stopped site has.
func gather(ctx context.Context, s *site, g *gateway.Site) (*evidence, error) {
	e := &evidence{site: s, out: map[string][]outRow{}, in: map[string][]inRow{}}
	for _, f := range []func(context.Context, *gateway.Site) error{e.sent, e.filed, e.held, e.audit, e.files} {
		if err := f(ctx, g); err != nil {
			return nil, err
		}
	}
	return e, nil
}

func ladder(ctx context.Context, g *gateway.Site, m store.Message, rcpt addr.Address) (track.Ladder, error) {
	events, err := g.Store.Events(ctx, m.ID)
	return track.Fold(events)[track.Key{Message: m.ID, Recipient: rcpt.Key()}], err
}

func (e *evidence) sent(ctx context.Context, g *gateway.Site) error {
	own, err := g.Store.Messages(ctx, store.Query{Direction: store.Own, Limit: all})
	if err != nil {
		return err
	}
	told := map[string]int{}
	for _, m := range own {
		items, err := g.Store.ItemsOf(ctx, string(m.ID))
		if err != nil {
			return err
		}
		told[string(m.About)] += len(items)
	}
	ms, err := g.Store.Messages(ctx, store.Query{Direction: store.Out, Limit: all})
	if err != nil {
		return err
	}
	for _, m := range ms {
		if m.Kind != "mail" {
			continue
		}
		l, err := ladder(ctx, g, m, m.Submission.Recipients[0])
		if err != nil {
			return err
		}
		e.out[m.RFCID] = append(e.out[m.RFCID], outRow{string(m.ID), l.State, told[string(m.ID)]})
	}
	return nil
}

func (e *evidence) filed(ctx context.Context, g *gateway.Site) error {
	boxes, err := g.Store.Inboxes(ctx)
	if err != nil {
		return err
	}
	for box := range boxes {
		items, err := g.Store.Items(ctx, box, 0, all)
		if err != nil {
			return err
		}
		for _, it := range items {
			m, err := g.Store.Message(ctx, it.Message)
			if err != nil {
				return err
			}
			if m.Direction == store.Own {
				continue
			}
			l, err := ladder(ctx, g, m, it.Recipient)
			if err != nil {
				return err
			}
			e.in[it.RFCID] = append(e.in[it.RFCID], inRow{box, func(last int64) ([32]byte, error) { return tail(ctx, g, it, last) }, l.State})
		}
	}
	return nil
}

// tail is the digest of the last octets of a filed message: those that were submitted, behind the lines
// our own gateway put in front.
func tail(ctx context.Context, g *gateway.Site, it inbox.Item, last int64) (sum [32]byte, err error) {
	row, err := g.Store.Blob(ctx, it.Blob)
	if err != nil {
		return sum, err
	}
	r, err := g.Spool.Open(row)
	if err != nil {
		return sum, err
	}
	defer r.Close()
	h := sha256.New()
	_, err = io.Copy(h, io.NewSectionReader(r, max(0, r.Size()-last), last))
	copy(sum[:], h.Sum(nil))
	return sum, err
}

func (e *evidence) held(ctx context.Context, g *gateway.Site) error {
	hs, err := g.Store.HeldList(ctx, all)
	if err != nil {
		return err
	}
	for _, h := range hs {
		m, err := g.Store.Message(ctx, h.Message)
		if err != nil {
			return err
		}
		l, err := ladder(ctx, g, m, h.Recipients[0])
		if err != nil {
			return err
		}
		e.in[m.Facts.MessageID] = append(e.in[m.Facts.MessageID], inRow{state: l.State})
	}
	return nil
}

func (e *evidence) audit(ctx context.Context, g *gateway.Site) error {
	var n int
	entries := iter.Seq2[audit.Entry, error](func(yield func(audit.Entry, error) bool) {
		err := g.Store.Audit(ctx, func(en audit.Entry) error {
			n++
			if !yield(en, nil) {
				return fs.SkipAll
			}
			return nil
		})
		if err != nil {
			yield(audit.Entry{}, err)
		}
	})
	if _, err := audit.Verify(entries); err != nil {
		e.faults = append(e.faults, err.Error())
	}
	if n == 0 {
		e.faults = append(e.faults, "the audit is empty")
	}
	return nil
}

// files looks for what no row names, after the site was opened and so recovered.
func (e *evidence) files(ctx context.Context, g *gateway.Site) error {
	named := map[string]bool{}
	rows := 0
	for r, err := range g.Store.BlobRows(ctx) {
		if err != nil {
			return err
		}
		rows++
		named[r.Place] = true
	}
	dir := g.Config.Spool()
	return filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(dir, p)
		switch {
		case strings.HasPrefix(rel, "tmp"):
			e.faults = append(e.faults, "temporary file left: "+rel)
		case strings.HasPrefix(rel, "blob") && !namedBy(named, filepath.Base(rel)):
			e.faults = append(e.faults, fmt.Sprintf("no row names %s (%d rows)", rel, rows))
		}
		return nil
	})
}

func namedBy(named map[string]bool, file string) bool {
	for place := range named {
		if strings.Contains(place, file) {
			return true
		}
	}
	return false
}

// verdicts says of every letter what is wrong with it, and of both sites what nobody sent.
func verdicts(letters []*letter, sides map[*site]*evidence) (faults []string) {
	bad := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	sent := map[string]bool{}
	for _, l := range letters {
		sent[l.rfcID] = true
		rows, arrived := sides[l.by].out[l.rfcID], sides[l.to].in[l.rfcID]
		switch {
		case len(rows) > 1:
			bad("%s was accepted %d times", l.rfcID, len(rows))
			continue
		case len(rows) == 0 && l.answered:
			bad("%s was answered 250 as %s and is lost", l.rfcID, l.told)
			continue
		case len(rows) == 0:
			if len(arrived) > 0 {
				bad("%s was never accepted and arrived", l.rfcID)
			}
			continue
		case l.answered && rows[0].id != l.told:
			bad("%s was answered as %s and is %s", l.rfcID, l.told, rows[0].id)
		}
		for _, f := range l.judge(rows[0], arrived) {
			bad("%s (%s, %d octets, %s, answered %v): %s", l.rfcID, rows[0].id, l.size, l.destiny, l.answered, f)
		}
	}
	for _, e := range sides {
		for id := range e.in {
			if !sent[id] {
				bad("%s: the %s has a message that nobody sent", id, e.site.name)
			}
		}
		for id := range e.out {
			if !sent[id] {
				bad("%s: the %s sent a message that nobody submitted", id, e.site.name)
			}
		}
		for _, f := range e.faults {
			bad("the %s: %s", e.site.name, f)
		}
	}
	return faults
}

// judge compares what became of one accepted letter with what must.
func (l *letter) judge(row outRow, arrived []inRow) (faults []string) {
	bad := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	want := map[destiny]struct {
		arrived, notices int
		here, there      track.State
	}{
		filed:  {1, 0, track.StateDelivered, track.StateDelivered},
		held:   {1, 0, track.StateSent, track.StateHeld},
		failed: {0, 1, track.StateFailed, ""},
	}[l.destiny]
	if len(arrived) != want.arrived {
		bad("arrived %d times, want %d", len(arrived), want.arrived)
	}
	if row.notices != want.notices {
		bad("%d failure notices to its sender, want %d", row.notices, want.notices)
	}
	if row.state != want.here {
		bad("its ladder says %q, want %q", row.state, want.here)
	}
	for _, a := range arrived {
		if a.state != want.there {
			bad("its ladder on the other side says %q, want %q", a.state, want.there)
		}
		if (a.inbox == "") != (l.destiny == held) || l.destiny == filed && a.inbox != l.rcpt.Local() {
			bad("it is in %q", a.inbox)
		}
		if a.sum == nil {
			continue
		}
		if sum, err := a.sum(l.size); err != nil || sum != l.sum {
			bad("other octets arrived than were sent (%v)", err)
		}
	}
	return faults
}
