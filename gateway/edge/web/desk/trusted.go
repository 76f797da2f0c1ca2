package desk

import (
	"cmp"
	"encoding/json"
	"strings"

	"postern/gateway/clinic/work"
	"postern/gateway/delivery/track"
	"postern/gateway/edge/web"
	"postern/smime"
)

// trustIn is who a message is from beyond doubt.
type trustIn struct {
	Sender  string // the verified address
	Bound   string // to what the certificate speaks: "address" or "domain"
	Signer  string // whose certificate signed it
	Who     string // the organisation it names
	Anchor  string // who vouches for it
	Own     bool   // this gateway wrote it
	Notice  bool   // a report by a partner's gateway
	Checked bool   // the ladder says how it was verified
}

// Words is one sentence.
func (t trustIn) Words() string {
	switch {
	case t.Own:
		return "Written by this gateway."
	case !t.Checked:
		return "Verified when it came."
	case t.Bound == "domain":
		_, domain, _ := strings.Cut(t.Sender, "@")
		return "Verified: signed for its whole organisation, " + domain + "."
	}
	return "Verified: signed for this very address."
}

// trusted reads from the ladder how the sender was verified.
func (d *desk) trusted(q *web.Request, e work.Entry) (trustIn, error) {
	t := trustIn{Sender: e.Sender.String(), Own: (e.Kind == work.Failure || e.Kind == work.Unconfirmed) && e.About != "", Notice: e.Kind == work.Notice}
	events, err := d.Store.Events(q.Context(), e.Message)
	for _, v := range events {
		if v.Kind != track.Trusted || !v.Recipient.SameMailbox(e.Recipient) {
			continue
		}
		var ev struct {
			Bound         string `json:"bound"`
			AnchorSubject string `json:"anchor_subject"`
			Report        struct {
				Signers []struct {
					Cert struct {
						Subject string `json:"subject"`
					} `json:"cert"`
					Reason string `json:"reason"`
				} `json:"signers"`
			} `json:"report"`
		}
		if json.Unmarshal(v.Evidence, &ev) != nil {
			continue
		}
		t.Checked, t.Own, t.Bound, t.Anchor = true, false, ev.Bound, plain(ev.AnchorSubject)
		for _, s := range ev.Report.Signers {
			if s.Reason == "" && t.Signer == "" {
				t.Signer, t.Who = plain(s.Cert.Subject), organization(s.Cert.Subject)
			}
		}
	}
	return t, err
}

// organization is the organisation in a certificate's subject; "" is none.
func organization(subject string) string { return attribute(subject, "O") }

// plain is a certificate's subject for people: whose it is, and of which organisation.
func plain(subject string) string {
	cn, o := attribute(subject, "CN"), organization(subject)
	switch {
	case cn == "" && o == "":
		return subject
	case cn == "" || o == "" || cn == o:
		return cmp.Or(cn, o)
	}
	return cn + ", " + o
}

// attribute is the first value of that name in a subject as it is written (RFC 4514).
func attribute(subject, name string) string {
	field := ""
	for i := 0; i <= len(subject); i++ {
		switch {
		case i < len(subject) && subject[i] == '\\' && i+1 < len(subject):
			i++
			field += subject[i : i+1]
		case i == len(subject) || subject[i] == ',' || subject[i] == '+':
			if v, ok := strings.CutPrefix(strings.TrimSpace(field), name+"="); ok {
				return v
			}
			field = ""
		default:
			field += subject[i : i+1]
		}
	}
	return ""
}

// receiptWords is the security receipt in plain sentences.
func receiptWords(stored json.RawMessage) []string {
	var r struct {
		Opened *smime.Report     `json:"opened"`
		Sealed smime.SealReports `json:"sealed"`
	}
	if len(stored) == 0 || json.Unmarshal(stored, &r) != nil {
		return nil
	}
	var out []string
	if r.Opened != nil {
		out = r.Opened.Words()
	}
	for _, s := range r.Sealed {
		out = append(out, s.Words()...)
	}
	return out
}
