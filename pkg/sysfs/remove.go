package sysfs

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// RemoveAll removes the file or the whole directory at path, which need not
// exist. It does not enter a directory that another file system is mounted
// on: that is an error that wraps unix.EXDEV, with part of the tree gone.
func (r *Root) RemoveAll(path string) error {
	dir, _, err := r.Parent(path)
	if err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstat(dir, &st); err != nil {
		return fmt.Errorf("remove %q: %w", path, err)
	}
	return r.removeAll(path, st.Dev, make([]byte, ListBuffer))
}

func (r *Root) removeAll(path string, device uint64, buf []byte) error {
	empty, err := r.removeOne(path, 0)
	if err != nil || empty {
		return err
	}
	names, err := r.listSame(path, device, buf)
	if err != nil {
		return fmt.Errorf("remove %q: %w", path, err)
	}
	for i := range names.Len() {
		if err := r.removeAll(path+"/"+string(names.At(i)), device, buf); err != nil {
			return err
		}
	}
	r.Forget(path)
	_, err = r.removeOne(path, unix.AT_REMOVEDIR)
	return err
}

// removeOne unlinks path; false if it is a directory.
func (r *Root) removeOne(path string, flags int) (bool, error) {
	dir, name, err := r.Parent(path)
	if err != nil {
		return false, err
	}
	var st unix.Stat_t
	switch err := unix.Unlinkat(dir, name, flags); {
	case err == nil, err == unix.ENOENT:
		return true, nil
	case flags == 0 && err == unix.EISDIR:
		return false, nil
	case flags == 0 && err == unix.EPERM && Lstatat(dir, name, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR:
		return false, nil // what POSIX has unlink say of a directory
	default:
		return false, fmt.Errorf("remove %q: %w", path, err)
	}
}

// listSame lists a directory that must lie on the given device.
func (r *Root) listSame(path string, device uint64, buf []byte) (*Names, error) {
	fd, err := r.Dir(path)
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, err
	}
	if st.Dev != device {
		return nil, fmt.Errorf("another file system is mounted there: %w", unix.EXDEV)
	}
	names := new(Names)
	return names, names.Read(fd, buf)
}
