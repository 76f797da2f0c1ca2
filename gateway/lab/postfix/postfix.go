// Package postfix runs a private Postfix for tests: as next hop, as sender, and to measure against.
//
// Everything it has (configuration, queue, data, log) is in a temporary directory; it listens on free
// loopback ports and uses no DNS. It is started and stopped by the test that asked for it. Postfix needs
// root to run; without it, or without Postfix, the test is skipped (a failure when peers are required).
package postfix

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"postern/gateway/lab/peer"
	"postern/gateway/lab/port"
)

// patience is how long Postfix may take to start or to end. It only ends a wait for nothing.
const patience = 2 * time.Minute

// Server is a running Postfix.
type Server struct {
	Dir  string // its temporary directory; mail for a virtual mailbox is in Dir/mail/box/new
	Addr string // of its smtpd, in clear
}

const master = `%s inet n - n - 200 smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
`

// Start runs Postfix with these settings over a quiet base: no DNS, no local delivery, loopback may
// relay. The extra lines are in main.cf's own form; "DIR" in them stands for the server's directory.
func Start(t testing.TB, settings ...string) *Server {
	t.Helper()
	program := peer.Need(t, "postfix")
	if os.Geteuid() != 0 {
		peer.Missing(t, "Postfix needs root to start")
	}
	dir, err := os.MkdirTemp("/tmp", "postfix-lab-") // its user enters all folders above, and the names of its sockets are short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	n, err := port.Free()
	must(t, err)
	s := &Server{Dir: dir, Addr: port.At(n)}
	s.configure(t, settings)
	run(t, program, "-c", filepath.Join(dir, "etc"), "start")
	t.Cleanup(func() {
		s.stop(t)
		if t.Failed() {
			t.Logf("postfix log:\n%s", s.Log())
		}
	})
	for end := time.Now().Add(patience); ; {
		c, err := net.Dial("tcp", s.Addr)
		if err == nil {
			c.Close()
			return s
		}
		if time.Now().After(end) {
			t.Fatalf("postfix does not listen: %v\n%s", err, s.Log())
		}
		time.Sleep(20 * time.Millisecond) // it is another program: nothing to wait on
	}
}

// stop ends the master process, which ends its children; `postfix stop` would take seconds over it.
func (s *Server) stop(t testing.TB) {
	text, err := os.ReadFile(filepath.Join(s.Dir, "queue/pid/master.pid"))
	if err != nil {
		return // never came up
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Errorf("postfix: pid file: %v", err)
		return
	}
	syscall.Kill(pid, syscall.SIGTERM)
	for end := time.Now().Add(patience); syscall.Kill(pid, 0) == nil; {
		if time.Now().After(end) {
			t.Errorf("postfix master %d does not end", pid)
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// Mailbox is settings by which Postfix delivers mail for these addresses into one mailbox, and refuses
// other addresses of the domain. See Server.Mailbox.
func Mailbox(t testing.TB, domain string, addresses ...string) []string {
	t.Helper()
	u, err := user.Lookup("postfix")
	if err != nil {
		peer.Missing(t, "no user postfix: "+err.Error())
	}
	var m strings.Builder
	for _, a := range addresses {
		m.WriteString(" {" + a + " = box/}")
	}
	return []string{
		"virtual_mailbox_domains = " + domain, "virtual_mailbox_base = DIR/mail", "virtual_mailbox_maps = inline:{" + m.String() + " }",
		"virtual_uid_maps = static:" + u.Uid, "virtual_gid_maps = static:" + u.Gid, "virtual_mailbox_limit = 0", "mailbox_size_limit = 0",
	}
}

func (s *Server) configure(t testing.TB, settings []string) {
	t.Helper()
	base := []string{
		"compatibility_level = 3.6", "queue_directory = DIR/queue", "data_directory = DIR/data", "command_directory = /usr/sbin",
		"daemon_directory = /usr/lib/postfix/sbin", "maillog_file = DIR/log", "maillog_file_prefixes = DIR", "myhostname = postfix.test",
		"mydestination =", "inet_interfaces = 127.0.0.1", "inet_protocols = ipv4", "mynetworks = 127.0.0.0/8", "alias_maps =", "local_recipient_maps =",
		"smtpd_relay_restrictions = permit_mynetworks, reject", "disable_dns_lookups = yes", "smtp_dns_support_level = disabled", "smtpd_peername_lookup = no",
		"smtpd_client_connection_count_limit = 0", "smtpd_client_connection_rate_limit = 0", "default_process_limit = 200", "biff = no",
	}
	main := strings.Join(append(base, settings...), "\n") + "\n"
	for _, d := range []string{"etc", "queue", "data", "mail"} {
		must(t, os.MkdirAll(filepath.Join(s.Dir, d), 0o755))
	}
	must(t, os.WriteFile(filepath.Join(s.Dir, "etc/main.cf"), []byte(strings.ReplaceAll(main, "DIR", s.Dir)), 0o644))
	must(t, os.WriteFile(filepath.Join(s.Dir, "etc/master.cf"), fmt.Appendf(nil, master, s.Addr), 0o644))
	for name, mode := range map[string]os.FileMode{"": 0o755, "etc": 0o755, "queue": 0o755, "data": 0o755, "mail": 0o755, "etc/main.cf": 0o644, "etc/master.cf": 0o644} {
		must(t, os.Chmod(filepath.Join(s.Dir, name), mode)) // whatever the mask is
	}
	run(t, "chown", "postfix", filepath.Join(s.Dir, "data"), filepath.Join(s.Dir, "mail"))
}

// Log is what Postfix logged so far.
func (s *Server) Log() string {
	b, _ := os.ReadFile(filepath.Join(s.Dir, "log")) // none yet is an empty log
	return string(b)
}

// Mailbox is the messages delivered to the virtual mailbox "box", line ends as Postfix keeps them (LF).
func (s *Server) Mailbox(t testing.TB) [][]byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(s.Dir, "mail/box/new/*"))
	must(t, err)
	var out [][]byte
	for _, f := range files {
		b, err := os.ReadFile(f)
		must(t, err)
		out = append(out, b)
	}
	return out
}

func run(t testing.TB, name string, args ...string) {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
