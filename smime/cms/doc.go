// Package cms is the Cryptographic Message Syntax (RFC 5652, with RFC 5083/5084 AuthEnvelopedData,
// RFC 5753 and RFC 8418 key agreement, RFC 4055/3560 OAEP and PSS, RFC 5035 signing certificates,
// RFC 8551 attributes), streaming: envelopes are written in one pass as definite-length DER and read
// in one pass from BER or DER; nothing is held that a length merely announces.
//
// Keys are crypto.Signer and crypto.Decrypter, and an ECDH interface of the same kind, so that they
// may live in a device. Failures of decryption all look alike (CMS-30, CMS-35). SHA-1 signature
// digests and 3DES are read only where the caller allows legacy; MD5, DES, RC2 and RC4 never.
//
// Not here: certificate paths, trust, revocation, compressed and digested data, password and
// key-encryption-key recipients, DSA, static-static key agreement, MIME.
//
// Limits are named in limits.go: 1,000 recipients, 100 certificates, 16 signers, 64 MiB of
// authenticated content, nesting 32 (package ber).
package cms
