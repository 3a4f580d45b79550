package dirindex

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tklbam/pkg/limits"
	"tklbam/pkg/sysfs"
	"tklbam/pkg/tree"
)

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

// plant makes files, directories for paths that end in a slash, and the
// directories they lie in.
func plant(t testing.TB, dir string, paths ...string) {
	t.Helper()
	for _, p := range paths {
		full := filepath.Join(dir, p)
		if strings.HasSuffix(p, "/") {
			must(t, os.MkdirAll(full, 0o755))
			continue
		}
		must(t, os.MkdirAll(filepath.Dir(full), 0o755))
		must(t, os.WriteFile(full, []byte(p), 0o644))
	}
}

func scopeOf(t testing.TB, list ...string) *Scope {
	t.Helper()
	l, err := limits.ParseAll(list)
	must(t, err)
	return NewScope(l)
}

func newScanner(t testing.TB, opts Options) *Scanner {
	t.Helper()
	s, err := NewScanner(opts)
	must(t, err)
	t.Cleanup(s.Close)
	return s
}

// collect reads a scan to its end.
func collect(t testing.TB, s *Scanner) (paths []string) {
	t.Helper()
	for {
		rec, err := s.Next()
		if err == io.EOF {
			return paths
		}
		must(t, err)
		paths = append(paths, rec.Path)
	}
}

func TestScanOrder(t *testing.T) {
	dir := t.TempDir()
	plant(t, dir, "a/b", "a-b", "a-/c", "a--/a/!", "a.d/z", "a!x", "a/b.c/d", "a/b0", "a0", "ab/c", "é/x", "\xff", "new\nline/x\ty", "Z/", strings.Repeat("n", 255))
	want := []string{"/"}
	must(t, filepath.WalkDir(dir, func(p string, _ fs.DirEntry, err error) error {
		if p != dir {
			want = append(want, strings.TrimPrefix(p, dir))
		}
		return err
	}))
	slices.Sort(want)
	got := collect(t, newScanner(t, Options{Root: dir, Scope: scopeOf(t, "/")}))
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	roots := scopeOf(t, "/a0", "/a", "/a--", "/a-b", "/a-", "/a!x", "/ab")
	got = collect(t, newScanner(t, Options{Root: dir, Scope: roots}))
	want = slices.DeleteFunc(want, func(p string) bool { return !roots.Match(p) })
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestScanScope(t *testing.T) {
	dir := t.TempDir()
	plant(t, dir, "etc/passwd", "etc/ssl/key", "etc/ssl/certs/a/b", "etc/ssl/certs/c", "srv/x/logs/1", "srv/x/data", "srv/y/logs/2", "home/", "var/lib/x")
	must(t, os.Symlink("../etc", filepath.Join(dir, "srv/link")))
	for _, c := range []struct{ limits, want string }{
		{"", ""},
		{"-/etc", ""},
		{"mysql:db", ""},
		{"/etc -/etc/ssl /etc/ssl/certs/a", "/etc /etc/passwd /etc/ssl/certs/a /etc/ssl/certs/a/b"},
		{"/etc/ssl/certs/c /etc/passwd /none /etc/passwd/x", "/etc/passwd /etc/ssl/certs/c"},
		{"/srv -/srv/*/logs", "/srv /srv/link /srv/x /srv/x/data /srv/y"},
		{"/srv/*/logs", "/srv/x/logs /srv/x/logs/1 /srv/y/logs /srv/y/logs/2"},
		{"/srv/link", "/srv/link"},
		{"/ -/etc -/srv", "/ /home /var /var/lib /var/lib/x"},
	} {
		scope := scopeOf(t, strings.Fields(c.limits)...)
		warn := func(path string, err error) { t.Errorf("limits %q: warned of %q: %v", c.limits, path, err) }
		s := newScanner(t, Options{Root: dir, Scope: scope, Warn: warn})
		got := collect(t, s)
		if want := strings.Fields(c.want); !slices.Equal(got, want) {
			t.Errorf("limits %q: got %q, want %q", c.limits, got, want)
		}
		if s.Unknown("/") || s.Unknown("/etc/passwd/x") {
			t.Errorf("limits %q: something is unknown", c.limits)
		}
	}
}

// plantIndexed makes the tree that the index in testdata is of.
func plantIndexed(t *testing.T, dir string) {
	t.Helper()
	plant(t, dir, "testdir/subdir/subsubdir/", "testdir/emptydir/")
	for name, size := range map[string]int{"chgrp": 0, "chmod": 0, "chown": 0, "donttouchme": 6, "file": 6, "subdir/file2": 12, "subdir/subsubdir/file3": 4} {
		must(t, os.WriteFile(filepath.Join(dir, "testdir", name), make([]byte, size), 0o644))
	}
	must(t, os.Symlink("file", filepath.Join(dir, "testdir/link")))
	at := []unix.Timespec{{Sec: 1}, {Sec: 0x386ca8d0, Nsec: 999999999}}
	must(t, filepath.WalkDir(dir, func(p string, _ fs.DirEntry, err error) error {
		must(t, os.Lchown(p, 999, 999))
		must(t, unix.UtimesNanoAt(unix.AT_FDCWD, p, at, unix.AT_SYMLINK_NOFOLLOW))
		return err
	}))
}

// The size of directories differs from one file system to the next; on that of
// the original they had 0x1000 bytes.
func TestCreate(t *testing.T) {
	needsRoot(t)
	dir := t.TempDir()
	plantIndexed(t, dir)
	for name, scope := range map[string]*Scope{
		"index":         scopeOf(t, "/testdir"),
		"index-limited": scopeOf(t, "/testdir", "-/testdir/subdir", "/testdir/subdir/subsubdir"),
	} {
		want, err := os.ReadFile("testdata/" + name)
		must(t, err)
		var out bytes.Buffer
		must(t, Create(t.Context(), &out, Options{Root: dir, Scope: scope}))
		var got bytes.Buffer
		for line := range strings.Lines(out.String()) {
			rec, err := Parse(strings.TrimSuffix(line, "\n"))
			must(t, err)
			if rec.IsDir() {
				if st, err := os.Lstat(filepath.Join(dir, rec.Path)); err != nil || st.Size() != rec.Size {
					t.Errorf("%s: size %d: %v", rec.Path, rec.Size, err)
				}
				rec.Size = 0x1000
			}
			fmt.Fprintln(&got, rec)
		}
		if got.String() != string(want) {
			t.Errorf("%s: got\n%s", name, &got)
		}
	}
}

// The stat program is the oracle for what a record says.
func TestScanMetadata(t *testing.T) {
	needs(t, "stat")
	dir := t.TempDir()
	plant(t, dir, "file", "dir/x", "suid")
	in := func(name string) string { return filepath.Join(dir, name) }
	must(t, os.Symlink("no/where\xff", in("link")))
	must(t, unix.Mkfifo(in("fifo"), 0o640))
	must(t, os.Chmod(in("suid"), 0o755|fs.ModeSetuid|fs.ModeSticky))
	must(t, os.Chtimes(in("file"), time.Time{}, time.Unix(-5, 0)))
	must(t, os.Truncate(in("file"), 5<<30))
	l, err := net.Listen("unix", in("sock"))
	must(t, err)
	defer l.Close()
	if os.Geteuid() == 0 {
		must(t, unix.Mknod(in("null"), unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3))))
		must(t, os.Lchown(in("link"), 4711, 4712))
	}
	s := newScanner(t, Options{Root: dir, Scope: scopeOf(t, "/")})
	root, err := sysfs.Open(dir)
	must(t, err)
	defer root.Close()
	for {
		rec, err := s.Next()
		if err == io.EOF {
			break
		}
		must(t, err)
		out, err := exec.Command("stat", "-c", "%f %u %g %s %Y", in(rec.Path)).Output()
		must(t, err)
		got := fmt.Sprintf("%x %d %d %d %d\n", rec.Mode, rec.UID, rec.GID, rec.Size, rec.MTime)
		if got != string(out) {
			t.Errorf("%q: got %q, stat says %q", rec.Path, got, out)
		}
		if rec.IsSymlink() != (rec.Target == "no/where\xff") || rec.IsSocket() != (rec.Path == "/sock") {
			t.Errorf("%+v", rec)
		}
		if again, err := Stat(root, rec.Path); err != nil || again != rec {
			t.Errorf("Stat(%q) = %+v, %v", rec.Path, again, err)
		}
	}
}

func TestStatErrors(t *testing.T) {
	dir := t.TempDir()
	plant(t, dir, "etc/passwd")
	must(t, os.Symlink("etc", filepath.Join(dir, "link")))
	root, err := sysfs.Open(dir)
	must(t, err)
	defer root.Close()
	for _, path := range []string{"/none", "/none/x", "/etc/passwd/x", "/link/passwd"} {
		if _, err := Stat(root, path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", path, err)
		}
	}
	for _, path := range []string{"", "etc", "/etc/../etc", "/etc/"} {
		if _, err := Stat(root, path); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// scanWarned returns what a scan yields and what it warned of.
func scanWarned(t *testing.T, opts Options) (s *Scanner, paths, warned []string) {
	t.Helper()
	opts.Warn = func(path string, err error) {
		if err == nil {
			t.Errorf("warned of %q without an error", path)
		}
		warned = append(warned, path)
	}
	s = newScanner(t, opts)
	return s, collect(t, s), warned
}

func checkUnknown(t *testing.T, s *Scanner, unknown, known string) {
	t.Helper()
	for _, p := range strings.Fields(unknown) {
		if !s.Unknown(p) {
			t.Errorf("%s is not unknown", p)
		}
	}
	for _, p := range strings.Fields(known) {
		if s.Unknown(p) {
			t.Errorf("%s is unknown", p)
		}
	}
}

func TestScanThroughSymlink(t *testing.T) {
	dir := t.TempDir()
	plant(t, dir, "usr/lib/x", "etc/y")
	must(t, os.Symlink("usr/lib", filepath.Join(dir, "lib")))
	s, got, warned := scanWarned(t, Options{Root: dir, Scope: scopeOf(t, "/etc", "/lib/x", "/none/x")})
	if fmt.Sprint(got, warned) != "[/etc /etc/y] [/lib/x]" {
		t.Errorf("got %q, warned of %q", got, warned)
	}
	checkUnknown(t, s, "/lib/x /lib/x/y", "/lib /etc/z /none/x")
}

func TestScanSkipDirs(t *testing.T) {
	dir := t.TempDir()
	plant(t, dir, "a/cache/x", "a/cached/x", "a/cache-1")
	id, err := tree.IdentityOf(filepath.Join(dir, "a/cache"))
	must(t, err)
	s, got, warned := scanWarned(t, Options{Root: dir, Scope: scopeOf(t, "/a", "/a/cache/x"), SkipDirs: []tree.Identity{id}})
	if fmt.Sprint(got, warned) != "[/a /a/cache-1 /a/cached /a/cached/x] []" {
		t.Errorf("got %q, warned of %q", got, warned)
	}
	checkUnknown(t, s, "/a/cache /a/cache/x/y", "/a /a/cache-2 /a/cach")
}

// The scan runs on a thread of its own that has no right to what it does not
// own.
func TestScanUnreadable(t *testing.T) {
	needsRoot(t)
	dir := t.TempDir()
	plant(t, dir, "a/hidden/x", "a/hidden-1", "a/opaque/x", "b")
	for p := dir; p != "/"; p = filepath.Dir(p) {
		st, err := os.Stat(p)
		must(t, err)
		if st.Mode()&0o055 != 0o055 {
			must(t, os.Chmod(p, st.Mode()|0o055))
			t.Cleanup(func() { must(t, os.Chmod(p, st.Mode())) })
		}
	}
	must(t, os.Chmod(filepath.Join(dir, "a/hidden"), 0o700))
	must(t, os.Chmod(filepath.Join(dir, "a/opaque"), 0o744))
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlock it: the thread ends here
		if _, err := unix.SetfsuidRetUid(65534); err != nil {
			t.Error(err)
			return
		}
		s, got, warned := scanWarned(t, Options{Root: dir, Scope: scopeOf(t, "/")})
		if fmt.Sprint(got, warned) != "[/ /a /a/hidden /a/hidden-1 /a/opaque /b] [/a/hidden /a/opaque]" {
			t.Errorf("got %q, warned of %q", got, warned)
		}
		checkUnknown(t, s, "/a/hidden/x /a/hidden/y/z /a/opaque/x", "/a/c /a/hidden-1 /c")
	}()
	<-done
}

// A tree can be deeper than a path that an index takes.
func TestScanTooDeep(t *testing.T) {
	dir := t.TempDir()
	root, err := sysfs.Open(dir)
	must(t, err)
	name := strings.Repeat("d", 255)
	path := name
	for range MaxPath/256 + 2 {
		path += "/" + name
	}
	_, err = root.MakeDir(path, 0o755)
	must(t, err)
	root.Close()
	plant(t, dir, "e")
	s, got, warned := scanWarned(t, Options{Root: dir, Scope: scopeOf(t, "/")})
	if n := len(got); n < 250 || got[n-1] != "/e" || len(got[n-2]) > MaxPath || len(warned) != 1 {
		t.Errorf("%d paths, %d warnings", n, len(warned))
	}
	if !s.Unknown("/"+path) || s.Unknown("/"+name) {
		t.Error("what is too deep is not unknown")
	}
	w := NewWriter(io.Discard)
	for _, p := range got {
		must(t, w.Write(Record{Path: p}))
	}
}

func TestCreateErrors(t *testing.T) {
	dir := t.TempDir()
	plant(t, dir, "a")
	opts := Options{Root: dir, Scope: scopeOf(t, "/")}
	if err := Create(t.Context(), brokenPipe{}, opts); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("write error: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Create(ctx, io.Discard, opts); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	opts.Root = filepath.Join(dir, "none")
	if err := Create(t.Context(), io.Discard, opts); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no root: %v", err)
	}
}
