// Package demo shows the main job: a hospital's and a clinic's gateway, complete and as two processes on
// loopback, each with its own DNS, anchors, certificates and database. A referral with a C-CDA goes out,
// is found, trusted, opened and filed, and its notices come back.
//
// With Options.Web the clinic is at work: package week fills both gateways with a week of messages and of what people
// did with them, and the clinic's pages are served at that address.
//
// Everything that is printed was read from the two running gateways; a rung that is not there fails the
// demo. Nothing leaves the machine: both sites listen on 127.0.0.1 and know only each other.
package demo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"postern/gateway"
	"postern/gateway/clinic/compose"
	"postern/gateway/clinic/document/sample"
	"postern/gateway/clinic/inbox"
	"postern/gateway/config"
	"postern/gateway/delivery/track"
	"postern/gateway/demo/week"
	"postern/gateway/edge/control"
	"postern/gateway/lab/port"
	"postern/gateway/message"
	"postern/gateway/store"
	"postern/smime/addr"
)

// Patience is how long the demo waits for one rung, and for a gateway to start.
const Patience = 2 * time.Minute

// Options say how the demo runs.
type Options struct {
	Dir     string // where the sites are made; "" is a temporary folder that goes afterwards
	Attach  string // a file to send; "" is the demo's own referral note
	Program string // the postern executable that serves each site
	Out     io.Writer
	Now     func() time.Time
	Web     string      // host:port of the clinic's pages; "" is no pages, and no week
	Clock   *week.Clock // both gateways run in this process, by this clock, in place of Program; for tests
}

// Demo is the two running sites.
type Demo struct {
	Options
	Hospital, Clinic *Site
	Week             week.Played // with Options.Web
	URL              string      // of the clinic's pages
	temporary        bool
	steps            int
}

// Site is one gateway of the demo, running as a process of its own.
type Site struct {
	Name    string
	Dir     string
	Domain  addr.Domain
	Ports   [4]int // smtp, submission, submission with TLS, dns
	Config  string
	more    []addr.Domain // hosted besides
	process *exec.Cmd
	inside  *week.Running // in place of a process
	ended   chan error
	client  *control.Client
}

// Start makes both sites and starts their gateways.
func Start(ctx context.Context, o Options) (d *Demo, err error) {
	d = &Demo{Options: o}
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Dir == "" {
		d.temporary = true
		if d.Dir, err = os.MkdirTemp("", "postern-demo-"); err != nil {
			return nil, fmt.Errorf("demo: %w", err)
		}
	} else if d.Dir, err = filepath.Abs(d.Dir); err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Stop())
		}
	}()
	d.Hospital = &Site{Name: "hospital", Domain: addr.MustDomain("direct.hospital.example")}
	d.Clinic = &Site{Name: "clinic", Domain: addr.MustDomain("direct.clinic.example")}
	if d.Web != "" {
		d.Hospital.Domain, d.Hospital.more, d.Clinic.Domain = week.Hospital, []addr.Domain{week.Practice, week.Imaging}, week.Clinic
	}
	for _, s := range []*Site{d.Hospital, d.Clinic} {
		if err := d.make(ctx, s); err != nil {
			return d, err
		}
	}
	for _, pair := range [][2]*Site{{d.Hospital, d.Clinic}, {d.Clinic, d.Hospital}} {
		if err := pair[0].knows(pair[1]); err != nil {
			return d, err
		}
		if d.Web != "" {
			continue // the week makes them trust each other
		}
		if err := introduce(ctx, pair[0], pair[1]); err != nil {
			return d, err
		}
	}
	if d.Web != "" {
		if err := d.playWeek(ctx); err != nil {
			return d, err
		}
	}
	for _, s := range []*Site{d.Hospital, d.Clinic} {
		if d.Clock != nil {
			if s.inside, err = week.Run(ctx, s.Config, d.Clock, nil); err != nil {
				return d, err
			}
		} else if err := s.start(ctx, d.Program); err != nil {
			return d, err
		}
	}
	return d, nil
}

func (d *Demo) make(ctx context.Context, s *Site) error {
	var err error
	if s.Ports, err = freePorts(); err != nil {
		return err
	}
	s.Dir = filepath.Join(d.Dir, s.Name)
	at := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", s.Ports[i]) }
	now := d.Now()
	if d.Web != "" {
		now = week.Begins(now)
	}
	made, err := gateway.Init(ctx, gateway.InitOptions{Dir: s.Dir, Domain: s.Domain, Now: now,
		SMTP: at(0), Submission: at(1), SubmissionTLS: at(2), DNS: at(3)})
	s.Config = made.Config
	return err
}

// freePorts finds four ports that nothing listens on now.
func freePorts() (ports [4]int, err error) {
	for i := range ports {
		if ports[i], err = port.Free(); err != nil {
			return ports, fmt.Errorf("demo: %w", err)
		}
	}
	return ports, nil
}

// knows tells one site where the other is.
func (s *Site) knows(peer *Site) error {
	var b strings.Builder
	fmt.Fprintf(&b, "\n[resolver]\nservers = [\"127.0.0.1:%d\"]     # our own DNS server: this site needs no other\n", s.Ports[3])
	for _, domain := range append([]addr.Domain{peer.Domain}, peer.more...) {
		fmt.Fprintf(&b, `
[peer.%q]  # MX records have no port, so two gateways on one machine need this
dns  = "127.0.0.1:%d"
smtp = "127.0.0.1:%d"
`, domain.String(), peer.Ports[3], peer.Ports[0])
	}
	return s.configure(b.String())
}

// configure adds lines to a site's configuration.
func (s *Site) configure(lines string) error {
	f, err := os.OpenFile(s.Config, os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	_, err = f.WriteString(lines)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	return nil
}

// introduce makes one site trust the other's anchor, as two administrators would do.
func introduce(ctx context.Context, s, peer *Site) error {
	c, err := config.Load(s.Config)
	if err != nil {
		return err
	}
	site, err := gateway.Open(ctx, c, gateway.Options{})
	if err != nil {
		return err
	}
	defer site.Close()
	admin := site.As("demo")
	anchor, err := readAnchor(filepath.Join(peer.Dir, "anchor.pem"))
	if err != nil {
		return err
	}
	if _, err := admin.AnchorAdd(ctx, gateway.AnchorAdd{Domain: s.Domain, Certificates: [][]byte{anchor}, Incoming: true, Outgoing: true}); err != nil {
		return err
	}
	return admin.AddressAdd(ctx, []gateway.AddressAdd{{Address: s.Address()}})
}

// Address is the address of the site that takes part in the demo.
func (s *Site) Address() addr.Address {
	if s.Name == "hospital" {
		return addr.MustParse("ward3@" + s.Domain.String())
	}
	return addr.MustParse("referrals@" + s.Domain.String())
}

// start runs the site's gateway as a process and waits until it answers.
func (s *Site) start(ctx context.Context, program string) error {
	logFile, err := os.Create(filepath.Join(s.Dir, "gateway.log"))
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer logFile.Close()
	s.process = exec.Command(program, "serve", "-c", s.Config)
	s.process.Stderr = logFile
	s.process.SysProcAttr = endsWithParent()
	if err := s.process.Start(); err != nil {
		return fmt.Errorf("demo: start the %s: %w", s.Name, err)
	}
	s.ended = make(chan error, 1)
	go func() { s.ended <- s.process.Wait() }()
	limit := time.After(Patience)
	for {
		var ok bool
		if s.client, ok = control.Dial(filepath.Join(s.Dir, "data", "control.sock")); ok {
			return nil
		}
		select {
		case err := <-s.ended:
			s.process = nil
			text, _ := os.ReadFile(logFile.Name())
			return fmt.Errorf("demo: the %s's gateway ended: %v: %s", s.Name, err, strings.TrimSpace(string(text)))
		case <-limit:
			return fmt.Errorf("demo: the %s's gateway did not start within %s; see %s", s.Name, Patience, logFile.Name())
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Stop ends both gateways and removes a temporary folder.
func (d *Demo) Stop() error {
	var errs []error
	for _, s := range []*Site{d.Hospital, d.Clinic} {
		if s != nil && s.inside != nil {
			errs = append(errs, s.inside.Stop())
			s.inside = nil
		}
		if s == nil || s.process == nil {
			continue
		}
		if err := s.process.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
			errs = append(errs, fmt.Errorf("demo: stop the %s: %w", s.Name, err))
		}
		select {
		case err := <-s.ended:
			if err != nil {
				errs = append(errs, fmt.Errorf("demo: the %s's gateway: %w", s.Name, err))
			}
		case <-time.After(gateway.Grace + 30*time.Second):
			errs = append(errs, fmt.Errorf("demo: the %s's gateway did not stop", s.Name), s.process.Process.Kill())
		}
		s.process = nil
	}
	if d.temporary {
		errs = append(errs, os.RemoveAll(d.Dir))
	}
	return errors.Join(errs...)
}

func (d *Demo) rung(name, format string, args ...any) {
	d.steps++
	fmt.Fprintf(d.Out, "%d. %-21s %s\n", d.steps, name, fmt.Sprintf(format, args...))
}

// sent is the referral under way.
type sent struct {
	id         message.ID
	attachment [32]byte
}

// Send submits the referral at the hospital.
func (d *Demo) Send(ctx context.Context) (sent, error) {
	name, content := "referral-note.xml", sample.Referral
	if d.Attach != "" {
		b, err := os.ReadFile(d.Attach)
		if err != nil {
			return sent{}, err
		}
		name, content = filepath.Base(d.Attach), b
	}
	s := sent{attachment: sha256.Sum256(content)}
	from, to := d.Hospital.Address(), d.Clinic.Address()
	var text strings.Builder
	_, err := compose.Message{From: from, To: []addr.Address{to}, Subject: "Referral", Text: "Please see the attached referral note.",
		Attachments: []compose.Attachment{{Name: name, Content: strings.NewReader(string(content))}}, FinalDelivery: true, Now: d.Now()}.Write(&text)
	if err != nil {
		return s, err
	}
	return s, d.Hospital.client.Call(ctx, "send", gateway.Send{From: from, Recipients: []addr.Address{to}, Purpose: "referral"},
		strings.NewReader(text.String()), &s.id, nil)
}

// await follows a message at a site until done says so, and returns its trace.
func (s *Site) await(ctx context.Context, id message.ID, what string, done func(gateway.Trace) bool) (gateway.Trace, error) {
	limit := time.Now().Add(Patience)
	for {
		var t gateway.Trace
		if err := s.client.Call(ctx, "trace", id, nil, &t, nil); err != nil {
			return t, err
		}
		if done(t) {
			return t, nil
		}
		if time.Now().After(limit) {
			return t, fmt.Errorf("demo: %s did not happen within %s; `postern trace %s -c %s` shows where it stands", what, Patience, id, s.Config)
		}
		select {
		case <-ctx.Done():
			return t, ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// has finds the first event of a kind.
func has(t gateway.Trace, kind track.Kind) (track.Event, bool) {
	for _, e := range t.Events {
		if e.Kind == kind {
			return e, true
		}
	}
	return track.Event{}, false
}

// received finds the message at the clinic by the Message-ID it had at the hospital.
func (d *Demo) received(ctx context.Context, rfcID string) (message.ID, error) {
	var lines []gateway.MessageLine
	err := d.Clinic.client.Call(ctx, "messages", store.Query{RFCID: rfcID, Direction: store.In}, nil, &lines, nil)
	if err != nil || len(lines) != 1 {
		return "", fmt.Errorf("demo: the clinic has %d messages with that id (%v)", len(lines), err)
	}
	return lines[0].ID, nil
}

// filed reads the item a message became.
func (d *Demo) filed(ctx context.Context, t gateway.Trace) (inbox.Item, error) {
	var it inbox.Item
	if len(t.Items) != 1 {
		return it, fmt.Errorf("demo: the message is in %d inboxes, not in one", len(t.Items))
	}
	return it, d.Clinic.client.Call(ctx, "inbox.show", gateway.ItemArg{Inbox: t.Items[0].Inbox, Number: t.Items[0].Number}, nil, &it, nil)
}

// sameBytes checks that a part of the filed message is the file that was sent.
func sameBytes(it inbox.Item, sum [32]byte) bool {
	for _, p := range it.Parts {
		if p.SHA256 == hex.EncodeToString(sum[:]) {
			return true
		}
	}
	return false
}
