package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"
)

// Limits of one fetch unless Config says otherwise.
const (
	ConnectTimeout  = 10 * time.Second // TB-22
	TotalTimeout    = 30 * time.Second
	MaxRedirects    = 3
	MaxHeader       = 32 << 10
	DefaultMaxBytes = 1 << 20
	MaxURL          = 2048 // octets
)

// Kind says what went wrong with a fetch.
type Kind string

// The kinds. Unreachable and the server's own faults are temporary, the others are not.
const (
	BadURL      Kind = "bad_url"   // not an http(s) URL we would open
	Forbidden   Kind = "forbidden" // the Guard refused the address
	NoSuchHost  Kind = "no_such_host"
	Unreachable Kind = "unreachable" // no answer about the name, no connection, too slow, broken off
	BadStatus   Kind = "bad_status"
	TooLarge    Kind = "too_large"
	Redirected  Kind = "redirected" // too often, or to where we do not go
)

// Error is why a fetch failed.
type Error struct {
	Kind   Kind
	URL    string
	Status int // for BadStatus
	Err    error
}

// Error says what failed, and to which URL.
func (e *Error) Error() string {
	if e.Kind == BadStatus {
		return fmt.Sprintf("fetch: %.200q: the server answered %d", e.URL, e.Status)
	}
	return fmt.Sprintf("fetch: %.200q: %s: %v", e.URL, e.Kind, e.Err)
}

// Unwrap is the cause.
func (e *Error) Unwrap() error { return e.Err }

// Temporary reports whether the same fetch may succeed later.
func (e *Error) Temporary() bool {
	switch e.Kind {
	case Unreachable:
		return true
	case BadStatus:
		return e.Status >= 500 || e.Status == http.StatusTooManyRequests || e.Status == http.StatusRequestTimeout
	}
	return false
}

// Temporary reports whether err is a fetch that may succeed later.
func Temporary(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Temporary()
}

// Request is one thing to fetch.
type Request struct {
	URL         string
	Body        []byte // not nil = POST
	ContentType string // of Body
	Accept      string
	MaxBytes    int64  // zero = DefaultMaxBytes
	ETag        string // conditional: answer 304 when nothing changed (TB-23)
	Modified    string // the Last-Modified of the copy at hand
}

// Response is a status 200 or, for a conditional Request, 304. Body is never nil, must be closed, and
// fails with a TooLarge Error beyond the request's limit.
type Response struct {
	Status      int
	URL         string // after redirects
	Body        io.ReadCloser
	ContentType string
	ETag        string
	Modified    string
}

// Config says how a Client fetches; the zero Config is safe.
type Config struct {
	Guard   *Guard
	Timeout time.Duration // in all; zero = TotalTimeout
	Agent   string        // User-Agent; zero = "postern"
	// Lookup resolves host names; nil = the system's resolver. A gateway with a resolver of its own
	// gives it here, so that everything it does asks the same servers. A name that does not exist is a
	// *net.DNSError with IsNotFound; every other error may pass.
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error)
}

// Client fetches under a Guard. It sends no cookies, credentials or proxy requests and keeps no
// connection open between fetches, since it visits strangers. It is safe for concurrent use.
type Client struct {
	http    *http.Client
	agent   string
	timeout time.Duration
}

// New makes a Client.
func New(cfg Config) *Client {
	dialer := &net.Dialer{Timeout: ConnectTimeout, Control: cfg.Guard.Control}
	c := &Client{agent: cfg.Agent, timeout: cfg.Timeout}
	if c.agent == "" {
		c.agent = "postern"
	}
	if c.timeout == 0 {
		c.timeout = TotalTimeout
	}
	c.http = &http.Client{
		Transport: &http.Transport{
			Proxy:                  nil,
			DialContext:            dialWith(dialer, cfg.Lookup),
			TLSHandshakeTimeout:    ConnectTimeout,
			ResponseHeaderTimeout:  c.timeout,
			MaxResponseHeaderBytes: MaxHeader,
			DisableCompression:     true, // a compressed answer must not grow past its limit
			DisableKeepAlives:      true,
		},
		CheckRedirect: checkRedirect,
	}
	return c
}

// maxAddrs bounds the addresses of one name that are tried.
const maxAddrs = 4

// dialWith dials through the given lookup; the dialler's Control judges every address either way.
func dialWith(d *net.Dialer, lookup func(context.Context, string) ([]netip.Addr, error)) func(context.Context, string, string) (net.Conn, error) {
	if lookup == nil {
		return d.DialContext
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		if _, err := netip.ParseAddr(host); err == nil {
			return d.DialContext(ctx, network, address)
		}
		addrs, err := lookup(ctx, host)
		if err != nil {
			return nil, err
		}
		err = fmt.Errorf("fetch: %s has no address", host)
		for _, a := range addrs[:min(len(addrs), maxAddrs)] {
			var c net.Conn
			if c, err = d.DialContext(ctx, network, net.JoinHostPort(a.String(), port)); err == nil {
				return c, nil
			}
		}
		return nil, err
	}
}

func checkRedirect(r *http.Request, via []*http.Request) error {
	if len(via) > MaxRedirects {
		return &Error{Kind: Redirected, URL: r.URL.String(), Err: fmt.Errorf("more than %d redirects", MaxRedirects)}
	}
	if _, err := checkURL(r.URL.String()); err != nil {
		return &Error{Kind: Redirected, URL: r.URL.String(), Err: err}
	}
	return nil
}

// checkURL admits http and https to a host, on the ports where such servers live: nobody makes this
// gateway talk HTTP to a mail or shell port.
func checkURL(raw string) (*url.URL, error) {
	if len(raw) > MaxURL {
		return nil, fmt.Errorf("URL longer than %d octets", MaxURL)
	}
	u, err := url.Parse(raw)
	if err != nil {
		return nil, errors.New("not a URL")
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("scheme %.20q, only http and https are fetched", u.Scheme)
	}
	if u.Hostname() == "" || u.User != nil {
		return nil, errors.New("no host, or credentials in the URL")
	}
	if p := u.Port(); p != "" {
		n, err := strconv.Atoi(p)
		if err != nil || n > 65535 || n < 1024 && n != 80 && n != 443 {
			return nil, fmt.Errorf("port %.10q, only 80, 443 and 1024 to 65535 are fetched from", p)
		}
	}
	return u, nil
}

// Fetch performs one request. Every error is an *Error, but for the end of ctx.
func (c *Client) Fetch(ctx context.Context, r Request) (*Response, error) {
	u, err := checkURL(r.URL)
	if err != nil {
		return nil, &Error{Kind: BadURL, URL: r.URL, Err: err}
	}
	inner, cancel := context.WithTimeout(ctx, c.timeout)
	resp, err := c.do(inner, u, r)
	if err != nil {
		cancel()
		if ctx.Err() != nil {
			return nil, fmt.Errorf("fetch: %w", ctx.Err())
		}
		return nil, classify(r.URL, err)
	}
	max := r.MaxBytes
	if max == 0 {
		max = DefaultMaxBytes
	}
	body := &limited{url: r.URL, body: resp.Body, left: max, max: max, cancel: cancel}
	if resp.ContentLength > max {
		body.Close()
		return nil, body.tooLarge()
	}
	if resp.StatusCode != http.StatusOK && !(resp.StatusCode == http.StatusNotModified && (r.ETag != "" || r.Modified != "")) {
		body.Close()
		return nil, &Error{Kind: BadStatus, URL: r.URL, Status: resp.StatusCode}
	}
	return &Response{
		Status: resp.StatusCode, URL: resp.Request.URL.String(), Body: body,
		ContentType: resp.Header.Get("Content-Type"), ETag: resp.Header.Get("ETag"), Modified: resp.Header.Get("Last-Modified"),
	}, nil
}

// Get fetches a whole body into memory, up to the request's limit.
func (c *Client) Get(ctx context.Context, r Request) ([]byte, error) {
	return ReadAll(ctx, c, r)
}

// Fetcher is what fetches: a Client, or a test's own.
type Fetcher interface {
	Fetch(ctx context.Context, r Request) (*Response, error)
}

// ReadAll fetches a whole body into memory, up to the request's limit.
func ReadAll(ctx context.Context, f Fetcher, r Request) ([]byte, error) {
	resp, err := f.Fetch(ctx, r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

func (c *Client) do(ctx context.Context, u *url.URL, r Request) (*http.Response, error) {
	req := (&http.Request{Method: http.MethodGet, URL: u, Host: u.Host, Header: http.Header{}}).WithContext(ctx)
	req.Header.Set("User-Agent", c.agent)
	set := func(name, value string) {
		if value != "" {
			req.Header.Set(name, value)
		}
	}
	set("Accept", r.Accept)
	set("If-None-Match", r.ETag)
	set("If-Modified-Since", r.Modified)
	if r.Body != nil {
		req.Method = http.MethodPost
		set("Content-Type", r.ContentType)
		body := r.Body
		req.ContentLength = int64(len(body))
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(newReader(body)), nil }
		req.Body, _ = req.GetBody()
	}
	return c.http.Do(req)
}
