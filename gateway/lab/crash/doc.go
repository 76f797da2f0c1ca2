// Package crash holds the proof that nothing accepted is lost: two gateways as processes of the real
// program exchange mail of mixed sizes both ways while either is killed (SIGKILL) at random moments and
// started again. Afterwards every message is looked up on both sides:
//
//   - answered 250: exactly once in the recipient's inbox octet for octet, or held there once, or one
//     failure notice to its sender;
//   - not answered: not at all, or once;
//   - every ladder says what is on the other side, nothing is there that nobody sent, the audit verifies,
//     no temporary file is left, and every file is named by a row.
//
// It is all tests. The plain run is short; the long one is
//
//	go test ./gateway/lab/crash -run TestKilledAtRandom -timeout 60m -v \
//	    -crash.messages 10000 -crash.kills 200 -crash.rate 25
//
// -crash.seed repeats the load and the kills of a run (not the moment within a disk write), -crash.keep
// leaves the sites in a folder.
package crash
