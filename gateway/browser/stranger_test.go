package browser_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"postern/gateway"
	"postern/gateway/clinic/staff"
)

// marks are words of the week that nobody else may ever read.
var marks = []string{"Brandvold", "Pike", "Osei", "Castelnau", "Marchetti", "Ekberg", "Achterberg", "Dana Reyes", "Pascal Lindqvist", "lakeview.example", "mercy.example", "uptown-imaging", "hillside.example", "Hillside",
	"fibrillation", "Something is missing", "Requests for records", "surgical opinion"}

// TestAnotherOrganisation has a manager of a second organisation on the same gateway open every page of the first by
// its real names, send every form, search for every word, and listen: nothing is there.
func TestAnotherOrganisation(t *testing.T) {
	c := open(t)
	admin, yes := c.Inside().As("test"), true
	if _, err := admin.OrgAdd(t.Context(), "Valley Eye Clinic"); err != nil {
		t.Fatal(err)
	}
	var eyes []*outsider
	for _, role := range []staff.Role{staff.Manager, staff.Physician, staff.TrustAdministrator} {
		made, err := admin.PersonAdd(t.Context(), gateway.PersonArg{Org: "Valley Eye Clinic", Login: "eve." + strings.ReplaceAll(string(role), "_", "."), Name: "Eve Outside", Role: string(role), Admin: &yes, Zone: "UTC"})
		if err != nil {
			t.Fatal(err)
		}
		eyes = append(eyes, c.outsider(t, made.Person))
	}
	if _, text := c.outsider(t, c.person(t, "dana")).get("/"); marked(text, "/") == "" {
		t.Fatal("the marks are not on the first organisation's own pages")
	}
	for _, eve := range eyes {
		for pattern, path := range c.routes(t) {
			if pattern == "/welcome/{token}" {
				continue // whoever has the link is the person
			}
			eve.looks(pattern, path)
		}
		for _, path := range []string{"/find?q=Brandvold", "/find?q=fibrillation", "/find?q=" + url.QueryEscape("from:h.okonjo"), "/find?q=is%3Aurgent", "/patients?name=bra", "/patients?name=p", "/addresses?find=lakeview", "/addresses?find=okonjo",
			"/work?view=open&pool=" + c.work(t, "urgent").Pool, "/record?id=" + string(c.Week.Items["chart"]), "/write/new?team=" + c.work(t, "urgent").Pool, "/rules/edit?rule=r-1", "/held", "/sent", "/handover"} {
			if code, text := eve.get(path); code >= 500 || marked(text, path) != "" {
				t.Errorf("%s: %d, and it says %q", path, code, marked(text, path))
			}
		}
		eve.sends()
	}
	for name := range c.Week.Items {
		if e := c.work(t, name); e.Org != c.Inside().Org || strings.HasPrefix(string(e.Owner), "p-eve") {
			t.Errorf("%s is %s's now", name, e.Owner)
		}
	}
}

// outsider is a person of another organisation, by HTTP.
type outsider struct {
	testing.TB
	*clinic
	client *http.Client
	token  string
}

func (c *clinic) outsider(t testing.TB, p staff.Person) *outsider {
	return &outsider{t, c, &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // our own, on loopback
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, "tcp", c.Web)
			}}}, c.session(t, p)}
}

func (o *outsider) ask(method, path, kind string, body io.Reader) (int, string) {
	o.Helper()
	ctx, leave := context.WithCancel(o.Context())
	defer leave()
	r, err := http.NewRequestWithContext(ctx, method, o.URL+path, body)
	if err != nil {
		o.Fatal(err)
	}
	r.Header.Set("Cookie", "__Host-postern="+o.token)
	if kind != "" {
		r.Header.Set("Content-Type", kind)
		r.Header.Set("Origin", o.URL)
	}
	res, err := o.client.Do(r)
	if err != nil {
		o.Fatal(err)
	}
	defer res.Body.Close()
	if strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") { // which has no end
		defer time.AfterFunc(300*time.Millisecond, leave).Stop()
	}
	text, err := io.ReadAll(res.Body)
	if err != nil && !errors.Is(err, context.Canceled) {
		o.Fatal(err)
	}
	return res.StatusCode, string(text)
}

func (o *outsider) get(path string) (int, string) {
	o.Helper()
	return o.ask("GET", path, "", nil)
}

// looks opens a route with the first organisation's names: 404 where it names something, and never a word of it. What
// streams is listened to for a while.
func (o *outsider) looks(pattern, path string) {
	o.Helper()
	code, text := o.get(path)
	if m := marked(text, path); m != "" {
		o.Errorf("GET %s says %q to another organisation", pattern, m)
	}
	named := strings.Contains(strings.ReplaceAll(pattern, "{$}", ""), "{")
	if pattern == "/record/{object}" { // an id that nobody has is answered in the same way
		if other, same := o.get("/record/w-nobody-has-this"); other != code || strings.Count(same, "<tr") != strings.Count(text, "<tr") {
			o.Errorf("GET %s: %d, and %d for what is not there", pattern, code, other)
		}
		return
	}
	if named && code != http.StatusNotFound && code != http.StatusSeeOther || code >= 500 {
		o.Errorf("GET %s: %d", pattern, code)
	}
}

func marked(text, path string) string {
	text = strings.ReplaceAll(strings.ReplaceAll(text, path, ""), "Valley", "")
	text = typedBack.ReplaceAllString(text, "") // what was asked for stands in its field again
	for _, m := range marks {
		if strings.Contains(text, m) {
			return m
		}
	}
	return ""
}

var (
	typedBack = regexp.MustCompile(`value="[^"]*"`)
	formToken = regexp.MustCompile(`name="csrf" value="([^"]+)"`)
)

// sends sends a whole form to every route that changes something of the first organisation's.
func (o *outsider) sends() {
	o.Helper()
	_, page := o.get("/account")
	m := formToken.FindStringSubmatch(page)
	if m == nil {
		o.Fatal("the account page has no form")
	}
	routes, err := o.Inside().Pages(o.URL)
	if err != nil {
		o.Fatal(err)
	}
	names := o.names(o)
	for _, r := range routes {
		if r.Method != "POST" || !strings.Contains(r.Pattern, "{") || strings.HasPrefix(r.Pattern, "/welcome") {
			continue
		}
		path := wildcard.ReplaceAllStringFunc(r.Pattern, func(w string) string { return url.PathEscape(names[w]) })
		fields := url.Values{"csrf": {m[1]}, "act": {"take"}, "version": {"1"}, "do": {"send"}, "how": {"reply"}, "note": {"x"}, "name": {"x"}, "role": {"nurse"}, "owner": {"x"}, "person": {names["{person}"]}}
		var code int
		var text string
		if r.Upload > 0 {
			var b bytes.Buffer
			w := multipart.NewWriter(&b)
			_ = w.WriteField("csrf", m[1]) // a buffer never fails
			_ = w.WriteField("do", "send")
			_ = w.Close()
			code, text = o.ask("POST", path, w.FormDataContentType(), &b)
		} else {
			code, text = o.ask("POST", path, "application/x-www-form-urlencoded", strings.NewReader(fields.Encode()))
		}
		if code != http.StatusNotFound && code != http.StatusSeeOther || marked(text, path) != "" {
			o.Errorf("POST %s: %d, and it says %q", r.Pattern, code, marked(text, path))
		}
	}
}
