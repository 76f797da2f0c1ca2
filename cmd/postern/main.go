// Command postern is a Direct-protocol gateway: see README.md, or `postern help`.
//
// One file holds one subcommand. A subcommand parses its flags, calls one package and prints what
// came back; no decision lives here.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	_ "time/tzdata" // zone names must work on machines without a zone database
)

// command is one subcommand; name may be two words ("trust verify").
type command struct {
	name  string
	short string // one line for the overview
	help  string // the whole text of --help: usage, what it does, exit codes, an example
	run   func(ctx context.Context, c *console, args []string) error
}

// commands is the table of all subcommands, in the order the overview shows them.
func commands() []command {
	all := []command{demoCommand(), initCommand(), serveCommand(), statusCommand(), checkCommand(), sendCommand()}
	for _, group := range [][]command{traceCommands(), queueCommands(), backupCommands(), auditCommands(), retentionCommands(), inboxCommands(), heldCommands(), heldGroupCommands(), domainCommands(), userCommands(), personCommands(), orgCommands(), certCommands(), peerCommands(), anchorCommands(), trustBundleCommands(), trustPolicyCommands(), subscribeCommands(), trustChangeCommands(), certRenewCommands()} {
		all = append(all, group...)
	}
	return append(all, documentInspectCommand(), documentRenderCommand(), documentPackageCommand(), sealCommand(), openCommand(), benchCommand(), lookupCommand(), certPublishCommand(), certDeviceCommand(), selftestCommand(), trustVerifyCommand(), whyCommand(), helpCommand())
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, &console{in: os.Stdin, out: os.Stdout, err: os.Stderr, env: os.Getenv}, os.Args[1:])
	stop()
	os.Exit(code)
}

// run runs a command line; no success is told whose answer was lost.
func run(ctx context.Context, c *console, args []string) int {
	lost := &written{to: c.out}
	c.out = lost
	code := dispatch(ctx, c, args)
	if lost.err == nil {
		return code
	}
	fmt.Fprintf(c.err, "postern: what it had to say could not be written: %v\n", lost.err)
	return max(code, exitRefused)
}

// dispatch finds the command with the longest matching name and turns its error into an exit code.
func dispatch(ctx context.Context, c *console, args []string) int {
	if len(args) == 0 {
		overview(c.err)
		return exitUsage
	}
	if args[0] == "--help" || args[0] == "-h" || args[0] == "help" && len(args) == 1 {
		overview(c.out)
		return exitDone
	}
	cmd, rest, ok := find(args)
	if !ok {
		if group := groupOf(args[0]); len(group) > 0 {
			fmt.Fprintf(c.err, "postern %s is one of:\n", args[0])
			for _, cmd := range group {
				fmt.Fprintf(c.err, "  %-22s %s\n", cmd.name, cmd.short)
			}
			return exitUsage
		}
		fmt.Fprintf(c.err, "postern: no command %q; `postern help` lists them\n", args[0])
		return exitUsage
	}
	for _, a := range rest {
		if a == "--" {
			break
		}
		if a == "--help" || a == "-h" {
			fmt.Fprint(c.out, cmd.help)
			return exitDone
		}
	}
	return c.exitCode(cmd, cmd.run(ctx, c, rest))
}

// written notes the first failure of a stream, so that no command says that it succeeded when its answer was lost.
type written struct {
	to  io.Writer
	err error
}

// terminal is the file that standard output is, if it is one.
func (c *console) terminal() (*os.File, bool) {
	to := c.out
	if w, ok := to.(*written); ok {
		to = w.to
	}
	f, ok := to.(*os.File)
	return f, ok
}

func (w *written) Write(p []byte) (int, error) {
	n, err := w.to.Write(p)
	if err != nil && w.err == nil {
		w.err = err
	}
	return n, err
}

// groupOf lists the commands whose first word is that one.
func groupOf(word string) (out []command) {
	for _, cmd := range commands() {
		if strings.HasPrefix(cmd.name, word+" ") {
			out = append(out, cmd)
		}
	}
	return out
}

func find(args []string) (command, []string, bool) {
	for words := min(3, len(args)); words > 0; words-- {
		name := args[0]
		for _, w := range args[1:words] {
			name += " " + w
		}
		for _, cmd := range commands() {
			if cmd.name == name {
				return cmd, args[words:], true
			}
		}
	}
	return command{}, nil, false
}

func overview(w io.Writer) {
	fmt.Fprint(w, "postern: a Direct-protocol gateway and clinic inbox\n\nCommands:\n")
	for _, cmd := range commands() {
		fmt.Fprintf(w, "  %-20s %s\n", cmd.name, cmd.short)
	}
	fmt.Fprint(w, "\n`postern COMMAND --help` explains one. Exit codes: 0 done, 1 refused or failed, 2 used wrongly, 3 not known yet.\n")
}
