package gateway

import (
	"context"
	"fmt"

	pagesfind "postern/gateway/edge/web/find"
	"postern/gateway/message"
	"postern/gateway/store"
)

// fates is how far a message of an organisation's own came with each recipient, in words.
func (s *Site) fates(ctx context.Context, org string, id message.ID) ([]pagesfind.Fate, error) {
	t, err := s.As("").Trace(ctx, id)
	if err != nil {
		return nil, err
	}
	if t.Message.Submission.Org != org {
		return nil, fmt.Errorf("gateway: message %s: %w", id, store.ErrNotFound)
	}
	var out []pagesfind.Fate
	for _, l := range t.Ladders {
		out = append(out, pagesfind.Fate{Recipient: l.Recipient.String(), Words: l.Ladder.Words})
	}
	return out, nil
}
