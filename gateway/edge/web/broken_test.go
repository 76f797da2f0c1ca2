package web_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"postern/gateway/edge/web"
)

// TestAFileThatBreaksOff is broken off for the browser as well: half a document must not look like a whole one.
func TestAFileThatBreaksOff(t *testing.T) {
	for situation, c := range map[string]struct {
		body io.Reader
		want any
	}{
		"half of it": {io.MultiReader(strings.NewReader("half"), iotest.ErrReader(errors.New("the disk"))), http.ErrAbortHandler},
		"all of it":  {strings.NewReader("all"), nil},
	} {
		t.Run(situation, func(t *testing.T) {
			h := newHouse(t, web.Route{Method: "GET", Pattern: "/broken", Need: web.Public(), Handle: func(q *web.Request) error {
				return q.Send(web.Download{Name: "a.pdf", Type: "application/pdf", Size: -1, Body: c.body})
			}})
			defer func() {
				if got := recover(); got != c.want {
					t.Errorf("the answer ended with %v, want %v", got, c.want)
				}
			}()
			h.ask("GET", "/broken", "", nil)
		})
	}
}
