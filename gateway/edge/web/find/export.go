package find

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"postern/gateway/clinic/document"
	"postern/gateway/clinic/inbox"
	"postern/gateway/clinic/letter"
	"postern/gateway/clinic/reading"
	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/work"
	"postern/gateway/edge/web"
	"postern/gateway/store"
)

// export sends a conversation as a zip: a page to read, each message as it came and as it left, its files, the
// security receipts, and the digests of all of it. With ?page=1 it sends the page alone.
func (f *find) export(q *web.Request) error {
	entries, err := f.chosen(q)
	if err != nil {
		return err
	}
	page, err := f.printed(q, entries)
	if err != nil {
		return err
	}
	alone := q.URL.Query().Get("page") != ""
	if err := f.note(q, "export", string(q.Work.ID), map[string]any{"messages": len(entries), "page": alone}); err != nil {
		return err
	}
	name := "conversation-" + q.Now.In(q.Person.Location()).Format("2006-01-02")
	if alone {
		return q.Send(web.Download{Name: name + ".html", Type: "text/html", Size: int64(len(page)), Body: strings.NewReader(string(page))})
	}
	pr, pw := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		pw.CloseWithError(f.archive(q.Context(), pw, q, page, entries))
	}()
	err = q.Send(web.Download{Name: name + ".zip", Type: "application/zip", Size: -1, Body: pr})
	pr.CloseWithError(io.ErrClosedPipe)
	<-done
	return err
}

// bundle is the zip being written, with the digests of what is in it.
type bundle struct {
	zip  *zip.Writer
	sums strings.Builder
	room int64
	at   time.Time

	policy letter.Policy
	rights staff.Rights
}

// whole tells whether the copy may hold a message as it came although a file of it is held back.
func (b *bundle) whole(e work.Entry) bool { return b.rights.On(e.Pool, e.Scope()) >= staff.Send }

// heldBack are the parts of a message that the organisation's rules hold back, with why: a copy is no way around them.
func (b *bundle) heldBack(it inbox.Item) map[string]heldPart {
	out := map[string]heldPart{}
	for _, p := range it.Parts {
		kind := document.Kind("")
		for _, d := range it.Documents {
			if d.Path == p.Path {
				kind = document.Kind(d.Kind)
				break
			}
		}
		if v := b.policy.Arrived(kind, p.MediaType, p.Encoding, p.Length); v.Action == letter.Hold {
			out[p.Path] = heldPart{web.SafeName(reading.Name(p)), v.Reason}
		}
	}
	return out
}

// heldPart is a file that is held back.
type heldPart struct{ name, reason string }

// heldWords says in the copy what is not in it.
func heldWords(why map[string]heldPart, whole bool) string {
	var b strings.Builder
	b.WriteString("Held back by the clinic's rules for files, and not here as files of their own:\r\n\r\n")
	for _, path := range slices.Sorted(maps.Keys(why)) {
		fmt.Fprintf(&b, "%s: %s\r\n", why[path].name, why[path].reason)
	}
	if whole {
		b.WriteString("\r\nmessage.eml holds the message as it came, these files included. Do not open it by chance.\r\n")
	} else {
		b.WriteString("\r\nThe message as it came is left out too. Somebody who may send for the team can make a copy that has it.\r\n")
	}
	return b.String()
}

var errRoom = errors.New("find: the conversation is larger than an export may be")

// add writes one file.
func (b *bundle) add(name string, r io.Reader) error {
	w, err := b.zip.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: b.at})
	if err != nil {
		return err
	}
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(w, h), io.LimitReader(r, b.room+1))
	if b.room -= n; err == nil && b.room < 0 {
		err = errRoom
	}
	fmt.Fprintf(&b.sums, "%s  %s\n", hex.EncodeToString(h.Sum(nil)), name)
	return err
}

func (b *bundle) json(name string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return b.add(name, strings.NewReader(string(text)+"\n"))
}

func (f *find) archive(ctx context.Context, w io.Writer, q *web.Request, page []byte, entries []work.Entry) error {
	policy, err := f.Store.FilePolicy(ctx, q.Org)
	if err != nil {
		return err
	}
	b := &bundle{zip: zip.NewWriter(w), room: MaxExport, at: q.Now, policy: policy, rights: q.Rights}
	if err := b.add("conversation.html", strings.NewReader(string(page))); err != nil {
		return err
	}
	for i, e := range entries {
		if err := f.add(ctx, b, fmt.Sprintf("%02d", i+1), e); err != nil {
			return err
		}
	}
	sums, err := b.zip.CreateHeader(&zip.FileHeader{Name: "SHA256SUMS", Method: zip.Deflate, Modified: b.at})
	if err == nil {
		_, err = io.WriteString(sums, b.sums.String())
	}
	return errors.Join(err, b.zip.Close())
}

// add writes one message of the conversation, and what was answered to it.
func (f *find) add(ctx context.Context, b *bundle, dir string, e work.Entry) error {
	it, err := f.Store.Item(ctx, e.Inbox, e.Number)
	if errors.Is(err, store.ErrNotFound) {
		return nil // it went meanwhile
	}
	if err != nil {
		return err
	}
	m, err := f.Reader.Open(ctx, it)
	if err != nil {
		return err
	}
	defer m.Close()
	names := map[string]bool{"message.eml": true, "receipt.json": true, "held-back.txt": true}
	why := b.heldBack(it)
	if len(why) > 0 {
		if err := b.add(dir+"/held-back.txt", strings.NewReader(heldWords(why, b.whole(e)))); err != nil {
			return err
		}
	}
	if len(why) == 0 || b.whole(e) {
		if err := b.add(dir+"/message.eml", m.Whole()); err != nil {
			return err
		}
	}
	for _, p := range it.Parts {
		if _, held := why[p.Path]; held {
			continue
		}
		c, err := m.Part(p.Path)
		if err != nil {
			return err
		}
		if err := errors.Join(b.add(dir+"/"+free(names, web.SafeName(reading.Name(p))), c.Section()), c.Close()); err != nil {
			return err
		}
	}
	if len(it.Receipt) > 0 {
		if err := b.json(dir+"/receipt.json", it.Receipt); err != nil {
			return err
		}
	}
	return f.answers(ctx, b, dir, e)
}

// answers writes what left in answer to a message, with how far it came.
func (f *find) answers(ctx context.Context, b *bundle, dir string, e work.Entry) error {
	sent, err := f.Store.SentOf(ctx, e.Org, e.ID)
	if err != nil {
		return err
	}
	for i, s := range sent {
		name := fmt.Sprintf("%s/answer-%d", dir, i+1)
		blob, err := f.Store.Blob(ctx, s.Blob)
		if err != nil {
			return err
		}
		src, err := f.Reader.Spool.Open(blob)
		if err != nil {
			return err
		}
		if err := errors.Join(b.add(name+".eml", src.Section()), src.Close()); err != nil {
			return err
		}
		if f.Fates == nil {
			continue
		}
		fates, err := f.Fates(ctx, e.Org, s.Message)
		if err == nil {
			err = b.json(name+".json", map[string]any{"message": s.Message, "at": s.At, "by": s.Person, "recipients": fates})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// free is a name that is not taken in a folder.
func free(taken map[string]bool, name string) string {
	out := name
	for i := 2; taken[strings.ToLower(out)]; i++ {
		out = fmt.Sprintf("%d-%s", i, name)
	}
	taken[strings.ToLower(out)] = true
	return out
}
