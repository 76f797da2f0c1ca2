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
	"slices"
	"strings"
	"time"

	"postern/gateway/clinic/custody"
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

	rights staff.Rights
}

// heldName is the file of a copy that says what is not in it.
const heldName = "held-back.txt"

// heldWords says which files of a message are not in a copy of it, and why; "" is all are.
func heldWords(files []custody.File, whole bool) string {
	var b strings.Builder
	for _, v := range files {
		if v.State != custody.Free {
			fmt.Fprintf(&b, "%s: %s\r\n", web.SafeName(reading.Name(v.Part)), v.Why)
		}
	}
	switch {
	case b.Len() == 0 && whole:
		return ""
	case b.Len() == 0:
		return "Held back: the message as it came. Not all of its parts could be listed, so nobody looked at the others. It is in a copy made by somebody who may send for the team or, where a scanner is set, sign for it.\r\n"
	case whole:
		b.WriteString("\r\nmessage.eml holds the message as it came, these files included. Do not open it by chance.\r\n")
	default:
		b.WriteString("\r\nThe message as it came, which holds them, is left out too. What only a rule holds back is in a copy made by somebody who may send for the team.\r\n")
	}
	return "Held back, and not here as files of their own:\r\n\r\n" + b.String()
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
	b := &bundle{zip: zip.NewWriter(w), room: MaxExport, at: q.Now, rights: q.Rights}
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
	h, files, err := f.kept(ctx, it)
	if err != nil {
		return err
	}
	names := map[string]bool{"message.eml": true, "receipt.json": true, heldName: true}
	whole := h.Whole(it, files, b.rights.On(e.Pool, e.Scope()))
	if held := heldWords(files, whole); held != "" {
		if err := b.add(dir+"/"+heldName, strings.NewReader(held)); err != nil {
			return err
		}
	}
	if whole {
		if err := b.add(dir+"/message.eml", m.Whole()); err != nil {
			return err
		}
	}
	for _, p := range it.Parts {
		if slices.ContainsFunc(files, func(f custody.File) bool { return f.Path == p.Path && f.State != custody.Free }) {
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
