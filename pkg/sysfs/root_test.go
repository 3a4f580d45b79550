package sysfs

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func openRoot(t *testing.T, dir string) *Root {
	t.Helper()
	r, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// inode returns the inode behind a descriptor.
func inode(t *testing.T, fd int) uint64 {
	t.Helper()
	var st unix.Stat_t
	must(t, unix.Fstat(fd, &st))
	return st.Ino
}

func inodeOf(t *testing.T, path string) uint64 {
	t.Helper()
	var st unix.Stat_t
	must(t, unix.Lstat(path, &st))
	return st.Ino
}

func TestDirWalksAnyOrder(t *testing.T) {
	dir := t.TempDir()
	paths := []string{"", "a", "a/b", "a/b/c", "a/bc", "ab", "ab/b", "a/b/c/d", "a", "ab/b", "", "a/b/c/d", "a/bc"}
	for _, p := range paths {
		must(t, os.MkdirAll(filepath.Join(dir, p), 0o755))
	}
	r := openRoot(t, dir)
	for _, p := range paths {
		fd, err := r.Dir(p)
		must(t, err)
		if got, want := inode(t, fd), inodeOf(t, filepath.Join(dir, p)); got != want {
			t.Errorf("Dir(%q) is inode %d, want %d", p, got, want)
		}
	}
}

func TestDirRefuses(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "d"), 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "f"), nil, 0o644))
	must(t, os.Symlink("d", filepath.Join(dir, "l")))
	r := openRoot(t, dir)
	for path, want := range map[string]error{
		"..":                     fs.ErrInvalid,
		"d/..":                   fs.ErrInvalid,
		".":                      fs.ErrInvalid,
		"/":                      fs.ErrInvalid,
		"/etc":                   fs.ErrInvalid,
		"d/":                     fs.ErrInvalid,
		"d//d":                   fs.ErrInvalid,
		"d\x00":                  fs.ErrInvalid,
		"l":                      unix.ENOTDIR,
		"l/x":                    unix.ENOTDIR,
		"f":                      unix.ENOTDIR,
		"gone":                   fs.ErrNotExist,
		strings.Repeat("x", 256): unix.ENAMETOOLONG,
	} {
		if _, err := r.Dir(path); !errors.Is(err, want) {
			t.Errorf("Dir(%q) = %v, want %v", path, err, want)
		}
		if _, err := r.Dir("d"); err != nil {
			t.Fatalf("after %q: %v", path, err)
		}
	}
	for _, path := range []string{"", ".", "..", "d/..", "/d", "d/", "d/\x00"} {
		if _, _, err := r.Parent(path); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("Parent(%q) = %v", path, err)
		}
	}
}

func TestMakeDirFollowsNoSymlink(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	must(t, os.Symlink(outside, filepath.Join(dir, "l")))
	r := openRoot(t, dir)
	if _, err := r.MakeDir("l/x", 0o755); !errors.Is(err, unix.ENOTDIR) {
		t.Errorf("MakeDir through a symlink: %v", err)
	}
	if names, _ := os.ReadDir(outside); len(names) > 0 {
		t.Error("made a directory outside")
	}
	if _, err := r.MakeDir("a/b/c", 0o700); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(dir, "a/b/c")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("a/b/c: %v %v", info, err)
	}
}

// A path far longer than PATH_MAX and deeper than descriptors are held.
func TestDeepTree(t *testing.T) {
	const depth = 3000
	r := openRoot(t, t.TempDir())
	path := strings.TrimSuffix(strings.Repeat("d/", depth), "/")
	before := openDescriptors(t)
	if _, err := r.MakeDir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if n := openDescriptors(t) - before; n > maxOpen+1 {
		t.Errorf("%d descriptors open", n)
	}
	for p := path; p != ""; p, _ = Split(p) {
		if _, err := r.Dir(p); err != nil {
			t.Fatal(err)
		}
	}
	must(t, r.RemoveAll("d"))
	if _, err := r.Dir("d"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after RemoveAll: %v", err)
	}
}

func openDescriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	return len(entries)
}

func TestClosed(t *testing.T) {
	r := openRoot(t, t.TempDir())
	r.Close()
	if _, err := r.Dir(""); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

func TestForget(t *testing.T) {
	dir := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(dir, "a/b"), 0o755))
	r := openRoot(t, dir)
	_, err := r.Dir("a/b")
	must(t, err)
	must(t, os.Rename(filepath.Join(dir, "a"), filepath.Join(dir, "old")))
	must(t, os.Symlink("old", filepath.Join(dir, "a")))
	r.Forget("a/bc")
	if _, err := r.Dir("a/b"); err != nil {
		t.Errorf("the held descriptor is gone: %v", err)
	}
	r.Forget("a")
	if _, err := r.Dir("a/b"); !errors.Is(err, unix.ENOTDIR) {
		t.Errorf("after Forget: %v", err)
	}
}

func TestRemoveAllStaysInside(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	must(t, os.WriteFile(filepath.Join(outside, "keep"), nil, 0o644))
	must(t, os.MkdirAll(filepath.Join(dir, "a/b"), 0o755))
	must(t, os.Symlink(outside, filepath.Join(dir, "a/b/l")))
	must(t, os.WriteFile(filepath.Join(dir, "a/f"), nil, 0o644))
	r := openRoot(t, dir)
	must(t, r.RemoveAll("absent"))
	must(t, r.RemoveAll("a"))
	if _, err := os.Lstat(filepath.Join(dir, "a")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a is still there: %v", err)
	}
	if _, err := os.Stat(filepath.Join(outside, "keep")); err != nil {
		t.Error(err)
	}
}

func TestRemoveAllStopsAtMounts(t *testing.T) {
	dir := t.TempDir()
	mount := filepath.Join(dir, "a/m")
	must(t, os.MkdirAll(mount, 0o755))
	if err := unix.Mount("tmpfs", mount, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("mount a tmpfs: %v", err)
	}
	defer unix.Unmount(mount, 0)
	must(t, os.WriteFile(filepath.Join(mount, "keep"), nil, 0o644))
	r, err := Open(dir)
	must(t, err)
	defer r.Close()
	for _, path := range []string{"a", "a/m"} {
		if err := r.RemoveAll(path); !errors.Is(err, unix.EXDEV) {
			t.Errorf("RemoveAll(%q) = %v", path, err)
		}
	}
	if _, err := os.Stat(filepath.Join(mount, "keep")); err != nil {
		t.Error(err)
	}
}

func TestNames(t *testing.T) {
	dir := t.TempDir()
	want := []string{"\xff\xfe", "a", "a b", "a\nb", "é", strings.Repeat("n", 255)}
	for i := range 300 {
		want = append(want, fmt.Sprintf("%d-%s", i, strings.Repeat("x", i%200)))
	}
	for _, name := range want {
		must(t, os.WriteFile(filepath.Join(dir, name), nil, 0o644))
	}
	slices.Sort(want)
	r := openRoot(t, dir)
	fd, err := r.Dir("")
	must(t, err)
	var names Names
	buf := make([]byte, ListBuffer)
	for range 2 {
		must(t, names.Read(fd, buf))
		var got []string
		for i := range names.Len() {
			got = append(got, string(names.At(i)))
		}
		if !slices.Equal(got, want) {
			t.Fatalf("got %d names, want %d: %.100q", len(got), len(want), got)
		}
	}
}

// A million names must not cost more than some 50 bytes each.
func TestNamesMemory(t *testing.T) {
	const count = 1_000_000
	names := new(Names)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range count {
		must(t, names.add(fmt.Appendf(nil, "session-%012d", i*7919%count)))
	}
	names.index(count)
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := float64(after.HeapAlloc-before.HeapAlloc) / count
	t.Logf("%.1f bytes a name of 20", each)
	if each > 50 {
		t.Errorf("%.1f bytes a name", each)
	}
	if names.Len() != count || string(names.At(4711)) != "session-000000004711" {
		t.Errorf("%d names, %q", names.Len(), names.At(4711))
	}
}

func FuzzParseNames(f *testing.F) {
	record := func(name string, size int) []byte {
		b := make([]byte, direntName, size)
		b[direntLen] = byte(size)
		b = append(b, name...)
		return b[:size]
	}
	f.Add(record("abc", 24))
	f.Add(append(record(".", 24), record("..", 24)...))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, buf []byte) {
		var names Names
		count, err := names.parse(buf)
		if err != nil {
			return
		}
		names.index(count)
		if names.Len() != count {
			t.Fatalf("%d names, %d places", count, names.Len())
		}
		for i := range names.Len() {
			if checkName(string(names.At(i))) != nil {
				t.Fatalf("name %q", names.At(i))
			}
			if i > 0 && bytes.Compare(names.At(i-1), names.At(i)) > 0 {
				t.Fatal("not sorted")
			}
		}
	})
}
