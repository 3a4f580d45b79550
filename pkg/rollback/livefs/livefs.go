// Package livefs makes the single steps by which a tree that is in use is
// changed: what is between two steps is what a crash can leave. Linux only.
package livefs

import (
	"errors"

	"golang.org/x/sys/unix"

	"tklbam/pkg/sysfs"
)

// Calls makes the steps. The zero value is ready for use.
type Calls struct {
	// Before, if set, is called before every step with its name; an error
	// takes the step's place. It is for tests, which fail or end a session at
	// each step in turn.
	Before func(step string) error
}

// A Place is a name in an open directory. No step follows a symlink there.
type Place struct {
	Dir  int
	Name string
}

// At returns the place of a path below a root, under the terms of
// sysfs.Root.Parent: it is good until the next call on that root.
func At(root *sysfs.Root, path string) (Place, error) {
	dir, name, err := root.Parent(path)
	return Place{dir, name}, err
}

// Beside returns another name in the same directory.
func (p Place) Beside(name string) Place { return Place{p.Dir, name} }

// Stat looks at the place. Nil means that nothing is there.
func (p Place) Stat() (*unix.Stat_t, error) {
	var st unix.Stat_t
	err := sysfs.Lstatat(p.Dir, p.Name, &st)
	if err == unix.ENOENT {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &st, nil
}

// path leads to the place for calls that know no directory descriptors.
func (p Place) path() string { return sysfs.ProcPath(p.Dir) + "/" + p.Name }

// IsDir reports whether a stat, which may be nil, is that of a directory.
func IsDir(st *unix.Stat_t) bool { return st != nil && st.Mode&unix.S_IFMT == unix.S_IFDIR }

// IsLink reports whether a stat, which may be nil, is that of a symlink.
func IsLink(st *unix.Stat_t) bool { return st != nil && st.Mode&unix.S_IFMT == unix.S_IFLNK }

// SameFile reports whether two stats are of one inode, or both of nothing.
func SameFile(a, b *unix.Stat_t) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Dev == b.Dev && a.Ino == b.Ino && a.Mode&unix.S_IFMT == b.Mode&unix.S_IFMT
}

func (c Calls) step(name string, call func() error) error {
	if c.Before != nil {
		if err := c.Before(name); err != nil {
			return err
		}
	}
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}

// Step counts as one step what is done elsewhere.
func (c Calls) Step(name string) error { return c.step(name, func() error { return nil }) }

// Rename moves from to to, over what is there. When both are links to one
// inode it does nothing, as the system call.
func (c Calls) Rename(from, to Place) error {
	return c.step("rename", func() error { return unix.Renameat(from.Dir, from.Name, to.Dir, to.Name) })
}

// RenameNew moves from to to where nothing may be: unix.EEXIST otherwise. On
// a file system that cannot do so at once it looks first.
func (c Calls) RenameNew(from, to Place) error {
	return c.step("rename new", func() error {
		err := unix.Renameat2(from.Dir, from.Name, to.Dir, to.Name, unix.RENAME_NOREPLACE)
		if err != unix.EINVAL && err != unix.ENOSYS {
			return err
		}
		st, err := to.Stat()
		if err != nil {
			return err
		}
		if st != nil {
			return unix.EEXIST
		}
		return unix.Renameat(from.Dir, from.Name, to.Dir, to.Name)
	})
}

// Link makes to another name of the file at from, whatever its type, unless
// that is a directory.
func (c Calls) Link(from, to Place) error {
	return c.step("link", func() error { return unix.Linkat(from.Dir, from.Name, to.Dir, to.Name, 0) })
}

// CannotLink reports whether a link or rename failed for a reason that does
// not stand in the way of a copy.
func CannotLink(err error) bool {
	for _, e := range []error{unix.EXDEV, unix.EMLINK, unix.EPERM, unix.EACCES, unix.ENOTSUP} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// Unlink removes what is no directory. That nothing is there is no error.
func (c Calls) Unlink(p Place) error {
	return c.step("unlink", func() error { return absentOK(unix.Unlinkat(p.Dir, p.Name, 0)) })
}

// Rmdir removes an empty directory. That nothing is there is no error.
func (c Calls) Rmdir(p Place) error {
	return c.step("rmdir", func() error { return absentOK(unix.Unlinkat(p.Dir, p.Name, unix.AT_REMOVEDIR)) })
}

func absentOK(err error) error {
	if err == unix.ENOENT {
		return nil
	}
	return err
}

// Mkdir makes a directory with exactly the given permissions, but for what
// the directory it lies in adds by a default ACL.
func (c Calls) Mkdir(p Place, perm uint32) error {
	return c.step("mkdir", func() error { return unix.Mkdirat(p.Dir, p.Name, perm) })
}

// RemoveAll removes a whole tree, as sysfs.Root.RemoveAll: one step.
func (c Calls) RemoveAll(root *sysfs.Root, path string) error {
	return c.step("remove tree", func() error {
		root.Forget(path)
		return root.RemoveAll(path)
	})
}

// NotEmpty reports whether an rmdir failed because the directory still holds
// something; POSIX has two ways to say so.
func NotEmpty(err error) bool {
	return errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, unix.EEXIST)
}

// NoSpace reports whether a file system or quota is full.
func NoSpace(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)
}
