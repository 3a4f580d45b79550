package faultproxy

import (
	"testing"

	"golang.org/x/sys/unix"
)

// SmallDisk mounts an empty file system of a size, such as "2m", on a directory
// until the test ends, for a server to fill. Everyone may write to it. Where
// that is not allowed it skips the test.
func SmallDisk(t testing.TB, dir, size string) {
	t.Helper()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=0777,size="+size); err != nil {
		t.Skipf("needs the right to mount a tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}
