// Package faultdisk is a disk in memory that fails on demand and loses power, for tests of what stands
// on package disk.
//
// It keeps apart what was written and what is durable. Sync makes a file's octets durable, SyncDir the
// names in a directory; everything else is at the mercy of Crash, which keeps or drops each 512-octet
// sector, each change of length and each later change of a directory's names at random (from a seed, so
// that a failing run can be repeated). A sync that a Fault makes fail drops the octets from what later
// syncs write, as Linux does: syncing again reports success and changes nothing.
//
// A hook sees every operation before it happens and may make it fail, wait, or write only a part.
package faultdisk
