package web

import (
	"errors"
	"strings"
)

// room is one entry of the navigation.
type room struct {
	Name  string // what is shown
	Small string // on a narrow screen
	Path  string
	Icon  string
	Key   string // after g
	Here  bool
}

// rooms lists the rooms of the house, in order. One is shown when it has a page.
func rooms() []room {
	return []room{
		{Name: "Home", Path: "/", Icon: "home", Key: "h"},
		{Name: "Work", Path: "/work", Icon: "inbox", Key: "w"},
		{Name: "Patients", Path: "/patients", Icon: "patient", Key: "p"},
		{Name: "Find", Path: "/find", Icon: "find", Key: "f"},
		{Name: "Write", Path: "/write", Icon: "write", Key: "n"},
		{Name: "Address book", Small: "Book", Path: "/addresses", Icon: "book", Key: "b"},
		{Name: "Settings", Path: "/settings", Icon: "settings", Key: "s"},
	}
}

// layoutData is the dot of the layout.
type layoutData struct {
	Title, Org, Notice, Refused string
	Rooms                       []room
	Alerts                      []Alert
	Anyone                      bool // nobody is signed in
	Find                        bool // there is a page to search
	Data                        any
}

func (q *Request) layout(title string, data any) layoutData {
	d := layoutData{Title: title, Org: q.OrgName, Anyone: !q.SignedIn(), Data: data, Notice: q.notice()}
	var refusal *Refusal
	var invalid *Invalid
	switch {
	case errors.As(q.fault, &refusal):
		d.Refused = refusal.Text
	case errors.As(q.fault, &invalid):
		d.Refused = "Something needs another look; nothing was changed."
	}
	if d.Anyone {
		return d
	}
	for _, r := range rooms() {
		if !q.s.has(r.Path) {
			continue
		}
		at := q.URL.Path
		if r.Path == "/settings" && (at == "/account" || at == "/emergency" || strings.HasPrefix(at, "/account/")) {
			at = r.Path
		}
		r.Here = r.Path == "/" && q.URL.Path == "/" || r.Path != "/" && (at == r.Path || strings.HasPrefix(at, r.Path+"/"))
		if r.Small == "" {
			r.Small = r.Name
		}
		d.Rooms = append(d.Rooms, r)
	}
	d.Find, d.Alerts = q.s.has("/find"), q.alerts
	return d
}
