package gateway_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"postern/gateway/clinic/staff"
	"postern/gateway/lab"
	"postern/gateway/lab/many"
	"postern/gateway/store"
)

// BenchmarkPages measures the pages of a clinic that has a million messages, each from request to last octet, by a
// browser on the same machine. $POSTERN_MANY is another number of them.
//
//	go test -run '^$' -bench Pages -benchtime 20x ./gateway
func BenchmarkPages(b *testing.B) {
	n := 1_000_000
	if v, err := strconv.Atoi(os.Getenv("POSTERN_MANY")); err == nil {
		n = v
	}
	l, err := lab.New(b.Context(), lab.Options{Dir: b.TempDir(), Domains: []string{"clinic.example"}, Extra: webExtra})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	w := &world{TB: b, Lab: l, ctx: b.Context(), clinic: l.Sites[0]}
	w.ok(w.clinic.Start(w.ctx))
	org := w.clinic.Org
	w.ok(w.clinic.Stop())
	w.ok(many.Fill(w.ctx, filepath.Join(w.clinic.Dir, "data", "postern.db"), org, n, l.Clock.Now()))
	w.ok(w.clinic.Start(w.ctx))
	mo, nora := w.sits(w.clinic, "mo", staff.Manager, staff.Read), w.sits(w.clinic, "nora", staff.Nurse, staff.Send)
	for i := range 3 {
		w.ok(w.clinic.Store.SetMemberships(w.ctx, nora.who, many.Team(i), []staff.Membership{{Pool: many.Team(i), Level: staff.Sign}}, store.AuditEntry{}))
	}
	for _, page := range []struct {
		name, path string
	}{
		{"home", "/"}, {"list of what is open", "/work"}, {"list of what is finished", "/work?view=done"}, {"patient with one in 500 messages", "/patient/" + many.Busy}, {"patient", "/patient/pt-1"},
		{"patients by name", "/patients?name=family123"}, {"search, a word in all", "/find?q=" + many.Everywhere}, {"search, a word in a tenth", "/find?q=" + many.Common}, {"search, a word in a thousandth", "/find?q=" + many.Seldom},
		{"search, a word in ten", "/find?q=" + many.Rare}, {"search, common and rare together", "/find?q=" + many.Common + "+" + many.Rare}, {"search, beginning of a word", "/find?q=hyper*"},
		{"search, of one sender", "/find?q=from:dr77+" + many.Everywhere}, {"search, only what is urgent", "/find?q=is:urgent+" + many.Everywhere},
	} {
		for _, who := range []*browser{mo, nora} {
			b.Run(page.name+"/"+who.who.Login, func(b *testing.B) {
				size := 0
				for b.Loop() {
					size = len(who.get(page.path, http.StatusOK))
				}
				b.ReportMetric(float64(size)/1024, "KB/page")
			})
		}
	}
}
