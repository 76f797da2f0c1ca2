// Package seal is the sealed form of a byte string on disk: AES-256-GCM in chunks, read at any offset.
//
// A sealed string is its plaintext cut into chunks of ChunkSize octets, each sealed by itself:
//
//	nonce (12) | ciphertext (at most 65,536) | tag (16)
//
// Every chunk but the last is full; the last holds the rest, and an empty string is one empty last
// chunk, so each chunk's place follows from its index and the sealed length from the plain one. The
// additional data of each chunk binds the format, the string's id, the chunk's index and whether it
// is the last: a chunk that was altered, moved, repeated, taken from another string or cut off is
// refused, and so is a string whose length was misstated. Nonces are random and made inside the
// cipher (crypto/cipher.NewGCMWithRandomNonce), the one form of AES-GCM that a build restricted to
// FIPS 140-3 (GODEBUG=fips140=only) accepts. A key seals one string only.
//
// Why not an existing format. filippo.io/age v1.3 reads at an offset, but its cipher is
// ChaCha20-Poly1305, which has no place in a FIPS 140-3 build, and it wraps its own key in a header of
// its own, where ours must live in a database row so that deleting the row destroys the data.
// tink-go v2.9 streams AES-GCM-HKDF but only from the front: a part of a 100 MB message could not be
// opened without reading what stands before it. What is lost: their years of review, their other
// implementations (no stranger's tool opens these files), and tink's per-string key derivation,
// which here is the caller's duty (one fresh key a string; package keys wraps them).
//
// Limits: 65,536 plain octets a chunk, 28 octets added to each, 2^32 chunks a key (256 TiB); the
// collision bound of random nonces is never near, as a key seals one string.
//
// It does not hide lengths, keep keys, or check a whole string's digest: a reader that must know
// that nothing is missing asks for the last octet or for all of them.
package seal
