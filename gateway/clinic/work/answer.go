package work

import (
	"time"

	"postern/gateway/clinic/staff"
	"postern/gateway/message"
)

// How long a sign of life lasts: a writer whose page was not heard of for WritingFor counts as gone, one
// who only looks for LookingFor.
const (
	WritingFor = 15 * time.Minute
	LookingFor = 45 * time.Second
)

// Writer is somebody who has begun an answer.
type Writer struct {
	Person staff.PersonID
	Since  time.Time
	Seen   time.Time
}

// Live reports whether the writer was heard of lately.
func (w Writer) Live(now time.Time) bool { return now.Sub(w.Seen) < WritingFor }

// Answer is a message of ours that answers an entry.
type Answer struct {
	Message message.ID
	By      string // the principal that sent it: a login
	At      time.Time
}

// Collision is why an answer was not begun or not sent: somebody else is at it, or was first. It is no
// refusal for good; who goes on after reading it says so.
type Collision struct {
	Writing  []Writer
	Answered []Answer
}

// Error says that there is a collision.
func (c *Collision) Error() string { return "work: somebody else answers this or has answered it" }

// Collides is the collision that an answer begun at since by who would be, or nil. Answers before since were
// seen when it was begun; the zero since takes all of them.
func Collides(who staff.PersonID, since, now time.Time, writers []Writer, answers []Answer) *Collision {
	var c Collision
	for _, w := range writers {
		if w.Person != who && w.Live(now) {
			c.Writing = append(c.Writing, w)
		}
	}
	for _, a := range answers {
		if a.At.After(since) || since.IsZero() {
			c.Answered = append(c.Answered, a)
		}
	}
	if len(c.Writing)+len(c.Answered) == 0 {
		return nil
	}
	return &c
}
