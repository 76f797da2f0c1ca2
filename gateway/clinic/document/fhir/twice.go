package fhir

import (
	"bytes"
	"encoding/json"
)

// twice is the first name that an object of well-formed JSON gives twice, "" if none does: what such data
// says depends on who reads it (RFC 8259, section 4). One pass.
func twice(raw []byte) string {
	var names []map[string]bool // of the objects and lists that are open; nil for a list
	for i := 0; i < len(raw); i++ {
		switch raw[i] {
		case '{':
			names = append(names, map[string]bool{})
		case '[':
			names = append(names, nil)
		case '}', ']':
			if len(names) > 0 {
				names = names[:len(names)-1]
			}
		case '"':
			end := i + 1
			for end < len(raw) && raw[end] != '"' {
				if raw[end] == '\\' {
					end++
				}
				end++
			}
			if end >= len(raw) {
				return ""
			}
			word := raw[i : end+1]
			next := end + 1
			for next < len(raw) && bytes.IndexByte([]byte(" \t\r\n"), raw[next]) >= 0 {
				next++
			}
			if i = next - 1; len(names) == 0 || names[len(names)-1] == nil || next >= len(raw) || raw[next] != ':' {
				continue
			}
			name := string(word[1 : len(word)-1])
			if bytes.IndexByte(word, '\\') >= 0 {
				_ = json.Unmarshal(word, &name) // well-formed: it was read before
			}
			if names[len(names)-1][name] {
				return name
			}
			names[len(names)-1][name] = true
		}
	}
	return ""
}
