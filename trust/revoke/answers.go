package revoke

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"
)

// Answers keeps OCSP answers between runs: a small store of values by key, of at most 100 KiB each. Values may be
// dropped at any time, and should be once they have expired. What it gives back is judged again as if it had just
// come, so it needs no protection but against loss.
type Answers interface {
	Load(ctx context.Context, key string) (value []byte, ok bool, err error)
	Save(ctx context.Context, key string, value []byte, expires time.Time) error
}

// kept is an answer as Answers has it.
type kept struct {
	Version  int       `json:"v"`
	At       time.Time `json:"at"` // when it came
	Response []byte    `json:"response"`
}

func answerKey(key string) string {
	id := sha256.Sum256([]byte(key))
	return "ocsp " + hex.EncodeToString(id[:])
}

// answered is what a responder said, as this process or an earlier one remembers it. The error is ctx's.
func (c *Checker) answered(ctx context.Context, url, key string, q Query) (asked, bool, error) {
	c.mu.Lock()
	got, ok := c.ocsp[key]
	c.mu.Unlock()
	if ok || c.cfg.Answers == nil {
		return got, ok, nil
	}
	value, ok, err := c.cfg.Answers.Load(ctx, answerKey(key))
	if err != nil || !ok { // a store that fails costs a question to the responder
		return asked{}, false, ctx.Err()
	}
	var k kept
	if json.Unmarshal(value, &k) != nil || k.Version != 1 {
		return asked{}, false, nil
	}
	a, err := judgeOCSP(k.Response, url, q, q.Time)
	if err != nil { // a withdrawal outlives the certificate of the responder, which lives for days
		if a, err = judgeOCSP(k.Response, url, q, k.At); err != nil || !a.final {
			return asked{}, false, nil
		}
	}
	got = asked{answer: a, newest: a.Evidence[0].ThisUpdate, until: k.At.Add(AskAgain)}
	if a.Until.Before(got.until) {
		got.until = a.Until
	}
	got.answer.Until = got.until
	c.mu.Lock()
	defer c.mu.Unlock()
	if now, ok := c.ocsp[key]; ok { // asked meanwhile
		return now, true, nil
	}
	c.put(key, got)
	return got, true, nil
}

// put remembers an answer in the process, forgetting any one when there are too many. The lock is held.
func (c *Checker) put(key string, a asked) {
	for k := range c.ocsp {
		if len(c.ocsp) < maxAnswers {
			break
		}
		delete(c.ocsp, k)
	}
	c.ocsp[key] = a
}

// saveAnswer remembers an answer over restarts: as long as it is fresh, and a final withdrawal as long as its
// certificate would have lived. A store that fails costs a question after the next start.
func (c *Checker) saveAnswer(ctx context.Context, key string, a asked, q Query) {
	e := a.answer.Evidence[0]
	until := e.NextUpdate
	if a.answer.final {
		until = q.Cert.NotAfter
	}
	value, err := json.Marshal(kept{Version: 1, At: c.cfg.Clock().UTC(), Response: e.Response})
	if err == nil {
		_ = c.cfg.saved(ctx, answerKey(key), value, until)
	}
}

func (c Config) saved(ctx context.Context, key string, value []byte, until time.Time) error {
	if c.Answers == nil {
		return nil
	}
	return c.Answers.Save(ctx, key, value, until)
}
