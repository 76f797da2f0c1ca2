package smtpd

import (
	"sync"
	"time"
)

// rates bounds how many messages each login begins: a bucket of a minute's worth that fills steadily, so that a
// burst is taken and a program that runs wild, or a stolen password, is slowed. It counts over all connections of a
// listener. A login whose bucket is full again is forgotten.
type rates struct {
	perMinute int

	mu sync.Mutex
	by map[string]bucket
}

type bucket struct {
	left float64
	at   time.Time // when left was so
}

// maxRated is how many logins are looked through for full buckets at a time.
const maxRated = 1000

// take takes one message from the login's bucket; false when it is empty.
func (r *rates) take(login string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.by == nil {
		r.by = map[string]bucket{}
	}
	if len(r.by) >= maxRated {
		for name, b := range r.by {
			if r.filled(b, now) >= float64(r.perMinute) {
				delete(r.by, name)
			}
		}
	}
	b, known := r.by[login]
	left := float64(r.perMinute)
	if known {
		left = r.filled(b, now)
	}
	if left < 1 {
		return false
	}
	r.by[login] = bucket{left - 1, now}
	return true
}

// filled is what is in a bucket now. A clock that goes back fills nothing.
func (r *rates) filled(b bucket, now time.Time) float64 {
	since := max(now.Sub(b.at), 0)
	return min(b.left+since.Minutes()*float64(r.perMinute), float64(r.perMinute))
}
