// Package daemon runs independent servers as children of a test: BIND, unbound, NSD, Knot, slapd and nginx, on
// loopback ports of their own, in temporary folders, ended with the test. A program that is not
// installed skips the test, or fails it when peers are required (package peer).
//
// It is imported from tests only.
package daemon

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/gateway/lab/peer"
	"postern/gateway/lab/port"

	"github.com/miekg/dns"
)

// startTime is how long a server may take to be ready. It only ends a wait for nothing.
const startTime = 2 * time.Minute

// Start runs the program until the test ends and waits until ready says that it serves. The program
// must stay in the foreground. Its output is shown when it does not come up.
func Start(t testing.TB, ready func() bool, program string, args ...string) {
	t.Helper()
	cmd := exec.Command(program, args...)
	var out buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-ended
		if t.Failed() {
			t.Logf("%s said:\n%s", filepath.Base(program), &out)
		}
	})
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := time.After(startTime)
	for !ready() {
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("%s ended: %v", program, err)
		case <-late:
			t.Fatalf("%s is not ready after %v", program, startTime)
		case <-tick.C:
		}
	}
}

// buffer may be written by the child and read by the test at the same time.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// maxPlace is how long the path of a folder may be in which a server makes sockets (unix(7): 107 octets with their names).
const maxPlace = 80

// place is a new folder that is not too deep for sockets, and that may be entered whatever the process's mask is.
func place(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if len(dir) > maxPlace {
		var err error
		if dir, err = os.MkdirTemp("/tmp", "postern-lab-"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Port is a loopback port that was free for TCP and UDP a moment ago, and is given to nobody else.
func Port(t testing.TB) int {
	t.Helper()
	n, err := port.Free()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// split takes "127.0.0.1:5300" apart.
func split(t testing.TB, address string) (host, port string) {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return host, port
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// answers says whether a name server answers anything at all.
func answers(address, zone string) func() bool {
	return func() bool {
		m := new(dns.Msg)
		m.SetQuestion(dns.Fqdn(zone), dns.TypeSOA)
		m.RecursionDesired = false // readiness, not resolution
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_, _, err := (&dns.Client{Timeout: time.Second}).ExchangeContext(ctx, m, address)
		return err == nil
	}
}

// BIND runs named with the given text (zones, keys) after its options, as a resolver on the address
// it returns. It recurses to nobody but what the text says.
func BIND(t testing.TB, text string) (address string) {
	t.Helper()
	return bind(t, Port(t), text)
}

func bind(t testing.TB, port int, text string) (address string) {
	t.Helper()
	program := peer.Need(t, "named")
	dir := place(t)
	conf := filepath.Join(dir, "named.conf")
	write(t, conf, fmt.Sprintf(`options {
	directory %q; pid-file none; session-keyfile none;
	listen-on port %d { 127.0.0.1; }; listen-on-v6 { none; };
	recursion yes; allow-query { any; }; allow-recursion { any; }; dnssec-validation no;
	empty-zones-enable no; notify no; minimal-responses no; edns-udp-size 1232;
};
controls { };
%s
`, dir, port, text))
	address = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	Start(t, answers(address, "localhost"), program, "-g", "-n", "1", "-c", conf)
	return address
}

// BINDForward is the text that makes BIND ask one server for a zone.
func BINDForward(t testing.TB, zone, server string) string {
	host, port := split(t, server)
	return fmt.Sprintf("zone %q { type forward; forward only; forwarders { %s port %s; }; };\n", zone, host, port)
}

// Unbound runs unbound as a resolver whose only knowledge is the given text (stub zones).
func Unbound(t testing.TB, text string) (address string) {
	t.Helper()
	program := peer.Need(t, "unbound")
	dir, port := place(t), Port(t)
	conf := filepath.Join(dir, "unbound.conf")
	write(t, conf, fmt.Sprintf(`server:
	directory: %q
	username: ""
	chroot: ""
	pidfile: ""
	use-syslog: no
	interface: 127.0.0.1
	port: %d
	do-ip6: no
	do-not-query-localhost: no
	module-config: "iterator"
	edns-buffer-size: 1232
	use-caps-for-id: yes
	access-control: 127.0.0.0/8 allow
	num-threads: 1
%s
`, dir, port, text))
	address = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	Start(t, answers(address, "localhost"), program, "-d", "-c", conf)
	return address
}

// UnboundStub is the text that makes unbound ask one server for a zone.
func UnboundStub(t testing.TB, zone, server string) string {
	host, port := split(t, server)
	return fmt.Sprintf("stub-zone:\n\tname: %q\n\tstub-addr: %s@%s\n", zone, host, port)
}

// NSD runs nsd over one zone file, with one server process a processor.
func NSD(t testing.TB, zone, file string) (address string) {
	t.Helper()
	return nsd(t, Port(t), zone, "", fmt.Sprintf("	zonefile: %q\n", file))
}

// Copied is a zone that a secondary copies from a primary with a TSIG key (HMAC-SHA256).
type Copied struct {
	Zone, Primary, Key, Secret string
	Port                       int // of the secondary, from Port: the primary tells it of changes there
}

// BINDSecondary runs BIND as a secondary of the zone.
func BINDSecondary(t testing.TB, z Copied) (address string) {
	t.Helper()
	host, port := split(t, z.Primary)
	return bind(t, z.Port, fmt.Sprintf("key %q { algorithm hmac-sha256; secret %q; };\nzone %q { type secondary; primaries { %s port %s key %q; }; };\n",
		z.Key, z.Secret, z.Zone, host, port, z.Key))
}

// NSDSecondary runs NSD as a secondary of the zone.
func NSDSecondary(t testing.TB, z Copied) (address string) {
	t.Helper()
	host, port := split(t, z.Primary)
	return nsd(t, z.Port, z.Zone, fmt.Sprintf("key:\n	name: %q\n	algorithm: hmac-sha256\n	secret: %q\n", z.Key, z.Secret),
		fmt.Sprintf("	zonefile: \"copied\"\n	request-xfr: AXFR %s@%s %s\n	allow-notify: %s %s\n", host, port, z.Key, host, z.Key))
}

func nsd(t testing.TB, port int, zone, keys, how string) (address string) {
	t.Helper()
	program := peer.Need(t, "nsd")
	dir := place(t)
	conf := filepath.Join(dir, "nsd.conf")
	write(t, conf, fmt.Sprintf(`server:
	ip-address: 127.0.0.1@%d
	username: ""
	chroot: ""
	zonesdir: %q
	pidfile: %q
	database: ""
	xfrdfile: %q
	zonelistfile: %q
	server-count: %d
	reuseport: yes
	rrl-ratelimit: 0
	xfrdir: %q
remote-control:
	control-enable: no
%szone:
	name: %q
%s`, port, dir, filepath.Join(dir, "nsd.pid"), filepath.Join(dir, "xfrd.state"), filepath.Join(dir, "zone.list"), runtime.NumCPU(), dir, keys, zone, how))
	address = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	Start(t, answers(address, zone), program, "-d", "-c", conf)
	return address
}

// Knot runs knotd over one zone file, with one UDP worker a processor.
func Knot(t testing.TB, zone, file string) (address string) {
	t.Helper()
	return knot(t, Port(t), zone, "", fmt.Sprintf("    file: %q\n", file))
}

// KnotSecondary runs knotd as a secondary of the zone.
func KnotSecondary(t testing.TB, z Copied) (address string) {
	t.Helper()
	host, port := split(t, z.Primary)
	return knot(t, z.Port, z.Zone, fmt.Sprintf(`key:
  - id: %[1]q
    algorithm: hmac-sha256
    secret: %[2]q
remote:
  - id: primary
    address: %[3]s@%[4]s
    key: %[1]q
acl:
  - id: told
    address: %[3]s
    key: %[1]q
    action: notify
`, z.Key, z.Secret, host, port), "    master: primary\n    acl: told\n")
}

func knot(t testing.TB, port int, zone, keys, how string) (address string) {
	t.Helper()
	program := peer.Need(t, "knotd")
	dir := place(t)
	conf := filepath.Join(dir, "knot.conf")
	write(t, conf, fmt.Sprintf(`server:
    rundir: %[1]q
    listen: 127.0.0.1@%[2]d
    udp-workers: %[3]d
log:
  - target: stderr
    any: info
database:
    storage: %[1]q
%[4]szone:
  - domain: %[5]q
    storage: %[1]q
%[6]s`, dir, port, runtime.NumCPU(), keys, zone, how))
	address = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	Start(t, answers(address, zone), program, "-c", conf)
	return address
}

// Nginx runs a web server over the files of a folder and returns its base URL and the path of its access log, with
// the status and the path of each request on a line.
func Nginx(t testing.TB, folder string) (url, access string) {
	t.Helper()
	program := peer.Need(t, "nginx")
	dir, port := place(t), Port(t)
	conf := filepath.Join(dir, "nginx.conf")
	access = filepath.Join(dir, "access.log")
	user := ""
	if os.Getuid() == 0 {
		user = "user root;\n"
	}
	write(t, conf, fmt.Sprintf(`%[1]sdaemon off;
master_process off;
pid %[2]q;
error_log stderr;
events { }
http {
	log_format short "$status $request_uri";
	access_log %[3]q short;
	client_body_temp_path %[4]q;
	proxy_temp_path %[4]q;
	fastcgi_temp_path %[4]q;
	uwsgi_temp_path %[4]q;
	scgi_temp_path %[4]q;
	server { listen 127.0.0.1:%[5]d; root %[6]q; }
}
`, user, filepath.Join(dir, "pid"), access, dir, port, folder))
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	Start(t, accepts(address), program, "-c", conf, "-e", "stderr")
	return "http://" + address, access
}

// accepts says whether something listens.
func accepts(address string) func() bool {
	return func() bool {
		c, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			c.Close()
		}
		return err == nil
	}
}

// Slapd runs an OpenLDAP server over the entries of an LDIF text, all below suffix.
func Slapd(t testing.TB, suffix, ldif string) (address string) {
	t.Helper()
	program := peer.Need(t, "slapd")
	add := peer.Need(t, "slapadd")
	dir, port := place(t), Port(t)
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	conf := filepath.Join(dir, "slapd.conf")
	write(t, conf, slapdConf(suffix, dir, data))
	load := exec.Command(add, "-f", conf)
	load.Stdin = strings.NewReader(ldif)
	if out, err := load.CombinedOutput(); err != nil {
		t.Fatalf("slapadd: %v\n%s", err, out)
	}
	address = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	Start(t, accepts(address), program, "-d", "0", "-f", conf, "-h", "ldap://"+address)
	return address
}

func slapdConf(suffix, dir, data string) string {
	var b strings.Builder
	for _, s := range []string{"core", "cosine", "inetorgperson"} {
		fmt.Fprintf(&b, "include /etc/ldap/schema/%s.schema\n", s)
	}
	for _, d := range []string{"/usr/lib/ldap", "/usr/lib/openldap", "/usr/lib64/openldap"} {
		if _, err := os.Stat(filepath.Join(d, "back_mdb.so")); err == nil {
			fmt.Fprintf(&b, "modulepath %s\nmoduleload back_mdb\n", d)
		}
	}
	fmt.Fprintf(&b, "pidfile %s\nargsfile %s\ndatabase mdb\nsuffix %q\ndirectory %s\naccess to * by * read\n",
		filepath.Join(dir, "pid"), filepath.Join(dir, "args"), suffix, data)
	return b.String()
}
