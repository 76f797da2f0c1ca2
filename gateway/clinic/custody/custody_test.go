package custody_test

import (
	"slices"
	"strings"
	"testing"

	. "postern/gateway/clinic/custody"
	"postern/gateway/clinic/document"
	"postern/gateway/clinic/inbox"
	"postern/gateway/clinic/letter"
	"postern/gateway/clinic/scan"
	"postern/gateway/clinic/staff"
)

func item() inbox.Item {
	return inbox.Item{Parts: []inbox.Part{{Path: "1", MediaType: "text/plain"}, {Path: "2", MediaType: "text/html"}, {Path: "3", MediaType: "application/pdf", Filename: "a.pdf", Length: 4000, Encoding: "base64"},
		{Path: "4", MediaType: "text/plain", Filename: "note.txt"}}, Documents: []inbox.Document{{Path: "3", Kind: string(document.PDF)}}}
}

// TestHowAFileIsKept goes through what may hold a file, and who may open it then.
func TestHowAFileIsKept(t *testing.T) {
	hold := letter.Policy{{Direction: letter.Incoming, Kind: document.PDF, Action: letter.Hold, Reason: "Not from outside."}}
	record := func(v scan.Verdict, words string) []scan.Record {
		return []scan.Record{{Path: "3", Stands: v, Words: words}}
	}
	for situation, c := range map[string]struct {
		house   House
		records []scan.Record
		state   State
		why     string
		opens   string // who: read, send, and send who insists
	}{
		"nothing said":                       {House{}, nil, Free, "", "read send insisting"},
		"a rule holds it":                    {House{Policy: hold}, nil, Ruled, "Held back: Not from outside.", "insisting"},
		"a size above the rule's":            {House{Policy: letter.Policy{{Direction: letter.Incoming, Kind: document.PDF, Action: letter.Allow, MaxSize: 2999}}}, nil, Ruled, "larger than", "insisting"},
		"of that size once decoded":          {House{Policy: letter.Policy{{Direction: letter.Incoming, Kind: document.PDF, Action: letter.Allow, MaxSize: 3000}}}, nil, Free, "", "read send insisting"},
		"not scanned yet":                    {House{Scanning: true}, record(scan.Waiting, ""), Scanning, "until the scanner has looked", ""},
		"clean":                              {House{Scanning: true}, record(scan.Clean, ""), Free, "", "read send insisting"},
		"clean, and held by a rule":          {House{hold, true}, record(scan.Clean, ""), Ruled, "Held back", "insisting"},
		"found":                              {House{Scanning: true}, record(scan.Found, "Eicar"), Infected, "found Eicar in it", ""},
		"found, when there was a scanner":    {House{}, record(scan.Found, "Eicar"), Infected, "found Eicar in it", ""},
		"no answer":                          {House{Scanning: true}, record(scan.Unknown, "too late"), Unscanned, "could not be scanned: too late.", ""},
		"no answer, and no scanner any more": {House{}, record(scan.Unknown, "too late"), Free, "", "read send insisting"},
		"waiting, and no scanner any more":   {House{}, record(scan.Waiting, ""), Free, "", "read send insisting"},
		"let go":                             {House{Scanning: true}, record(scan.Released, "Eicar"), Free, "", "read send insisting"},
		"let go, and held by a rule":         {House{hold, true}, record(scan.Released, "Eicar"), Ruled, "Held back", "insisting"},
		"filed before there was a scanner":   {House{Scanning: true}, nil, Free, "", "read send insisting"},
	} {
		f, ok := c.house.File(item(), c.records, "3")
		if !ok || f.State != c.state || !strings.Contains(f.Why, c.why) || (c.why == "") != (f.Why == "") {
			t.Errorf("%s: %s because %q, want %s because %q", situation, f.State, f.Why, c.state, c.why)
		}
		var opens []string
		for _, w := range []struct {
			name    string
			level   staff.Level
			insists bool
		}{{"read", staff.Read, false}, {"send", staff.Send, false}, {"insisting", staff.Send, true}} {
			if f.Opens(w.level, w.insists) {
				opens = append(opens, w.name)
			}
		}
		if got := strings.Join(opens, " "); got != c.opens {
			t.Errorf("%s: opened by %q, want %q", situation, got, c.opens)
		}
	}
}

func TestAProgramIsForNobody(t *testing.T) {
	it := item()
	it.Documents[0].Kind = string(document.Program)
	f, _ := (House{Policy: letter.Policy{{Direction: letter.Incoming, Kind: document.Program, Action: letter.Allow}}}).File(it, []scan.Record{{Path: "3", Stands: scan.Released}}, "3")
	if f.State != Program || f.Opens(staff.Sign, true) {
		t.Errorf("%+v", f)
	}
}

// TestOwnWordsAreNeverHeld: what the sender wrote is text; another page of it, and text as a file, are files.
func TestOwnWordsAreNeverHeld(t *testing.T) {
	if got := ToScan(item()); !slices.Equal(got, []string{"2", "3", "4"}) {
		t.Errorf("%v", got)
	}
	everything := letter.Policy{{Direction: letter.Incoming, Kind: letter.Any, Action: letter.Hold}}
	f, ok := (House{everything, true}).File(item(), []scan.Record{{Path: "1", Stands: scan.Found}}, "1")
	if !ok || f.State != Free {
		t.Errorf("%+v", f)
	}
	if _, ok := (House{}).File(item(), nil, "9"); ok {
		t.Error("a part that is not there")
	}
}

// TestWhatIsCalledTextIsAFile: a program or a package without a name, called plain text, is not the message's words.
func TestWhatIsCalledTextIsAFile(t *testing.T) {
	for kind, state := range map[document.Kind]State{document.Program: Program, document.Zip: Scanning, document.PDF: Scanning, document.Text: Free, document.Mail: Free} {
		it := item()
		it.Documents = []inbox.Document{{Path: "1", Kind: string(kind)}}
		f, ok := (House{Scanning: true}).File(it, []scan.Record{{Path: "1", Stands: scan.Waiting}}, "1")
		if !ok || f.State != state {
			t.Errorf("a %s: %s, want %s", kind, f.State, state)
		}
		if slices.Contains(ToScan(it), "1") == (state == Free) {
			t.Errorf("a %s: to be scanned are %v", kind, ToScan(it))
		}
	}
}

// TestWhatWasNotToldApart: where the list of documents is full, a part that is not on it may be anything.
func TestWhatWasNotToldApart(t *testing.T) {
	it := item()
	for len(it.Documents) < inbox.MaxDocuments {
		it.Documents = append(it.Documents, inbox.Document{Path: "3", Kind: string(document.PDF)})
	}
	if f, _ := (House{}).File(it, nil, "4"); f.State != Free {
		t.Errorf("with a full list and nothing left out: %+v", f)
	}
	it.Flags.PartsLeftOut = true
	for _, path := range []string{"1", "4"} {
		if f, _ := (House{}).File(it, nil, path); f.State != Ruled || f.Opens(staff.Draft, true) || !f.Opens(staff.Send, true) {
			t.Errorf("part %s: %+v", path, f)
		}
	}
	if f, _ := (House{}).File(it, nil, "3"); f.State != Free {
		t.Errorf("what is on the list: %+v", f)
	}
}

// TestWhoMayHaveAMessageAsItCame: what is not listed of it is held by nobody else.
func TestWhoMayHaveAMessageAsItCame(t *testing.T) {
	it, left, unread := item(), item(), inbox.Item{Flags: inbox.Flags{Unreadable: "not MIME"}}
	left.Flags.PartsLeftOut = true
	for situation, c := range map[string]struct {
		house   House
		it      inbox.Item
		records []scan.Record
		least   staff.Level // None: nobody
	}{
		"nothing held":                          {House{}, it, nil, staff.Read},
		"held by the scanner":                   {House{Scanning: true}, it, []scan.Record{{Path: "3", Stands: scan.Unknown}}, staff.None},
		"parts that are not listed":             {House{}, left, nil, staff.Send},
		"parts that are not listed nor scanned": {House{Scanning: true}, left, nil, staff.Sign},
		"no parts told apart":                   {House{Scanning: true}, unread, nil, staff.Sign},
	} {
		for _, l := range []staff.Level{staff.Read, staff.Draft, staff.Send, staff.Sign} {
			if may := c.house.Whole(c.it, c.house.Files(c.it, c.records), l); may != (c.least != staff.None && l >= c.least) {
				t.Errorf("%s: who may %s: %v", situation, l, may)
			}
		}
	}
}
