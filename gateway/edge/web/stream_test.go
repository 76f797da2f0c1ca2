package web_test

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"postern/gateway/edge/web"
)

func TestAStreamEndsWithItsSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, ended := make(chan struct{}), make(chan error, 1)
		route := web.Route{Method: "GET", Pattern: "/live", Need: web.SignedIn(), Quiet: true, Handle: func(q *web.Request) error {
			return q.Stream(func(send func(string, any) error) error {
				if err := send("replace", web.Replace{ID: "a", HTML: "<b>&amp;"}); err != nil {
					return err
				}
				close(began)
				<-q.Context().Done()
				ended <- send("late", nil)
				return context.Cause(q.Context())
			})
		}}
		h := newHouse(t, route)
		tok := h.person(nurse())
		w := httptest.NewRecorder()
		done := make(chan struct{})
		go func() {
			defer close(done)
			r := httptest.NewRequest("GET", "https://clinic.example/live", nil)
			r.RemoteAddr = "192.0.2.7:1"
			r.AddCookie(&http.Cookie{Name: "__Host-postern", Value: tok})
			h.server.Handler().ServeHTTP(w, r)
		}()
		<-began
		time.Sleep(50 * time.Second) // two beats, of the bubble's clock
		synctest.Wait()
		select {
		case <-ended:
			t.Fatal("the stream ended before its session")
		default:
		}
		h.end(tok)
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("sending afterwards: %v", err)
		}
		<-done
		body := w.Body.String()
		if w.Header().Get("Content-Type") != "text/event-stream" || !strings.Contains(body, "event: replace\ndata: {\"id\":\"a\",\"html\":\"\\u003cb\\u003e\\u0026amp;\"}\n\n") ||
			!strings.HasSuffix(body, "event: over\ndata: {}\n\n") {
			t.Errorf("%q", body)
		}
		if h.touched != 0 {
			t.Error("a page that asks by itself keeps the session alive")
		}
	})
}

func TestStreamsOfOnePersonAreBounded(t *testing.T) {
	release := make(chan struct{})
	in := make(chan struct{}, web.MaxStreamsEach)
	h := newHouse(t, web.Route{Method: "GET", Pattern: "/live", Need: web.SignedIn(), Quiet: true, Handle: func(q *web.Request) error {
		return q.Stream(func(func(string, any) error) error { in <- struct{}{}; <-release; return nil })
	}})
	tok := h.person(nurse())
	done := make(chan int, web.MaxStreamsEach)
	for range web.MaxStreamsEach {
		go func() { done <- h.ask("GET", "/live", tok, nil).StatusCode }()
		<-in
	}
	if r := h.ask("GET", "/live", tok, nil); r.StatusCode != http.StatusTooManyRequests {
		t.Errorf("one more: %d", r.StatusCode)
	}
	close(release)
	for range web.MaxStreamsEach {
		if code := <-done; code != 200 {
			t.Errorf("stream: %d", code)
		}
	}
	if r := h.ask("GET", "/live", "", nil); r.StatusCode != 401 {
		t.Errorf("nobody: %d", r.StatusCode)
	}
}

func TestServeEndsWithItsStreams(t *testing.T) {
	h := newHouse(t)
	cfg := h.config
	began := make(chan struct{})
	cfg.Proxies, cfg.TLS = loopback(), nil
	cfg.Clock = time.Now
	h.now = time.Now()
	cfg.Routes = append(h.routes(), web.Route{Method: "GET", Pattern: "/live", Need: web.SignedIn(), Quiet: true, Handle: func(q *web.Request) error {
		return q.Stream(func(func(string, any) error) error { close(began); <-q.Context().Done(); return nil })
	}})
	s, err := web.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l) }()
	tok := h.person(nurse())
	r, err := http.NewRequest("GET", "http://"+l.Addr().String()+"/live", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "clinic.example"
	r.AddCookie(&http.Cookie{Name: "__Host-postern", Value: tok})
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	<-began
	stop()
	for sc := bufio.NewScanner(resp.Body); sc.Scan(); {
		continue
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}
