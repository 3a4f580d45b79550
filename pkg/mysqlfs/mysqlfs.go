// Package mysqlfs turns the databases of a MySQL or MariaDB server into a tree
// of files and back. The server's own dump client writes the tree, its own
// client reads it back; both are streams, of which no more than a statement
// or a megabyte of a row is held at a time.
//
// The tree has one directory for every database, named after it:
//
//	DB/init                CREATE DATABASE
//	DB/tables/T/init       CREATE TABLE
//	DB/tables/T/rows       one line per row: the text within VALUES (…)
//	DB/tables/T/triggers   statements, each with ";;" behind it
//	DB/views/V/pre         placeholder for what depends on the view
//	DB/views/V/post        the view
//
// so that a row that does not change does not change the tree. To this layout
// of old, which left some of a database behind, come
//
//	DB/tables/T/columns    the columns of the rows, where that is not all of them in order
//	DB/sequences/S/init    CREATE SEQUENCE and the sequence's value
//	DB/routines            procedures, functions and packages, as statements with ";;"
//	DB/events              likewise
//
// and settings that triggers and views depend on, before their statements.
// A database without the file routines was saved without that knowledge: its
// routines and events are in the tables proc and event of database mysql. A
// table without the file rows was saved without its rows.
//
// Directories are named as Escape does. What something is called is read from
// its statement, where there is one.
package mysqlfs

import (
	"bytes"
	"errors"

	"tklbam/pkg/limits"
)

// MaxInsert is the length in bytes of the longest INSERT statement that joins
// rows. Longer is only one that holds a single row.
const MaxInsert = 1_000_000 - 1024

// system is the database of the server itself. It is merged on restore, never
// replaced.
const system = "mysql"

// The parts of a tree.
const (
	initFile     = "init"
	tablesDir    = "tables"
	rowsFile     = "rows"
	columnsFile  = "columns"
	triggersFile = "triggers"
	viewsDir     = "views"
	preFile      = "pre"
	postFile     = "post"
	sequencesDir = "sequences"
	routinesFile = "routines"
	eventsFile   = "events"
)

// What a caller may want to tell apart.
var (
	// ErrDown is wrapped when a server is installed and does not run.
	ErrDown = errors.New("the database server does not run")
	// ErrDenied is wrapped when a server runs and accepts none of the
	// credentials there are.
	ErrDenied = errors.New("the database server refuses the credentials")
)

// An Item is a database or, when Table is set, one of its tables.
type Item struct{ Database, Table string }

// String returns the item as the verbose output has it: "database: x" or
// "table: x/y".
func (i Item) String() string {
	if i.Table == "" {
		return "database: " + i.Database
	}
	return "table: " + i.Database + "/" + i.Table
}

// A Report is told of every database and table as it is begun. It may be nil.
type Report func(Item)

func (r Report) begin(database, table string) {
	if r != nil {
		r(Item{database, table})
	}
}

// everything are the limits of a caller that gives none.
func everything(l *limits.Databases) *limits.Databases {
	if l == nil {
		return limits.List{}.DB(limits.MySQL)
	}
	return l
}

// quote returns an identifier in backquotes.
func quote(name string) string {
	b := make([]byte, 0, len(name)+2)
	b = append(b, '`')
	b = append(b, bytes.ReplaceAll([]byte(name), []byte("`"), []byte("``"))...)
	return string(append(b, '`'))
}
