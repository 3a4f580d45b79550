package sysfs

import (
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Openat is openat(2) with O_CLOEXEC, repeated when a signal interrupts it.
func Openat(dir int, name string, flags int, perm uint32) (int, error) {
	for {
		fd, err := unix.Openat(dir, name, flags|unix.O_CLOEXEC, perm)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// OpenRead opens name for reading and leaves its access time alone where the
// kernel permits that, which is to the file's owner and to root.
func OpenRead(dir int, name string, flags int) (int, error) {
	fd, err := Openat(dir, name, unix.O_RDONLY|unix.O_NOATIME|flags, 0)
	if err == unix.EPERM {
		fd, err = Openat(dir, name, unix.O_RDONLY|flags, 0)
	}
	return fd, err
}

// Lstatat is fstatat(2) that does not follow a symlink at name.
func Lstatat(dir int, name string, st *unix.Stat_t) error {
	for {
		err := unix.Fstatat(dir, name, st, unix.AT_SYMLINK_NOFOLLOW)
		if err != unix.EINTR {
			return err
		}
	}
}

// Read is read(2), repeated when a signal interrupts it.
func Read(fd int, p []byte) (int, error) {
	for {
		n, err := unix.Read(fd, p)
		if err != unix.EINTR {
			return max(n, 0), err
		}
	}
}

// WriteAt writes all of p at offset off.
func WriteAt(fd int, p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		n, err := unix.Pwrite(fd, p[done:], off+int64(done))
		if err != nil && err != unix.EINTR {
			return done, err
		}
		done += max(n, 0)
	}
	return done, nil
}

// SetTimes sets the access and modification time of an open file, as
// futimens does; x/sys has no call for it.
func SetTimes(fd int, times [2]unix.Timespec) error {
	_, _, errno := unix.Syscall6(unix.SYS_UTIMENSAT, uintptr(fd), 0, uintptr(unsafe.Pointer(&times)), 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// ProcPath is a path to what fd is a descriptor of, for the system calls that
// take neither a descriptor opened with O_PATH nor a directory to start from.
// It needs /proc.
func ProcPath(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }
