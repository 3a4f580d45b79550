// Package pgsqlfs keeps the databases of PostgreSQL as file trees that change
// little when the databases do, and makes databases of such trees again.
//
// A tree holds one directory per database, with the members of a tar archive
// of pg_dump as files and the order they came in:
//
//	.globals.sql            roles and tablespaces, as pg_dumpall writes them
//	app/manifest.txt        the members, one a line, in the archive's order
//	app/toc.dat             the schema and what is in which member
//	app/table_16385.dat     the rows of a table, in the text form of COPY
//	app/blob_16409.dat      a large object
//	app/blobs.toc           the list of them
//	app/restore.sql         the schema again, for people
//	.clusters/15/extra/     the same for every other cluster than the first
//	.made                   what to drop, in a tree that is kept for a rollback
//
// A directory has its database's name, with "%" and two hex digits for a
// slash, a percent sign and a dot at the start. The name that counts is the
// one in toc.dat.
//
// Packed in the manifest's order the files are an archive that pg_restore
// reads, of this package's trees as of its predecessor's. Two things differ
// from what pg_dump wrote, so that a backup of a database that did not change
// has the same bytes: toc.dat has a fixed date, and the rows of a table are in
// a file named after the table's OID, where pg_dump counts the objects of the
// database, so that one new table or a temporary one renames them all.
package pgsqlfs

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"tklbam/pkg/command"
	"tklbam/pkg/limits"
)

// A Machine is the clusters of a machine.
type Machine struct {
	// Clusters as Find returns them. The first is the one whose databases lie
	// at the top of a tree.
	Clusters []Cluster
	Runner   command.Runner
}

// A Database is a database of a machine.
type Database struct {
	Cluster string // as Cluster.String; "" for the first
	Name    string // any bytes but NUL
}

// String returns the name as output lines have it: as it is if it can be
// printed, else quoted, after that of the cluster if it is not the first's.
func (d Database) String() string {
	name := d.Name
	if strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		name = fmt.Sprintf("%q", name)
	}
	if d.Cluster == "" {
		return name
	}
	return d.Cluster + "/" + name
}

// A Failure is something that could not be saved or loaded. It has no Name
// when it is about a whole cluster.
type Failure struct {
	Database
	Err error
}

// Error returns the failure as one sentence.
func (f Failure) Error() string {
	switch {
	case f.Name != "":
		return fmt.Sprintf("database %s: %v", f.Database, f.Err)
	case f.Cluster != "":
		return fmt.Sprintf("cluster %s: %v", f.Cluster, f.Err)
	}
	return f.Err.Error()
}

// Unwrap returns the cause.
func (f Failure) Unwrap() error { return f.Err }

// A Step is what is done to one database.
type Step struct {
	Database
	Tables   int  // whose rows are loaded
	Without  int  // tables loaded without rows, as the limits or the backup's say
	Exists   bool // on the server: it is replaced
	Sessions int  // that are connected to it, and end
}

// String returns the line that tells of the step.
func (s Step) String() string { return "database: " + s.Database.String() }

// Effect says what loading the database does.
func (s Step) Effect() string {
	text := "create it"
	if s.Exists {
		text = "replace the one there"
	}
	if s.Sessions > 0 {
		text += fmt.Sprintf(", ending %d sessions", s.Sessions)
	}
	if s.Without > 0 {
		text += fmt.Sprintf(", %d of %d tables without rows", s.Without, s.Tables+s.Without)
	}
	return text
}

// Warning returns a sentence about the tables that will be without rows, ""
// if there are none. A limit that includes a table excludes the rows of all
// that no limit includes, which who gives one may not think of.
func (s Step) Warning() string {
	if s.Without == 0 {
		return ""
	}
	text := fmt.Sprintf("database %s: %d of its %d tables will be without rows, as the limits or those of the backup say", s.Database, s.Without, s.Tables+s.Without)
	if s.Exists {
		text += "; the rows that are in them now will be lost"
	}
	return text
}

// A scope is the limits as this package asks them.
type scope struct {
	db    *limits.Databases
	named map[string]bool // databases that a limit includes by name, or a table of
}

func newScope(list limits.List) scope {
	s := scope{db: list.DB(limits.PgSQL), named: make(map[string]bool)}
	for _, l := range list {
		if l.Kind == limits.PgSQL && !l.Exclude {
			s.named[l.Database] = true
		}
	}
	return s
}

// administrative is the database that every cluster starts with. It is empty
// on most machines, and is left out then.
const administrative = "postgres"

// cluster returns the cluster that a tree's label is about: the first for no
// label, else the one of that version and name, else the only other one of
// that name, as after an upgrade of the server.
func (m *Machine) cluster(label string) (*client, error) {
	if label == "" && len(m.Clusters) > 0 {
		return m.client(0), nil
	}
	others := m.Clusters[min(1, len(m.Clusters)):]
	at := slices.IndexFunc(others, func(c Cluster) bool { return c.String() == label })
	if at < 0 {
		_, name, _ := strings.Cut(label, "/")
		same := func(c Cluster) bool { return c.Name == name }
		at = slices.IndexFunc(others, same)
		if at >= 0 && slices.ContainsFunc(others[at+1:], same) {
			at = -1
		}
	}
	if at < 0 {
		return nil, fmt.Errorf("find a PostgreSQL cluster for %q: %w", label, fs.ErrNotExist)
	}
	return m.client(at + 1), nil
}

func (m *Machine) client(i int) *client {
	return &client{Cluster: m.Clusters[i], run: m.Runner}
}

// label returns what the i-th cluster is called in a Database.
func (m *Machine) label(i int) string {
	if i == 0 {
		return ""
	}
	return m.Clusters[i].String()
}

var errDown = errors.New("the server is not running")
