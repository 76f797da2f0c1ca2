package smtpd

import "time"

// Limits bounds what one listener spends on its peers. A zero field means its default; the test
// suites of the network need times of seconds (EP-28), so every time can be set.
type Limits struct {
	Message    int64 // octets of a message, announced as SIZE; default 35 MiB (EP-30)
	Recipients int   // of one message; default 100 (RFC 5321 §4.5.3.1.8)
	Line       int   // octets of a command line with CRLF; default 1,024 (512 and room for extensions)
	AuthLine   int   // octets of a line of an AUTH exchange; default 12,288 (RFC 4954 §4)
	Errors     int   // refused commands of one session before 421; default 20
	Logins     int   // failed logins of one session before 421; default 3 (EP-91)

	// StrictLines refuses text lines over 998 octets (EP-27), as the network's edge tests want it. Without
	// it they are taken, and noted in the facts: nothing of a message is changed or lost for its form.
	StrictLines bool

	Connections int // open at once; default 1,000
	PerPeer     int // open at once from one IPv4 address or IPv6 /64; default 50
	PerLogin    int // open at once with one login; default 20
	LoginRate   int // messages a minute with one login, as many at once; default 3,000

	Command   time.Duration // for a whole command line to come in; default 5 min (RFC 5321 §4.5.3.2.7)
	DataBlock time.Duration // for the next octets of DATA; default 3 min
	DataSlack time.Duration // added to what DataRate allows for the whole of DATA; default 10 min
	DataRate  int           // octets/s that DATA must keep up on the whole; default 1,024
	Write     time.Duration // for a peer to take a reply; default 1 min
	Handshake time.Duration // for TLS; default 30 s
	Session   time.Duration // of one connection between messages; default 1 h
	Backend   time.Duration // for the directory, logins, or the disk to answer; default 1 min
}

func (l Limits) orDefaults() Limits {
	set(&l.Message, 35<<20)
	set(&l.Recipients, 100)
	set(&l.Line, 1024)
	set(&l.AuthLine, 12288)
	set(&l.Errors, 20)
	set(&l.Logins, 3)
	set(&l.Connections, 1000)
	set(&l.PerPeer, 50)
	set(&l.PerLogin, 20)
	set(&l.LoginRate, 3000)
	set(&l.Command, 5*time.Minute)
	set(&l.DataBlock, 3*time.Minute)
	set(&l.DataSlack, 10*time.Minute)
	set(&l.DataRate, 1024)
	set(&l.Write, time.Minute)
	set(&l.Handshake, 30*time.Second)
	set(&l.Session, time.Hour)
	set(&l.Backend, time.Minute)
	return l
}

func set[T int | int64 | time.Duration](field *T, value T) {
	if *field <= 0 {
		*field = value
	}
}

// Metrics counts what a listener does. Its methods are called from many goroutines.
type Metrics interface {
	Connections(mode Mode, change int)                    // opened +1, closed -1
	Refused(mode Mode, reason Reason)                     // a command or a connection was refused
	Accepted(mode Mode, octets int64, took time.Duration) // 250 after DATA; from its first octet to the reply
	Login(mode Mode, ok bool)                             // an AUTH ended
	Durable(mode Mode, took time.Duration)                // spool commit and Intake, of the above
}

type noMetrics struct{}

func (noMetrics) Connections(Mode, int)               {}
func (noMetrics) Refused(Mode, Reason)                {}
func (noMetrics) Accepted(Mode, int64, time.Duration) {}
func (noMetrics) Login(Mode, bool)                    {}
func (noMetrics) Durable(Mode, time.Duration)         {}
