package ccda

import (
	"math"
	"strconv"
	"time"

	"postern/gateway/clinic/document/chart"
)

// maxWidth is the longest interval whose missing end is reckoned from its width, in units.
const maxWidth = 100000

// moved is a time later (way 1) or earlier (way -1) by a width in units of UCUM, no finer than the day;
// unknown when the width is none that can be reckoned.
func moved(t chart.Time, width node, way int) chart.Time {
	f, err := strconv.ParseFloat(trim(width.Attr("value")), 64)
	if err != nil || !(f > 0 && f < maxWidth) || t.Precision < chart.Day {
		return chart.Time{}
	}
	n := int(math.Ceil(f)) * way
	at := t.At
	switch width.Attr("unit") {
	case "s":
		at = at.Add(time.Duration(n) * time.Second)
	case "min":
		at = at.Add(time.Duration(n) * time.Minute)
	case "h":
		at = at.Add(time.Duration(n) * time.Hour)
	case "d":
		at = at.AddDate(0, 0, n)
	case "wk":
		at = at.AddDate(0, 0, 7*n)
	case "mo":
		at = at.AddDate(0, n, 0)
	case "a":
		at = at.AddDate(n, 0, 0)
	default:
		return chart.Time{}
	}
	return chart.ParseTime(at.Format("20060102"))
}

// stepped is the time one step of its precision later or earlier.
func stepped(t chart.Time, way int) chart.Time {
	switch t.Precision {
	case chart.Year:
		return chart.ParseTime(t.At.AddDate(way, 0, 0).Format("2006"))
	case chart.Month:
		return chart.ParseTime(t.At.AddDate(0, way, 0).Format("200601"))
	case chart.Day:
		return chart.ParseTime(t.At.AddDate(0, 0, way).Format("20060102"))
	}
	return t
}
