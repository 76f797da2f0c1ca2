package letter

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"postern/gateway/clinic/document"
	"postern/gateway/clinic/document/chart"
	"postern/gateway/clinic/scan"
	"postern/gateway/clinic/template"
	"postern/smime/addr"
)

// Problem is one thing about a draft, with what to do about it.
type Problem struct {
	Field string `json:"field"` // "to", "category", "subject", "text", "files", "send"
	About string `json:"about,omitempty"`
	Text  string `json:"text"`
	Do    string `json:"do,omitempty"` // the remedy
}

// Report is what stands in a draft's way.
type Report struct {
	Blocks  []Problem `json:"blocks"`  // nothing is sent while one of these stands
	Confirm []Problem `json:"confirm"` // sent only when its writer says that it is meant
	Notes   []Problem `json:"notes"`
}

// Ready reports whether the draft may leave: confirmed says that its writer has read what is to be confirmed.
func (r Report) Ready(confirmed bool) bool {
	return len(r.Blocks) == 0 && (confirmed || len(r.Confirm) == 0)
}

// Seal names what is to be confirmed: a confirmation holds for what its writer was shown, and for nothing that came
// up since. It is "" where there is nothing.
func (r Report) Seal() string {
	if len(r.Confirm) == 0 {
		return ""
	}
	h := sha256.New()
	for _, p := range r.Confirm {
		fmt.Fprintf(h, "%q %q %q\n", p.Field, p.About, p.Text)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Reached is whether a recipient can be written to now, and why not.
type Reached struct {
	OK     bool
	Later  bool   // not known now: it is worth trying, and the message would wait
	Text   string // what was found, in words
	Remedy string // what to do
}

// Surroundings are what a check needs to know beside the draft.
type Surroundings struct {
	Reach   func(to addr.Address) Reached // asked once a recipient
	Policy  Policy
	Room    Room   // for the files; the zero Room is the largest
	Patient string // the conversation's patient, as File.Patient is written; "" is not known
}

// Check looks at a draft as it stands.
func Check(d Draft, s Surroundings) Report {
	var r Report
	r.recipients(d, s)
	if !d.Category.Valid() {
		r.block("category", "", "No category is chosen.", "Say what the message is about: the receiving clinic and your own measures go by it.")
	}
	switch {
	case strings.TrimSpace(d.Subject) == "":
		r.block("subject", "", "There is no subject.", "Say in a few words what it is about, without the patient's name: subjects are not sealed everywhere.")
	case len(d.Subject) > MaxSubject || strings.ContainsAny(d.Subject, "\r\n\x00"):
		r.block("subject", "", fmt.Sprintf("The subject is longer than one line of %d characters.", MaxSubject), "Shorten it.")
	}
	own, _ := split(d.Text)
	switch {
	case len(d.Text) > MaxText:
		r.block("text", "", fmt.Sprintf("The text is longer than %d KB.", MaxText>>10), "Attach what is long as a file.")
	case strings.TrimSpace(own) == "" && d.How != Redirect && d.How != Forward:
		r.block("text", "", "Nothing is written.", "Write at least a line: a message without text is easily overlooked.")
	}
	for _, f := range template.Open(d.Subject + "\n" + d.Text) {
		r.block("text", f, "The field {{"+f+"}} is not filled.", "Write what belongs there, or take the field out.")
	}
	r.files(d, s)
	return r
}

func (r *Report) block(field, about, text, do string) {
	r.Blocks = append(r.Blocks, Problem{field, about, text, do})
}

func (r *Report) confirm(field, about, text, do string) {
	r.Confirm = append(r.Confirm, Problem{field, about, text, do})
}

func (r *Report) recipients(d Draft, s Surroundings) {
	all := d.Recipients()
	switch {
	case len(all) == 0:
		r.block("to", "", "There is no recipient.", "Choose one from the address book, or type a Direct address.")
	case len(all) > MaxRecipients:
		r.block("to", "", fmt.Sprintf("%d recipients are more than the %d one message may have.", len(all), MaxRecipients), "Send it in parts.")
		return
	}
	for _, a := range all {
		switch v := s.Reach(a); {
		case v.OK:
			r.Notes = append(r.Notes, Problem{"to", a.String(), v.Text, ""})
		case v.Later:
			r.confirm("to", a.String(), v.Text, v.Remedy)
		default:
			r.block("to", a.String(), v.Text, v.Remedy)
		}
	}
}

func (r *Report) files(d Draft, s Surroundings) {
	total := int64(0)
	patients := map[string]string{}
	for _, f := range d.Files {
		total += f.Size
		if v := s.Policy.Judge(Outgoing, f.Kind, f.Size); v.Action == Refuse {
			r.block("files", f.Name, v.Reason, "Take the file out, or send what it says in another form.")
		}
		switch f.Scan.Verdict {
		case scan.Found:
			r.block("files", f.Name, "The scanner found something in it: "+f.Scan.Words, "Take the file out and tell whoever looks after your computers.")
		case scan.Unknown:
			r.block("files", f.Name, "It could not be scanned: "+f.Scan.Words, "Try again in a moment; until then it is held back.")
		}
		for _, x := range f.Findings {
			if x.Severity == chart.Problem {
				r.confirm("files", f.Name, x.Text, "Look at the document before you send it.")
			} else if x.Severity == chart.Warning {
				r.Notes = append(r.Notes, Problem{"files", f.Name, x.Text, ""})
			}
		}
		if f.Kind == document.Empty {
			r.block("files", f.Name, "The file is empty.", "Take it out, or attach the right one.")
		}
		if f.Patient != "" {
			patients[f.Patient] = f.Name
		}
	}
	room := s.Room
	if room == (Room{}) {
		room = Room{MaxFiles, MaxOctets}
	}
	if len(d.Files) > room.Files || total > room.Octets {
		r.block("files", "", fmt.Sprintf("%d files of %d MB together; a message may have %s.", len(d.Files), total>>20, room), "Send them in parts.")
	}
	r.patients(patients, s.Patient)
}

// patients compares whom the documents are about with each other and with the conversation.
func (r *Report) patients(stated map[string]string, known string) {
	if len(stated) > 1 {
		r.confirm("files", "", "The documents are about different patients: "+strings.Join(sorted(stated), "; ")+".", "Take out what does not belong.")
	}
	for _, who := range sorted(stated) {
		if file := stated[who]; known != "" && who != known {
			r.confirm("files", file, "The document is about "+who+"; this conversation is about "+known+".", "Make sure that it is the right person.")
		}
	}
}
