//go:build !race

package smime_test

// raceDetector says that memory figures mean something.
const raceDetector = false
