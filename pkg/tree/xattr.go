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
	attrs, err := readXattrs(
		func(buf []byte) (int, error) { return unix.Llistxattr(path, buf) },
		func(name string, buf []byte) (int, error) { return unix.Lgetxattr(path, name, buf) },
	)
	if err != nil {
		return nil, fmt.Errorf("read extended attributes of %q: %w", e.Path, err)
	}
	return attrs, nil
}

// Xattrs is Source.Xattrs for an open file, and several times faster.
func (f *File) Xattrs() ([]archive.Xattr, error) {
	attrs, err := readXattrs(
		func(buf []byte) (int, error) { return unix.Flistxattr(f.fd, buf) },
		func(name string, buf []byte) (int, error) { return unix.Fgetxattr(f.fd, name, buf) },
	)
	if err != nil {
		return nil, fmt.Errorf("read extended attributes of %q: %w", f.path, err)
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

// readXattrs reads all attributes through two calls: list is listxattr, get is
// getxattr, of one file.
func readXattrs(list func([]byte) (int, error), get func(string, []byte) (int, error)) ([]archive.Xattr, error) {
	names, err := sized(list)
	if len(names) == 0 || err != nil {
		return nil, ignore(err, unix.ENOTSUP)
	}
	var attrs []archive.Xattr
	for name := range strings.SplitSeq(strings.TrimSuffix(string(names), "\x00"), "\x00") {
		value, err := sized(func(buf []byte) (int, error) { return get(name, buf) })
		if err == unix.ENODATA {
			continue // removed since
		}
		if err != nil {
			return nil, fmt.Errorf("attribute %q: %w", name, err)
		}
		attrs = append(attrs, archive.Xattr{Name: name, Value: string(value)})
	}
	slices.SortFunc(attrs, func(a, b archive.Xattr) int { return strings.Compare(a.Name, b.Name) })
	return attrs, nil
}

// sized asks a call how much there is, which mostly is nothing, and then for
// it, again if it grew meanwhile. The kernel's limit is 64 KiB.
func sized(call func([]byte) (int, error)) ([]byte, error) {
	for {
		n, err := call(nil)
		if n <= 0 || err != nil {
			return nil, err
		}
		buf := make([]byte, n)
		if n, err = call(buf); err != unix.ERANGE {
			return buf[:max(n, 0)], err
		}
	}
}

// ignore returns err unless it is one of those.
func ignore(err error, those ...error) error {
	for _, e := range those {
		if errors.Is(err, e) {
			return nil
		}
	}
	return err
}
