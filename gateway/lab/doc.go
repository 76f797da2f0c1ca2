// Package lab is a small internet of complete gateways in one process: each has its own folder,
// configuration, keys, database, certificates, anchors and ports on loopback, made by the same
// gateway.Init, Open and New as a real one. Its DNS answers for everybody else, and misbehaves on request;
// its clock can be moved.
//
// It is for tests, self-tests and benchmarks. It replaces no part of a gateway: what is sent in a lab goes
// over SMTP and DNS sockets.
//
// It does not isolate: whoever can reach loopback can reach a lab. Limits: 16 sites;
// their ports are those of package port.
package lab
