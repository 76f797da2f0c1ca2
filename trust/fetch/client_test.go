package fetch_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"postern/trust/fetch"
)

func lab() *fetch.Guard {
	return &fetch.Guard{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
}

// server misbehaves by path.
func server(t *testing.T) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/ok":
			w.Header().Set("ETag", `"1"`)
			if r.Header.Get("If-None-Match") == `"1"` {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			fmt.Fprintf(w, "%s %s %s", r.Method, r.Header.Get("Content-Type"), must(io.ReadAll(r.Body)))
		case "/endless": // no Content-Length, more than any limit
			for {
				if _, err := w.Write(bytes.Repeat([]byte("x"), 64<<10)); err != nil {
					return
				}
			}
		case "/announced":
			w.Header().Set("Content-Length", "9999999")
			w.Write([]byte("x"))
		case "/cut":
			w.Header().Set("Content-Length", "100")
			w.Write([]byte("only this"))
		case "/headers":
			for i := range 2000 {
				w.Header().Set(fmt.Sprintf("X-%d", i), strings.Repeat("y", 100))
			}
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		case "/hop":
			http.Redirect(w, r, "/ok", http.StatusFound)
		case "/file":
			http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
		case "/smtp":
			http.Redirect(w, r, "http://127.0.0.1:25/", http.StatusFound)
		case "/metadata":
			http.Redirect(w, r, "http://169.254.169.254/latest/", http.StatusFound)
		case "/busy":
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestFetch(t *testing.T) {
	s := server(t)
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	cases := []struct {
		name      string
		guard     *fetch.Guard
		req       fetch.Request
		kind      fetch.Kind // "" = body as below
		body      string
		temporary bool
	}{
		{"get", lab(), fetch.Request{URL: s.URL + "/ok"}, "", "GET  ", false},
		{"post", lab(), fetch.Request{URL: s.URL + "/ok", Body: []byte("q"), ContentType: "application/x"}, "", "POST application/x q", false},
		{"one redirect", lab(), fetch.Request{URL: s.URL + "/hop"}, "", "GET  ", false},
		{"unchanged", lab(), fetch.Request{URL: s.URL + "/ok", ETag: `"1"`}, "", "", false},
		{"loopback without leave", nil, fetch.Request{URL: s.URL + "/ok"}, fetch.Forbidden, "", false},
		{"redirect to a forbidden address", lab(), fetch.Request{URL: s.URL + "/metadata"}, fetch.Forbidden, "", false},
		{"redirect loop", lab(), fetch.Request{URL: s.URL + "/loop"}, fetch.Redirected, "", false},
		{"redirect to a file", lab(), fetch.Request{URL: s.URL + "/file"}, fetch.Redirected, "", false},
		{"redirect to a mail port", lab(), fetch.Request{URL: s.URL + "/smtp"}, fetch.Redirected, "", false},
		{"mail port", lab(), fetch.Request{URL: "http://127.0.0.1:25/"}, fetch.BadURL, "", false},
		{"file", lab(), fetch.Request{URL: "file:///etc/passwd"}, fetch.BadURL, "", false},
		{"ldap", lab(), fetch.Request{URL: "ldap://127.0.0.1/x"}, fetch.BadURL, "", false},
		{"credentials", lab(), fetch.Request{URL: "http://u:p@127.0.0.1:8080/"}, fetch.BadURL, "", false},
		{"no host", lab(), fetch.Request{URL: "http:///x"}, fetch.BadURL, "", false},
		{"long", lab(), fetch.Request{URL: s.URL + "/" + strings.Repeat("a", fetch.MaxURL)}, fetch.BadURL, "", false},
		{"absent", lab(), fetch.Request{URL: s.URL + "/nothing"}, fetch.BadStatus, "", false},
		{"busy", lab(), fetch.Request{URL: s.URL + "/busy"}, fetch.BadStatus, "", true},
		{"endless", lab(), fetch.Request{URL: s.URL + "/endless", MaxBytes: 100 << 10}, fetch.TooLarge, "", false},
		{"announced too large", lab(), fetch.Request{URL: s.URL + "/announced"}, fetch.TooLarge, "", false},
		{"cut off", lab(), fetch.Request{URL: s.URL + "/cut"}, fetch.Unreachable, "", true},
		{"gigantic header", lab(), fetch.Request{URL: s.URL + "/headers"}, fetch.Unreachable, "", true},
		{"nobody listens", lab(), fetch.Request{URL: closed.URL}, fetch.Unreachable, "", true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b, err := fetch.New(fetch.Config{Guard: c.guard}).Get(context.Background(), c.req)
			if c.kind == "" {
				if err != nil || string(b) != c.body {
					t.Fatalf("%q, %v", b, err)
				}
				return
			}
			var e *fetch.Error
			if !errors.As(err, &e) || e.Kind != c.kind || fetch.Temporary(err) != c.temporary {
				t.Fatalf("got %v, want %s temporary=%v", err, c.kind, c.temporary)
			}
		})
	}
}

func TestFetchAsksTheGivenResolver(t *testing.T) {
	s := server(t)
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	names := map[string][]netip.Addr{
		"here.example":    {netip.MustParseAddr("127.0.0.1")},
		"second.example":  {netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("127.0.0.1")},
		"rebound.example": {netip.MustParseAddr("10.0.0.1")},
		"empty.example":   nil,
	}
	c := fetch.New(fetch.Config{Guard: lab(), Lookup: func(_ context.Context, host string) ([]netip.Addr, error) {
		if a, ok := names[host]; ok {
			return a, nil
		}
		if host == "silent.example" {
			return nil, errors.New("no answer")
		}
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}})
	for host, want := range map[string]fetch.Kind{
		"here.example": "", "second.example": "", "rebound.example": fetch.Forbidden, "empty.example": fetch.Unreachable,
		"silent.example": fetch.Unreachable, "absent.example": fetch.NoSuchHost,
	} {
		b, err := c.Get(context.Background(), fetch.Request{URL: "http://" + host + ":" + port + "/ok"})
		var e *fetch.Error
		if errors.As(err, &e); want == "" && (err != nil || len(b) == 0) || want != "" && (e == nil || e.Kind != want) {
			t.Errorf("%s: %q %v, want %q", host, b, err, want)
		}
		if fetch.Temporary(err) != (want == fetch.Unreachable) {
			t.Errorf("%s: temporary %v", host, fetch.Temporary(err))
		}
	}
}

func TestFetchExactlyAtTheLimit(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write(make([]byte, 1000)) }))
	defer s.Close()
	c := fetch.New(fetch.Config{Guard: lab()})
	if b, err := c.Get(context.Background(), fetch.Request{URL: s.URL, MaxBytes: 1000}); err != nil || len(b) != 1000 {
		t.Errorf("at the limit: %d, %v", len(b), err)
	}
	if _, err := c.Get(context.Background(), fetch.Request{URL: s.URL, MaxBytes: 999}); err == nil {
		t.Error("one octet beyond the limit was let through")
	}
}

func TestFetchGivesUpOnASilentServer(t *testing.T) {
	l := must(net.Listen("tcp", "127.0.0.1:0"))
	defer l.Close() // accepts in the kernel, never answers
	c := fetch.New(fetch.Config{Guard: lab(), Timeout: 50 * time.Millisecond})
	_, err := c.Get(context.Background(), fetch.Request{URL: "http://" + l.Addr().String()})
	if !fetch.Temporary(err) {
		t.Fatalf("got %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := c.Get(ctx, fetch.Request{URL: "http://" + l.Addr().String()}); !errors.Is(err, context.Canceled) {
		t.Fatalf("an ended context: %v", err)
	}
}

func TestFlightSharesOneFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f fetch.Flight[int]
		var calls atomic.Int32
		release := make(chan struct{})
		results := make(chan int, 10)
		for range 10 {
			go func() {
				v, err := f.Do(context.Background(), "k", func(context.Context) int {
					<-release
					return int(calls.Add(1))
				})
				if err != nil {
					v = -1
				}
				results <- v
			}()
		}
		synctest.Wait()
		close(release)
		for range 10 {
			if v := <-results; v != 1 {
				t.Errorf("got %d", v)
			}
		}
	})
}

func TestFlightSurvivesItsLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f fetch.Flight[string]
		ctx, cancel := context.WithCancel(context.Background())
		led := make(chan error, 1)
		go func() {
			_, err := f.Do(ctx, "k", func(ctx context.Context) string { <-ctx.Done(); return "cut short" })
			led <- err
		}()
		synctest.Wait()
		follower := make(chan string, 1)
		go func() {
			v, _ := f.Do(context.Background(), "k", func(context.Context) string { return "whole" })
			follower <- v
		}()
		synctest.Wait()
		cancel()
		if err := <-led; !errors.Is(err, context.Canceled) {
			t.Errorf("leader: %v", err)
		}
		if v := <-follower; v != "whole" {
			t.Errorf("follower got %q", v)
		}
	})
}
