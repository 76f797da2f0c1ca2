package main

import (
	"context"
	"encoding/json"
	"flag"
	"io"
	"strings"

	"postern/gateway"
)

// signIn is as whom a command about trust is given.
type signIn struct{ login, file, code string }

// asHelp is what the commands that take a sign-in say of it.
const asHelp = `  --as LOGIN        act as this trust administrator of the site, who signs in: the password is asked for, or comes from
                    --as-password-file FILE or $POSTERN_AS_PASSWORD; --as-code CODE where they have one-time codes
`

// trustConfig is configFlag for a command that can be given under a person's sign-in.
func (c *console) trustConfig(fs *flag.FlagSet) *string {
	fs.StringVar(&c.as.login, "as", "", "")
	fs.StringVar(&c.as.file, "as-password-file", "", "")
	fs.StringVar(&c.as.code, "as-code", "", "")
	return configFlag(fs)
}

// withSignIn makes f's calls under the sign-in that was given, if one was. What only looks needs none, and a code is
// good for one call.
func (c *console) withSignIn(f func(call caller) error) (func(call caller) error, error) {
	if c.as.login == "" {
		if c.as.file != "" || c.as.code != "" {
			return nil, usagef("--as-password-file and --as-code go with --as LOGIN")
		}
		return f, nil
	}
	password, err := c.secret(c.as.file, "POSTERN_AS_PASSWORD")
	if err != nil {
		return nil, err
	}
	if password == "" {
		if password, err = c.askOnce("Password of " + c.as.login + ": "); err != nil {
			return nil, err
		}
	}
	return func(call caller) error {
		return f(func(ctx context.Context, verb string, in any, body io.Reader, out any, w io.Writer) error {
			for _, looks := range []string{".get", ".list", ".diff"} {
				if strings.HasSuffix(verb, looks) {
					return call(ctx, verb, in, body, out, w)
				}
			}
			args, err := json.Marshal(in)
			if err != nil {
				return err
			}
			return call(ctx, "trust.as", gateway.AsArg{Login: c.as.login, Password: password, Code: c.as.code, Verb: verb, Args: args}, body, out, w)
		})
	}, nil
}
