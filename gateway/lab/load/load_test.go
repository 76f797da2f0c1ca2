package load_test

import (
	"strings"
	"testing"
	"time"

	"postern/gateway/lab"
	"postern/gateway/lab/load"
)

// Only what was answered 250 counts, and a refusal ends the run with the server's words.
func TestCounts(t *testing.T) {
	e, err := lab.StartEdge()
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	m := load.Message{From: "a@h.example", To: "b@c.example", Data: []byte("Subject: x\r\n\r\n..a dot\r\n")}
	target := load.Target{Addr: e.At}
	if _, err := target.Times(7, 3, m); err != nil {
		t.Fatal(err)
	}
	got, _ := e.Got()
	if len(got) != 7 || got[6].From != m.From || !strings.Contains(string(got[6].Data), "\r\n.a dot\r\n") {
		t.Errorf("%d messages, the last %+v", len(got), got[len(got)-1])
	}
	n, _, err := target.For(20*time.Millisecond, 2, m)
	if got, _ := e.Got(); err != nil || n == 0 || len(got) != 7+n {
		t.Errorf("%d counted, %d there, %v", n, len(got)-7, err)
	}
	e.Answer(552, [3]int{5, 2, 2}, "full")
	if n, _, err := target.For(time.Second, 1, m); err == nil || n != 0 || !strings.Contains(err.Error(), "full") {
		t.Errorf("refused: %d counted, %v", n, err)
	}
}
