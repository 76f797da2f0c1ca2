// Package message is what one message says of itself: who handed it in (Submission), what its own
// header and octets say (Facts, gathered by an Inspector while the message streams by), and the few
// whole header lines a gateway may put in front of it (Prefix). Everything here is a plain value.
//
// It follows RFC 5322 (header fields, obsolete forms included), RFC 2047 (Subject only), RFC 8098
// §2 and DN-10 to DN-17 (the request for final delivery), RFC 3834 (Auto-Submitted), AS-05, AS-30,
// AS-34, AS-82, AS-95, EP-04.
//
// It does not parse MIME bodies, judge signatures, or change one octet of what was submitted: what is
// added goes in front, in whole lines, and is listed.
//
// Facts hold the Subject, which may name a patient: they belong beside the message, never in an
// event, a trace or a log line.
//
// Limits: header 256 KiB, 1,000 fields, 100 Received fields, Message-ID 990 octets, 200 references,
// Subject 2,000 octets as decoded, 1,000 addresses in a list (package addr).
//
// github.com/emersion/go-message/charset decodes the character sets of encoded words: the one table
// of that kind that is small, maintained and shared with the packages that show bodies.
package message
