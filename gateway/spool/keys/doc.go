// Package keys is the key hierarchy of everything the gateway keeps at rest.
//
//	master key            32 octets, in a file outside the data directory or a systemd credential
//	└─ organisation key   32 random octets, wrapped by the master key, in the organisation's row
//	   ├─ data key        32 random octets, one a blob, wrapped by the organisation's key, in the blob's row
//	   └─ secrets         private keys and edge passwords, sealed for one purpose
//
// Every wrapping is AES-256-GCM with a random nonce under a key made for that one thing: HKDF-SHA256
// of the key above it and the name of what it wraps. So no two wrapped things share a cipher key, the
// number of blobs has no bound from random nonces, and a wrapped key put in another's row does not open.
// Deleting a wrapped data key makes its blob unreadable wherever a copy of the blob lies; deleting a
// wrapped organisation key does so for the whole organisation. A backup that holds the row holds the wrapped
// key too: there the blob goes when that backup goes, or with the organisation's or the master key.
//
// The master key is never made where one was expected: New makes one, for the first `init`, and Read
// only reads. A key check value (Check) is kept in the database; Matches refuses every other key, so
// a gateway given the wrong key does not start. Sheet writes the key for paper.
//
// It does not hold wrapped keys (the database does) and does not keep keys from swap or core files.
//
// Limits: names (organisation, blob, purpose) 1 to 200 octets; a secret 64 KiB; a key file 4 KiB.
package keys
