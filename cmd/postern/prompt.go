package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// passwordFlags say where a person's password comes from; neither is a one-time link instead.
type passwordFlags struct {
	file   *string
	prompt *bool
}

func (f passwordFlags) read(c *console) (string, error) {
	if *f.file != "" && *f.prompt {
		return "", usagef("--password-file or --password-prompt, not both")
	}
	if *f.prompt {
		return c.askPassword()
	}
	if *f.file == "" {
		return "", nil
	}
	pw, err := c.secret(*f.file, "")
	if err == nil && pw == "" {
		err = fmt.Errorf("%s holds no password", *f.file)
	}
	return pw, err
}

// askPassword asks twice at the terminal, without showing what is typed.
func (c *console) askPassword() (string, error) {
	typed, err := c.typed("--password-prompt", "Password: ", "The same again: ")
	switch {
	case err != nil:
		return "", err
	case typed[0] != typed[1]:
		return "", errors.New("the two passwords are not the same")
	case typed[0] == "":
		return "", errors.New("no password was typed")
	}
	return typed[0], nil
}

// askOnce asks at the terminal for a password that is known already.
func (c *console) askOnce(question string) (string, error) {
	typed, err := c.typed("--as", question)
	if err == nil && typed[0] == "" {
		err = errors.New("no password was typed")
	}
	if err != nil {
		return "", err
	}
	return typed[0], nil
}

// typed is what is typed to each question at the terminal, unseen; why is the flag that asks.
func (c *console) typed(why string, questions ...string) ([]string, error) {
	noTerminal := usagef("%s needs a terminal; a password file - reads standard input", why)
	tty, ok := c.in.(*os.File)
	if !ok {
		return nil, noTerminal
	}
	old, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if err != nil {
		return nil, noTerminal
	}
	quiet := *old
	quiet.Lflag &^= unix.ECHO
	if err := unix.IoctlSetTermios(int(tty.Fd()), unix.TCSETS, &quiet); err != nil {
		return nil, fmt.Errorf("terminal: %w", err)
	}
	defer func() { _ = unix.IoctlSetTermios(int(tty.Fd()), unix.TCSETS, old) }() // nothing more can be done for it
	in := bufio.NewReader(io.LimitReader(tty, 8192))
	typed := make([]string, len(questions))
	for i, ask := range questions {
		fmt.Fprint(c.err, ask)
		line, err := in.ReadString('\n')
		fmt.Fprintln(c.err)
		if err != nil {
			return nil, fmt.Errorf("password: %w", err)
		}
		typed[i] = strings.TrimRight(line, "\r\n")
	}
	return typed, nil
}
