package gateway

import (
	"context"
	"net/url"

	"postern/gateway/clinic/work"
	"postern/gateway/edge/web"
	"postern/gateway/edge/web/desk"
	"postern/gateway/edge/web/keep"
)

// deskPages are the pages of people's work, and what is kept about it.
func (s *Site) deskPages() []web.Route {
	item := func(id work.ID, rest string) string { return "/item/" + url.PathEscape(string(id)) + rest }
	return append(desk.Routes(desk.Services{Store: s.Store, Open: s.openBytes, Words: s.Pipeline.WordsOf, Clock: s.now, House: s.house,
		Answer:    func(id work.ID, how string) string { return item(id, "/write/"+url.PathEscape(how)) },
		Draft:     func(id string) string { return "/write/draft/" + url.PathEscape(id) },
		Again:     func(message string) string { return "/sent/" + url.PathEscape(message) },
		Patient:   func(id work.ID) string { return item(id, "/patient") },
		OfPatient: func(patient string) string { return "/patient/" + url.PathEscape(patient) },
		Print:     func(id work.ID) string { return item(id, "/print") },
		Export:    func(id work.ID) string { return item(id, "/export") }}),
		keep.Routes(keep.Services{Store: s.Store,
			Release: func(ctx context.Context, login, id string) error { return s.As(login).HeldRelease(ctx, id) },
			Discard: func(ctx context.Context, login, id string) error { return s.As(login).HeldDiscard(ctx, id) }})...)
}

// openBytes opens stored bytes by the id of their row.
func (s *Site) openBytes(ctx context.Context, blob string) (desk.Bytes, error) {
	row, err := s.Store.Blob(ctx, blob)
	if err != nil {
		return nil, err
	}
	return s.Spool.Open(row)
}
