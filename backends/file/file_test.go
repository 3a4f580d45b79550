package file_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"tklbam/backends"
	"tklbam/backends/all"
	"tklbam/backends/backendtest"
)

func TestContract(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) backends.Backend { return open(t, t.TempDir()) })
}

// open opens a directory, which must be there.
func open(t *testing.T, dir string) backends.Backend {
	t.Helper()
	b, err := openAddress(t, "file://"+dir, backends.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func openAddress(t *testing.T, address string, opts backends.Options) (backends.Backend, error) {
	b, err := backends.Open(t.Context(), all.Drivers(all.Environment{}), address, opts)
	if err == nil {
		t.Cleanup(func() {
			if err := b.Close(); err != nil {
				t.Errorf("close %s: %v", b, err)
			}
		})
	}
	return b, err
}

func writing(content string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, content)
		return err
	}
}

func put(t *testing.T, b backends.Backend, name, content string) {
	t.Helper()
	if err := b.Put(t.Context(), name, writing(content)); err != nil {
		t.Fatal(err)
	}
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func wantFile(t *testing.T, path, content string) {
	t.Helper()
	if got, err := os.ReadFile(path); err != nil || string(got) != content {
		t.Errorf("%s holds %d bytes that are not the %d expected, %v", path, len(got), len(content), err)
	}
}

// wantEntries checks what a directory really holds, hidden files included.
func wantEntries(t *testing.T, dir string, want ...string) {
	t.Helper()
	if got := entries(t, dir); !slices.Equal(got, want) {
		t.Errorf("%s holds %q, want %q", dir, got, want)
	}
}

func entries(t *testing.T, dir string) []string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

func TestOpenAbsentDirectory(t *testing.T) {
	dir := t.TempDir()
	address := "file://" + dir + "/no%20such/dir"
	_, err := openAddress(t, address, backends.Options{})
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), address) {
		t.Errorf("error is %v, want fs.ErrNotExist naming %s", err, address)
	}
	wantEntries(t, dir)
}

func TestOpenCreates(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for address, path := range map[string]string{
		"file://" + dir + "/one/two/three": "one/two/three",
		"file://relative/x":                "relative/x",
		"file:///" + dir + "/slash/":       "slash",
	} {
		b, err := openAddress(t, address, backends.Options{Create: true})
		if err != nil {
			t.Fatal(err)
		}
		put(t, b, "name", "content")
		for path := path; path != "."; path = filepath.Dir(path) {
			if info, err := os.Stat(path); err != nil || info.Mode() != fs.ModeDir|0o700 {
				t.Errorf("%s has mode %v, %v", path, info.Mode(), err)
			}
		}
		wantFile(t, filepath.Join(path, "name"), "content")
	}
}

func TestOpenKeepsDirectory(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := openAddress(t, "file://"+dir, backends.Options{Create: true}); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("the directory's mode became %v, %v", info.Mode(), err)
	}
}

func TestOpenFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	writeFile(t, path, "content")
	for _, address := range []string{"file://" + path, "file://" + path + "/dir"} {
		_, err := openAddress(t, address, backends.Options{Create: true})
		if !errors.Is(err, unix.ENOTDIR) {
			t.Errorf("error for %s is %v", address, err)
		}
	}
	wantFile(t, path, "content")
}

func TestFilesArePrivate(t *testing.T) {
	dir := t.TempDir()
	defer unix.Umask(unix.Umask(0))
	writeFile(t, filepath.Join(dir, "name"), "old")
	if err := os.Chmod(filepath.Join(dir, "name"), 0o644); err != nil {
		t.Fatal(err)
	}
	put(t, open(t, dir), "name", "new")
	if info, err := os.Stat(filepath.Join(dir, "name")); err != nil || info.Mode() != 0o600 {
		t.Errorf("the file has mode %v, %v, want 0600", info.Mode(), err)
	}
}

// TestRenamedDirectory renames a target that is open and puts another in its
// place.
func TestRenamedDirectory(t *testing.T) {
	parent := t.TempDir()
	path, moved := filepath.Join(parent, "target"), filepath.Join(parent, "moved")
	b, err := openAddress(t, "file://"+path, backends.Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	put(t, b, "before", "1")
	err = errors.Join(os.Rename(path, moved), os.Mkdir(path, 0o700))
	if err != nil {
		t.Fatal(err)
	}
	put(t, b, "after", "2")
	wantEntries(t, moved, "after", "before")
	wantEntries(t, path)
}

// strange fills a directory with what is no file of a chain, beside one that
// is and a link to another; both hold four bytes. It returns the names of what
// cannot be opened.
func strange(t *testing.T, dir string) []string {
	t.Helper()
	outside := t.TempDir()
	writeFile(t, filepath.Join(dir, "file"), "data")
	writeFile(t, filepath.Join(outside, "moved"), "data")
	err := errors.Join(
		os.Symlink(filepath.Join(outside, "moved"), filepath.Join(dir, "link")),
		os.Mkdir(filepath.Join(dir, "directory"), 0o700),
		unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600),
		os.Symlink("directory", filepath.Join(dir, "link-to-directory")),
		os.Symlink("fifo", filepath.Join(dir, "link-to-fifo")),
		os.Symlink("/dev/zero", filepath.Join(dir, "link-to-device")),
		os.Symlink("nowhere", filepath.Join(dir, "link-to-nowhere")),
		os.Symlink("link-to-itself", filepath.Join(dir, "link-to-itself")),
	)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, ".hidden"), "data")
	writeFile(t, filepath.Join(dir, "new\nline"), "data")
	return []string{"directory", "fifo", "link-to-directory", "link-to-fifo", "link-to-device", "link-to-nowhere", "link-to-itself"}
}

func TestStrangeEntries(t *testing.T) {
	dir := t.TempDir()
	closed := strange(t, dir)
	b := open(t, dir)
	var listed []string
	err := b.List(t.Context(), func(name string, size int64) error {
		listed = append(listed, name)
		if size != 4 {
			t.Errorf("%s has size %d", name, size)
		}
		return nil
	})
	slices.Sort(listed)
	if want := []string{"file", "link"}; err != nil || !slices.Equal(listed, want) {
		t.Errorf("List gives %q, %v, want %q", listed, err, want)
	}
	for _, name := range listed {
		r, err := b.Open(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if p, err := io.ReadAll(r); string(p) != "data" || err != nil || r.Close() != nil {
			t.Errorf("%s reads %q, %v", name, p, err)
		}
	}
	for _, name := range closed {
		_, err := b.Open(t.Context(), name)
		if err == nil || errors.Is(err, fs.ErrNotExist) != (name == "link-to-nowhere") {
			t.Errorf("open %s: %v", name, err)
		}
	}
}

// TestLinksAreReplaced: what changes the target leaves alone what its links
// point to.
func TestLinksAreReplaced(t *testing.T) {
	dir := t.TempDir()
	strange(t, dir)
	b := open(t, dir)
	outside, err := os.Readlink(filepath.Join(dir, "link"))
	if err != nil {
		t.Fatal(err)
	}
	put(t, b, "link", "new")
	wantFile(t, outside, "data")
	if info, err := os.Lstat(filepath.Join(dir, "link")); err != nil || !info.Mode().IsRegular() {
		t.Errorf("the stored file has mode %v, %v", info.Mode(), err)
	}

	if err := b.Delete(t.Context(), "link-to-fifo"); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "fifo")); err != nil {
		t.Error(err)
	}
}

func TestDirectoryInTheWay(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "name"), 0o700); err != nil {
		t.Fatal(err)
	}
	b := open(t, dir)
	if err := b.Put(t.Context(), "name", writing("content")); !errors.Is(err, unix.EISDIR) {
		t.Errorf("Put over a directory: %v", err)
	}
	if err := b.Delete(t.Context(), "name"); err == nil {
		t.Error("Delete removes a directory")
	}
	wantEntries(t, dir, "name")
}

// TestRemovedDirectory removes the target while it is open.
func TestRemovedDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "target")
	b, err := openAddress(t, "file://"+dir, backends.Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	err = b.List(t.Context(), func(string, int64) error { return nil })
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("List: %v", err)
	}
	if err := b.Put(t.Context(), "name", writing("content")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Put: %v", err)
	}
}
