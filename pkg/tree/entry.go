package tree

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"tklbam/chain/archive"
)

var errSocket = errors.New("socket, which no chain can hold")

func typeOf(mode uint32) archive.Type {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return archive.Regular
	case unix.S_IFDIR:
		return archive.Directory
	case unix.S_IFLNK:
		return archive.Symlink
	case unix.S_IFIFO:
		return archive.Fifo
	case unix.S_IFCHR:
		return archive.CharDevice
	case unix.S_IFBLK:
		return archive.BlockDevice
	}
	return 0
}

// describe fills in all of an entry that a stat tells. False means a type no
// chain can hold, a socket.
func describe(e *archive.Entry, st *unix.Stat_t, ids *idNames) bool {
	e.Type = typeOf(st.Mode)
	e.Mode = st.Mode & 07777
	e.UID, e.GID = int(st.Uid), int(st.Gid)
	e.User, e.Group = ids.users.names[e.UID], ids.groups.names[e.GID]
	e.ModTime = timeOf(st.Mtim)
	e.ChangeTime = timeOf(st.Ctim)
	e.Device, e.Inode = uint64(st.Dev), st.Ino
	e.Size, e.Links, e.Sparse, e.Major, e.Minor = 0, 0, false, 0, 0
	if st.Nlink > 1 && e.Type != archive.Directory {
		e.Links = uint32(st.Nlink)
	}
	switch e.Type {
	case archive.Regular:
		e.Size = st.Size
		e.Sparse = st.Blocks*512 < st.Size
	case archive.CharDevice, archive.BlockDevice:
		e.Major, e.Minor = unix.Major(uint64(st.Rdev)), unix.Minor(uint64(st.Rdev))
	}
	return e.Type != 0
}

func timeOf(ts unix.Timespec) time.Time { return time.Unix(ts.Unix()).UTC() }

func identity(st *unix.Stat_t) Identity { return Identity{uint64(st.Dev), st.Ino} }

// readTarget fills in the target of a symlink.
func readTarget(e *archive.Entry, dir int, name string) error {
	if e.Type != archive.Symlink {
		return nil
	}
	var buf [unix.PathMax]byte
	n, err := unix.Readlinkat(dir, name, buf[:])
	if err != nil {
		return fmt.Errorf("read symlink %q: %w", e.Path, err)
	}
	e.Linkname = string(buf[:n])
	return nil
}

// hardLinks remembers the first path of every inode that has more. An inode
// is dropped once all its links were met, so that a tree with many of them
// does not fill the memory.
type hardLinks map[Identity]*linked

type linked struct {
	path string
	left uint32
}

// first returns the path under which the inode of a regular file was met
// before, "" if never.
func (h hardLinks) first(e *archive.Entry) string {
	if e.Type != archive.Regular || e.Links < 2 {
		return ""
	}
	id := Identity{e.Device, e.Inode}
	seen := h[id]
	if seen == nil {
		h[id] = &linked{e.Path, e.Links - 1}
		return ""
	}
	if seen.left--; seen.left == 0 {
		delete(h, id)
	}
	return seen.path
}

// raceWindow is more than the step of any kernel's clock for file times (10 ms
// at 100 Hz), with room for a slow network file system.
const raceWindow = 50 * time.Millisecond

// Racy reports whether a file may have changed after it was opened at the
// given time and still show the same change time. A session clears the
// ChangeTime of such an entry, so that the next one reads the file again.
func Racy(e *archive.Entry, opened time.Time) bool {
	return opened.Sub(e.ChangeTime) <= raceWindow
}
