package chart_test

import (
	"encoding/json"
	"testing"
	"time"

	"postern/gateway/clinic/document/chart"
)

func TestTimesKeepTheirPrecision(t *testing.T) {
	for in, want := range map[string]struct {
		words, iso string
		p          chart.Precision
	}{
		"2026":                        {"2026", "2026", chart.Year},
		"202610":                      {"Oct 2026", "2026-10", chart.Month},
		"20261003":                    {"3 Oct 2026", "2026-10-03", chart.Day},
		"202610031415":                {"3 Oct 2026, 14:15", "2026-10-03T14:15:00", chart.Minute},
		"20261003141516-0500":         {"3 Oct 2026, 14:15 -0500", "2026-10-03T14:15:16-05:00", chart.Second},
		"20261003141516.123+0130":     {"3 Oct 2026, 14:15 +0130", "2026-10-03T14:15:16+01:30", chart.Second},
		"2026-10-03":                  {"3 Oct 2026", "2026-10-03", chart.Day},
		"2026-10-03T14:15:16Z":        {"3 Oct 2026, 14:15 +0000", "2026-10-03T14:15:16Z", chart.Second},
		"2026-10-03T14:15:16-07:00":   {"3 Oct 2026, 14:15 -0700", "2026-10-03T14:15:16-07:00", chart.Second},
		"20261399":                    {"20261399", "", chart.Unknown},
		"soon":                        {"soon", "", chart.Unknown},
		"0":                           {"0", "", chart.Unknown},
		"732497932932937937327393270": {"732497932932937937327393270", "", chart.Unknown},
		"":                            {"", "", chart.Unknown},
	} {
		got := chart.ParseTime(in)
		if got.String() != want.words || got.ISO() != want.iso || got.Precision != want.p {
			t.Errorf("%q: %q %q precision %d, want %+v", in, got.String(), got.ISO(), got.Precision, want)
		}
		b, err := json.Marshal(got)
		var back chart.Time
		if err != nil || json.Unmarshal(b, &back) != nil || back.String() != got.String() {
			t.Errorf("%q: %s comes back as %q, %v", in, b, back.String(), err)
		}
	}
}

func TestAgeIsWholeYears(t *testing.T) {
	born := chart.ParseTime("19701003")
	for now, want := range map[string]int{"2026-10-02": 55, "2026-10-03": 56, "1970-10-03": 0} {
		at, err := time.Parse(time.DateOnly, now)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := born.Age(at); !ok || got != want {
			t.Errorf("on %s: %d %v, want %d", now, got, ok, want)
		}
	}
	if _, ok := chart.ParseTime("1970").Age(time.Now()); ok {
		t.Error("an age from a year alone")
	}
	if _, ok := born.Age(time.Date(1960, 1, 1, 0, 0, 0, 0, time.UTC)); ok {
		t.Error("an age before birth")
	}
}

func TestLastIsTheEndOfWhatIsKnown(t *testing.T) {
	for in, want := range map[string]string{"2026": "2027-01-01T00:00:00Z", "202612": "2027-01-01T00:00:00Z", "20261231": "2027-01-01T00:00:00Z", "20261231101112Z": "2026-12-31T10:11:12Z"} {
		if got := chart.ParseTime(in).Last().Format(time.RFC3339); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

func TestNamesReadInOrder(t *testing.T) {
	n := chart.Name{Prefix: "Dr", Given: "Ann Mary", Family: "Lee", Suffix: "MD"}
	if n.String() != "Dr Ann Mary Lee MD" || n.Sort() != "Lee, Ann Mary MD" {
		t.Errorf("%q %q", n.String(), n.Sort())
	}
	p := chart.Person{Organization: chart.Organization{Name: "Clinic"}}
	if p.String() != "Clinic" || (chart.Telecom{Value: "TEL:+1 555"}).Number() != "+1 555" {
		t.Errorf("%q", p.String())
	}
}
