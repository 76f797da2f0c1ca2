package gateway

import "postern/gateway/edge/metrics"

// certificateGauges is what was found and believed since the start.
func (s *Site) certificateGauges() (out []metrics.Gauge) {
	d := s.Trust.Stats()
	for _, c := range []struct {
		result string
		n      uint64
	}{{"cached", d.Cached}, {"approved", d.Approved}, {"soft_failed", d.SoftFailed}, {"refused", d.Refused}, {"unknown", d.Unknown}} {
		out = append(out, metrics.Gauge{Name: "trust_decisions", Help: "Trust decisions since the start; soft_failed ones are approved too.",
			Labels: map[string]string{"result": c.result}, Value: float64(c.n)})
	}
	l := s.Finder.Stats()
	return append(out,
		metrics.Gauge{Name: "lookups_waiting", Help: "Certificate look-ups that wait for servers that do not answer.", Value: float64(l.Waiting)},
		metrics.Gauge{Name: "lookups_silent_domains", Help: "Domains whose name servers or directories did not answer when last asked.", Value: float64(l.Silent)})
}
