package revoke_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"postern/trust/fetch"
	"postern/trust/internal/testpki"
	"postern/trust/revoke"
)

// publisher serves lists on loopback and counts requests.
type publisher struct {
	*httptest.Server
	mu    sync.Mutex
	pages map[string][]byte
	dated time.Time // Last-Modified of the pages; zero = not said
	count int
	sent  int // octets of bodies
}

func newPublisher(t *testing.T) *publisher {
	p := &publisher{pages: map[string][]byte{}}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.count++
		w = counting{w, &p.sent}
		if b, ok := p.pages[r.URL.Path]; ok {
			http.ServeContent(w, r, "", p.dated, bytes.NewReader(b))
			return
		}
		w.WriteHeader(http.StatusBadGateway)
	}))
	t.Cleanup(p.Close)
	return p
}

// counting counts the octets of bodies.
type counting struct {
	http.ResponseWriter
	n *int
}

func (c counting) Write(b []byte) (int, error) { *c.n += len(b); return c.ResponseWriter.Write(b) }

func (p *publisher) put(path string, b []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pages[path] = b
}

func (p *publisher) requests() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count
}

func fetcher() fetch.Fetcher {
	return fetch.New(fetch.Config{Guard: &fetch.Guard{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}})
}

// clock is a hand-set clock.
type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

// world is a CA, a leaf whose list is published, and a checker over it.
type world struct {
	*publisher
	root, leaf *testpki.Authority
	clock      *clock
	dir        *revoke.Dir
	path       string
}

func newWorld(t *testing.T) *world {
	w := &world{publisher: newPublisher(t), root: testpki.Root(t, "Root"), clock: &clock{testpki.Now}, path: t.TempDir()}
	w.leaf = w.root.Leaf(t, "dr@clinic.example", crlAt(w.URL+"/l.crl"))
	var err error
	if w.dir, err = revoke.OpenDir(w.path); err != nil {
		t.Fatal(err)
	}
	return w
}

// files is what the directory holds, without folders.
func (w *world) files(t *testing.T) (out []string) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(w.path), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			out = append(out, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (w *world) checker() *revoke.Checker {
	return revoke.New(revoke.Config{Fetcher: fetcher(), Store: w.dir, Clock: w.clock.Now})
}

func (w *world) ask(t *testing.T, c *revoke.Checker, want revoke.State) revoke.Answer {
	t.Helper()
	a := c.Check(context.Background(), revoke.Query{Cert: w.leaf.Cert, Issuer: w.root.Cert, Time: w.clock.now, Fetches: revoke.NewBudget(5, nil)})
	if a.State != want {
		t.Fatalf("%s: %s; want %s", a.State, a.Detail, want)
	}
	return a
}

func TestListsSurviveARestart(t *testing.T) {
	w := newWorld(t)
	w.put("/l.crl", w.root.List(t, []*x509.Certificate{w.leaf.Cert}))
	w.ask(t, w.checker(), revoke.Revoked)
	w.ask(t, w.checker(), revoke.Revoked)
	if w.requests() != 1 {
		t.Errorf("%d requests", w.requests())
	}
	// What the directory holds is judged like anything fetched.
	files := w.files(t)
	if len(files) != 2 || !strings.HasPrefix(files[1], "used/") { // the list, and what the decision names
		t.Fatal(files)
	}
	name := w.path + "/" + files[0]
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)-1] ^= 1
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	w.ask(t, w.checker(), revoke.Revoked)
	if w.requests() != 2 {
		t.Errorf("a damaged file was believed: %d requests", w.requests())
	}
}

func TestAnOlderListBringsNobodyBack(t *testing.T) {
	w := newWorld(t)
	w.put("/l.crl", w.root.List(t, []*x509.Certificate{w.leaf.Cert}, testpki.ListDates(-1, 2)))
	c := w.checker()
	w.ask(t, c, revoke.Revoked)
	w.clock.now = testpki.Now.AddDate(0, 0, 2).Add(-2 * time.Hour)
	w.put("/l.crl", w.root.List(t, nil, testpki.ListDates(-3, 30)))
	if n, err := c.Refresh(context.Background()); n != 0 || err == nil || !strings.Contains(err.Error(), "older") {
		t.Fatalf("%d, %v", n, err)
	}
	w.ask(t, c, revoke.Revoked)
	w.ask(t, w.checker(), revoke.Revoked) // nor after a restart
}

func TestAForgedListChangesNothing(t *testing.T) {
	w := newWorld(t)
	w.put("/l.crl", w.root.List(t, nil))
	c := w.checker()
	w.ask(t, c, revoke.Good)
	w.clock.now = testpki.Now.AddDate(0, 0, 5).Add(13 * time.Hour)
	w.put("/l.crl", testpki.Root(t, "Root").List(t, []*x509.Certificate{w.leaf.Cert}, testpki.ListDates(4, 30)))
	if n, err := c.Refresh(context.Background()); n != 0 || err == nil {
		t.Fatalf("%d, %v", n, err)
	}
	w.ask(t, c, revoke.Good)
	w.ask(t, w.checker(), revoke.Good)
}

func TestAFailedPlaceIsLeftAlone(t *testing.T) {
	w := newWorld(t)
	c := w.checker()
	for range 3 {
		if a := w.ask(t, c, revoke.Unknown); !a.Temporary {
			t.Errorf("not temporary: %s", a.Detail)
		}
	}
	if w.requests() != 1 {
		t.Errorf("%d requests within a minute", w.requests())
	}
	w.clock.now = w.clock.now.Add(revoke.RetryAfter + time.Second)
	w.ask(t, c, revoke.Unknown)
	w.clock.now = w.clock.now.Add(revoke.RetryAfter + time.Second)
	w.ask(t, c, revoke.Unknown)
	if w.requests() != 2 {
		t.Errorf("%d requests: the second failure is not followed by a longer pause", w.requests())
	}
	w.clock.now = w.clock.now.Add(revoke.LongestRetry)
	w.put("/l.crl", w.root.List(t, nil))
	w.ask(t, c, revoke.Good)
}

func TestWithoutFetchesLeft(t *testing.T) {
	w := newWorld(t)
	w.put("/l.crl", w.root.List(t, nil))
	a := w.checker().Check(context.Background(), revoke.Query{Cert: w.leaf.Cert, Issuer: w.root.Cert, Time: w.clock.now})
	if a.State != revoke.Unknown || w.requests() != 0 {
		t.Errorf("%+v, %d requests", a, w.requests())
	}
}

func TestResponderFirstListAfter(t *testing.T) {
	w := newWorld(t)
	leaf := w.root.Leaf(t, "dr@clinic.example", crlAt(w.URL+"/l.crl"), func(c *x509.Certificate) { c.OCSPServer = []string{w.URL + "/o"} })
	w.leaf = leaf
	w.put("/o", ocsp.TryLaterErrorResponse)
	w.put("/l.crl", w.root.List(t, []*x509.Certificate{leaf.Cert}))
	a := w.ask(t, w.checker(), revoke.Revoked)
	if a.Evidence[0].Kind != "crl" || w.requests() != 2 {
		t.Errorf("%+v, %d requests", a, w.requests())
	}
	// A list at hand saves the question.
	w.ask(t, w.checker(), revoke.Revoked)
	if w.requests() != 2 {
		t.Errorf("%d requests", w.requests())
	}
}

func TestConcurrentQuestionsShareOneFetch(t *testing.T) {
	w := newWorld(t)
	w.put("/l.crl", w.root.List(t, nil))
	c := w.checker()
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			a := c.Check(context.Background(), revoke.Query{Cert: w.leaf.Cert, Issuer: w.root.Cert, Time: w.clock.now, Fetches: revoke.NewBudget(5, nil)})
			if a.State != revoke.Good {
				t.Errorf("%+v", a)
			}
		})
	}
	wg.Wait()
	if n := w.requests(); n > 3 { // callers that came after the first flight landed find the list
		t.Errorf("%d requests", n)
	}
}

// full is a store whose disk is full.
type full struct{}

func (full) Open(string) (io.ReadCloser, error) { return nil, fs.ErrNotExist }
func (full) Create(string) (revoke.Pending, error) {
	return nil, errors.New("no space left on device")
}

func TestAFullDiskCostsTheCopyNotTheList(t *testing.T) {
	w := newWorld(t)
	w.put("/l.crl", w.root.List(t, []*x509.Certificate{w.leaf.Cert}))
	c := revoke.New(revoke.Config{Fetcher: fetcher(), Store: full{}, Clock: w.clock.Now})
	w.ask(t, c, revoke.Revoked)
	w.clock.now = testpki.Now.AddDate(0, 0, 5).Add(13 * time.Hour)
	w.put("/l.crl", w.root.List(t, nil, testpki.ListDates(4, 30)))
	if n, err := c.Refresh(context.Background()); n != 1 || err == nil || !strings.Contains(err.Error(), "no space") {
		t.Errorf("%d, %v: the administrator is not told", n, err)
	}
}

func TestCutOffListLeavesNoFile(t *testing.T) {
	w := newWorld(t)
	whole := w.root.List(t, nil)
	w.put("/l.crl", whole[:len(whole)-3])
	w.ask(t, w.checker(), revoke.Unknown)
	if files := w.files(t); len(files) != 0 {
		t.Error(files)
	}
}

func TestAListInUseIsFetchedAnewAndSparesThePublisher(t *testing.T) {
	w := newWorld(t)
	w.dated = testpki.Now.AddDate(0, 0, -1)
	w.put("/l.crl", w.root.List(t, nil, testpki.ListDates(-1, 90)))
	c := w.checker()
	w.ask(t, c, revoke.Good)
	sent := w.sent
	w.clock.now = testpki.Now.Add(revoke.ListAge + time.Second)
	if n, err := c.Refresh(context.Background()); n != 0 || err != nil || w.requests() != 2 || w.sent != sent {
		t.Errorf("replaced %d, %v; %d requests, %d octets more", n, err, w.requests(), w.sent-sent)
	}
	if n, err := c.Refresh(context.Background()); n != 0 || err != nil || w.requests() != 2 {
		t.Errorf("an unchanged list was fetched again at once: %d, %v, %d requests", n, err, w.requests())
	}
	w.clock.now = w.clock.now.Add(revoke.ListAge + time.Second)
	w.dated = w.clock.now
	w.put("/l.crl", w.root.List(t, []*x509.Certificate{w.leaf.Cert}, testpki.ListDates(0, 90)))
	before := c.Generation()
	if n, err := c.Refresh(context.Background()); n != 1 || err != nil || c.Generation() == before {
		t.Errorf("replaced %d, %v", n, err)
	}
	w.ask(t, c, revoke.Revoked)
}

func TestAnAnswerHoldsWhileTheResponderIsSilent(t *testing.T) {
	w := newWorld(t)
	w.leaf = w.root.Leaf(t, "dr@clinic.example", func(c *x509.Certificate) { c.OCSPServer = []string{w.URL + "/o"} })
	w.put("/o", w.root.Response(t, w.leaf.Cert, ocsp.Good, w.root)) // good for a day
	c := w.checker()
	if a := w.ask(t, c, revoke.Good); a.Until.After(w.clock.now.Add(revoke.AskAgain)) || len(a.Evidence[0].Response) == 0 {
		t.Errorf("%+v", a)
	}
	w.put("/o", ocsp.TryLaterErrorResponse)
	w.clock.now = w.clock.now.Add(revoke.AskAgain + time.Second)
	w.ask(t, c, revoke.Good)
	if w.requests() != 2 {
		t.Errorf("%d requests", w.requests())
	}
	w.clock.now = w.clock.now.Add(revoke.RetryAfter + time.Second)
	w.put("/o", w.root.Response(t, w.leaf.Cert, ocsp.Revoked, w.root))
	before := c.Generation()
	w.ask(t, c, revoke.Revoked)
	if c.Generation() == before {
		t.Error("decisions that rest on the old answer stay cached")
	}
	w.put("/o", ocsp.TryLaterErrorResponse)
	w.clock.now = w.clock.now.Add(48 * time.Hour)
	w.ask(t, c, revoke.Revoked) // for good, whatever the responder's silence
}

func TestPlacesThatAreNotFetchedFrom(t *testing.T) {
	w := newWorld(t)
	for name, o := range map[string]testpki.Option{
		"ldap list":      crlAt("ldap://dir.example/cn=ca?certificateRevocationList"),
		"ldap responder": func(c *x509.Certificate) { c.OCSPServer = []string{"ldap://dir.example"} },
	} {
		w.leaf = w.root.Leaf(t, "dr@clinic.example", o)
		if a := w.ask(t, w.checker(), revoke.Unknown); a.Temporary || !strings.Contains(a.Detail, "no http") {
			t.Errorf("%s: %+v", name, a)
		}
	}
	w.leaf = w.root.Leaf(t, "dr@clinic.example")
	w.ask(t, w.checker(), revoke.Unchecked)
}

func TestACrashLeavesNothingHalfWritten(t *testing.T) {
	w := newWorld(t)
	p, err := w.dir.Create("http://crl.example/x")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Write([]byte("half")); err != nil {
		t.Fatal(err)
	}
	again, err := revoke.OpenDir(w.path) // the process came back
	if err != nil {
		t.Fatal(err)
	}
	if _, err := again.Open("http://crl.example/x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("half a list is there: %v", err)
	}
	if files := w.files(t); len(files) != 0 {
		t.Error(files)
	}
}

// TestAListOfAnotherNameWithTheSameKey: a CA that uses one key under two names keeps two lists, and
// the list of one says nothing about the certificates of the other.
func TestAListOfAnotherNameWithTheSameKey(t *testing.T) {
	w := newWorld(t)
	other := testpki.RootWith(t, w.root.Key, "Other name")
	w.put("/l.crl", other.List(t, []*x509.Certificate{w.leaf.Cert}))
	if a := w.ask(t, w.checker(), revoke.Unknown); !strings.Contains(a.Detail, "another issuer") {
		t.Errorf("%+v", a)
	}
}
