// Package smime seals and opens Direct messages: RFC 8551 S/MIME as the Applicability Statement
// uses it (AS-30 to AS-56, CMS-40 to CMS-50), streaming in both directions.
//
// Seal wraps a complete message as message/rfc822, signs it, encrypts it and writes the sealed
// message. Open reads a sealed message once, decrypts it into a Scratch, checks every signer, and
// gives back the exact octets that were signed. Choose says which algorithms one peer is sent, by what its
// verified mail taught (Taught), and Envelopes who can share one message. The
// package judges no trust, binds no sender and knows no network, file or clock: package trust
// decides about signers afterwards, and until it has, nothing in an Opened may be acted on.
//
// # Leniencies
//
// The reader is lenient in form and strict in substance. These are all the deviations it accepts,
// by the name the receipt gives them; each has a test that expects exactly this name.
//
//   - "media_type" QUIRK: application/x-pkcs7-mime and x-pkcs7-signature of older Java agents;
//     application/octet-stream with a .p7m or .p7s name from relays and edge systems (TestReceiveMediaTypes)
//   - "transfer_encoding" QUIRK: base64 that does not say so (TestReceiveMediaTypes)
//   - "base64" QUIRK: characters outside the alphabet, from relays that wrap or mark lines; never in what was
//     encrypted, where no relay can be and where they could hide added cipher blocks (TestReceiveMediaTypes)
//   - "pkcs1_v1_5" QUIRK: key transport of .NET, OpenSSL, GnuPG and NSS by default (TestReceiveKeyTransport)
//   - "signing_only_key" QUIRK: senders that do not look at key usage (TestReceiveRecipients)
//   - "unwrapped" QUIRK: agents before Applicability Statement 1.3; From, To and Subject are then the
//     outer, unsigned ones (TestReceiveUnwrapped)
//   - "wrapper_encoding" QUIRK: message/rfc822 in base64 or quoted-printable, against RFC 2046 (TestReceiveStructure)
//   - "opaque_signature" QUIRK: Outlook and others sign opaquely (TestReceiveBER)
//   - "line_ends" QUIRK: OpenSSL scripts without -crlfeol: the signature is over CR LF, the text has LF;
//     the CR LF form is what comes out (TestReceiveStructure)
//   - "final_line_end" QUIRK: relays that drop or add the last line end; the form that was signed comes
//     out (TestReceiveStructure)
//   - "attribute_order" QUIRK: signed attributes written unsorted, signed in DER order (TestReceiveSignedAttributes)
//   - "no_attributes": a signature over the content itself, which RFC 5652 allows (TestReceiveSignatureAlgorithms)
//   - "no_close_delimiter" QUIRK: relays that cut the last line (TestReceiveStructure)
//   - "micalg" QUIRK: agents that always announce the same digest; the signer decides (TestReceiveMediaTypes)
//   - "unknown_recipients": recipient kinds this gateway does not know, beside ours (TestReceiveRecipients)
//   - "legacy": SHA-1 or 3DES, where the caller allows it (TestReceiveContentEncryption, TestReceiveSignatureAlgorithms)
//   - "skipped_certificates": certificates in the message that do not parse (TestReceiveSigners)
//
// What is encrypted and not signed (the header and the preamble of the encrypted message, the header of its
// signature part) must be text, UTF-8 without control characters: what altered cipher blocks decrypt to is not, and
// must not be passed over (TestAlteredBlocksAnswerNothing).
//
// Accepted without a mark, because standards allow it: BER instead of DER in the structures, indefinite
// and over-long lengths, octet strings in segments; zero octets and line ends behind the structure;
// missing, reordered, unquoted or differently spelt parameters; absent or NULL algorithm parameters;
// names and serial numbers that are equal in meaning; text before and after the signed parts, which is
// dropped; 8-bit text, long lines, bare CR and LF inside the signed message.
//
// Accepted without a mark too, because nothing rests on it: QUIRK: a whole signature algorithm where its digest belongs
// (Microsoft's services, old Java toolkits); a signing time with a zone or without seconds; negative serial numbers; a
// GCM tag of up to 16 octets where no length is announced (the example of RFC 8551).
//
// Limits: headers 256 KiB, text in front of the signed part 512 KiB with the header, boundary 998 octets, authenticated (GCM) contents 64 MiB, signature part 4 MiB; see packages cms
// and part for the rest. Memory does not grow with the message, GCM excepted: about 0.7 MiB for each
// message in flight.
package smime
