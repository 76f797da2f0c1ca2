package letter

import "fmt"

// Room is what the files of one message may be together.
type Room struct {
	Files  int
	Octets int64
}

// RoomIn is the room for files in a message that may leave with so many octets: MaxFiles and MaxOctets, or what a small
// message holds once each file has grown by its encoding, four octets for three and a line end after 76 (RFC 2045 section 6.8).
func RoomIn(message int64) Room {
	const envelope = MaxText + MaxFiles<<10 // text and header lines
	return Room{MaxFiles, min(MaxOctets, max(0, message-envelope)/78*57)}
}

// Refuse says why a file of that name and size finds no room beside those that are there; "" where it does.
func (r Room) Refuse(there []File, name string, size int64) string {
	total := size
	for _, f := range there {
		total += f.Size
	}
	switch {
	case len(there) >= r.Files:
		return fmt.Sprintf("%s was not attached: a message has at most %d files. Put several into one, or send them in parts.", name, r.Files)
	case size > r.Octets:
		return fmt.Sprintf("%s was not attached: it is larger than the %s that the files of a message may have.", name, megabytes(r.Octets))
	case total > r.Octets:
		return fmt.Sprintf("%s was not attached: with it the files would be more than the %s that a message may have. Send them in parts.", name, megabytes(r.Octets))
	}
	return ""
}

// String is the room in words.
func (r Room) String() string {
	return fmt.Sprintf("%d files, %s together", r.Files, megabytes(r.Octets))
}

func megabytes(n int64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%d KB", n>>10)
	}
	return fmt.Sprintf("%d MB", n>>20)
}
