package dnsd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"postern/certs/zone"

	"github.com/miekg/dns"
)

// Limits of telling a secondary of a change.
const (
	maxNotify   = 4 // addresses of one secondary
	notifyTries = 5
	notifyWait  = 3 * time.Second  // for an answer
	notifyGap   = 10 * time.Second // between tries
)

// teller tells one address of a secondary which zones have changed (RFC 1996). A secondary that does not hear it
// still finds out when the SOA's refresh time is over.
type teller struct {
	to     string
	sec    Secondary
	change chan struct{}
	told   map[string]uint32 // by zone: the serial that was acknowledged
}

func newTellers(cfg Config) []*teller {
	var out []*teller
	for _, sec := range cfg.Transfer[:min(len(cfg.Transfer), MaxSecondaries)] {
		for _, to := range sec.Notify[:min(len(sec.Notify), maxNotify)] {
			out = append(out, &teller{to: to, sec: sec, change: make(chan struct{}, 1), told: map[string]uint32{}})
		}
	}
	return out
}

var errNoAnswer = errors.New("no answer")

func (t *teller) wake() {
	select {
	case t.change <- struct{}{}:
	default:
	}
}

// run tells until the context ends.
func (t *teller) run(ctx context.Context, s *Server) {
	tries := 0
	for {
		var again <-chan time.Time
		var gap *time.Timer
		if tries > 0 {
			gap = time.NewTimer(notifyGap)
			again = gap.C
		}
		select {
		case <-ctx.Done():
		case <-t.change:
			tries = notifyTries
		case <-again:
		}
		if gap != nil {
			gap.Stop()
		}
		if ctx.Err() != nil {
			return
		}
		tries--
		if t.round(ctx, s) {
			tries = 0
		} else if tries == 0 {
			s.cfg.Log.Warn("dns: a secondary does not answer NOTIFY; it sees changes when its refresh time is over", "secondary", t.to)
		}
	}
}

// round tells of every zone whose serial was not acknowledged yet, and reports whether none is left.
func (t *teller) round(ctx context.Context, s *Server) bool {
	snap := s.index.Load().snap
	all := true
	for _, name := range snap.Zones() {
		soa := snap.Lookup(name).Records[zone.TypeSOA][0]
		serial := snap.SerialOf(name)
		if t.told[name] == serial {
			continue
		}
		if err := t.send(ctx, rrAt{name, soa}); err != nil {
			s.cfg.Log.Debug("dns: NOTIFY failed", "secondary", t.to, "zone", name, "error", err)
			if errors.Is(err, errNoAnswer) {
				return false // it is away: it is not waited for once for each zone
			}
			all = false
			continue
		}
		t.told[name] = serial
		s.counts.notified.Add(1)
	}
	return all
}

func (t *teller) send(ctx context.Context, soa rrAt) error {
	rr, err := toRR(soa)
	if err != nil {
		return err
	}
	m := new(dns.Msg)
	m.SetNotify(dns.Fqdn(soa.name))
	m.Answer = []dns.RR{rr}
	hash := dns.HmacSHA256
	if t.sec.Hash == HMACSHA512 {
		hash = dns.HmacSHA512
	}
	key := dns.Fqdn(t.sec.Key)
	m.SetTsig(key, hash, tsigFudge, time.Now().Unix())
	c := &dns.Client{Timeout: notifyWait, TsigSecret: map[string]string{key: t.sec.Secret}}
	ctx, cancel := context.WithTimeout(ctx, notifyWait)
	defer cancel()
	got, _, err := c.ExchangeContext(ctx, m, t.to)
	if err != nil {
		return fmt.Errorf("dnsd: NOTIFY to %s: %w: %v", t.to, errNoAnswer, err)
	}
	if got.Rcode != dns.RcodeSuccess {
		return fmt.Errorf("dnsd: NOTIFY to %s: answered %s", t.to, dns.RcodeToString[got.Rcode])
	}
	return nil
}
