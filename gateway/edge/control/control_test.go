package control_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"postern/gateway/edge/control"
	"postern/gateway/lab/leak"
)

// echo answers with what it was asked, and with the body it got.
type echo struct{}

func (echo) Do(_ context.Context, r control.Request) (control.Answer, error) {
	body, err := io.ReadAll(r.Body)
	switch {
	case err != nil:
		return control.Answer{}, err
	case r.Verb == "refuse":
		return control.Answer{}, errors.New("it may not be")
	case r.Verb == "missing":
		return control.Answer{}, fmt.Errorf("wrapped: %w", &control.Error{Kind: "not_found", Text: "no such thing"})
	case r.Verb == "break":
		return control.Answer{Value: 1, Body: func(w io.Writer) error {
			_, _ = io.WriteString(w, "half")
			return errors.New("disk gone")
		}}, nil
	}
	return control.Answer{Value: map[string]any{"verb": r.Verb, "actor": r.Actor, "args": r.Args, "octets": len(body)},
		Body: func(w io.Writer) error { _, err := w.Write(body); return err }}, nil
}

// short is a new folder whose sockets have short paths, whatever $TMPDIR is.
func short(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "postern-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func serve(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(short(t), "control.sock")
	l, err := control.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- control.Serve(ctx, l, echo{}) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return path
}

func TestCallsCarryValuesAndBytes(t *testing.T) {
	c, ok := control.Dial(serve(t))
	if !ok {
		t.Fatal("nobody listens")
	}
	body := bytes.Repeat([]byte("octets\n\x00"), 100_000)
	var got struct {
		Verb, Actor string
		Args        []string
		Octets      int
	}
	var back bytes.Buffer
	if err := c.Call(t.Context(), "send", []string{"a", "ü"}, bytes.NewReader(body), &got, &back); err != nil {
		t.Fatal(err)
	}
	if got.Verb != "send" || got.Octets != len(body) || got.Args[1] != "ü" || !bytes.Equal(back.Bytes(), body) {
		t.Errorf("got %+v and %d octets back", got, back.Len())
	}
	if want := fmt.Sprintf("uid:%d", os.Getuid()); got.Actor != want {
		t.Errorf("the kernel's word on the caller: %q, want %q", got.Actor, want)
	}
}

func TestRefusalsKeepTheirKind(t *testing.T) {
	c, _ := control.Dial(serve(t))
	for verb, want := range map[string]control.Error{
		"refuse":  {Kind: "refused", Text: "it may not be"},
		"missing": {Kind: "not_found", Text: "wrapped: no such thing"},
	} {
		var e *control.Error
		if err := c.Call(t.Context(), verb, nil, nil, nil, nil); !errors.As(err, &e) || *e != want {
			t.Errorf("%s: %v, want %v", verb, err, want)
		}
	}
	if err := c.Call(t.Context(), "break", nil, nil, nil, io.Discard); err == nil {
		t.Error("an answer cut in the middle looks whole")
	}
}

func TestSocketIsPrivateAndSingle(t *testing.T) {
	path := serve(t)
	st, err := os.Stat(path)
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
	if _, err := control.Listen(path); err == nil || !strings.Contains(err.Error(), "another gateway") {
		t.Errorf("a second gateway on the same socket: %v", err)
	}
}

func TestALongPathIsNoHindrance(t *testing.T) {
	dir := t.TempDir()
	for len(dir) < 200 {
		dir = filepath.Join(dir, "a-folder-deep-in-a-tree")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"control.sock", strings.Repeat("n", 80)} {
		path := filepath.Join(dir, name)
		l, err := control.Listen(path)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- control.Serve(ctx, l, echo{}) }()
		if _, err := control.Listen(path); err == nil || !strings.Contains(err.Error(), "another gateway") {
			t.Errorf("a second gateway on the same socket: %v", err)
		}
		c, ok := control.Dial(path)
		if !ok {
			t.Fatal("nobody listens")
		}
		if err := c.Call(t.Context(), "send", nil, nil, nil, io.Discard); err != nil {
			t.Error(err)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	}
}

func TestSocketLeftByACrashIsReplaced(t *testing.T) {
	path := filepath.Join(short(t), "control.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	if _, ok := control.Dial(path); ok {
		t.Fatal("somebody listens on a dead socket")
	}
	again, err := control.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

func TestHostileCalls(t *testing.T) {
	path := serve(t)
	for situation, request := range map[string]string{
		"arguments too long": "POST /v1/x HTTP/1.1\r\nHost: p\r\nContent-Length: 70000\r\n\r\n" + strings.Repeat("a", 70000),
		"no end of line":     "POST /v1/x HTTP/1.1\r\nHost: p\r\nContent-Length: 2\r\n\r\n{}",
		"another path":       "POST /v2/x HTTP/1.1\r\nHost: p\r\nContent-Length: 3\r\n\r\n{}\n",
		"a GET":              "GET /v1/x HTTP/1.1\r\nHost: p\r\n\r\n",
		"not HTTP":           "hello\r\n\r\n",
	} {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, request); err != nil {
			t.Fatal(err)
		}
		c.(*net.UnixConn).CloseWrite()
		answer, _ := io.ReadAll(c)
		c.Close()
		if bytes.Contains(answer, []byte(`"value"`)) {
			t.Errorf("%s was answered: %s", situation, answer)
		}
	}
	if c, ok := control.Dial(path); !ok || c.Call(t.Context(), "still", json.RawMessage("1"), nil, nil, nil) != nil {
		t.Error("the socket does not serve any more")
	}
}

// TestClientsKeepNoConnection: whoever asks again and again with a Client of its own runs out of nothing.
func TestClientsKeepNoConnection(t *testing.T) {
	path := filepath.Join(short(t), "control.sock")
	inner, err := control.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	const clients = 5
	l := &counted{inner, make(chan struct{}, 2*clients)}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- control.Serve(ctx, l, echo{}) }()
	for range clients {
		c, ok := control.Dial(path)
		if !ok {
			t.Fatal("nobody listens")
		}
		if err := c.Call(t.Context(), "send", nil, nil, nil, io.Discard); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 * clients { // each looked first whether somebody is there
		<-l.closed
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// counted is a listener that tells of connections that are closed.
type counted struct {
	net.Listener
	closed chan struct{}
}

func (l *counted) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &countedConn{Conn: c, closed: sync.OnceFunc(func() { l.closed <- struct{}{} })}, nil
}

type countedConn struct {
	net.Conn
	closed func()
}

func (c *countedConn) Close() error {
	defer c.closed()
	return c.Conn.Close()
}

func TestMain(m *testing.M) { leak.Main(m) }

// TestListenLeavesTheMaskAlone: other goroutines make files while the socket is made.
func TestListenLeavesTheMaskAlone(t *testing.T) {
	dir := t.TempDir()
	stop, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				ended <- nil
				return
			default:
			}
			name := filepath.Join(dir, fmt.Sprint("d", i))
			if err := os.Mkdir(name, 0o700); err != nil {
				ended <- err
				return
			}
			if st, err := os.Stat(name); err != nil || st.Mode().Perm() != 0o700 {
				ended <- fmt.Errorf("a folder made meanwhile has %v, %v", st.Mode(), err)
				return
			}
		}
	}()
	path := filepath.Join(dir, "sock")
	for range 200 {
		l, err := control.Listen(path)
		if err != nil {
			t.Fatal(err)
		}
		if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
			t.Fatalf("the socket has %v, %v", st, err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Fatalf("the socket is left: %v", err)
		}
	}
	close(stop)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}
