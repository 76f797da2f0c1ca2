package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
)

// Exit codes of every command.
const (
	exitDone    = 0
	exitRefused = 1
	exitUsage   = 2
	exitNotYet  = 3
)

// console is what a command may touch of the outside: streams and environment.
type console struct {
	in  io.Reader
	out io.Writer
	err io.Writer
	env func(string) string

	as signIn // of a command about trust
}

// usageError means the command was used wrongly (exit 2).
type usageError struct{ msg string }

func (e usageError) Error() string { return e.msg }

// usagef makes a usageError: what is wrong with the call, and what would be right.
func usagef(format string, args ...any) error { return usageError{fmt.Sprintf(format, args...)} }

// notYetError means the answer is not known yet and the same call may succeed later (exit 3).
type notYetError struct{ err error }

func (e notYetError) Error() string { return e.err.Error() }
func (e notYetError) Unwrap() error { return e.err }

// errShown means the command already printed its whole answer and only the exit code 1 is left to give.
var errShown = errors.New("refused; the reason is printed")

func (c *console) exitCode(cmd command, err error) int {
	var usage usageError
	var notYet notYetError
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errShown):
		return exitRefused
	case errors.As(err, &usage):
		fmt.Fprintf(c.err, "postern %s: %v\n`postern %s --help` shows the usage.\n", cmd.name, err, cmd.name)
		return exitUsage
	case errors.As(err, &notYet):
		fmt.Fprintf(c.err, "postern %s: %v\n", cmd.name, err)
		return exitNotYet
	}
	fmt.Fprintf(c.err, "postern %s: %v\n", cmd.name, err)
	return exitRefused
}

// flags makes a silent flag set: errors come back from parse as usageErrors, in our words.
func (c *console) flags(name string) *flag.FlagSet {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Usage = func() {}
	return fs
}

// parse reads flags and operands in any order (operands after "--" are taken as they are).
func parse(fs *flag.FlagSet, args []string) ([]string, error) {
	var operands []string
	for {
		if err := fs.Parse(args); err != nil {
			return nil, usageError{err.Error()}
		}
		rest := fs.Args()
		if len(rest) == 0 {
			return operands, nil
		}
		if used := len(args) - len(rest); used > 0 && args[used-1] == "--" {
			return append(operands, rest...), nil
		}
		operands = append(operands, rest[0])
		args = rest[1:]
	}
}

// listFlag is a flag that may be given several times.
type listFlag []string

func (l *listFlag) String() string     { return strings.Join(*l, ",") }
func (l *listFlag) Set(s string) error { *l = append(*l, s); return nil }

// printJSON writes one JSON object and a newline to standard output.
func (c *console) printJSON(v any) error {
	enc := json.NewEncoder(c.out)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
