package pgsqlfs

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"tklbam/pkg/command"
	"tklbam/pkg/limits"
)

// needs returns the path of a program, without which the test is skipped.
func needs(t testing.TB, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err == nil {
		return path
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed", program)
	}
	t.Skipf("%s is not installed", program)
	return ""
}

// serverBin returns the directory of the newest server's programs.
func serverBin(t testing.TB) string {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		return filepath.Dir(needs(t, "initdb"))
	}
	return filepath.Dir(slices.MaxFunc(found, func(a, b string) int {
		version := func(p string) string { return filepath.Base(filepath.Dir(filepath.Dir(p))) }
		return compareVersions(version(a), version(b))
	}))
}

// A server is an instance of its own, with its data and its socket in a
// temporary directory, as the unprivileged user when the test is root.
type server struct {
	testing.TB
	client
	data string
}

func start(t testing.TB) *server {
	t.Helper()
	bin := serverBin(t)
	dir, err := os.MkdirTemp("", "pg") // short: a socket's path is
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	s := &server{TB: t, data: filepath.Join(dir, "data")}
	s.client = client{
		Cluster: Cluster{
			Version: filepath.Base(filepath.Dir(bin)), Name: "test", Bin: bin,
			Home: dir, Socket: dir, Port: 5432, Running: true,
		},
		run: command.Exec{},
	}
	if os.Geteuid() == 0 {
		s.asPostgres(dir)
	}
	if out, err := exec.Command("cp", "-a", s.blank(), s.data).CombinedOutput(); err != nil {
		t.Fatalf("copy a data directory: %v: %s", err, out)
	}
	s.begin()
	s.Cleanup(func() {
		if err := s.pgctl("stop", "--mode=immediate"); err != nil {
			s.Error(err)
		}
	})
	return s
}

// made is the data directory of a server that was never started, which every
// instance starts as a copy of.
var made struct {
	sync.Mutex
	dir string
}

func TestMain(m *testing.M) {
	code := m.Run()
	if err := os.RemoveAll(made.dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// blank returns that directory, which it makes when it is first asked for.
func (s *server) blank() string {
	s.Helper()
	made.Lock()
	defer made.Unlock()
	if made.dir == "" {
		dir, err := os.MkdirTemp("", "pg")
		if err != nil {
			s.Fatal(err)
		}
		made.dir = dir
		s.own(dir)
		s.tool("initdb", "--pgdata="+dir+"/data", "--auth=peer", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8", "--wal-segsize=1")
	}
	return made.dir + "/data"
}

// plain runs a program that is not PostgreSQL's as the server's user.
func (s *server) plain(program string, args ...string) {
	s.Helper()
	c := s.command(program, args...)
	c.Args[slices.Index(c.Args, filepath.Join(s.Bin, program))] = program
	if err := s.do(s.Context(), c); err != nil {
		s.Fatal(err)
	}
}

// asPostgres makes the instance the postgres user's.
func (s *server) asPostgres(dir string) {
	u, err := user.Lookup("postgres")
	if err != nil {
		s.Skip("there is no user postgres")
	}
	s.Owner, s.Group = u.Username, u.Gid
	s.own(dir)
}

// own gives a directory to the server's user.
func (s *server) own(dir string) {
	s.Helper()
	if s.Owner == "" {
		return
	}
	u, err := user.Lookup(s.Owner)
	if err != nil {
		s.Fatal(err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	if err := os.Chown(dir, uid, gid); err != nil {
		s.Fatal(err)
	}
}

// begin starts the server, which must be running when the test ends.
func (s *server) begin() {
	s.Helper()
	options := fmt.Sprintf("-c listen_addresses= -c unix_socket_directories=%s -c fsync=off -c full_page_writes=off -c autovacuum=off -c wal_level=logical -c port=%d -c max_wal_size=2GB -c max_prepared_transactions=2", s.Socket, s.Port)
	s.tool("pg_ctl", "start", "--wait", "--silent", "--pgdata="+s.data, "--log="+s.data+"/log", "--options="+options)
}

func (s *server) pgctl(args ...string) error {
	c := s.command("pg_ctl", append(args, "--wait", "--silent", "--pgdata="+s.data)...)
	out, err := s.process(c).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

func (s *server) process(c command.Command) *exec.Cmd {
	cmd := exec.Command(c.Args[0], c.Args[1:]...)
	cmd.Dir, cmd.Env = c.Dir, c.Env
	return cmd
}

// tool runs a program of the server's and returns what it prints.
func (s *server) tool(program string, args ...string) string {
	s.Helper()
	cmd := s.process(s.command(program, args...))
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		s.Fatalf("%s %q: %v\n%s", program, args, err, errs.Bytes())
	}
	return string(out)
}

// exec runs statements in a database.
func (s *server) exec(database, statements string) {
	s.Helper()
	if err := s.sql(s.Context(), database, statements); err != nil {
		s.Fatalf("%s: %v", database, err)
	}
}

// value returns the only field of the only row.
func (s *server) value(database, query string) string {
	s.Helper()
	rows, err := s.query(s.Context(), database, query+";", 1)
	if err != nil || len(rows) != 1 {
		s.Fatalf("%s: %s: %d rows, %v", database, query, len(rows), err)
	}
	return rows[0][0]
}

// names returns the databases, spare ones too.
func (s *server) names() []string {
	s.Helper()
	rows, err := s.query(s.Context(), neutral, "SELECT datname FROM pg_database WHERE NOT datistemplate ORDER BY datname COLLATE \"C\";", 1)
	if err != nil {
		s.Fatal(err)
	}
	var names []string
	for _, r := range rows {
		names = append(names, r[0])
	}
	return names
}

func (s *server) machine() *Machine {
	return &Machine{Clusters: []Cluster{s.Cluster}, Runner: s.run}
}

// logical returns the whole cluster as SQL, that of templates and of the
// given database aside.
func (s *server) logical() string {
	s.Helper()
	return withoutKeys(s.tool("pg_dumpall", "--no-password", "--host="+s.Socket, "--port="+strconv.Itoa(s.Port)))
}

// withoutKeys removes the lines of a dump that are others every time.
func withoutKeys(dump string) string {
	var b strings.Builder
	for line := range strings.Lines(dump) {
		if !strings.HasPrefix(line, `\restrict `) && !strings.HasPrefix(line, `\unrestrict `) {
			b.WriteString(line)
		}
	}
	return b.String()
}

// save saves and wants everything saved.
func (s *server) save(dir string, list ...string) Saved {
	s.Helper()
	saved, err := s.machine().Save(s.Context(), dir, parse(s.TB, list...), nil)
	if err != nil || len(saved.Failed) > 0 || saved.Saved != saved.Found {
		s.Fatalf("%d found, %d saved, failed: %v; %v", saved.Found, saved.Saved, saved.Failed, err)
	}
	return saved
}

// load loads and wants everything loaded.
func (s *server) load(dir string, list ...string) Loaded {
	s.Helper()
	loaded, err := s.machine().Load(s.Context(), dir, parse(s.TB, list...), LoadOptions{}, nil)
	if err != nil || len(loaded.Failed) > 0 || loaded.Loaded != loaded.Found {
		s.Fatalf("%d found, %d loaded, failed: %v; %v", loaded.Found, loaded.Loaded, loaded.Failed, err)
	}
	return loaded
}

func parse(t testing.TB, args ...string) limits.List {
	t.Helper()
	list, err := limits.ParseAll(args)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// files returns the content of every file below dir.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		name, rerr := filepath.Rel(dir, path)
		found[name] = string(data)
		return errors.Join(err, rerr)
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// equal compares two texts and shows the lines around the first difference.
func equal(t *testing.T, what, got, want string) {
	t.Helper()
	if got == want {
		return
	}
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			t.Fatalf("%s: line %d is\n%s\nwant\n%s", what, i+1, strings.Join(g[max(0, i-3):i+1], "\n"), strings.Join(w[max(0, i-3):i+1], "\n"))
		}
	}
	t.Fatalf("%s: %d lines, want %d", what, len(g), len(w))
}
