package week

import (
	"strings"
	"testing"
	"time"

	"postern/gateway/clinic/document/sample"
)

// A sample document with its dates moved says the same everywhere, in codes and in words.
func TestMoved(t *testing.T) {
	from := time.Date(2026, 10, 2, 0, 0, 0, 0, time.UTC)
	got := string(moved(sample.Referral, from, time.Date(2027, 3, 14, 9, 0, 0, 0, time.UTC)))
	for _, want := range []string{`<effectiveTime value="20270314104500-0700"/>`, "on 10 Mar 2027 shows", `<low value="20270310"/>`, "<td>Mar 2027</td>", "Feb to Mar 2019", `value="19581117"`, "REF-2026-0931"} {
		if !strings.Contains(got, want) {
			t.Errorf("it does not say %s", want)
		}
	}
	if strings.Contains(got, "Sep 2026") || strings.Contains(got, `"202609`) {
		t.Error("a date stayed behind")
	}
	if same := moved(sample.Referral, from, from.Add(12*time.Hour)); string(same) != string(sample.Referral) {
		t.Error("nothing was to be moved")
	}
}
