package gateway

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"postern/gateway/clinic/document"
	"postern/gateway/clinic/inbox"
	"postern/gateway/clinic/reading"
	"postern/gateway/clinic/search"
	"postern/gateway/clinic/work"
	"postern/gateway/store"
)

// Limits of reading words for the search.
const (
	indexBatch = 20               // messages whose words are written together
	indexPause = 30 * time.Second // between looks, and after trouble
)

// index reads the words of what was filed.
func (g *Gateway) index(ctx context.Context) {
	g.behind(ctx, indexPause, "words for the search could not be read; tried again", g.site.Index)
}

// behind does what waits, part by part, until ctx ends: behind delivery, never before it, and from where it was left when
// the gateway ended. do says how many it did; where there are none it is asked again when something was filed, and after
// pause; after a fault, of which trouble tells, only after pause.
func (g *Gateway) behind(ctx context.Context, pause time.Duration, trouble string, do func(context.Context) (int, error)) {
	for ctx.Err() == nil {
		changed := g.site.Store.DeskChanged()
		n, err := do(ctx)
		if err == nil && n > 0 {
			continue
		}
		if err != nil {
			changed = nil
			if ctx.Err() == nil {
				g.log.Warn(trouble, "error", err)
			}
		}
		wait := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-changed:
		case <-wait.C:
		}
		wait.Stop()
	}
}

// Index reads the words of the next messages and says of how many. A message that cannot be read is found by its
// envelope, subject and documents' names: it is never tried for ever.
func (s *Site) Index(ctx context.Context) (n int, err error) {
	entries, err := s.Store.Unindexed(ctx, indexBatch)
	if err != nil || len(entries) == 0 {
		return 0, err
	}
	var all []store.Searchable
	for _, e := range entries {
		x, err := s.words(ctx, e)
		if err != nil {
			return 0, err
		}
		all = append(all, x)
	}
	return len(all), s.Store.Index(ctx, all)
}

// words are what a message is found by.
func (s *Site) words(ctx context.Context, e work.Entry) (store.Searchable, error) {
	x := store.Searchable{Work: e.ID, Org: e.Org, Received: e.Received, Sender: e.Sender.String(), Recipient: e.Recipient.String()}
	it, err := s.Store.Item(ctx, e.Inbox, e.Number)
	if errors.Is(err, store.ErrNotFound) {
		return x, nil // it went meanwhile
	}
	if err != nil {
		return x, err
	}
	x.Subject = it.Subject
	var kinds, patients []string
	for _, d := range it.Documents {
		kinds = append(kinds, d.Type, d.Title)
		patients = append(patients, d.PatientName())
	}
	x.Kind, x.Patient = strings.Join(kinds, " "), strings.Join(patients, " ")
	if e.Kind == work.Message {
		x.From = e.Sender
	}
	text, called, err := s.itemWords(ctx, it)
	if err != nil && ctx.Err() != nil {
		return x, err
	}
	if err != nil {
		s.Log.Warn("a message's own words could not be read for the search", "message", e.Message, "error", err)
	}
	x.Text, x.Called = text, called
	return x, nil
}

// itemWords are the words of a message's parts as their readers see them, and what its sender calls himself.
func (s *Site) itemWords(ctx context.Context, it inbox.Item) (words, called string, err error) {
	m, err := s.reader().Open(ctx, it)
	if err != nil {
		return "", "", err
	}
	defer m.Close()
	called = m.Called()
	var b strings.Builder
	for _, p := range it.Parts {
		room := search.MaxWords - b.Len()
		if room <= 0 || ctx.Err() != nil {
			break
		}
		c, err := m.Part(p.Path)
		if err != nil {
			return b.String(), called, err
		}
		text, err := search.Words(c, c.Size(), document.Hint{Filename: p.Filename, MediaType: p.MediaType, Stop: ctx.Err})
		if err := errors.Join(err, c.Close()); err != nil {
			return b.String(), called, fmt.Errorf("gateway: part %s: %w", p.Path, err)
		}
		b.WriteString(text[:min(len(text), room)] + "\n" + p.Filename + "\n")
	}
	return b.String(), called, nil
}

// reader opens what inbox items hold.
func (s *Site) reader() *reading.Reader { return &reading.Reader{Blobs: s.Store, Spool: s.Spool} }
