package mysqlfs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"tklbam/pkg/limits"
)

// Of two kinds of column, the dump client's queries give less than what is
// stored: FLOAT is rounded to six digits, and text in character sets that have
// more byte sequences than characters becomes question marks on the way
// through Unicode. The dump runs within one transaction, which nobody else
// sees, so what the client asks is changed on its way to the server: such
// columns are asked for as DOUBLE, and as bytes, which come as hexadecimal
// digits.

// completeCharsets are the character sets of text that survives the way
// through Unicode: every sequence of bytes that the server lets in is a
// character, and no two are the same one.
var completeCharsets = []string{
	"utf8mb4", "utf8mb3", "utf8", "utf16", "utf16le", "utf32", "binary",
	"latin1", "latin2", "latin5", "latin7", "cp850", "cp852", "cp866",
	"koi8r", "koi8u", "keybcs2", "macce", "macroman",
}

// columnsQuery lists the columns of all tables in order, each with "float" or
// the character set of its text where that may be lost, and whether SELECT *
// has it. FLOAT(m,n) has as many digits as are stored. Values of ENUM and SET
// are no text.
const columnsQuery = `SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME,
  CASE WHEN DATA_TYPE = 'float' AND NUMERIC_SCALE IS NULL THEN 'float'
  WHEN DATA_TYPE IN ('enum', 'set') THEN ''
  ELSE IFNULL(CHARACTER_SET_NAME, '') END,
  EXTRA LIKE '%INVISIBLE%'
  FROM information_schema.COLUMNS ORDER BY TABLE_SCHEMA, TABLE_NAME, ORDINAL_POSITION`

// A column is one of a table that is dumped.
type column struct {
	name   string
	lossy  string // "float", a character set, or ""
	hidden bool   // from SELECT *
}

// exact has a dump be exact. Its methods do nothing for a nil one.
type exact struct {
	tables map[object][]column // that need it, by kind table, database and name
	float  string              // expression for FLOAT, %[1]s being the column
	relay  *relay
	why    error // it cannot be

	mu   sync.Mutex
	done objects // whose query was changed
}

// exact looks for what a dump would lose, and returns the server to dump from.
// That it cannot be helped is no error here: see lost.
func (s *Server) exact(ctx context.Context, found inventory, lim *limits.Databases, known map[string]bool) (*Server, *exact, error) {
	e := &exact{done: objects{}}
	var err error
	if e.tables, err = s.lossy(ctx, found, lim); err != nil || len(e.tables) == 0 {
		return s, nil, err
	}
	via, err := s.relayed(ctx, e, known)
	if ctx.Err() != nil {
		return nil, nil, errors.Join(err, e.Close())
	}
	e.why = err
	return via, e, nil
}

// relayed returns the server reached through a relay; after an error s.
func (s *Server) relayed(ctx context.Context, e *exact, known map[string]bool) (*Server, error) {
	socket, err := s.local(ctx)
	if err != nil {
		return s, err
	}
	if e.float, err = s.floatExpression(ctx); err != nil {
		return s, err
	}
	if e.relay, err = newRelay(ctx, socket, e.rewrite); err != nil {
		return s, err
	}
	via, err := s.through(ctx, e.relay, known)
	if err != nil {
		return s, err
	}
	return via, nil
}

// floatExpression is a DOUBLE with the value of a FLOAT, the short one of those
// that are stored alike where the server can tell.
func (s *Server) floatExpression(ctx context.Context) (string, error) {
	if _, err := s.query(ctx, "SELECT CAST(1 AS FLOAT)"); ctx.Err() != nil {
		return "", err
	} else if err != nil {
		return "%[1]s+0e0", nil
	}
	return "IF(CAST(CONCAT(%[1]s)+0e0 AS FLOAT)=%[1]s,CONCAT(%[1]s)+0e0,%[1]s+0e0)", nil
}

// lossy returns the tables that a dump would lose something of.
func (s *Server) lossy(ctx context.Context, found inventory, lim *limits.Databases) (map[object][]column, error) {
	rows, err := s.query(ctx, columnsQuery)
	if err != nil {
		return nil, err
	}
	tables := map[object][]column{}
	for _, row := range rows {
		o := object{"table", row[0], row[1]}
		if len(row) != 5 || !found.objects[o] || !lim.MatchTable(o.database, o.name) {
			continue
		}
		c := column{name: row[2], lossy: row[3], hidden: row[4] == "1"}
		if slices.Contains(completeCharsets, c.lossy) {
			c.lossy = ""
		}
		tables[o] = append(tables[o], c)
	}
	for o, columns := range tables {
		if err := s.findOdd(ctx, o, columns); err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(columns, func(c column) bool { return c.lossy != "" }) {
			delete(tables, o)
		}
	}
	return tables, nil
}

// findOdd looks through text in incomplete character sets, and clears those
// columns that have nothing odd. If the server does not say, all are odd.
func (s *Server) findOdd(ctx context.Context, o object, columns []column) error {
	var tests []string
	for _, c := range columns {
		if c.lossy != "" && c.lossy != "float" {
			tests = append(tests, fmt.Sprintf("IFNULL(MAX(CAST(CONVERT(CONVERT(%[1]s USING utf8mb4) USING %[2]s) AS BINARY) <> CAST(%[1]s AS BINARY)), 0)",
				quote(c.name), c.lossy))
		}
	}
	if len(tests) == 0 {
		return nil
	}
	rows, err := s.query(ctx, "SELECT "+strings.Join(tests, ", ")+" FROM "+quote(o.database)+"."+quote(o.name))
	if ctx.Err() != nil {
		return err
	}
	if err != nil || len(rows) != 1 || len(rows[0]) != len(tests) {
		return nil
	}
	odd := rows[0]
	for i, c := range columns {
		if c.lossy != "" && c.lossy != "float" {
			if odd[0] == "0" {
				columns[i].lossy = ""
			}
			odd = odd[1:]
		}
	}
	return nil
}

// dumpQuery begins the dump client's queries for rows, of all versions.
const dumpQuery = "SELECT /*!40001 SQL_NO_CACHE */ "

// rewrite returns the query to make in place of one of the dump client.
func (e *exact) rewrite(database, query string) string {
	rest, ok := strings.CutPrefix(query, dumpQuery)
	if !ok {
		return query
	}
	list, from := selectList(rest)
	if from == nil {
		return query
	}
	tail := string(from.rest)
	from.next() // FROM
	o := object{"table", database, from.next().text}
	if from.accept(".") {
		o.database, o.name = o.name, from.next().text
	}
	columns := e.tables[o]
	if columns == nil {
		return query
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.done[o] = true
	return dumpQuery + e.list(columns, list) + " " + tail
}

// selectList reads the names in a query's list, none for "*", and returns what
// is behind, from FROM on. That is nil if the list has anything but names.
func selectList(query string) (names []string, from *tokens) {
	s := &tokens{[]byte(query)}
	for {
		s.skip()
		after := *s
		switch t := after.next(); {
		case t.is("FROM"):
			return names, s
		case t.quote == '`':
			names = append(names, t.text)
		case !t.is("*") && !t.is(","):
			return nil, nil
		}
		*s = after
	}
}

// list returns the list of a query for the columns of these names, or for all
// that are not hidden.
func (e *exact) list(columns []column, names []string) string {
	var list []string
	for _, c := range columns {
		if names == nil && !c.hidden {
			list = append(list, e.column(c))
		}
	}
	for _, name := range names {
		i := slices.IndexFunc(columns, func(c column) bool { return c.name == name })
		if i < 0 {
			list = append(list, quote(name))
		} else {
			list = append(list, e.column(columns[i]))
		}
	}
	return strings.Join(list, ",")
}

// column returns the expression for a column.
func (e *exact) column(c column) string {
	name := quote(c.name)
	switch c.lossy {
	case "":
		return name
	case "float":
		return fmt.Sprintf(e.float, name) + " AS " + name
	}
	return "CAST(" + name + " AS BINARY) AS " + name
}

// Close ends it.
func (e *exact) Close() error {
	if e == nil || e.relay == nil {
		return nil
	}
	return e.relay.Close()
}

// lost returns a sentence for every table of a dump that lost something.
func (e *exact) lost(written objects) []string {
	if e == nil {
		return nil
	}
	var lost []string
	for o, columns := range e.tables {
		if e.done[o] && e.why == nil || !written[o] {
			continue
		}
		var names []string
		for _, c := range columns {
			if c.lossy != "" {
				names = append(names, quote(c.name))
			}
		}
		text := o.String() + " is saved with values that are rounded or have question marks, in " + strings.Join(names, ", ")
		if e.why != nil {
			text += ": " + e.why.Error()
		}
		lost = append(lost, text)
	}
	slices.Sort(lost)
	return lost
}
