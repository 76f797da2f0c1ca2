package revoke

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"time"

	"postern/trust/fetch"
)

// fromList consults the list of one URL: the one at hand, and with mayFetch a newly fetched one.
func (i *inquiry) fromList(ctx context.Context, url string, mayFetch bool) (Answer, bool) {
	h, err := i.c.have(ctx, url, i.q)
	if err != nil {
		return Answer{}, false
	}
	if h.list != nil {
		a, why := h.list.consult(i.q, i.points, url)
		if why == "" {
			i.c.remember(url, i.q)
			return a, true
		}
		if mayFetch {
			h.err = fmt.Errorf("%w: %s", errStale, why)
		}
	}
	if !mayFetch {
		return Answer{}, false
	}
	if i.c.cfg.Fetcher != nil && i.c.cfg.Clock().After(h.retry) {
		if !i.take() {
			return Answer{}, false
		}
		got, err := i.c.lists.Do(ctx, listKey(url, i.q), func(ctx context.Context) held { return i.c.fetchList(ctx, url, i.q) })
		if err != nil {
			return Answer{}, false
		}
		h = got
	}
	if h.err == nil && h.list != nil {
		a, why := h.list.consult(i.q, i.points, url)
		if why == "" {
			return a, true
		}
		h.err = fmt.Errorf("%w: %s", errStale, why)
	}
	if h.err == nil {
		h.err = errors.New("revoke: not fetched: no network here")
	}
	i.failed(url, h.err)
	return Answer{}, false
}

// listKey is what a list, and the failure to get one, is known by: the URL with the issuer that must
// have signed it, so that a certificate of another issuer that names the same URL, at which there is
// no list of that issuer, costs nobody else anything.
func listKey(url string, q Query) string { return url + "\x00" + q.voucher() }

// voucher is the name and key that an answer must be signed for, and by what rules.
func (q Query) voucher() string {
	h := sha256.New()
	for _, b := range [][]byte{q.Issuer.RawSubject, q.Issuer.RawSubjectPublicKeyInfo} {
		sum := sha256.Sum256(b)
		h.Write(sum[:])
	}
	id := hex.EncodeToString(h.Sum(nil))
	if q.Legacy {
		id += "+legacy"
	}
	return id + "\x00"
}

// have is what is known of a URL; the first time, what the store kept. The error is ctx's.
func (c *Checker) have(ctx context.Context, url string, q Query) (held, error) {
	key := listKey(url, q)
	c.mu.Lock()
	h, ok := c.held[key]
	c.mu.Unlock()
	if ok || c.cfg.Store == nil {
		h.url = url
		return h, nil
	}
	return c.loads.Do(ctx, key, func(ctx context.Context) held { return c.load(ctx, url, key) })
}

func (c *Checker) load(ctx context.Context, url, key string) held {
	h := held{url: url}
	r, err := c.cfg.Store.Open(key)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			h.err = fmt.Errorf("revoke: list store: %w", err)
		}
		return h
	}
	defer r.Close()
	if l, err := c.read(ctx, io.LimitReader(r, MaxListOctets+1)); err == nil {
		h.list = l
		c.keep(key, h)
	}
	return h
}

// read reads a list when it is its turn: a few at a time, so that their memory adds up to little.
func (c *Checker) read(ctx context.Context, r io.Reader) (*List, error) {
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
		return ReadList(r)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// keep stores what is known of a URL, forgetting others when there is too much.
func (c *Checker) keep(key string, h held) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old := c.held[key].list; h.list != nil && old != nil && old.SHA256 != h.list.SHA256 {
		c.generation.Add(1)
	}
	c.held[key] = h
	total := 0
	for _, o := range c.held {
		if o.list != nil {
			total += o.list.Entries()
		}
	}
	for k, o := range c.held {
		if total <= maxHeldEntries && len(c.held) <= maxHeldLists {
			break
		}
		if k == key {
			continue
		}
		if o.list != nil {
			total -= o.list.Entries()
		}
		delete(c.held, k)
	}
}

func (c *Checker) remember(url string, q Query) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := listKey(url, q)
	if h, ok := c.held[key]; ok {
		h.query = q
		c.held[key] = h
	}
}

// fetchList fetches a URL and takes the list over when its issuer signed it, it is no older than the one at hand
// and about the same certificates: neither an old list played back nor another one of the same issuer must bring a
// withdrawn certificate to life.
func (c *Checker) fetchList(ctx context.Context, url string, q Query) held {
	inner, cancel := context.WithTimeout(ctx, ListTimeout)
	defer cancel()
	h, err := c.have(inner, url, q)
	if err != nil {
		return h
	}
	l, unsaved, err := c.download(inner, listKey(url, q), &h, func(l *List) error {
		if err := l.vouched(q); err != nil {
			return err
		}
		if h.list != nil && l.ThisUpdate.Before(h.list.ThisUpdate) && h.list.vouched(q) == nil {
			return fmt.Errorf("revoke: the list of %s is older than the one at hand of %s", stamp(l.ThisUpdate), stamp(h.list.ThisUpdate))
		}
		return h.list.yields(l, q)
	})
	if ctx.Err() != nil {
		return h
	}
	if err != nil && inner.Err() != nil {
		err = &fetch.Error{Kind: fetch.Unreachable, URL: url, Err: inner.Err()}
	}
	now := c.cfg.Clock()
	h.failed++
	if err == nil {
		h.fetched, h.failed = now, 0
	}
	h.err, h.query, h.retry = err, q, now.Add(patience(h.failed))
	if l != nil {
		h.list, h.unsaved = l, unsaved
	}
	c.keep(listKey(url, q), h)
	return h
}

// download streams a list through the parser and into the store, where it stays only if accept
// agrees. A store that fails costs the copy on disk, not the list: unsaved is why. No list and no
// error means that the one at hand is unchanged.
func (c *Checker) download(ctx context.Context, key string, h *held, accept func(*List) error) (l *List, unsaved, err error) {
	req := fetch.Request{URL: h.url, MaxBytes: MaxListOctets, Accept: "application/pkix-crl, */*;q=0.5"}
	if h.list != nil && h.err == nil {
		req.ETag, req.Modified = h.etag, h.changed
	}
	resp, err := c.cfg.Fetcher.Fetch(ctx, req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	if resp.Status == http.StatusNotModified {
		return nil, nil, nil
	}
	copied := &copying{}
	if c.cfg.Store != nil {
		copied.to, copied.err = c.cfg.Store.Create(key)
	}
	if l, err = c.read(ctx, io.TeeReader(resp.Body, copied)); err == nil {
		err = accept(l)
	}
	unsaved = copied.finish(err == nil)
	if err != nil {
		return nil, nil, err
	}
	h.etag, h.changed = resp.ETag, resp.Modified
	return l, unsaved, nil
}

// copying is a copy on the way to the store; it never fails the reader it listens to.
type copying struct {
	to  Pending
	err error
}

func (c *copying) Write(b []byte) (int, error) {
	if c.to != nil && c.err == nil {
		_, c.err = c.to.Write(b)
	}
	return len(b), nil
}

func (c *copying) finish(keep bool) error {
	switch {
	case c.to == nil:
	case keep && c.err == nil:
		c.err = c.to.Commit()
	default:
		c.to.Abort()
	}
	return c.err
}

// ahead is how long before nextUpdate a list is fetched anew: a tenth of its life, an hour at least,
// half its life at most.
func (l *List) ahead() time.Duration {
	life := l.NextUpdate.Sub(l.ThisUpdate)
	return min(max(life/10, time.Hour), life/2)
}

func (h held) due(now time.Time) bool {
	return now.After(h.list.NextUpdate.Add(-h.list.ahead())) || now.Sub(h.fetched) > ListAge
}

// Refresh fetches the lists in use whose nextUpdate comes near or that came long ago, and returns how
// many it replaced and the faults met. The gateway calls it every few minutes, so that no message
// waits for a list and a withdrawal is known within ListAge.
func (c *Checker) Refresh(ctx context.Context) (int, error) {
	if c.cfg.Fetcher == nil {
		return 0, nil
	}
	now := c.cfg.Clock()
	due := map[string]held{}
	c.mu.Lock()
	for k, h := range c.held {
		if h.list != nil && h.query.Issuer != nil && now.After(h.retry) && h.due(now) {
			due[k] = h
		}
	}
	c.mu.Unlock()
	replaced := 0
	var faults []error
	for k, h := range due {
		got, err := c.lists.Do(ctx, k, func(ctx context.Context) held { return c.fetchList(ctx, h.url, h.query) })
		switch {
		case err != nil:
			return replaced, errors.Join(append(faults, err)...)
		case got.err != nil:
			faults = append(faults, got.err)
		case got.list.SHA256 != h.list.SHA256:
			replaced++
		}
		if got.unsaved != nil {
			faults = append(faults, got.unsaved)
		}
	}
	return replaced, errors.Join(faults...)
}
