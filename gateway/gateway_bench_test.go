package gateway_test

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/gateway/clinic/document/sample"
	"postern/gateway/delivery/track"
	"postern/gateway/lab"
	"postern/smime/addr"
)

// referral30 is a referral of 30,000 octets with a whole C-CDA as its body, padded with a comment.
func referral30(from, to addr.Address, n int) []byte {
	head := fmt.Sprintf("From: %s\r\nTo: %s\r\nSubject: Referral\r\nMessage-ID: <b%d@hospital.example>\r\nDate: Thu, 19 Nov 2026 10:00:00 +0000\r\n"+
		"MIME-Version: 1.0\r\nContent-Type: text/xml; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\nDisposition-Notification-To: <%s>\r\n"+
		"Disposition-Notification-Options: X-DIRECT-FINAL-DESTINATION-DELIVERY=optional,true\r\n\r\n", from, to, n, from)
	body := bytes.ReplaceAll(bytes.ReplaceAll(bytes.TrimSpace(sample.Earlier), []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
	pad := max(30000-len(head)-len(body)-len("\r\n<!---->\r\n"), 0)
	var lines strings.Builder
	for lines.Len()+62 <= pad {
		lines.WriteString(strings.Repeat("x", 60) + "\r\n")
	}
	return []byte(head + string(body) + "\r\n<!--" + lines.String() + strings.Repeat("y", pad-lines.Len()) + "-->\r\n")
}

// BenchmarkGateway sends 30 KB referrals from logged-in users over TLS through a hospital's gateway to a
// clinic's inbox, both in this process, with at-rest sealing and audit on and every notice sent back:
//
//	accepted/s   answered 250, durable, while sealing, relaying, opening and filing go on beside it
//	delivered/s  end to end: in the clinic's inbox, with both notices back on the hospital's ladder
//
// B/op and allocs/op are of both gateways and the client together, a message.
func BenchmarkGateway(b *testing.B) {
	for _, users := range []int{1, 16} {
		b.Run(fmt.Sprintf("users=%d", users), func(b *testing.B) {
			w := newWorld(b, "")
			sessions := make([]*lab.Session, users)
			w.user("dr", "a long enough password", w.dr)
			for i := range sessions {
				var err error
				if sessions[i], err = w.hospital.Submit(w.ctx, "dr", "a long enough password"); err != nil {
					b.Fatal(err)
				}
			}
			size := len(referral30(w.dr, w.intake, 0))
			b.SetBytes(int64(size))
			b.ReportAllocs()
			b.ResetTimer()
			began := time.Now()
			w.submitAll(sessions, b.N)
			accepted := time.Since(began)
			w.delivered(b.N)
			b.StopTimer()
			b.ReportMetric(float64(b.N)/accepted.Seconds(), "accepted/s")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "delivered/s")
			for _, s := range sessions {
				_ = s.Close()
			}
		})
	}
}

// submitAll hands n messages in over the sessions.
func (w *world) submitAll(sessions []*lab.Session, n int) {
	w.Helper()
	next := make(chan int, n)
	for i := range n {
		next <- i
	}
	close(next)
	var wg sync.WaitGroup
	errs := make([]error, len(sessions))
	for i, s := range sessions {
		wg.Go(func() {
			for k := range next {
				if errs[i] = s.Send(w.dr.String(), referral30(w.dr, w.intake, k), w.intake.String()); errs[i] != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		w.ok(err)
	}
}

// delivered waits until the clinic has filed n messages and the hospital has both notices of each. It
// follows the stream of events, so that watching costs little.
func (w *world) delivered(n int) {
	w.Helper()
	cursor, seen := int64(0), 0
	w.ok(w.hospital.Until(w.ctx, "every message is to be confirmed", func() (bool, error) {
		for {
			events, err := w.hospital.Store.EventsAfter(w.ctx, cursor, 1000)
			for _, e := range events {
				cursor = e.Seq
				if e.Kind == track.Processed || e.Kind == track.Dispatched {
					seen++
				}
			}
			if err != nil || len(events) == 0 {
				return seen == 2*n, err
			}
		}
	}))
	boxes, err := w.clinic.Store.Inboxes(w.ctx)
	w.ok(err)
	if boxes["intake"] != int64(n) {
		w.Fatalf("%d messages in the inbox, want %d", boxes["intake"], n)
	}
}
