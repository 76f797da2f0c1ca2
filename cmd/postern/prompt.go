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
	tty, ok := c.in.(*os.File)
	if !ok {
		return "", usagef("--password-prompt needs a terminal; --password-file - reads standard input")
	}
	old, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if err != nil {
		return "", usagef("--password-prompt needs a terminal; --password-file - reads standard input")
	}
	quiet := *old
	quiet.Lflag &^= unix.ECHO
	if err := unix.IoctlSetTermios(int(tty.Fd()), unix.TCSETS, &quiet); err != nil {
		return "", fmt.Errorf("terminal: %w", err)
	}
	defer func() { _ = unix.IoctlSetTermios(int(tty.Fd()), unix.TCSETS, old) }() // nothing more can be done for it
	in := bufio.NewReader(io.LimitReader(tty, 8192))
	var typed [2]string
	for i, ask := range []string{"Password: ", "The same again: "} {
		fmt.Fprint(c.err, ask)
		line, err := in.ReadString('\n')
		fmt.Fprintln(c.err)
		if err != nil {
			return "", fmt.Errorf("password: %w", err)
		}
		typed[i] = strings.TrimRight(line, "\r\n")
	}
	if typed[0] != typed[1] {
		return "", errors.New("the two passwords are not the same")
	}
	if typed[0] == "" {
		return "", errors.New("no password was typed")
	}
	return typed[0], nil
}
