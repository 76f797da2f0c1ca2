package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"sync"
	"time"

	"postern/gateway/delivery/queue"
	"postern/gateway/edge/metrics"
	"postern/gateway/edge/smtpd"
)

// bindMetrics binds the monitoring service, where the configuration wants one.
func (g *Gateway) bindMetrics() error {
	s := g.site
	g.metrics = metrics.New(metrics.Config{Gauges: s.gauges, Before: g.countRungs, NotReady: s.NotReady})
	s.Pipeline.Watch = func(k queue.Kind, f queue.Fate, took time.Duration) { g.metrics.Job(string(k), string(f), took) }
	at := s.Config.Metrics.Listen
	if at == "" {
		return nil
	}
	var err error
	if g.metricsAt, err = net.Listen("tcp", at); err != nil {
		return fmt.Errorf("gateway: metrics.listen in %s: %w", s.Config.Path, err)
	}
	if ip := g.metricsAt.Addr().(*net.TCPAddr).IP; !ip.IsLoopback() {
		g.log.Warn("metrics.listen is not on loopback: whoever reaches it reads the gateway's counts without a login", "address", at)
	}
	return nil
}

// gauges reads what is counted in the database and on the disk.
func (s *Site) gauges(ctx context.Context) ([]metrics.Gauge, error) {
	depths, err := s.Store.Depths(ctx)
	if err != nil {
		return nil, err
	}
	held, err := s.Store.HeldCount(ctx)
	if err != nil {
		return nil, err
	}
	var out []metrics.Gauge
	for _, d := range depths {
		out = append(out, metrics.Gauge{Name: "queue_jobs", Help: "Jobs waiting or under way; parked ones wait for a person.",
			Labels: map[string]string{"class": string(d.Class), "parked": fmt.Sprint(d.Parked)}, Value: float64(d.Jobs)})
	}
	for _, class := range queue.Classes() {
		due, err := s.Store.NextDue(ctx, class)
		if err != nil {
			return nil, err
		}
		late := 0.0
		if !due.IsZero() {
			late = max(0, s.now().Sub(due).Seconds())
		}
		out = append(out, metrics.Gauge{Name: "queue_late_seconds", Help: "How long the job that is due longest has waited for a worker.",
			Labels: map[string]string{"class": string(class)}, Value: late})
	}
	open, err := s.Store.Unconfirmed(ctx)
	if err != nil {
		return nil, err
	}
	for state, n := range map[string]int64{"sent": open.Sent, "processed": open.Processed} {
		out = append(out, metrics.Gauge{Name: "unconfirmed_recipients", Help: "Recipients of messages handed over that nobody has confirmed yet: sent, their gateway is silent; processed, it has the message and final delivery is open.",
			Labels: map[string]string{"state": state}, Value: float64(n)})
	}
	waited := 0.0
	if !open.Oldest.IsZero() {
		waited = max(0, s.now().Sub(open.Oldest).Seconds())
	}
	out = append(out, metrics.Gauge{Name: "unconfirmed_oldest_seconds", Help: "How long the first of them has waited since its hand-over.", Value: waited})
	more, err := s.trustGauges(ctx)
	if err != nil {
		return nil, err
	}
	out = append(append(out, more...), s.certificateGauges()...)
	st, m := s.Spool.Stats(), s.mode.get()
	flag := map[bool]float64{true: 1}
	plain := func(name, help string, v float64) { out = append(out, metrics.Gauge{Name: name, Help: help, Value: v}) }
	plain("held_messages", "Inbound messages refused and kept.", float64(held))
	plain("queue_paused", "1 while an operator has the queue paused.", flag[m.Paused])
	plain("queue_draining", "1 while no new mail is taken.", flag[m.Draining])
	plain("spool_free_octets", "Octets left on the disk of the spool.", float64(st.Free))
	plain("spool_batches", "Group commits since the start.", float64(st.Batches))
	plain("spool_records", "Blobs made durable by them.", float64(st.Records))
	plain("spool_failures", "Group commits that a write or sync failed.", float64(st.Failures))
	return out, nil
}

// NotReady says, in words, why no mail can be taken now.
func (s *Site) NotReady(ctx context.Context) (why []string) {
	if err := s.Admit(ctx, s.Config.SMTP.MaxSize/10); err != nil {
		why = append(why, err.Error())
	}
	if err := s.Store.Writable(ctx); err != nil {
		why = append(why, err.Error())
	}
	return why
}

// countEvery is how long rungs are let come together before they are counted.
const countEvery = 50 * time.Millisecond

// rungs is how far the events of ladders were counted.
type rungs struct {
	sync.Mutex
	at    int64
	known bool // at is where counting began, or went on to
}

// follow counts rungs as they are committed.
func (g *Gateway) follow(ctx context.Context) {
	for {
		changed := g.site.Store.Changed()
		g.countRungs(ctx)
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
		select { // what comes meanwhile is counted with it
		case <-ctx.Done():
			return
		case <-time.After(countEvery):
		}
	}
}

// countRungs counts what was committed since the last time; the first time it only learns where to begin. A fault of
// the database leaves the rest for the next time.
func (g *Gateway) countRungs(ctx context.Context) {
	g.rungs.Lock()
	defer g.rungs.Unlock()
	if !g.rungs.known {
		at, err := g.site.Store.LastEvent(ctx)
		g.rungs.at, g.rungs.known = at, err == nil
		return
	}
	for {
		events, err := g.site.Store.EventsAfter(ctx, g.rungs.at, 500)
		if err != nil {
			return
		}
		for _, ev := range events {
			g.rungs.at = ev.Seq
			g.metrics.Event(string(ev.Kind), reasonOf(ev.Evidence))
		}
		if len(events) < 500 {
			return
		}
	}
}

// reasonOf is the reason an event names in its evidence.
func reasonOf(evidence json.RawMessage) string {
	var e struct {
		Reason string `json:"reason"`
	}
	_ = json.Unmarshal(evidence, &e) // evidence without a reason is no fault
	return e.Reason
}

// smtpMetrics are the metrics as the SMTP edges want them.
type smtpMetrics struct{ *metrics.Set }

func (m smtpMetrics) Connections(l smtpd.Mode, n int) { m.Set.Connections(string(l), n) }
func (m smtpMetrics) Refused(l smtpd.Mode, r smtpd.Reason) {
	m.Set.Refused(string(l), string(r))
}
func (m smtpMetrics) Accepted(l smtpd.Mode, octets int64, took time.Duration) {
	m.Set.Accepted(string(l), octets, took)
}
func (m smtpMetrics) Login(l smtpd.Mode, ok bool)              { m.Set.Login(string(l), ok) }
func (m smtpMetrics) Durable(l smtpd.Mode, took time.Duration) { m.Set.Durable(string(l), took) }
