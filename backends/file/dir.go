package file

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"tklbam/backends"
)

// at makes a system call relative to the directory. The descriptor stays open
// for the duration, whatever Close does meanwhile.
func (t *target) at(call func(dir int) error) error {
	var callErr error
	err := t.conn.Control(func(fd uintptr) {
		callErr = uninterrupted(func() error { return call(int(fd)) })
	})
	if err != nil {
		return fs.ErrClosed // the only reason Control has
	}
	return t.cause(callErr)
}

// uninterrupted repeats a system call that a signal has interrupted, which
// network and FUSE file systems let happen to any.
func uninterrupted(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}

func (t *target) openFile(name string, flags int, mode uint32) (*os.File, error) {
	var fd int
	err := t.at(func(dir int) (err error) {
		fd, err = unix.Openat(dir, name, flags|unix.O_CLOEXEC, mode)
		return err
	})
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), filepath.Join(t.dir.Name(), name)), nil
}

// remove removes an entry that is no directory; an absent one is removed
// already.
func (t *target) remove(name string) error {
	err := t.at(func(dir int) error { return unix.Unlinkat(dir, name, 0) })
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// cause returns an error of a system call as callers of a backend know it.
// Names of functions and paths go: what is done to which file of which target
// the caller says.
func (t *target) cause(err error) error {
	if path := (*fs.PathError)(nil); errors.As(err, &path) {
		err = path.Err
	}
	switch {
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return &spaceError{t.address, err}
	case errors.Is(err, unix.ESTALE), errors.Is(err, unix.ENOTCONN), // what NFS and FUSE say when
		errors.Is(err, unix.EHOSTDOWN), errors.Is(err, unix.ETIMEDOUT): // the other end is gone
		return fmt.Errorf("%w: %w", backends.ErrUnavailable, err)
	}
	return err
}

// spaceError is backends.ErrNoSpace and the system's own error.
type spaceError struct {
	address backends.Address
	err     error
}

func (e *spaceError) Error() string {
	if errors.Is(e.err, unix.EDQUOT) {
		return fmt.Sprintf("no space left on %s: %v", e.address, e.err)
	}
	return fmt.Sprintf("no space left on %s", e.address)
}

func (e *spaceError) Unwrap() []error { return []error{backends.ErrNoSpace, e.err} }

func openDir(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY, 0)
}

// makeDir makes a directory and those above it that are absent, durably: a
// chain in a directory that a crash takes away is no backup.
func makeDir(path string) error {
	parent := filepath.Dir(path)
	err := os.Mkdir(path, 0o700)
	if errors.Is(err, fs.ErrNotExist) && parent != path {
		if err := makeDir(parent); err != nil {
			return err
		}
		err = os.Mkdir(path, 0o700)
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	dir, err := openDir(parent)
	if err != nil {
		return err
	}
	return errors.Join(syncDir(dir), dir.Close())
}

// syncDir makes the entries of a directory durable, where the file system can:
// some network and FUSE file systems say EINVAL or ENOTSUP.
func syncDir(dir *os.File) error {
	err := dir.Sync()
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOTSUP) {
		return nil
	}
	return err
}
