package port_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"postern/gateway/lab/port"
)

// other makes this program another process that takes a port and keeps its range until its input ends.
const other = "POSTERN_TEST_PORT"

func TestMain(m *testing.M) {
	if os.Getenv(other) == "" {
		os.Exit(m.Run())
	}
	n, err := port.Free()
	if err != nil {
		n = 0
	}
	fmt.Println(n)
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// TestEachIsGivenOnce: ports that are not bound yet are not given again.
func TestEachIsGivenOnce(t *testing.T) {
	seen := map[int]bool{}
	for range 200 {
		n, err := port.Free()
		if err != nil || seen[n] || n <= 13000 || n >= 32000 {
			t.Fatalf("%d, given before: %v, %v", n, seen[n], err)
		}
		seen[n] = true
	}
}

// TestWhatIsInUseIsPassedOver, on TCP or UDP.
func TestWhatIsInUseIsPassedOver(t *testing.T) {
	last, err := port.Free()
	for err == nil && last%1000 > 990 { // away from the end of the range
		last, err = port.Free()
	}
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", port.At(last+1))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	u, err := net.ListenPacket("udp", port.At(last+2))
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	if n, err := port.Free(); err != nil || n != last+3 {
		t.Errorf("%d, %v; want %d", n, err, last+3)
	}
}

// TestProcessesTakeFromDifferentRanges: none is given what another was given and has not bound.
func TestProcessesTakeFromDifferentRanges(t *testing.T) {
	n, err := port.Free()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{n / 1000: true}
	for range 4 {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), other+"=1")
		in, err := child.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			in.Close()
			if err := child.Wait(); err != nil {
				t.Error(err)
			}
		})
		line, err := bufio.NewReader(out).ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if n, err = strconv.Atoi(line[:len(line)-1]); err != nil || n == 0 || seen[n/1000] {
			t.Errorf("%q, of a range that was taken: %v, %v", line, seen[n/1000], err)
		}
		seen[n/1000] = true
	}
}
