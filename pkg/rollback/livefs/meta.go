package livefs

import (
	"strings"

	"golang.org/x/sys/unix"

	"tklbam/chain/archive"
	"tklbam/pkg/sysfs"
)

const capability = "security.capability"

const setID = unix.S_ISUID | unix.S_ISGID

// Meta is what a change of owner or mode can alter in a file.
type Meta struct {
	Mode     uint32 // with the type bits
	UID, GID int
	Caps     string // security.capability as stored; "" if none
}

// Meta reads the metadata of what st, from p.Stat, is about.
func (p Place) Meta(st *unix.Stat_t) (Meta, error) {
	m := Meta{Mode: st.Mode, UID: int(st.Uid), GID: int(st.Gid)}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return m, nil
	}
	var value [64]byte // a vfs_ns_cap_data has 24
	n, err := unix.Lgetxattr(p.path(), capability, value[:])
	if err == unix.ENODATA || err == unix.ENOTSUP {
		return m, nil
	}
	if err != nil {
		return m, err
	}
	m.Caps = string(value[:n])
	return m, nil
}

// SetMeta brings what st, from p.Stat, is about to the metadata m, whose type
// bits do not count. Owner first: a change of it clears set-id bits and
// capabilities, which is why they are set again also when they seem right.
// A symlink has an owner only.
func (c Calls) SetMeta(p Place, st *unix.Stat_t, m Meta) error {
	link := IsLink(st)
	now, err := p.Meta(st)
	if err != nil {
		return err
	}
	chowned := now.UID != m.UID || now.GID != m.GID
	if chowned {
		if err := c.lchown(p, m.UID, m.GID); err != nil {
			return err
		}
	}
	if !link && ((now.Mode^m.Mode)&07777 != 0 || chowned && m.Mode&setID != 0) {
		if err := c.chmod(p, m.Mode&07777); err != nil {
			return err
		}
	}
	if m.Caps != "" && (chowned || now.Caps != m.Caps) {
		return c.step("set capability", func() error { return unix.Lsetxattr(p.path(), capability, []byte(m.Caps), 0) })
	}
	return nil
}

// Chown changes the owner of what is at p and nothing else: set-id bits and
// capabilities stay.
func (c Calls) Chown(p Place, st *unix.Stat_t, uid, gid int) error {
	m, err := p.Meta(st)
	if err != nil {
		return err
	}
	m.UID, m.GID = uid, gid
	return c.SetMeta(p, st, m)
}

func (c Calls) lchown(p Place, uid, gid int) error {
	return c.step("chown", func() error { return unix.Fchownat(p.Dir, p.Name, uid, gid, unix.AT_SYMLINK_NOFOLLOW) })
}

// chmod goes through a descriptor, because kernels before 6.6 have no
// fchmodat that stops at a symlink.
func (c Calls) chmod(p Place, mode uint32) error {
	return c.step("chmod", func() error {
		fd, err := sysfs.Openat(p.Dir, p.Name, unix.O_PATH|unix.O_NOFOLLOW, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil {
			return err
		}
		if IsLink(&st) {
			return unix.ELOOP
		}
		return unix.Chmod(sysfs.ProcPath(fd), mode)
	})
}

// SetModTime sets the modification time and leaves the access time alone.
func (c Calls) SetModTime(p Place, mtime unix.Timespec) error {
	times := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, mtime}
	return c.step("set times", func() error {
		return unix.UtimesNanoAt(p.Dir, p.Name, times, unix.AT_SYMLINK_NOFOLLOW)
	})
}

// Fsync makes the content of a regular file durable.
func (c Calls) Fsync(p Place) error {
	return c.step("fsync", func() error {
		fd, err := sysfs.Openat(p.Dir, p.Name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return unix.Fsync(fd)
	})
}

// Xattrs reads all extended attributes of what is at p. None if the file
// system knows no attributes.
func (p Place) Xattrs() ([]archive.Xattr, error) {
	path := p.path()
	names := make([]byte, 64<<10) // the kernel's limit
	n, err := unix.Llistxattr(path, names)
	if err == unix.ENOTSUP {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var attrs []archive.Xattr
	for name := range strings.SplitSeq(string(names[:n]), "\x00") {
		if name == "" {
			continue
		}
		value := make([]byte, 64<<10)
		n, err := unix.Lgetxattr(path, name, value)
		if err == unix.ENODATA {
			continue // removed since
		}
		if err != nil {
			return nil, err
		}
		attrs = append(attrs, archive.Xattr{Name: name, Value: string(value[:n])})
	}
	return attrs, nil
}
