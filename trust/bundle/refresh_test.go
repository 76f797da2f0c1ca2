package bundle_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"postern/trust/bundle"
	"postern/trust/fetch"
	"postern/trust/internal/testpki"
)

// publisher serves a bundle, well or badly, by path.
func publisher(t *testing.T, data []byte) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/good":
			w.Header().Set("ETag", `"v1"`)
			http.ServeContent(w, r, "", testpki.Now, bytes.NewReader(data))
		case "/wrong-type":
			w.Header().Set("Content-Type", "text/html")
			w.Write(data)
		case "/html":
			w.Write([]byte("<html><body>We have moved</body></html>"))
		case "/empty":
		case "/cut":
			w.Header().Set("Content-Length", "100000")
			w.Write(data[:20])
		case "/half":
			w.Write(data[:len(data)/2])
		case "/part":
			w.WriteHeader(http.StatusPartialContent)
			w.Write(data[:20])
		case "/slow":
			<-r.Context().Done()
		case "/endless":
			for {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		case "/inside":
			http.Redirect(w, r, "http://10.0.0.1/bundle.p7b", http.StatusFound)
		case "/busy":
			w.WriteHeader(http.StatusServiceUnavailable)
		case "/none":
			w.WriteHeader(http.StatusNotModified) // although nobody asked conditionally
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func TestFetch(t *testing.T) {
	a, b := testpki.Root(t, "A"), testpki.Root(t, "B")
	data := p7b(t, a.Cert.Raw, b.Cert.Raw)
	s := publisher(t, data)
	within := func(d time.Duration) *fetch.Client {
		return fetch.New(fetch.Config{Guard: &fetch.Guard{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, Timeout: d})
	}
	f := within(time.Minute)
	plain := func(path string) bundle.Source { return bundle.Source{URL: s.URL + path, AllowPlain: true} }
	first, err := bundle.Fetch(context.Background(), f, plain("/good"), testpki.Now)
	if err != nil || first.Bundle == nil || first.ETag == "" || first.Modified == "" {
		t.Fatalf("%+v %v", first, err)
	}
	known := plain("/good")
	known.ETag, known.Modified, known.Checksum = first.ETag, first.Modified, first.Bundle.Checksum
	same := plain("/wrong-type") // says nothing conditional: the octets are compared
	same.Checksum = first.Bundle.Checksum
	signed := plain("/good")
	signed.Signers = []*x509.Certificate{a.Cert}
	for _, c := range []struct {
		name    string
		s       bundle.Source
		want    bundle.Reason
		changed bool
	}{
		{"new", plain("/good"), "", true},
		{"unchanged, says the publisher", known, "", false},
		{"unchanged, by its octets", same, "", false},
		{"wrong media type", plain("/wrong-type"), "", true},
		{"a page", plain("/html"), bundle.InvalidFormat, false},
		{"nothing", plain("/empty"), bundle.InvalidFormat, false},
		{"broken off", plain("/cut"), bundle.Timeout, false},
		{"half of it", plain("/half"), bundle.InvalidFormat, false},
		{"a part nobody asked for", plain("/part"), bundle.NotFound, false},
		{"unchanged, though nobody asked", plain("/none"), bundle.NotFound, false},
		{"silent", plain("/slow"), bundle.Timeout, false},
		{"gigabytes", plain("/endless"), bundle.TooLarge, false},
		{"redirect loop", plain("/loop"), bundle.Blocked, false},
		{"redirect into our network", plain("/inside"), bundle.Blocked, false},
		{"busy", plain("/busy"), bundle.Timeout, false},
		{"gone", plain("/gone"), bundle.NotFound, false},
		{"unsigned where signed is required", signed, bundle.Unsigned, false},
		{"plain HTTP and nobody's signature", bundle.Source{URL: s.URL + "/good"}, bundle.Unprotected, false},
		{"a file", bundle.Source{URL: "file:///etc/passwd", AllowPlain: true}, bundle.Blocked, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := f
			if c.name == "silent" {
				f = within(100 * time.Millisecond)
			}
			got, err := bundle.Fetch(context.Background(), f, c.s, testpki.Now)
			if r := bundle.ReasonOf(err); r != c.want || (err != nil) != (c.want != "") {
				t.Fatalf("got %v, want %q", err, c.want)
			}
			if (got.Bundle != nil) != c.changed {
				t.Errorf("changed: %v", got.Bundle != nil)
			}
			if !c.changed && c.want == "" && c.s.ETag != "" && got.ETag != c.s.ETag {
				t.Errorf("the tag %q was lost", c.s.ETag)
			}
		})
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := bundle.Fetch(ctx, f, plain("/good"), testpki.Now); !errors.Is(err, context.Canceled) {
		t.Errorf("an ended context: %v", err)
	}
}

func TestRails(t *testing.T) {
	var old []*x509.Certificate
	for range 10 {
		old = append(old, testpki.Root(t, "A").Cert)
	}
	rails := bundle.Rails{MaxRemovedPercent: 20}
	if why := rails.Stop(bundle.Diff(old, old[2:], time.Time{})); why != "" {
		t.Errorf("two of ten: %s", why)
	}
	if why := rails.Stop(bundle.Diff(old, old[3:], time.Time{})); !strings.Contains(why, "3 of 10") {
		t.Errorf("three of ten: %q", why)
	}
	if why := (bundle.Rails{}).Stop(bundle.Diff(old, old[1:], time.Time{})); why == "" {
		t.Error("the zero rails let an anchor go")
	}
	if why := (bundle.Rails{}).Stop(bundle.Diff(old[1:], old, time.Time{})); why != "" {
		t.Errorf("an anchor more: %s", why)
	}
}

func TestSchedule(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	now := testpki.Now
	for _, c := range []struct {
		name     string
		s        bundle.Schedule
		earliest time.Duration // after Success or, with failures, Attempt
		latest   time.Duration
	}{
		{"a day after a success", bundle.Schedule{Interval: 24 * time.Hour, Success: now}, 24 * time.Hour, 27 * time.Hour},
		{"soon after a failure", bundle.Schedule{Interval: 24 * time.Hour, Success: now.AddDate(0, 0, -1), Attempt: now, Failures: 1}, 5 * time.Minute, 6 * time.Minute},
		{"longer after the third", bundle.Schedule{Interval: 24 * time.Hour, Attempt: now, Failures: 3}, 20 * time.Minute, 22 * time.Minute},
		{"not for ever", bundle.Schedule{Interval: 24 * time.Hour, Attempt: now, Failures: 1000}, 6 * time.Hour, 7 * time.Hour},
		{"never beyond the interval", bundle.Schedule{Interval: time.Hour, Attempt: now, Failures: 1000}, time.Hour, 66 * time.Minute},
	} {
		at, ok := c.s.Next(rnd)
		if d := at.Sub(now); !ok || d < c.earliest || d > c.latest {
			t.Errorf("%s: %v after", c.name, d)
		}
	}
	if _, ok := (bundle.Schedule{}).Next(rnd); ok {
		t.Error("a source refreshed by hand is due")
	}
}
