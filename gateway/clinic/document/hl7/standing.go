package hl7

import (
	"slices"
	"strings"

	"postern/gateway/clinic/document/chart"
)

// stands gathers how a line stands; the worst counts, all is said.
type stands struct {
	standing chart.Standing
	said     []string
	groups   []string // of a message: the groups of lines it is about
}

func (st *stands) words() string { return strings.Join(st.said, ", ") }

func (st *stands) worse(s chart.Standing, words string) {
	rank := []chart.Standing{chart.Holds, chart.Unsettled, chart.Over, chart.Denied, chart.Withdrawn}
	if slices.Index(rank, s) > slices.Index(rank, st.standing) {
		st.standing = s
	}
	if words != "" && !slices.Contains(st.said, words) {
		st.said = append(st.said, words)
	}
}

func (st *stands) add(other stands) {
	st.worse(other.standing, other.words())
}

func (st *stands) covers(group string) bool { return slices.Contains(st.groups, group) }

// ofEvent is what the trigger event makes of the lines: an appointment that is cancelled is none.
func ofEvent(code, event string) stands {
	var st stands
	switch code + "^" + event {
	case "SIU^S15", "SIU^S16", "SRM^S04", "SRM^S05":
		st.groups = []string{"Appointment"}
		st.worse(chart.Over, "cancelled")
	case "SIU^S17", "SRM^S06":
		st.groups = []string{"Appointment"}
		st.worse(chart.Withdrawn, "deleted")
	case "SIU^S26":
		st.groups = []string{"Appointment"}
		st.worse(chart.Over, "patient did not come")
	case "REF^I14":
		st.groups = []string{"Referral", "Orders"}
		st.worse(chart.Over, "cancelled")
	case "MDM^T11":
		st.groups = []string{"Document", "Results", "Notes"}
		st.worse(chart.Withdrawn, "document cancelled")
	case "ADT^A11", "ADT^A12", "ADT^A13", "ADT^A25", "ADT^A26", "ADT^A27", "ADT^A32", "ADT^A33", "ADT^A38", "ADT^A52", "ADT^A53", "ADT^A55":
		st.groups = []string{"Visit"}
		st.worse(chart.Over, "cancelled")
	case "ADT^A23", "ADT^A29":
		st.groups = []string{"Visit"}
		st.worse(chart.Withdrawn, "deleted")
	case "PPR^PC3", "PGL^PC8", "PPP^PCD":
		st.groups = []string{"Diagnoses"}
		st.worse(chart.Withdrawn, "deleted")
	}
	return st
}

// ofOrder is ORC-1 (table 0119) and ORC-5 (table 0038).
func ofOrder(s Segment) stands {
	var st stands
	switch s.Get(1, 1) {
	case "CA", "OC", "CR":
		st.worse(chart.Over, "cancelled")
	case "DC", "OD", "DR":
		st.worse(chart.Over, "discontinued")
	case "HD", "OH", "HR":
		st.worse(chart.Unsettled, "on hold")
	case "UA", "UC", "UD", "UF", "UH", "UM", "UR", "UX", "DE":
		st.worse(chart.Denied, "cannot be done")
	case "RP", "RO":
		st.worse(chart.Holds, "replaces another")
	case "RQ", "RU":
		st.worse(chart.Over, "replaced")
	}
	switch s.Get(5, 1) {
	case "CA":
		st.worse(chart.Over, "cancelled")
	case "DC":
		st.worse(chart.Over, "discontinued")
	case "RP":
		st.worse(chart.Over, "replaced")
	case "HD":
		st.worse(chart.Unsettled, "on hold")
	case "ER":
		st.worse(chart.Unsettled, "in error, order not found")
	}
	return st
}

// ofReport is OBR-25 (table 0123).
func ofReport(s Segment) stands {
	var st stands
	switch c := s.Get(25, 1); c {
	case "", "F":
	case "C", "K":
		st.worse(chart.Holds, "corrected")
	case "M":
		st.worse(chart.Unsettled, "corrected, not final")
	case "P":
		st.worse(chart.Unsettled, "preliminary")
	case "R":
		st.worse(chart.Unsettled, "not verified")
	case "A":
		st.worse(chart.Unsettled, "some results available")
	case "I":
		st.worse(chart.Unsettled, "no result yet, specimen received")
	case "S":
		st.worse(chart.Unsettled, "no result yet, scheduled")
	case "O":
		st.worse(chart.Unsettled, "no result yet, order received")
	case "N":
		st.worse(chart.Unsettled, "procedure done, result pending")
	case "X":
		st.worse(chart.Over, "order cancelled, no result")
	case "Y", "Z":
		st.worse(chart.Over, "no such order or patient found")
	default:
		st.worse(chart.Unsettled, "status "+c)
	}
	return st
}

// ofDocument is TXA-17 (table 0271) and TXA-19 (table 0273).
func ofDocument(s Segment) stands {
	var st stands
	switch s.Get(17, 1) {
	case "DI", "DO", "IP", "IN", "PA":
		st.worse(chart.Unsettled, map[string]string{"DI": "dictated, not signed", "DO": "not signed", "IP": "in progress", "IN": "incomplete", "PA": "not signed yet"}[s.Get(17, 1)])
	}
	switch s.Get(19, 1) {
	case "CA":
		st.worse(chart.Withdrawn, "deleted")
	case "OB":
		st.worse(chart.Over, "obsolete")
	case "UN":
		st.worse(chart.Unsettled, "not available for care")
	}
	return st
}

// own is what a segment says of itself.
func own(s Segment) stands {
	var st stands
	switch s.Name {
	case "OBX":
		ofResult(&st, s.Get(11, 1))
	case "DG1":
		if s.Get(6, 1) == "W" {
			st.worse(chart.Unsettled, "working diagnosis")
		}
		action(&st, s.Get(21, 1))
	case "PRB":
		ofProblem(&st, s)
	case "PR1":
		action(&st, s.Get(20, 1))
	case "IAM":
		action(&st, s.Get(6, 1))
		switch s.Get(17, 1) {
		case "U", "P", "S", "D":
			st.worse(chart.Unsettled, map[string]string{"U": "unconfirmed", "P": "pending", "S": "suspected", "D": "doubted"}[s.Get(17, 1)])
		case "I":
			st.worse(chart.Over, "inactive")
		case "E":
			st.worse(chart.Withdrawn, "erroneous")
		}
	case "RXA":
		switch s.Get(20, 1) {
		case "RE":
			st.worse(chart.Denied, "refused")
		case "NA":
			st.worse(chart.Denied, "not given")
		case "PA":
			st.worse(chart.Unsettled, "given in part")
		}
		action(&st, s.Get(21, 1))
	case "RF1":
		switch s.Get(1, 1) {
		case "R":
			st.worse(chart.Over, "rejected")
		case "E":
			st.worse(chart.Over, "expired")
		}
	case "SCH", "AIS", "AIG", "AIL", "AIP":
		n := map[string]int{"SCH": 25, "AIS": 10, "AIG": 14, "AIL": 12, "AIP": 12}[s.Name]
		switch w := strings.ToLower(words(s, n)); w {
		case "cancelled", "canceled", "discontinued", "noshow", "no show", "no-show", "blocked":
			st.worse(chart.Over, w)
		case "deleted":
			st.worse(chart.Withdrawn, w)
		case "pending", "waitlist", "overbook", "tentative":
			st.worse(chart.Unsettled, w)
		}
	case "MRG":
		st.worse(chart.Holds, "merged")
	case "MSA":
		switch s.Get(1, 1) {
		case "AE", "CE":
			st.worse(chart.Denied, "error")
		case "AR", "CR":
			st.worse(chart.Denied, "rejected")
		}
	}
	return st
}

// ofResult is OBX-11 (table 0085). A code that is not known leaves the result unsettled.
func ofResult(st *stands, c string) {
	switch c {
	case "", "F", "U", "V":
	case "C":
		st.worse(chart.Holds, "corrected")
	case "A", "B":
		st.worse(chart.Holds, map[string]string{"A": "amended", "B": "appended"}[c])
	case "D":
		st.worse(chart.Withdrawn, "deleted")
	case "W":
		st.worse(chart.Withdrawn, "posted as wrong")
	case "X":
		st.worse(chart.Denied, "no result can be obtained")
	case "N":
		st.worse(chart.Denied, "not asked for")
	case "P":
		st.worse(chart.Unsettled, "preliminary")
	case "R":
		st.worse(chart.Unsettled, "not verified")
	case "S":
		st.worse(chart.Unsettled, "partial")
	case "I":
		st.worse(chart.Unsettled, "pending")
	case "O":
		st.worse(chart.Unsettled, "order only, no result")
	default:
		st.worse(chart.Unsettled, "status "+c)
	}
}

// action is an action code (tables 0206 and 0323).
func action(st *stands, c string) {
	if c == "D" {
		st.worse(chart.Withdrawn, "deleted")
	}
}

// ofProblem is PRB-1 (table 0287), PRB-9, PRB-13 and PRB-14; their tables are the users' own, so words
// count as well.
func ofProblem(st *stands, s Segment) {
	switch s.Get(1, 1) {
	case "DE":
		st.worse(chart.Withdrawn, "deleted")
	case "UN":
		st.worse(chart.Over, "unlinked")
	}
	if s.Get(9, 1) != "" {
		st.worse(chart.Over, "resolved")
	}
	for _, n := range []int{13, 14} {
		w := strings.ToLower(words(s, n))
		switch {
		case w == "" || w == "active" || w == "confirmed" || w == "c" || w == "a":
		case strings.Contains(w, "error"):
			st.worse(chart.Withdrawn, w)
		case strings.Contains(w, "refute") || strings.Contains(w, "ruled out") || strings.Contains(w, "rule out"):
			st.worse(chart.Denied, w)
		case strings.Contains(w, "resolved") || strings.Contains(w, "inactive") || strings.Contains(w, "remission") || strings.Contains(w, "closed"):
			st.worse(chart.Over, w)
		default:
			st.worse(chart.Unsettled, w)
		}
	}
}

// orderControl is a code of table 0119 in words.
func orderControl(c string) string {
	switch c {
	case "NW":
		return "new order"
	case "CA":
		return "cancel the order"
	case "OC":
		return "order cancelled"
	case "DC":
		return "discontinue the order"
	case "OD":
		return "order discontinued"
	case "HD":
		return "hold the order"
	case "XO":
		return "change the order"
	case "SC":
		return "status changed"
	case "OK":
		return "accepted"
	case "UA":
		return "cannot be done"
	case "RE":
		return "results follow"
	}
	return c
}

// referralStatus is a code of table 0283 in words.
func referralStatus(c, words string) string {
	switch c {
	case "A":
		return "accepted"
	case "P":
		return "pending"
	case "R":
		return "rejected"
	case "E":
		return "expired"
	}
	return words
}
