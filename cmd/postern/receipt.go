package main

import (
	"encoding/json"
	"fmt"
	"io"

	"postern/smime"
)

// printReceipt prints a stored security receipt in plain words; --json has it whole.
func printReceipt(w io.Writer, stored []byte) {
	var r struct {
		Added    []string          `json:"added"`
		LongLine bool              `json:"long_line"`
		EightBit bool              `json:"eight_bit"`
		Sealed   smime.SealReports `json:"sealed"`
		Opened   *smime.Report     `json:"opened"`
	}
	if len(stored) == 0 || json.Unmarshal(stored, &r) != nil {
		return
	}
	var lines []string
	if len(r.Added) > 0 {
		lines = append(lines, fmt.Sprintf("The gateway put in front: %v.", r.Added))
	}
	if r.LongLine {
		lines = append(lines, "It has lines over 998 octets; they were sealed unchanged.")
	}
	if r.EightBit {
		lines = append(lines, "It has octets over 127; they were sealed unchanged.")
	}
	for i, s := range r.Sealed {
		if len(r.Sealed) > 1 {
			lines = append(lines, fmt.Sprintf("Sealed %d times; the %d. of them:", len(r.Sealed), i+1))
		}
		lines = append(lines, s.Words()...)
	}
	if r.Opened != nil {
		lines = append(lines, r.Opened.Words()...)
	}
	if len(lines) == 0 {
		return
	}
	fmt.Fprintln(w, "\nsecurity receipt")
	for _, l := range lines {
		fmt.Fprintf(w, "  %s\n", l)
	}
}
