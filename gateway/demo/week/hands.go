package week

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"postern/gateway/auth"
	"postern/gateway/clinic/work"
	"postern/gateway/store"
)

// hands does with the clinic's pages what its people do: every act is a form of a page that was opened first, so
// that rights, checks and the audit are those of the real thing.
type hands struct {
	*player
	client *http.Client
	base   string // public URL
}

// newHands reaches the pages at the address they listen on, whatever name the URL has. Their certificate was made a
// moment ago for this machine alone and is not checked.
func newHands(p *player, listen, base string) *hands {
	return &hands{player: p, base: base, client: &http.Client{
		Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // loopback, our own process
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, "tcp", listen)
			}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// browser is one person's, signed in for as long as one act takes.
type browser struct {
	*hands
	login, token string
}

// as signs a person in.
func (h *hands) as(ctx context.Context, login string) (*browser, error) {
	p := h.people[login]
	b := &browser{h, login, auth.NewToken()}
	now := h.clock.Now()
	return b, h.clinic.Store.BeginSession(ctx, auth.Session{Hash: auth.HashToken(b.token), Org: p.Org, Person: string(p.ID), Stage: auth.Full, Method: "demo",
		Peer: "127.0.0.1", Agent: "the demo", Created: now, Seen: now, Proved: now}, "", store.AuditEntry{Org: p.Org, Actor: login, Action: "person.sign_in", Object: login, Detail: map[string]string{"method": "demo"}})
}

// leave signs the person out.
func (b *browser) leave(ctx context.Context) error {
	p := b.people[b.login]
	return b.clinic.Store.EndSession(ctx, p.Org, p.ID, auth.HashToken(b.token), store.AuditEntry{Org: p.Org, Actor: b.login, Action: "person.sign_out", Object: b.login})
}

// by does something as a person.
func (h *hands) by(ctx context.Context, login string, do func(*browser) error) error {
	b, err := h.as(ctx, login)
	if err != nil {
		return err
	}
	if err := errors.Join(do(b), b.leave(ctx)); err != nil {
		return fmt.Errorf("week: %s: %w", login, err)
	}
	return nil
}

func (b *browser) ask(ctx context.Context, method, path, kind string, body io.Reader) (int, string, http.Header, error) {
	r, err := http.NewRequestWithContext(ctx, method, b.base+path, body)
	if err != nil {
		return 0, "", nil, err
	}
	r.Header.Set("Cookie", "__Host-postern="+b.token)
	if kind != "" {
		r.Header.Set("Content-Type", kind)
		r.Header.Set("Origin", b.base)
	}
	res, err := b.client.Do(r)
	if err != nil {
		return 0, "", nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 4<<20))
	return res.StatusCode, string(text), res.Header, err
}

var (
	tokenField = regexp.MustCompile(`name="csrf" value="([^"]+)"`)
	refused    = regexp.MustCompile(`(?s)<p class="(?:notice bad|wrong)[^>]*>(.*?)</p>|<ul class="findings[^>]*>(.*?)</ul>`)
	tag        = regexp.MustCompile(`<[^>]*>`)
)

// open opens a page and gives the token of its forms.
func (b *browser) open(ctx context.Context, path string) (string, error) {
	code, text, _, err := b.ask(ctx, "GET", path, "", nil)
	if err != nil {
		return "", err
	}
	m := tokenField.FindStringSubmatch(text)
	if code != http.StatusOK || m == nil {
		return "", fmt.Errorf("the page %s answers %d", path, code)
	}
	return m[1], nil
}

// post sends a form from a page; fields are names and values in turn. It gives where the answer leads.
func (b *browser) post(ctx context.Context, from, to string, fields ...string) (string, error) {
	token, err := b.open(ctx, from)
	if err != nil {
		return "", err
	}
	form := url.Values{"csrf": {token}}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Add(fields[i], fields[i+1])
	}
	return b.done(ctx, to, "application/x-www-form-urlencoded", strings.NewReader(form.Encode()))
}

// upload is post for a form that may bring files.
func (b *browser) upload(ctx context.Context, from, to string, fields ...string) (string, error) {
	token, err := b.open(ctx, from)
	if err != nil {
		return "", err
	}
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	err = w.WriteField("csrf", token)
	for i := 0; i+1 < len(fields); i += 2 {
		err = errors.Join(err, w.WriteField(fields[i], fields[i+1]))
	}
	if err := errors.Join(err, w.Close()); err != nil {
		return "", err
	}
	return b.done(ctx, to, w.FormDataContentType(), &body)
}

func (b *browser) done(ctx context.Context, to, kind string, body io.Reader) (string, error) {
	code, text, head, err := b.ask(ctx, "POST", to, kind, body)
	if err != nil {
		return "", err
	}
	if code != http.StatusSeeOther {
		var said []string
		for _, m := range refused.FindAllStringSubmatch(text, -1) {
			said = append(said, strings.Join(strings.Fields(tag.ReplaceAllString(m[1]+m[2], " ")), " "))
		}
		return "", fmt.Errorf("the form %s answers %d: %s", to, code, strings.Join(said, "; "))
	}
	return head.Get("Location"), nil
}

// act does one act on a message.
func (b *browser) act(ctx context.Context, id work.ID, act string, fields ...string) error {
	e, err := b.clinic.Store.Work(ctx, b.people[b.login].Org, id)
	if err != nil {
		return err
	}
	at := "/item/" + string(id)
	_, err = b.post(ctx, at, at+"/act", append([]string{"act", act, "version", fmt.Sprint(e.Version)}, fields...)...)
	return err
}
