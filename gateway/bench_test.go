package gateway_test

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"postern/gateway/delivery/track"
	"postern/gateway/store"
)

// BenchmarkAcceptedAndDurable is messages of 30 KB accepted by a whole gateway (SMTP in clear on loopback,
// sealed at rest, synced, its row, first job and rung committed), while its queue is paused; Postfix and the
// library alone are beside it in BenchmarkAccept of gateway/edge/smtpd.
//
//	go test ./gateway -run xxx -bench AcceptedAndDurable -benchtime 2000x
func BenchmarkAcceptedAndDurable(b *testing.B) {
	for _, conns := range []int{1, 4, 16, 64} {
		b.Run(fmt.Sprintf("conns=%d", conns), func(b *testing.B) {
			w := newWorld(b, "")
			w.crowded()
			w.mode(w.clinic, "pause")
			head := "From: " + w.dr.String() + "\r\nTo: " + w.intake.String() + "\r\nMessage-ID: <1@h.example>\r\n\r\n"
			body := head + strings.Repeat(strings.Repeat("x", 76)+"\r\n", 30<<10/78) + ".\r\n"
			var left atomic.Int64
			left.Store(int64(b.N))
			var wg sync.WaitGroup
			b.SetBytes(int64(len(body)))
			b.ResetTimer()
			for range conns {
				wg.Go(func() {
					if err := pump(w.clinic.SMTP, w.dr.String(), w.intake.String(), body, &left); err != nil {
						b.Error(err)
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
			b.StopTimer()
			list, err := w.clinic.Store.Messages(w.ctx, store.Query{Limit: b.N + 1})
			if err != nil || len(list) != b.N {
				b.Fatalf("%d of %d are there, %v", len(list), b.N, err)
			}
		})
	}
}

// crowded lets more connections come from one address than is usual.
func (w *world) crowded() {
	w.Helper()
	w.ok(w.clinic.Stop())
	text, err := os.ReadFile(w.clinic.File)
	w.ok(err)
	w.ok(os.WriteFile(w.clinic.File, bytes.Replace(text, []byte("[smtp] "), []byte("[smtp]\nper_peer = 100\n# "), 1), 0o600))
	w.ok(w.clinic.Start(w.ctx))
}

func pump(at, from, to, body string, left *atomic.Int64) error {
	c, err := net.Dial("tcp", at)
	if err != nil {
		return err
	}
	defer c.Close()
	r := bufio.NewReader(c)
	want := func(codes ...string) error {
		for _, code := range codes {
			for {
				line, err := r.ReadString('\n')
				if err != nil {
					return err
				}
				if !strings.HasPrefix(line, code) {
					return fmt.Errorf("answer %q, want %s", line, code)
				}
				if line[3] == ' ' {
					break
				}
			}
		}
		return nil
	}
	say := func(text string, codes ...string) error {
		if _, err := c.Write([]byte(text)); err != nil {
			return err
		}
		return want(codes...)
	}
	if err := want("220"); err != nil {
		return err
	}
	if err := say("EHLO load.example\r\n", "250"); err != nil {
		return err
	}
	for left.Add(-1) >= 0 {
		if err := say("MAIL FROM:<"+from+">\r\nRCPT TO:<"+to+">\r\nDATA\r\n", "250", "250", "354"); err != nil {
			return err
		}
		if err := say(body, "250"); err != nil {
			return err
		}
	}
	return nil
}

// BenchmarkOutbound is the whole outbound path of 30 KB messages: accepted, durable, sealed, relayed to the other
// gateway and marked; the other one is paused, so that it only accepts.
//
//	go test ./gateway -run xxx -bench Outbound -benchtime 500x
func BenchmarkOutbound(b *testing.B) {
	w := newWorld(b, "")
	w.mode(w.clinic, "pause")
	text := "From: " + w.dr.String() + "\r\nTo: " + w.intake.String() + "\r\n\r\n" + strings.Repeat(strings.Repeat("x", 76)+"\r\n", 30<<10/78)
	b.SetBytes(int64(len(text)))
	b.ResetTimer()
	var wg sync.WaitGroup
	var left atomic.Int64
	left.Store(int64(b.N))
	for range 16 {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if _, err := w.hospital.Send(w.ctx, text, w.dr, w.intake); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	handed := 0
	var cursor int64
	w.ok(w.hospital.Until(w.ctx, "all are to be handed over", func() (bool, error) {
		events, err := w.hospital.Store.EventsAfter(w.ctx, cursor, 10_000)
		for _, e := range events {
			cursor = e.Seq
			if e.Kind == track.Handed {
				handed++
			}
		}
		return handed == b.N, err
	}))
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}
