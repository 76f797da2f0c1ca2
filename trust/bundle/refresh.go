package bundle

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"postern/trust/fetch"
)

// Further reasons, of fetching a bundle. All of them keep the last good one (TB-31).
const (
	NotFound    Reason = "not_found"        // the publisher answered, and not with a bundle
	Timeout     Reason = "download_timeout" // no answer, or a broken one: the next attempt may do better
	Unprotected Reason = "unprotected"      // plain HTTP and nobody's signature: anybody on the way could write it
	Blocked     Reason = "blocked"          // the URL is none we fetch, or leads where we do not go
)

// Source is one published bundle and what is known of it.
type Source struct {
	URL         string
	Signers     []*x509.Certificate // who may sign; empty = unsigned is accepted over HTTPS
	AllowLeaves bool
	AllowPlain  bool   // the operator accepts an unsigned bundle over plain HTTP (TB-21)
	Checksum    string // of the last good file
	ETag        string // of the last good answer, for a conditional request (TB-23)
	Modified    string
}

// Fetched is a successful attempt. Bundle is nil when nothing changed (TB-32).
type Fetched struct {
	Bundle         *Bundle
	ETag, Modified string
	NotModified    bool // the publisher said so, of the copy that Source.ETag and Modified name
}

// Fetch gets and judges a source once. Whatever goes wrong is an *Error with its Reason, but for the
// end of ctx, and nothing has changed then.
func Fetch(ctx context.Context, f fetch.Fetcher, s Source, now time.Time) (Fetched, error) {
	if len(s.Signers) == 0 && !s.AllowPlain && !strings.HasPrefix(strings.ToLower(s.URL), "https://") {
		return Fetched{}, failf(Unprotected, "%.200q is fetched over plain HTTP and no signer is configured", s.URL)
	}
	resp, err := f.Fetch(ctx, fetch.Request{
		URL: s.URL, MaxBytes: MaxOctets, ETag: s.ETag, Modified: s.Modified,
		Accept: "application/pkcs7-mime, application/x-pkcs7-certificates, application/octet-stream", // TB-17
	})
	if err != nil {
		return Fetched{}, fetchFault(ctx, err)
	}
	defer resp.Body.Close()
	got := Fetched{ETag: resp.ETag, Modified: resp.Modified}
	if resp.Status == http.StatusNotModified {
		got.ETag, got.Modified, got.NotModified = s.ETag, s.Modified, true
		return got, nil
	}
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return Fetched{}, fetchFault(ctx, err)
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) == s.Checksum {
		return got, nil
	}
	got.Bundle, err = Parse(data, Options{Signers: s.Signers, Time: now, AllowLeaves: s.AllowLeaves})
	if err != nil {
		return Fetched{}, err
	}
	return got, nil
}

func fetchFault(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("bundle: %w", ctx.Err())
	}
	var e *fetch.Error
	if !errors.As(err, &e) {
		return failf(Timeout, "%v", err)
	}
	switch e.Kind {
	case fetch.TooLarge:
		return failf(TooLarge, "%v", err)
	case fetch.BadURL, fetch.Forbidden, fetch.Redirected:
		return failf(Blocked, "%v", err)
	}
	if e.Temporary() {
		return failf(Timeout, "%v", err)
	}
	return failf(NotFound, "%v", err)
}

// Rails limit what a refresh may apply without a person (TB-34).
type Rails struct {
	MaxRemovedPercent int // more than this share of the anchors going is for a person; 100 = any
}

// Stop says why a change needs a person, or "" when it may be applied by itself. That a bundle is
// never emptied is not a rail: Parse refuses it.
func (r Rails) Stop(c Change) string {
	if p := c.RemovedPercent(); p > r.MaxRemovedPercent {
		return fmt.Sprintf("%d of %d anchors would go (%d %%), at most %d %% may go without a person", len(c.Removed), len(c.Removed)+len(c.Kept), p, r.MaxRemovedPercent)
	}
	return ""
}

// Schedule says when a source is due.
type Schedule struct {
	Interval time.Duration // between successes; zero or less = by hand only (TB-30)
	Success  time.Time     // the last one
	Attempt  time.Time     // the last one, successful or not
	Failures int           // since the last success
}

// Back-off after failures (TB-36).
const (
	firstRetry = 5 * time.Minute
	lastRetry  = 6 * time.Hour
)

// Next is when to try again: the interval after a success, else a doubling wait after each failure,
// never longer than the interval; with up to a tenth more by chance, so that not every gateway asks
// in the same minute. ok is false for a source refreshed by hand.
func (s Schedule) Next(rnd *rand.Rand) (at time.Time, ok bool) {
	if s.Interval <= 0 {
		return time.Time{}, false
	}
	wait, from := s.Interval, s.Success
	if s.Failures > 0 {
		wait, from = min(firstRetry<<min(s.Failures-1, 10), lastRetry, s.Interval), s.Attempt
	}
	return from.Add(wait + time.Duration(rnd.Int64N(int64(wait)/10+1))), true
}
