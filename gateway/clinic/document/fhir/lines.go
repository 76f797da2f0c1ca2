package fhir

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// following are the resources behind the first one, as a bulk export has them: one on each line (NDJSON). They
// end at the first thing that is no resource; fault says so.
func following(dec *json.Decoder) (lines []map[string]any, fault string) {
	for {
		var v any
		err := dec.Decode(&v)
		if errors.Is(err, io.EOF) {
			return lines, ""
		}
		o, ok := v.(map[string]any)
		if t, _ := o["resourceType"].(string); err != nil || !ok || t == "" {
			return lines, fmt.Sprintf("Only the first %d resources of the file are read: what follows is none, or is damaged.", len(lines)+1)
		}
		if lines = append(lines, o); len(lines) > MaxEntries {
			return lines, "" // the bundle says that it is cut
		}
	}
}

// asBundle makes a bundle of resources that stand one behind the other.
func asBundle(first map[string]any, rest []map[string]any) map[string]any {
	entries := []any{map[string]any{"resource": first}}
	for _, o := range rest {
		entries = append(entries, map[string]any{"resource": o})
	}
	return map[string]any{"resourceType": "Bundle", "type": "lines of JSON", "entry": entries}
}
