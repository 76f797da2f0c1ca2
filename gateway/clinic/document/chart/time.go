package chart

import (
	"fmt"
	"strings"
	"time"
)

// Precision is how finely a Time is known.
type Precision int

// The precisions of HL7 time stamps (TS, DTM).
const (
	Unknown Precision = iota
	Year
	Month
	Day
	Minute
	Second
)

// Time is an instant of limited precision, as HL7 writes it: 2026, 202610, 20261003, 202610031415-0500.
type Time struct {
	Raw       string    // as written
	At        time.Time // the earliest instant it can mean; UTC when no offset was written
	Precision Precision
	Zoned     bool   // an offset was written
	Null      string // null flavour instead of a value
}

// Zero says whether nothing readable was stated.
func (t Time) Zero() bool { return t.Precision == Unknown && t.Raw == "" }

// IsZero makes encoding/json leave out an unstated time (omitzero).
func (t Time) IsZero() bool { return t.Zero() && t.Null == "" }

// ParseTime reads an HL7 time stamp; ISO 8601 forms that some senders write instead are read too.
// What cannot be read keeps Raw with Precision Unknown.
func ParseTime(raw string) Time {
	raw = strings.TrimSpace(raw)
	t := Time{Raw: clip(raw, 64)}
	digits, zone, ok := splitStamp(raw)
	if !ok {
		return t
	}
	layout := "20060102150405"
	switch {
	case len(digits) >= 14:
		digits, t.Precision = digits[:14], Second
	case len(digits) >= 12:
		digits, t.Precision = digits[:12], Minute
	case len(digits) >= 10:
		digits, t.Precision = digits[:10], Minute
	case len(digits) >= 8:
		digits, t.Precision = digits[:8], Day
	case len(digits) >= 6:
		digits, t.Precision = digits[:6], Month
	case len(digits) >= 4:
		digits, t.Precision = digits[:4], Year
	default:
		return t
	}
	loc := time.UTC
	if z, ok := offset(zone); ok && t.Precision >= Minute {
		loc, t.Zoned = z, true
	}
	at, err := time.ParseInLocation(layout[:len(digits)], digits, loc)
	if err != nil {
		t.Precision = Unknown
		return t
	}
	t.At = at
	return t
}

// splitStamp separates the digits of a stamp from its offset: fractions, dashes, colons and T go.
func splitStamp(raw string) (digits, zone string, ok bool) {
	if len(raw) < 4 || len(raw) > 40 {
		return "", "", false
	}
	iso := len(raw) > 4 && (raw[4] == '-' && len(raw) >= 7 && (len(raw) == 7 || raw[7] == '-'))
	var b strings.Builder
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		switch {
		case c >= '0' && c <= '9':
			b.WriteByte(c)
		case iso && i < 10 && c == '-', iso && (c == ':' || c == 'T' || c == ' '):
		case c == '.':
			j := i + 1
			for j < len(raw) && raw[j] >= '0' && raw[j] <= '9' {
				j++
			}
			i = j - 1
		case (c == '+' || c == '-' || c == 'Z') && i >= 8:
			return b.String(), raw[i:], true
		default:
			return "", "", false
		}
	}
	return b.String(), "", true
}

func offset(z string) (*time.Location, bool) {
	if z == "Z" {
		return time.UTC, true
	}
	d := strings.ReplaceAll(z, ":", "")
	var h, m int
	if len(d) == 3 {
		d += "00"
	}
	if len(d) != 5 {
		return nil, false
	}
	if _, err := fmt.Sscanf(d[1:], "%02d%02d", &h, &m); err != nil || h > 14 || m > 59 {
		return nil, false
	}
	s := h*3600 + m*60
	if d[0] == '-' {
		s = -s
	}
	return time.FixedZone("", s), true
}

// Last is the latest instant the time can mean: the end of its year, month, day, minute or second.
func (t Time) Last() time.Time {
	switch t.Precision {
	case Year:
		return t.At.AddDate(1, 0, 0)
	case Month:
		return t.At.AddDate(0, 1, 0)
	case Day:
		return t.At.AddDate(0, 0, 1)
	case Minute:
		return t.At.Add(time.Minute)
	}
	return t.At
}

// String is the time for a reader, no finer than known: "3 Oct 2026, 14:15 −0500". What could not be
// read is shown as written.
func (t Time) String() string {
	switch t.Precision {
	case Year:
		return t.At.Format("2006")
	case Month:
		return t.At.Format("Jan 2006")
	case Day:
		return t.At.Format("2 Jan 2006")
	case Minute, Second:
		if t.Zoned {
			return t.At.Format("2 Jan 2006, 15:04 -0700")
		}
		return t.At.Format("2 Jan 2006, 15:04")
	}
	return t.Raw
}

// Date is the day (or month, or year) without the hour.
func (t Time) Date() string {
	if t.Precision > Day {
		t.Precision = Day
	}
	return t.String()
}

// ISO is the time in ISO 8601 at its own precision, "" when unknown.
func (t Time) ISO() string {
	switch t.Precision {
	case Year:
		return t.At.Format("2006")
	case Month:
		return t.At.Format("2006-01")
	case Day:
		return t.At.Format("2006-01-02")
	case Minute, Second:
		if t.Zoned {
			return t.At.Format(time.RFC3339)
		}
		return t.At.Format("2006-01-02T15:04:05")
	}
	return ""
}

// MarshalText is ISO, or the raw text when it could not be read.
func (t Time) MarshalText() ([]byte, error) {
	if s := t.ISO(); s != "" {
		return []byte(s), nil
	}
	return []byte(t.Raw), nil
}

// Age is whole years from t to now; ok is false when t is not known to the day.
func (t Time) Age(now time.Time) (years int, ok bool) {
	if t.Precision < Day {
		return 0, false
	}
	years = now.Year() - t.At.Year()
	if now.YearDay() < t.At.AddDate(years, 0, 0).YearDay() {
		years--
	}
	return years, years >= 0
}

func clip(s string, n int) string {
	if len(s) > n {
		return strings.ToValidUTF8(s[:n], "") + "…"
	}
	return s
}

// UnmarshalText reads what MarshalText wrote.
func (t *Time) UnmarshalText(b []byte) error {
	*t = ParseTime(string(b))
	return nil
}
