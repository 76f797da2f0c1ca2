package store_test

import (
	"context"
	"crypto/x509"
	"errors"
	"reflect"
	"testing"
	"time"

	"postern/gateway/agent"
	"postern/gateway/delivery/queue"
	"postern/gateway/message"
	"postern/gateway/spool"
	"postern/gateway/store"
	"postern/smime"
	"postern/smime/addr"
	"postern/smime/cms"
)

func TestWhatIsKnownOfAPeer(t *testing.T) {
	s, ctx := newSite(t), context.Background()
	local, other := addr.MustDomain("clinic.example"), addr.MustDomain("practice.example")
	for _, d := range []addr.Domain{local, other} {
		if err := s.AddDomain(ctx, store.Domain{Name: d, Org: "o"}, store.AuditEntry{}); err != nil {
			t.Fatal(err)
		}
	}
	cert, err := x509.ParseCertificate(authority(t))
	if err != nil {
		t.Fatal(err)
	}
	start := s.now
	teach := func(name string, at time.Time, k smime.Known) {
		t.Helper()
		l := agent.Lesson{Local: local, Name: name, Cert: cert, Known: k, Time: at}
		if _, err := s.Commit(ctx, queue.Lease{}, store.Step{Lessons: []agent.Lesson{l}}); err != nil {
			t.Fatal(err)
		}
	}
	set := func(name, cipher string) {
		t.Helper()
		if err := s.SetPeer(ctx, "o", store.Peer{Local: local, Name: name, Setting: smime.Known{Cipher: cipher}}, store.AuditEntry{}); err != nil {
			t.Fatal(err)
		}
	}
	doc := addr.MustParse("Doc+x@Hospital.example")
	known := func(situation string, d addr.Domain, want smime.Known) {
		t.Helper()
		if got, err := s.Known(ctx, d, doc); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v, want %+v", situation, got, err, want)
		}
	}
	caps := []cms.Capability{cms.CapAES128CBC}
	known("never heard of", local, smime.Known{})
	teach("hospital.example", start, smime.Known{KeyTransport: "rsaes-pkcs1-v1_5", Capabilities: caps})
	known("of its domain", local, smime.Known{KeyTransport: "rsaes-pkcs1-v1_5", Capabilities: caps})
	known("by another domain of ours", other, smime.Known{})
	teach("hospital.example", start.Add(-time.Minute), smime.Known{KeyTransport: "rsaes-oaep-sha1"})
	known("an older message brings nothing back", local, smime.Known{KeyTransport: "rsaes-pkcs1-v1_5", Capabilities: caps})
	teach("hospital.example", start.Add(time.Minute), smime.Known{KeyTransport: "rsaes-oaep-sha1"})
	known("a newer one does, and what it does not say stays", local, smime.Known{KeyTransport: "rsaes-oaep-sha1", Capabilities: caps})
	teach("doc@hospital.example", start, smime.Known{KeyTransport: "rsaes-oaep-sha256"})
	known("of the address, over its domain", local, smime.Known{KeyTransport: "rsaes-oaep-sha256", Capabilities: caps})
	set("hospital.example", "aes-256-cbc")
	known("set for the domain", local, smime.Known{KeyTransport: "rsaes-oaep-sha256", Capabilities: caps, Cipher: "aes-256-cbc"})
	set("doc@hospital.example", "aes-256-gcm")
	known("set for the address", local, smime.Known{KeyTransport: "rsaes-oaep-sha256", Capabilities: caps, Cipher: "aes-256-gcm"})
	s.now = start.Add(store.KnownFor + 30*time.Second)
	known("the address not heard of for long", local, smime.Known{KeyTransport: "rsaes-oaep-sha1", Capabilities: caps, Cipher: "aes-256-gcm"})
	s.now = start.Add(store.KnownFor + time.Hour)
	known("nobody heard of for long", local, smime.Known{Cipher: "aes-256-gcm"})

	ps, err := s.Peers(ctx, local)
	if err != nil || len(ps) != 2 || ps[1].Name != "hospital.example" || ps[1].KeyType != "P-256" || !ps[1].Heard.Equal(start.Add(time.Minute)) {
		t.Errorf("listed %+v, %v", ps, err)
	}
	if err := s.ForgetPeer(ctx, local, "doc@hospital.example", store.AuditEntry{}); err != nil {
		t.Error(err)
	}
	known("the address forgotten", local, smime.Known{Cipher: "aes-256-cbc"})
	if err := s.ForgetPeer(ctx, local, "doc@hospital.example", store.AuditEntry{}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("forgotten twice: %v", err)
	}
	teach("laboratory.example", s.now, smime.Known{KeyTransport: "rsaes-oaep-sha1"})
	s.now = s.now.Add(store.KnownFor + time.Hour)
	teach("practice.example", s.now, smime.Known{KeyTransport: "rsaes-oaep-sha1"})
	if ps, err := s.Peers(ctx, local); err != nil || len(ps) != 2 || ps[0].Name != "hospital.example" || ps[1].Name != "practice.example" {
		t.Errorf("after a year of silence, where something was set and where not: %+v, %v", ps, err)
	}
	elsewhere := store.Peer{Local: addr.MustDomain("elsewhere.example"), Name: "hospital.example"}
	if err := s.SetPeer(ctx, "o", elsewhere, store.AuditEntry{}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("set for a domain that is not ours: %v", err)
	}
}

// Each sealed form of a message is kept as long as the message needs it, not only the one its row names.
func TestEverySealedFormIsKept(t *testing.T) {
	s, ctx := newSite(t), context.Background()
	blob := func(id string, sum byte) spool.Blob {
		return spool.Blob{ID: id, Org: "o", SHA256: [32]byte{sum}, Key: []byte{1}, Place: "p"}
	}
	m := store.Message{ID: "m-1", Direction: store.Out, Kind: message.Mail, Blob: "b0", Submission: message.Submission{Org: "o"}, Received: s.now}
	step := store.Step{Blobs: []spool.Blob{blob("b0", 0), blob("b1", 1), blob("b2", 2)}, Messages: []store.Message{m},
		Sealed: []store.SealedForm{{Message: "m-1", Blob: "b1"}, {Message: "m-1", Blob: "b2"}}, Receipts: map[message.ID]store.Receipt{"m-1": {SealedBlob: "b1"}},
		Jobs: []queue.Job{{Org: "o", Message: "m-1", Kind: queue.Relay, Lane: "x"}}}
	if _, err := s.Commit(ctx, queue.Lease{}, step); err != nil {
		t.Fatal(err)
	}
	s.now = s.now.Add(10 * store.SettledFor)
	if got, err := s.Unreferenced(ctx, 10); err != nil || len(got) != 0 {
		t.Errorf("the queue still needs %+v, %v", got, err)
	}
	jobs, err := s.Claim(ctx, queue.Network, 1, store.Lanes{})
	if err != nil || len(jobs) != 1 {
		t.Fatalf("%+v, %v", jobs, err)
	}
	if _, err := s.Commit(ctx, jobs[0].Lease, store.Step{Settle: &queue.Settlement{Fate: queue.Done}}); err != nil {
		t.Fatal(err)
	}
	got, err := s.Unreferenced(ctx, 10)
	if err != nil || len(got) != 3 {
		t.Fatalf("settled long ago: %+v, %v", got, err)
	}
	for _, b := range got {
		if err := s.ForgetBlob(ctx, b.ID); err != nil {
			t.Fatal(err)
		}
	}
}
