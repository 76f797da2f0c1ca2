package web

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/work"
)

// pagePolicy allows our own files and forms, and nothing from elsewhere.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; " +
	"frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// framePolicy is for a document in a frame of ours: its own style, pictures inside it, nothing else.
const framePolicy = "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline' 'self'; img-src 'self' data:; " +
	"form-action 'none'; base-uri 'none'; frame-ancestors 'self'"

// header sets what every answer carries.
func (s *Server) header(h http.Header) {
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin") // our own paths name no patient; "no-referrer" would hide Origin on a POST
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=(), usb=(), publickey-credentials-get=(self), publickey-credentials-create=(self)")
	h.Set("Strict-Transport-Security", "max-age=31536000")
	h.Set("X-Robots-Tag", "noindex, nofollow")
	h.Set("Cache-Control", "no-store")
}

// Answers to requests that are not served at all.
var (
	errHost  = errors.New("web: another host was asked for")
	errProxy = errors.New("web: not from a proxy that is trusted")
	errCross = errors.New("web: sent by another site")
	errToken = errors.New("web: the form is not of this session")
)

// peer is the address a request came from. Behind a trusted proxy it is the last one named that is no such proxy.
func (s *Server) peer(r *http.Request) (string, error) {
	at, err := remote(r)
	if err != nil {
		return "", err
	}
	if !s.trusted(at) {
		if s.cfg.TLS == nil {
			return "", errProxy
		}
		return at.String(), nil
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && i >= len(hops)-maxHops; i-- {
		ip, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		if at = ip.Unmap().WithZone(""); !s.trusted(at) {
			break
		}
	}
	return at.String(), nil
}

// maxHops bounds the proxies in a row that are looked at.
const maxHops = 10

func (s *Server) trusted(a netip.Addr) bool {
	for _, p := range s.cfg.Proxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

func remote(r *http.Request) (netip.Addr, error) {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("web: peer: %w", err)
	}
	a, err := netip.ParseAddr(host)
	return a.Unmap().WithZone(""), err
}

// origin holds what the browser says of where a request comes from against what it may be (Fetch Metadata;
// RFC 6454). A browser that says nothing is left to the form's token.
func (s *Server) fromOutside(r *http.Request) bool {
	site, mode := r.Header.Get("Sec-Fetch-Site"), r.Header.Get("Sec-Fetch-Mode")
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		// A link from elsewhere may open a page; nothing else of ours is for other sites.
		return (site == "cross-site" || site == "same-site") && mode != "" && mode != "navigate"
	}
	if site != "" && site != "same-origin" && site != "none" {
		return true
	}
	o := r.Header.Get("Origin")
	return o != "" && !strings.EqualFold(o, s.origin)
}

// form reads the form of a POST and holds its token against the session. An upload is read only up to its token,
// which comes first.
func (q *Request) form() error {
	limit := max(q.route.Upload, MaxForm)
	if !q.SignedIn() { // what a stranger sends is small and comes at once
		limit = MaxPublic
		_ = http.NewResponseController(q.w).SetReadDeadline(time.Now().Add(strangerTime)) // the system's time, not ours; none to set in a test's recorder
	}
	q.Body = http.MaxBytesReader(q.w, q.Body, limit)
	kind, params, err := mime.ParseMediaType(q.Header.Get("Content-Type"))
	if q.route.Upload > 0 && err == nil && kind == "multipart/form-data" {
		q.slow()
		_ = http.NewResponseController(q.w).SetReadDeadline(time.Now().Add(downloadTime)) // the system's time, not ours; none to set in a test's recorder
		q.PostForm, q.Form = map[string][]string{}, map[string][]string{}
		q.parts = multipart.NewReader(q.Body, params["boundary"])
		p, err := q.parts.NextPart()
		if err != nil || p.FormName() != "csrf" {
			return errToken
		}
		v, err := io.ReadAll(io.LimitReader(p, 200))
		if err != nil || !q.holds(string(v)) {
			return errToken
		}
		return nil
	}
	if err == nil && kind != "application/x-www-form-urlencoded" {
		return errToken
	}
	if err := q.ParseForm(); err != nil {
		return unread(err)
	}
	if !q.SignedIn() {
		_ = http.NewResponseController(q.w).SetReadDeadline(time.Now().Add(answerTime)) // as for others: what is read now is whether the browser left
	}
	n := 0
	for _, v := range q.PostForm {
		n += len(v)
	}
	if n > MaxFields {
		return &Refusal{"The form has too many fields."}
	}
	if !q.holds(q.PostForm.Get("csrf")) {
		return errToken
	}
	return nil
}

// allow checks the route's need. Whatever is not allowed is not there.
func (s *Server) allow(q *Request) error {
	n, ctx := q.route.Need, q.Context()
	if n.kind == needPublic {
		return nil
	}
	if !q.SignedIn() {
		return errSignIn
	}
	switch n.kind {
	case needSignedIn:
		return nil
	case needAbility:
		return must(q.Rights.Can(n.ability))
	case needItem:
		e, err := s.cfg.Objects.Item(ctx, q.Org, work.ID(q.PathValue("item")))
		if err != nil {
			return err
		}
		q.Work = e
		level := q.Rights.On(e.Pool, e.Scope())
		return must(e.Org == q.Org && level >= n.level && (n.ability == "" || level >= staff.Sign || q.Rights.Can(n.ability)))
	case needPool:
		pool := q.PathValue("pool")
		if q.Rights.InPool(pool) < n.level {
			return ErrNotFound
		}
		return s.cfg.Objects.Pool(ctx, q.Org, pool)
	case needPatient:
		return s.cfg.Objects.Patient(ctx, q.Org, q.PathValue("patient"), q.Rights)
	}
	return ErrNotFound
}

func must(ok bool) error {
	if !ok {
		return ErrNotFound
	}
	return nil
}
