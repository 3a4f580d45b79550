package file

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tklbam/backends"
)

func TestCause(t *testing.T) {
	tests := []struct {
		err  error
		is   error
		text string
	}{
		{unix.ENOSPC, backends.ErrNoSpace, "no space left on file:///x"},
		{unix.EDQUOT, backends.ErrNoSpace, "no space left on file:///x: disk quota exceeded"},
		{unix.EDQUOT, unix.EDQUOT, "no space left on file:///x: disk quota exceeded"},
		{unix.ESTALE, backends.ErrUnavailable, "target unavailable: stale"},
		{unix.ENOTCONN, backends.ErrUnavailable, "target unavailable: transport endpoint"},
		{unix.EACCES, fs.ErrPermission, "permission denied"},
		{unix.ENOENT, fs.ErrNotExist, "no such file"},
		{unix.EIO, unix.EIO, "input/output error"},
		{io.ErrUnexpectedEOF, io.ErrUnexpectedEOF, "unexpected EOF"},
	}
	target := &target{address: backends.Address{Scheme: "file", Path: "/x"}}
	for _, test := range tests {
		for _, err := range []error{test.err, &fs.PathError{Op: "write", Path: "/x/.tklbam.tmp", Err: test.err}} {
			got := target.cause(err)
			if !errors.Is(got, test.is) || !strings.HasPrefix(got.Error(), test.text) {
				t.Errorf("%v becomes %q, want %q and errors.Is %q", err, got, test.text, test.is)
			}
		}
	}
	if err := target.cause(nil); err != nil {
		t.Errorf("nil becomes %v", err)
	}
}

func newTarget(t *testing.T) *target {
	t.Helper()
	b, err := Open(t.Context(), backends.Address{Scheme: "file", Path: t.TempDir()}, backends.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b.(*target)
}

func newTemp(t *testing.T, target *target) *temp {
	t.Helper()
	tmp, err := target.newTemp()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tmp.release)
	if !backends.IsTemp(tmp.name) {
		t.Errorf("%q is not recognised as a temporary file", tmp.name)
	}
	return tmp
}

// TestClaim goes through what a sweep may have done to a temporary file by the
// time its maker locks it.
func TestClaim(t *testing.T) {
	target := newTarget(t)
	tmp := newTemp(t, target)
	if err := tmp.claim(); err != nil {
		t.Errorf("claim of an own file: %v", err)
	}
	again, err := os.Open(tmp.file.Name())
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if err := (&temp{target, tmp.name, again, again}).claim(); err != errSwept {
		t.Errorf("claim of a locked file: %v", err)
	}
	if err := target.remove(tmp.name); err != nil {
		t.Fatal(err)
	}
	if err := tmp.claim(); err != errSwept {
		t.Errorf("claim of a removed file: %v", err)
	}
}

// TestLockOutlivesFile: between closing and renaming a temporary file is still
// not stale.
func TestLockOutlivesFile(t *testing.T) {
	target := newTarget(t)
	tmp := newTemp(t, target)
	if err := tmp.file.Close(); err != nil {
		t.Fatal(err)
	}
	if err := target.sweep(tmp.name); err != nil {
		t.Fatal(err)
	}
	if _, err := target.size(tmp.name); err != nil {
		t.Errorf("the sweep removed a file that is in use: %v", err)
	}
	tmp.release()
	if err := target.sweep(tmp.name); err != nil {
		t.Fatal(err)
	}
	if _, err := target.size(tmp.name); err != errNoFile {
		t.Errorf("the sweep left a file that nobody uses: %v", err)
	}
}

// TestStaleWithoutLocks takes a descriptor that can't be locked for a file on
// a file system without locks.
func TestStaleWithoutLocks(t *testing.T) {
	path := newTarget(t).dir.Name() + "/old"
	for age, want := range map[time.Duration]bool{time.Hour: false, tempMaxAge + time.Hour: true} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		then := time.Now().Add(-age)
		if err := os.Chtimes(path, then, then); err != nil {
			t.Fatal(err)
		}
		fd, err := unix.Open(path, unix.O_PATH, 0)
		if err != nil {
			t.Fatal(err)
		}
		f := os.NewFile(uintptr(fd), path)
		if got := isStale(f); got != want {
			t.Errorf("a file last written %v ago is stale: %v", age, got)
		}
		f.Close()
	}
}

func TestIsMounted(t *testing.T) {
	const mountinfo = `22 1 8:1 / / rw - ext4 /dev/sda1 rw
36 22 8:2 / /mnt/a\040disk rw,noatime shared:1 - ext4 /dev/sdb1 rw
short line
37 22 0:50 /export /srv\134x rw - nfs4 host:/export rw
`
	for path, want := range map[string]bool{
		"/": false, "/mnt": false, "/mnt/a": false, "/mnt/a disk": true, "/mnt/a disk/deep/er": true, "/mnt/a diskette": false,
		`/srv\x/y`: true, "/srv": false,
	} {
		got, err := isMounted(strings.NewReader(mountinfo), path)
		if got != want || err != nil {
			t.Errorf("%q is on a mount: %t, %v, want %t", path, got, err, want)
		}
	}
}
