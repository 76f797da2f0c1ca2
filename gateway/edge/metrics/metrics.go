// Package metrics is what the gateway tells its monitoring: Prometheus metrics, and two pages that say
// whether it lives (/healthz) and whether it can take mail now (/readyz).
//
// github.com/prometheus/client_golang (Apache-2.0, kept by the Prometheus project, released several times a
// year) is taken because its text format, histograms and scrape limits are what every monitoring system
// reads; this package is its only home.
//
// There is no login: the pages are for loopback or a private network. They carry counts, kinds and reasons,
// never an address, a message's id or anything of a patient. /healthz only says that the process answers;
// /readyz names what is wrong in words for operators.
//
// Limits: 4 scrapes at a time of at most 10 s each, 64 connections, 200 different values a label (more are
// counted as "other").
package metrics

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"postern/gateway/edge/crowd"
)

// Limits of the HTTP service and of what is counted.
const (
	MaxScrapes     = 4
	ScrapeTime     = 10 * time.Second
	MaxConnections = 64
	MaxValues      = 200 // of one label
)

// Gauge is one value that is read when it is asked for.
type Gauge struct {
	Name, Help string
	Labels     map[string]string
	Value      float64
}

// Config is where the values come from that are not counted as they happen.
type Config struct {
	// Gauges reads them all; an error leaves them out of this scrape and is counted.
	Gauges func(ctx context.Context) ([]Gauge, error)
	// Before is called before each scrape, so that what is counted behind the events is up to date; nil is nothing.
	Before func(ctx context.Context)
	// NotReady says, in words, why no mail can be taken now; nothing means ready.
	NotReady func(ctx context.Context) []string
}

// Set is the gateway's metrics. Its methods may be called from many goroutines.
type Set struct {
	cfg         Config
	registry    *prometheus.Registry
	connections *prometheus.GaugeVec
	refused     *prometheus.CounterVec
	logins      *prometheus.CounterVec
	octets      *prometheus.CounterVec
	accept      *prometheus.HistogramVec
	durable     *prometheus.HistogramVec
	events      *prometheus.CounterVec
	jobs        *prometheus.HistogramVec
	failures    prometheus.Counter

	mu     sync.Mutex
	values map[string]map[string]bool // of bounded labels
}

// New makes an empty Set.
func New(c Config) *Set {
	s := &Set{cfg: c, registry: prometheus.NewRegistry(), values: map[string]map[string]bool{}}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "postern_" + name, Help: help}, labels)
		s.registry.MustRegister(v)
		return v
	}
	latency := func(name, help string, labels ...string) *prometheus.HistogramVec {
		v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "postern_" + name, Help: help,
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300}}, labels)
		s.registry.MustRegister(v)
		return v
	}
	s.connections = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "postern_smtp_connections", Help: "SMTP connections open now."}, []string{"listener"})
	s.failures = prometheus.NewCounter(prometheus.CounterOpts{Name: "postern_gauge_failures_total", Help: "Scrapes without the gauges because they could not be read."})
	s.registry.MustRegister(s.connections, s.failures, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), gauges{s})
	s.refused = counter("smtp_refused_total", "SMTP commands and connections refused, by reason.", "listener", "reason")
	s.logins = counter("smtp_logins_total", "AUTH exchanges that ended.", "listener", "ok")
	s.octets = counter("smtp_accepted_octets_total", "Octets of messages accepted.", "listener")
	s.accept = latency("smtp_accept_seconds", "From the first octet of a message to its 250; its count is the messages accepted.", "listener")
	s.durable = latency("smtp_durable_seconds", "Of accepting: making the message durable and committing its row.", "listener")
	s.events = counter("ladder_events_total", "Rungs reached on ladders, by kind, and by reason where there is one.", "kind", "reason")
	s.jobs = latency("job_seconds", "Work of one job, by kind and how it ended.", "kind", "fate")
	return s
}

// bounded is the value, or "other" once a label has too many.
func (s *Set) bounded(label, value string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := s.values[label]
	switch {
	case seen[value]:
		return value
	case len(seen) >= MaxValues || len(value) > 64:
		return "other"
	case seen == nil:
		seen = map[string]bool{}
		s.values[label] = seen
	}
	seen[value] = true
	return value
}

// Connections counts one SMTP connection opened (+1) or closed (-1).
func (s *Set) Connections(listener string, change int) {
	s.connections.WithLabelValues(listener).Add(float64(change))
}

// Refused counts a refusal.
func (s *Set) Refused(listener, reason string) {
	s.refused.WithLabelValues(listener, s.bounded("refused", reason)).Inc()
}

// Accepted counts a message that got its 250.
func (s *Set) Accepted(listener string, octets int64, took time.Duration) {
	s.octets.WithLabelValues(listener).Add(float64(octets))
	s.accept.WithLabelValues(listener).Observe(took.Seconds())
}

// Durable counts the part of accepting that waits for the disk.
func (s *Set) Durable(listener string, took time.Duration) {
	s.durable.WithLabelValues(listener).Observe(took.Seconds())
}

// Login counts a login that succeeded or not.
func (s *Set) Login(listener string, ok bool) {
	s.logins.WithLabelValues(listener, map[bool]string{true: "yes", false: "no"}[ok]).Inc()
}

// Event counts a rung.
func (s *Set) Event(kind, reason string) {
	s.events.WithLabelValues(s.bounded("kind", kind), s.bounded("reason", reason)).Inc()
}

// Job counts a job that was worked on.
func (s *Set) Job(kind, fate string, took time.Duration) {
	s.jobs.WithLabelValues(kind, fate).Observe(took.Seconds())
}

// gauges reads the gauges at each scrape.
type gauges struct{ s *Set }

// Describe says nothing: what there is is known only when it is read.
func (gauges) Describe(chan<- *prometheus.Desc) {}

// Collect reads them.
func (g gauges) Collect(out chan<- prometheus.Metric) {
	if g.s.cfg.Gauges == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), ScrapeTime/2)
	defer cancel()
	list, err := g.s.cfg.Gauges(ctx)
	if err != nil {
		g.s.failures.Inc()
		return
	}
	for _, v := range list {
		out <- prometheus.MustNewConstMetric(prometheus.NewDesc("postern_"+v.Name, v.Help, nil, v.Labels), prometheus.GaugeValue, v.Value)
	}
}

// Handler serves /healthz, /readyz and /metrics.
func (s *Set) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, nil) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), ScrapeTime/2)
		defer cancel()
		if why := s.cfg.NotReady(ctx); len(why) > 0 {
			answer(w, http.StatusServiceUnavailable, why)
			return
		}
		answer(w, http.StatusOK, nil)
	})
	scrape := promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{MaxRequestsInFlight: MaxScrapes, Timeout: ScrapeTime})
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
		if s.cfg.Before != nil {
			ctx, cancel := context.WithTimeout(r.Context(), ScrapeTime)
			s.cfg.Before(ctx)
			cancel()
		}
		scrape.ServeHTTP(w, r)
	})
	return mux
}

func answer(w http.ResponseWriter, code int, why []string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(struct {
		V   int      `json:"v"`
		OK  bool     `json:"ok"`
		Why []string `json:"why,omitempty"`
	}{1, code == http.StatusOK, why}) // a peer that hangs up needs no answer
}

// Serve serves until ctx ends.
func (s *Set) Serve(ctx context.Context, l net.Listener) error {
	srv := &http.Server{Handler: s.Handler(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 2 * ScrapeTime,
		IdleTimeout: time.Minute, MaxHeaderBytes: 8 << 10}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		<-ctx.Done()
		srv.Close()
	}()
	err := srv.Serve(crowd.New(crowd.Limits{All: MaxConnections}).Listen(l))
	<-ended
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
