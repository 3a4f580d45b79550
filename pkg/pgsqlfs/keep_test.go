package pgsqlfs

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tklbam/pkg/command"
)

// ours is a cluster before a load, and theirs what is loaded over it: it
// changes all there is to roles, and makes roles, a tablespace and a database.
const (
	ours = `
CREATE ROLE app_owner LOGIN PASSWORD 'first' CONNECTION LIMIT 5 VALID UNTIL '2041-01-01';
CREATE ROLE shared;
CREATE ROLE "group "" of" CREATEDB;
GRANT app_owner TO shared WITH ADMIN OPTION;
GRANT pg_monitor TO "group "" of";
ALTER ROLE app_owner SET work_mem = '3MB';
COMMENT ON ROLE app_owner IS 'ours';
GRANT SET ON PARAMETER log_statement TO app_owner;
CREATE DATABASE app OWNER app_owner CONNECTION LIMIT 9;
ALTER DATABASE app SET work_mem = '4MB';
ALTER ROLE shared IN DATABASE app SET work_mem = '6MB';
REVOKE CONNECT ON DATABASE app FROM PUBLIC;
COMMENT ON DATABASE app IS 'ours';
CREATE DATABASE other OWNER shared;
`
	theirs = `
CREATE ROLE incoming LOGIN PASSWORD 'new';
CREATE ROLE "in "" coming";
CREATE ROLE app_owner NOLOGIN SUPERUSER CREATEROLE;
CREATE ROLE shared LOGIN PASSWORD 'second' CONNECTION LIMIT 1;
CREATE ROLE "group "" of" BYPASSRLS;
GRANT shared TO "in "" coming";
GRANT incoming TO app_owner;
GRANT pg_read_all_data, "group "" of" TO shared;
ALTER ROLE app_owner SET temp_buffers = '3MB';
ALTER ROLE shared SET temp_buffers = '3MB';
COMMENT ON ROLE shared IS 'theirs';
GRANT SET, ALTER SYSTEM ON PARAMETER log_statement TO shared WITH GRANT OPTION;
GRANT SET ON PARAMETER log_duration TO incoming;
CREATE DATABASE app OWNER incoming;
CREATE DATABASE fresh OWNER "in "" coming";
`
	theirSpaces = `
COMMENT ON TABLESPACE kept IS 'theirs';
ALTER TABLESPACE kept SET (seq_page_cost = 2, effective_io_concurrency = 3);
GRANT ALL ON TABLESPACE kept TO incoming WITH GRANT OPTION;
REVOKE ALL ON TABLESPACE kept FROM postgres;
CREATE TABLESPACE made OWNER incoming LOCATION 'MADE';
ALTER ROLE incoming IN DATABASE app SET work_mem = '8MB';
ALTER ROLE incoming IN DATABASE fresh SET work_mem = '9MB';
`
)

// directory makes one of the server's user, beside its socket.
func (s *server) directory(name string) string {
	s.Helper()
	dir := filepath.Join(s.Socket, name)
	s.plain("mkdir", dir)
	return dir
}

// keeping returns a server, and a tree to load over what it has.
func keeping(t *testing.T) (s *server, tree string) {
	from, s := start(t), start(t)
	from.exec(neutral, theirs)
	from.exec("app", "CREATE TABLE t AS SELECT 'theirs' AS s; ALTER TABLE t OWNER TO incoming;")
	tree = filepath.Join(t.TempDir(), "pgfs")
	from.save(tree)
	roles := files(t, tree)[globalsName] + strings.ReplaceAll(theirSpaces, "MADE", s.directory("made"))
	write(t, filepath.Join(tree, globalsName), roles)

	s.exec(neutral, ours+"CREATE TABLESPACE kept LOCATION "+literal(s.directory("kept"))+";\n"+
		"COMMENT ON TABLESPACE kept IS 'ours'; ALTER TABLESPACE kept SET (random_page_cost = 3); GRANT CREATE ON TABLESPACE kept TO shared;\n")
	s.exec("app", "CREATE TABLE t AS SELECT 'ours' AS s; ALTER TABLE t OWNER TO app_owner; GRANT SELECT ON t TO shared;")
	return s, tree
}

func (s *server) putBack(dir string) {
	s.Helper()
	if failed, err := s.machine().PutBack(s.Context(), dir); err != nil || len(failed) > 0 {
		s.Fatalf("%v, %v", failed, err)
	}
}

// What a load changed is put back to the last attribute, as often as it is
// done, and whatever of the load or of an earlier attempt was done before it
// was killed.
func TestKeepAndPutBack(t *testing.T) {
	t.Parallel()
	s, tree := keeping(t)
	want := s.logical()
	kept := filepath.Join(t.TempDir(), "kept")
	if _, err := s.machine().PutBack(t.Context(), kept); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing to put back: %v, want fs.ErrNotExist", err)
	}
	if err := os.MkdirAll(filepath.Join(kept+incomplete, "killed"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.machine().Keep(t.Context(), tree, kept, nil); err != nil {
		t.Fatal(err)
	}
	if err := s.machine().Keep(t.Context(), tree, kept, nil); !errors.Is(err, fs.ErrExist) {
		t.Errorf("keeping a second time: %v, want fs.ErrExist", err)
	}
	equal(t, "cluster after keeping", s.logical(), want)

	s.load(tree)
	if got := s.logical(); got == want || !strings.Contains(got, "theirs") || s.value("app", "SELECT s FROM t") != "theirs" {
		t.Error("the load changed nothing")
	}
	const set = "SELECT string_agg(setconfig::text, ' ' ORDER BY setconfig) FROM pg_db_role_setting WHERE setdatabase <> 0"
	if got, want := s.value(neutral, set), "{work_mem=8MB} {work_mem=9MB}"; got != want {
		t.Errorf("in databases roles have set %s, want %s", got, want)
	}
	s.exec(neutral, "CREATE ROLE later IN ROLE shared;")
	s.putBack(kept)
	s.exec(neutral, "REVOKE shared FROM later; DROP ROLE later;") // is no error: both are still so
	equal(t, "cluster after rollback", s.logical(), want)
	s.putBack(kept)
	equal(t, "cluster after a second rollback", s.logical(), want)

	// Killed at any step, in the load and then in the rollback.
	for at := 2; ; at += 7 {
		ended := s.killedAt(at, func(ctx context.Context, m *Machine) error {
			_, err := m.Load(ctx, tree, nil, LoadOptions{}, nil)
			return err
		})
		s.killedAt(at, func(ctx context.Context, m *Machine) error {
			_, err := m.PutBack(ctx, kept)
			return err
		})
		if ended || at == 16 {
			s.putBack(kept)
			equal(t, "cluster after kills", s.logical(), want)
		}
		if ended {
			break
		}
	}
}

// killedAt does something that ends with the at-th program it runs, and says
// whether it came to its own end before.
func (s *server) killedAt(at int, do func(context.Context, *Machine) error) bool {
	s.Helper()
	ctx, cancel := context.WithCancel(s.Context())
	defer cancel()
	m := s.machine()
	run := dying(s.run, at, cancel)
	m.Runner = run
	err := do(ctx, m)
	if run.calls < at && err != nil {
		s.Fatal(err)
	}
	return run.calls < at
}

// What can't be kept stops before anything is changed, and leaves no tree.
func TestKeepFails(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.exec(neutral, "CREATE DATABASE app;")
	dir := t.TempDir()
	tree, kept := filepath.Join(dir, "tree"), filepath.Join(dir, "kept")
	s.save(tree)
	for at := 1; ; at++ {
		m := s.machine()
		run := &failing{Runner: s.run, at: at, fail: func(command.Command) error { return errInjected }}
		m.Runner = run
		err := m.Keep(t.Context(), tree, kept, nil)
		if run.calls < at {
			if err != nil {
				t.Fatal(err)
			}
			break
		}
		if _, serr := os.Lstat(kept); !errors.Is(serr, fs.ErrNotExist) {
			t.Fatalf("call %d failed with %v, and there is a tree: %v", at, err, serr)
		}
		if err == nil {
			t.Errorf("call %d failed in silence", at)
		}
	}
	if !slices.Contains(directories(t, kept), "app") {
		t.Error("the database is not kept")
	}
	write(t, filepath.Join(kept, madeName), "database \"x\n")
	if failed, err := s.machine().PutBack(t.Context(), kept); err != nil || len(failed) != 2 || !strings.Contains(failed[0].Error(), madeName) {
		t.Errorf("a spoilt list: %v, %v", failed, err)
	}
}

func TestParseGlobals(t *testing.T) {
	const script = "-- it's \"a\nCREATE ROLE a;\nCREATE ROLE \"b \"\" ;c\";\nCOMMENT ON ROLE a IS E'x\\';\nCREATE ROLE no;';\n" +
		"ALTER ROLE a WITH PASSWORD ';CREATE ROLE no;';\nALTER ROLE a IN DATABASE \"d e\" SET x TO 'a;b';\nCREATE TABLESPACE s OWNER a LOCATION '/x';\nALTER ROLE a SET y TO 1;\n-- end"
	g := parseGlobals(script)
	if want := []string{"a", `b " ;c`}; !slices.Equal(g.roles, want) {
		t.Errorf("roles are %q, want %q", g.roles, want)
	}
	if want := []string{"s"}; !slices.Equal(g.spaces, want) {
		t.Errorf("tablespaces are %q, want %q", g.spaces, want)
	}
	setting := "\nALTER ROLE a IN DATABASE \"d e\" SET x TO 'a;b';"
	if got := g.settings["d e"]; len(g.settings) != 1 || !slices.Equal(got, []string{setting}) {
		t.Errorf("settings are %q", g.settings)
	}
	if want := strings.Replace(script, setting, "", 1); g.script != want {
		t.Errorf("the script is %q, want %q", g.script, want)
	}
}

func TestOfDatabase(t *testing.T) {
	for in, want := range map[string]string{
		"": "",
		"ALTER DATABASE app SET a TO 'x; DATABASE y';\nALTER ROLE \"DATABASE\" IN DATABASE app SET b TO 1;\n\n": "ALTER DATABASE \"n\"\"w\" SET a TO 'x; DATABASE y';\nALTER ROLE \"DATABASE\" IN DATABASE \"n\"\"w\" SET b TO 1;\n\n",
		"COMMENT ON DATABASE \"a \"\" ;b\" IS E'\\';';\n":                                                       "COMMENT ON DATABASE \"n\"\"w\" IS E'\\';';\n",
		"REVOKE ALL ON DATABASE app FROM PUBLIC;GRANT ALL ON DATABASE app TO x;":                                "REVOKE ALL ON DATABASE \"n\"\"w\" FROM PUBLIC;GRANT ALL ON DATABASE \"n\"\"w\" TO x;",
		"UPDATE pg_database SET x = 1;":                                                                         "error",
		"COMMENT ON DATABASE;":                                                                                  "error",
		"ALTER DATABASE app SET a":                                                                              "error",
	} {
		got, err := ofDatabase(in, `n"w`)
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}
