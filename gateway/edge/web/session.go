package web

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"time"
	"unicode/utf8"

	"postern/gateway/auth"
	"postern/gateway/clinic/staff"
)

// The cookies. __Host- means: over TLS only, for this host only, for every path (RFC 6265bis §4.1.3.2).
const (
	sessionCookie = "__Host-postern"
	visitCookie   = "__Host-postern-visit"  // of who is not signed in: what the token of the sign-in form is made of
	noticeCookie  = "__Host-postern-notice" // shown once on the next page
)

// Visit is what is known of a session: whose it is and what they may.
type Visit struct {
	Session     auth.Session
	Person      staff.Person
	OrgName     string
	Memberships []staff.Membership
	Emergency   []staff.BreakGlass
	Alerts      []Alert
}

// Alert is what a person is told on every page until they have looked: that somebody reads what they answer for.
type Alert struct{ Text, Path string }

// Visitors knows the sessions. Visit's error is ErrNotFound for a hash that is none.
type Visitors interface {
	Visit(ctx context.Context, hash string) (Visit, error)
	Touch(ctx context.Context, hash string, at time.Time) error
}

// touchEvery is how exactly a session knows when it was last used.
const touchEvery = time.Minute

// identify finds who asks. A session that is over, half or of a disabled person is nobody.
func (s *Server) identify(q *Request) error {
	token := cookie(q.Request, sessionCookie)
	if token != "" {
		v, err := s.cfg.Visitors.Visit(q.Context(), auth.HashToken(token))
		switch {
		case s.absent(err):
		case err != nil:
			return err
		case v.Session.Alive(q.Now):
			q.secret, q.Session = token, v.Session
			if v.Session.Stage == auth.Full && !v.Person.Disabled {
				q.alerts = v.Alerts
				q.Person, q.Org, q.OrgName = v.Person, v.Person.Org, v.OrgName
				q.Rights = staff.Of(v.Person, v.Memberships, v.Emergency, q.Now)
				return s.touch(q)
			}
			return nil
		}
	}
	q.secret = cookie(q.Request, visitCookie)
	return nil
}

func (s *Server) touch(q *Request) error {
	if q.route.Quiet || q.Now.Sub(q.Session.Seen) < touchEvery {
		return nil
	}
	return s.cfg.Visitors.Touch(q.Context(), q.Session.Hash, q.Now)
}

func cookie(r *http.Request, name string) string {
	if c, err := r.Cookie(name); err == nil && len(c.Value) <= 1024 {
		return c.Value
	}
	return ""
}

// setCookie sets a cookie for as long; a negative time removes it, 0 keeps it until the browser ends.
func (q *Request) setCookie(name, value string, age time.Duration) {
	seconds := int(age / time.Second)
	if age < 0 {
		seconds = -1
	}
	http.SetCookie(q.w, &http.Cookie{Name: name, Value: value, Path: "/", MaxAge: seconds, Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode})
}

// Keep gives the browser the secret of its new session, for a session that was kept under its hash. The secret
// it had is of no use any more.
func (q *Request) Keep(token string) {
	q.secret = token
	q.setCookie(sessionCookie, token, 0)
	q.setCookie(visitCookie, "", -1)
}

// Forget takes the session's secret from the browser, and whatever else it keeps of our pages.
func (q *Request) Forget() {
	q.secret = ""
	q.setCookie(sessionCookie, "", -1)
	q.w.Header().Set("Clear-Site-Data", `"cache", "storage"`)
}

// token is what a form carries to show that this browser got it from us.
func (q *Request) token() string {
	if q.secret == "" { // the first page of who is not signed in
		q.secret = auth.NewToken()
		q.setCookie(visitCookie, q.secret, 0)
	}
	return FormToken(q.secret)
}

// Browser names this browser for as long as it keeps its cookie. It is a digest: nobody can be this browser with it.
func (q *Request) Browser() string { return auth.HashToken("browser " + q.token()) }

// FormToken is the token that forms carry for the secret of a session.
func FormToken(secret string) string {
	m := hmac.New(sha256.New, []byte(secret))
	m.Write([]byte("postern-form-1"))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

// holds tells whether a form's token is of this request's session.
func (q *Request) holds(token string) bool {
	return q.secret != "" && hmac.Equal([]byte(token), []byte(FormToken(q.secret)))
}

// notice is the one-time notice, which is then gone.
func (q *Request) notice() string {
	v := cookie(q.Request, noticeCookie)
	if v == "" {
		return ""
	}
	q.setCookie(noticeCookie, "", -1)
	b, err := base64.RawURLEncoding.DecodeString(v)
	if err != nil || len(b) > maxNotice || !utf8.Valid(b) {
		return ""
	}
	return string(b)
}
