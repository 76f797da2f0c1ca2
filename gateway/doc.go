// Package gateway assembles a Direct-protocol gateway: New takes an opened Site and runs its edges and
// its pipeline; Admin is every change a person can make to a site; Init makes a new one.
//
// It is the only package that knows both an interface and its implementation. Decisions live below it.
//
// Libraries with more than one home are recorded here:
//   - golang.org/x/sys/unix (BSD-3-Clause, the Go project's): the site's lock, the control socket's peer
//     credentials and the spool's disk calls, none of which the standard library offers.
package gateway
