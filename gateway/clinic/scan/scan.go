// Package scan asks a scanner of the clinic's choice about a file before it is sent or opened: a command that reads
// the file on its standard input, or a scanner behind a socket that speaks the INSTREAM exchange of clamd(8).
//
// There are three answers, and no fourth: Clean, Found and Unknown. Whatever is not plainly clean or found (no
// answer, a crash, too late, too large) is Unknown, and its caller holds the file back. Nothing of the file is
// ever written to disk or into a log.
//
// Limits: 1 min a file, 200 MiB, 4 KiB of a scanner's answer is read.
package scan

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"time"
)

// Limits of one question.
const (
	Timeout   = time.Minute
	MaxSize   = 200 << 20
	maxAnswer = 4 << 10
)

// Verdict is a scanner's answer.
type Verdict string

// The verdicts. Only Clean lets a file pass.
const (
	Clean   Verdict = "clean"
	Found   Verdict = "found"
	Unknown Verdict = "unknown"
)

// Answer is a verdict with the scanner's words: the name of what was found, or why there is no answer.
type Answer struct {
	Verdict Verdict `json:"verdict"`
	Words   string  `json:"words,omitempty"`
}

// Scanner judges one file.
type Scanner interface {
	Scan(ctx context.Context, r io.Reader, size int64) Answer
}

func unknown(format string, args ...any) Answer { return Answer{Unknown, fmt.Sprintf(format, args...)} }

// Command is a scanner that is run once a file: exit status 0 is clean, 1 is found, anything else is no answer.
type Command struct{ Argv []string }

// Scan runs the command.
func (c Command) Scan(ctx context.Context, r io.Reader, size int64) Answer {
	if size > MaxSize {
		return unknown("the file is larger than %d MB", MaxSize>>20)
	}
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.Argv[0], c.Argv[1:]...)
	cmd.WaitDelay = time.Second
	var out clipped
	cmd.Stdin, cmd.Stdout, cmd.Stderr = r, &out, io.Discard
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return unknown("the scanner did not answer in time")
	case err == nil:
		return Answer{Clean, ""}
	case errors.As(err, &exit) && exit.ExitCode() == 1:
		return Answer{Found, out.line()}
	case errors.As(err, &exit):
		return unknown("the scanner ended with status %d", exit.ExitCode())
	}
	return unknown("the scanner could not be run")
}

// Socket is a scanner behind a Unix socket (a path) or a TCP port (host:port).
type Socket struct{ Address string }

// Scan sends the file in chunks, each behind its length in four octets, and reads one line.
func (s Socket) Scan(ctx context.Context, r io.Reader, size int64) Answer {
	if size > MaxSize {
		return unknown("the file is larger than %d MB", MaxSize>>20)
	}
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	network := "tcp"
	if strings.HasPrefix(s.Address, "/") {
		network = "unix"
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, s.Address)
	if err != nil {
		return unknown("the scanner cannot be reached")
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := stream(conn, r); err != nil {
		return s.ended(ctx, "the scanner broke off")
	}
	b, err := io.ReadAll(io.LimitReader(conn, maxAnswer))
	if err != nil {
		return s.ended(ctx, "the scanner did not answer")
	}
	return parse(string(b))
}

func (s Socket) ended(ctx context.Context, what string) Answer {
	if ctx.Err() != nil {
		what = "the scanner did not answer in time"
	}
	return unknown("%s", what)
}

func stream(w io.Writer, r io.Reader) error {
	if _, err := io.WriteString(w, "zINSTREAM\x00"); err != nil {
		return err
	}
	buf := make([]byte, 4+64<<10)
	for {
		n, err := io.ReadFull(r, buf[4:])
		binary.BigEndian.PutUint32(buf, uint32(n)) // 0 ends the file
		if n > 0 {
			if _, err := w.Write(buf[:4+n]); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			_, err = w.Write([]byte{0, 0, 0, 0})
			return err
		case err != nil:
			return err
		}
	}
}

// parse reads "stream: OK", "stream: NAME FOUND", and takes anything else for no answer.
func parse(s string) Answer {
	s = strings.TrimRight(s, "\x00\r\n ")
	switch name, found := strings.CutSuffix(s, " FOUND"); {
	case s == "stream: OK":
		return Answer{Clean, ""}
	case found && strings.HasPrefix(name, "stream: "):
		return Answer{Found, words(strings.TrimPrefix(name, "stream: "))}
	}
	return unknown("the scanner's answer was not understood")
}

// clipped keeps the beginning of what a command says.
type clipped struct{ b bytes.Buffer }

func (c *clipped) Write(p []byte) (int, error) {
	c.b.Write(p[:min(len(p), maxAnswer-c.b.Len())])
	return len(p), nil
}

func (c *clipped) line() string {
	line, _, _ := strings.Cut(c.b.String(), "\n")
	return words(line)
}

// words keeps printable ASCII of a scanner's text, at most 200 characters.
func words(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, s)
	return strings.TrimSpace(s[:min(len(s), 200)])
}
