package web_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"postern/gateway/edge/web"
)

// TestOnePeerDoesNotTakeAllPlaces: whoever sends many requests slowly is turned away, and others are served.
func TestOnePeerDoesNotTakeAllPlaces(t *testing.T) {
	began, release := make(chan struct{}), make(chan struct{})
	h := newHouse(t, web.Route{Method: "GET", Pattern: "/slow", Need: web.Public(), Handle: func(q *web.Request) error {
		began <- struct{}{}
		<-release
		return q.See("/", "")
	}})
	from := func(addr, path string) int {
		r := httptest.NewRequest("GET", "https://clinic.example"+path, nil)
		r.RemoteAddr = addr
		w := httptest.NewRecorder()
		h.server.Handler().ServeHTTP(w, r)
		return w.Code
	}
	var under sync.WaitGroup
	for i := range web.MaxAtOnceEach { // of one IPv6 network, each from an address of its own
		under.Go(func() { from(fmt.Sprintf("[2001:db8::%x]:1", i+1), "/slow") })
		<-began
	}
	if n := h.server.Working(); n != web.MaxAtOnceEach {
		t.Errorf("%d are at work", n)
	}
	for addr, want := range map[string]int{"[2001:db8::ffff]:1": http.StatusServiceUnavailable, "[2001:db8:0:1::1]:1": http.StatusOK, "192.0.2.7:1": http.StatusOK} {
		if got := from(addr, "/sign-in"); got != want {
			t.Errorf("%s: %d, want %d", addr, got, want)
		}
	}
	close(release)
	under.Wait()
	if got := from("[2001:db8::ffff]:1", "/sign-in"); got != http.StatusOK || h.server.Working() != 0 {
		t.Errorf("afterwards: %d, %d at work", got, h.server.Working())
	}
}

// TestAStreamIsNotAtWork: pages that are open take no place from those that are asked for.
func TestAStreamIsNotAtWork(t *testing.T) {
	began := make(chan struct{})
	h := newHouse(t, web.Route{Method: "GET", Pattern: "/live", Need: web.SignedIn(), Quiet: true, Handle: func(q *web.Request) error {
		return q.Stream(func(func(string, any) error) error { close(began); <-q.Context().Done(); return nil })
	}})
	tok := h.person(nurse())
	ctx, leave := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() { h.ask("GET", "/live", tok, nil, func(r *http.Request) { *r = *r.WithContext(ctx) }) })
	<-began
	if n := h.server.Working(); n != 0 {
		t.Errorf("%d are at work while a stream is open", n)
	}
	leave()
	done.Wait()
}

func TestAStrangersFormIsSmall(t *testing.T) {
	h := newHouse(t)
	tok := h.person(nurse())
	big := strings.Repeat("x", web.MaxPublic)
	visit := func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "__Host-postern-visit", Value: "v"}) }
	form := map[string][]string{"csrf": {web.FormToken("v")}, "note": {big}}
	if r := h.ask("POST", "/sign-in", "", form, visit); r.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(text(t, r), "256 KiB") {
		t.Errorf("a stranger: %d", r.StatusCode)
	}
	form["csrf"] = []string{web.FormToken(tok)}
	if r := h.ask("POST", "/say", tok, form); r.StatusCode != http.StatusSeeOther {
		t.Errorf("who is signed in: %d", r.StatusCode)
	}
}

// TestABrokenFormIsNoFaultOfOurs: it is refused, and no error is logged for a stranger to fill the log with.
func TestABrokenFormIsNoFaultOfOurs(t *testing.T) {
	up := web.Route{Method: "POST", Pattern: "/up", Need: web.SignedIn(), Upload: 1 << 20, Handle: func(q *web.Request) error {
		return q.Parts(func(f web.File) error { _, err := io.Copy(io.Discard, f.Body); return err })
	}}
	h := newHouse(t, up)
	tok := h.person(nurse())
	token := web.FormToken(tok)
	for situation, k := range map[string]struct{ path, kind, body string }{
		"an escape that is none":    {"/say", "application/x-www-form-urlencoded", "csrf=" + token + "&note=%zz"},
		"a semicolon":               {"/say", "application/x-www-form-urlencoded", "csrf=" + token + ";note=1"},
		"an upload that breaks off": {"/up", "multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"csrf\"\r\n\r\n" + token + "\r\n--b\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\nhalf"},
		"a file that breaks off":    {"/up", "multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"csrf\"\r\n\r\n" + token + "\r\n--b\r\nContent-Disposition: form-data; name=\"x\"; filename=\"a\"\r\n\r\nhalf"},
	} {
		r := h.ask("POST", k.path, tok, nil, set("Content-Type", k.kind), func(r *http.Request) {
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(k.body)), int64(len(k.body))
		})
		if r.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(text(t, r), "did not come whole") {
			t.Errorf("%s: %d", situation, r.StatusCode)
		}
	}
}

// TestASlowFormIsCutOff, a stranger's sooner; by the bubble's clock.
func TestASlowFormIsCutOff(t *testing.T) {
	for _, k := range []struct {
		situation string
		signedIn  bool
		most      time.Duration
	}{{"a stranger", false, 20 * time.Second}, {"who is signed in", true, 70 * time.Second}} {
		synctest.Test(t, func(t *testing.T) {
			h := newHouse(t)
			cookie := "__Host-postern-visit=v"
			if k.signedIn {
				cookie = "__Host-postern=" + h.person(nurse())
			}
			h.config.TLS, h.config.Proxies = nil, loopback()
			s, err := web.New(h.config)
			if err != nil {
				t.Fatal(err)
			}
			l := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
			ctx, stop := context.WithCancel(t.Context())
			served := make(chan error, 1)
			go func() { served <- s.Serve(ctx, l) }()
			ours, theirs := net.Pipe()
			l.conns <- &local{theirs}
			began := time.Now()
			_, _ = io.WriteString(ours, "POST /sign-in HTTP/1.1\r\nHost: clinic.example\r\nCookie: "+cookie+"\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\ncsrf=")
			r, err := http.ReadResponse(bufio.NewReader(ours), nil)
			if err == nil && r.StatusCode < 400 {
				t.Errorf("%s: answered %s", k.situation, r.Status)
			}
			if took := time.Since(began); took > k.most {
				t.Errorf("%s: cut off after %s", k.situation, took)
			}
			ours.Close()
			stop()
			l.Close()
			<-served
		})
	}
}

// pipes is a listener of pipes.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

// local is a pipe from this machine.
type local struct{ net.Conn }

func (local) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 2} }
