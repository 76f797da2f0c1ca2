package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
)

// Listen lets tell hear every statement that is sent from now on, with what was bound to it. It is called on a store
// that was just opened and is not in use.
func (s *Store) Listen(path string, tell func(query string, args []driver.NamedValue)) error {
	for _, db := range []**sql.DB{&s.read, &s.write} {
		inner := (*db).Driver()
		if err := (*db).Close(); err != nil {
			return err
		}
		*db = sql.OpenDB(listener{inner, source(path, s.layer.Name), tell})
	}
	s.write.SetMaxOpenConns(1)
	return nil
}

// listener makes connections that tell what is sent over them.
type listener struct {
	inner  driver.Driver
	source string
	tell   func(string, []driver.NamedValue)
}

func (l listener) Driver() driver.Driver { return l.inner }

func (l listener) Connect(context.Context) (driver.Conn, error) {
	c, err := l.inner.Open(l.source)
	if err != nil {
		return nil, err
	}
	return heardConn{c.(engineConn), l.tell}, nil
}

// engineConn is what database/sql finds in a connection of the driver.
type engineConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

type heardConn struct {
	engineConn
	tell func(string, []driver.NamedValue)
}

func (c heardConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	c.tell(query, args)
	return c.engineConn.ExecContext(ctx, query, args)
}

func (c heardConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	c.tell(query, args)
	return c.engineConn.QueryContext(ctx, query, args)
}

func (c heardConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	st, err := c.engineConn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	return heardStmt{st.(engineStmt), query, c.tell}, nil
}

// engineStmt is what database/sql finds in a prepared statement of the driver.
type engineStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

type heardStmt struct {
	engineStmt
	query string
	tell  func(string, []driver.NamedValue)
}

func (s heardStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	s.tell(s.query, args)
	return s.engineStmt.ExecContext(ctx, args)
}

func (s heardStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	s.tell(s.query, args)
	return s.engineStmt.QueryContext(ctx, args)
}
