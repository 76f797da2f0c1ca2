// Package selftest plays the network's conformance scenarios against the gateway's own parts, over
// real sockets on loopback (package lab/internet), and says for each what was expected, what happened
// and by what evidence: discovery D1 to D18 and hosting H1 to H4 of spec CD §6 and §7, and a few of
// our own (P1 …) for faults those leave out; receiving and trust (R1 …) of spec AS §9 and the receive matrix.
//
// The discovery scenarios are one message to all recipients, sealed by agent.Agent as in the running
// gateway: each verdict is checked, and that the sealed message is for exactly the right certificates
// and no other (AS-72). The receive scenarios are letters handed over by SMTP to a complete gateway, made as
// `postern init` makes it in a temporary folder: each is judged by what the gateway wrote down of it, by its
// inbox, and by the notices that went out or did not (AS-90, AS-96). Nothing outside loopback is contacted, and
// the folder is removed.
//
// Limits: 60 s in all (about 3 on two processors); one run at a time is enough, several do no harm.
package selftest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"sync"
	"time"
)

// Outcome is one scenario's result.
type Outcome struct {
	ID       string        `json:"id"`
	Title    string        `json:"title"`
	Expected string        `json:"expected"`
	Got      string        `json:"got"`
	Pass     bool          `json:"pass"`
	Evidence []string      `json:"evidence"`
	Took     time.Duration `json:"took_ns"`
}

// Report is a whole run.
type Report struct {
	Version  int           `json:"v"`
	Passed   int           `json:"passed"`
	Failed   int           `json:"failed"`
	Took     time.Duration `json:"took_ns"`
	Outcomes []Outcome     `json:"scenarios"`
}

// OK says whether every scenario passed.
func (r Report) OK() bool { return r.Failed == 0 && r.Passed > 0 }

// MaxTime bounds a run.
const MaxTime = 60 * time.Second

// Run plays all scenarios. The error is a fault of this machine (no port, no time left), never a
// failed scenario.
func Run(ctx context.Context) (Report, error) { return run(ctx, without{}) }

func run(ctx context.Context, w without) (Report, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, MaxTime, fmt.Errorf("not done after %v", MaxTime))
	defer cancel()
	began := time.Now()
	r := Report{Version: 1}
	parts := []func(context.Context, without) ([]Outcome, error){discovery, hosting, receive}
	outcomes, errs := make([][]Outcome, len(parts)), make([]error, len(parts))
	var work sync.WaitGroup
	for i, part := range parts {
		work.Go(func() { outcomes[i], errs[i] = part(ctx, w) })
	}
	work.Wait()
	if err := errors.Join(errs...); err != nil {
		return Report{}, fmt.Errorf("selftest: %w", err)
	}
	r.Outcomes = slices.Concat(outcomes...)
	sort.SliceStable(r.Outcomes, func(i, j int) bool { return order(r.Outcomes[i].ID) < order(r.Outcomes[j].ID) })
	for _, o := range r.Outcomes {
		if o.Pass {
			r.Passed++
		} else {
			r.Failed++
		}
	}
	r.Took = time.Since(began)
	return r, nil
}

// order sorts D2 before D10.
func order(id string) int {
	n, err := strconv.Atoi(id[1:])
	if err != nil {
		n = 999
	}
	return int(id[0])<<10 + n
}

// without names the checks that a test of this package switches off, to see that the scenarios which
// need them fail. What is sent is the same with and without; tamper alone changes it. Run switches none off.
type without struct {
	stop       bool // certificates out of date count as nothing: the search goes on (against CD-41)
	tcp        bool // no DNS over TCP (against CD-18)
	dates      bool // nobody looks at the dates of certificates and anchors (against AS-67)
	instant    bool // certificates are judged as of another instant than now
	revocation bool // no revocation lists (against AS-64)
	aia        bool // missing issuers are not fetched (against AS-63)
	srvOrder   bool // directories in the wrong order (against CD-31)
	nextServer bool // only the first directory is asked (against CD-33)
	anchors    bool // a foreign authority, and a look-alike, are trusted too (against AS-61)
	ldap       bool // no directories at all (against CD-40)
	quick      bool // P-256 instead of RSA: keys are made in no time, and answers are small
	publish    bool // hosting publishes whatever certificate there is (against CD-03)
	binding    bool // a certificate is taken as its own address's (against AS-83)
	direction  bool // outgoing anchors let mail in (against AS-60)
	domains    bool // the anchors of all our domains count for each (against AS-86)
	removal    bool // an anchor is believed for ever (against AS-60)
	hardFail   bool // the strict domain lets pass what it cannot check (against AS-65)
	freshness  bool // lists and answers are as good as they were days ago (against AS-64)
	listSigner bool // lists and answers by another authority's key count (against AS-64)
	usage      bool // a certificate not for signing is judged as if to encrypt (against AS-15)
	oneSigner  bool // only the first signer counts (against AS-84)
	tamper     bool // messages come as they were meant (against AS-87): what cannot be read has no check but the reading
	envelope   bool // the envelope need not agree with the message (against AS-82)

	clinic string // a folder that initClinic made, to be copied; "" makes one
}
