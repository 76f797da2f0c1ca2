package main

import (
	"fmt"
	"strings"
	"time"

	"postern/gateway"
	"postern/gateway/rehearsal"
	"postern/smime/addr"
	"postern/trust/bundle"
)

// maxLines bounds the partners named on a terminal; JSON has all of them.
const maxLines = 20

// many is a number of things in words: "1 message", "2 messages".
func many(n int64, thing string) string {
	switch {
	case n == 1:
		return "1 " + thing
	case strings.HasSuffix(thing, "s"):
		return fmt.Sprintf("%d %ses", n, thing)
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// printTouched says what a change does to decisions like those that were made; done is how it is said of one that is made.
func (c *console) printTouched(t gateway.Touched, done bool) {
	lost, won := "accepted as things stand, would be refused", "refused as things stand, would be accepted"
	if done {
		lost, won = "accepted until now, refused from now on", "refused until now, accepted from now on"
	}
	fmt.Fprintf(c.out, "Held against %s of the last %s:\n", many(t.Messages, "decision"), many(int64(t.Days), "day"))
	if t.LostN+t.WonN == 0 {
		fmt.Fprintf(c.out, "  none of them comes out differently by this change\n")
	}
	c.printPartners(lost+": "+many(t.LostN, "message"), "-", t.LostN, t.Lost)
	c.printPartners(won+": "+many(t.WonN, "message"), "+", t.WonN, t.Won)
	if t.Left > 0 {
		fmt.Fprintf(c.out, "  %d more hung on revocation or on what was fetched, and were not judged again\n", t.Left)
	}
}

func (c *console) printPartners(title, mark string, n int64, list []rehearsal.Partner) {
	if n == 0 {
		return
	}
	fmt.Fprintf(c.out, "  %s\n", title)
	for i, p := range list {
		if i == maxLines {
			fmt.Fprintf(c.out, "    and %s more (--json names them)\n", many(int64(len(list)-i), "partner"))
			return
		}
		fmt.Fprintf(c.out, "    %s %-32s %s of %s", mark, p.Domain, many(p.Messages, "message"), many(int64(p.Addresses), "address"))
		if len(p.Reasons) > 0 {
			fmt.Fprintf(c.out, " (%s)", strings.Join(p.Reasons, ", "))
		}
		fmt.Fprintln(c.out)
	}
}

// printTouches lists the anchors of a change with whom each concerns.
func (c *console) printTouches(mark, verb string, list []gateway.AnchorTouch) {
	for _, a := range list {
		fmt.Fprintf(c.out, "%s %s  until %s  %s\n", mark, a.Fingerprint[:16], a.Expires.Format(time.DateOnly), a.Subject)
		if a.Messages > 0 {
			fmt.Fprintf(c.out, "      %s, %s%s\n", many(int64(a.Partners), "partner"), many(a.Messages, "message"), changedWords(a, verb))
		}
	}
}

func changedWords(a gateway.AnchorTouch, verb string) string {
	if verb == "" || a.Changed == 0 {
		return ""
	}
	return fmt.Sprintf("; %d of them %s", a.Changed, verb)
}

func (c *console) printFindings(list []bundle.Finding) {
	for _, f := range list {
		fmt.Fprintf(c.out, "! %s  %s: %s (%s)\n", f.SHA256[:16], f.Kind, f.Name, f.Detail)
	}
}

// parseDomain reads a --domain flag.
func parseDomain(s string) (addr.Domain, error) {
	if s == "" {
		return addr.Domain{}, nil
	}
	d, err := addr.ParseDomain(s)
	if err != nil {
		return d, usageError{err.Error()}
	}
	return d, nil
}

// checkDays refuses a number of days that is none.
func checkDays(n int) error {
	if n < 1 || n > gateway.MaxDays {
		return usagef("--days is 1 to %d", gateway.MaxDays)
	}
	return nil
}
