package web

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/work"
	"postern/gateway/edge/crowd"
)

// Limits of a server.
const (
	MaxConnections = 2000
	MaxPerPeer     = 500 // of them, from one peer (crowd.Peer) that is no proxy of ours
	MaxAtOnce      = 256 // requests at work; a stream is none once it began
	MaxAtOnceEach  = 96  // of them, from one peer
	MaxOfOneLine   = 100 // requests at work on one HTTP/2 connection
	headerTime     = 10 * time.Second
	answerTime     = time.Minute
	strangerTime   = 15 * time.Second // for the form of somebody who is not signed in
	downloadTime   = 30 * time.Minute
	idleTime       = 2 * time.Minute
	graceTime      = 10 * time.Second
)

// Objects finds what paths name, within one organisation; ErrNotFound for what it does not have.
type Objects interface {
	Item(ctx context.Context, org string, id work.ID) (work.Entry, error)
	Pool(ctx context.Context, org, pool string) error
	// Patient is nil when those rights see at least one message of the patient.
	Patient(ctx context.Context, org, patient string, r staff.Rights) error
}

// Config is what a Server is made of.
type Config struct {
	Routes   []Route
	Visitors Visitors
	Objects  Objects
	Absent   []error        // errors of the layers below that mean ErrNotFound
	URL      string         // public URL: https://host[:port]
	TLS      *tls.Config    // nil: plain HTTP, from Proxies only
	Proxies  []netip.Prefix // whose X-Forwarded-For counts
	Log      *slog.Logger
	Clock    func() time.Time // time.Now
}

// Server serves the pages.
type Server struct {
	cfg     Config
	routes  []Route
	mux     *http.ServeMux
	origin  string // "https://host[:port]"
	host    string
	home    string
	assets  map[string]string // name → path with hash
	oops    *Template
	busy    busy
	streams streams
	stopped chan struct{} // closed when Serve is to end
	stop    func()
}

// New makes a server. It refuses a table with a route that does not say what it needs, and a configuration by
// which passwords could travel in the clear.
func New(c Config) (*Server, error) {
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	u, err := url.Parse(c.URL)
	if err != nil || u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.User != nil || u.RawQuery != "" {
		return nil, fmt.Errorf("web: %q is not a public URL such as https://clinic.example", c.URL)
	}
	if c.TLS == nil && len(c.Proxies) == 0 {
		return nil, errors.New("web: without TLS of its own the server needs a proxy to trust")
	}
	if c.Visitors == nil || c.Objects == nil {
		return nil, errors.New("web: nobody knows sessions or objects")
	}
	s := &Server{cfg: c, origin: "https://" + strings.ToLower(u.Host), host: strings.ToLower(u.Host), home: "/", assets: map[string]string{},
		oops: Parse(frameFiles, "asset/oops.html"), busy: busy{each: map[netip.Prefix]int{}}, stopped: make(chan struct{})}
	s.stop = sync.OnceFunc(func() { close(s.stopped) })
	s.routes = append(Files(frameFiles, "asset/style.css", "asset/frame.js", "asset/icon.svg"), c.Routes...)
	if s.mux, err = s.table(s.routes); err != nil {
		return nil, err
	}
	if !s.has("/") {
		s.home = "/account"
	}
	return s, nil
}

// Routes is the whole table: what a test of rights walks.
func (s *Server) Routes() []Route { return append([]Route(nil), s.routes...) }

// has tells whether a path is a page of the table.
func (s *Server) has(p string) bool {
	_, pattern := s.mux.Handler(&http.Request{Method: http.MethodGet, URL: &url.URL{Path: p}, Host: s.host})
	return pattern != ""
}

func (s *Server) clockNow() time.Time { return s.cfg.Clock() }

// Serve serves until ctx ends; then requests under way may end, streams do.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	l = crowd.New(crowd.Limits{All: MaxConnections, PerPeer: MaxPerPeer, Many: s.trusted}).Listen(l)
	if s.cfg.TLS != nil {
		tc := s.cfg.TLS.Clone()
		tc.NextProtos = []string{"h2", "http/1.1"}
		l = tls.NewListener(l, tc)
	}
	srv := &http.Server{Handler: s.Handler(), ReadHeaderTimeout: headerTime, ReadTimeout: answerTime, WriteTimeout: answerTime, IdleTimeout: idleTime,
		HTTP2: &http.HTTP2Config{MaxConcurrentStreams: MaxOfOneLine}, MaxHeaderBytes: 32 << 10, ErrorLog: slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelDebug)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		<-ctx.Done()
		s.stop()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), graceTime)
		defer cancel()
		if srv.Shutdown(grace) != nil {
			srv.Close()
		}
	}()
	err := srv.Serve(l)
	if ctx.Err() == nil { // a listener that failed
		return fmt.Errorf("web: %w", err)
	}
	<-ended
	return nil
}

// Handler serves the pages without a socket.
func (s *Server) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.header(w.Header())
		if err := s.admit(r); err != nil {
			s.turnAway(w, err)
			return
		}
		if _, pattern := s.mux.Handler(r); pattern == "" {
			s.serve(w, r, Route{Method: r.Method, Pattern: "(none)", none: true})
			return
		}
		s.mux.ServeHTTP(w, r)
	})
}

// admit is what is asked of a request before anything is known of it.
func (s *Server) admit(r *http.Request) error {
	if !strings.EqualFold(r.Host, s.host) {
		return errHost
	}
	if s.fromOutside(r) {
		return errCross
	}
	return nil
}

// turnAway answers without a page: to whom is not known yet.
func (s *Server) turnAway(w http.ResponseWriter, err error) {
	switch {
	case errors.Is(err, errHost):
		http.Error(w, "This gateway is reached at "+s.origin+"/", http.StatusMisdirectedRequest)
	case errors.Is(err, errProxy):
		http.Error(w, "Not reached this way.", http.StatusForbidden)
	case errors.Is(err, errCross):
		http.Error(w, "Not for other sites.", http.StatusForbidden)
	default:
		http.Error(w, "Busy; try again in a moment.", http.StatusServiceUnavailable)
	}
}

var errSignIn = errors.New("web: nobody is signed in")

// serve does one route.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, route Route) {
	began := s.clockNow()
	peer, err := s.peer(r)
	if err != nil {
		s.turnAway(w, err)
		return
	}
	leave, ok := s.busy.enter(peer)
	if !ok {
		s.turnAway(w, nil)
		return
	}
	defer leave()
	q := &Request{Request: r, Now: began.UTC(), Peer: peer, s: s, w: w, route: &route, idle: leave}
	err = s.answer(q)
	if err != nil {
		s.fail(q, err)
	}
	s.cfg.Log.Debug("web request", "route", route.String(), "person", string(q.Person.ID), "took", s.clockNow().Sub(began), "error", err)
}

// answer checks and handles; a handler that panics is a fault like any other.
func (s *Server) answer(q *Request) (err error) {
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler {
				panic(p)
			}
			err = fmt.Errorf("web: %s: %v\n%s", q.route, p, debug.Stack())
		}
	}()
	if q.route.file != nil {
		return q.route.Handle(q)
	}
	if err := s.identify(q); err != nil {
		return err
	}
	if q.route.none {
		return ErrNotFound
	}
	if q.Method == http.MethodPost { // before rights: a forged form learns nothing
		if !q.SignedIn() && q.route.Need.kind != needPublic {
			return errSignIn
		}
		if err := q.form(); err != nil {
			return err
		}
	}
	if err := s.allow(q); err != nil {
		return err
	}
	if q.route.Fresh && !q.Session.Fresh(q.Now) {
		return q.See("/prove?next="+url.QueryEscape(q.back()), "")
	}
	return q.route.Handle(q)
}

// back is the page to come back to: this one, or where the form of a POST stood.
func (q *Request) back() string {
	if q.Method != http.MethodPost {
		return Local(q.URL.RequestURI())
	}
	if u, err := url.Parse(q.Referer()); err == nil && strings.EqualFold(u.Scheme+"://"+u.Host, q.s.origin) {
		return Local(u.RequestURI())
	}
	return q.s.home
}
