package patient

import (
	"fmt"
	"strings"
	"time"

	"postern/gateway/clinic/document/chart"
)

// Points of a field, for and against. Sums are compared only with each other and with likelyPoints.
var points = map[string]map[Verdict]int{
	"identifier": {Agrees: 8, Differs: -8},
	"birth date": {Agrees: 5, Close: 1, Differs: -8},
	"last name":  {Agrees: 4, Close: 2, Differs: -4},
	"first name": {Agrees: 4, Close: 2, Differs: -4},
	"sex":        {Agrees: 1, Differs: -4},
	"telephone":  {Agrees: 3},
	"address":    {Agrees: 3, Close: 1},
}

const (
	likelyPoints   = 12 // both names and the birth date; where one name is a slip apart, the sex too
	possiblePoints = 4
)

// Score compares one known person with what a message states. ok is false where there is nothing to propose.
func Score(stated chart.Patient, r Record) (c Candidate, ok bool) {
	if r.State == Merged || r.State == Withdrawn {
		return Candidate{}, false
	}
	c = Candidate{Record: r}
	verdicts := map[string]Verdict{}
	for _, compare := range []func(a, b chart.Patient) Reason{identifier, birth, family, given, sex, telephone, address} {
		reason := compare(stated, r.Stated)
		verdicts[reason.Field] = reason.Verdict
		c.Points += points[reason.Field][reason.Verdict]
		c.Reasons = append(c.Reasons, reason)
	}
	if verdicts["birth date"] == Agrees && verdicts["last name"] == Agrees && verdicts["first name"] == Differs {
		c.explain("first name", "; twins share all but this")
	}
	named := agree(verdicts["last name"]) && agree(verdicts["first name"])
	switch v := verdicts; {
	case c.Points >= likelyPoints && named && v["birth date"] == Agrees && v["identifier"] != Differs && v["sex"] != Differs:
		c.Grade = Likely
	case v["identifier"] == Agrees,
		c.Points >= possiblePoints && (named || v["birth date"] == Agrees && (agree(v["last name"]) || agree(v["first name"]))):
		c.Grade = Possible
	default:
		return Candidate{}, false
	}
	return c, true
}

func (c *Candidate) explain(field, more string) {
	for i := range c.Reasons {
		if c.Reasons[i].Field == field {
			c.Reasons[i].Text += more
		}
	}
}

func agree(v Verdict) bool { return v == Agrees || v == Close }

// identifier compares numbers of the same authority only: two numbers of two authorities say nothing. A C-CDA does not say
// of what kind a number is and HL7 v2 does (CX.5), so the same number without a kind agrees; another one without says
// nothing, as it may be of another kind.
func identifier(a, b chart.Patient) Reason {
	known := map[string][]chart.ID{}
	for _, id := range b.IDs[:min(len(b.IDs), maxIdentifiers)] {
		if usable(id) {
			known[id.Root] = append(known[id.Root], id)
		}
	}
	out := Reason{"identifier", NotStated, "no number that both state"}
	for _, id := range a.IDs[:min(len(a.IDs), maxIdentifiers)] {
		if !usable(id) {
			continue
		}
		for _, other := range known[id.Root] {
			if other.Type != id.Type && other.Type != "" && id.Type != "" {
				continue
			}
			if identity(id) == identity(other) {
				return Reason{"identifier", Agrees, "same number " + id.Extension + from(id)}
			}
			if other.Type != id.Type {
				continue
			}
			out = Reason{"identifier", Differs, fmt.Sprintf("number %s, we know %s%s", id.Extension, other.Extension, from(id))}
		}
	}
	return out
}

func from(id chart.ID) string {
	if id.Authority == "" {
		return ""
	}
	return " of " + id.Authority
}

// usable leaves out what does not name one person.
func usable(id chart.ID) bool { return id.Null == "" && id.Root != "" && id.Extension != "" }

func identity(id chart.ID) string {
	return id.Root + "^" + strings.ToUpper(strings.TrimLeft(strings.TrimSpace(id.Extension), "0"))
}

func birth(a, b chart.Patient) Reason {
	p := min(a.Birth.Precision, b.Birth.Precision)
	switch x, y := a.Birth.At, b.Birth.At; {
	case p == chart.Unknown:
		return Reason{"birth date", NotStated, "birth date not stated by both"}
	case p < chart.Day:
		if x.Year() == y.Year() && (p == chart.Year || x.Month() == y.Month()) {
			return Reason{"birth date", Close, "the same as far as it is stated, " + a.Birth.Date()}
		}
		return Reason{"birth date", Differs, different(a.Birth.Date(), b.Birth.Date())}
	case x.Format(time.DateOnly) == y.Format(time.DateOnly):
		return Reason{"birth date", Agrees, "same birth date " + a.Birth.Date()}
	case slip(x.Format(time.DateOnly), y.Format(time.DateOnly)), x.Year() == y.Year() && x.Day() == int(y.Month()) && int(x.Month()) == y.Day():
		return Reason{"birth date", Close, different(a.Birth.Date(), b.Birth.Date())}
	default:
		return Reason{"birth date", Differs, different(a.Birth.Date(), b.Birth.Date())}
	}
}

func different(stated, known string) string { return stated + ", we know " + known }

func sex(a, b chart.Patient) Reason {
	x, y := sexOf(a.Sex), sexOf(b.Sex)
	switch {
	case x == "" || y == "":
		return Reason{"sex", NotStated, "sex not stated by both"}
	case x == y:
		return Reason{"sex", Agrees, "same sex"}
	default:
		return Reason{"sex", Differs, different(x, y)}
	}
}

// sexOf is the administrative sex, where it is one of the two that can contradict each other.
func sexOf(c chart.Code) string {
	switch s := strings.ToLower(c.Code); s {
	case "m", "male":
		return "male"
	case "f", "female":
		return "female"
	}
	return ""
}

func telephone(a, b chart.Patient) Reason {
	x, y := phones(a), phones(b)
	if len(x) == 0 || len(y) == 0 {
		return Reason{"telephone", NotStated, "telephone not stated by both"}
	}
	for _, p := range x {
		for _, q := range y {
			if p == q {
				return Reason{"telephone", Agrees, "same telephone"}
			}
		}
	}
	return Reason{"telephone", Differs, "another telephone: worth asking"}
}

// phones are the last ten digits of each number: what is the same with and without a country code.
func phones(p chart.Patient) (out []string) {
	for _, t := range p.Telecoms[:min(len(p.Telecoms), maxTelecoms)] {
		if strings.Contains(t.Value, "@") {
			continue
		}
		digits := strings.Map(func(r rune) rune {
			if r < '0' || r > '9' {
				return -1
			}
			return r
		}, t.Number())
		if len(digits) >= 7 {
			out = append(out, digits[max(0, len(digits)-10):])
		}
	}
	return out
}

func address(a, b chart.Patient) Reason {
	if len(a.Addresses) == 0 || len(b.Addresses) == 0 {
		return Reason{"address", NotStated, "address not stated by both"}
	}
	best := Reason{"address", Differs, "another address: worth asking"}
	for _, x := range a.Addresses[:min(len(a.Addresses), maxNames)] {
		for _, y := range b.Addresses[:min(len(b.Addresses), maxNames)] {
			street := fold(strings.Join(x.Lines, " ")) == fold(strings.Join(y.Lines, " ")) && len(x.Lines) > 0
			place := x.Postal != "" && postal(x.Postal) == postal(y.Postal)
			switch {
			case street && (place || fold(x.City) == fold(y.City)):
				return Reason{"address", Agrees, "same address"}
			case place || street:
				best = Reason{"address", Close, "same neighbourhood, another street line"}
			}
		}
	}
	return best
}

// postal is the first five characters: a ZIP+4 code and its ZIP code are one place.
func postal(s string) string {
	s = strings.ToUpper(strings.ReplaceAll(s, " ", ""))
	return s[:min(len(s), 5)]
}
