package message_test

import (
	"bufio"
	"bytes"
	"slices"
	"strings"
	"testing"

	gomessage "github.com/emersion/go-message"
	"github.com/emersion/go-message/mail"

	"postern/gateway/lab/corpus"
	"postern/gateway/message"
	"postern/smime/addr"
)

// Real headers as mail servers all over wrote them: what another reader of mail headers finds, so do
// we. It goes by fields one by one; where that reader gives up on a field, we may do either.
func TestAgreesWithGoMessage(t *testing.T) {
	compared := map[string]int{}
	for _, folder := range []string{"notifications", "smime", "mime"} {
		for _, c := range corpus.Walk(t, folder) {
			if strings.HasSuffix(c.File, ".der") || strings.HasSuffix(c.File, ".pem") {
				continue
			}
			b := c.Read(t)
			var i message.Inspector
			if _, err := i.Write(b); err != nil {
				continue
			}
			f := i.Facts()
			r := bufio.NewReader(bytes.NewReader(b))
			if bytes.HasPrefix(b, []byte("From ")) {
				if _, err := r.ReadString('\n'); err != nil {
					t.Fatal(err)
				}
			}
			e, err := gomessage.Read(r)
			if e == nil || err != nil && !gomessage.IsUnknownCharset(err) && !gomessage.IsUnknownEncoding(err) {
				continue
			}
			compareHeaders(t, c.File, f, mail.Header{Header: e.Header}, compared)
		}
	}
	t.Log(compared)
	for _, what := range []string{"subject", "date", "message-id", "from", "to", "type"} {
		if compared[what] < 100 {
			t.Errorf("only %d of %s were compared", compared[what], what)
		}
	}
}

func compareHeaders(t *testing.T, file string, f message.Facts, h mail.Header, compared map[string]int) {
	t.Helper()
	if s, err := h.Subject(); err == nil && s != "" {
		compared["subject"]++
		if got, want := squeeze(f.Subject), squeeze(s); got != want {
			t.Errorf("%s: subject %q, go-message reads %q", file, got, want)
		}
	}
	if d, err := h.Date(); err == nil && !d.IsZero() {
		compared["date"]++
		if !d.Equal(f.Date) {
			t.Errorf("%s: date %v, go-message reads %v", file, f.Date, d)
		}
	}
	if id, err := h.MessageID(); err == nil && id != "" {
		compared["message-id"]++
		if message.NormalID(f.MessageID) != id {
			t.Errorf("%s: id %q, go-message reads %q", file, f.MessageID, id)
		}
	}
	for name, ours := range map[string][]addr.Address{"from": f.From, "to": f.To} {
		if len(h.Values(name)) > 1 {
			continue // we join repeated lists, it reads the first
		}
		list, err := h.AddressList(name)
		if err != nil || f.Flawed(message.ReasonBadAddress, name) {
			continue // an address without a full domain is none of Direct's
		}
		compared[name]++
		var want []string
		for _, a := range list {
			want = append(want, strings.ToLower(a.Address))
		}
		var got []string
		for _, a := range ours {
			got = append(got, a.Key())
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %s %v, go-message reads %v", file, name, got, want)
		}
	}
	if mediaType, params, err := h.ContentType(); err == nil && h.Has("Content-Type") {
		compared["type"]++
		if f.MediaType != mediaType || f.ReportType != strings.ToLower(params["report-type"]) || f.SMIMEType != strings.ToLower(params["smime-type"]) {
			t.Errorf("%s: type %s %s %s, go-message reads %s %v", file, f.MediaType, f.ReportType, f.SMIMEType, mediaType, params)
		}
	}
	n := 0
	for fields := h.Fields(); fields.Next(); n++ {
	}
	compared["fields"]++
	bad := 0
	if f.Flawed(message.ReasonBadLine, "") {
		bad = 1 // the mailbox line in front
	}
	if f.Fields-bad != n {
		t.Errorf("%s: %d fields, go-message reads %d", file, f.Fields, n)
	}
}

// squeeze makes runs of blanks one: readers differ in what folding leaves behind.
func squeeze(s string) string { return strings.Join(strings.Fields(s), " ") }

// The body is never kept: memory does not grow with the message.
func TestMemoryDoesNotGrow(t *testing.T) {
	body := bytes.Repeat([]byte("QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo=\r\n"), 1700)
	var i message.Inspector
	if _, err := i.Write(crlf(referral)); err != nil {
		t.Fatal(err)
	}
	allocs := testing.AllocsPerRun(100, func() {
		if _, err := i.Write(body); err != nil {
			t.Fatal(err)
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations for 64 KiB of body", allocs)
	}
	if f := i.Facts(); f.Size < 100*int64(len(body)) || f.LongLine || f.BareLF {
		t.Errorf("%+v", f)
	}
}
