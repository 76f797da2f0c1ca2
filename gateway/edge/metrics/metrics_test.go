package metrics_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"postern/gateway/edge/metrics"
)

func scrape(s *metrics.Set, path string) (int, string) {
	r := httptest.NewRecorder()
	s.Handler().ServeHTTP(r, httptest.NewRequest("GET", path, nil))
	return r.Code, r.Body.String()
}

func TestLabelsAreBounded(t *testing.T) {
	s := metrics.New(metrics.Config{})
	for i := range metrics.MaxValues + 50 {
		s.Event("held", fmt.Sprintf("reason%d", i))
	}
	s.Event("held", strings.Repeat("x", 65))
	s.Event("held", "reason7")
	_, body := scrape(s, "/metrics")
	if n := strings.Count(body, "postern_ladder_events_total{"); n != metrics.MaxValues+1 {
		t.Errorf("%d different reasons, at most %d and other", n, metrics.MaxValues)
	}
	for _, want := range []string{`reason="other"} 51`, `reason="reason7"} 2`} {
		if !strings.Contains(body, want) {
			t.Errorf("metrics do not say %s", want)
		}
	}
}

func TestGaugesThatCannotBeRead(t *testing.T) {
	fail := true
	s := metrics.New(metrics.Config{Gauges: func(context.Context) ([]metrics.Gauge, error) {
		if fail {
			return nil, errors.New("locked")
		}
		return []metrics.Gauge{{Name: "held_messages", Help: "h", Value: 3}}, nil
	}})
	code, body := scrape(s, "/metrics")
	if code != 200 || strings.Contains(body, "held_messages") || !strings.Contains(body, "go_goroutines") {
		t.Errorf("a scrape without gauges: %d", code)
	}
	fail = false
	if _, body = scrape(s, "/metrics"); !strings.Contains(body, "postern_held_messages 3") || !strings.Contains(body, "postern_gauge_failures_total 1") {
		t.Error("the failure is not counted, or the gauge is not back")
	}
}

func TestOnlyWhatIsThere(t *testing.T) {
	s := metrics.New(metrics.Config{NotReady: func(context.Context) []string { return []string{"the disk is full"} }})
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 503, "/metrics": 200, "/": 404, "/debug/pprof/": 404} {
		if code, _ := scrape(s, path); code != want {
			t.Errorf("%s: %d, want %d", path, code, want)
		}
	}
	if _, body := scrape(s, "/readyz"); body != `{"v":1,"ok":false,"why":["the disk is full"]}`+"\n" {
		t.Errorf("readyz: %s", body)
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	s := metrics.New(metrics.Config{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	var all []net.Conn
	closed := 0
	for range metrics.MaxConnections + 5 {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	for _, c := range all[metrics.MaxConnections:] {
		_ = c.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := c.Read(make([]byte, 1)); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			var timeout net.Error
			if !errors.As(err, &timeout) || !timeout.Timeout() {
				closed++
			}
		}
	}
	if closed != 5 {
		t.Errorf("%d of 5 connections over the limit were closed", closed)
	}
	for _, c := range all {
		c.Close()
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
