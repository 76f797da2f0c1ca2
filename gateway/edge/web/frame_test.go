package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"postern/gateway/clinic/staff"
)

func TestAPageInItsLayout(t *testing.T) {
	h := newHouse(t)
	tok := h.person(staff.Person{Login: "dana", Org: "o-1", Name: "Dana Reyes", Role: staff.Nurse, Zone: "America/Chicago"})
	h.now = now.Add(21 * time.Minute)
	r := h.ask("GET", "/", tok, nil)
	if r.StatusCode != 200 {
		t.Fatalf("%d", r.StatusCode)
	}
	body := text(t, r)
	for _, want := range []string{"<title>Say · Postern</title>", "Cardiology", "Dana Reyes", `aria-current="page"`, `content="here"`,
		`value="a &lt;b&gt; c"`, "today 03:21", "a &lt;…", "2 lines", `href="/item/a%2Fb/take"`, `<svg class="icon"`, `action="/sign-out"`} {
		if !strings.Contains(body, want) {
			t.Errorf("the page does not say %s", want)
		}
	}
	if strings.Contains(body, `href="/work"`) {
		t.Error("a room without a page is shown")
	}
	if len(body) > 30<<10 {
		t.Errorf("the frame of a page takes %d octets", len(body))
	}
}

func TestAFormThatIsRefusedComesBack(t *testing.T) {
	h := newHouse(t)
	tok := h.person(staff.Person{Login: "dana", Org: "o-1", Role: staff.Nurse})
	r := h.ask("POST", "/say", tok, url.Values{"csrf": {h.csrf(t, "/", tok)}, "note": {"bad"}})
	body := text(t, r)
	if r.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(body, `value="bad"`) || !strings.Contains(body, `id="note-wrong" role="alert">is &lt;bad&gt;`) {
		t.Errorf("%d\n%s", r.StatusCode, body)
	}
}

func TestANoticeIsShownOnce(t *testing.T) {
	h := newHouse(t)
	tok := h.person(staff.Person{Login: "dana", Org: "o-1", Role: staff.Nurse})
	r := h.ask("POST", "/say", tok, url.Values{"csrf": {h.csrf(t, "/", tok)}, "to": {"/rules?x=1"}})
	if r.StatusCode != http.StatusSeeOther || r.Header.Get("Location") != "/rules?x=1" {
		t.Fatalf("%d %s", r.StatusCode, r.Header.Get("Location"))
	}
	var notice *http.Cookie
	for _, c := range r.Cookies() {
		if c.Name == "__Host-postern-notice" {
			notice = c
		}
	}
	r = h.ask("GET", "/", tok, nil, func(r *http.Request) { r.AddCookie(notice) })
	if body := text(t, r); !strings.Contains(body, "Saved.") || !strings.Contains(body, "__Host-postern-notice=; Path=/; Max-Age=0") {
		t.Error("the notice is not shown, or not gone afterwards")
	}
}
