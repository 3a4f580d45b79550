package tree

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"tklbam/chain/archive"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// needs skips a test where a program is absent, but not in CI.
func needs(t testing.TB, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is not installed", program)
		}
		t.Skipf("%s is not installed", program)
	}
}

func needsRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
}

// run runs a program that must succeed and returns its output.
func run(t testing.TB, name string, args ...string) string {
	t.Helper()
	needs(t, name)
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v: %s", name, args, err, out)
	}
	return string(out)
}

// plant makes files with their path as content, directories for paths that
// end in a slash, and the directories they lie in.
func plant(t testing.TB, dir string, paths ...string) {
	t.Helper()
	for _, p := range paths {
		full := filepath.Join(dir, p)
		if p[len(p)-1] == '/' {
			must(t, os.MkdirAll(full, 0o755))
			continue
		}
		must(t, os.MkdirAll(filepath.Dir(full), 0o755))
		must(t, os.WriteFile(full, []byte(p), 0o644))
	}
}

// inMemory makes a directory on a file system in memory, if there is one, for
// tests that make thousands of files.
func inMemory(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "tree")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	return dir
}

func newSource(t testing.TB, opts Options) *Source {
	t.Helper()
	s, err := NewSource(opts)
	must(t, err)
	t.Cleanup(s.Close)
	return s
}

// collect reads a scan to its end.
func collect(t testing.TB, s *Source) []Node {
	t.Helper()
	var nodes []Node
	for {
		n, err := s.Next(context.Background())
		if err == io.EOF {
			return nodes
		}
		must(t, err)
		nodes = append(nodes, n)
	}
}

func paths(nodes []Node) []string {
	var list []string
	for _, n := range nodes {
		list = append(list, n.Entry.Path)
	}
	return list
}

// scan returns the entries of a directory by path; none may be unreadable.
func scan(t testing.TB, dir string) map[string]*archive.Entry {
	t.Helper()
	entries := make(map[string]*archive.Entry)
	for _, n := range collect(t, newSource(t, Options{Root: dir})) {
		must(t, n.Err)
		entries[n.Entry.Path] = n.Entry
	}
	return entries
}

func newTarget(t testing.TB, dir string, opts TargetOptions) *Target {
	t.Helper()
	tg, err := NewTarget(dir, opts)
	must(t, err)
	t.Cleanup(tg.Close)
	return tg
}

// write writes a whole file.
func write(tg *Target, e *archive.Entry, content string) error {
	f, err := tg.Create(e)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(f, content); err != nil {
		f.Abort()
		return err
	}
	return f.Commit(e)
}

// file is an entry owned by whoever runs the test.
func file(path string) *archive.Entry {
	return &archive.Entry{Path: path, Type: archive.Regular, Mode: 0o644, UID: os.Getuid(), GID: os.Getgid()}
}

func directory(path string) *archive.Entry {
	return &archive.Entry{Path: path, Type: archive.Directory, Mode: 0o755, UID: os.Getuid(), GID: os.Getgid()}
}

func symlink(path, target string) *archive.Entry {
	return &archive.Entry{Path: path, Type: archive.Symlink, Linkname: target, UID: os.Getuid(), GID: os.Getgid()}
}

func lstat(t testing.TB, path ...string) unix.Stat_t {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(filepath.Join(path...), &st); err != nil {
		t.Fatalf("stat %q: %v", path, err)
	}
	return st
}
