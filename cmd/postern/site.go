package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"postern/gateway"
	"postern/gateway/config"
	"postern/gateway/edge/control"
	"postern/gateway/spool/keys"
)

// caller does one verb of a site: in a running gateway when there is one, else in this process.
type caller func(ctx context.Context, verb string, in any, body io.Reader, out any, w io.Writer) error

// ask is a call with a value in and a value out.
func (call caller) ask(ctx context.Context, verb string, in, out any) error {
	return call(ctx, verb, in, nil, out, nil)
}

// configFlag adds -c to a flag set.
func configFlag(fs *flag.FlagSet) *string { return fs.String("c", "", "configuration file") }

// loadConfig finds and reads the configuration.
func (c *console) loadConfig(named string) (config.Config, error) {
	path, err := config.Find(named, c.env)
	if err != nil {
		return config.Config{}, err
	}
	cfg, err := config.Load(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: -c FILE or $POSTERN_CONFIG names the configuration of a site; postern init makes one", err)
	}
	return cfg, err
}

// withSite runs f against the site of a configuration. A running gateway is asked through its control
// socket; with none running this process takes the site's lock and does it itself.
func (c *console) withSite(ctx context.Context, named string, f func(call caller) error) error {
	cfg, err := c.loadConfig(named)
	if err == nil {
		f, err = c.withSignIn(f)
	}
	if err != nil {
		return err
	}
	if client, ok := control.Dial(cfg.Socket()); ok {
		return f(client.Call)
	}
	s, err := gateway.Open(ctx, cfg, gateway.Options{Credentials: c.env("CREDENTIALS_DIRECTORY")})
	if errors.Is(err, gateway.ErrLocked) { // a gateway that is starting or stopping, or another command
		if client, ok := waitForSocket(ctx, cfg.Socket()); ok {
			return f(client.Call)
		}
		s, err = gateway.Open(ctx, cfg, gateway.Options{Credentials: c.env("CREDENTIALS_DIRECTORY")})
	}
	if err != nil {
		return cannotOpen(cfg, err)
	}
	defer s.Close()
	return f(direct(s))
}

// cannotOpen says what to do about a site that could not be opened.
func cannotOpen(cfg config.Config, err error) error {
	switch {
	case errors.Is(err, gateway.ErrLocked):
		return fmt.Errorf("%w: another command works on it, or a gateway is starting or hangs; try again, and see who has %s open (fuser)", err, filepath.Join(cfg.Data, "lock"))
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: use the user the gateway runs as, or root", err)
	case errors.Is(err, fs.ErrNotExist) && !errors.Is(err, keys.ErrNoKey):
		return fmt.Errorf("%w: is %s the data directory of this site? A lost one comes back with postern restore", err, cfg.Data)
	}
	return err
}

// startTime is how long a gateway may take to answer once it has the site's lock.
const startTime = 10 * time.Second

func waitForSocket(ctx context.Context, path string) (*control.Client, bool) {
	for limit := time.Now().Add(startTime); time.Now().Before(limit) && ctx.Err() == nil; {
		if client, ok := control.Dial(path); ok {
			return client, true
		}
		time.Sleep(50 * time.Millisecond)
	}
	return nil, false
}

// direct does verbs on a site this process has open.
func direct(s *gateway.Site) caller {
	return func(ctx context.Context, verb string, in any, body io.Reader, out any, w io.Writer) error {
		args, err := json.Marshal(in)
		if err != nil {
			return err
		}
		if body == nil {
			body = bytes.NewReader(nil)
		}
		a, err := s.Verbs().Do(ctx, control.Request{Verb: verb, Actor: fmt.Sprintf("uid:%d", os.Getuid()), Args: args, Body: body})
		if err != nil {
			return err
		}
		if out != nil {
			value, err := json.Marshal(a.Value)
			if err != nil {
				return err
			}
			if err := json.Unmarshal(value, out); err != nil {
				return err
			}
		}
		if w != nil && a.Body != nil {
			return a.Body(w)
		}
		return nil
	}
}

// secret reads a password from a file ("-" is standard input) or an environment variable; never from an argument.
func (c *console) secret(file, variable string) (string, error) {
	if file == "" {
		return c.env(variable), nil
	}
	var b []byte
	var err error
	if file == "-" {
		b, err = io.ReadAll(io.LimitReader(c.in, maxSecret+1))
	} else {
		b, err = readFile(file, maxSecret)
	}
	if err == nil && len(b) > maxSecret {
		err = fmt.Errorf("more than %d octets were given as a password", maxSecret)
	}
	if err != nil {
		return "", err
	}
	return string(bytes.TrimRight(b, "\r\n")), nil
}

// maxSecret bounds a password, in octets.
const maxSecret = 4096

// readFile reads a file of at most limit octets.
func readFile(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if st, err := f.Stat(); err == nil && st.IsDir() {
		return nil, fmt.Errorf("%s is a directory: give a file", path)
	}
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("%s is larger than such a file may be (%d octets)", path, limit)
	}
	return b, err
}
