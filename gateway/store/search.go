package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"postern/gateway/clinic/search"
	"postern/gateway/clinic/work"
	"postern/smime/addr"
)

// Searchable is one message's words, by where they stand.
type Searchable struct {
	Work      work.ID
	Org       string
	Received  time.Time
	Sender    string
	Recipient string
	Patient   string
	Subject   string
	Kind      string // types of its documents
	Text      string
	From      addr.Address // whom the address book learns; zero is nobody
	Called    string       // as From calls himself
}

// Unindexed lists work rows whose words are not in the index yet: up to n.
func (s *Store) Unindexed(ctx context.Context, n int) ([]work.Entry, error) {
	return list(ctx, s, "SELECT "+workColumns+" FROM search_pending q JOIN work k ON k.id=q.work JOIN item i ON i.inbox=k.inbox AND i.number=k.number LIMIT ?",
		[]any{n}, scanEntry)
}

// Index puts messages' words into the index, in the place of what was there of them.
func (s *Store) Index(ctx context.Context, all []Searchable) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		for _, x := range all {
			if !x.From.IsZero() && !w.exists("SELECT 1 FROM search_entry WHERE work=?", x.Work) {
				w.learn(x.Org, x.From.WithoutTag(), x.Called, stamp(x.Received))
			}
			w.unindex(x.Work)
			if w.exists("SELECT 1 FROM work WHERE id=?", x.Work) { // it may have gone since its words were read
				w.index(x)
			}
			w.exec("DELETE FROM search_pending WHERE work=?", x.Work)
		}
		return w.err
	})
}

func (w *writer) index(x Searchable) {
	seq := x.Received.UnixMilli() << 10
	for w.err == nil && w.exists("SELECT 1 FROM search_entry WHERE seq=?", seq) {
		seq++
	}
	w.exec("INSERT INTO search_entry (seq, work) VALUES (?,?)", seq, x.Work)
	w.exec(addWords, seq, orgWord(x.Org),
		x.Sender, x.Recipient, x.Patient, x.Subject, x.Kind, x.Text)
}

// unindex takes a message's words away.
func (w *writer) unindex(id work.ID) {
	if w.err != nil {
		return
	}
	var seq int64
	switch err := w.row("SELECT seq FROM search_entry WHERE work=?", id).Scan(&seq); {
	case errors.Is(err, sql.ErrNoRows):
		return
	case err != nil:
		w.err = fmt.Errorf("store: unindex: %w", err)
		return
	}
	w.exec(dropWords, seq)
	w.exec("DELETE FROM search_entry WHERE seq=?", seq)
}

// unindexItem takes the words of an item away that is about to go.
func (w *writer) unindexItem(inboxID string, number int64) {
	if w.err != nil {
		return
	}
	var id work.ID
	switch err := w.row("SELECT id FROM work WHERE inbox=? AND number=?", inboxID, number).Scan(&id); {
	case errors.Is(err, sql.ErrNoRows):
	case err != nil:
		w.err = fmt.Errorf("store: unindex: %w", err)
	default:
		w.unindex(id)
	}
}

// orgWord is an organisation's id as one word of the index: a search never leaves its own organisation's words.
func orgWord(org string) string {
	return "o" + strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' {
			return r
		}
		return -1
	}, strings.ToLower(org))
}

// Asked is a search as its asker may make it.
type Asked struct {
	Org   string
	Query search.Query // Pool and Owner are ids here
	Reach []Reach      // what the asker may see; none finds nothing
	After string       // where the page before ended (Results.Older); "" is the newest
	N     int
}

// Results are the newest that match. Older is where to go on, "" where there is nothing more. Tired says that not
// everything was looked at: the words are so common, and what the asker may see so little, that the rest is left
// until he goes on from Older.
type Results struct {
	Found []work.Entry
	Older string
	Tired bool
}

// Steps of a search: how many places of the index are looked at in one question, how many questions at most, and for
// how long another one is begun.
const (
	searchStep     = 2000
	searchSteps    = 20
	searchPatience = 120 * time.Millisecond
)

// ErrCursor says that Asked.After is not what a page before gave.
var ErrCursor = errors.New("store: not a place to go on from")

// Search finds the newest messages that match and that the asker may see.
func (s *Store) Search(ctx context.Context, a Asked) (r Results, err error) {
	match, err := a.Query.Match()
	switch {
	case err != nil:
		return r, err
	case match == "":
		return s.searchPlain(ctx, a)
	}
	from, below := int64(0), int64(1)<<62 // of seq: the first, and the one before the last
	if !a.Query.After.IsZero() {
		from = a.Query.After.UnixMilli() << 10
	}
	if !a.Query.Before.IsZero() {
		below = a.Query.Before.UnixMilli() << 10
	}
	if a.After != "" {
		n, err := strconv.ParseInt(a.After, 10, 64)
		if err != nil {
			return r, ErrCursor
		}
		below = min(below, n)
	}
	began := s.now()
	for i := range searchSteps {
		if i > 0 && s.now().Sub(began) > searchPatience {
			break
		}
		next, err := s.searchStep(ctx, ofOrg(a.Org, match), a, from, below, &r)
		if err != nil || next == 0 || r.Older != "" {
			return r, err
		}
		below = next
	}
	r.Older, r.Tired = strconv.FormatInt(below, 10), true
	return r, nil
}

// searchStep looks at the next places from the top and adds what may be seen. next is where the next step begins,
// 0 when there is nothing below.
func (s *Store) searchStep(ctx context.Context, match string, a Asked, from, below int64, r *Results) (next int64, err error) {
	var places int
	err = s.read.QueryRowContext(ctx, placesBelow, match, from, below, searchStep).Scan(&places, &next)
	if err != nil {
		return 0, fmt.Errorf("store: search: %w", err)
	}
	where, args := a.where()
	args = append(append([]any{match, max(from, next), below}, args...), a.N+1-len(r.Found))
	type hit struct {
		e   work.Entry
		seq int64
	}
	found, err := list(ctx, s, wordsIn(workColumns, where), args, func(rows *sql.Rows) (h hit, err error) {
		h.e, err = scanWork(rows, &h.seq)
		return h, err
	})
	if err != nil {
		return 0, err
	}
	for _, h := range found {
		if len(r.Found) == a.N { // one more than asked for: there is another page
			break
		}
		r.Found = append(r.Found, h.e)
		below = h.seq
	}
	if len(found) > 0 && len(r.Found) == a.N && found[len(found)-1].seq < below {
		r.Older = strconv.FormatInt(below, 10)
	}
	if places < searchStep {
		next = 0
	}
	return next, nil
}

// searchPlain answers a question without words from the work rows alone.
func (s *Store) searchPlain(ctx context.Context, a Asked) (r Results, err error) {
	where, args := a.where()
	for _, t := range []struct {
		at  time.Time
		sql string
	}{{a.Query.Before, " AND k.received<?"}, {a.Query.After, " AND k.received>=?"}} {
		if !t.at.IsZero() {
			where, args = where+t.sql, append(args, stamp(t.at))
		}
	}
	if a.After != "" {
		received, id, ok := strings.Cut(a.After, " ")
		if !ok {
			return r, ErrCursor
		}
		where, args = where+" AND (k.received, k.id)<(?,?)", append(args, received, id)
	}
	r.Found, err = list(ctx, s, "SELECT "+workColumns+workFrom+"WHERE "+where+" ORDER BY k.received DESC, k.id DESC LIMIT ?", append(args, a.N+1), scanEntry)
	if len(r.Found) > a.N {
		r.Found = r.Found[:a.N]
		last := r.Found[a.N-1]
		r.Older = stamp(last.Received) + " " + string(last.ID)
	}
	return r, err
}

// where are the filters of a question on work rows, and what its asker may see.
func (a Asked) where() (string, []any) {
	q := a.Query
	where, args := reachable(a.Org, a.Reach)
	for _, f := range []struct{ sql, value string }{{"k.category=?", q.Category}, {"k.state=?", q.State}, {"k.pool=?", q.Pool}, {"k.owner=?", q.Owner}} {
		if f.value != "" {
			where, args = where+" AND "+f.sql, append(args, f.value)
		}
	}
	if q.Urgent {
		where += " AND k.rank<2"
	}
	if q.Document {
		where += " AND EXISTS (SELECT 1 FROM document d WHERE d.inbox=k.inbox AND d.number=k.number)"
	}
	if q.Attachment {
		where += " AND EXISTS (SELECT 1 FROM part p WHERE p.inbox=k.inbox AND p.number=k.number AND p.filename<>'')"
	}
	return where, args
}

// reachable is the condition on a work row (k) that somebody may see it.
func reachable(org string, reach []Reach) (string, []any) {
	var pools []string
	args := []any{org}
	for _, r := range reach {
		scope, scoped := r.where()
		pools = append(pools, "(k.pool=?"+scope+")")
		args = append(append(args, r.Pool), scoped...)
	}
	if len(pools) == 0 {
		return "k.org=? AND 1=0", args
	}
	return "k.org=? AND (" + strings.Join(pools, " OR ") + ")", args
}
