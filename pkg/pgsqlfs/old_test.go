package pgsqlfs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// oldTOC is what the archive of a small database of an old server has: what is
// built in is listed, and the schema "public" is made.
func oldTOC(minor int, version string) []byte {
	entries := []tocEntry{
		{ID: 1, Tag: "ENCODING", Kind: "ENCODING", Definition: "SET client_encoding = 'UTF8';\n"},
		{ID: 2, Tag: "STDSTRINGS", Kind: "STDSTRINGS", Definition: "SET standard_conforming_strings = 'off';\n"},
		{ID: 3, Tag: "shop", Kind: "DATABASE", Owner: "keeper", Definition: "CREATE DATABASE shop WITH TEMPLATE = template0 ENCODING = 'UTF8' LC_COLLATE = 'xx_XX.UTF-8' LC_CTYPE = 'xx_XX.UTF-8';\n"},
		{ID: 4, OID: "2200", Tag: "public", Kind: "SCHEMA", Owner: "postgres", Definition: "CREATE SCHEMA public;\n"},
		{ID: 5, Tag: "SCHEMA public", Kind: "COMMENT", Owner: "postgres", Definition: "COMMENT ON SCHEMA public IS 'standard public schema';\n"},
		{ID: 6, Tag: "plpgsql", Kind: "PROCEDURAL LANGUAGE", Owner: "postgres", Definition: "CREATE PROCEDURAL LANGUAGE plpgsql;\n"},
		{ID: 7, OID: "16385", Tag: "items", Kind: "TABLE", Schema: "public", Owner: "keeper", Definition: "CREATE TABLE items (\n    i integer NOT NULL,\n    s text\n);\n"},
		{ID: 9, OID: "16385", Tag: "items", Kind: "TABLE DATA", Schema: "public", Owner: "keeper", Member: "9.dat"},
		{ID: 10, Tag: "items_pkey", Kind: "CONSTRAINT", Schema: "public", Owner: "keeper", Definition: "ALTER TABLE ONLY items\n    ADD CONSTRAINT items_pkey PRIMARY KEY (i);\n"},
		{ID: 11, Tag: "public", Kind: "ACL", Owner: "postgres", Definition: "REVOKE ALL ON SCHEMA public FROM PUBLIC;\nREVOKE ALL ON SCHEMA public FROM postgres;\nGRANT ALL ON SCHEMA public TO postgres;\nGRANT ALL ON SCHEMA public TO PUBLIC;\n"},
	}
	w := &testTOC{minor: minor, width: 4}
	w.head("shop", version, len(entries))
	for _, e := range entries {
		w.entry(e)
	}
	return w.Bytes()
}

// Trees that the predecessor made of old servers load: of every version of the
// form, with a locale that this system has not, and with what roles have set
// in a database among the roles.
func TestOldTrees(t *testing.T) {
	t.Parallel()
	shared := start(t)
	for minor, version := range map[int]string{10: "8.4.22", 11: "9.0.23", 12: "9.6.24"} {
		t.Run(version, func(t *testing.T) {
			s := &server{TB: t, client: shared.client, data: shared.data}
			dir := t.TempDir()
			shop := filepath.Join(dir, "shop")
			if err := os.Mkdir(shop, 0o700); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(shop, tocName), string(oldTOC(minor, version)))
			write(t, filepath.Join(shop, "9.dat"), "1\tone\n2\tb\\\\\\t\\N\n3\t\\N\n\\.\n\n\n")
			write(t, filepath.Join(shop, scriptName), "-- for people\n")
			write(t, filepath.Join(shop, manifestName), "toc.dat\n9.dat\nrestore.sql\n")
			write(t, filepath.Join(dir, globalsName), "CREATE ROLE keeper;\nALTER ROLE keeper WITH NOSUPERUSER INHERIT LOGIN PASSWORD 'md5"+strings.Repeat("0", 32)+"';\n"+
				"CREATE ROLE postgres;\nALTER ROLE postgres WITH SUPERUSER;\nALTER ROLE keeper IN DATABASE shop SET search_path TO 'a', public;\n")
			loaded := s.load(dir)
			if loaded.Tables != 1 || len(loaded.Notes) != 1 || !strings.Contains(loaded.Notes[0], `"xx_XX.UTF-8"`) {
				t.Errorf("loaded %+v", loaded)
			}
			const rows = "SELECT string_agg(i || coalesce('=' || s, ''), ' ' ORDER BY i) || ' of ' || min(tableowner) FROM items, pg_tables WHERE tablename = 'items'"
			if got, want := s.value("shop", rows), "1=one 2=b\\\tN 3 of keeper"; got != want {
				t.Errorf("rows are %q, want %q", got, want)
			}
			const about = "SELECT datctype || ' ' || rolname || ' ' || setconfig::text || has_schema_privilege('keeper', 'public', 'CREATE')" +
				" FROM pg_database d, pg_db_role_setting s, pg_roles r WHERE datname = 'shop' AND setdatabase = d.oid AND r.oid = setrole AND datdba = r.oid"
			if got, want := s.value("shop", about), `C.UTF-8 keeper {"search_path=a, public"}true`; got != want {
				t.Errorf("the database is %s, want %s", got, want)
			}
		})
	}
}
