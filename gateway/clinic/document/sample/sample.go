// Package sample holds synthetic clinical documents: invented people, invented places. The demo sends
// them and tests read them. They are ordinary C-CDA R2.1 as a family practice would export it.
package sample

import _ "embed"

// Referral is a C-CDA R2.1 Referral Note from a family practice to a cardiologist, about 44 KB, dated
// 2 Oct 2026: new atrial fibrillation, an urgent question, medicines started and stopped.
//
//go:embed referral.xml
var Referral []byte

// Earlier is a Continuity of Care Document of the same patient of 1 Jul 2026, about 25 KB, to compare
// the referral with.
//
//go:embed earlier.xml
var Earlier []byte
