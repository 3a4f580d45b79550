package pgsqlfs

import (
	"path/filepath"
	"strings"
	"testing"
)

const derived = `
CREATE ROLE reader;
CREATE TABLE users (i int PRIMARY KEY);
CREATE TABLE orders (i int REFERENCES users);
INSERT INTO users SELECT g FROM generate_series(1, 1000) g;
INSERT INTO orders TABLE users;
CREATE MATERIALIZED VIEW fine AS SELECT count(*) AS n FROM orders;
CREATE MATERIALIZED VIEW refused AS SELECT count(*) AS n FROM orders;
CREATE MATERIALIZED VIEW last AS SELECT n FROM fine;
ALTER MATERIALIZED VIEW refused OWNER TO reader;
CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'nothing is changed here'; END$$;
CREATE EVENT TRIGGER refuse ON ddl_command_start EXECUTE FUNCTION refuse();
`

// What follows from the rows is there after a load: what of it can't be made
// is told and stops nothing else. Event triggers neither refuse it nor are
// lost.
func TestDerived(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.exec(neutral, "CREATE DATABASE app;")
	s.exec("app", derived)
	dir := filepath.Join(t.TempDir(), "pgfs")
	s.save(dir)
	loaded, err := s.machine().Load(t.Context(), dir, parse(t, "-pgsql:app/users"), LoadOptions{}, nil)
	if err != nil || loaded.Loaded != 1 || len(loaded.Failed) != 1 {
		t.Fatalf("loaded %+v, %v", loaded, err)
	}
	if got, want := loaded.Failed[0].Error(), "database app: it is loaded, but not all of its materialized views are filled: permission denied for table orders"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for query, want := range map[string]string{
		"SELECT n FROM last": "1000",
		"SELECT reltuples FROM pg_class WHERE relname = 'orders'":                                            "1000",
		"SELECT relispopulated FROM pg_class WHERE relname = 'refused'":                                      "f",
		"SELECT convalidated FROM pg_constraint WHERE conname = 'orders_i_fkey'":                             "f",
		"SELECT evtenabled FROM pg_event_trigger":                                                            "O",
		"SELECT count(*) > 0 FROM pg_stats WHERE schemaname = 'public' AND tablename = 'orders'":             "t",
		"SELECT count(*) FROM pg_stat_activity WHERE datname LIKE 'tklbam%' AND backend_type LIKE 'client%'": "0",
	} {
		if got := s.value("app", query); got != want {
			t.Errorf("%s: got %q, want %q", query, got, want)
		}
	}
	if err := s.sql(t.Context(), "app", "CREATE TABLE t ();"); err == nil || !strings.Contains(err.Error(), "nothing is changed here") {
		t.Errorf("making a table: %v", err)
	}
}
