// Package custody says which files of a message that came in may be opened, and by whom: what the organisation's rules
// hold back, what the scanner holds, and what is a program. The pages, the print view, exports and what is passed on
// all ask it, so that what may not be opened leaves by no other door either.
//
// The message's own words are never held: they are shown as text. What is called the message's text and was found to be
// something else is a file like others. Where a scanner is set for what comes in, a file is
// held until it was plainly cleared; no answer is not clean. A file that was filed before there was such a scanner was
// never shown to it and stands as the rules say.
//
// Values only: it reads no file, asks no scanner and stores nothing. Limits: those of an item.
package custody

import (
	"slices"

	"postern/gateway/clinic/document"
	"postern/gateway/clinic/inbox"
	"postern/gateway/clinic/letter"
	"postern/gateway/clinic/scan"
	"postern/gateway/clinic/staff"
)

// State is how a file is kept.
type State string

// The states. Only Free is opened by everybody who may read the message.
const (
	Free      State = "free"
	Ruled     State = "held by a rule" // opened by who may send for the team, and says so
	Program   State = "a program"      // offered to nobody
	Scanning  State = "being scanned"
	Unscanned State = "not scanned" // the scanner gave no answer
	Infected  State = "found"       // the scanner found something
)

// File is one part of a message and how it is kept.
type File struct {
	inbox.Part
	Kind  document.Kind // as a look inside found it; "" is nothing in particular
	State State
	Why   string       // in a sentence; "" for what is free
	Scan  *scan.Record // nil where it was never to be scanned
	Asks  bool         // there is a scanner that can be asked again

	Untold bool // the item's list of documents was full before this one, so that what it is is not known
}

// Held reports whether the scanner holds it: a person may let it go (see Releases).
func (f File) Held() bool { return f.State == Scanning || f.State == Unscanned || f.State == Infected }

// Opens reports whether a person with that level on the message may open the file. insists is that they say they expect it.
func (f File) Opens(l staff.Level, insists bool) bool {
	switch f.State {
	case Free:
		return l >= staff.Read
	case Ruled:
		return l >= staff.Send && insists
	}
	return false
}

// House is what an organisation and its gateway say about files that come in.
type House struct {
	Policy   letter.Policy
	Scanning bool // a scanner is set for what comes in
}

// Files are the parts of an item but for its own words, each with how it is kept.
func (h House) Files(it inbox.Item, records []scan.Record) []File {
	own, hasOwn := it.Body()
	var out []File
	for _, p := range it.Parts {
		if hasOwn && p.Path == own.Path && !untold(it, p) {
			continue
		}
		f := File{Part: p, Kind: kind(it, p), Asks: h.Scanning}
		f.Untold = untold(it, p)
		if i := slices.IndexFunc(records, func(r scan.Record) bool { return r.Path == p.Path }); i >= 0 {
			f.Scan = &records[i]
		}
		f.State, f.Why = h.state(f)
		out = append(out, f)
	}
	return out
}

// File is one of them; the message's own words are free. ok is false where the item has no such part.
func (h House) File(it inbox.Item, records []scan.Record, path string) (f File, ok bool) {
	for _, f := range h.Files(it, records) {
		if f.Path == path {
			return f, true
		}
	}
	i := slices.IndexFunc(it.Parts, func(p inbox.Part) bool { return p.Path == path })
	if i < 0 {
		return f, false
	}
	return File{Part: it.Parts[i], Kind: document.Text, State: Free}, true
}

func (h House) state(f File) (State, string) {
	if f.Kind == document.Program {
		return Program, "It is a program, not a document. It is not offered: ask the sender what it is for."
	}
	if r := f.Scan; r != nil {
		switch {
		case r.Stands == scan.Found:
			return Infected, "Held by the scanner, which found " + or(r.Words, "something") + " in it."
		case r.Stands == scan.Waiting && h.Scanning:
			return Scanning, "Held until the scanner has looked at it."
		case r.Stands == scan.Unknown && h.Scanning:
			return Unscanned, "Held because it could not be scanned: " + or(r.Words, "there was no answer") + "."
		}
	}
	if f.Untold {
		return Ruled, "Held back: the message has more documents than are told apart, and nobody looked what this one is."
	}
	if v := h.Policy.Arrived(f.Kind, f.MediaType, f.Encoding, f.Length); v.Action == letter.Hold {
		return Ruled, "Held back: " + v.Reason
	}
	return Free, ""
}

// Whole reports whether a person with that level on the message may have it as it came: nothing of it is held, or only by
// a rule. What of a message is not listed was neither looked at nor scanned: it is for who may send for the team, and
// where there is a scanner for who could let it go.
func (h House) Whole(it inbox.Item, files []File, l staff.Level) bool {
	if it.Flags.PartsLeftOut || it.Flags.Unreadable != "" {
		if l < staff.Send || h.Scanning && l < staff.Sign {
			return false
		}
	}
	return !slices.ContainsFunc(files, func(f File) bool { return !f.Opens(l, true) })
}

// ToScan are the paths of an item's files: all its parts but its own words.
func ToScan(it inbox.Item) []string {
	var out []string
	for _, f := range (House{}).Files(it, nil) {
		out = append(out, f.Path)
	}
	return out
}

// kind is what a part is, as it was found by its content when it was filed; "" is nothing in particular.
func kind(it inbox.Item, p inbox.Part) document.Kind {
	for _, d := range it.Documents {
		if d.Path == p.Path {
			return document.Kind(d.Kind)
		}
	}
	return ""
}

// untold reports that a part was not told apart: the list of documents was full before it.
func untold(it inbox.Item, p inbox.Part) bool {
	return it.Flags.PartsLeftOut && len(it.Documents) >= inbox.MaxDocuments && kind(it, p) == ""
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
