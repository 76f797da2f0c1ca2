package spool_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"postern/gateway/spool"
	"postern/gateway/spool/disk"
)

// benchDir is on a real disk: a temporary directory may be memory, where a sync costs nothing.
func benchDir(b *testing.B) string {
	dir, err := os.MkdirTemp(os.Getenv("POSTERN_BENCH_DIR"), "postern-bench-")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

const referral = 30 << 10

// BenchmarkSync is what the disk itself does: what the figures of BenchmarkPut are held against.
func BenchmarkSync(b *testing.B) {
	for _, n := range []int64{referral, 1 << 20} {
		for _, how := range []string{"overwrite", "append"} {
			b.Run(fmt.Sprintf("%s/%dKB", how, n>>10), func(b *testing.B) {
				d, err := disk.OS(benchDir(b))
				if err != nil {
					b.Fatal(err)
				}
				f, err := d.Create("f")
				if err != nil {
					b.Fatal(err)
				}
				buf := text(1, int(n))
				const window = 64 << 20
				if how == "overwrite" {
					for off := int64(0); off < window; off += n {
						f.WriteAt(buf, off)
					}
					f.Sync()
				}
				off := int64(0)
				var took []time.Duration
				b.SetBytes(n)
				for b.Loop() {
					if off+n > window {
						if off = 0; how == "append" {
							b.StopTimer()
							f.Truncate(0)
							f.Sync()
							b.StartTimer()
						}
					}
					t := time.Now()
					if _, err := f.WriteAt(buf, off); err != nil {
						b.Fatal(err)
					}
					if err := f.Sync(); err != nil {
						b.Fatal(err)
					}
					took = append(took, time.Since(t))
					off += n
				}
				percentiles(b, took)
			})
		}
	}
}

// BenchmarkPut is accepted-and-durable without SMTP: a referral sealed, in the log and synced, by 1, 16
// and 64 writers. Blobs are deleted as a pipeline would, so that segments come and go.
func BenchmarkPut(b *testing.B) {
	for _, writers := range []int{1, 16, 64} {
		b.Run(fmt.Sprint(writers), func(b *testing.B) {
			s := open(b, spool.Config{Dir: benchDir(b), Keys: newRing(b)})
			msg := text(1, referral)
			warm := put(b, s, msg)
			spool.WaitSpare(s)
			s.Delete(warm)
			var left atomic.Int64
			var mu sync.Mutex
			var took []time.Duration
			left.Store(int64(b.N))
			b.SetBytes(referral)
			b.ReportAllocs()
			b.ResetTimer()
			start := time.Now()
			var wg sync.WaitGroup
			for range writers {
				wg.Go(func() {
					var own []time.Duration
					var old []spool.Blob
					for left.Add(-1) >= 0 {
						t := time.Now()
						blob, err := s.Put(b.Context(), org, bytes.NewReader(msg))
						if err != nil {
							b.Error(err)
							return
						}
						own = append(own, time.Since(t))
						if old = append(old, blob); len(old) > 20 {
							s.Delete(old[0])
							old = old[1:]
						}
					}
					mu.Lock()
					took = append(took, own...)
					mu.Unlock()
				})
			}
			wg.Wait()
			b.StopTimer()
			b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "puts/s")
			percentiles(b, took)
		})
	}
}

func percentiles(b *testing.B, took []time.Duration) {
	if len(took) == 0 {
		return
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-us")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-us")
}

// BenchmarkOpen reads a referral back, from opening to closing.
func BenchmarkOpen(b *testing.B) {
	s := open(b, spool.Config{Dir: benchDir(b), Keys: newRing(b)})
	blob := put(b, s, text(1, referral))
	b.SetBytes(referral)
	b.ReportAllocs()
	for b.Loop() {
		r, err := s.Open(blob)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, r.Section()); err != nil {
			b.Fatal(err)
		}
		r.Close()
	}
}

// BenchmarkLarge streams 100 MB in and out; heap-KB is what it needed at most, whatever the size.
func BenchmarkLarge(b *testing.B) {
	for _, size := range []int64{1 << 20, 100 << 20} {
		b.Run(fmt.Sprintf("%dMB", size>>20), func(b *testing.B) {
			s := open(b, spool.Config{Dir: benchDir(b), Keys: newRing(b)})
			b.SetBytes(size)
			var peak uint64
			for b.Loop() {
				blob, most := putWatched(b, s, size)
				peak = max(peak, most)
				if err := s.Verify(b.Context(), blob); err != nil {
					b.Fatal(err)
				}
				s.Delete(blob)
			}
			b.ReportMetric(float64(peak>>10), "heap-KB")
		})
	}
}

// putWatched puts size octets and looks at the heap every 8 MB.
func putWatched(t testing.TB, s *spool.Store, size int64) (spool.Blob, uint64) {
	t.Helper()
	w, err := s.Create(org)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	piece := text(1, 64<<10)
	var most uint64
	var m runtime.MemStats
	for off := int64(0); off < size; off += int64(len(piece)) {
		if _, err := w.Write(piece); err != nil {
			t.Fatal(err)
		}
		if off%(8<<20) == 0 {
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc)
		}
	}
	blob, err := w.Commit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return blob, most
}

// BenchmarkRecover is a start with many records in the log.
func BenchmarkRecover(b *testing.B) {
	const records = 20000
	dir, ring := benchDir(b), newRing(b)
	s := open(b, spool.Config{Dir: dir, Keys: ring})
	var mu sync.Mutex
	var all []spool.Blob
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range records / 16 {
				blob, err := s.Put(b.Context(), org, bytes.NewReader(text(1, 2000)))
				if err != nil {
					b.Error(err)
					return
				}
				mu.Lock()
				all = append(all, blob)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	s.Close()
	for b.Loop() {
		s := open(b, spool.Config{Dir: dir, Keys: ring})
		rep, err := s.Recover(b.Context(), rows(all...))
		if err != nil || rep.Live != len(all) {
			b.Fatalf("%+v %v", rep, err)
		}
		s.Close()
	}
	b.ReportMetric(float64(len(all)), "rows")
}
