// Package auth checks logins: argon2id password records, the same work for logins that do not exist, and
// a throttle on failures (EP-24, EP-91).
//
// golang.org/x/crypto/argon2 (BSD-3-Clause, the Go project's) is taken because the standard library has
// no memory-hard password hash; this package is its only home. It is no FIPS 140-3 algorithm: a site
// that must have one puts its logins behind client certificates.
//
// Work is bounded: AtOnce verifications run (each MemoryKiB for a tenth of a second or so), MaxWaiting
// wait for their turn, more are told to come back. A program that logs in for every message it sends does
// not pay for each: a password that was right is remembered for a few minutes as a keyed digest, in
// memory only, bound to the record it was right for.
//
// Failures are counted three ways. A login from one network waits after 5, a network after 20, a login
// from anywhere after 50; a pair of login and network that was right lately waits for its own failures
// only, so that a stranger's guesses do not lock a clinic out. Networks are IPv4 addresses and IPv6 /64.
//
// Counts and remembered passwords are in memory: a restart forgets them.
//
// CheckNew says which passwords a person may not choose. Session is a browser's sign-in: how long it counts, and
// how its secret is stored as a hash.
//
// It does not store accounts or sessions, and does not lock an account for good.
//
// Limits: password 1,024 octets, login 255; record parameters 256 MiB, 10 passes, 16 lanes; waits of 1 s
// doubling to 15 min (login alone: 1 min), forgotten an hour later; 10,000 names counted; 1,000
// passwords remembered for 10 min.
package auth
