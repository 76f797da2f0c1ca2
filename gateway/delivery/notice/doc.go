// Package notice writes and reads the two notices of Direct: the message disposition notification
// (MDN, RFC 8098) by which a receiving gateway says processed, dispatched or failed, and the delivery
// status notification (DSN, RFC 3464) by which any mail system says failed.
//
// It follows RFC 6522 (multipart/report), RFC 8098, RFC 3464, RFC 3463 (status codes), RFC 6533 (read
// only), RFC 3834 (Auto-Submitted), AS-90 to AS-95, DN-20 to DN-35 (form) and DN-44 to DN-48 (reading).
//
// Where a notice contradicts itself about a recipient, a statement of failure counts and one of success
// does not.
//
// It does not decide whether a notice is due, may be sent or may be believed, and it does not seal:
// it turns a value into a complete inner message with CRLF line ends, and such a message into a value.
//
// Limits: the first 4 MiB of a notice, 256 KiB of each part that is read, 16 report parts,
// 1,000 parts, 16 levels, 1,000 recipients, 500 octets of each text a peer wrote.
//
// github.com/emersion/go-message writes the headers and the multipart frame: its textproto keeps raw
// fields exactly as given, which the extension field of DN-22 needs.
package notice
