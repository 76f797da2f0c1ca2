package scan_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	. "postern/gateway/clinic/scan"
)

func ask(s Scanner, content string) Answer {
	return s.Scan(context.Background(), strings.NewReader(content), int64(len(content)))
}

func TestCommand(t *testing.T) {
	for situation, c := range map[string]struct {
		script string
		want   Answer
	}{
		"clean":                         {"cat >/dev/null", Answer{Clean, ""}},
		"found":                         {"cat >/dev/null; printf 'Eicar-Test\\nmore'; exit 1", Answer{Found, "Eicar-Test"}},
		"found without reading it all":  {"echo Bad; exit 1", Answer{Found, "Bad"}},
		"the content is what it judges": {"grep -q virus && exit 1; exit 0", Answer{Found, ""}},
		"a fault of its own":            {"exit 2", Answer{Unknown, "the scanner ended with status 2"}},
		"killed":                        {"kill -9 $$", Answer{Unknown, "the scanner ended with status -1"}},
		"an endless answer":             {"cat >/dev/null; yes | head -c 1000000; exit 1", Answer{Found, "y"}},
	} {
		t.Run(situation, func(t *testing.T) {
			if got := ask(Command{[]string{"/bin/sh", "-c", c.script}}, strings.Repeat("a virus\n", 20000)); got != c.want {
				t.Fatalf("%+v, want %+v", got, c.want)
			}
		})
	}
	if got := ask(Command{[]string{"/nowhere/scanner"}}, "x"); got.Verdict != Unknown {
		t.Errorf("a missing command: %+v", got)
	}
	if got := (Command{[]string{"/bin/true"}}).Scan(context.Background(), strings.NewReader(""), MaxSize+1); got.Verdict != Unknown {
		t.Errorf("too large: %+v", got)
	}
	if got := (Command{[]string{"/bin/cat"}}).Scan(context.Background(), iotest.ErrReader(errors.New("disk")), 5); got.Verdict == Clean {
		t.Errorf("a file that cannot be read is not clean: %+v", got)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if got := (Command{[]string{"/bin/true"}}).Scan(ctx, strings.NewReader(""), 0); got.Verdict != Unknown {
		t.Errorf("out of time: %+v", got)
	}
}

// scanner answers one connection: it reads the whole exchange, then writes answer.
func scanner(t *testing.T, answer string) (address string, got *bytes.Buffer) {
	t.Helper()
	address, got = filepath.Join(t.TempDir(), "scan.sock"), &bytes.Buffer{}
	l, err := net.Listen("unix", address)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { l.Close(); <-done })
	go func() {
		defer close(done)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		r := bufio.NewReader(c)
		if s, _ := r.ReadString(0); s != "zINSTREAM\x00" || answer == "hang up" {
			return
		}
		for {
			var n uint32
			if binary.Read(r, binary.BigEndian, &n) != nil || n == 0 {
				break
			}
			if _, err := io.CopyN(got, r, int64(n)); err != nil {
				return
			}
		}
		_, _ = io.WriteString(c, answer)
	}()
	return address, got
}

func TestSocket(t *testing.T) {
	content := strings.Repeat("0123456789", 20000)
	for situation, c := range map[string]struct {
		answer string
		want   Answer
	}{
		"clean":         {"stream: OK\x00", Answer{Clean, ""}},
		"found":         {"stream: Eicar-Test FOUND\x00", Answer{Found, "Eicar-Test"}},
		"a limit":       {"INSTREAM size limit exceeded. ERROR\x00", Answer{Unknown, "the scanner's answer was not understood"}},
		"nothing said":  {"", Answer{Unknown, "the scanner's answer was not understood"}},
		"another thing": {"stream: OKAY", Answer{Unknown, "the scanner's answer was not understood"}},
		"marks in it":   {"stream: <b>\x1b[2J FOUND", Answer{Found, "<b>[2J"}},
	} {
		t.Run(situation, func(t *testing.T) {
			address, seen := scanner(t, c.answer)
			if got := ask(Socket{address}, content); got != c.want {
				t.Fatalf("%+v, want %+v", got, c.want)
			}
			if seen.String() != content {
				t.Fatalf("%d octets arrived of %d", seen.Len(), len(content))
			}
		})
	}
	address, _ := scanner(t, "hang up")
	if got := ask(Socket{address}, strings.Repeat(content, 50)); got.Verdict != Unknown {
		t.Errorf("hung up: %+v", got)
	}
	if got := ask(Socket{filepath.Join(t.TempDir(), "nobody")}, "x"); got != (Answer{Unknown, "the scanner cannot be reached"}) {
		t.Errorf("nobody there: %+v", got)
	}
	address, _ = scanner(t, "stream: OK")
	if got := (Socket{address}).Scan(context.Background(), iotest.ErrReader(errors.New("disk")), 5); got.Verdict != Unknown {
		t.Errorf("a file that cannot be read: %+v", got)
	}
}
