package message

import (
	"time"

	"postern/smime/addr"
)

// The ways a message comes in.
const (
	EdgeSMTP       = "smtp"       // a peer gateway, port 25
	EdgeSubmission = "submission" // a clinic's mail client or EHR, ports 587 and 465
	EdgeCLI        = "cli"        // postern send
	EdgeWeb        = "web"        // a person at the clinic's pages
	EdgeNotice     = "notice"     // a notice this gateway wrote itself
)

// AskedID begins the EdgeID of a message that its edge wrote itself from what it was asked to send: the SHA-256 of that
// follows, in hex. Written again the message has another date and other boundaries, and is the same one.
const AskedID = "asked "

// Submission is the envelope of one message and how it came in; every edge makes this one value.
type Submission struct {
	Org            string         `json:"org"`                       // whose message it is
	Edge           string         `json:"edge"`                      // one of the Edge names above
	EdgeID         string         `json:"edge_id,omitempty"`         // the edge's own id of the session or request; see AskedID
	Principal      string         `json:"principal,omitempty"`       // the login; "" is a peer gateway
	From           addr.Address   `json:"from"`                      // MAIL FROM; zero is <>
	Recipients     []addr.Address `json:"recipients"`                // RCPT TO, in order
	IdempotencyKey string         `json:"idempotency_key,omitempty"` // the same key twice is the same submission
	Purpose        string         `json:"purpose,omitempty"`         // what it is for: referral, discharge, records …
	Deadline       time.Duration  `json:"deadline,omitempty"`        // when silence raises an alarm; 0 is the purpose's default
	Peer           string         `json:"peer,omitempty"`            // host:port it came from
	Helo           string         `json:"helo,omitempty"`            // what the peer called itself
	TLS            string         `json:"tls,omitempty"`             // version and cipher suite; "" is none
	Received       time.Time      `json:"received"`
	Answering      *Answering     `json:"answering,omitempty"` // what of a clinic's work it answers; nil is nothing
}

// Answering names an entry of a clinic's work that a message answers. Known is how many answers to it the writer knew
// of: when more have left, the message is not accepted, so that two people cannot both answer unknowingly.
type Answering struct {
	Entry string `json:"entry"`
	Known int    `json:"known"`
}
