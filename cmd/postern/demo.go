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

Starts a hospital's and a clinic's gateway on free loopback ports, as two processes, each with its own DNS,
anchors, certificates and database. A referral with a C-CDA goes out and its notices come back; each step is
printed with its evidence as it is reached. Then both stay up, with commands to try, until Ctrl-C.

  --once         stop when it is done
  --keep DIR     make the sites in DIR and leave them there, with the sealed message and the commands (dig,
                 openssl) by which a stranger checks each step
  --attach FILE  send this file instead of the demo's own referral note

Exit codes: 0 only if all of it happened, 1 something did not, 2 used wrongly.
Example: postern demo --once --keep ./demo
`, runDemo}
}

func runDemo(ctx context.Context, c *console, args []string) (err error) {
	fs := c.flags("demo")
	once := fs.Bool("once", false, "")
	keep, attach := fs.String("keep", "", ""), fs.String("attach", "", "")
	if rest, err := parse(fs, args); err != nil || len(rest) > 0 {
		return orUsage(err, "demo takes no operands")
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	fmt.Fprintln(c.out, "Making a hospital and a clinic, and starting their gateways …")
	d, err := demo.Start(ctx, demo.Options{Dir: *keep, Attach: *attach, Program: program, Out: c.out})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Stop()) }()
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
