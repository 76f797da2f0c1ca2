// Package control is the gateway's control socket: a Unix socket in the data directory (mode 0600)
// through which the command line changes a running gateway. The caller's user id, told by the kernel, is
// the actor of the audit.
//
// A call is one HTTP POST to /v1/VERB whose body is one line of JSON (the arguments) and then raw bytes;
// the answer is one line of JSON and then raw bytes. What verbs there are and what they mean is the
// handler's; nothing here decides anything.
//
// Limits: 64 KiB of arguments, 16 MiB of answer, 200 MiB of raw bytes in, 16 calls at a time.
package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Limits of one call, in octets.
const (
	MaxArguments = 64 << 10
	MaxAnswer    = 16 << 20
	MaxBody      = 200 << 20
	maxCalls     = 16
)

// Request is one call.
type Request struct {
	Verb  string
	Actor string // "uid:1000"
	Args  json.RawMessage
	Body  io.Reader
}

// Answer is what a verb gives back: a value, and for some raw bytes after it.
type Answer struct {
	Value any
	Body  func(io.Writer) error // nil for none
}

// Handler does a verb. An error's Kind travels with it.
type Handler interface {
	Do(ctx context.Context, r Request) (Answer, error)
}

// Error is a refusal with its kind: "usage", "refused", "not_found", "not_yet".
type Error struct {
	Kind string `json:"kind"`
	Text string `json:"text"`
}

func (e *Error) Error() string { return e.Text }

type reply struct {
	Error *Error          `json:"error,omitempty"`
	Value json.RawMessage `json:"value,omitempty"`
}

// Listen makes the socket, replacing one that nobody listens on.
func Listen(path string) (net.Listener, error) {
	if c, err := dial(path, time.Second); err == nil {
		c.Close()
		return nil, fmt.Errorf("control: another gateway is running on %s", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("control: %w", err)
	}
	// The socket must never be reachable with wider rights, not even for the moment before a chmod: it is made in a folder
	// of our own and moved when it is ready. The process's mask is not touched: it is everybody's.
	dir, err := os.MkdirTemp(filepath.Dir(path), ".c")
	if err != nil {
		return nil, fmt.Errorf("control: %w", err)
	}
	defer os.RemoveAll(dir)
	made := filepath.Join(dir, "s")
	name, done, err := address(made)
	if err != nil {
		return nil, fmt.Errorf("control: %w", err)
	}
	defer done()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("control: %w", err)
	}
	l.SetUnlinkOnClose(false) // by then it has another name
	if err := errors.Join(os.Chmod(made, 0o600), os.Rename(made, path)); err != nil {
		return nil, errors.Join(fmt.Errorf("control: %w", err), l.Close())
	}
	return &socket{Listener: l, path: path}, nil
}

// maxAddress is how many octets of a path fit a socket's address (unix(7): 108 with the closing zero).
const maxAddress = 107

// address is path as a socket's address can hold it: a longer one is reached through its open folder, until done is called.
func address(path string) (name string, done func(), err error) {
	if len(path) <= maxAddress {
		return path, func() {}, nil
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path)), func() { dir.Close() }, nil
}

// dial connects to the socket at path.
func dial(path string, wait time.Duration) (net.Conn, error) {
	name, done, err := address(path)
	if err != nil {
		return nil, err
	}
	defer done()
	return net.DialTimeout("unix", name, wait)
}

// socket removes its name when it is closed.
type socket struct {
	net.Listener
	path string
	once sync.Once
}

func (s *socket) Close() (err error) {
	s.once.Do(func() { err = errors.Join(os.Remove(s.path), s.Listener.Close()) })
	return err
}

type actorKey struct{}

// Serve answers calls until ctx ends.
func Serve(ctx context.Context, l net.Listener, h Handler) error {
	limit := make(chan struct{}, maxCalls)
	srv := &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		MaxHeaderBytes:    8 << 10,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, actorKey{}, caller(c))
		},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			limit <- struct{}{}
			defer func() { <-limit }()
			serve(w, r, h)
		}),
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		<-ctx.Done()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if srv.Shutdown(grace) != nil {
			srv.Close()
		}
	}()
	err := srv.Serve(l)
	<-ended
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// caller is the user id at the other end, as the kernel knows it.
func caller(c net.Conn) string {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return "unknown"
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return "unknown"
	}
	who := "unknown"
	_ = raw.Control(func(fd uintptr) {
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			who = fmt.Sprintf("uid:%d", cred.Uid)
		}
	})
	return who
}

func serve(w http.ResponseWriter, r *http.Request, h Handler) {
	verb, ok := strings.CutPrefix(r.URL.Path, "/v1/")
	actor, _ := r.Context().Value(actorKey{}).(string)
	if !ok || r.Method != http.MethodPost {
		http.NotFound(w, r)
		return
	}
	in := bufio.NewReaderSize(http.MaxBytesReader(w, r.Body, MaxBody+MaxArguments), MaxArguments)
	args, err := in.ReadSlice('\n')
	if err != nil {
		answer(w, reply{Error: &Error{"usage", "control: arguments missing or too long"}})
		return
	}
	a, err := h.Do(r.Context(), Request{Verb: verb, Actor: actor, Args: append(json.RawMessage{}, args...), Body: in})
	if err != nil {
		answer(w, reply{Error: AsError(err)})
		return
	}
	value, err := json.Marshal(a.Value)
	if err != nil {
		answer(w, reply{Error: &Error{"refused", "control: answer cannot be written"}})
		return
	}
	answer(w, reply{Value: value})
	if a.Body != nil {
		if err := a.Body(w); err != nil {
			panic(http.ErrAbortHandler) // the caller sees a broken answer, not a short one
		}
	}
}

func answer(w io.Writer, r reply) {
	_ = json.NewEncoder(w).Encode(r) // the caller is gone if this fails
}

// AsError is the *Error in err, or a refusal with its words.
func AsError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return &Error{e.Kind, err.Error()}
	}
	return &Error{"refused", err.Error()}
}

// dialTimeout is how long a gateway may take to take a call: it is on this machine.
const dialTimeout = 2 * time.Second

// Client calls a running gateway.
type Client struct{ http http.Client }

// Dial looks for a running gateway; ok is false when none listens there.
func Dial(path string) (*Client, bool) {
	c, err := dial(path, dialTimeout)
	if err != nil {
		return nil, false
	}
	c.Close()
	return &Client{http.Client{Transport: &http.Transport{
		DialContext:       func(context.Context, string, string) (net.Conn, error) { return dial(path, dialTimeout) },
		DisableKeepAlives: true, // a Client is not closed, and must not keep a connection for good
	}}}, true
}

// Call does one verb. body may be nil; out is filled from the answer; raw bytes go to w when it is not nil.
func (c *Client) Call(ctx context.Context, verb string, in any, body io.Reader, out any, w io.Writer) error {
	args, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("control: %w", err)
	}
	if body == nil {
		body = strings.NewReader("")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://postern/v1/"+verb, io.MultiReader(strings.NewReader(string(args)+"\n"), body))
	if err != nil {
		return fmt.Errorf("control: %w", err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("control: %w", err)
	}
	defer resp.Body.Close()
	r := bufio.NewReader(resp.Body)
	line, err := readLine(r)
	if err != nil {
		return fmt.Errorf("control: answer: %w", err)
	}
	var rep reply
	if err := json.Unmarshal(line, &rep); err != nil {
		return fmt.Errorf("control: answer: %w", err)
	}
	if rep.Error != nil {
		return rep.Error
	}
	if out != nil {
		if err := json.Unmarshal(rep.Value, out); err != nil {
			return fmt.Errorf("control: answer: %w", err)
		}
	}
	if w != nil {
		if _, err := io.Copy(w, r); err != nil {
			return fmt.Errorf("control: answer: %w", err)
		}
	}
	return nil
}

func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		if err == nil {
			return line, nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) || len(line) > MaxAnswer {
			return nil, err
		}
	}
}
