package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"sync"
	"time"

	"postern/gateway/auth"
)

// Limits of streams.
const (
	MaxStreams     = 1000
	MaxStreamsEach = 6 // of one person: as many pages open at once are live
	streamBeat     = 20 * time.Second
	streamLife     = time.Hour // then the browser asks again
)

// Replace tells a page to put HTML in place of the element of that id. It is sent as event "replace".
type Replace struct {
	ID   string        `json:"id"`
	HTML template.HTML `json:"html"`
}

// streams counts those that are open.
type streams struct {
	mu   sync.Mutex
	each map[string]int
	all  int
}

func (s *streams) enter(who string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all >= MaxStreams || s.each[who] >= MaxStreamsEach {
		return false
	}
	if s.each == nil {
		s.each = map[string]int{}
	}
	s.all++
	s.each[who]++
	return true
}

func (s *streams) leave(who string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all--
	if s.each[who]--; s.each[who] <= 0 {
		delete(s.each, who)
	}
}

// Stream answers with server-sent events for as long as f runs. f waits on q.Context, which ends with the
// browser, the session, the server, or after an hour; send's error says that it ended. The data is sent as JSON.
// The route must say Quiet. One person has MaxStreamsEach; the next is told to come back (429).
func (q *Request) Stream(f func(send func(event string, data any) error) error) error {
	if !q.route.Quiet {
		return fmt.Errorf("web: route %s streams without saying Quiet", q.route)
	}
	who := string(q.Person.ID)
	if !q.s.streams.enter(who) {
		http.Error(q.w, "too many pages are open", http.StatusTooManyRequests)
		q.wrote = true
		return nil
	}
	defer q.s.streams.leave(who)
	q.idle()
	ctx, cancel := context.WithTimeout(q.Context(), streamLife)
	defer cancel()
	q.Request = q.WithContext(ctx)
	h := q.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	q.wrote = true
	out := &eventWriter{q: q, rc: http.NewResponseController(q.w)}
	if err := out.write(": here\n\n"); err != nil {
		return nil
	}
	var beats sync.WaitGroup
	beats.Go(func() { out.beat(ctx, cancel) })
	err := f(func(event string, data any) error { return out.send(ctx, event, data) })
	cancel()
	beats.Wait()
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}

// eventWriter writes events from two goroutines.
type eventWriter struct {
	mu sync.Mutex
	q  *Request
	rc *http.ResponseController
}

func (o *eventWriter) write(text string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	_ = o.rc.SetWriteDeadline(time.Now().Add(answerTime)) // the system's time, not ours; none to set in a test's recorder
	if _, err := o.q.w.Write([]byte(text)); err != nil {
		return err
	}
	return o.rc.Flush()
}

func (o *eventWriter) send(ctx context.Context, event string, data any) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	b, err := json.Marshal(data) // one line, and no markup: < is escaped
	if err != nil || strings.ContainsAny(event, "\r\n") {
		return fmt.Errorf("web: event %q: %w", event, errors.Join(err))
	}
	return o.write("event: " + event + "\ndata: " + string(b) + "\n\n")
}

// beat keeps the line open and asks whether the session still counts.
func (o *eventWriter) beat(ctx context.Context, cancel func()) {
	defer cancel()
	t := time.NewTicker(streamBeat)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-o.q.s.stopped:
			return
		case <-t.C:
		}
		v, err := o.q.s.cfg.Visitors.Visit(ctx, o.q.Session.Hash)
		if err != nil || !v.Session.Alive(o.q.s.clockNow()) || v.Session.Stage != auth.Full || v.Person.Disabled {
			_ = o.write("event: over\ndata: {}\n\n") // the line may be gone already
			return
		}
		if o.write(": still here\n\n") != nil {
			return
		}
	}
}
