package discover

import (
	"container/list"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"postern/certs"
	"postern/certs/dnsclient"
)

// Memory keeps what was found over restarts: a small store of values by key. Values may be dropped
// at any time, and should be once they have expired. Keys have at most 600 octets, values MaxValue.
type Memory interface {
	Load(ctx context.Context, key string) (value []byte, ok bool, err error)
	Save(ctx context.Context, key string, value []byte, expires time.Time) error
}

// record is what is remembered of one place and name.
type record struct {
	Version int       `json:"v"`
	Status  Status    `json:"status"`
	DER     [][]byte  `json:"certs,omitempty"`
	Asked   string    `json:"asked,omitempty"`
	Answer  string    `json:"answer,omitempty"`
	Notes   []string  `json:"notes,omitempty"`
	Expires time.Time `json:"expires"`          // of Found and None: believed until then; zero = not kept
	Faults  int       `json:"faults,omitempty"` // of Unknown: tries that failed in a row
	Since   time.Time `json:"since"`            // of Unknown: the first of them
	Retry   time.Time `json:"retry"`            // of Unknown: not asked again before
	Silent  bool      `json:"silent,omitempty"` // of Unknown: nothing answered at all

	ttl        time.Duration // sets Expires when the record is kept
	certs      []*x509.Certificate
	questions  []dnsclient.Step
	took       time.Duration
	remembered bool
}

// fresh says that the record answers without asking again.
func (r record) fresh(now time.Time) bool {
	if r.Status == Unknown {
		return now.Before(r.Retry)
	}
	return now.Before(r.Expires)
}

// memory is the process's own part, in front of the lasting one.
type memory struct {
	mu      sync.Mutex
	max     int
	octets  int // of certificates in all records
	byKey   map[string]*list.Element
	order   list.List // of remembered, most recently used in front
	lasting Memory
}

type remembered struct {
	key    string
	record record
}

func newMemory(n int, lasting Memory) *memory {
	return &memory{max: n, byKey: map[string]*list.Element{}, lasting: lasting}
}

func (m *memory) load(ctx context.Context, key string) (record, bool, error) {
	m.mu.Lock()
	if e, ok := m.byKey[key]; ok {
		m.order.MoveToFront(e)
		r := e.Value.(remembered).record
		m.mu.Unlock()
		return r, true, nil
	}
	m.mu.Unlock()
	if m.lasting == nil {
		return record{}, false, nil
	}
	value, ok, err := m.lasting.Load(ctx, key)
	if err != nil || !ok {
		return record{}, false, err
	}
	r, err := decodeRecord(value)
	if err != nil {
		return record{}, false, nil // written by another version or damaged: ask again
	}
	m.keep(key, r)
	return r, true, nil
}

func (m *memory) save(ctx context.Context, key string, r record) error {
	m.keep(key, r)
	if m.lasting == nil {
		return nil
	}
	value, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("discover: %w", err)
	}
	if len(value) > MaxValue {
		return nil // only a hostile directory is so large: it is asked again after a restart
	}
	expires := r.Expires
	if r.Status == Unknown {
		expires = r.Retry.Add(faultForget)
	}
	return m.lasting.Save(ctx, key, value, expires)
}

func (m *memory) keep(key string, r record) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e, ok := m.byKey[key]; ok {
		m.forget(e)
	}
	m.byKey[key] = m.order.PushFront(remembered{key, r})
	m.octets += r.size()
	for m.order.Len() > m.max || m.octets > MaxOctets && m.order.Len() > 1 {
		m.forget(m.order.Back())
	}
}

func (m *memory) forget(e *list.Element) {
	old := e.Value.(remembered)
	m.order.Remove(e)
	delete(m.byKey, old.key)
	m.octets -= old.record.size()
}

// size is the octets of the record's certificates.
func (r record) size() int {
	n := 0
	for _, der := range r.DER {
		n += len(der)
	}
	return n
}

func decodeRecord(value []byte) (record, error) {
	var r record
	if err := json.Unmarshal(value, &r); err != nil || r.Version != 1 {
		return record{}, errors.New("discover: remembered value of another form")
	}
	for _, der := range r.DER {
		c, err := certs.Parse(der)
		if err != nil {
			return record{}, err
		}
		r.certs = append(r.certs, c)
	}
	if r.Status == Found && len(r.certs) == 0 {
		return record{}, errors.New("discover: remembered value without its certificates")
	}
	return r, nil
}

// flights makes equal questions wait for each other; the later ones then find the answer in memory.
type flights struct {
	mu      sync.Mutex
	running map[string]chan struct{}
}

// enter waits until nobody else asks for key; leave must be called afterwards.
func (f *flights) enter(ctx context.Context, key string) (leave func(), err error) {
	for {
		f.mu.Lock()
		running, ok := f.running[key]
		if !ok {
			done := make(chan struct{})
			f.running[key] = done
			f.mu.Unlock()
			return func() {
				f.mu.Lock()
				delete(f.running, key)
				f.mu.Unlock()
				close(done)
			}, nil
		}
		f.mu.Unlock()
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-running:
		}
	}
}
