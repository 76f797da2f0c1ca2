package gateway_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"postern/gateway"
	"postern/gateway/delivery/track"
	"postern/gateway/edge/control"
	"postern/gateway/lab"
)

// page fetches one page of a site's monitoring service.
func (w *world) page(s *lab.Site, path string) (code int, body string) {
	w.Helper()
	client, ok := control.Dial(s.Config.Socket()) // as another process would: the gateway may only just be starting
	if !ok {
		w.Fatal("no gateway answers")
	}
	var st gateway.Running
	w.ok(client.Call(w.ctx, "status", struct{}{}, nil, &st, nil))
	at := st.Addresses["metrics.listen"]
	if len(at) != 1 {
		w.Fatalf("metrics are served at %v", at)
	}
	r, err := http.Get("http://" + at[0] + path)
	w.ok(err)
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	w.ok(err)
	return r.StatusCode, string(b)
}

func TestMonitoringSeesWhatHappens(t *testing.T) {
	w := newWorld(t, "[metrics]\nlisten = \"127.0.0.1:0\"\n")
	w.reach(w.hospital, w.send(w.hospital, w.referral(w.dr, w.intake), w.dr, w.intake), w.intake, track.StateDelivered)
	w.quiet()
	if code, body := w.page(w.clinic, "/healthz"); code != 200 || body != `{"v":1,"ok":true}`+"\n" {
		t.Errorf("healthz: %d %s", code, body)
	}
	if code, body := w.page(w.clinic, "/readyz"); code != 200 {
		t.Errorf("readyz: %d %s", code, body)
	}
	_, clinic := w.page(w.clinic, "/metrics")
	for _, want := range []string{
		`postern_ladder_events_total{kind="delivered",reason=""} 1`,
		`postern_ladder_events_total{kind="told_dispatched",reason=""} 1`,
		`postern_smtp_accept_seconds_count{listener="peer"} 1`,
		`postern_job_seconds_count{fate="done",kind="open"} 1`,
		`postern_queue_late_seconds{class="network"} 0`,
		`postern_trust_decisions{result="approved"} `, `postern_trust_decisions{result="soft_failed"} `, "postern_lookups_waiting 0",
		"postern_held_messages 0", "postern_spool_free_octets ", "postern_queue_paused 0", "go_goroutines ",
	} {
		if !strings.Contains(clinic, want) {
			t.Errorf("metrics do not say %s", want)
		}
	}
	if strings.Contains(clinic, "clinic.example") || strings.Contains(clinic, "m-1") {
		t.Error("metrics name an address or a message")
	}
	_, hospital := w.page(w.hospital, "/metrics")
	if !strings.Contains(hospital, `postern_queue_jobs{class="clerical",parked="false"}`) {
		t.Error("the hospital's clocks are not counted")
	}
}

func TestNotReadyWhileDraining(t *testing.T) {
	w := newWorld(t, "[metrics]\nlisten = \"127.0.0.1:0\"\n")
	w.mode(w.clinic, "drain")
	if code, body := w.page(w.clinic, "/readyz"); code != 503 || !strings.Contains(body, "draining") {
		t.Errorf("readyz: %d %s", code, body)
	}
	if code, _ := w.page(w.clinic, "/healthz"); code != 200 {
		t.Errorf("healthz: %d", code)
	}
}
