package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"postern/gateway/spool"
	"postern/gateway/store"
	"postern/smime"
)

func rawJSON(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic("pipeline: value cannot be written as JSON: " + err.Error()) // our own types only
	}
	return b
}

func jsonText(v any) string { return string(rawJSON(v)) }

// blob opens stored bytes by the id of their row.
func (p *Pipeline) blob(ctx context.Context, id string) (*spool.Reader, error) {
	row, err := p.Store.Blob(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("%w: %s", errNoBlob, id)
	}
	if err != nil {
		return nil, err
	}
	return p.Spool.Open(row)
}

// write puts bytes into the spool: fill writes them, and when write returns they are durable.
func (p *Pipeline) write(ctx context.Context, org string, fill func(io.Writer) error) (spool.Blob, error) {
	w, err := p.Spool.Continue(org)
	if err != nil {
		return spool.Blob{}, fmt.Errorf("pipeline: %w", err)
	}
	if err := fill(w); err != nil {
		w.Abort()
		return spool.Blob{}, err
	}
	b, err := w.Commit(ctx)
	if err != nil {
		return b, fmt.Errorf("pipeline: %w", err)
	}
	return b, nil
}

// inner is the complete inner message of a submission: what the gateway put in front, then what was
// submitted, octet for octet.
type inner struct {
	prefix []byte
	body   io.ReaderAt
}

func (c inner) ReadAt(b []byte, off int64) (int, error) {
	n := 0
	if off < int64(len(c.prefix)) {
		n = copy(b, c.prefix[off:])
		if n == len(b) {
			return n, nil
		}
		off = int64(len(c.prefix))
	}
	m, err := c.body.ReadAt(b[n:], off-int64(len(c.prefix)))
	return n + m, err
}

// content is the inner message of one of our own messages; the caller closes the reader.
func (p *Pipeline) content(ctx context.Context, m store.Message) (smime.Content, io.Closer, error) {
	r, err := p.blob(ctx, m.Blob)
	if err != nil {
		return nil, nil, err
	}
	return io.NewSectionReader(inner{[]byte(m.Prefix), r}, 0, int64(len(m.Prefix))+r.Size()), r, nil
}
