// Package archive holds the entries of a chain and writes and reads the two
// tar streams that carry them: difftar volumes (what changed) and sigtars
// (what the tree was, with a signature for every regular file).
package archive

import (
	"strings"
	"time"
)

// A Type says what kind of file an entry is.
type Type uint8

// The types a chain can hold. Sockets have no tar form and are skipped by
// every writer.
const (
	Regular Type = iota + 1
	Directory
	Symlink
	Fifo
	CharDevice
	BlockDevice
)

// String returns the type in the words of find -ls and stat.
func (t Type) String() string {
	switch t {
	case Regular:
		return "file"
	case Directory:
		return "directory"
	case Symlink:
		return "symlink"
	case Fifo:
		return "fifo"
	case CharDevice:
		return "character device"
	case BlockDevice:
		return "block device"
	}
	return "unknown type"
}

// An Entry is one file of the tree with its metadata. Strings hold the bytes
// the file system holds, in no particular encoding.
type Entry struct {
	Path        string // slash separated, relative to the root; "" is the root itself
	Type        Type
	Mode        uint32 // permission, setuid, setgid and sticky bits: 07777
	UID, GID    int
	User, Group string    // "" when the id has no name
	ModTime     time.Time // UTC
	Size        int64     // regular files, in bytes; -1 when the chain does not say
	Linkname    string    // symlinks
	Major       uint32    // devices
	Minor       uint32

	// What the stock format has no place for. Absent values are zero.
	ChangeTime time.Time // ctime on the machine that was backed up; zero makes the next session read the file again
	Device     uint64    // with Inode: identity on the machine that was backed up
	Inode      uint64
	Links      uint32 // hard links to the inode, when more than one
	HardLink   string // path of an earlier entry that is the same inode; "" if none
	Sparse     bool   // fewer blocks than bytes: restored with holes
	Xattrs     []Xattr
	Digest     Digest
}

// A Digest identifies the whole content of a regular file: the start of a
// hash over the hashes of its blocks, so that making it costs nothing beside
// a signature of the same block length. The zero Digest is none.
type Digest struct {
	BlockLen int // bytes
	Sum      [DigestLen]byte
}

// DigestLen is the length of a digest's sum in bytes: enough to tell damage
// and edits apart from identity; forgery is the encryption's business.
const DigestLen = 16

// Known reports whether d is a digest at all.
func (d Digest) Known() bool { return d.BlockLen > 0 }

// An Xattr is one extended attribute, POSIX ACLs and file capabilities
// included ("system.posix_acl_access", "security.capability").
type Xattr struct {
	Name  string
	Value string
}

// Compare orders paths as every stream of a chain is ordered: by components,
// each compared as bytes, so that a directory's content directly follows it
// ("a", "a/b", "a.d").
func Compare(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if x, y := a[i], b[i]; x != y {
			switch {
			case x == '/':
				return -1
			case y == '/':
				return 1
			case x < y:
				return -1
			}
			return 1
		}
	}
	return len(a) - len(b)
}

// Within reports whether path is dir itself or lies below it. Every path
// lies within the root "".
func Within(path, dir string) bool {
	if dir == "" || path == dir {
		return true
	}
	return strings.HasPrefix(path, dir) && path[len(dir)] == '/'
}

// SameStat reports whether a and b agree in everything a stock session
// compares: type, mode, owner, modification time in seconds, link target and
// device numbers. Sizes are compared when both are known.
func SameStat(a, b *Entry) bool {
	if a.Type != b.Type {
		return false
	}
	switch a.Type {
	case Symlink:
		return a.Linkname == b.Linkname
	case CharDevice, BlockDevice:
		return sameOwner(a, b) && a.Major == b.Major && a.Minor == b.Minor
	case Regular:
		if a.Size >= 0 && b.Size >= 0 && a.Size != b.Size {
			return false
		}
	}
	return sameOwner(a, b) && a.ModTime.Unix() == b.ModTime.Unix()
}

func sameOwner(a, b *Entry) bool {
	return a.Mode == b.Mode && a.UID == b.UID && a.GID == b.GID
}
