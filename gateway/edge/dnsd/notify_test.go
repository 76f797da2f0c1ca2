package dnsd

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"postern/certs/zone"
	"postern/gateway/lab/port"
	"postern/smime/addr"
)

// TestASecondaryThatIsAwayIsWaitedForOnce: not once for each of the zones.
func TestASecondaryThatIsAwayIsWaitedForOnce(t *testing.T) {
	nobody, err := port.Free() // the machine refuses at once what is sent there
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	s := New(Config{Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})), Transfer: []Secondary{{
		From: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Key: "copy.example", Secret: "MDEyMzQ1Njc4OWFiY2RlZg==", Notify: []string{port.At(nobody)}}}})
	var zones []zone.Zone
	for i := range 20 {
		zones = append(zones, zone.Zone{Domain: addr.MustDomain(fmt.Sprintf("d%d.example.org", i)), NS: []zone.Host{{Name: "ns.example.net"}}})
	}
	snap, err := zone.Build(zones, zone.Options{Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	s.Publish(snap)
	if s.tell[0].round(t.Context(), s) {
		t.Error("all zones told to nobody")
	}
	if n := strings.Count(log.String(), "NOTIFY failed"); n != 1 {
		t.Errorf("%d tries:\n%s", n, &log)
	}
}
