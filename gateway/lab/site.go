package lab

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/miekg/dns"

	"postern/gateway"
	"postern/gateway/clinic/inbox"
	"postern/gateway/config"
	"postern/gateway/delivery/track"
	"postern/gateway/message"
	"postern/gateway/spool/disk"
	"postern/gateway/store/vfs"
	"postern/smime/addr"
)

// Site is one gateway of a lab. Its embedded gateway.Site is nil while it is stopped.
type Site struct {
	*gateway.Site
	Name                                 string
	Domain                               addr.Domain
	Dir                                  string
	File                                 string                     // its configuration
	Anchor                               []byte                     // its pilot authority's certificate, PEM
	SMTP, Submission, SubmissionTLS, DNS string                     // where it listens, running or not
	Disk                                 disk.FS                    // instead of the spool's folder; set before Start
	Fault                                func(committed bool) error // makes database transactions fail; set before Start
	Files                                vfs.Hook                   // sees what is done to the database's files; set before Start

	lab  *Lab
	log  *slog.Logger
	text []byte // the configuration as init wrote it
	stop context.CancelFunc
	done chan error
}

// Start opens the site and runs it until Stop. When it returns, the site's name server answers: what it publishes was
// built, unless its database failed.
func (s *Site) Start(ctx context.Context) error {
	if err := s.Open(ctx); err != nil {
		return err
	}
	g, err := gateway.New(ctx, s.Site)
	if err != nil {
		return errors.Join(err, s.Stop())
	}
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop, s.done = stop, make(chan error, 1)
	go func() { s.done <- g.Run(run) }()
	return s.answers(ctx)
}

// answers waits until the site's name server answers anything, or the site has ended.
func (s *Site) answers(ctx context.Context) error {
	q := new(dns.Msg).SetQuestion(dns.Fqdn(s.Name), dns.TypeSOA)
	for ctx.Err() == nil {
		one, over := context.WithTimeout(ctx, time.Second) // a question may come before there is a server for it
		_, _, err := (&dns.Client{}).ExchangeContext(one, q, s.DNS)
		over()
		if err == nil {
			return nil
		}
		select {
		case err := <-s.done:
			s.done <- err
			return errors.Join(fmt.Errorf("lab: %s ended", s.Name), err)
		default:
		}
	}
	return fmt.Errorf("lab: the name server of %s does not answer: %w", s.Name, context.Cause(ctx))
}

// Open opens the site without running it: what is submitted stays in its queue.
func (s *Site) Open(ctx context.Context) error {
	c, err := config.Load(s.File)
	if err != nil {
		return err
	}
	s.Site, err = gateway.Open(ctx, c, gateway.Options{Now: s.lab.Clock.Now, Log: s.log, Disk: s.Disk, Fault: s.Fault, Files: s.Files})
	return err
}

// Stop stops the site and closes it; it can be started again. A site that is not open stays so.
func (s *Site) Stop() error {
	var err error
	if s.stop != nil {
		s.stop()
		err = <-s.done
		s.stop = nil
	}
	if s.Site != nil {
		err = errors.Join(err, s.Site.Close())
		s.Site = nil
	}
	return err
}

// Admin changes the site.
func (s *Site) Admin() gateway.Admin { return s.As("lab") }

// Address is a name in the site's domain.
func (s *Site) Address(local string) addr.Address { return addr.MustParse(local + "@" + s.Name) }

// Add gives addresses of the site an inbox of their own name each.
func (s *Site) Add(ctx context.Context, locals ...string) error {
	in := make([]gateway.AddressAdd, len(locals))
	for i, l := range locals {
		in[i].Address = s.Address(l)
	}
	return s.Admin().AddressAdd(ctx, in)
}

// Trust makes the certificates of a PEM text anchors of the site, in both directions.
func (s *Site) Trust(ctx context.Context, text []byte) error {
	in := gateway.AnchorAdd{Domain: s.Domain, Incoming: true, Outgoing: true, Source: "lab"}
	for {
		var b *pem.Block
		if b, text = pem.Decode(text); b == nil {
			break
		}
		in.Certificates = append(in.Certificates, b.Bytes)
	}
	_, err := s.Admin().AnchorAdd(ctx, in)
	return err
}

// Send submits a complete message.
func (s *Site) Send(ctx context.Context, text string, from addr.Address, to ...addr.Address) (message.ID, error) {
	return s.Admin().Send(ctx, gateway.Send{From: from, Recipients: to}, strings.NewReader(text))
}

// Until waits until a condition holds, looking again after each commit of the site.
func (s *Site) Until(ctx context.Context, what string, holds func() (bool, error)) error {
	for {
		changed := s.Store.Changed()
		switch ok, err := holds(); {
		case err != nil:
			return fmt.Errorf("lab: %s: %w", what, err)
		case ok:
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("lab: %s: %s: %w", s.Name, what, context.Cause(ctx))
		}
	}
}

// Ladder is the ladder of one recipient of a message.
func (s *Site) Ladder(ctx context.Context, id message.ID, to addr.Address) (track.Ladder, error) {
	events, err := s.Store.Events(ctx, id)
	return track.Fold(events)[track.Key{Message: id, Recipient: to.Key()}], err
}

// Reach waits until a recipient's ladder is in a state, and returns it.
func (s *Site) Reach(ctx context.Context, id message.ID, to addr.Address, state track.State) (l track.Ladder, err error) {
	err = s.Until(ctx, fmt.Sprintf("%s for %s is to be %s", id, to, state), func() (bool, error) {
		l, err = s.Ladder(ctx, id, to)
		return l.State == state, err
	})
	if err != nil {
		kinds := make([]string, len(l.Rungs))
		for i, r := range l.Rungs {
			kinds[i] = string(r.Kind) + " " + string(r.Evidence)
		}
		err = fmt.Errorf("%w; it is %q after\n  %s", err, l.State, strings.Join(kinds, "\n  "))
	}
	return l, err
}

// Items waits until an inbox has n items and returns all it has, oldest first.
func (s *Site) Items(ctx context.Context, name string, n int) (items []inbox.Item, err error) {
	err = s.Until(ctx, fmt.Sprintf("inbox %s is to have %d items", name, n), func() (bool, error) {
		items, err = s.Inbox(ctx, name)
		return len(items) >= n, err
	})
	return items, err
}

// Inbox is what an inbox has now, oldest first.
func (s *Site) Inbox(ctx context.Context, name string) ([]inbox.Item, error) {
	list, err := s.Store.Items(ctx, name, 0, 1000)
	out := make([]inbox.Item, len(list))
	for i, it := range list {
		full, err := s.Store.Item(ctx, name, it.Number)
		if err != nil {
			return nil, err
		}
		out[len(list)-1-i] = full
	}
	return out, err
}

// Saved is the stored inner message of an item, octet for octet.
func (s *Site) Saved(ctx context.Context, name string, number int64) ([]byte, error) {
	r, _, err := s.Admin().Raw(ctx, name, number)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}
