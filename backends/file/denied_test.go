package file_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"tklbam/backends"
)

// nobody is a user id without rights to anything here.
const nobody = 65534

// asNobody runs fn without root's rights to files, on a thread of its own that
// ends with it. For an ordinary user it just runs fn.
func asNobody(t *testing.T, fn func() error) error {
	t.Helper()
	if os.Geteuid() != 0 {
		return fn()
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := unix.Setfsuid(nobody)
		if id, _ := unix.SetfsuidRetUid(-1); err != nil || id != nobody {
			done <- errors.New("cannot give up root's rights")
			return
		}
		done <- fn()
	}()
	return <-done
}

// readOnly makes a directory that asNobody can read, and not write to.
func readOnly(t *testing.T) string {
	dir := t.TempDir()
	for path, mode := range map[string]fs.FileMode{filepath.Dir(dir): 0o755, dir: 0o555} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { os.Chmod(dir, 0o700) })
	return dir
}

func TestPermissionDenied(t *testing.T) {
	dir := readOnly(t)
	if os.Geteuid() == 0 {
		writeFile(t, filepath.Join(dir, "private"), "data")
	}
	b := open(t, dir)
	calls := map[string]func() error{
		"Put":    func() error { return b.Put(t.Context(), "new", writing("data")) },
		"Create": func() error { return openError(t, "file://"+dir+"/sub", backends.Options{Create: true}) },
	}
	if os.Geteuid() == 0 {
		calls["Open"] = func() error { _, err := b.Open(t.Context(), "private"); return err }
		calls["Delete"] = func() error { return b.Delete(t.Context(), "private") }
	}
	for what, call := range calls {
		if err := asNobody(t, call); !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "file://"+dir) {
			t.Errorf("%s: error is %v, want fs.ErrPermission naming the target", what, err)
		}
	}
}

// TestClosedDirectory opens a directory that its user may not read.
func TestClosedDirectory(t *testing.T) {
	dir := readOnly(t)
	if err := os.Chmod(dir, 0); err != nil {
		t.Fatal(err)
	}
	err := asNobody(t, func() error { return openError(t, "file://"+dir, backends.Options{}) })
	if !errors.Is(err, fs.ErrPermission) {
		t.Errorf("error is %v, want fs.ErrPermission", err)
	}
}

func openError(t *testing.T, address string, opts backends.Options) error {
	_, err := openAddress(t, address, opts)
	return err
}

// smallDisk mounts a file system of one MiB.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("needs the right to mount a tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestDiskFull(t *testing.T) {
	dir := smallDisk(t)
	b := open(t, dir)
	old := strings.Repeat("o", 300_000)
	put(t, b, "old", old)
	for _, name := range []string{"old", "new"} {
		wrote := 0
		err := b.Put(t.Context(), name, func(w io.Writer) error {
			for {
				n, err := w.Write(make([]byte, 1000))
				wrote += n
				if err != nil {
					return err
				}
			}
		})
		if !errors.Is(err, backends.ErrNoSpace) || !errors.Is(err, unix.ENOSPC) {
			t.Errorf("Put on a full disk: error is %v", err)
		} else if want := "no space left on file://" + dir; !strings.HasSuffix(err.Error(), want) {
			t.Errorf("the error is %q, want it to end in %q", err, want)
		}
		if wrote < 500_000 {
			t.Errorf("the disk was full after %d bytes", wrote)
		}
		wantEntries(t, dir, "old")
		wantFile(t, filepath.Join(dir, "old"), old)
	}
	put(t, b, "new", strings.Repeat("n", 300_000))
}

// TestDiskFullAtEnd fills the disk with content that fits into the driver's
// buffer: write sees no error, Put must.
func TestDiskFullAtEnd(t *testing.T) {
	dir := smallDisk(t)
	b := open(t, dir)
	put(t, b, "old", strings.Repeat("o", 1_000_000))
	if err := b.Put(t.Context(), "new", writing(strings.Repeat("n", 100_000))); !errors.Is(err, backends.ErrNoSpace) {
		t.Errorf("Put on a full disk: error is %v", err)
	}
	wantEntries(t, dir, "old")
}

// TestSourceFull: an error of the caller's own files says nothing about the
// target.
func TestSourceFull(t *testing.T) {
	b := open(t, t.TempDir())
	err := b.Put(t.Context(), "name", func(io.Writer) error {
		return &fs.PathError{Op: "write", Path: "/tmp/spool", Err: unix.ENOSPC}
	})
	if errors.Is(err, backends.ErrNoSpace) || !strings.Contains(err.Error(), "/tmp/spool") {
		t.Errorf("error is %v, want that of the spool file", err)
	}
}

func TestFree(t *testing.T) {
	b := open(t, smallDisk(t))
	free := func() uint64 {
		n, err := b.(backends.Spacer).Free(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := free(); n == 0 || n > 1<<20 {
		t.Errorf("%d bytes are free on an empty disk of one MiB", n)
	}
	put(t, b, "name", strings.Repeat("x", 1<<19))
	if n := free(); n == 0 || n > 1<<19 {
		t.Errorf("%d bytes are free on a disk of one MiB that holds half a MiB", n)
	}
}
