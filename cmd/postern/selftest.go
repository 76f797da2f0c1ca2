package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"postern/gateway/selftest"
)

const selftestHelp = `usage: postern selftest [--json] [--verbose]

Plays the network's certificate scenarios on a small internet on loopback (real
DNS over UDP and TCP, LDAP, HTTP, SMTP): 18 of discovery, 4 of hosting, 48 of
receiving and trust, and some of our own, against the parts this binary runs on
and a complete gateway in a temporary folder. Nothing stays, nothing outside
this machine is contacted, no configuration is needed. A few seconds.

  --verbose   print the evidence of every scenario, not only of failed ones
  --json      one JSON object on standard output

exit codes: 0 every scenario passed; 1 one failed, or this machine has no free
            port; 2 used wrongly

example: postern selftest
`

func selftestCommand() command {
	return command{name: "selftest", short: "play the network's conformance scenarios on this machine", help: selftestHelp, run: runSelftest}
}

func runSelftest(ctx context.Context, c *console, args []string) error {
	fs := c.flags("selftest")
	asJSON := fs.Bool("json", false, "")
	verbose := fs.Bool("verbose", false, "")
	operands, err := parse(fs, args)
	if err != nil {
		return err
	}
	if len(operands) > 0 {
		return usagef("takes no operand, got %q", operands[0])
	}
	r, err := selftest.Run(ctx)
	if err != nil {
		return err
	}
	if *asJSON {
		if err := c.printJSON(r); err != nil {
			return err
		}
	} else {
		printSelftest(c, r, *verbose)
	}
	if !r.OK() {
		return errShown
	}
	return nil
}

func printSelftest(c *console, r selftest.Report, verbose bool) {
	for _, o := range r.Outcomes {
		word := "pass"
		if !o.Pass {
			word = "FAIL"
		}
		fmt.Fprintf(c.out, "%-4s %s  %s\n", o.ID, word, o.Title)
		if o.Pass && !verbose {
			continue
		}
		fmt.Fprintf(c.out, "          expected  %s\n          got       %s\n", o.Expected, o.Got)
		for _, e := range o.Evidence {
			fmt.Fprintf(c.out, "          %s\n", strings.ReplaceAll(e, "\n", " "))
		}
	}
	fmt.Fprintf(c.out, "\n%d passed, %d failed, %v\n", r.Passed, r.Failed, r.Took.Round(time.Millisecond))
}
