package pgsqlfs

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tklbam/pkg/command"
)

// live starts a session in a database and returns once it is there. Its end
// comes down the channel.
func (s *server) live(database string) <-chan error {
	s.Helper()
	c := s.command("psql", append(s.connect(database), "--no-psqlrc", "--quiet", "--tuples-only", "--command=SELECT 'here'", "--command=SELECT pg_sleep(600)")...)
	out, in := io.Pipe()
	c.Stdout = in
	ended := make(chan error, 1)
	go func() {
		err := s.do(s.Context(), c)
		in.CloseWithError(err)
		ended <- err
	}()
	if _, err := out.Read(make([]byte, 1)); err != nil {
		s.Fatal(err)
	}
	go io.Copy(io.Discard, out)
	return ended
}

// A database that is in use is replaced, and its sessions end.
func TestReplaceInUse(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.exec(neutral, "CREATE DATABASE app; CREATE DATABASE other;")
	s.exec("app", "CREATE TABLE t AS SELECT 1 AS i;")
	s.exec("postgres", "CREATE TABLE t AS SELECT 1 AS i;")
	dir := filepath.Join(t.TempDir(), "pgfs")
	s.save(dir, "-pgsql:other")
	s.exec("app", "UPDATE t SET i = 2; CREATE TABLE later ();")
	app, postgres, other := s.live("app"), s.live("postgres"), s.live("other")

	plan, err := s.machine().Plan(t.Context(), dir, nil)
	if err != nil || len(plan.Steps) != 2 {
		t.Fatalf("planned %+v, %v", plan, err)
	}
	if got, want := plan.Steps[0].Effect(), "replace the one there, ending 1 sessions"; got != want {
		t.Errorf("the effect on app is %q, want %q", got, want)
	}
	var told []string
	loaded, err := s.machine().Load(t.Context(), dir, nil, LoadOptions{Simulate: true}, func(s Step) { told = append(told, s.String()) })
	if err != nil || loaded.Found != 2 || loaded.Loaded != 0 || !slices.Equal(told, []string{"database: app", "database: postgres"}) {
		t.Errorf("simulated %+v, %v; told %q", loaded, err, told)
	}
	if got := s.value("app", "SELECT i FROM t"); got != "2" {
		t.Errorf("t has %s after the simulation, want 2", got)
	}

	s.load(dir)
	if got := s.value("app", "SELECT i FROM t"); got != "1" {
		t.Errorf("t has %s, want 1", got)
	}
	if got := s.value("app", "SELECT coalesce(to_regclass('later')::text, 'gone')"); got != "gone" {
		t.Error("the later table is still there")
	}
	for _, ended := range []<-chan error{app, postgres} {
		if err := <-ended; err == nil || !strings.Contains(err.Error(), "terminat") {
			t.Errorf("a session ended with %v", err)
		}
	}
	select {
	case err := <-other:
		t.Errorf("a session in another database ended: %v", err)
	default:
	}
	if got, want := s.names(), []string{"app", "other", "postgres"}; !slices.Equal(got, want) {
		t.Errorf("there are %q, want %q", got, want)
	}
	if failed := s.machine().Drop(t.Context(), []Database{{Name: "other"}, {Name: "absent"}}); len(failed) > 0 {
		t.Error(failed)
	}
	if err := <-other; err == nil {
		t.Error("the session in a dropped database goes on")
	}
}

// failing runs programs until the given call of one, which fails.
type failing struct {
	command.Runner
	calls, at int
	fail      func(command.Command) error
}

func (f *failing) Run(ctx context.Context, c command.Command) error {
	if f.calls++; f.calls == f.at {
		return f.fail(c)
	}
	return f.Runner.Run(ctx, c)
}

var errInjected = errors.New("injected")

// Whatever program of a load fails, or whenever it is stopped, the old
// database is there or the new one is; what is left over is gone after the
// next load.
func TestLoadFailsAnywhere(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.exec(neutral, "CREATE DATABASE app;")
	s.exec("app", "CREATE TABLE t AS SELECT 'saved' AS s;")
	dir := filepath.Join(t.TempDir(), "pgfs")
	s.save(dir)
	s.exec("app", "UPDATE t SET s = 'old';")
	for at := 1; ; at++ {
		ctx, cancel := context.WithCancel(t.Context())
		run := &failing{Runner: s.run, at: at, fail: func(command.Command) error { return errInjected }}
		if at%2 == 0 {
			run = dying(s.run, at, cancel)
		}
		m := &Machine{Clusters: []Cluster{s.Cluster}, Runner: run}
		loaded, err := m.Load(ctx, dir, nil, LoadOptions{}, nil)
		cancel()
		got := s.value("app", "SELECT s FROM t")
		switch {
		case run.calls < at:
			if err != nil || got != "saved" || !slices.Equal(s.names(), []string{"app", "postgres"}) {
				t.Fatalf("without a fault there are %q, app has %q, %v, %v", s.names(), got, loaded.Failed, err)
			}
			return
		case err == nil && len(loaded.Failed) == 0 && len(loaded.Notes) == 0:
			t.Errorf("call %d failed in silence", at)
		case got != "old" && got != "saved":
			t.Errorf("call %d: app has %q", at, got)
		}
		if got == "saved" {
			s.exec("app", "UPDATE t SET s = 'old';")
		}
	}
}

// dying runs programs as if the process were killed at the given call: nothing
// is cleaned up.
func dying(runner command.Runner, at int, cancel func()) *failing {
	run := &failing{Runner: runner, at: at}
	run.fail = func(command.Command) error {
		cancel()
		run.Runner = refusing{}
		return context.Canceled
	}
	return run
}

type refusing struct{}

func (refusing) Run(context.Context, command.Command) error { return errInjected }

// A tree that does not load leaves the old database and says why.
func TestBrokenTree(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.exec(neutral, "CREATE DATABASE app; CREATE DATABASE fine;")
	s.exec("app", "CREATE TABLE t (i int); INSERT INTO t VALUES (7);")
	s.exec("app", "SELECT lo_from_bytea(4711, '\\x01');")
	oid := s.value("app", "SELECT 't'::regclass::oid")
	good := filepath.Join(t.TempDir(), "pgfs")
	s.save(good)
	s.exec("app", "UPDATE t SET i = 8;")
	rows := "app/table_" + oid + ".dat"
	tests := []struct {
		name  string
		spoil func(t *testing.T, dir string)
		want  string
	}{
		{"bad rows", func(t *testing.T, dir string) { write(t, filepath.Join(dir, rows), "seven\n\\.\n\n\n") }, "invalid input syntax"},
		{"no rows", func(t *testing.T, dir string) { remove(t, filepath.Join(dir, rows)) }, "no such file"},
		{"rows not listed", func(t *testing.T, dir string) { write(t, filepath.Join(dir, "app", manifestName), "toc.dat\n") }, "lacks member"},
		{"no manifest", func(t *testing.T, dir string) { remove(t, filepath.Join(dir, "app", manifestName)) }, "no such file"},
		{"empty toc", func(t *testing.T, dir string) { write(t, filepath.Join(dir, "app", tocName), "") }, "unexpected EOF"},
		{"outside", func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "app", manifestName), "toc.dat\n../x\n")
		}, "no name of a member"},
		{"symlink", func(t *testing.T, dir string) {
			remove(t, filepath.Join(dir, rows))
			if err := os.Symlink("/etc/passwd", filepath.Join(dir, rows)); err != nil {
				t.Fatal(err)
			}
		}, "no regular file"},
		{"fifo", func(t *testing.T, dir string) {
			remove(t, filepath.Join(dir, "app", tocName))
			run(t, "", "mkfifo", filepath.Join(dir, "app", tocName))
		}, "no regular file"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "pgfs")
			if err := os.CopyFS(dir, os.DirFS(good)); err != nil {
				t.Fatal(err)
			}
			test.spoil(t, dir)
			loaded, err := s.machine().Load(t.Context(), dir, parse(t, "-pgsql:fine"), LoadOptions{}, nil)
			if err != nil || len(loaded.Failed) != 1 || loaded.Loaded != 0 || loaded.Found != 1 {
				t.Fatalf("loaded %+v, %v", loaded, err)
			}
			if f := loaded.Failed[0]; f.Name != "app" || !strings.Contains(f.Error(), test.want) {
				t.Errorf("got %v, want %q", f, test.want)
			}
			if got := s.value("app", "SELECT i FROM t"); got != "8" {
				t.Errorf("app has %s, want what it had", got)
			}
			if got, want := s.names(), []string{"app", "fine", "postgres"}; !slices.Equal(got, want) {
				t.Errorf("there are %q, want %q", got, want)
			}
		})
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}
