package limits

import (
	"maps"
	"slices"
)

// Databases answers questions about the databases of one server from the
// limits of a list. It does not change and may be used by several goroutines.
type Databases struct {
	listed   map[string]*database
	fallback bool // for databases and tables that nothing is listed for
}

type database struct {
	listed  bool // itself, not only its tables
	exclude bool
	tables  map[string]Table
}

// A Table is a table limit.
type Table struct {
	Name    string
	Exclude bool
}

// mysqlSystem is the database that holds users and grants. It goes with any
// MySQL database that is included, as it always did: without its users a
// database is of little use.
const mysqlSystem = "mysql"

// DB returns the limits on the databases of one kind of server, MySQL or
// PgSQL.
func (l List) DB(kind Kind) *Databases {
	d := &Databases{listed: make(map[string]*database), fallback: true}
	for _, limit := range l {
		if limit.Kind == kind {
			d.add(limit)
		}
	}
	if kind == MySQL && !d.fallback {
		d.at(mysqlSystem).listed = true // if it was, it keeps its sign
	}
	return d
}

func (d *Databases) add(limit Limit) {
	d.fallback = d.fallback && limit.Exclude
	db := d.at(limit.Database)
	if limit.Table == "" {
		db.listed, db.exclude = true, limit.Exclude
		return
	}
	db.tables[limit.Table] = Table{limit.Table, limit.Exclude}
}

func (d *Databases) at(name string) *database {
	db := d.listed[name]
	if db == nil {
		db = &database{tables: make(map[string]Table)}
		d.listed[name] = db
	}
	return db
}

// Match reports whether a database is in: when one of its tables is included,
// else as its own limit says, else if the list includes nothing of this kind
// of server. The MySQL database "mysql" is also in when the list includes
// anything of MySQL, unless it is excluded by name.
func (d *Databases) Match(name string) bool {
	db := d.listed[name]
	if db == nil {
		return d.fallback
	}
	for _, t := range db.tables {
		if !t.Exclude {
			return true
		}
	}
	return db.in(d.fallback)
}

// MatchTable reports whether the rows of a table are in: as its own limit says,
// else as its database's does, else if the list includes nothing of this kind
// of server. The schema of a table is in whenever its database is.
func (d *Databases) MatchTable(name, table string) bool {
	db := d.listed[name]
	if db == nil {
		return d.fallback
	}
	if t, ok := db.tables[table]; ok {
		return !t.Exclude
	}
	return db.in(d.fallback)
}

func (db *database) in(fallback bool) bool {
	if db.listed {
		return !db.exclude
	}
	return fallback
}

// Tables returns the limits on single tables of a database, sorted by name.
func (d *Databases) Tables(name string) []Table {
	db := d.listed[name]
	if db == nil {
		return nil
	}
	tables := make([]Table, 0, len(db.tables))
	for _, table := range slices.Sorted(maps.Keys(db.tables)) {
		tables = append(tables, db.tables[table])
	}
	return tables
}
