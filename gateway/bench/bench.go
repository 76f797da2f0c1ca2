// Package bench measures sealing and opening on this machine, beside the primitives the same message
// cannot avoid, and beside OpenSSL's command line where that is wanted. It judges nothing: the ratio
// over the primitives of the same run is the figure to compare between machines and builds.
//
// It uses throw-away keys and messages of its own and touches no gateway.
//
// Limits: messages of 1 KB to 1 GB, at most 1,000 rounds.
package bench

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"postern/certs"
	"postern/certs/issue"
	"postern/smime"
	"postern/smime/addr"
)

// Limits of Options.
const (
	MinSize   = 1 << 10
	MaxSize   = 1 << 30
	MaxRounds = 1000
)

// Options say what to measure.
type Options struct {
	Sizes  []int // octets of a message; nil = 4 KB, 30 KB, 1 MB, 25 MB
	Rounds int   // 0 = 9
	Peers  bool  // also OpenSSL, where it is installed
	Now    time.Time
}

// Row is one size of message. Times are of the processor, in microseconds, medians.
type Row struct {
	Octets         int     `json:"octets"`
	Seal           float64 `json:"seal_us"`
	Open           float64 `json:"open_us"`
	SealPrimitives float64 `json:"seal_primitives_us"`
	OpenPrimitives float64 `json:"open_primitives_us"`
	SealRatio      float64 `json:"seal_ratio"` // median of the rounds' ratios
	OpenRatio      float64 `json:"open_ratio"`
	SealMBs        float64 `json:"seal_mb_s"` // by the clock, the best round
	OpenMBs        float64 `json:"open_mb_s"`
}

// Report is everything measured.
type Report struct {
	V          int       `json:"v"`
	Go         string    `json:"go"`
	Platform   string    `json:"platform"`
	Processors int       `json:"processors"`
	Rows       []Row     `json:"rows"`
	Peers      []PeerRow `json:"peers,omitempty"`
	Notes      []string  `json:"notes,omitempty"`
}

// Run measures. It ends early when ctx does.
func Run(ctx context.Context, o Options) (Report, error) {
	if len(o.Sizes) == 0 {
		o.Sizes = []int{4 << 10, 30 << 10, 1 << 20, 25_000_000}
	}
	if o.Rounds == 0 {
		o.Rounds = 9
	}
	if o.Rounds < 0 || o.Rounds > MaxRounds {
		return Report{}, fmt.Errorf("bench: %d rounds, must be 1 to %d", o.Rounds, MaxRounds)
	}
	r := Report{V: 1, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, Processors: runtime.NumCPU()}
	w, err := newWork(o.Now)
	if err != nil {
		return r, err
	}
	for _, n := range o.Sizes {
		if n < MinSize || n > MaxSize {
			return r, fmt.Errorf("bench: message of %d octets, must be %d to %d", n, MinSize, MaxSize)
		}
		row, err := w.measure(ctx, n, o.Rounds)
		if err != nil {
			return r, err
		}
		r.Rows = append(r.Rows, row)
	}
	if o.Peers {
		if err := r.openSSL(ctx, w, o); err != nil {
			return r, err
		}
	}
	return r, nil
}

// work is what is measured: two credentials and the primitives of their keys.
type work struct {
	from, to certs.Credential
	prim     *primitives
	now      time.Time
}

func newWork(now time.Time) (*work, error) {
	ca, err := issue.NewAuthority(issue.AuthorityOptions{Name: "Bench", Algorithm: issue.P256, Now: now})
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	w := &work{now: now}
	for name, into := range map[string]*certs.Credential{"sender@hospital.example": &w.from, "recipient@clinic.example": &w.to} {
		if *into, err = ca.Leaf(issue.LeafOptions{Address: addr.MustParse(name), Algorithm: issue.RSA2048, Now: now}); err != nil {
			return nil, fmt.Errorf("bench: %w", err)
		}
	}
	w.prim, err = newPrimitives(w.from, w.to)
	return w, err
}

// message is an inner message of about n octets.
func message(n int) []byte {
	head := "From: sender@hospital.example\r\nTo: recipient@clinic.example\r\nMessage-ID: <bench@hospital.example>\r\n\r\n"
	line := strings.Repeat("bench ", 12) + "\r\n"
	return []byte(head + strings.Repeat(line, max(0, n-len(head))/len(line)))
}

// memory is a scratch whose memory is used again.
type memory struct{ b []byte }

func (m *memory) Write(p []byte) (int, error)             { m.b = append(m.b, p...); return len(p), nil }
func (m *memory) ReadAt(p []byte, off int64) (int, error) { return bytes.NewReader(m.b).ReadAt(p, off) }
func (m *memory) Size() int64                             { return int64(len(m.b)) }
func (m *memory) Discard() error                          { m.b = m.b[:0]; return nil }

// job is one thing to time.
type job func() error

func (w *work) jobs(n int) (seal, open job, err error) {
	signer, ok := w.from.Key.(crypto.Signer)
	if !ok {
		return nil, nil, errors.New("bench: key cannot sign")
	}
	inner := message(n)
	o := smime.SealOptions{Signer: smime.Identity{Cert: w.from.Cert, Key: signer}, Now: w.now, Recipients: []smime.Recipient{{Cert: w.to.Cert}}}
	section := io.NewSectionReader(bytes.NewReader(inner), 0, int64(len(inner)))
	var sealed bytes.Buffer
	if _, err := smime.Seal(&sealed, section, o); err != nil {
		return nil, nil, fmt.Errorf("bench: %w", err)
	}
	place := &memory{b: make([]byte, 0, n+64<<10)}
	oo := smime.OpenOptions{Keys: []smime.Key{{Cert: w.to.Cert, Private: w.to.Key}}, Scratch: func() (smime.Scratch, error) { return place, nil }}
	seal = func() error {
		_, err := smime.Seal(io.Discard, section, o)
		return err
	}
	open = func() error {
		got, err := smime.Open(bytes.NewReader(sealed.Bytes()), oo)
		if err != nil {
			return err
		}
		return got.Close()
	}
	return seal, open, nil
}

// measure alternates the four jobs of one size.
func (w *work) measure(ctx context.Context, n, rounds int) (Row, error) {
	seal, open, err := w.jobs(n)
	if err != nil {
		return Row{}, err
	}
	sealPrim, openPrim := func() error { return w.prim.seal(n) }, func() error { return w.prim.open(n) }
	times := max(1, 2_000_000/(n+60_000))
	var s, o, sp, op, sr, or series
	for i := range rounds + 1 { // the first round warms up
		if err := ctx.Err(); err != nil {
			return Row{}, err
		}
		a, err1 := timed(times, sealPrim)
		b, err2 := timed(times, seal)
		c, err3 := timed(times, openPrim)
		d, err4 := timed(times, open)
		if err := errors.Join(err1, err2, err3, err4); err != nil {
			return Row{}, fmt.Errorf("bench: %w", err)
		}
		if i == 0 {
			continue
		}
		sp.add(a.cpu)
		s.add(b.cpu)
		op.add(c.cpu)
		o.add(d.cpu)
		sr.add(b.cpu / a.cpu)
		or.add(d.cpu / c.cpu)
		s.fast(float64(n) / b.wall)
		o.fast(float64(n) / d.wall)
	}
	return Row{Octets: n, Seal: s.median(), Open: o.median(), SealPrimitives: sp.median(), OpenPrimitives: op.median(),
		SealRatio: sr.median(), OpenRatio: or.median(), SealMBs: s.best, OpenMBs: o.best}, nil
}

// spent is the time of one run, in microseconds.
type spent struct{ cpu, wall float64 }

func timed(times int, f job) (spent, error) {
	runtime.GC()
	start, cpu := time.Now(), processor()
	for range times {
		if err := f(); err != nil {
			return spent{}, err
		}
	}
	per := float64(times) * float64(time.Microsecond)
	return spent{cpu: max(1, float64(processor()-cpu)) / per, wall: float64(time.Since(start)) / per}, nil
}

// processor is the user and system time of this process.
func processor() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// series is the values of all rounds.
type series struct {
	list []float64
	best float64
}

func (s *series) add(v float64)  { s.list = append(s.list, v) }
func (s *series) fast(v float64) { s.best = max(s.best, v) }

func (s *series) median() float64 {
	slices.Sort(s.list)
	return s.list[len(s.list)/2]
}

// WriteText prints the report as a table.
func (r Report) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s on %s, %d processors. Microseconds of processor time a message, medians; \"over\" is against the\nprimitives it cannot avoid (RSA-2048, SHA-256, AES-256-CBC, base64). MB/s by the clock, one message at a time.\n\n", r.Go, r.Platform, r.Processors)
	fmt.Fprintf(&b, "%12s %12s %8s %10s %12s %8s %10s\n", "octets", "seal us", "over", "MB/s", "open us", "over", "MB/s")
	for _, row := range r.Rows {
		fmt.Fprintf(&b, "%12d %12.0f %8.2f %10.0f %12.0f %8.2f %10.0f\n", row.Octets, row.Seal, row.SealRatio, row.SealMBs, row.Open, row.OpenRatio, row.OpenMBs)
	}
	for _, p := range r.Peers {
		fmt.Fprintf(&b, "\n%s, %d octets, whole processes by the clock: seal %.0f ms, open %.0f ms (here: %.1f and %.1f ms in process)\n", p.Name, p.Octets, p.SealMS, p.OpenMS, p.OurSealMS, p.OurOpenMS)
	}
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "\n%s\n", n)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
