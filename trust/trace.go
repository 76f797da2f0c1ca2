package trust

import (
	"fmt"
	"io"
	"strings"
	"time"

	"postern/trust/revoke"
)

// TraceFormat is the format number stored with a Trace.
const TraceFormat = 1

// Verdicts of a Trace and of its steps.
const (
	VerdictTrusted = "trusted"
	VerdictRefused = "refused"
	VerdictUnknown = "unknown" // temporary: try later
	VerdictPass    = "pass"
	VerdictNote    = "note"
)

// Trace is how a decision came about: what was asked, and one step a rule. It is written once,
// stored with the message and free of patient data.
type Trace struct {
	Format      int       `json:"format"`
	Certificate string    `json:"certificate"` // SHA-256, hex
	Subject     string    `json:"subject"`
	Peer        string    `json:"peer"`
	Local       string    `json:"local"`
	Direction   Direction `json:"direction"`
	Purpose     Purpose   `json:"purpose"`
	Use         Use       `json:"use"`
	At          time.Time `json:"at"`
	Anchors     string    `json:"anchors"` // version of the anchors asked
	Verdict     string    `json:"verdict"`
	Reason      Reason    `json:"reason,omitempty"`
	Detail      string    `json:"detail,omitempty"`
	Explanation string    `json:"explanation,omitempty"`
	Remedy      string    `json:"remedy,omitempty"`
	WhoActs     Actor     `json:"who_acts,omitempty"`
	// Revocation is the lists and OCSP answers the decision rests on, leaf first.
	Revocation []revoke.Evidence `json:"revocation,omitempty"`
	SoftFailed bool              `json:"soft_failed,omitempty"` // revocation unknown, and the domain let it pass (AS-65)
	Steps      []Step            `json:"steps"`
}

// Step is one thing asked and answered.
type Step struct {
	Asked   string `json:"asked"`
	Of      string `json:"of,omitempty"` // whom: a certificate, an anchor set, a URL
	Answer  string `json:"answer,omitempty"`
	Rule    string `json:"rule,omitempty"` // requirement or RFC section that decided
	Verdict string `json:"verdict"`
	Reason  Reason `json:"reason,omitempty"`
	Steps   []Step `json:"steps,omitempty"`
}

// WriteText prints the tree for a terminal.
func (t Trace) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", strings.ToUpper(t.Verdict), t.Subject)
	peer := t.Peer
	if peer == "" {
		peer = "no address in particular"
	}
	fmt.Fprintf(&b, "  for %s, %s, to %s %s at %s\n", peer, t.Direction, t.Use, t.Purpose, stamp(t.At))
	if t.Reason != "" {
		fmt.Fprintf(&b, "  reason    %s: %s\n", t.Reason, t.Explanation)
		fmt.Fprintf(&b, "  detail    %s\n", t.Detail)
		fmt.Fprintf(&b, "  remedy    %s\n", t.Remedy)
		fmt.Fprintf(&b, "  who acts  %s\n", t.WhoActs)
	}
	writeSteps(&b, t.Steps, "  ")
	_, err := io.WriteString(w, b.String())
	return err
}

func writeSteps(b *strings.Builder, steps []Step, indent string) {
	for _, s := range steps {
		fmt.Fprintf(b, "%s[%s] %s", indent, s.Verdict, s.Asked)
		if s.Of != "" {
			fmt.Fprintf(b, " — %s", s.Of)
		}
		if s.Answer != "" {
			fmt.Fprintf(b, ": %s", s.Answer)
		}
		if s.Rule != "" {
			fmt.Fprintf(b, " (%s)", s.Rule)
		}
		b.WriteByte('\n')
		writeSteps(b, s.Steps, indent+"    ")
	}
}
