//go:build race

package smime_test

// raceDetector says that memory figures mean nothing.
const raceDetector = true
