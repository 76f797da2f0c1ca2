package pipeline

import (
	"bytes"
	"io"
	"testing"
	"testing/iotest"

	"postern/gateway/delivery/queue"
	"postern/gateway/message"
)

// What is sealed is the gateway's lines and then the submitted octets, however it is read.
func TestInnerIsPrefixThenBody(t *testing.T) {
	body := bytes.Repeat([]byte("0123456789"), 50)
	for _, prefix := range []string{"", "a", "Message-ID: <x@y>\r\nDate: now\r\n"} {
		whole := prefix + string(body)
		c := inner{[]byte(prefix), bytes.NewReader(body)}
		if err := iotest.TestReader(io.NewSectionReader(c, 0, int64(len(whole))), []byte(whole)); err != nil {
			t.Errorf("prefix of %d: %v", len(prefix), err)
		}
		for off := range len(whole) {
			for _, n := range []int{1, 7, len(whole)} {
				b := make([]byte, n)
				got, err := c.ReadAt(b, int64(off))
				if want := min(n, len(whole)-off); got != want || string(b[:got]) != whole[off:off+want] || got < n && err != io.EOF {
					t.Fatalf("prefix of %d, %d octets at %d: %d, %v", len(prefix), n, off, got, err)
				}
			}
		}
	}
}

func TestReceiptsKeepWhatWasThere(t *testing.T) {
	r := mergeReceipt(`{"format":1,"added":["Date"]}`, "sealed", map[string]int{"size": 3})
	if r != `{"added":["Date"],"format":1,"sealed":{"size":3}}` {
		t.Error(r)
	}
	if r := mergeReceipt("", "sealed", nil); r != `{"format":1,"sealed":null}` {
		t.Error(r)
	}
	if r := mergeReceipt("{", "sealed", 1); r == "" || !bytes.Contains([]byte(r), []byte("unreadable")) {
		t.Error(r)
	}
}

func TestPurposesHaveDeadlines(t *testing.T) {
	for purpose, want := range map[string]string{"discharge": "15m0s", "referral": "1h0m0s", "records": "24h0m0s", "": "0s", "other": "0s"} {
		if d := PurposeDeadline(purpose); d.String() != want {
			t.Errorf("%q: %s, want %s", purpose, d, want)
		}
	}
}

// Every kind of job has a stage and a class with workers.
func TestEveryKindHasWorkers(t *testing.T) {
	p := New(Config{})
	for _, k := range []queue.Kind{queue.Seal, queue.Open, queue.Relay, queue.Deliver, queue.Notice, queue.Timer} {
		for _, notice := range []bool{false, true} {
			j := queue.Job{Kind: k, Notice: notice, Message: message.ID("m")}
			if p.Workers[j.Class()] < 1 {
				t.Errorf("%s (notice %v): class %s has no workers", k, notice, j.Class())
			}
		}
	}
}
