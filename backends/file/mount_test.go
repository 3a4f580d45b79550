package file_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"tklbam/backends"
	"tklbam/backends/file"
)

// TestRequireMount opens a mount point, and directories below it, with and
// without its disk.
func TestRequireMount(t *testing.T) {
	point := filepath.Join(t.TempDir(), `a disk\of mine`)
	if err := os.MkdirAll(point, 0o755); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(point, link); err != nil {
		t.Fatal(err)
	}
	drivers := []backends.Driver{file.Options{RequireMount: true}.Driver()}
	try := func(path string, create bool) error {
		a := backends.Address{Scheme: "file", Path: path}
		b, err := backends.Open(t.Context(), drivers, a.String(), backends.Options{Create: create})
		if err == nil {
			err = b.Close()
		}
		return err
	}
	if err := try(point, false); err == nil {
		t.Skip("the directory for temporary files is itself on a mount")
	}
	for _, path := range []string{point, link, point + "/a/b"} {
		if err := try(path, true); !errors.Is(err, backends.ErrUnavailable) {
			t.Errorf("%s without its disk: error is %v, want backends.ErrUnavailable", path, err)
		}
	}
	wantEntries(t, point)
	if err := unix.Mount("tmpfs", point, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("needs the right to mount a tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(point, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	if err := try(point+"/a/b", false); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an absent directory: error is %v, want fs.ErrNotExist", err)
	}
	for _, path := range []string{point, link, point + "/a/b"} {
		if err := try(path, true); err != nil {
			t.Errorf("%s with its disk: %v", path, err)
		}
	}
}
