package pgsqlfs

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"tklbam/pkg/command"
)

// volume is a database with some MB of rows that do not compress.
const volume = "CREATE TABLE t AS SELECT g AS i, sha512(g::text::bytea) AS b FROM generate_series(1, 60000) g; CREATE TABLE u AS TABLE t LIMIT 10;"

// reading calls end, once, when so many bytes have been read.
type reading struct {
	r    io.Reader
	left int
	end  func()
}

func (r *reading) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if r.left -= n; r.left < 0 && r.end != nil {
		r.end()
		r.end = nil
	}
	return n, err
}

// A server that is killed while it is dumped or loaded: the error names the
// database, the old one is in place when the server is back, and the next load
// goes through and leaves nothing.
func TestServerDies(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.exec(neutral, "CREATE DATABASE app; CREATE DATABASE later;")
	s.exec("app", volume)
	dir := filepath.Join(t.TempDir(), "pgfs")
	s.save(dir)
	s.exec("app", "TRUNCATE t; INSERT INTO t VALUES (-1);")
	kill := func() {
		if err := s.pgctl("stop", "--mode=immediate"); err != nil {
			t.Error(err)
		}
	}
	m := s.machine()
	m.Runner = replacing{"pg_restore", `--exit-on-error`, func(ctx context.Context, c command.Command) error {
		c.Stdin = &reading{r: c.Stdin, left: 2 << 20, end: kill}
		return command.Exec{}.Run(ctx, c)
	}}
	loaded, err := m.Load(t.Context(), dir, nil, LoadOptions{}, nil)
	if err != nil || loaded.Loaded != 0 || len(loaded.Failed) != 2 || loaded.Failed[0].Name != "app" || loaded.Failed[1].Name != "later" {
		t.Errorf("loaded %+v, %v", loaded, err)
	}
	s.begin()
	if got := s.value("app", "SELECT i FROM t"); got != "-1" {
		t.Errorf("app has %s, want what it had", got)
	}
	if !slices.ContainsFunc(s.names(), isSpare) {
		t.Error("nothing is left over: the load was not interrupted")
	}
	s.load(dir)
	if got, want := s.names(), []string{"app", "later", "postgres"}; !slices.Equal(got, want) {
		t.Errorf("there are %q, want %q", got, want)
	}

	m.Runner = replacing{"pg_dump", "dbname='app'", func(ctx context.Context, c command.Command) error {
		c.Stdout = &cutting{w: c.Stdout, left: 2 << 20, end: kill}
		return command.Exec{}.Run(ctx, c)
	}}
	saved, err := m.Save(t.Context(), dir, nil, nil)
	if err != nil || saved.Saved != 0 || saved.Found != 3 || len(saved.Failed) != 3 || saved.Failed[0].Name != "app" {
		t.Errorf("saved %+v, %v", saved, err)
	}
	if got := directories(t, dir); len(got) > 0 {
		t.Errorf("the tree has %q", got)
	}
	s.begin()
}

// A client that is killed while it loads.
func TestClientDies(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.exec(neutral, "CREATE DATABASE app;")
	s.exec("app", volume)
	dir := filepath.Join(t.TempDir(), "pgfs")
	s.save(dir)
	s.exec("app", "TRUNCATE t; INSERT INTO t VALUES (-1);")
	m := s.machine()
	m.Runner = replacing{"pg_restore", "--exit-on-error", func(ctx context.Context, c command.Command) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		c.Stdin = &reading{r: c.Stdin, left: 2 << 20, end: cancel}
		return command.Exec{}.Run(ctx, c)
	}}
	loaded, err := m.Load(t.Context(), dir, nil, LoadOptions{}, nil)
	if err != nil || loaded.Loaded != 0 || len(loaded.Failed) != 1 || !strings.HasPrefix(loaded.Failed[0].Error(), "database app: load it: ") {
		t.Errorf("loaded %+v, %v", loaded, err)
	}
	if got := s.value("app", "SELECT i FROM t"); got != "-1" {
		t.Errorf("app has %s, want what it had", got)
	}
	if got, want := s.names(), []string{"app", "postgres"}; !slices.Equal(got, want) {
		t.Errorf("there are %q, want %q", got, want)
	}
}

// small mounts a file system of so many MB.
func small(t *testing.T, dir, size string) {
	t.Helper()
	err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size)
	if err == unix.EPERM {
		t.Skip("a file system can't be mounted here")
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

// A disk that fills up, the backup's first and then the server's.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	s := start(t)
	full, dir := s.directory("full"), filepath.Join(t.TempDir(), "pgfs")
	small(t, full, "10m")
	s.own(full)
	s.exec(neutral, "CREATE TABLESPACE full_up LOCATION "+literal(full)+"; CREATE DATABASE app; CREATE DATABASE fine;")
	s.exec("app", "SET default_tablespace = full_up; "+volume)
	s.save(dir)
	s.exec("app", "DELETE FROM t WHERE i > 1;")

	loaded, err := s.machine().Load(t.Context(), dir, nil, LoadOptions{}, nil)
	if err != nil || loaded.Loaded != 1 || len(loaded.Failed) != 1 || !strings.HasPrefix(loaded.Failed[0].Error(), "database app: load it: could not extend file") {
		t.Errorf("loaded %+v, %v", loaded, err)
	}
	if got := s.value("app", "SELECT count(*) FROM t"); got != "1" {
		t.Errorf("app has %s rows, want what it had", got)
	}
	s.exec(neutral, "DROP DATABASE app;") // makes room
	s.load(dir)

	target := filepath.Join(t.TempDir(), "target")
	if err := os.Mkdir(target, 0o700); err != nil {
		t.Fatal(err)
	}
	small(t, target, "4m")
	saved, err := s.machine().Save(t.Context(), filepath.Join(target, "pgfs"), nil, nil)
	if err != nil || saved.Found != 2 || saved.Saved != 1 || len(saved.Failed) != 1 {
		t.Fatalf("saved %+v, %v", saved, err)
	}
	if got := saved.Failed[0].Error(); !strings.HasPrefix(got, "database app: save member ") || !strings.Contains(got, "no space left on device") {
		t.Errorf("got %s", got)
	}
	if got, want := directories(t, filepath.Join(target, "pgfs")), []string{"fine"}; !slices.Equal(got, want) {
		t.Errorf("the tree has %q, want %q", got, want)
	}
}
