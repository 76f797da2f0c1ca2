package letter

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"postern/gateway/clinic/document"
)

// Direction is which way a file goes.
type Direction string

// The directions.
const (
	Outgoing Direction = "out"
	Incoming Direction = "in"
)

// Action is what happens with a file.
type Action string

// The actions. Nothing that came in is ever refused: it is kept, and held back from being opened by a click.
const (
	Allow  Action = "allow"
	Hold   Action = "hold"   // in: opened only by somebody who may send, and who says so
	Refuse Action = "refuse" // out
)

// Any is every kind that no rule names.
const Any document.Kind = "*"

// FileRule says what happens with files of one kind in one direction.
type FileRule struct {
	Direction Direction     `json:"direction"`
	Kind      document.Kind `json:"kind"`
	Action    Action        `json:"action"`
	MaxSize   int64         `json:"max_size,omitempty"` // octets; a larger one is treated as Refuse or Hold; 0 is none
	Reason    string        `json:"reason,omitempty"`   // shown with it
}

// Check says what is wrong with a rule.
func (r FileRule) Check() error {
	switch {
	case r.Direction != Outgoing && r.Direction != Incoming:
		return fmt.Errorf("the direction is out or in")
	case r.Action != Allow && r.Action != strict(r.Direction):
		return fmt.Errorf("a file that goes %s is allowed or %s", r.Direction, map[Direction]string{Outgoing: "refused", Incoming: "held"}[r.Direction])
	case r.Kind == "" || r.MaxSize < 0 || len(r.Reason) > 300:
		return fmt.Errorf("a kind, a size of 0 or more and a reason of at most 300 characters are needed")
	}
	return nil
}

// Policy is an organisation's rules for files; what no rule names is allowed, but for programs.
type Policy []FileRule

// Verdict is what happens with one file, and why in words.
type Verdict struct {
	Action Action
	Reason string
}

// Judge finds the rule for a file. A program never passes because nobody thought of it: only a rule that names
// programs allows one.
func (p Policy) Judge(d Direction, k document.Kind, size int64) Verdict {
	for _, kind := range []document.Kind{k, Any} {
		if kind == Any && k == document.Program {
			break
		}
		for _, r := range p {
			if r.Direction != d || r.Kind != kind {
				continue
			}
			switch {
			case r.Action != Allow:
				return Verdict{r.Action, or(r.Reason, "Files of this kind are not exchanged here.")}
			case r.MaxSize > 0 && size > r.MaxSize:
				return Verdict{strict(d), or(r.Reason, fmt.Sprintf("It is larger than the %d KB that files of this kind may have.", r.MaxSize>>10))}
			}
			return Verdict{Allow, r.Reason}
		}
	}
	if k == document.Program {
		return Verdict{strict(d), "It is a program, not a document."}
	}
	return Verdict{Allow, ""}
}

// Arrived finds the rule for a part of a message that came in: kind is what a look inside found, "" where nothing was, and
// length what it takes in its transfer encoding.
func (p Policy) Arrived(kind document.Kind, mediaType, encoding string, length int64) Verdict {
	switch {
	case kind != "":
	case mediaType == "text/html":
		kind = document.HTML
	case strings.HasPrefix(mediaType, "text/"):
		kind = document.Text
	default:
		kind = document.Unknown
	}
	if encoding == "base64" {
		length = length * 3 / 4
	}
	return p.Judge(Incoming, kind, length)
}

// strict is the action of a direction that is not Allow.
func strict(d Direction) Action {
	if d == Incoming {
		return Hold
	}
	return Refuse
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func sorted(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
