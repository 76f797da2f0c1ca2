package store

import (
	"context"
	"database/sql"
	"strconv"
	"strings"
	"sync"
)

// maxStatements bounds how many statements are kept prepared on each side. The program's own texts are fewer;
// those built anew for each question would only push the others out.
const maxStatements = 256

// written is the statements kept prepared for the writing connection: parsing and planning one costs more than
// running it. The committer alone uses it. A text that is new is run unprepared, and prepared behind the
// transaction: within one, the only connection is taken.
type written struct {
	ready  map[string]*sql.Stmt
	wanted map[string]bool
	tx     *sql.Tx // the transaction that bound is of
	bound  map[string]*sql.Stmt
}

// begin is called with each new transaction.
func (p *written) begin(tx *sql.Tx) { p.tx, p.bound = tx, nil }

// statement is a text, prepared for this transaction; nil when it is not yet.
func (p *written) statement(tx *sql.Tx, query string) *sql.Stmt {
	if s := p.bound[query]; s != nil && p.tx == tx {
		return s
	}
	kept := p.ready[query]
	if kept == nil || p.tx != tx {
		if len(p.ready)+len(p.wanted) < maxStatements {
			if p.wanted == nil {
				p.wanted = map[string]bool{}
			}
			p.wanted[query] = true
		}
		return nil
	}
	if p.bound == nil {
		p.bound = map[string]*sql.Stmt{}
	}
	s := tx.Stmt(kept)
	p.bound[query] = s
	return s
}

// prepare is called when the connection is free again. What cannot be prepared is run unprepared as before.
func (p *written) prepare(db *sql.DB) {
	p.tx, p.bound = nil, nil
	for query := range p.wanted {
		if s, err := db.Prepare(query); err == nil {
			if p.ready == nil {
				p.ready = map[string]*sql.Stmt{}
			}
			p.ready[query] = s
		}
		delete(p.wanted, query)
	}
}

func (p *written) close() {
	for _, s := range p.ready {
		s.Close()
	}
	p.ready = nil
}

// asked is the statements kept prepared for the reading connections.
type asked struct {
	mu    sync.Mutex
	ready map[string]*sql.Stmt
}

// query asks the reading connections; the statement is prepared the first time. A limit at its end is written into
// the text: SQLite plans by it, and would plan anew at each asking if it were a parameter.
func (s *Store) query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if text, ends := strings.CutSuffix(query, " LIMIT ?"); ends {
		if n, whole := args[len(args)-1].(int); whole {
			query, args = text+" LIMIT "+strconv.Itoa(n), args[:len(args)-1]
		}
	}
	st, err := s.asked.statement(ctx, s.read, query)
	if err != nil {
		return nil, err
	}
	if st == nil {
		return s.read.QueryContext(ctx, query, args...)
	}
	return st.QueryContext(ctx, args...)
}

// statement is nil when there are too many already.
func (a *asked) statement(ctx context.Context, db *sql.DB, query string) (*sql.Stmt, error) {
	a.mu.Lock()
	s, n := a.ready[query], len(a.ready)
	a.mu.Unlock()
	if s != nil || n >= maxStatements {
		return s, nil
	}
	s, err := db.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if other := a.ready[query]; other != nil {
		s.Close()
		return other, nil
	}
	if a.ready == nil {
		a.ready = map[string]*sql.Stmt{}
	}
	a.ready[query] = s
	return s, nil
}

func (a *asked) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range a.ready {
		s.Close()
	}
	a.ready = nil
}
