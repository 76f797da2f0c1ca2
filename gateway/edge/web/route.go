package web

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"postern/gateway/clinic/staff"
)

// Need is what a route asks of who calls it. The zero Need is none at all and refused by New.
type Need struct {
	kind    needKind
	ability staff.Ability
	level   staff.Level
}

type needKind uint8

const (
	needUnset needKind = iota
	needPublic
	needSignedIn
	needAbility
	needItem
	needPool
	needPatient
)

// Public is for anybody, signed in or not.
func Public() Need { return Need{kind: needPublic} }

// SignedIn is for every person of every organisation; what they see is the handler's to narrow.
func SignedIn() Need { return Need{kind: needSignedIn} }

// Able is for who has the ability.
func Able(a staff.Ability) Need { return Need{kind: needAbility, ability: a} }

// OnItem is for who has that level on the entry {item}, by its pool and scope; Request.Work is the entry.
func OnItem(l staff.Level) Need { return Need{kind: needItem, level: l} }

// OnItemAble is for who has that level on the entry {item} and the ability besides, and for who may sign for its team.
func OnItemAble(l staff.Level, a staff.Ability) Need {
	return Need{kind: needItem, level: l, ability: a}
}

// OnPool is for who has that level in the pool {pool}, for some category at least.
func OnPool(l staff.Level) Need { return Need{kind: needPool, level: l} }

// OnPatient is for who may see at least one message of the patient {patient}.
func OnPatient() Need { return Need{kind: needPatient, level: staff.Read} }

// String is the need in words, for the table of rights.
func (n Need) String() string {
	switch n.kind {
	case needPublic:
		return "public"
	case needSignedIn:
		return "signed in"
	case needAbility:
		return "able " + string(n.ability)
	case needItem:
		if n.ability != "" {
			return "item " + n.level.String() + " and able " + string(n.ability) + ", or item sign"
		}
		return "item " + n.level.String()
	case needPool:
		return "pool " + n.level.String()
	case needPatient:
		return "patient"
	}
	return "unset"
}

// wildcard is what the pattern of such a need must hold.
func (n Need) wildcard() string {
	return map[needKind]string{needItem: "{item}", needPool: "{pool}", needPatient: "{patient}"}[n.kind]
}

// Route is one page or act.
type Route struct {
	Method  string // GET or POST
	Pattern string // as of http.ServeMux, without method and host: "/item/{item}/take"
	Need    Need
	Handle  func(*Request) error

	Upload int64 // octets of a multipart form that Request.Parts reads; 0 is an ordinary form
	Quiet  bool  // asked for by the page itself: no sign of a person, so the session is not kept alive by it
	Framed bool  // shown in a frame of our own pages, in a sandbox (Request.Frame)
	Fresh  bool  // asks for a recent proof of who the person is

	Setting Setting // shown on the settings page to who may open the route; zero is not

	file *file
	none bool // nothing is there
}

// Setting is how a route is listed on the page /settings.
type Setting struct{ Name, Text, Icon string }

// String is "GET /work".
func (r Route) String() string { return r.Method + " " + r.Pattern }

// check finds what must not get into the table.
func (r Route) check() error {
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodPost:
		return fmt.Errorf("web: route %s: a route is GET or POST", r)
	case !strings.HasPrefix(r.Pattern, "/"):
		return fmt.Errorf("web: route %s: the pattern is no path", r)
	case r.Handle == nil:
		return fmt.Errorf("web: route %s: nothing handles it", r)
	case r.Need.kind == needUnset:
		return fmt.Errorf("web: route %s: it does not say what it needs", r)
	case (r.Need.kind == needAbility || r.Need.ability != "") && !slices.Contains(staff.Abilities(), r.Need.ability):
		return fmt.Errorf("web: route %s: no such ability %q", r, r.Need.ability)
	case r.Need.wildcard() != "" && (!strings.Contains(r.Pattern, r.Need.wildcard()) || r.Need.level == staff.None):
		return fmt.Errorf("web: route %s: it needs a level above none and %s in its pattern", r, r.Need.wildcard())
	case r.Upload > 0 && r.Method != http.MethodPost:
		return fmt.Errorf("web: route %s: only a POST brings a file", r)
	case r.Upload > MaxUpload:
		return fmt.Errorf("web: route %s: an upload has at most %d octets", r, int64(MaxUpload))
	}
	for _, w := range []string{"{item}", "{pool}", "{patient}"} {
		if strings.Contains(r.Pattern, w) && r.Need.wildcard() != w {
			return fmt.Errorf("web: route %s: its need does not check %s", r, w)
		}
	}
	return nil
}

// table checks routes and puts them in a mux. A pattern that meets another is refused, as http.ServeMux does.
func (s *Server) table(routes []Route) (mux *http.ServeMux, err error) {
	defer func() {
		if p := recover(); p != nil { // how ServeMux says that two patterns meet
			err = fmt.Errorf("web: routes: %v", p)
		}
	}()
	mux = http.NewServeMux()
	var faults []error
	for _, r := range routes {
		if err := r.check(); err != nil {
			faults = append(faults, err)
			continue
		}
		if r.file != nil {
			s.assets[r.file.name] = r.file.path()
		}
		mux.HandleFunc(r.Method+" "+r.Pattern, func(w http.ResponseWriter, h *http.Request) { s.serve(w, h, r) })
	}
	return mux, errors.Join(faults...)
}

// ErrNotFound is what is not there, or not for this person to know of: 404.
var ErrNotFound = errors.New("web: not found")

// Refusal is an act that cannot be done, in words for the person.
type Refusal struct{ Text string }

func (r *Refusal) Error() string { return r.Text }

// Invalid is a field that cannot be taken as it is, in words for the person: "has no @".
type Invalid struct{ Field, Text string }

func (i *Invalid) Error() string { return i.Field + ": " + i.Text }

// Local is the path if it leads to a page of ours, else "/": what a redirect may follow. A scheme, a host, a
// backslash or a control character makes it none.
func Local(path string) string {
	if !isLocal(path) {
		return "/"
	}
	return path
}

func isLocal(p string) bool {
	if len(p) == 0 || len(p) > 2000 || p[0] != '/' || len(p) > 1 && (p[1] == '/' || p[1] == '\\') {
		return false
	}
	return !strings.ContainsFunc(p, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\\' })
}
