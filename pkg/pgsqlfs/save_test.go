package pgsqlfs

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tklbam/pkg/command"
)

// The database that every cluster has is saved when there is anything in it,
// or when a limit names it.
func TestAdministrativeDatabase(t *testing.T) {
	t.Parallel()
	s := start(t)
	dir := filepath.Join(t.TempDir(), "pgfs")
	for _, test := range []struct {
		do    string
		list  []string
		saved int
	}{
		{"SELECT 1", nil, 0},
		{"SELECT 1", []string{"pgsql:postgres"}, 1},
		{"SELECT 1", []string{"pgsql:postgres/t"}, 1},
		{"SELECT 1", []string{"pgsql:other"}, 0},
		{"ALTER DATABASE postgres SET work_mem = '5MB'", nil, 1},
		{"ALTER DATABASE postgres RESET work_mem", nil, 0},
		{"CREATE FUNCTION f() RETURNS int LANGUAGE sql RETURN 1", nil, 1},
		{"SELECT 1", []string{"-pgsql:postgres"}, 0},
		{"DROP FUNCTION f", nil, 0},
	} {
		s.exec("postgres", test.do+";")
		if got := s.save(dir, test.list...); got.Saved != test.saved {
			t.Errorf("after %s with %q: %d saved, want %d", test.do, test.list, got.Saved, test.saved)
		}
		_, err := os.Stat(filepath.Join(dir, "postgres"))
		if there := err == nil; there != (test.saved == 1) {
			t.Errorf("after %s: the directory is there: %v", test.do, there)
		}
	}
}

// What can't be saved is told, and the rest is saved.
func TestSaveFailures(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.exec(neutral, "CREATE DATABASE app; CREATE DATABASE closed ALLOW_CONNECTIONS false; CREATE DATABASE \"new\nline\"; CREATE DATABASE model IS_TEMPLATE true;")
	s.exec(neutral, "CREATE DATABASE "+identifier(spareName(loadPrefix, "app"))+";")
	s.exec(neutral, "CREATE DATABASE bad;")
	s.exec("bad", "CREATE TABLE t (a int); UPDATE pg_attribute SET atttypid = 999999 WHERE attrelid = 't'::regclass AND attname = 'a';")
	dir := filepath.Join(t.TempDir(), "pgfs")
	var told []string
	saved, err := s.machine().Save(t.Context(), dir, nil, func(s Step) { told = append(told, s.String()) })
	if err != nil || saved.Found != 4 || saved.Saved != 1 || len(saved.Failed) != 3 {
		t.Fatalf("saved %+v, %v", saved, err)
	}
	for i, want := range []string{`cache lookup failed for type 999999`, `database closed: it permits no connections`, `database name contains a newline`} {
		if got := saved.Failed[i].Error(); !strings.Contains(got, want) {
			t.Errorf("failure %d is %q, want %q", i, got, want)
		}
	}
	if want := []string{"database: app", "database: bad", "database: closed", `database: "new\nline"`}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
	if got, want := directories(t, dir), []string{"app"}; !slices.Equal(got, want) {
		t.Errorf("the tree has %q, want %q", got, want)
	}
}

func directories(t *testing.T, dir string) []string {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	names, err := subdirectories(root, ".")
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// A dump that dies half way, a client that can't start, and one that says
// nothing: no half database stays.
func TestDumpDies(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.exec(neutral, "CREATE DATABASE app; CREATE DATABASE fine;")
	s.exec("app", "CREATE TABLE t AS SELECT g AS i FROM generate_series(1, 300000) g;")
	for name, fail := range map[string]func(ctx context.Context, c command.Command) error{
		"killed": func(ctx context.Context, c command.Command) error {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			c.Stdout = &cutting{w: c.Stdout, left: 100 << 10, end: cancel}
			return errors.Join(command.Exec{}.Run(ctx, c), errInjected)
		},
		"silent":      func(context.Context, command.Command) error { return nil },
		"not started": func(context.Context, command.Command) error { return errInjected },
	} {
		t.Run(name, func(t *testing.T) {
			m := s.machine()
			m.Runner = replacing{"pg_dump", "dbname='app'", fail}
			dir := filepath.Join(t.TempDir(), "pgfs")
			saved, err := m.Save(t.Context(), dir, nil, nil)
			if err != nil || saved.Found != 2 || saved.Saved != 1 || len(saved.Failed) != 1 || saved.Failed[0].Name != "app" {
				t.Errorf("saved %+v, %v", saved, err)
			}
			if got, want := directories(t, dir), []string{"fine"}; !slices.Equal(got, want) {
				t.Errorf("the tree has %q, want %q", got, want)
			}
		})
	}
	t.Run("stopped", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		m := s.machine()
		m.Runner = replacing{"pg_dump", "dbname='app'", func(ctx context.Context, c command.Command) error {
			cancel()
			return command.Exec{}.Run(ctx, c)
		}}
		if _, err := m.Save(ctx, filepath.Join(t.TempDir(), "pgfs"), nil, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

// cutting calls end, once, when so many bytes have passed.
type cutting struct {
	w    interface{ Write([]byte) (int, error) }
	left int
	end  func()
}

func (c *cutting) Write(p []byte) (int, error) {
	if c.left -= len(p); c.left < 0 && c.end != nil {
		c.end()
		c.end = nil
	}
	return c.w.Write(p)
}

// replacing runs a function in place of a program with an argument.
type replacing struct {
	program, argument string
	run               func(context.Context, command.Command) error
}

func (r replacing) Run(ctx context.Context, c command.Command) error {
	is := func(end string) bool {
		return slices.ContainsFunc(c.Args, func(a string) bool { return strings.HasSuffix(a, end) })
	}
	if is("/"+r.program) && is(r.argument) {
		return r.run(ctx, c)
	}
	return command.Exec{}.Run(ctx, c)
}

// Two clusters, one of them moved to another version's and one down.
func TestClusters(t *testing.T) {
	t.Parallel()
	first, second := start(t), start(t)
	second.Cluster.Name, second.Port = "extra", 5432
	first.exec(neutral, "CREATE DATABASE app; CREATE ROLE one;")
	second.exec(neutral, "CREATE DATABASE app; CREATE ROLE two; CREATE DATABASE more OWNER two;")
	second.exec("app", "CREATE TABLE second ();")
	down, manual := first.Cluster, first.Cluster
	down.Name, down.Running = "down", false
	manual.Name, manual.Running, manual.Manual = "manual", false, true
	m := &Machine{Clusters: []Cluster{first.Cluster, second.Cluster, down, manual}, Runner: command.Exec{}}
	dir := filepath.Join(t.TempDir(), "pgfs")
	saved, err := m.Save(t.Context(), dir, nil, nil)
	if err != nil || saved.Saved != 3 || len(saved.Failed) != 1 || len(saved.Notes) != 1 || !errors.Is(saved.Failed[0], errDown) {
		t.Fatalf("saved %+v, %v", saved, err)
	}
	label := second.Cluster.String()
	if _, err := os.Stat(filepath.Join(dir, clustersName, label, "more", manifestName)); err != nil {
		t.Error(err)
	}
	for _, c := range []*server{first, second} {
		c.exec(neutral, "DROP DATABASE app;")
	}
	second.exec(neutral, "DROP DATABASE more; DROP ROLE two;")
	m.Clusters[1].Version = "99" // after an upgrade
	m.Clusters[1].Bin = second.Bin
	loaded, err := m.Load(t.Context(), dir, nil, LoadOptions{}, nil)
	if err != nil || loaded.Loaded != 3 || len(loaded.Failed) > 0 {
		t.Fatalf("loaded %+v, %v", loaded, err)
	}
	want := []Database{{"", "app"}, {label, "app"}, {label, "more"}}
	if !slices.Equal(loaded.Created, want) {
		t.Errorf("created %v, want %v", loaded.Created, want)
	}
	if got := second.value("app", "SELECT 'second'::regclass"); got != "second" {
		t.Errorf("got %q", got)
	}
	// Where there is no such cluster.
	loaded, err = first.machine().Load(t.Context(), dir, nil, LoadOptions{}, nil)
	if err != nil || loaded.Loaded != 1 || len(loaded.Failed) != 1 || !errors.Is(loaded.Failed[0], fs.ErrNotExist) || loaded.Failed[0].Cluster != label {
		t.Errorf("loaded %+v, %v", loaded, err)
	}
	roles, err := m.Roles(t.Context(), 1)
	if err != nil || !slices.Contains(roles, "two") {
		t.Errorf("roles are %q, %v", roles, err)
	}
	if failed := m.Drop(t.Context(), loaded.Created); len(failed) > 0 {
		t.Error(failed)
	}
	if failed := m.DropRoles(t.Context(), 1, []string{"two"}); len(failed) != 1 {
		t.Errorf("dropping the role of a database: %v", failed)
	}
}

// Save takes the place of a tree and of nothing else.
func TestSaveReplacesTrees(t *testing.T) {
	t.Parallel()
	s := start(t)
	dir := t.TempDir()
	s.save(dir)
	want := files(t, dir)
	write(t, filepath.Join(dir, "stale"), "")
	s.save(dir)
	if got := files(t, dir); !maps.Equal(got, want) {
		t.Errorf("the second tree differs: %q", changed(got, want))
	}
	precious := t.TempDir()
	write(t, filepath.Join(precious, "file"), "")
	if _, err := s.machine().Save(t.Context(), precious, nil, nil); !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v, want fs.ErrExist", err)
	}
	if got := files(t, precious); len(got) != 1 {
		t.Errorf("the directory has %q", got)
	}
	none := filepath.Join(t.TempDir(), "none")
	if saved, err := new(Machine).Save(t.Context(), none, nil, nil); err != nil || saved.Found != 0 {
		t.Errorf("without a server: %+v, %v", saved, err)
	}
	if _, err := new(Machine).Load(t.Context(), none, nil, LoadOptions{}, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want fs.ErrNotExist", err)
	}
}
