package notice

import (
	"slices"
	"strings"

	"postern/gateway/message"
)

// readMDN makes one entry a recipient. The RFC knows one block about one recipient (RFC 8098 §3.1); blank lines
// inside it are forgiven, and a block about a further recipient is an entry of its own.
func (p *parser) readMDN(f message.Facts) {
	var told []group
	for _, g := range p.groups(p.notification) {
		if n := len(told); n == 0 || g.has("final-recipient") && told[n-1].has("final-recipient") {
			told = append(told, group{})
		}
		told[len(told)-1].merge(g)
	}
	for _, g := range told {
		if p.report.Reporter == "" {
			p.report.Reporter = oneLineText(g.get("reporting-ua"), MaxText)
		}
		p.identify(g, "original-message-id", "x-original-message-id")
		if id := message.NormalID(g.get("original-message-id")); id != "" && p.report.IDSource == "original-message-id" && id != p.report.OriginalMessageID {
			p.repair("what it says of a second message is passed over")
			continue
		}
		p.report.Entries = append(p.report.Entries, p.disposed(g, f))
	}
	p.contradictions()
}

// disposed reads what one block says of its recipient. QUIRK: an MDN without any recipient is about whom it
// comes from (AS-94).
func (p *parser) disposed(g group, f message.Facts) Entry {
	e := readEntry(g)
	if !g.has("final-recipient") && !g.has("original-recipient") && len(f.From) == 1 {
		e.Recipient = f.From[0]
		p.repair("it names no recipient: taken to be its sender")
	}
	_, e.FinalField = g[strings.ToLower(message.FinalDelivery)]
	e.Disposition, e.Modifier = p.agreed(g["disposition"])
	for _, name := range []string{"failure", "error", "warning"} {
		if v := oneLineText(g.get(name), MaxText); v != "" && e.Detail == "" {
			e.Detail = v
		}
	}
	failure, fault := oneLineText(g.get("failure"), MaxText) != "", oneLineText(g.get("error"), MaxText) != ""
	if out := e.Outcome(); out == OutcomeDispatched && (failure || fault) || out == OutcomeProcessed && failure {
		p.repair("it says " + string(out) + " and tells of a failure: neither counts")
		e.Disposition, e.Modifier = "", ""
	}
	return e
}

// agreed is what several Disposition fields of one block say together: a failure, where any says so, or what all
// of them say. Others contradict each other, and none counts.
func (p *parser) agreed(values []string) (d Disposition, modifier string) {
	differ := false
	for i, v := range values {
		next, mod := readDisposition(v)
		if (Entry{Disposition: next, Modifier: mod}).Outcome() == OutcomeFailed {
			return next, mod
		}
		if i == 0 {
			d, modifier = next, mod
		}
		differ = differ || next != d
	}
	if differ {
		p.repair("several dispositions that differ: none counts")
		return "", ""
	}
	return d, modifier
}

// contradictions lets a failure win over what else the same notice says of the same recipient.
func (p *parser) contradictions() {
	failed := map[string]bool{}
	for _, e := range p.report.Entries {
		if e.Outcome() == OutcomeFailed {
			failed[e.About().Key()] = true
		}
	}
	if len(failed) == 0 {
		return
	}
	p.report.Entries = slices.DeleteFunc(p.report.Entries, func(e Entry) bool {
		won := e.Outcome() != OutcomeFailed && failed[e.About().Key()]
		if won {
			p.repair("it also says otherwise of a recipient it reports a failure for: that does not count")
		}
		return won
	})
}
