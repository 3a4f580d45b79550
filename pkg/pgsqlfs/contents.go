package pgsqlfs

import (
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
)

// The contents of a database are what its toc.dat tells of it, less what only
// pg_restore needs to know.
type contents struct {
	tocHeader
	create   string   // the statement that makes the database; "" in an archive of single tables
	owner    string   // of the database
	encoding []string // statements that what else is a statement comes after
	finish   []string // statements about the database: settings, comments, privileges
	holds    bool     // anything but what a new database has

	tables  []table          // that have rows of their own: neither partitioned nor foreign ones
	rows    map[table]string // member by table
	parents map[table]table  // of partitions
	spaces  map[string]bool  // tablespaces that are used
	keys    []foreignKey
	keyIDs  map[int]bool
	fills   []string // statements that fill materialized views

	ids      map[int]table // entries of tables
	attached []tocEntry
}

// A foreignKey is the statements that make one, and that comment on it.
type foreignKey struct {
	add     string
	comment string
}

// readContents reads a toc.dat, and copies it to w with the members that name
// gives its entries.
func readContents(w io.Writer, r io.Reader, name func(*tocEntry) string) (*contents, error) {
	c := &contents{
		rows: make(map[table]string), parents: make(map[table]table), spaces: make(map[string]bool),
		keyIDs: make(map[int]bool), ids: make(map[int]table),
	}
	var err error
	c.tocHeader, err = rewriteTOC(w, r, -1, func(e *tocEntry) bool {
		e.Member = name(e)
		c.add(e)
		return true
	})
	if err != nil {
		return nil, err
	}
	if c.Database == "" || strings.ContainsRune(c.Database, 0) {
		return nil, fmt.Errorf("read an archive: %q is no name of a database", c.Database)
	}
	c.link()
	return c, nil
}

func (c *contents) add(e *tocEntry) {
	if e.Tablespace != "" {
		c.spaces[e.Tablespace] = true
	}
	c.holds = c.holds || !e.isInitial()
	switch {
	case e.Kind == "DATABASE":
		c.create, c.owner = e.Definition, e.Owner
		if space := tablespaceOf(e.Definition); space != "" {
			c.spaces[space] = true
		}
	case e.isOfDatabase():
		c.finish = append(c.finish, e.Definition)
	case e.Kind == "ENCODING", e.Kind == "STDSTRINGS":
		c.encoding = append(c.encoding, e.Definition)
	default:
		c.addTable(e)
	}
}

func (c *contents) addTable(e *tocEntry) {
	name := table{e.Schema, e.Tag}
	switch e.Kind {
	case "TABLE":
		c.ids[e.ID] = name
		if !strings.Contains(e.Definition, "\nPARTITION BY ") {
			c.tables = append(c.tables, name)
		}
	case "TABLE DATA":
		c.rows[name] = e.Member
	case "TABLE ATTACH":
		c.attached = append(c.attached, *e)
	case "FK CONSTRAINT":
		c.keyIDs[e.ID] = true
		c.keys = append(c.keys, foreignKey{add: e.Definition})
	case "MATERIALIZED VIEW DATA":
		c.fills = append(c.fills, e.Definition)
	case "COMMENT":
		if e.dependsOn(c.keyIDs) {
			c.keys = append(c.keys, foreignKey{comment: e.Definition})
		}
	}
}

// link finds the tables that partitions are attached to: an entry that
// attaches one has its name, and depends on both.
func (c *contents) link() {
	for _, e := range c.attached {
		child := table{e.Schema, e.Tag}
		for _, id := range e.After {
			if t, ok := c.ids[id]; ok && t != child {
				c.parents[child] = t
			}
		}
	}
	c.ids, c.attached = nil, nil
}

// isOfDatabase says whether an entry is about the database as a whole. Since
// it is loaded under another name first, those come last.
func (e *tocEntry) isOfDatabase() bool {
	switch e.Kind {
	case "DATABASE", "DATABASE PROPERTIES":
		return true
	case "ACL", "COMMENT", "SECURITY LABEL":
		return strings.HasPrefix(e.Tag, "DATABASE ")
	}
	return false
}

// isBuiltIn says whether an entry makes what a new database has already:
// archives made before PostgreSQL 11 have the schema "public", those made
// before 9.1 the language.
func (e *tocEntry) isBuiltIn() bool {
	switch e.Kind {
	case "SCHEMA":
		return e.Tag == "public" && strings.HasPrefix(e.Definition, "CREATE SCHEMA ")
	case "PROCEDURAL LANGUAGE":
		return e.Tag == "plpgsql"
	}
	return false
}

// isInitial says whether every database has the entry, or had it when
// archives listed what is built in.
func (e *tocEntry) isInitial() bool {
	switch e.Kind {
	case "ENCODING", "STDSTRINGS", "SEARCHPATH", "DATABASE":
		return true
	case "EXTENSION":
		return e.Tag == "plpgsql"
	case "ACL":
		return e.Tag == "public" || e.Tag == "SCHEMA public"
	case "COMMENT":
		return e.isOfDatabase() || e.Tag == "SCHEMA public" || e.Tag == "EXTENSION plpgsql"
	}
	return e.isBuiltIn()
}

// givenName is the member an entry has.
func givenName(e *tocEntry) string { return e.Member }

// serverMajor returns the number before the first dot of the server's
// version; 0 if there is none.
func (c *contents) serverMajor() int { return majorVersion(c.Server) }

func majorVersion(version string) int {
	end := strings.IndexFunc(version, func(r rune) bool { return r < '0' || r > '9' })
	if end >= 0 {
		version = version[:end]
	}
	n, err := strconv.Atoi(version)
	if err != nil {
		return 0
	}
	return n
}

// quoted is a name in a statement, as pg_dump writes it.
const quoted = `(?:"(?:[^"]|"")*"|[^\s";]+)`

var (
	createDatabase   = regexp.MustCompile(`^CREATE DATABASE ` + quoted)
	tablespaceClause = regexp.MustCompile(` TABLESPACE = (` + quoted + `)`)
)

// tablespaceOf returns the tablespace of a CREATE DATABASE; "" if it has none.
func tablespaceOf(statement string) string {
	statement = statement[len(createDatabase.FindString(statement)):]
	found := tablespaceClause.FindStringSubmatch(statement)
	if found == nil {
		return ""
	}
	return unquoted(found[1])
}

// createAs returns the statement that makes the database under another name,
// in the cluster's own tablespace unless spaces says to use others.
func (c *contents) createAs(name string, spaces bool) (string, error) {
	if c.create == "" {
		return "CREATE DATABASE " + identifier(name) + " TEMPLATE template0;\n", nil
	}
	at := createDatabase.FindStringIndex(c.create)
	if at == nil {
		return "", fmt.Errorf("read how to make database %q: %.100q", c.Database, c.create)
	}
	rest := c.create[at[1]:]
	if !spaces {
		rest = tablespaceClause.ReplaceAllString(rest, "")
	}
	return "CREATE DATABASE " + identifier(name) + rest, nil
}

// localeClause is a locale in a CREATE DATABASE, other than one of ICU, which
// has its own.
var localeClause = regexp.MustCompile(` (?:LOCALE|LC_COLLATE|LC_CTYPE) = '([^']*)'`)

func localeOf(statement string) string {
	found := localeClause.FindStringSubmatch(statement)
	if found == nil {
		return ""
	}
	return found[1]
}

// inPlainLocale returns a CREATE DATABASE with the locale that every system
// has for the encoding, and the one it had, "" if none.
func inPlainLocale(statement string) (plain, was string) {
	locale := "C"
	if strings.Contains(statement, " ENCODING = 'UTF8'") {
		locale = "C.UTF-8"
	}
	name := createDatabase.FindString(statement)
	rest := statement[len(name):]
	was = localeOf(rest)
	return name + localeClause.ReplaceAllStringFunc(rest, func(clause string) string {
		kind, _, _ := strings.Cut(clause, "=")
		return kind + "= '" + locale + "'"
	}), was
}
