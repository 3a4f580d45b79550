package livefs

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, dir string) int {
	t.Helper()
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY, 0)
	must(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

func TestUnescape(t *testing.T) {
	for in, want := range map[string]string{
		"":                  "",
		"/mnt":              "/mnt",
		`/a\040b\011c\134d`: "/a b\tc\\d",
		`/end\04`:           `/end\04`,
		`/not\999octal`:     `/not\999octal`,
		`/a\012/b`:          "/a\n/b",
	} {
		if got := unescape(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

// TestMounted finds the mount points every system has.
func TestMounted(t *testing.T) {
	if err := Mounted(open(t, "/proc")); err == nil {
		t.Error("/proc is no mount point")
	}
	if err := Mounted(open(t, "/")); err == nil {
		t.Error("nothing is mounted below /")
	}
	if err := Mounted(open(t, t.TempDir())); err != nil {
		t.Error(err)
	}
}

func TestPathBelow(t *testing.T) {
	dir := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(dir, "a/b\nc"), 0o755))
	must(t, os.Mkdir(filepath.Join(dir, "ab"), 0o755))
	for _, c := range []struct {
		root, dir, want string
		ok              bool
	}{
		{dir, dir + "/a/b\nc", "a/b\nc", true},
		{dir, dir, "", true},
		{"/", "/proc", "proc", true},
		{dir + "/a", dir, "", false},
		{dir + "/a", dir + "/ab", "", false},
	} {
		got, err := PathBelow(open(t, c.root), open(t, c.dir))
		if got != c.want || (err == nil) != c.ok {
			t.Errorf("%q in %q: got %q, %v", c.dir, c.root, got, err)
		}
	}
}

// TestRenameNew does not replace.
func TestRenameNew(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "a"), nil, 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "b"), []byte("b"), 0o600))
	fd := open(t, dir)
	if err := (Calls{}).RenameNew(Place{fd, "a"}, Place{fd, "b"}); err != unix.EEXIST {
		t.Error(err)
	}
	must(t, Calls{}.RenameNew(Place{fd, "a"}, Place{fd, "c"}))
}
