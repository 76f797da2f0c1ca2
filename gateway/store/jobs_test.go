package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"postern/gateway/delivery/queue"
	"postern/gateway/message"
	"postern/gateway/store"

	_ "modernc.org/sqlite"
)

// site is an empty database with one organisation and a clock the test moves.
type site struct {
	*store.Store
	path string
	now  time.Time
}

func newSite(t testing.TB) *site {
	t.Helper()
	s := &site{path: filepath.Join(t.TempDir(), "postern.db"), now: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)}
	if err := store.Create(s.path); err != nil {
		t.Fatal(err)
	}
	s.open(t)
	t.Cleanup(func() { s.Close() })
	if err := s.AddOrg(context.Background(), store.Org{ID: "o", WrappedKey: []byte{1}}); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *site) open(t testing.TB) {
	t.Helper()
	var err error
	if s.Store, err = store.Open(store.Config{Path: s.path, Now: func() time.Time { return s.now }}); err != nil {
		t.Fatal(err)
	}
}

// add queues n jobs of a class in a lane.
func (s *site) add(t testing.TB, kind queue.Kind, lane string, n int) {
	t.Helper()
	var step store.Step
	for range n {
		step.Jobs = append(step.Jobs, queue.Job{Org: "o", Message: message.ID("m-1"), Kind: kind, Lane: lane})
	}
	if _, err := s.Commit(context.Background(), queue.Lease{}, step); err != nil {
		t.Fatal(err)
	}
}

func lanesOf(jobs []queue.Job) map[string]int {
	out := map[string]int{}
	for _, j := range jobs {
		out[j.Lane]++
	}
	return out
}

func TestClaimLeavesRoomForEveryLane(t *testing.T) {
	for _, c := range []struct {
		situation string
		queued    []string // lane:count, in order of age
		counts    []int
		busy      map[string]int
		n         int
		want      map[string]int
	}{
		{"one lane never takes all workers", []string{"stuck.example", "fine.example"}, []int{40, 3}, nil, 32, map[string]int{"stuck.example": 8, "fine.example": 3}},
		{"a full lane is passed over", []string{"stuck.example", "fine.example"}, []int{40, 3}, map[string]int{"stuck.example": 8}, 32, map[string]int{"fine.example": 3}},
		{"a lane behind thousands of a full one", []string{"stuck.example", "fine.example"}, []int{3000, 3}, map[string]int{"stuck.example": 8}, 32, map[string]int{"fine.example": 3}},
		{"part of the room is left", []string{"stuck.example"}, []int{3000}, map[string]int{"stuck.example": 5}, 32, map[string]int{"stuck.example": 3}},
		{"the empty lane has no limit", []string{""}, []int{40}, map[string]int{"": 30}, 32, map[string]int{"": 32}},
		{"no more than asked for", []string{"a.example", "b.example"}, []int{300, 300}, nil, 5, map[string]int{"a.example": 5}},
	} {
		t.Run(c.situation, func(t *testing.T) {
			s := newSite(t)
			for i, lane := range c.queued {
				s.add(t, queue.Relay, lane, c.counts[i])
				s.now = s.now.Add(time.Second)
			}
			jobs, err := s.Claim(context.Background(), queue.Network, c.n, store.Lanes{Busy: c.busy, PerLane: 8})
			if err != nil {
				t.Fatal(err)
			}
			if got := lanesOf(jobs); fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("claimed %v, want %v", got, c.want)
			}
		})
	}
}

func TestJobsAreClaimedOnce(t *testing.T) {
	s := newSite(t)
	s.add(t, queue.Seal, "", 10)
	ctx := context.Background()
	first, err := s.Claim(ctx, queue.Lookups, 6, store.Lanes{})
	if err != nil || len(first) != 6 {
		t.Fatalf("claimed %d, %v", len(first), err)
	}
	second, err := s.Claim(ctx, queue.Lookups, 100, store.Lanes{})
	if err != nil || len(second) != 4 {
		t.Fatalf("claimed %d of the 4 that are left, %v", len(second), err)
	}
	s.now = s.now.Add(store.LeaseTime)
	third, err := s.Claim(ctx, queue.Lookups, 100, store.Lanes{})
	if err != nil || len(third) != 10 {
		t.Fatalf("after the leases ended %d were due, %v", len(third), err)
	}
	if _, err := s.Commit(ctx, first[0].Lease, store.Step{Settle: &queue.Settlement{Fate: queue.Done}}); !errors.Is(err, store.ErrLeaseLost) {
		t.Errorf("a worker whose lease ended settled the job: %v", err)
	}
}

// TestWhatIsUrgentGoesFirst: urgent work and notices pass what came before them, by their head start and no more.
func TestWhatIsUrgentGoesFirst(t *testing.T) {
	ordinary, prompt, urgent := queue.Job{}, queue.Job{Notice: true}, queue.Job{Urgent: true}
	for _, c := range []struct {
		situation string
		ages      []time.Duration // how long each has been due
		jobs      []queue.Job
		want      []int // the order of claiming
	}{
		{"of one age", []time.Duration{1, 1, 1}, []queue.Job{ordinary, prompt, urgent}, []int{2, 1, 0}},
		{"urgent passes an ordinary queue", []time.Duration{50 * time.Minute, 40 * time.Minute, 0}, []queue.Job{ordinary, ordinary, urgent}, []int{2, 0, 1}},
		{"and a queue of notices", []time.Duration{20 * time.Minute, 0}, []queue.Job{prompt, urgent}, []int{1, 0}},
		{"whoever waited an hour longer goes before it", []time.Duration{61 * time.Minute, 0}, []queue.Job{ordinary, urgent}, []int{0, 1}},
		{"and half an hour longer before a notice", []time.Duration{31 * time.Minute, 0}, []queue.Job{ordinary, prompt}, []int{0, 1}},
		{"the oldest of one priority first", []time.Duration{time.Minute, 2 * time.Minute}, []queue.Job{urgent, urgent}, []int{1, 0}},
	} {
		t.Run(c.situation, func(t *testing.T) {
			s := newSite(t)
			var step store.Step
			for i, j := range c.jobs {
				j.Org, j.Message, j.Kind, j.Due = "o", message.ID(fmt.Sprint("m-", i)), queue.Seal, s.now.Add(-c.ages[i])
				step.Jobs = append(step.Jobs, j)
			}
			if _, err := s.Commit(context.Background(), queue.Lease{}, step); err != nil {
				t.Fatal(err)
			}
			for _, want := range c.want {
				jobs, err := s.Claim(context.Background(), queue.Lookups, 1, store.Lanes{})
				if err != nil || len(jobs) != 1 || jobs[0].Message != message.ID(fmt.Sprint("m-", want)) || jobs[0].Urgent != c.jobs[want].Urgent {
					t.Fatalf("claimed %+v, %v; want number %d", jobs, err, want)
				}
			}
		})
	}
}

// TestClocksHideNoWork: the list of jobs shows what waits before the clocks, however many there are.
func TestClocksHideNoWork(t *testing.T) {
	s := newSite(t)
	s.add(t, queue.Timer, "", 1500)
	s.now = s.now.Add(time.Minute)
	s.add(t, queue.Relay, "a.example", 2)
	s.add(t, queue.Seal, "", 1)
	jobs, err := s.Jobs(context.Background(), "")
	if err != nil || len(jobs) != 1000 || jobs[2].Kind == queue.Timer || jobs[3].Kind != queue.Timer {
		t.Fatalf("%d jobs, %v; the fourth is %+v", len(jobs), err, jobs[3])
	}
}

// TestNothingStarves: an ordinary job is claimed while twice as much urgent work comes as can be done.
func TestNothingStarves(t *testing.T) {
	s := newSite(t)
	s.add(t, queue.Seal, "", 1)
	for range 130 {
		step := store.Step{Jobs: []queue.Job{{Org: "o", Message: "m-u", Kind: queue.Seal, Urgent: true}, {Org: "o", Message: "m-u", Kind: queue.Seal, Urgent: true}}}
		if _, err := s.Commit(context.Background(), queue.Lease{}, step); err != nil {
			t.Fatal(err)
		}
		jobs, err := s.Claim(context.Background(), queue.Lookups, 1, store.Lanes{})
		if err != nil || len(jobs) != 1 {
			t.Fatalf("claimed %d, %v", len(jobs), err)
		}
		if jobs[0].Message == "m-1" {
			return
		}
		if _, err := s.Commit(context.Background(), jobs[0].Lease, store.Step{Settle: &queue.Settlement{Fate: queue.Done}}); err != nil {
			t.Fatal(err)
		}
		s.now = s.now.Add(time.Minute)
	}
	t.Error("not when it has waited an hour longer than any urgent job")
}

// TestWorkOfADeadProcessIsFreed: without it everything that was under way waits ten minutes after a crash.
func TestWorkOfADeadProcessIsFreed(t *testing.T) {
	s := newSite(t)
	s.add(t, queue.Seal, "", 3)
	ctx := context.Background()
	dead, err := s.Claim(ctx, queue.Lookups, 3, store.Lanes{})
	if err != nil || len(dead) != 3 {
		t.Fatalf("claimed %d, %v", len(dead), err)
	}
	other, err := store.Open(store.Config{Path: s.path, Now: func() time.Time { return s.now }, Node: "12"})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if n, err := other.FreeLeases(ctx); n != 0 || err != nil {
		t.Fatalf("another node freed %d leases, %v", n, err)
	}
	s.Close()
	s.open(t)
	if n, err := s.FreeLeases(ctx); n != 3 || err != nil {
		t.Fatalf("freed %d leases, %v; want 3", n, err)
	}
	again, err := s.Claim(ctx, queue.Lookups, 3, store.Lanes{})
	if err != nil || len(again) != 3 {
		t.Fatalf("claimed %d again, %v", len(again), err)
	}
	if _, err := s.Commit(ctx, dead[0].Lease, store.Step{Settle: &queue.Settlement{Fate: queue.Done}}); !errors.Is(err, store.ErrLeaseLost) {
		t.Errorf("a lease of the dead process settled a job: %v", err)
	}
}

// BenchmarkClaim is one claim of 8 jobs and their release, with so many rows queued; "clogged" is with
// all but a few of them in one lane that is full. MB is the memory of the process at its end.
//
//	go test ./gateway/store -run xxx -bench Claim
func BenchmarkClaim(b *testing.B) {
	for _, rows := range []int{10, 10_000, 1_000_000} {
		for name, busy := range map[string]map[string]int{"open": nil, "clogged": {"stuck.example": 8}} {
			b.Run(fmt.Sprintf("%s/rows=%d", name, rows), func(b *testing.B) {
				s := newSite(b)
				s.seed(b, rows)
				s.add(b, queue.Relay, "fine.example", 8)
				ctx := context.Background()
				began, n := processorTime(b), 0
				for ; b.Loop(); n++ {
					jobs, err := s.Claim(ctx, queue.Network, 8, store.Lanes{Busy: busy, PerLane: 8})
					if err != nil || len(jobs) != 8 {
						b.Fatalf("%d jobs, %v", len(jobs), err)
					}
					leases := make([]queue.Lease, len(jobs))
					for i, j := range jobs {
						leases[i] = j.Lease
					}
					if err := s.Release(ctx, leases); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64((processorTime(b)-began).Microseconds())/float64(n), "cpu-µs/op")
				b.ReportMetric(resident(b), "MB")
			})
		}
	}
}

// processorTime is what this process has spent: the same however busy the machine is otherwise.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// resident is the memory of this process, SQLite's included.
func resident(b *testing.B) float64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0 // another system
	}
	for l := range strings.Lines(string(text)) {
		var kb float64
		if n, _ := fmt.Sscanf(l, "VmRSS: %f kB", &kb); n == 1 {
			return kb / 1024
		}
	}
	b.Fatal("no VmRSS")
	return 0
}

// seed fills the queue past the store, which would take a minute for a million rows.
func (s *site) seed(b *testing.B, rows int) {
	b.Helper()
	db, err := sql.Open("sqlite", "file:"+s.path)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(`INSERT INTO job(org, message, kind, class, notice, lane, recipients, data, due, created)
		WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c WHERE i<?)
		SELECT 'o', 'm-1', 'relay', 'network', 0, 'stuck.example', '[]', '{}', strftime('2030-01-01T00:%M:%S.000Z', i % 3600, 'unixepoch'), '' FROM c`, rows); err != nil {
		b.Fatal(err)
	}
}
