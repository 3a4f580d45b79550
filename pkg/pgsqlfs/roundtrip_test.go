package pgsqlfs

import (
	_ "embed"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// oddNames are names of databases that need care in files, in SQL, in
// connection settings or in all of them.
var oddNames = []string{
	"Upper case", ".hid/den %2F", "..", ".globals.sql", `it's "a" back\slash dbname=postgres`, "--version", "postgresql://host/db",
	strings.Repeat("é", 31),
}

//go:embed testdata/zoo.sql
var zoo string

//go:embed testdata/wide.sql
var wide string

// encodings are databases in other encodings than the cluster's, with other
// locales, and with text that only those have.
const encodings = `
CREATE DATABASE latin9 TEMPLATE template0 ENCODING 'LATIN9' LC_COLLATE 'C' LC_CTYPE 'POSIX';
CREATE DATABASE japan TEMPLATE template0 ENCODING 'EUC_JP' LOCALE 'C' CONNECTION LIMIT 3;
CREATE DATABASE ascii TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C';
CREATE DATABASE icu TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'de-DE-u-co-phonebk' LOCALE 'C.UTF-8';
`

// encoded is what is in each of them: its name and its content are bytes of
// the database's encoding.
var encoded = map[string]string{
	"latin9": "na\xefve \xa4\xff", "japan": "\xc6\xfc\xcb\xdc \x8e\xb1",
	"ascii": "\x01\x7f\x80\xfe\xff\xc3", "icu": "Ä ß 🐘",
}

// Everything there is in a cluster is there again, byte for byte in a dump of
// all, on a server that had none of it.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	from := start(t)
	from.exec(neutral, `
CREATE ROLE "odd ""role""" NOLOGIN;
CREATE ROLE owner LOGIN PASSWORD 'secret' VALID UNTIL '2040-01-01';
GRANT owner TO "odd ""role""";
ALTER ROLE owner SET work_mem = '7MB';
CREATE ROLE superior SUPERUSER CONNECTION LIMIT 3;
COMMENT ON ROLE superior IS E'it''s\n"above"';
GRANT SET ON PARAMETER log_statement TO owner;
`)
	from.exec(neutral, "CREATE DATABASE zoo OWNER owner; CREATE DATABASE wide; SET client_encoding = 'UTF8';"+encodings)
	from.exec("zoo", zoo)
	from.exec("wide", wide)
	for name, text := range encoded {
		from.exec(name, "CREATE TABLE "+identifier(text)+" AS SELECT "+literal(text)+"::text AS "+identifier(text)+";")
		from.exec(name, "COMMENT ON TABLE "+identifier(text)+" IS "+literal(text)+"; COMMENT ON DATABASE "+name+" IS "+literal(text)+";")
	}
	for i, name := range oddNames {
		from.exec(neutral, "CREATE DATABASE "+identifier(name)+" TEMPLATE template0;")
		from.exec(name, "CREATE TABLE t (i int); INSERT INTO t VALUES ("+string(rune('0'+i%10))+");")
		from.exec(neutral, "COMMENT ON DATABASE "+identifier(name)+" IS "+literal("about "+name)+";")
	}
	dir := filepath.Join(t.TempDir(), "pgfs")
	saved := from.save(dir)
	if saved.Found != len(oddNames)+len(encoded)+2 || saved.Tables < len(oddNames)+len(encoded)+30 {
		t.Errorf("saved %+v", saved)
	}
	want := from.logical()
	to := start(t)
	loaded := to.load(dir)
	if loaded.Loaded != saved.Saved || loaded.Tables != saved.Tables || len(loaded.Created) != saved.Saved || len(loaded.Notes) > 0 {
		t.Errorf("loaded %+v, saved %+v", loaded, saved)
	}
	equal(t, "restored cluster", to.logical(), want)
	// Again, over what is there by now.
	loaded = to.load(dir, "pgsql:zoo", "pgsql:wide", "pgsql:..")
	if len(loaded.Created) > 0 {
		t.Errorf("created %v a second time", loaded.Created)
	}
	equal(t, "cluster restored twice", to.logical(), want)
}

// A second backup has the same bytes, and a table that is new changes the
// schema and nothing else.
func TestStable(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.exec(neutral, "CREATE DATABASE app;")
	s.exec("app", `
CREATE TABLE b AS SELECT g AS i FROM generate_series(1, 100) g;
CREATE TABLE c AS SELECT g AS i FROM generate_series(1, 100) g;
SELECT lo_from_bytea(0, '\x00ff');
`)
	dir := filepath.Join(t.TempDir(), "pgfs")
	s.save(dir)
	before := files(t, dir)
	s.save(dir)
	if after := files(t, dir); !maps.Equal(before, after) {
		t.Errorf("the second backup differs: %q", changed(before, after))
	}
	s.exec("app", "CREATE TYPE aa AS (x int); CREATE TABLE a AS SELECT 1 AS i;")
	s.save(dir)
	after := files(t, dir)
	oid := s.value("app", "SELECT 'a'::regclass::oid")
	want := []string{"app/manifest.txt", "app/restore.sql", "app/table_" + oid + ".dat", "app/toc.dat"}
	if got := changed(before, after); !slices.Equal(got, want) {
		t.Errorf("a new table changed %q, want %q", got, want)
	}
	if !strings.Contains(after["app/restore.sql"], "FROM '$$PATH$$/table_"+oid+".dat';") {
		t.Error("restore.sql does not name the file of the new table")
	}
}

func changed(a, b map[string]string) []string {
	names := make(map[string]bool)
	for name := range a {
		names[name] = true
	}
	for name := range b {
		names[name] = true
	}
	maps.DeleteFunc(names, func(name string, _ bool) bool {
		x, inA := a[name]
		y, inB := b[name]
		return inA && inB && x == y
	})
	return slices.Sorted(maps.Keys(names))
}

// The predecessor's way to make a tree and to load one, both with real tools.
func TestPredecessor(t *testing.T) {
	t.Parallel()
	tar := needs(t, "tar")
	s := start(t)
	s.exec(neutral, "CREATE DATABASE app;")
	s.exec("app", zooless)
	want := s.logical()

	t.Run("its tree", func(t *testing.T) {
		dir := t.TempDir()
		app := filepath.Join(dir, "app")
		if err := os.Mkdir(app, 0o700); err != nil {
			t.Fatal(err)
		}
		archive := s.tool("pg_dump", append(s.connect("app"), "--format=tar")...)
		manifest := run(t, archive, tar, "xvC", app)
		write(t, filepath.Join(app, manifestName), manifest+"tar: x: Permission denied\n")
		write(t, filepath.Join(dir, globalsName), s.tool("pg_dumpall", "--globals-only", "--host="+s.Socket))
		s.exec(neutral, "DROP DATABASE app;")
		s.load(dir)
		equal(t, "database", s.logical(), want)
	})
	t.Run("its way with ours", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "pgfs")
		s.save(dir)
		manifest := strings.Fields(files(t, dir)["app/manifest.txt"])
		archive := run(t, "", tar, append([]string{"cC", filepath.Join(dir, "app")}, manifest...)...)
		s.exec(neutral, "DROP DATABASE app;")
		c := s.command("pg_restore", append(s.connect("postgres"), "--create", "--format=tar", "--exit-on-error")...)
		c.Stdin = strings.NewReader(archive)
		if err := s.do(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		equal(t, "database", s.logical(), want)
	})
}

// A database of an older server keeps the privileges its users had: up to
// PostgreSQL 14 they made tables in the schema "public".
func TestOlderServer(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.exec(neutral, "CREATE DATABASE app; CREATE ROLE someone;")
	dir := filepath.Join(t.TempDir(), "pgfs")
	s.save(dir)
	toc := filepath.Join(dir, "app", tocName)
	data := files(t, dir)["app/toc.dat"]
	for version, want := range map[string]string{"14": "t", s.Version: "f"} {
		if majorVersion(s.Version) < publicClosed {
			want = "t"
		}
		old := s.value(neutral, "SHOW server_version")
		write(t, toc, strings.Replace(data, old, version+old[len(version):], 1))
		s.load(dir)
		if got := s.value("app", "SELECT has_schema_privilege('someone', 'public', 'CREATE')"); got != want {
			t.Errorf("of version %s: users may create: %s, want %s", version, got, want)
		}
	}
}

// Where a tablespace can't be made the database comes without it, which is
// told.
func TestTablespaces(t *testing.T) {
	t.Parallel()
	from, to := start(t), start(t)
	space := from.directory("space")
	from.exec(neutral, "CREATE TABLESPACE \"my space\" LOCATION "+literal(space)+";")
	from.exec(neutral, "CREATE DATABASE app TABLESPACE \"my space\"; CREATE DATABASE other;")
	from.exec("other", "CREATE TABLE t (i int PRIMARY KEY) TABLESPACE \"my space\";")
	dir := filepath.Join(t.TempDir(), "pgfs")
	from.save(dir)
	want := from.logical()
	from.load(dir)
	equal(t, "cluster with the tablespace", from.logical(), want)

	write(t, filepath.Join(dir, globalsName), strings.ReplaceAll(files(t, dir)[globalsName], space, space+"/none"))
	loaded, err := to.machine().Load(t.Context(), dir, nil, LoadOptions{}, nil)
	if err != nil || loaded.Loaded != 2 || len(loaded.Failed) != 1 || len(loaded.Notes) != 2 {
		t.Fatalf("loaded %+v, %v", loaded, err)
	}
	if f := loaded.Failed[0]; f.Name != "" || !strings.Contains(f.Error(), "space/none") {
		t.Errorf("got %v", f)
	}
	if got := to.value("other", "SELECT to_regclass('t')"); got != "t" {
		t.Error("the table is not there")
	}
}

const zooless = `
CREATE TABLE "odd name" (i int PRIMARY KEY, s text);
INSERT INTO "odd name" VALUES (1, E'tab\t, line\n, \\. and NULL'), (2, NULL), (3, '');
CREATE TABLE other (i int REFERENCES "odd name", b bytea);
INSERT INTO other VALUES (1, '\x00ff5c0a');
SELECT lo_from_bytea(4711, '\x00010203');
`
