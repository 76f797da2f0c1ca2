package scan

import "time"

// Where a file that came in stands, beside what a scanner answers.
const (
	Waiting  Verdict = "waiting"  // the scanner has not been asked yet
	Released Verdict = "released" // it was held, and a person let it go
)

// Record is what is known of one file that came in while there was a scanner for such.
type Record struct {
	Path   string // of the part
	Stands Verdict
	Words  string // the scanner's
	Tries  int
	At     time.Time // since when it stands so
	By     string    // Released: who let it go, a login
	Reason string    // Released: why
}

// MaxTries is how often a file is shown to a scanner that does not answer before only a person asks again.
const MaxTries = 6

// Next is how long after so many tries without an answer a file is shown to the scanner again; 0 is not by itself.
func Next(tries int) time.Duration {
	if tries < 1 || tries >= MaxTries {
		return 0
	}
	return min(time.Minute<<(2*(tries-1)), 4*time.Hour)
}
