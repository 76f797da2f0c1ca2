// Package smime seals and opens Direct messages: RFC 8551 S/MIME as the Applicability Statement
// uses it (AS-30 to AS-56, CMS-40 to CMS-50), streaming in both directions.
//
// Seal wraps a complete message as message/rfc822, signs it, encrypts it and writes the sealed
// message. Open reads a sealed message once, decrypts it into a Scratch, checks every signer, and
// gives back the exact octets that were signed. It judges no trust, binds no sender and knows no
// network, file or clock: package trust decides about signers afterwards, and until it has, nothing
// in an Opened may be acted on.
//
// The reader is lenient in form and strict in substance; each leniency is a named value of
// Leniency that the receipt lists, and has a test.
//
// Limits: headers 256 KiB, authenticated (GCM) contents 64 MiB, signature part 4 MiB; see packages cms
// and part for the rest. Memory does not grow with the message, GCM excepted.
package smime
