package smtpd

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"postern/gateway/message"
	"postern/gateway/spool"
	"postern/smime/addr"
)

// scripted is a connection whose peer has sent everything already, in pieces of the given sizes.
type scripted struct {
	in     []byte
	sizes  []byte
	n      int
	out    bytes.Buffer
	closed chan struct{}
}

func (c *scripted) Read(p []byte) (int, error) {
	if len(c.in) == 0 {
		return 0, io.EOF
	}
	n := len(p)
	if len(c.sizes) > 0 {
		n = min(n, 1+int(c.sizes[c.n%len(c.sizes)]))
		c.n++
	}
	n = copy(p[:n], c.in)
	c.in = c.in[n:]
	return n, nil
}

func (c *scripted) Write(p []byte) (int, error)      { return c.out.Write(p) }
func (c *scripted) Close() error                     { close(c.closed); return nil }
func (c *scripted) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c *scripted) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }
func (c *scripted) SetDeadline(time.Time) error      { return nil }
func (c *scripted) SetReadDeadline(time.Time) error  { return nil }
func (c *scripted) SetWriteDeadline(time.Time) error { return nil }

func scriptedWire(in, sizes []byte) *wire {
	s := &Server{limits: Limits{}.orDefaults()}
	s.gate = newGate(s.limits)
	return &wire{srv: s, conn: &scripted{in: in, sizes: sizes, closed: make(chan struct{})}, ready: true}
}

// unstuff is RFC 5321 §4.5.2 written down octet by octet: the message, how many octets it took with its
// end, whether it ended, and whether a CR or LF stood alone.
func unstuff(in []byte) (out []byte, used int, ended, bare bool) {
	start := true
	for i := 0; i < len(in); i++ {
		if start && in[i] == '.' {
			if bytes.HasPrefix(in[i:], []byte(".\r\n")) {
				return out, i + 3, true, bare
			}
			start = false
			continue
		}
		start = false
		if in[i] == '\n' {
			if i == 0 || in[i-1] != '\r' {
				bare = true
			} else {
				start = true
			}
		}
		if in[i] == '\r' && (i+1 == len(in) || in[i+1] != '\n') {
			bare = true
		}
		out = append(out, in[i])
	}
	return out, len(in), false, bare
}

func readData(w *wire) (out []byte, flaw Reason, err error) {
	d := w.data()
	for {
		b, err := d.next()
		if err == io.EOF {
			return out, d.flaw(), nil
		}
		if err != nil {
			return out, d.flaw(), err
		}
		out = append(out, b...)
	}
}

func checkData(t *testing.T, in, sizes []byte) {
	t.Helper()
	want, used, ended, bare := unstuff(in)
	w := scriptedWire(bytes.Clone(in), sizes)
	got, flaw, err := readData(w)
	switch {
	case ended && err != nil, !ended && !errors.Is(err, io.ErrUnexpectedEOF):
		t.Fatalf("ended %v, error %v", ended, err)
	case !ended:
		return
	case !bytes.Equal(got, want):
		t.Fatalf("%.200q gives\n%.200q, want\n%.200q", in, got, want)
	case (flaw == ReasonBareLine) != bare:
		t.Fatalf("%.200q: flaw %q, bare %v", in, flaw, bare)
	}
	rest := append(bytes.Clone(w.buf[w.pos:w.end]), w.conn.(*scripted).in...)
	if w.fake != endOfData || !bytes.Equal(rest, in[used:]) {
		t.Fatalf("%.200q: %.60q left for the next command, want %.60q", in, rest, in[used:])
	}
}

func TestDataExact(t *testing.T) {
	long := strings.Repeat("x", 3*bigBuffer)
	for _, in := range []string{
		".\r\n", "..\r\n.\r\n", "...\r\n.\r\n", ".a\r\n.\r\nNOOP\r\n", "a\r\n..b\r\n\r\n.\r\n", ".\rX\r\n.\r\n", ".\r\r\n.\r\n", "\r\n.\r\n", "\r\n\r\n.\r\n",
		"a\n.\r\n.\r\n", "a\r.\r\n.\r\n", ".\n.\r\n.\r\n", long + "\r\n.\r\n", "." + long + "\r\n.\r\n", "." + long, long + "\r\n" + long + "\r\n.\r\nQUIT\r\n", long + "\r" + long + "\r\n.\r\n",
		long + "\n.\r\n.\r\n", "a\r", "a\r\n.", "a\r\n.\r", "", strings.Repeat(".\r", 40000) + "\r\n.\r\n", strings.Repeat("..\r\n", 40000) + ".\r\n",
		strings.Repeat("x", bigBuffer-1) + "\r\n.\r\n", strings.Repeat("x", bigBuffer-2) + "\r\n.\r\n", strings.Repeat("x", bigBuffer) + "\r\n.\r\n",
		strings.Repeat("x", bigBuffer-3) + "\r\n.\r\n", strings.Repeat("x", bigBuffer-4) + "\r\n..\r\n.\r\n",
	} {
		for _, sizes := range [][]byte{nil, {0}, {1}, {0, 2}, {255, 3}} {
			if len(in) > 1000 && len(sizes) > 0 && sizes[0] < 255 {
				continue
			}
			checkData(t, []byte(in), sizes)
		}
	}
}

func FuzzData(f *testing.F) {
	f.Add([]byte("a\r\n..b\r\n.\r\nNOOP\r\n"), []byte{0, 5})
	f.Add([]byte("a\n.\r\n.\rb\r\n.\r\n"), []byte{1})
	f.Fuzz(func(t *testing.T, in, sizes []byte) { checkData(t, in, sizes) })
}

// everything is a site that takes all mail, for fuzzing.
type everything struct{ taken [][]byte }

func (e *everything) Local(context.Context, addr.Address) (Mailbox, error)       { return Known, nil }
func (e *everything) MayUse(context.Context, string, addr.Address) (bool, error) { return true, nil }
func (e *everything) Create(string) (Writer, error)                              { return &keepsake{}, nil }
func (e *everything) Delete(spool.Blob) error                                    { return nil }
func (e *everything) Accept(_ context.Context, s message.Submission, f message.Facts, b spool.Blob) (message.ID, error) {
	e.taken = append(e.taken, b.Key)
	return message.NewID(time.Now(), nil), nil
}

type keepsake struct{ bytes.Buffer }

func (k *keepsake) Commit(context.Context) (spool.Blob, error) {
	return spool.Blob{Key: k.Bytes()}, nil
}
func (k *keepsake) Abort() {}

var replyLine = regexp.MustCompile(`^[2-5][0-9][0-9][ -][ -~]*$`)

// FuzzSession is a whole session of a peer that may send anything: nothing breaks, every reply is one,
// and what is said to be accepted is what was kept, without a line end that is none.
func FuzzSession(f *testing.F) {
	f.Add([]byte("EHLO h\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\nX: y\r\n\r\n.\r\nQUIT\r\n"), []byte{})
	f.Add([]byte("EHLO h\r\nMAIL FROM:<>\r\nRCPT TO:<c@d.example>\r\nBDAT 3\r\nX: BDAT 3 LAST\r\ny\r\nRSET\r\nAUTH PLAIN AA==\r\n"), []byte{7})
	f.Add([]byte("STARTTLS x\r\nHELO \xff\r\nMAIL FROM:<\"a b\"@c.example> SIZE=9 BODY=7BIT\r\nVRFY x\r\n"), []byte{0})
	f.Add([]byte("\n"), []byte{})
	f.Add([]byte("X:\x19Y\r\n"), []byte{})
	f.Fuzz(checkSession)
}

func checkSession(t *testing.T, in, sizes []byte) {
	if strings.Contains(strings.ToUpper(string(in)), "BDAT") {
		return // those run beside the session: TestHostile has them
	}
	e := &everything{}
	srv, err := New(Config{Mode: Peer, Domain: "d.example", Directory: e, Spool: e, Intake: e})
	if err != nil {
		t.Fatal(err)
	}
	c := &scripted{in: in, sizes: sizes, closed: make(chan struct{})}
	srv.admit(c)
	<-c.closed
	if err := srv.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	accepted := 0
	for _, line := range strings.Split(strings.TrimSuffix(c.out.String(), "\r\n"), "\r\n") {
		if !replyLine.MatchString(line) {
			t.Fatalf("%q is no reply", line)
		}
		if strings.Contains(line, acceptedAs) {
			accepted++
		}
	}
	if accepted != len(e.taken) {
		t.Fatalf("said %d accepted, kept %d", accepted, len(e.taken))
	}
	for _, m := range e.taken {
		if _, _, _, bare := unstuff(bytes.ReplaceAll(m, []byte("."), []byte("x"))); bare {
			t.Fatalf("kept %q", m)
		}
	}
}
