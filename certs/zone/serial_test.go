package zone_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"postern/certs/zone"
	"postern/smime/addr"
)

// A zone's serial rises with its content and with nothing else.
func TestSerialsRiseWithTheContent(t *testing.T) {
	at := time.Unix(1_800_000_000, 0)
	zones := func(text string) []zone.Zone {
		ns := []zone.Host{{Name: "ns.example.org", Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}}
		return []zone.Zone{
			{Domain: addr.MustDomain("a.example.org"), NS: ns, TXT: []zone.TXT{{Text: text}}},
			{Domain: addr.MustDomain("b.example.org"), NS: ns},
		}
	}
	serials := zone.NewSerials(nil)
	for _, step := range []struct {
		name string
		at   time.Time
		text string
		a, b uint32
	}{
		{"the first", at, "one", 1_800_000_000, 1_800_000_000},
		{"an hour later, the same", at.Add(time.Hour), "one", 1_800_000_000, 1_800_000_000},
		{"changed", at.Add(2 * time.Hour), "two", 1_800_007_200, 1_800_000_000},
		{"changed again in that second", at.Add(2 * time.Hour), "three", 1_800_007_201, 1_800_000_000},
		{"changed with the clock set back", at.Add(-time.Hour), "one", 1_800_007_202, 1_800_000_000},
		{"started anew, the same", at.Add(3 * time.Hour), "one", 1_800_007_202, 1_800_000_000},
		{"started anew with the clock set back by years", at.AddDate(-3, 0, 0), "four", 1_800_007_203, 1_800_000_000},
	} {
		if strings.HasPrefix(step.name, "started anew") {
			serials = zone.NewSerials(serials.Last())
		}
		s, err := zone.Build(zones(step.text), zone.Options{Now: step.at, Serials: serials})
		if err != nil {
			t.Fatal(err)
		}
		if a, b := s.SerialOf("a.example.org"), s.SerialOf("b.example.org"); a != step.a || b != step.b {
			t.Errorf("%s: serials %d and %d, want %d and %d", step.name, a, b, step.a, step.b)
		}
	}
	if s, _ := zone.Build(zones("x"), zone.Options{Now: at, Serial: 7}); s.SerialOf("a.example.org") != 7 || s.SerialOf("c.example.org") != 0 {
		t.Error("a serial that was given is not kept")
	}
}
