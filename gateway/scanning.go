package gateway

import (
	"context"
	"errors"
	"sync"
	"time"

	"postern/gateway/clinic/reading"
	"postern/gateway/clinic/scan"
	"postern/gateway/store"
)

// Limits of scanning what came in.
const (
	scanBatch = 8                // files under way at the same time
	scanPause = 20 * time.Second // between looks for files that are due again
)

// scan shows the files that came in to the scanner. Without a scanner for what comes in it returns at once.
func (g *Gateway) scan(ctx context.Context) {
	if g.site.Config.Scan.Incoming() {
		g.behind(ctx, scanPause, "files that came in could not be scanned; tried again, they stay held", g.site.Scan)
	}
}

// Scan shows the next files that are due to the scanner and says how many. One without an answer is held and due later.
func (s *Site) Scan(ctx context.Context) (int, error) {
	files, err := s.Store.ToScan(ctx, scanBatch)
	if err != nil {
		return 0, err
	}
	var wg sync.WaitGroup
	errs := make([]error, len(files))
	for i, f := range files {
		wg.Go(func() {
			a, err := s.scanFile(ctx, f)
			if err != nil { // it is tried later, like one without an answer: others must not wait behind it
				a = scan.Answer{Verdict: scan.Unknown, Words: "a fault of this gateway kept it from being shown to the scanner"}
			}
			if ctx.Err() == nil {
				err = errors.Join(err, s.Store.Scanned(ctx, f, a))
			}
			errs[i] = err
		})
	}
	wg.Wait()
	return len(files), errors.Join(errs...)
}

// scanFile shows one file to the scanner. What is not there any more, or cannot be read, is not clean.
func (s *Site) scanFile(ctx context.Context, f store.FileToScan) (scan.Answer, error) {
	it, err := s.Store.Item(ctx, f.Inbox, f.Number)
	if errors.Is(err, store.ErrNotFound) {
		return scan.Answer{Verdict: scan.Unknown, Words: "the message went"}, nil
	}
	if err != nil {
		return scan.Answer{}, err
	}
	m, err := s.reader().Open(ctx, it)
	if err != nil {
		return scan.Answer{}, err
	}
	defer m.Close()
	c, err := m.Part(f.Path)
	if errors.Is(err, reading.ErrNoPart) {
		return scan.Answer{Verdict: scan.Unknown, Words: "it cannot be read"}, nil
	}
	if err != nil {
		return scan.Answer{}, err
	}
	defer c.Close()
	return s.scanner().Scan(ctx, c.Section(), c.Size()), nil
}
