package crash_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"postern/gateway"
	"postern/gateway/config"
	"postern/gateway/edge/control"
	"postern/gateway/lab/port"
	"postern/smime/addr"
)

// site is one gateway: its folder and the process that serves it.
type site struct {
	name     string
	dir      string
	config   string
	domain   addr.Domain // its main domain: trusts the other site
	wary     addr.Domain // its second domain: trusts nobody, so what comes is held
	sender   addr.Address
	password string
	ports    [4]int
	program  string
	log      *os.File

	mu      sync.Mutex
	process *exec.Cmd
	ended   chan struct{}
	killed  bool  // its end was ours
	died    error // it ended by itself
}

func (s *site) at(port int) string { return fmt.Sprintf("127.0.0.1:%d", s.ports[port]) }

// build makes the program under test.
func build(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "postern")
	if out, err := exec.Command("go", "build", "-o", program, "postern/cmd/postern").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return program
}

// newSites makes two sites that know each other and trust each other's main domain.
func newSites(t *testing.T, dir string) [2]*site {
	t.Helper()
	program := build(t)
	var sites [2]*site
	for i, name := range []string{"hospital", "clinic"} {
		s := &site{name: name, dir: filepath.Join(dir, name), program: program, password: "correct horse battery " + name,
			domain: addr.MustDomain("direct." + name + ".example"), wary: addr.MustDomain("wary." + name + ".example")}
		s.sender = addr.MustParse("dr@" + s.domain.String())
		s.ports = freePorts(t)
		made, err := gateway.Init(t.Context(), gateway.InitOptions{Dir: s.dir, Domain: s.domain, Now: time.Now(), SMTP: s.at(0),
			Submission: s.at(1), SubmissionTLS: s.at(2), DNS: s.at(3)})
		if err != nil {
			t.Fatal(err)
		}
		s.config = made.Config
		if s.log, err = os.Create(filepath.Join(s.dir, "gateway.log")); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.log.Close() })
		sites[i] = s
	}
	for i, s := range sites {
		if err := s.introduce(t.Context(), sites[1-i]); err != nil {
			t.Fatal(err)
		}
	}
	return sites
}

func freePorts(t *testing.T) (ports [4]int) {
	t.Helper()
	for i := range ports {
		var err error
		if ports[i], err = port.Free(); err != nil {
			t.Fatal(err)
		}
	}
	return ports
}

// introduce does what two administrators would.
func (s *site) introduce(ctx context.Context, peer *site) error {
	f, err := os.OpenFile(s.config, os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	fmt.Fprintf(f, "\n[resolver]\nservers = [%q]\n[notify]\nrequest_final_delivery = true\n", s.at(3))
	for _, d := range []addr.Domain{peer.domain, peer.wary} {
		fmt.Fprintf(f, "[peer.%q]\ndns = %q\nsmtp = %q\n", d.String(), peer.at(3), peer.at(0))
	}
	if err := f.Close(); err != nil {
		return err
	}
	return s.opened(ctx, func(g *gateway.Site) error {
		a := g.As("crash")
		text, err := os.ReadFile(filepath.Join(peer.dir, "anchor.pem"))
		if err != nil {
			return err
		}
		b, _ := pem.Decode(text)
		if b == nil {
			return errors.New("no anchor")
		}
		_, err = a.AnchorAdd(ctx, gateway.AnchorAdd{Domain: s.domain, Certificates: [][]byte{b.Bytes}, Incoming: true, Outgoing: true})
		if err != nil {
			return err
		}
		if err := a.DomainAdd(ctx, gateway.DomainAdd{Domain: s.wary}); err != nil {
			return err
		}
		if _, err := a.CertCreate(ctx, gateway.CertCreate{Domain: s.wary}); err != nil {
			return err
		}
		if err := a.AddressAdd(ctx, []gateway.AddressAdd{{Address: s.sender}, {Address: s.intake()}, {Address: s.closed()}}); err != nil {
			return err
		}
		return direct(ctx, g, "user.add", gateway.UserAdd{Login: "ehr", Password: s.password, Addresses: []addr.Address{s.sender}})
	})
}

func (s *site) intake() addr.Address  { return addr.MustParse("intake@" + s.domain.String()) }
func (s *site) closed() addr.Address  { return addr.MustParse("closed@" + s.wary.String()) }
func (s *site) unknown() addr.Address { return addr.MustParse("nobody@" + s.domain.String()) }

// opened runs f with the site open in this process; no gateway may run.
func (s *site) opened(ctx context.Context, f func(*gateway.Site) error) error {
	c, err := config.Load(s.config)
	if err != nil {
		return err
	}
	g, err := gateway.Open(ctx, c, gateway.Options{})
	if err != nil {
		return err
	}
	return errors.Join(f(g), g.Close())
}

// start runs the gateway and does not wait for it to be ready.
func (s *site) start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := exec.Command(s.program, "serve", "-c", s.config)
	p.Stderr, p.SysProcAttr = s.log, endsWithParent()
	if err := p.Start(); err != nil {
		return err
	}
	s.process, s.ended, s.killed = p, make(chan struct{}), false
	go func() {
		err := p.Wait()
		s.mu.Lock()
		defer s.mu.Unlock()
		if !s.killed {
			s.died = fmt.Errorf("the %s's gateway ended by itself: %v", s.name, err)
		}
		close(s.ended)
	}()
	return nil
}

// end signals the process and waits until it is gone.
func (s *site) end(sig syscall.Signal) error {
	s.mu.Lock()
	p, ended := s.process, s.ended
	s.killed = true
	s.mu.Unlock()
	if p == nil {
		return nil
	}
	if err := p.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-ended:
	case <-time.After(gateway.Grace + 2*time.Minute):
		return fmt.Errorf("the %s's gateway did not end", s.name)
	}
	if sig == syscall.SIGTERM && p.ProcessState.ExitCode() != 0 {
		return fmt.Errorf("the %s's gateway ended with %v when told to stop", s.name, p.ProcessState)
	}
	return nil
}

func (s *site) fault() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.died
}

// busy is how many jobs wait or are under way, clocks apart; those that are to be done are listed first.
func (s *site) busy(ctx context.Context) (n int, err error) {
	client, ok := control.Dial(filepath.Join(s.dir, "data", "control.sock"))
	if !ok {
		return 0, fmt.Errorf("the %s's gateway does not answer", s.name)
	}
	var lines []gateway.QueueLine
	if err := client.Call(ctx, "queue", "", nil, &lines, nil); err != nil {
		return 0, err
	}
	for _, l := range lines {
		if l.Parked {
			return 0, fmt.Errorf("the %s parked a job: %+v", s.name, l)
		}
		if l.Kind != "timer" {
			n++
		}
	}
	return n, nil
}

// killer kills either site at random moments until it did so often enough.
type killer struct {
	sites [2]*site
	kills int
	mean  time.Duration
	rnd   *rand.Rand
	done  int
}

func (k *killer) run(ctx context.Context) error {
	for k.done < k.kills {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(time.Duration((0.1 + 1.8*k.rnd.Float64()) * float64(k.mean))):
		}
		s := k.sites[k.rnd.IntN(2)]
		if err := errors.Join(s.fault(), s.end(syscall.SIGKILL)); err != nil {
			return err
		}
		k.done++
		time.Sleep(time.Duration(k.rnd.IntN(300)) * time.Millisecond)
		if err := s.start(); err != nil {
			return err
		}
	}
	return nil
}

var intakeOfB = addr.MustParse("intake@b.example")

// direct does a verb on a site this process has open.
func direct(ctx context.Context, g *gateway.Site, verb string, args any) error {
	b, err := json.Marshal(args)
	if err != nil {
		return err
	}
	_, err = g.Verbs().Do(ctx, control.Request{Verb: verb, Actor: "crash", Args: b, Body: strings.NewReader("")})
	return err
}
