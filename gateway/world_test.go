package gateway_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/gateway/clinic/compose"
	"postern/gateway/clinic/document/sample"
	"postern/gateway/clinic/inbox"
	"postern/gateway/delivery/track"
	"postern/gateway/lab"
	"postern/gateway/message"
	"postern/smime/addr"
)

// world is a hospital and a clinic that trust each other, with dr@hospital.example and the inbox
// intake@clinic.example.
type world struct {
	testing.TB
	*lab.Lab
	ctx              context.Context
	hospital, clinic *lab.Site
	dr, intake       addr.Address
	seen             []string // held messages already looked at
}

func domains() []string { return []string{"hospital.example", "clinic.example"} }

// template is the two sites as init makes them, once for all stories: making RSA keys is most of the work.
var template = func() func(testing.TB) *lab.Lab {
	var once sync.Once
	var l *lab.Lab
	return func(t testing.TB) *lab.Lab {
		once.Do(func() {
			dir, err := os.MkdirTemp("", "postern-lab")
			if err == nil {
				templateDir = dir
				l, err = lab.New(context.Background(), lab.Options{Dir: dir, Domains: domains()})
			}
			if err == nil {
				err = l.Close()
			}
			if err != nil {
				t.Fatal(err)
			}
		})
		return l
	}
}()

var templateDir string

func TestMain(m *testing.M) {
	code := m.Run()
	if templateDir != "" {
		os.RemoveAll(templateDir)
	}
	os.Exit(code)
}

// patience bounds one story; every wait in it ends with the story's context.
const patience = 5 * time.Minute

func newWorld(t testing.TB, extra string) *world {
	t.Helper()
	return newWorldOf(t, lab.Options{Extra: extra})
}

// newWorldOf leaves its options' Dir, Domains, Log and Like to itself.
func newWorldOf(t testing.TB, o lab.Options) *world {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(context.Background(), patience, fmt.Errorf("not within %s", patience))
	t.Cleanup(cancel)
	log := slog.New(slog.DiscardHandler)
	if os.Getenv("POSTERN_TEST_LOG") != "" {
		log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	o.Dir, o.Domains, o.Log, o.Like = t.TempDir(), domains(), log, template(t)
	l, err := lab.New(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	w := &world{TB: t, Lab: l, ctx: ctx, hospital: l.Sites[0], clinic: l.Sites[1]}
	w.dr, w.intake = w.hospital.Address("dr"), w.clinic.Address("intake")
	w.ok(l.Start(ctx))
	w.ok(l.Introduce(ctx))
	w.ok(w.hospital.Add(ctx, "dr"))
	w.ok(w.clinic.Add(ctx, "intake"))
	return w
}

func (w *world) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// note writes a plain message.
func (w *world) note(from addr.Address, to ...addr.Address) string {
	w.Helper()
	return w.compose(compose.Message{From: from, To: to, Subject: "About a patient", Text: "Please call back.\n"})
}

func (w *world) compose(m compose.Message) string {
	w.Helper()
	m.Now = w.Clock.Now()
	var b bytes.Buffer
	if _, err := m.Write(&b); err != nil {
		w.Fatal(err)
	}
	return b.String()
}

// referral writes a referral with a C-CDA that asks for notice of final delivery.
func (w *world) referral(from addr.Address, to ...addr.Address) string {
	w.Helper()
	return w.compose(compose.Message{From: from, To: to, Subject: "Referral", Text: "See attached.\n", FinalDelivery: true,
		Attachments: []compose.Attachment{{Name: "referral.xml", Content: bytes.NewReader(sample.Referral)}}})
}

func (w *world) send(s *lab.Site, text string, from addr.Address, to ...addr.Address) message.ID {
	w.Helper()
	id, err := s.Send(w.ctx, text, from, to...)
	w.ok(err)
	return id
}

func (w *world) reach(s *lab.Site, id message.ID, to addr.Address, state track.State) track.Ladder {
	w.Helper()
	l, err := s.Reach(w.ctx, id, to, state)
	w.ok(err)
	return l
}

// items waits for n items in an inbox and fails when there are more.
func (w *world) items(s *lab.Site, name string, n int) []inbox.Item {
	w.Helper()
	items, err := s.Items(w.ctx, name, n)
	w.ok(err)
	if len(items) != n {
		w.Fatalf("inbox %s of %s has %d items, want %d", name, s.Name, len(items), n)
	}
	return items
}

func (w *world) saved(s *lab.Site, it inbox.Item) []byte {
	w.Helper()
	b, err := s.Saved(w.ctx, it.Inbox, it.Number)
	w.ok(err)
	return b
}

func (w *world) quiet() {
	w.Helper()
	w.ok(w.Quiet(w.ctx))
}

// held is what a site holds, after everything came to rest.
func (w *world) heldReasons(s *lab.Site) []string {
	w.Helper()
	w.quiet()
	list, err := s.Store.HeldList(w.ctx, 100)
	w.ok(err)
	var out []string
	for _, h := range list {
		out = append(out, h.Reason)
	}
	return out
}

// kinds is what happened on a ladder, in order.
func kinds(l track.Ladder) []track.Kind {
	var out []track.Kind
	for _, r := range l.Rungs {
		out = append(out, r.Kind)
	}
	return out
}

func has(l track.Ladder, k track.Kind) bool {
	for _, r := range l.Rungs {
		if r.Kind == k {
			return true
		}
	}
	return false
}

// crlf makes a literal a canonical message.
func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }
