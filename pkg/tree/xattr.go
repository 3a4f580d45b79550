package tree

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"tklbam/chain/archive"
	"tklbam/pkg/sysfs"
)

// Xattrs returns all extended attributes of a file of any type, sorted by
// name: what llistxattr lists, POSIX ACLs and file capabilities included.
// None if the file system knows no attributes. It needs /proc.
func (s *Source) Xattrs(e *archive.Entry) ([]archive.Xattr, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	path, err := s.xattrPath(e.Path)
	if err != nil {
		return nil, err
	}
	attrs, err := s.listXattrs(path)
	if err != nil {
		return nil, fmt.Errorf("read extended attributes of %q: %w", e.Path, err)
	}
	return attrs, nil
}

// xattrPath leads to a file through its directory's descriptor. Only the last
// component could be a symlink, which the l* calls do not follow.
func (s *Source) xattrPath(path string) (string, error) {
	if path == "" {
		dir, err := s.root.Dir("")
		return sysfs.ProcPath(dir) + "/.", err
	}
	dir, name, err := s.root.Parent(path)
	return sysfs.ProcPath(dir) + "/" + name, err
}

func (s *Source) listXattrs(path string) ([]archive.Xattr, error) {
	if s.buf == nil {
		s.buf = make([]byte, maxXattr)
	}
	n, err := unix.Llistxattr(path, s.buf)
	if n <= 0 || errors.Is(err, unix.ENOTSUP) {
		return nil, ignore(err, unix.ENOTSUP)
	}
	var attrs []archive.Xattr
	for name := range strings.SplitSeq(strings.TrimSuffix(string(s.buf[:n]), "\x00"), "\x00") {
		n, err := unix.Lgetxattr(path, name, s.buf)
		if err == unix.ENODATA {
			continue // removed since
		}
		if err != nil {
			return nil, fmt.Errorf("attribute %q: %w", name, err)
		}
		attrs = append(attrs, archive.Xattr{Name: name, Value: string(s.buf[:n])})
	}
	slices.SortFunc(attrs, func(a, b archive.Xattr) int { return strings.Compare(a.Name, b.Name) })
	return attrs, nil
}

// maxXattr is the kernel's limit in bytes for a value as well as for a list of
// names (XATTR_SIZE_MAX, XATTR_LIST_MAX).
const maxXattr = 64 << 10

// ignore returns err unless it is one of those.
func ignore(err error, those ...error) error {
	for _, e := range those {
		if errors.Is(err, e) {
			return nil
		}
	}
	return err
}
