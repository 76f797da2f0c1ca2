package browser_test

import (
	"strings"
	"testing"
)

// TestTwoPeopleAnswerAtOnce: both write, one sends, and the other is told who answered before a second answer leaves. The
// draft is there, and leaves when its writer says so.
func TestTwoPeopleAnswerAtOnce(t *testing.T) {
	c := open(t)
	item := "/item/" + string(c.Week.Items["marchetti"])
	dana, sam := c.as(t, "dana"), c.as(t, "sam")
	for _, w := range []*window{dana, sam} {
		w.visit(item + "/write/reply")
	}
	dana.fill("#text", "We can see her on Thursday at ten.")
	sam.fill("#text", "Please send the last ECG.")
	dana.press("Send")
	dana.says("Accepted.")
	sam.press("Send")
	sam.says("Your draft is kept and was not sent. Dana Reyes answered this at", "Send all the same", "Not alone")
	if text := eval[string](sam, `document.querySelector("#text").value`); !strings.Contains(text, "Please send the last ECG.") {
		t.Errorf("what was typed is gone: %q", text)
	}
	sam.visit("/write")
	sam.says("Re: Referral: blood pressure")
	sam.click(`//a[contains(., "Re: Referral: blood pressure")]`)
	sam.fill("#subject", "Her last ECG") // what was sent is told apart by its subject
	sam.press("Send all the same")
	sam.says("Accepted.")
}
