package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"postern/gateway"
	"postern/gateway/config"
	"postern/gateway/edge/control"
)

func serveCommand() command {
	return command{"serve", "run the gateway", `Usage: postern serve [-c FILE]

Runs the gateway of a site until it is told to stop (SIGTERM or SIGINT): mail in transfer may end, then
what is under way is finished or given back. The log goes to standard error.

Exit codes: 0 stopped as told, 1 could not start or a socket failed, 2 used wrongly.
Example: postern serve -c /etc/postern/postern.toml
`, runServe}
}

func runServe(ctx context.Context, c *console, args []string) error {
	fs := c.flags("serve")
	file := configFlag(fs)
	if rest, err := parse(fs, args); err != nil || len(rest) > 0 {
		return orUsage(err, "serve takes no operands")
	}
	cfg, err := c.loadConfig(*file)
	if err != nil {
		return err
	}
	o := gateway.Options{Log: logger(c, cfg), Credentials: c.env("CREDENTIALS_DIRECTORY")}
	s, err := gateway.Open(ctx, cfg, o)
	for limit := time.Now().Add(startTime); errors.Is(err, gateway.ErrLocked) && time.Now().Before(limit) && ctx.Err() == nil; {
		time.Sleep(50 * time.Millisecond) // a command may have the site open for a moment
		s, err = gateway.Open(ctx, cfg, o)
	}
	if err != nil {
		return err
	}
	g, err := gateway.New(ctx, s)
	if err != nil {
		return errors.Join(err, s.Close())
	}
	return errors.Join(g.Run(ctx), s.Close())
}

// orUsage is err, or a usage error with the words.
func orUsage(err error, words string) error {
	if err != nil {
		return err
	}
	return usageError{words}
}

func logger(c *console, cfg config.Config) *slog.Logger {
	var level slog.Level
	if level.UnmarshalText([]byte(cfg.Log.Level)) != nil {
		level = slog.LevelInfo
	}
	o := &slog.HandlerOptions{Level: level}
	if cfg.Log.Format == "json" {
		return slog.New(slog.NewJSONHandler(c.err, o))
	}
	return slog.New(slog.NewTextHandler(c.err, o))
}

func statusCommand() command {
	return command{"status", "is the gateway running, and what waits", `Usage: postern status [--wait D] [-c FILE] [--json]

Says whether a gateway runs this site, where it listens, and how much waits. --wait D waits up to D for it to
start.

Exit codes: 0 it runs, 1 failed, 2 used wrongly, 3 it does not run.
Example: postern status --wait 10s
`, runStatus}
}

func runStatus(ctx context.Context, c *console, args []string) error {
	fs := c.flags("status")
	file, asJSON, wait := configFlag(fs), fs.Bool("json", false, ""), fs.Duration("wait", 0, "")
	if rest, err := parse(fs, args); err != nil || len(rest) > 0 {
		return orUsage(err, "status takes no operands")
	}
	cfg, err := c.loadConfig(*file)
	if err != nil {
		return err
	}
	for limit := time.Now().Add(*wait); ; {
		if client, ok := control.Dial(cfg.Socket()); ok {
			return c.status(ctx, client.Call, *asJSON)
		}
		if !time.Now().Before(limit) {
			return notYetError{fmt.Errorf("no gateway runs %s; `postern serve -c %s` starts it", cfg.Data, cfg.Path)}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (c *console) status(ctx context.Context, call caller, asJSON bool) error {
	var r gateway.Running
	if err := call.ask(ctx, "status", struct{}{}, &r); err != nil {
		return err
	}
	if asJSON {
		return c.printJSON(struct {
			V int `json:"v"`
			gateway.Running
		}{1, r})
	}
	fmt.Fprintf(c.out, "running since %s, process %d\n", r.Since.Local().Format(time.DateTime), r.Process)
	for _, key := range slices.Sorted(maps.Keys(r.Addresses)) {
		fmt.Fprintf(c.out, "  %-22s %s\n", key, strings.Join(r.Addresses[key], " "))
	}
	fmt.Fprintf(c.out, "waiting %d (parked %d), held %d\n", r.Queue, r.Parked, r.Held)
	if r.Mode.Paused {
		fmt.Fprintf(c.out, "PAUSED by %s since %s: nothing is sent or filed; postern queue resume ends it\n", r.Mode.Actor, r.Mode.Since.Local().Format(time.DateTime))
	}
	if r.Mode.Draining {
		fmt.Fprintf(c.out, "DRAINING by %s since %s: no new mail is taken; postern queue resume ends it\n", r.Mode.Actor, r.Mode.Since.Local().Format(time.DateTime))
	}
	return nil
}

func checkCommand() command {
	return command{"check", "say what is wrong before anything starts", `Usage: postern check [-c FILE] [--json]

Looks at a site without changing it: configuration, rights, keys, TLS certificate, ports, domains without
certificates or anchors, certificates about to expire; the clinic's pages, their certificate, address, proxies, people
and teams, and whether single sign-on answers. A gateway that runs the site is asked. Each finding says what to do.

Exit codes: 0 nothing would stop the gateway or its pages (there may be warnings), 1 something would, 2 used wrongly.
Example: postern check -c ./hospital/postern.toml
`, runCheck}
}

// finding is one line of `check`.
type finding struct {
	Level string `json:"level"` // "ok", "warning", "error"
	About string `json:"about"`
	Text  string `json:"text"`
}

func runCheck(ctx context.Context, c *console, args []string) error {
	fs := c.flags("check")
	file := configFlag(fs)
	asJSON := fs.Bool("json", false, "")
	if rest, err := parse(fs, args); err != nil || len(rest) > 0 {
		return orUsage(err, "check takes no operands")
	}
	found := lookOver(ctx, c, *file)
	bad := false
	for _, f := range found {
		bad = bad || f.Level == "error"
		if !*asJSON {
			fmt.Fprintf(c.out, "%-8s %-14s %s\n", f.Level, f.About, f.Text)
		}
	}
	if *asJSON {
		if err := c.printJSON(map[string]any{"v": 1, "ok": !bad, "findings": found}); err != nil {
			return err
		}
	}
	if bad {
		return errShown
	}
	return nil
}

func lookOver(ctx context.Context, c *console, file string) []finding {
	var out []finding
	add := func(level, about, format string, args ...any) {
		out = append(out, finding{level, about, fmt.Sprintf(format, args...)})
	}
	cfg, err := c.loadConfig(file)
	if err != nil {
		add("error", "configuration", "%v", err)
		return out
	}
	add("ok", "configuration", "%s", cfg.Path)
	if cfg.TLS.Certificate != "" {
		checkTLS(cfg, add)
	}
	s, err := gateway.Open(ctx, cfg, gateway.Options{Credentials: c.env("CREDENTIALS_DIRECTORY")})
	if errors.Is(err, gateway.ErrLocked) {
		add("ok", "gateway", "it is running, so its ports were not tried")
		return append(out, askRunning(ctx, cfg)...)
	}
	if err != nil {
		add("error", "site", "%v", err)
		return out
	}
	defer s.Close()
	add("ok", "site", "database, master key and spool open")
	checkPorts(cfg, add)
	for _, f := range s.Check(ctx) {
		add(f.Level, f.About, "%s", f.Text)
	}
	if st, err := os.Stat(cfg.Data); err == nil && st.Mode().Perm()&0o077 != 0 {
		add("warning", "data", "%s can be read by others (mode %04o): chmod 700 it; subjects and names are in the database in clear", cfg.Data, st.Mode().Perm())
	}
	return out
}

// askRunning is what the gateway that runs the site finds.
func askRunning(ctx context.Context, cfg config.Config) []finding {
	client, ok := control.Dial(cfg.Socket())
	if !ok {
		return []finding{{"warning", "gateway", "it does not answer at " + cfg.Socket() + ", so its database was not looked at"}}
	}
	var found []finding
	if err := caller(client.Call).ask(ctx, "check", struct{}{}, &found); err != nil {
		return []finding{{"warning", "gateway", "its database was not looked at: " + err.Error()}}
	}
	return found
}

func checkTLS(cfg config.Config, add func(level, about, format string, args ...any)) {
	pair, err := tls.LoadX509KeyPair(cfg.TLS.Certificate, cfg.TLS.Key)
	switch {
	case err != nil:
		add("error", "tls", "%v", err)
	case time.Now().After(pair.Leaf.NotAfter):
		add("warning", "tls", "the certificate of %s expired on %s; mail clients will refuse it", pair.Leaf.Subject, pair.Leaf.NotAfter.Format(time.DateOnly))
	case pair.Leaf.Issuer.String() == pair.Leaf.Subject.String():
		add("warning", "tls", "the certificate is self-signed: other gateways do not mind, mail clients will; replace %s", cfg.TLS.Certificate)
	default:
		add("ok", "tls", "%s until %s", pair.Leaf.Subject, pair.Leaf.NotAfter.Format(time.DateOnly))
	}
}

func checkPorts(cfg config.Config, add func(level, about, format string, args ...any)) {
	for key, list := range map[string][]string{"smtp.listen": cfg.SMTP.Listen, "submission.listen": cfg.Submission.Listen,
		"submission_tls.listen": cfg.SubmissionTLS.Listen, "dns.listen": cfg.DNS.Listen, "ldap.listen": cfg.LDAP.Listen, "web.listen": {cfg.Web.Listen}} {
		for _, at := range list {
			if at == "" {
				continue
			}
			l, err := net.Listen("tcp", at)
			if err == nil {
				l.Close()
				continue
			}
			hint := ""
			if strings.Contains(err.Error(), "permission denied") {
				hint = "; ports below 1024 need the right CAP_NET_BIND_SERVICE (the systemd unit gives it) or other ports"
			}
			add("error", key, "%v%s", err, hint)
		}
	}
}
