package queue_test

import (
	"testing"
	"time"

	"postern/gateway/delivery/queue"
)

func TestBackoffGrowsWithinItsBounds(t *testing.T) {
	want := []time.Duration{15 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 15 * time.Minute, 15 * time.Minute}
	for i, middle := range want {
		low, high := middle, middle
		for range 200 {
			d := queue.Backoff(i + 1)
			low, high = min(low, d), max(high, d)
		}
		if low < middle*8/10 || high > middle*12/10 {
			t.Errorf("attempt %d: %v to %v, want %v ±20 %%", i+1, low, high, middle)
		}
		if low == high {
			t.Errorf("attempt %d: no jitter", i+1)
		}
	}
	if d := queue.Backoff(1 << 30); d > 18*time.Minute {
		t.Errorf("a large count gives %v", d)
	}
}

// TestNoticesHaveAShareOfTheirOwn: mail to a stuck peer never takes the workers that confirm others' mail.
func TestNoticesHaveAShareOfTheirOwn(t *testing.T) {
	for _, c := range []struct {
		job  queue.Job
		want queue.Class
	}{
		{queue.Job{Kind: queue.Seal}, queue.Lookups},
		{queue.Job{Kind: queue.Open}, queue.Crypto},
		{queue.Job{Kind: queue.Relay}, queue.Network},
		{queue.Job{Kind: queue.Relay, Notice: true}, queue.Notices},
		{queue.Job{Kind: queue.Notice, Notice: true}, queue.Notices},
		{queue.Job{Kind: queue.Deliver, Notice: true}, queue.Network},
		{queue.Job{Kind: queue.Timer}, queue.Clerical},
	} {
		if got := c.job.Class(); got != c.want {
			t.Errorf("%s notice=%v: %s, want %s", c.job.Kind, c.job.Notice, got, c.want)
		}
	}
}
