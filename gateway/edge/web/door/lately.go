package door

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"postern/gateway/audit"
	"postern/gateway/clinic/staff"
	"postern/gateway/edge/web"
	"postern/gateway/store"
)

// Limits of what is shown of how a person signed in lately.
const (
	maxLately = 12
	lookedAt  = 200 // entries of the audit looked through
)

// lateLine is one thing that happened to how a person signs in.
type lateLine struct {
	At   time.Time
	Text string
	Bad  bool // worth a second look
}

// lately is what the audit says of how a person signed in, and of what was changed about it, newest first: the person
// and who administers people see it, so that neither a guess nor a change goes unnoticed.
func (d *door) lately(q *web.Request, p staff.Person) (out []lateLine, err error) {
	rows, err := d.Store.AuditOf(q.Context(), q.Org, []string{p.Login}, lookedAt)
	for _, e := range rows {
		text, bad := lateWords(e)
		if text == "" || len(out) == maxLately {
			continue
		}
		if e.Actor != p.Login && e.Actor != "gateway" {
			text += ", by " + e.Actor
		}
		out = append(out, lateLine{e.Time, text, bad})
	}
	return out, err
}

// lateWords is an entry in words; "" is one of another kind.
func lateWords(e audit.Entry) (text string, bad bool) {
	var d map[string]any
	_ = json.Unmarshal(e.Detail, &d) // an entry without detail is said in fewer words
	word := func(name string) string { s, _ := d[name].(string); return s }
	from := func(name string) string {
		if s := word(name); s != "" {
			return " from " + s
		}
		return ""
	}
	switch e.Action {
	case "person.sign_in":
		return "Signed in by " + word("method") + from("peer"), false
	case store.ActionSignInFailed:
		return failedWords(d) + from("last_from"), true
	case "person.password":
		return "Password changed", true
	case "person.invite":
		return "Link for a new password made", true
	case "person.app_added":
		return "Authenticator app added", true
	case "person.passkey_added":
		return "Passkey added: " + word("name"), true
	case "person.recovery_codes":
		return "New recovery codes", true
	case "person.recovery_code":
		return "Recovery code used", true
	case "person.factor_removed":
		return "Removed: " + word("name"), true
	case "person.factors_removed":
		return "All second proofs removed", true
	case "person.single_sign_on_linked":
		return "Linked to single sign-on", true
	case "person.signed_out":
		return "Signed out", false
	}
	return "", false
}

// failedWords says how often what failed: "3 wrong passwords, 1 wrong code".
func failedWords(d map[string]any) string {
	var parts []string
	for _, k := range []struct{ kind, one, many string }{
		{"password", "wrong password", "wrong passwords"}, {"second", "wrong second proof", "wrong second proofs"},
		{"passkey", "passkey that did not fit", "passkeys that did not fit"}, {"single", "single sign-on that was refused", "single sign-ons that were refused"},
		{"link", "link that is none", "links that are none"},
	} {
		n, _ := d[k.kind].(float64)
		switch {
		case n == 1:
			parts = append(parts, "1 "+k.one)
		case n > 1:
			parts = append(parts, fmt.Sprintf("%d %s", int(n), k.many))
		}
	}
	text := strings.Join(parts, ", ")
	if whole, _ := d["whole_hour"].(bool); whole {
		text += " in that hour"
	}
	return text
}
