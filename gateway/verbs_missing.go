package gateway

import (
	"errors"
	"fmt"
	"strings"

	"postern/gateway/edge/control"
	"postern/gateway/store"
)

// listOf is the command that lists what a message names, or "".
func listOf(text string) string {
	for _, n := range [][2]string{{"held", "postern held list, postern held groups"}, {"domain", "postern domain list"}, {"address", "postern address list"},
		{"login", "postern user list"}, {"person", "postern person list"}, {"organisation", "postern org list"}, {"certificate", "postern cert list"},
		{"bundle", "postern trust bundle list"}, {"subscription", "postern trust bundle list"}, {"anchor", "postern trust anchor list"},
		{"policy", "postern trust policy list"}, {"change", "postern trust changes"}, {"peer", "postern peer list"}, {"job", "postern queue"},
		{"inbox", "postern inbox list"}, {"item", "postern inbox list"}, {"message", "postern trace"}} {
		if strings.Contains(" "+text, " "+n[0]+" ") {
			return n[1]
		}
	}
	return ""
}

// missing words an error about something that is not here, or is here already: it names the thing and where to see
// what there is. Other errors stay as they are.
func missing(verb string, err error) error {
	kind, sentinel := "not_found", store.ErrNotFound
	switch {
	case errors.Is(err, store.ErrNotFound):
	case errors.Is(err, store.ErrExists):
		kind, sentinel = "exists", store.ErrExists
	default:
		return err
	}
	text := err.Error()
	if text == sentinel.Error() { // nobody said what
		noun, _, _ := strings.Cut(verb, ".") // never the arguments: they may hold a password
		text = fmt.Sprintf("the %s that was named: %s", noun, text)
	}
	remedy := "see what there is"
	if kind == "exists" {
		remedy = "nothing is changed; see it"
	}
	if list := listOf(text); list != "" && !strings.Contains(text, "postern ") {
		text += "; " + remedy + ": " + list
	}
	return &control.Error{Kind: kind, Text: text}
}
