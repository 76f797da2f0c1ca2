package smtpd

import (
	"fmt"
	"testing"
	"time"
)

func TestRates(t *testing.T) {
	start := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	took := func(r *rates, login string, at time.Time, n int) (got int) {
		for range n {
			if r.take(login, at) {
				got++
			}
		}
		return got
	}
	r := &rates{perMinute: 60}
	for _, c := range []struct {
		situation string
		login     string
		after     time.Duration
		want      int
	}{
		{"a minute's worth at once", "a", 0, 60},
		{"and no more", "a", 0, 0},
		{"another login has its own", "b", 0, 60},
		{"it fills steadily", "a", 10 * time.Second, 10},
		{"a clock that goes back gives nothing", "a", 5 * time.Second, 0},
		{"never more than a minute's worth", "a", time.Hour, 60},
	} {
		if got := took(r, c.login, start.Add(c.after), 100); got != c.want {
			t.Errorf("%s: %d of 100, want %d", c.situation, got, c.want)
		}
	}
}

// TestRatesForget: logins that send no more take no memory.
func TestRatesForget(t *testing.T) {
	r := &rates{perMinute: 60}
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range 10 * maxRated {
		r.take(fmt.Sprint("login", i), now.Add(time.Duration(i)*time.Second))
	}
	if len(r.by) > maxRated {
		t.Errorf("%d logins are remembered", len(r.by))
	}
}
