package relay

import (
	"crypto/x509"
	"time"

	"postern/smime/addr"
)

// TLSMode says what TLS a route wants.
type TLSMode string

// The TLS modes of a route. In the modes that require TLS the certificate must be valid for the host.
const (
	Opportunistic TLSMode = ""         // STARTTLS when offered, any certificate; else in clear: for sealed mail only
	Required      TLSMode = "required" // STARTTLS
	Implicit      TLSMode = "implicit" // TLS from the first octet (port 465)
	None          TLSMode = "none"     // in clear even when STARTTLS is offered
)

// Route is where a message goes: to the MX hosts of Domain, or to Host.
type Route struct {
	Domain addr.Domain // MX delivery; Port and the TLS fields hold there too
	Host   string      // a name or an IP address: static route, smart host, SMTP edge
	Port   int         // 0: Config.Port

	TLS        TLSMode
	ServerName string         // the name a required certificate must have; "": the host's
	Roots      *x509.CertPool // who may have issued it; nil: Config.TLS's roots

	Login    string // "": no AUTH
	Password string

	// Private says that an operator named Host, so that it may be a private or loopback address. It
	// does not hold for MX hosts: strangers name those.
	Private bool
}

// Envelope is whom a message is from and for. The zero From is <>.
type Envelope struct {
	From addr.Address
	To   []addr.Address
	Size int64 // octets, exactly; 0: not known. A message that turns out to have another size is not sent
}

// Status is what became of a recipient.
type Status string

// The states of a recipient after a Send.
const (
	Delivered Status = "delivered" // the peer took responsibility
	Temporary Status = "temporary" // try again later
	Permanent Status = "permanent" // trying again is useless
)

// Reason says why, in one word for programs.
type Reason string

// The reasons of an outcome or an attempt.
const (
	ReasonDelivered Reason = "delivered"
	ReasonRefused   Reason = "refused"    // the peer said so, for good
	ReasonDeferred  Reason = "deferred"   // the peer said so, for now
	ReasonNoDomain  Reason = "no_domain"  // the domain has neither MX nor address
	ReasonNullMX    Reason = "null_mx"    // the domain takes no mail (RFC 7505)
	ReasonDNS       Reason = "dns"        // DNS gave no answer
	ReasonConnect   Reason = "connect"    // no connection, or it broke
	ReasonForbidden Reason = "forbidden"  // the Guard refuses the address
	ReasonLoop      Reason = "loop"       // the next hop is this gateway
	ReasonTimeout   Reason = "timeout"    // the peer did not answer in time
	ReasonProtocol  Reason = "protocol"   // the peer does not speak SMTP
	ReasonTLS       Reason = "tls"        // TLS is required and did not come about
	ReasonLogin     Reason = "login"      // the peer does not take our login
	ReasonTooLarge  Reason = "too_large"  // over the SIZE the peer announced
	ReasonEightBit  Reason = "eight_bit"  // 8-bit octets, and the peer lacks 8BITMIME
	ReasonBareLine  Reason = "bare_cr_lf" // the message is not canonical
	ReasonSource    Reason = "source"     // the message cannot be read here
	ReasonUnknown   Reason = "no_answer"  // all was sent, the peer went away before its answer
	ReasonStopped   Reason = "stopped"    // the gateway is shutting down
)

// Outcome is what became of one recipient. Code and Enhanced are the peer's, or 0 and ours when the
// peer said nothing; Text is the peer's words or ours, at most 500 octets, printable.
type Outcome struct {
	To       addr.Address `json:"to"`
	Status   Status       `json:"status"`
	Reason   Reason       `json:"reason"`
	Code     int          `json:"code,omitempty"`
	Enhanced string       `json:"enhanced,omitempty"`
	Text     string       `json:"text,omitempty"`

	retry bool // another host may be asked in this same Send
}

// Stage is how far an attempt came.
type Stage string

// The stages of an attempt.
const (
	StageResolve  Stage = "resolve"
	StageConnect  Stage = "connect"
	StageGreeting Stage = "greeting"
	StageHello    Stage = "ehlo"
	StageTLS      Stage = "tls"
	StageLogin    Stage = "auth"
	StageMail     Stage = "mail"
	StageRcpt     Stage = "rcpt"
	StageData     Stage = "data"  // DATA, or a BDAT that was not the last
	StageBody     Stage = "body"  // sending the message
	StageFinal    Stage = "final" // the answer to the message
)

// Attempt is one host tried, or one session used.
type Attempt struct {
	Host      string        `json:"host"`
	Addr      string        `json:"addr,omitempty"`
	TLS       string        `json:"tls,omitempty"`    // version, cipher suite, whether the certificate is valid; "": clear
	Reused    bool          `json:"reused,omitempty"` // a session of an earlier message
	Stage     Stage         `json:"stage"`
	Reason    Reason        `json:"reason"`
	Code      int           `json:"code,omitempty"`
	Enhanced  string        `json:"enhanced,omitempty"`
	Text      string        `json:"text,omitempty"`
	Delivered int           `json:"delivered"` // recipients
	Octets    int64         `json:"octets,omitempty"`
	Began     time.Time     `json:"began"`
	Took      time.Duration `json:"took_ns"`
}

// Result is what a Send came to. Host, Addr and TLS are those of the last session that delivered.
type Result struct {
	Host     string    `json:"host,omitempty"`
	Addr     string    `json:"addr,omitempty"`
	TLS      string    `json:"tls,omitempty"`
	Outcomes []Outcome `json:"outcomes"`
	Attempts []Attempt `json:"attempts"`
}

// Limits that need no setting.
const (
	MaxRecipients = 1000 // of one Send
	MaxTargets    = 10   // addresses tried in one Send
	MaxPerHost    = 4    // of one host, so that its many addresses do not hide the next host
	MaxTrace      = 32   // attempts kept of one Send
	MaxWords      = 500  // octets of a peer's reply that are kept
)

// Limits bounds what sending costs. A zero field means its default: the times of RFC 5321 §4.5.3.2.
type Limits struct {
	Connect   time.Duration // to connect, and for TLS; 30 s
	Command   time.Duration // for the greeting and the answer to EHLO, MAIL, RCPT; 5 min
	DataInit  time.Duration // for the answer to DATA; 2 min
	DataBlock time.Duration // for the peer to take a block of the message; 3 min
	DataDone  time.Duration // for the answer to the whole message; 10 min
	Send      time.Duration // for all of a Send: a peer that takes octet after octet holds no worker for ever; 2 h

	Recipients int           // in one transaction; 100
	Idle       int           // idle sessions kept, in all; 32
	IdlePerHop int           // of one next hop; 4
	IdleFor    time.Duration // how long one is kept; 20 s
	Reuse      int           // messages sent over one session; 1,000
	Age        time.Duration // of a session that is still used again; 5 min
}

func (l Limits) orDefaults() Limits {
	set(&l.Connect, 30*time.Second)
	set(&l.Command, 5*time.Minute)
	set(&l.DataInit, 2*time.Minute)
	set(&l.DataBlock, 3*time.Minute)
	set(&l.DataDone, 10*time.Minute)
	set(&l.Send, 2*time.Hour)
	set(&l.Recipients, 100)
	set(&l.Idle, 32)
	set(&l.IdlePerHop, 4)
	set(&l.IdleFor, 20*time.Second)
	set(&l.Reuse, 1000)
	set(&l.Age, 5*time.Minute)
	return l
}

func set[T int | time.Duration](field *T, value T) {
	if *field <= 0 {
		*field = value
	}
}
