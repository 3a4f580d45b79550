package tree

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"tklbam/chain/archive"
	"tklbam/pkg/sysfs"
)

// A Loss is a kind of metadata an entry was restored without.
type Loss string

// What can be lost, for want of privilege or because the file system cannot
// hold it.
const (
	LostOwner Loss = "owner"
	LostMode  Loss = "mode"
	LostSetID Loss = "set-id bits" // dropped because the owner could not be set
	LostXattr Loss = "extended attribute"
	LostTimes Loss = "modification time"
)

// A lossCount counts losses and reports the first of each kind.
type lossCount struct {
	report func(path string, what Loss, err error)
	mu     sync.Mutex
	counts map[Loss]int
}

func (l *lossCount) add(path string, what Loss, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.counts == nil {
		l.counts = make(map[Loss]int)
	}
	l.counts[what]++
	if l.counts[what] == 1 && l.report != nil {
		l.report(path, what, err)
	}
}

// Stats returns how much metadata was lost, by kind.
func (t *Target) Stats() map[Loss]int {
	t.losses.mu.Lock()
	defer t.losses.mu.Unlock()
	return maps.Clone(t.losses.counts)
}

// SetDirMeta gives a directory its owner, mode, extended attributes and times.
// Writing below it afterwards would change the times again, and may not be
// permitted. Attributes it has and the entry lacks stay.
func (t *Target) SetDirMeta(e *archive.Entry) error {
	if err := expect(e, archive.Directory); err != nil {
		return err
	}
	t.mu.Lock()
	fd, err := t.openDir(e.Path)
	t.mu.Unlock()
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := t.apply(openFile(fd), e); err != nil {
		return fmt.Errorf("restore metadata of directory %q: %w", e.Path, err)
	}
	return nil
}

// openDir opens a directory for more than the *at calls.
func (t *Target) openDir(path string) (int, error) {
	dir, err := t.root.Dir(path)
	if err != nil {
		return -1, err
	}
	fd, err := sysfs.OpenRead(dir, ".", unix.O_DIRECTORY)
	if err != nil {
		return -1, fmt.Errorf("open directory %q: %w", path, err)
	}
	return fd, nil
}

// apply sets all metadata, in the order in which nothing undoes what is set
// already: a change of owner clears set-id bits and capabilities, user
// attributes need write permission, ACLs refine the mode, and everything but
// the times leaves the times alone.
func (t *Target) apply(o object, e *archive.Entry) error {
	mode := e.Mode & 07777
	owned, err := t.setOwner(o, e)
	if err != nil {
		return err
	}
	if err := t.setXattrs(o, e, false); err != nil {
		return err
	}
	if !owned && mode&(unix.S_ISUID|unix.S_ISGID) != 0 {
		mode &^= unix.S_ISUID | unix.S_ISGID
		t.losses.add(e.Path, LostSetID, errNotOwner)
	}
	if e.Type != archive.Symlink {
		if err := t.tolerate(o.chmod(mode), e, LostMode, "set mode"); err != nil {
			return err
		}
	}
	if err := t.setXattrs(o, e, true); err != nil {
		return err
	}
	return t.tolerate(o.setTime(e), e, LostTimes, "set times")
}

var (
	errNotOwner = errors.New("the owner could not be set")
	errNoSuchID = errors.New("owner out of range")
)

// setOwner reports whether the file has the owner and group it should have.
// Without privilege that is tried only where it is a change, and the group
// alone if not both.
func (t *Target) setOwner(o object, e *archive.Entry) (bool, error) {
	uid, gid := e.UID, e.GID
	if !t.opts.Numeric {
		uid, gid = t.ids.users.or(e.User, uid), t.ids.groups.or(e.Group, gid)
	}
	if !validID(uid) || !validID(gid) {
		t.losses.add(e.Path, LostOwner, errNoSuchID)
		return false, nil
	}
	if t.euid != 0 {
		var st unix.Stat_t
		if err := o.stat(&st); err != nil {
			return false, fmt.Errorf("stat: %w", err)
		}
		if int(st.Uid) == uid && int(st.Gid) == gid {
			return true, nil
		}
	}
	err := o.chown(uid, gid)
	if refused(err) {
		_ = o.chown(-1, gid) // better than nothing; the loss is counted anyway
	}
	return err == nil, t.tolerate(err, e, LostOwner, "set owner")
}

// validID reports whether the kernel takes a number for an id; -1 means none.
func validID(id int) bool { return id >= 0 && int64(id) < math.MaxUint32 }

// Attributes whose place is after chmod and chown.
const (
	aclAccess  = "system.posix_acl_access"
	aclDefault = "system.posix_acl_default"
	capability = "security.capability"
)

// setXattrs sets either the attributes that depend on mode and owner or all
// others.
func (t *Target) setXattrs(o object, e *archive.Entry, dependent bool) error {
	for _, x := range e.Xattrs {
		if dependent != (x.Name == aclAccess || x.Name == aclDefault || x.Name == capability) {
			continue
		}
		err := o.setXattr(x.Name, []byte(x.Value))
		if unfit(err) {
			t.losses.add(e.Path, LostXattr, fmt.Errorf("set %q: %w", x.Name, err))
			continue
		}
		if err := t.tolerate(err, e, LostXattr, "set "+x.Name); err != nil {
			return err
		}
	}
	return nil
}

// tolerate counts what was refused as a loss and returns any other error.
func (t *Target) tolerate(err error, e *archive.Entry, what Loss, action string) error {
	if err == nil {
		return nil
	}
	err = fmt.Errorf("%s: %w", action, err)
	if !refused(err) {
		return err
	}
	t.losses.add(e.Path, what, err)
	return nil
}

// refused reports whether a file system or the lack of privilege makes a call
// impossible. EINVAL is what a user namespace says of an id it does not map,
// ERANGE stands for a time that does not fit the system call.
func refused(err error) bool {
	for _, e := range []error{unix.EPERM, unix.EACCES, unix.ENOTSUP, unix.ENOSYS, unix.EINVAL, unix.ERANGE} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// unfit reports whether an attribute is too much for the file system. ENOSPC
// is about the room beside the inode; that a disk is full shows soon enough.
func unfit(err error) bool {
	return err == unix.E2BIG || err == unix.ENOSPC
}

// dropACL removes what a new file inherited from its directory, so that
// nobody gets at it who is not let in by its own mode and ACL.
func dropACL(o object, names ...string) error {
	for _, name := range names {
		if err := ignore(o.dropXattr(name), unix.ENODATA, unix.ENOTSUP); err != nil {
			return fmt.Errorf("remove inherited %s: %w", name, err)
		}
	}
	return nil
}

// modTimes leaves the access time as it is.
func modTimes(e *archive.Entry) (times [2]unix.Timespec, err error) {
	times[0].Nsec = unix.UTIME_OMIT
	times[1], err = unix.TimeToTimespec(e.ModTime)
	return times, err
}

// An object is a file as metadata is set on it: open, or by its name in a
// directory.
type object interface {
	stat(*unix.Stat_t) error
	chown(uid, gid int) error
	chmod(mode uint32) error
	setXattr(name string, value []byte) error
	dropXattr(name string) error
	setTime(*archive.Entry) error
}

// An openFile is a descriptor of a regular file or directory.
type openFile int

func (f openFile) stat(st *unix.Stat_t) error { return unix.Fstat(int(f), st) }
func (f openFile) chown(uid, gid int) error   { return unix.Fchown(int(f), uid, gid) }
func (f openFile) chmod(mode uint32) error    { return unix.Fchmod(int(f), mode) }

func (f openFile) setXattr(name string, value []byte) error {
	return unix.Fsetxattr(int(f), name, value, 0)
}

// dropXattr asks first: a removal of nothing costs a journal entry.
func (f openFile) dropXattr(name string) error {
	if _, err := unix.Fgetxattr(int(f), name, nil); err != nil {
		return err
	}
	return unix.Fremovexattr(int(f), name)
}

func (f openFile) setTime(e *archive.Entry) error {
	times, err := modTimes(e)
	if err != nil {
		return err
	}
	return sysfs.SetTimes(int(f), times)
}

// A namedFile is a file that cannot or should not be opened. No call follows
// a symlink.
type namedFile struct {
	dir  int
	name string
}

func (f namedFile) stat(st *unix.Stat_t) error { return sysfs.Lstatat(f.dir, f.name, st) }

func (f namedFile) chown(uid, gid int) error {
	return unix.Fchownat(f.dir, f.name, uid, gid, unix.AT_SYMLINK_NOFOLLOW)
}

// chmod goes through a descriptor, because kernels before 6.6 have no
// fchmodat that stops at a symlink.
func (f namedFile) chmod(mode uint32) error {
	fd, err := sysfs.Openat(f.dir, f.name, unix.O_PATH|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFLNK {
		return unix.ELOOP
	}
	return unix.Chmod(sysfs.ProcPath(fd), mode)
}

func (f namedFile) path() string {
	return strings.Join([]string{sysfs.ProcPath(f.dir), f.name}, "/")
}

func (f namedFile) setXattr(name string, value []byte) error {
	return unix.Lsetxattr(f.path(), name, value, 0)
}

func (f namedFile) dropXattr(name string) error {
	path := f.path()
	if _, err := unix.Lgetxattr(path, name, nil); err != nil {
		return err
	}
	return unix.Lremovexattr(path, name)
}

func (f namedFile) setTime(e *archive.Entry) error {
	times, err := modTimes(e)
	if err != nil {
		return err
	}
	return unix.UtimesNanoAt(f.dir, f.name, times[:], unix.AT_SYMLINK_NOFOLLOW)
}
