package gateway_test

import (
	"crypto/x509"
	"encoding/base64"
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"

	"postern/certs"
	"postern/gateway"
)

// asks puts a question about the clinic's zone to its name server, by TCP, whose answers are not rationed.
func (w *world) asks(kind uint16) []dns.RR {
	w.Helper()
	q := new(dns.Msg)
	q.SetQuestion(w.clinic.Domain.String()+".", kind)
	a, _, err := (&dns.Client{Net: "tcp", Timeout: time.Minute}).ExchangeContext(w.ctx, q, w.clinic.DNS)
	w.ok(err)
	return a.Answer
}

// serial is the serial of the clinic's zone, as its name server gives it.
func (w *world) serial() uint32 {
	w.Helper()
	for _, r := range w.asks(dns.TypeSOA) {
		if soa, ok := r.(*dns.SOA); ok {
			return soa.Serial
		}
	}
	w.Fatal("no SOA")
	return 0
}

// A serial outlives a restart: it stays where nothing changed, and rises whatever the clock says.
func TestASerialNeverFalls(t *testing.T) {
	w := newWorld(t, "")
	first := w.serial()
	w.ok(w.clinic.Stop())
	w.ok(w.clinic.Start(w.ctx))
	if again := w.serial(); again != first {
		t.Errorf("nothing changed, and the serial is %d after %d", again, first)
	}
	w.ok(w.clinic.Stop())
	w.Clock.Set(-400 * 24 * time.Hour) // certificates are not valid yet: the zone is another
	w.ok(w.clinic.Start(w.ctx))
	if back := w.serial(); back != first+1 {
		t.Errorf("the clock was set back, and the serial is %d after %d", back, first)
	}
}

// Where one certificate takes another's place by force, whoever asks sees the one or the other, and never none.
func TestTheWorldNeverSeesNone(t *testing.T) {
	w := newWorld(t, "")
	sees := func() (out []string) {
		for _, r := range w.asks(dns.TypeCERT) {
			der, err := base64.StdEncoding.DecodeString(r.(*dns.CERT).Certificate)
			w.ok(err)
			c, err := x509.ParseCertificate(der)
			w.ok(err)
			out = append(out, certs.Fingerprint(c))
		}
		return out
	}
	old := w.clinicSigner()
	if got := sees(); !slices.Equal(got, []string{old}) {
		t.Fatalf("before: %v", got)
	}
	id, file := w.renewal(w.Clock.Now(), 3000*time.Hour)
	_, err := w.importOne(file, gateway.ImportArg{Replaces: old, Force: true})
	w.ok(err)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for got := sees(); !slices.Equal(got, []string{id}); got = sees() {
		if len(got) == 0 {
			t.Fatal("a peer sees no certificate")
		}
		select {
		case <-w.ctx.Done():
			t.Fatalf("the new certificate is not published: %v", got)
		case <-tick.C:
		}
	}
}
