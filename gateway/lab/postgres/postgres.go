// Package postgres runs a private PostgreSQL for tests: to ask another engine what it makes of the store's SQL.
//
// Everything it has is in a temporary directory; it listens on a socket there and on no port. PostgreSQL refuses to run
// as root: a test that is root runs it as the user postgres, which its package makes. Where it is not installed the
// test is skipped (a failure when peers are required). It is imported from tests only.
package postgres

import (
	"bytes"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"postern/gateway/lab/peer"
)

// startTime is how long the server may take to begin and to end.
const startTime = time.Minute

// Server is a running PostgreSQL with one empty database, whose text is UTF-8 and is ordered by its octets.
type Server struct {
	dir  string
	psql string
	as   *syscall.SysProcAttr // the user it runs as
}

// Start runs a PostgreSQL of the newest version that is installed until the test ends.
func Start(t testing.TB) *Server {
	t.Helper()
	initdb, server := program(t, "initdb"), program(t, "postgres")
	dir, err := os.MkdirTemp("/tmp", "postgres-lab-") // a test's own folder, and $TMPDIR, may be too deep for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &Server{dir: dir, psql: program(t, "psql")}
	s.own(t)
	data := filepath.Join(dir, "data")
	if out, err := s.command(initdb, "-D", data, "-U", "postgres", "-A", "trust", "--locale=C", "-E", "UTF8", "--no-sync").CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	var log bytes.Buffer // read once it has ended
	cmd := s.command(server, "-D", data, "-k", dir, "-c", "listen_addresses=", "-c", "fsync=off", "-c", "shared_buffers=16MB", "-c", "max_connections=8")
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGINT) // it ends its children and gives back its memory
		select {
		case <-ended:
		case <-time.After(startTime):
			cmd.Process.Kill()
			<-ended
		}
		if t.Failed() {
			t.Logf("postgres said:\n%s", &log)
		}
	})
	s.await(t, ended)
	return s
}

// program is the newest installed one of that name: Debian keeps each version's in a folder of its own.
func program(t testing.TB, name string) string {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name) // the pattern is well formed
	if len(found) == 0 {
		return peer.Need(t, name)
	}
	return slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })
}

func version(path string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path)))) // an unusual name counts as 0
	return n
}

// own gives the folder to the user the server runs as.
func (s *Server) own(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		peer.Missing(t, "no user postgres: "+err.Error())
	}
	uid, errUID := strconv.Atoi(u.Uid)
	gid, errGID := strconv.Atoi(u.Gid)
	if errUID != nil || errGID != nil {
		t.Fatalf("user postgres is %s of group %s", u.Uid, u.Gid)
	}
	if err := os.Chown(s.dir, uid, gid); err != nil {
		t.Fatal(err)
	}
	s.as = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
}

// command is a program in the server's folder, run as its user, with nothing of the test's own surroundings that
// could lead it to another server.
func (s *Server) command(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.SysProcAttr = s.dir, s.as
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "HOME=" + s.dir}
	return cmd
}

func (s *Server) await(t testing.TB, ended chan error) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := time.After(startTime)
	for {
		out, err := s.client("-c", "SELECT 1").CombinedOutput()
		if err == nil {
			return
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("postgres ended: %v", err)
		case <-late:
			t.Fatalf("postgres is not ready after %v: %s", startTime, out)
		case <-tick.C:
		}
	}
}

func (s *Server) client(args ...string) *exec.Cmd {
	return s.command(s.psql, append([]string{"-X", "-q", "-A", "-t", "-h", s.dir, "-U", "postgres", "-v", "VERBOSITY=terse"}, args...)...)
}

// place is where in the script a complaint is about.
var place = regexp.MustCompile(`(?m)^psql:<stdin>:[0-9]+: `)

// Run sends a script of psql in one session and gives the rows it brought, a line each with its columns parted by "|",
// and what the server complained of, a line each; what follows a complaint is run all the same.
func (s *Server) Run(t testing.TB, script string) (rows, complaints string) {
	t.Helper()
	var out, said bytes.Buffer
	cmd := s.client("-f", "-")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(script), &out, &said
	if err := cmd.Run(); err != nil {
		t.Fatalf("psql: %v\n%s", err, &said)
	}
	return out.String(), place.ReplaceAllString(said.String(), "")
}
