package web

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"
	"strings"
)

// oops is what the page of an error says.
type oops struct {
	Title, Text string
	Reference   string // of a fault of ours, also in the log
	Back        string
}

// fail answers an error. Peers get generic words; what is not there and what is not theirs read the same.
func (s *Server) fail(q *Request, err error) {
	if q.wrote || q.Context().Err() != nil && errors.Is(err, context.Canceled) {
		if q.Context().Err() == nil {
			s.cfg.Log.Warn("web answer broke off", "route", q.route.String(), "error", err)
		}
		if q.sending { // a file that ends early must not look whole
			panic(http.ErrAbortHandler)
		}
		return
	}
	code, o := s.explain(q, err)
	if code == 0 {
		return
	}
	if o.Reference != "" {
		s.cfg.Log.Error("web page failed", "route", q.route.String(), "person", string(q.Person.ID), "reference", o.Reference, "error", err)
	}
	if q.Header.Get("Accept") == "text/event-stream" || q.route.Framed {
		http.Error(q.w, o.Title, code)
		return
	}
	q.fault = nil
	if err := q.page(code, s.oops, o.Title, o); err != nil {
		s.cfg.Log.Error("web page of an error failed", "error", err)
		http.Error(q.w, o.Title, code)
	}
}

// explain is the answer to an error; code 0 when it has been given.
func (s *Server) explain(q *Request, err error) (int, oops) {
	var refusal *Refusal
	var invalid *Invalid
	switch {
	case errors.Is(err, errSignIn):
		if q.Header.Get("Accept") == "text/event-stream" || q.route.Quiet || q.route.Framed {
			return http.StatusUnauthorized, oops{Title: "Please sign in"}
		}
		to := "/sign-in"
		if at := q.back(); at != "/" && at != s.home {
			to += "?next=" + url.QueryEscape(at)
		}
		_ = q.See(to, "") // a redirect cannot fail
		return 0, oops{}
	case s.absent(err):
		return http.StatusNotFound, oops{Title: "Nothing here", Text: "There is no such page, or it is not for you to see."}
	case errors.Is(err, errToken):
		return http.StatusForbidden, oops{Title: "Please send that again", Text: "The form is from before you signed in, or has waited too long. Nothing was changed.", Back: q.behind()}
	case errors.As(err, &refusal):
		return http.StatusUnprocessableEntity, oops{Title: "That was not done", Text: refusal.Text, Back: q.behind()}
	case errors.As(err, &invalid):
		return http.StatusUnprocessableEntity, oops{Title: "That was not done", Text: strings.ToUpper(invalid.Field[:min(1, len(invalid.Field))]) + invalid.Error()[min(1, len(invalid.Field)):] + ".", Back: q.behind()}
	}
	return http.StatusInternalServerError, oops{Title: "Something went wrong here", Text: "It is not your fault. Try again; if it stays, tell your administrator the reference.",
		Reference: strings.ToLower(rand.Text()[:10]), Back: q.behind()}
}

func (s *Server) absent(err error) bool {
	for _, e := range s.cfg.Absent {
		if errors.Is(err, e) {
			return true
		}
	}
	return errors.Is(err, ErrNotFound)
}

// behind is the page whose form led here; nothing when none did.
func (q *Request) behind() string {
	if q.Method != http.MethodPost {
		return ""
	}
	return q.back()
}
