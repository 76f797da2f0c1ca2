// Package config is the machine's configuration: one strict TOML file. What belongs to the business
// (domains, addresses, anchors, people) is in the database and changed at run time.
//
// An unknown key refuses to start and is named with its line, because a misspelt limit that is silently
// ignored is worse than a gateway that does not start. github.com/BurntSushi/toml (MIT) is taken because
// it tells positions and undecoded keys; this package is its only home.
//
// Limit: a file of 1 MiB, 1,000 peers, 16 secondary name servers.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"postern/smime/addr"
)

// Limits of a configuration.
const (
	MaxFile  = 1 << 20 // octets
	MaxPeers = 1000
)

// Config is the whole file. Paths are absolute once loaded: those in the file are taken from its folder.
type Config struct {
	Path string `toml:"-"`
	text []byte // as read, to name lines

	Hostname  string `toml:"hostname"`   // our name in SMTP greetings and notices
	Data      string `toml:"data"`       // the data directory
	MasterKey string `toml:"master_key"` // file with the master key, outside the data directory; "" reads the systemd credential postern-master-key

	SMTP          SMTP      `toml:"smtp"`
	Submission    Listeners `toml:"submission"`
	SubmissionTLS Listeners `toml:"submission_tls"`
	TLS           TLS       `toml:"tls"`
	DNS           DNS       `toml:"dns"`
	LDAP          Listeners `toml:"ldap"` // certificates of our addresses for anonymous search (CD-34)
	Resolver      Resolver  `toml:"resolver"`
	Relay         Relay     `toml:"relay"`
	Notify        Notify    `toml:"notify"`
	Trust         Trust     `toml:"trust"`
	Log           Log       `toml:"log"`
	Queue         Queue     `toml:"queue"`
	HSM           HSM       `toml:"hsm"`
	Metrics       Metrics   `toml:"metrics"`
	Web           Web       `toml:"web"`
	Scan          Scan      `toml:"scan"`

	Peer map[string]Peer `toml:"peer"`
}

// SMTP is the side that other gateways speak to.
type SMTP struct {
	Listen     []string `toml:"listen"`
	MaxSize    int64    `toml:"max_size"`    // octets of one message
	Timeout    Duration `toml:"timeout"`     // of one command
	MaxClients int      `toml:"max_clients"` // connections at a time, all listeners
	PerPeer    int      `toml:"per_peer"`    // connections at a time from one address
	PerLogin   int      `toml:"per_login"`   // messages a minute with one login
}

// Listeners is one kind of listening socket.
type Listeners struct {
	Listen []string `toml:"listen"`
}

// TLS names the certificate for all SMTP listeners; the files are read again when they change.
type TLS struct {
	Certificate string `toml:"certificate"`
	Key         string `toml:"key"`
}

// DNS is the authoritative server for the health domains hosted here.
type DNS struct {
	Listen     []string `toml:"listen"`
	Nameserver string   `toml:"nameserver"` // the NS name; default: hostname
	Addresses  []string `toml:"addresses"`  // our public addresses, for A and AAAA of hostname
	MailHost   string   `toml:"mail_host"`  // the MX name; default: hostname
	TTL        Duration `toml:"ttl"`

	Secondary map[string]Secondary `toml:"secondary"` // by the name server's name, which becomes an NS of every domain
}

// Resolver is whom we ask about others.
type Resolver struct {
	Servers []string `toml:"servers"` // host:port; default: /etc/resolv.conf
	Timeout Duration `toml:"timeout"`
}

// Relay is how mail leaves.
type Relay struct {
	SmartHost    string   `toml:"smart_host"`    // host:port for everything without a peer entry
	AllowPrivate []string `toml:"allow_private"` // networks that may be dialled although private ("127.0.0.0/8")
	Timeout      Duration `toml:"timeout"`       // of connecting and of one command
}

// Peer is a static route to one remote domain, for test beds and private networks.
type Peer struct {
	DNS  string `toml:"dns"`  // host:port asked for everything at or below the domain
	SMTP string `toml:"smtp"` // host:port mail goes to
}

// Notify is the gateway's patience (DN-42).
type Notify struct {
	T1            Duration `toml:"processed_within"`
	T2            Duration `toml:"dispatched_within"`
	Inside        Duration `toml:"edge_within"`
	FinalDelivery bool     `toml:"request_final_delivery"` // on every message of ours that does not say (DN-11)
}

// Trust is what all domains share.
type Trust struct {
	Fetch bool `toml:"fetch"` // AIA, CRL and OCSP over HTTP
}

// Log is how the gateway writes its log to standard error.
type Log struct {
	Format string `toml:"format"` // "text" or "json"
	Level  string `toml:"level"`  // "debug", "info", "warn", "error"
}

// Queue bounds what waits.
type Queue struct {
	MaxWaiting int64 `toml:"max_waiting"` // jobs; above it new mail is put off (452) until there are fewer
}

// Metrics is the HTTP service for monitoring: /healthz, /readyz and /metrics.
type Metrics struct {
	Listen string `toml:"listen"` // host:port; "" is none. It has no login: keep it on loopback or a private network
}

// Web is the clinic's pages. Without proxies they are served over TLS; with proxies over plain HTTP, and to nobody
// but those proxies: there is no way by which a password could travel in the clear.
type Web struct {
	Listen      string   `toml:"listen"`      // host:port; "" is none
	Certificate string   `toml:"certificate"` // PEM files; default: those of [tls]
	Key         string   `toml:"key"`
	PublicURL   string   `toml:"public_url"` // as people type it; default: https://hostname with the port of listen
	Proxies     []string `toml:"proxies"`    // networks of the reverse proxies in front, which end TLS
}

// Scan is a scanner that files are shown to before they are sent, and before those that came in are opened. What it does
// not plainly clear is held back. The zero value is none.
type Scan struct {
	Command []string `toml:"command"` // program and arguments: the file is its standard input; exit status 0 is clean, 1 is found
	Socket  string   `toml:"socket"`  // a clamd socket, as a path or host:port

	Direction string `toml:"direction"` // which files: "both" (default), "out" or "in"
}

// Outgoing and Incoming report whether there is a scanner for files that go out, and for those that come in.
func (s Scan) Outgoing() bool { return s.any() && s.Direction != "in" }

// Incoming is as Outgoing, for what comes in.
func (s Scan) Incoming() bool { return s.any() && s.Direction != "out" }

func (s Scan) any() bool { return len(s.Command) > 0 || s.Socket != "" }

// HSM is a PKCS#11 device that holds private keys of our certificates. It needs a build with the tag pkcs11.
type HSM struct {
	Module  string `toml:"module"`   // path of the device's PKCS#11 library; "" is no device
	Token   string `toml:"token"`    // label of the token
	PINFile string `toml:"pin_file"` // file with the user PIN; "" reads the systemd credential postern-hsm-pin
}

// Duration is a time.Duration written as "90s" or "1h".
type Duration time.Duration

// UnmarshalText reads the Go form of a duration; it must be positive.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil || v <= 0 {
		return fmt.Errorf("%q is not a duration such as 90s or 1h", b)
	}
	*d = Duration(v)
	return nil
}

// MarshalText writes the form that UnmarshalText reads.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// D is the duration.
func (d Duration) D() time.Duration { return time.Duration(d) }

// Default is the configuration before the file is read.
func Default() Config {
	return Config{
		SMTP:     SMTP{MaxSize: 50 << 20, Timeout: Duration(5 * time.Minute), MaxClients: 1000, PerPeer: 50, PerLogin: 3000},
		DNS:      DNS{TTL: Duration(time.Hour)},
		Resolver: Resolver{Timeout: Duration(3 * time.Second)},
		Relay:    Relay{Timeout: Duration(time.Minute)},
		Notify:   Notify{T1: Duration(time.Hour), T2: Duration(time.Hour), Inside: Duration(50 * time.Minute)},
		Trust:    Trust{Fetch: true},
		Log:      Log{Format: "text", Level: "info"},
		Queue:    Queue{MaxWaiting: 500_000},
	}
}

// Find is the configuration file to use: the one named, else $POSTERN_CONFIG, ./postern.toml, /etc/postern/postern.toml.
func Find(named string, env func(string) string) (string, error) {
	if named != "" {
		return named, nil
	}
	if p := env("POSTERN_CONFIG"); p != "" {
		return p, nil
	}
	for _, p := range []string{"postern.toml", "/etc/postern/postern.toml"} {
		if _, err := os.Stat(p); err == nil {
			return p, nil
		}
	}
	return "", errors.New("config: no configuration: neither -c, $POSTERN_CONFIG, ./postern.toml nor /etc/postern/postern.toml is there (`postern init DIR --domain D` makes one)")
}

// Load reads and checks a configuration file.
func Load(path string) (Config, error) {
	c := Default()
	st, err := os.Stat(path)
	if err != nil {
		return c, fmt.Errorf("config: %w", err)
	}
	if st.Size() > MaxFile {
		return c, fmt.Errorf("config: %s has %d octets, at most %d are read", path, st.Size(), MaxFile)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return c, fmt.Errorf("config: %w", err)
	}
	meta, err := toml.Decode(string(text), &c)
	var parse toml.ParseError
	if errors.As(err, &parse) {
		line := parse.Position.Line
		if strings.Contains(parse.Message, `got '\n'`) { // counted after the line's end was read
			line--
		}
		return c, fmt.Errorf("config: %s line %d: %s", path, line, parse.Message)
	}
	if err != nil {
		return c, fmt.Errorf("config: %s: %w", path, err)
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		return c, fmt.Errorf("config: %s line %d: unknown key %q (`postern help config` lists the keys)", path, lineOf(text, unknown[0]), unknown[0].String())
	}
	c.text = text
	if c.Path, err = filepath.Abs(path); err != nil {
		return c, fmt.Errorf("config: %w", err)
	}
	c.resolvePaths()
	return c, c.check()
}

// Where names a setting and the place it is set, for errors: "FILE line 12: smtp.listen". The key is
// given in its parts.
func (c *Config) Where(key ...string) string {
	parts := slices.Clone(key)
	for i, k := range parts {
		if strings.ContainsAny(k, ". ") { // the name of a peer or a secondary
			parts[i] = strconv.Quote(k)
		}
	}
	name := strings.Join(parts, ".")
	if n := lineOf(c.text, key); n > 0 {
		return fmt.Sprintf("%s line %d: %s", c.Path, n, name)
	}
	return fmt.Sprintf("%s: %s", c.Path, name)
}

// lineOf is the line on which a key's last name is set, looked for below its table's header; 0 when it
// is not set.
func lineOf(text []byte, key toml.Key) int {
	table := ""
	want := strings.Join(key[:len(key)-1], ".")
	last := key[len(key)-1]
	for i, l := range bytes.Split(text, []byte("\n")) {
		s := strings.TrimSpace(string(l))
		if strings.HasPrefix(s, "[") {
			table = strings.NewReplacer("[", "", "]", "", `"`, "").Replace(strings.SplitN(s, "#", 2)[0])
			table = strings.TrimSpace(table)
			if table == strings.Join(key, ".") {
				return i + 1
			}
			continue
		}
		name, _, found := strings.Cut(s, "=")
		if found && strings.Trim(strings.TrimSpace(name), `"`) == last && table == want {
			return i + 1
		}
	}
	return 0
}

func (c *Config) resolvePaths() {
	dir := filepath.Dir(c.Path)
	for _, p := range []*string{&c.Data, &c.MasterKey, &c.TLS.Certificate, &c.TLS.Key, &c.Web.Certificate, &c.Web.Key, &c.HSM.Module, &c.HSM.PINFile} {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
	if c.Web.Certificate == "" && c.Web.Key == "" {
		c.Web.Certificate, c.Web.Key = c.TLS.Certificate, c.TLS.Key
	}
	c.resolveSecondaries(dir)
	if c.DNS.Nameserver == "" {
		c.DNS.Nameserver = c.Hostname
	}
	if c.DNS.MailHost == "" {
		c.DNS.MailHost = c.Hostname
	}
}

// check finds what could not work, before anything starts; each fault names its key and line.
func (c *Config) check() error {
	var faults []error
	bad := func(key []string, format string, args ...any) {
		faults = append(faults, fmt.Errorf("config: %s: %s", c.Where(key...), fmt.Sprintf(format, args...)))
	}
	if _, err := addr.ParseDomain(c.Hostname); err != nil {
		bad([]string{"hostname"}, "%q is not a fully qualified name", c.Hostname)
	}
	if c.Data == "" {
		bad([]string{"data"}, "no data directory is set")
	}
	for _, l := range []struct {
		table, key string
		values     []string
	}{
		{"smtp", "listen", c.SMTP.Listen}, {"submission", "listen", c.Submission.Listen}, {"submission_tls", "listen", c.SubmissionTLS.Listen},
		{"dns", "listen", c.DNS.Listen}, {"ldap", "listen", c.LDAP.Listen}, {"resolver", "servers", c.Resolver.Servers}, {"relay", "smart_host", optional(c.Relay.SmartHost)},
		{"metrics", "listen", optional(c.Metrics.Listen)}, {"web", "listen", optional(c.Web.Listen)},
	} {
		for _, v := range l.values {
			if _, _, err := net.SplitHostPort(v); err != nil {
				bad([]string{l.table, l.key}, "%q is not host:port", v)
			}
		}
	}
	if len(c.Submission.Listen)+len(c.SubmissionTLS.Listen) > 0 && (c.TLS.Certificate == "" || c.TLS.Key == "") {
		bad([]string{"tls", "certificate"}, "submission needs tls.certificate and tls.key")
	}
	if _, err := c.Private(); err != nil {
		bad([]string{"relay", "allow_private"}, "%v", err)
	}
	for _, a := range c.DNS.Addresses {
		if _, err := netip.ParseAddr(a); err != nil {
			bad([]string{"dns", "addresses"}, "%q is not an IP address", a)
		}
	}
	if c.Notify.Inside >= c.Notify.T1 {
		bad([]string{"notify", "edge_within"}, "must be shorter than processed_within, or both sides report opposite outcomes (DN-60)")
	}
	if (c.HSM.Module == "") != (c.HSM.Token == "") || c.HSM.Module == "" && c.HSM.PINFile != "" {
		bad([]string{"hsm", "module"}, "a device needs both module and token")
	}
	if c.Log.Format != "text" && c.Log.Format != "json" {
		bad([]string{"log", "format"}, `%q is neither "text" nor "json"`, c.Log.Format)
	}
	c.checkWeb(bad)
	faults = append(faults, c.checkSecondaries()...)
	return errors.Join(append(faults, c.checkPeers()...)...)
}

// checkWeb looks over the web listener and what serves its people.
func (c *Config) checkWeb(bad func(key []string, format string, args ...any)) {
	w := c.Web
	if len(c.Scan.Command) > 0 && c.Scan.Socket != "" {
		bad([]string{"scan", "socket"}, "there is a command too: a file is shown to one scanner")
	}
	if !slices.Contains([]string{"", "both", "out", "in"}, c.Scan.Direction) {
		bad([]string{"scan", "direction"}, `%q is not "both", "out" or "in"`, c.Scan.Direction)
	}
	if len(c.Scan.Command) > 0 && !filepath.IsAbs(c.Scan.Command[0]) {
		bad([]string{"scan", "command"}, "%q is not a path from the root", c.Scan.Command[0])
	}
	if _, err := w.Networks(); err != nil {
		bad([]string{"web", "proxies"}, "%v", err)
	}
	if u, err := url.Parse(w.PublicURL); w.PublicURL != "" && (err != nil || u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "") {
		bad([]string{"web", "public_url"}, "%q is not a URL such as https://clinic.example", w.PublicURL)
	}
	if w.Listen == "" {
		return
	}
	if len(w.Proxies) == 0 && (w.Certificate == "" || w.Key == "") {
		bad([]string{"web", "certificate"}, "the web needs certificate and key (or those of [tls]), or proxies that end TLS in front of it")
	}
	if len(w.Proxies) > 0 && w.PublicURL == "" {
		bad([]string{"web", "public_url"}, "behind proxies the public URL must be said")
	}
}

// Networks is web.proxies as networks.
func (w Web) Networks() ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, s := range w.Proxies {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, fmt.Errorf("%q is not a network such as 127.0.0.1/32", s)
		}
		out = append(out, p.Masked())
	}
	return out, nil
}

// checkPeers looks over the static routes.
func (c *Config) checkPeers() (faults []error) {
	if len(c.Peer) > MaxPeers {
		return []error{fmt.Errorf("config: %s: %d peers, at most %d", c.Path, len(c.Peer), MaxPeers)}
	}
	for name, p := range c.Peer {
		if _, err := addr.ParseDomain(name); err != nil {
			faults = append(faults, fmt.Errorf("config: %s: not a domain", c.Where("peer", name)))
		}
		for key, v := range map[string]string{"dns": p.DNS, "smtp": p.SMTP} {
			if _, _, err := net.SplitHostPort(v); v != "" && err != nil {
				faults = append(faults, fmt.Errorf("config: %s: %q is not host:port", c.Where("peer", name, key), v))
			}
		}
	}
	return faults
}

// optional is a list of the value, or of nothing when it is not set.
func optional(v string) []string {
	if v == "" {
		return nil
	}
	return []string{v}
}

// Private is relay.allow_private as networks.
func (c *Config) Private() ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, s := range c.Relay.AllowPrivate {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, fmt.Errorf("%q is not a network such as 10.0.0.0/8", s)
		}
		out = append(out, p)
	}
	return out, nil
}

// Socket is the path of the control socket.
func (c *Config) Socket() string { return filepath.Join(c.Data, "control.sock") }

// Database is the path of the database.
func (c *Config) Database() string { return filepath.Join(c.Data, "postern.db") }

// Spool is the folder of the spool.
func (c *Config) Spool() string { return filepath.Join(c.Data, "spool") }
