package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"postern/gateway/demo"
)

func demoCommand() command {
	return command{"demo", "see the main job: two complete gateways exchange a referral", `Usage: postern demo [--once] [--keep DIR] [--attach FILE]
       postern demo --web ADDR [--keep DIR]

Starts a hospital's and a clinic's gateway on free loopback ports, as two processes, each with its own DNS,
anchors, certificates and database. A referral with a C-CDA goes out and its notices come back; each step is
printed with its evidence as it is reached. Then both stay up, with commands to try, until Ctrl-C.

  --once         stop when it is done
  --keep DIR     make the sites in DIR and leave them there, with the sealed message and the commands (dig,
                 openssl) by which a stranger checks each step
  --attach FILE  send this file instead of the demo's own referral note
  --web ADDR     a clinic at work, in the browser: its staff, teams and rules, and a week of messages that went from
                 gateway to gateway by a clock that began six days ago. Prints one link for each person by which they
                 choose a password; nobody has one before. ADDR is host:port, as 127.0.0.1:8443

Exit codes: 0 only if all of it happened, 1 something did not, 2 used wrongly.
Example: postern demo --once --keep ./demo
Example: postern demo --web 127.0.0.1:8443
`, runDemo}
}

func runDemo(ctx context.Context, c *console, args []string) (err error) {
	fs := c.flags("demo")
	once := fs.Bool("once", false, "")
	keep, attach, web := fs.String("keep", "", ""), fs.String("attach", "", ""), fs.String("web", "", "")
	if rest, err := parse(fs, args); err != nil || len(rest) > 0 {
		return orUsage(err, "demo takes no operands")
	}
	if *web != "" && (*once || *attach != "") {
		return usagef("--web goes with --keep alone")
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	fmt.Fprintln(c.out, "Making a hospital and a clinic, and starting their gateways …")
	d, err := demo.Start(ctx, demo.Options{Dir: *keep, Attach: *attach, Program: program, Out: c.out, Web: *web})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Stop()) }()
	if *web != "" {
		d.ShowWeek()
		<-ctx.Done()
		return nil
	}
	fmt.Fprintf(c.out, "%s sends a referral to %s\n\n", d.Hospital.Address(), d.Clinic.Address())
	id, err := d.Show(ctx)
	if err != nil {
		return err
	}
	if *keep != "" {
		if err := d.WriteEvidence(ctx, id); err != nil {
			return err
		}
		d.Check(!*once)
	}
	if *once {
		return nil
	}
	d.Try(id)
	<-ctx.Done()
	return nil
}
