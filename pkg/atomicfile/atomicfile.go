// Package atomicfile replaces files as a whole: a reader, and a machine that
// comes back after a crash, finds the old content or the new, never a part.
package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// tempMark stands in the name of every temporary file, between a leading dot
// and name and a random ending.
const tempMark = ".tmp-"

// Write replaces the file at path, or creates it, with the given content and
// exactly the given permissions, whatever the umask. A symbolic link at path
// is replaced, not followed. The directory must exist.
//
// The content goes to a temporary file in the same directory, readable by
// its owner only, which is written, given its permissions, synced and then
// renamed over path; last the directory is synced. A crash before the rename
// leaves the old file and perhaps a stray ".NAME.tmp-N" that nothing reads; a
// crash after it leaves the old file or the new one. When Write returns nil,
// the new file survives a crash. When it returns an error, the file at path is
// whole: the old one, except that an error from the final sync leaves the new
// one in place.
func Write(path string, data []byte, perm fs.FileMode) error {
	if err := write(system{}, path, data, perm); err != nil {
		return fmt.Errorf("write %q: %w", path, err)
	}
	return nil
}

// A disk is the part of the file system that write needs, so that a test can
// fail each of its steps.
type disk interface {
	CreateTemp(dir, pattern string) (file, error)
	Rename(from, to string) error
	Remove(path string) error
	SyncDir(dir string) error
}

// A file is the temporary file while it is written.
type file interface {
	Name() string
	Write([]byte) (int, error)
	Chmod(fs.FileMode) error
	Sync() error
	Close() error
}

func write(d disk, path string, data []byte, perm fs.FileMode) error {
	dir, name := filepath.Dir(path), filepath.Base(path)
	f, err := d.CreateTemp(dir, "."+name+tempMark)
	if err != nil {
		return err
	}
	if err := fill(f, data, perm); err != nil {
		return discard(d, f.Name(), err)
	}
	if err := d.Rename(f.Name(), path); err != nil {
		return discard(d, f.Name(), err)
	}
	return d.SyncDir(dir)
}

// fill gives f its content and permissions, syncs it and closes it. It closes
// f also when another step fails.
func fill(f file, data []byte, perm fs.FileMode) error {
	_, err := f.Write(data)
	if err == nil {
		err = f.Chmod(perm)
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// discard removes the temporary file after cause and returns cause, with the
// reason why the file is still there if it could not be removed.
func discard(d disk, temp string, cause error) error {
	return errors.Join(cause, d.Remove(temp))
}

// system is the real disk.
type system struct{}

func (system) CreateTemp(dir, pattern string) (file, error) {
	f, err := os.CreateTemp(dir, pattern)
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (system) Rename(from, to string) error { return os.Rename(from, to) }

func (system) Remove(path string) error { return os.Remove(path) }

// SyncDir makes a rename in dir durable. File systems that cannot sync a
// directory (some network and FUSE ones) say EINVAL or ENOTSUP; there is
// nothing more to do on those.
func (system) SyncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = f.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		err = nil
	}
	return errors.Join(err, f.Close())
}
