// Package selftest plays the network's conformance scenarios against the gateway's own parts, over
// real sockets on loopback (package lab/internet), and says for each what was expected, what happened
// and by what evidence: discovery D1 to D18 and hosting H1 to H4 of spec CD §6 and §7, and a few of
// our own (P1 …) for faults those leave out.
//
// The discovery scenarios are one message to all recipients, sealed by agent.Agent as in the running
// gateway: each verdict is checked, and that the sealed message is for exactly the right certificates
// and no other (AS-72). Nothing outside loopback is contacted and nothing is stored.
//
// Limits: about 10 s in all; one run at a time is enough, several do no harm.
package selftest

import (
	"context"
	"fmt"
	"sort"
	"strconv"
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

// Run plays all scenarios. The error is a fault of this machine (no port, no time left), never a
// failed scenario.
func Run(ctx context.Context) (Report, error) { return run(ctx, without{}) }

func run(ctx context.Context, w without) (Report, error) {
	began := time.Now()
	r := Report{Version: 1}
	for _, part := range []func(context.Context, without) ([]Outcome, error){discovery, hosting} {
		outcomes, err := part(ctx, w)
		if err != nil {
			return Report{}, fmt.Errorf("selftest: %w", err)
		}
		r.Outcomes = append(r.Outcomes, outcomes...)
	}
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
// need them fail. Run switches none off.
type without struct {
	stop       bool // certificates out of date count as nothing: the search goes on (against CD-41)
	tcp        bool // no DNS over TCP (against CD-18)
	dates      bool // certificates that should be out of date are in date (against AS-67)
	instant    bool // certificates are judged as of another instant than now
	revocation bool // no revocation lists (against AS-64)
	aia        bool // missing issuers are not fetched (against AS-63)
	srvOrder   bool // directories in the wrong order (against CD-31)
	nextServer bool // only the first directory is asked (against CD-33)
	anchors    bool // a foreign authority is trusted too (against AS-61)
	ldap       bool // no directories at all (against CD-40)
	quick      bool // P-256 instead of RSA: keys are made in no time, and answers are small
	publish    bool // hosting publishes whatever certificate there is (against CD-03)
}
