package pgsqlfs

import (
	"slices"

	"tklbam/pkg/limits"
)

// A table is the name of one.
type table struct{ schema, name string }

// String returns the name as limits have it when one schema is meant.
func (t table) String() string { return t.schema + "." + t.name }

// pattern is how pg_dump takes the name of exactly this table.
func (t table) pattern() string { return identifier(t.schema) + "." + identifier(t.name) }

// A selection says which tables of a database have their rows in. A limit
// names a table, in every schema, or a schema and a table with a dot between,
// and the second counts where both are listed. One on a partitioned table is
// about its partitions too, unless they have their own.
type selection struct {
	database string
	limits   *limits.Databases
	listed   map[string]bool // whether it is in
	parents  map[table]table // of partitions
}

func (s scope) tables(database string) *selection {
	sel := &selection{database, s.db, make(map[string]bool), make(map[table]table)}
	for _, l := range s.db.Tables(database) {
		sel.listed[l.Name] = !l.Exclude
	}
	return sel
}

// has says whether the rows of a table are in.
func (s *selection) has(t table) bool {
	of := t
	for range len(s.parents) + 1 { // a hostile tree may have its tables in a circle
		if in, ok := s.listed[of.String()]; ok {
			return in
		}
		if in, ok := s.listed[of.name]; ok {
			return in
		}
		up, ok := s.parents[of]
		if !ok {
			break
		}
		of = up
	}
	return s.limits.MatchTable(s.database, t.name)
}

// without returns those of the tables whose rows are out.
func (s *selection) without(tables []table) []table {
	return slices.DeleteFunc(slices.Clone(tables), s.has)
}
