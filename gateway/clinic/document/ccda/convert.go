package ccda

import (
	"math"
	"regexp"
	"strconv"
	"strings"
)

// bodyMeasure is a length in centimetres, a weight in kilograms or a temperature in degrees Celsius, and
// how far the true value may lie from it by the decimals it was written with.
type bodyMeasure struct {
	kind, unit string
	n, off     float64
}

var bodyText = regexp.MustCompile(`(?i)(-?\d+(?:[.,]\d+)?)\s*[\[(]?\s*(cm|mm|m|inches|inch|in|feet|ft|kilograms|kgs?|grams|gm|g|pounds|lbs?|ounces|oz|°?\s*cel(?:sius)?|°?\s*c|°?\s*fahrenheit|°?\s*degf|°?\s*f)\b`)

// bodyMeasures are the lengths, weights and temperatures a text names; feet and inches, or pounds and
// ounces, that follow each other are one.
func bodyMeasures(s string) []bodyMeasure {
	var out []bodyMeasure
	for _, m := range bodyText.FindAllStringSubmatch(clip(s, maxCell), maxMeasures) {
		text := strings.Replace(m[1], ",", ".", 1)
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			continue
		}
		_, decimals, _ := strings.Cut(text, ".")
		off := 0.5 * math.Pow(10, -float64(len(decimals)))
		b := bodyMeasure{unit: strings.TrimLeft(strings.ToLower(m[2]), "° ")}
		times, plus := 1.0, 0.0
		switch b.unit {
		case "cm", "mm", "m", "inches", "inch", "in", "feet", "ft":
			b.kind = "length"
			times = map[string]float64{"cm": 1, "mm": 0.1, "m": 100, "inches": 2.54, "inch": 2.54, "in": 2.54, "feet": 30.48, "ft": 30.48}[b.unit]
		case "cel", "celsius", "c":
			b.kind = "temperature"
		case "fahrenheit", "degf", "f":
			b.kind, times, plus = "temperature", 5.0/9, -32
		default:
			b.kind = "weight"
			times = map[string]float64{"grams": 0.001, "gm": 0.001, "g": 0.001, "pounds": 0.45359237, "lbs": 0.45359237, "lb": 0.45359237, "ounces": 0.028349523, "oz": 0.028349523}[b.unit]
			if times == 0 {
				times = 1 // kilograms
			}
		}
		b.n, b.off = (n+plus)*times, off*times
		if last := len(out) - 1; last >= 0 && smaller(out[last].unit, b.unit) {
			out[last].n, out[last].off, out[last].unit = out[last].n+b.n, b.off, b.unit
			continue
		}
		out = append(out, b)
	}
	return out
}

// smaller says whether the second unit goes on where the first ends: inches behind feet.
func smaller(first, second string) bool {
	switch first {
	case "ft", "feet":
		return strings.HasPrefix(second, "in")
	case "lb", "lbs", "pounds":
		return strings.HasPrefix(second, "o")
	}
	return false
}

// converted says whether a text gives a length, weight or temperature in another unit, as far as the
// decimals of both tell: 69.69 in for 177 cm.
func converted(value, text string) bool {
	own := bodyMeasures(value)
	if len(own) == 0 {
		return false
	}
	told := bodyMeasures(text)
	for _, t := range told {
		if t.kind == own[0].kind && t.unit == own[0].unit {
			return false // the text gives it in this unit too: that number counts
		}
	}
	for _, t := range told {
		if t.kind != own[0].kind || t.unit == own[0].unit {
			continue
		}
		// Rounding explains what it can move; cutting off a little more, but never a tenth of a small number.
		if apart, off := math.Abs(t.n-own[0].n), t.off+own[0].off; apart <= off*(1+1e-9) && apart <= 0.2*math.Abs(own[0].n) || apart <= 1.2*off && apart <= 0.02*math.Abs(own[0].n) {
			return true
		}
	}
	return false
}

// decimal says whether a text gives a value with fewer decimals, but with some: 36.4 for 36.44.
func decimal(value, text string) bool {
	v, err := strconv.ParseFloat(number(value), 64)
	if err != nil {
		return false
	}
	for _, f := range strings.FieldsFunc(text, func(r rune) bool { return r != '.' && (r < '0' || r > '9') }) {
		_, decimals, _ := strings.Cut(f, ".")
		if n, err := strconv.ParseFloat(f, 64); err == nil && decimals != "" && math.Abs(n-v) < math.Pow(10, -float64(len(decimals))) {
			return true
		}
	}
	return false
}
