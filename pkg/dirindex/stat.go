package dirindex

import (
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"

	"tklbam/pkg/sysfs"
)

// Stat looks at one absolute path below root. A path that is not there, or
// leads through a symlink or another non-directory, is an error that wraps
// fs.ErrNotExist. It follows no symlink.
func Stat(root *sysfs.Root, path string) (Record, error) {
	rec, err := stat(root, path)
	switch {
	case err == nil:
		return rec, nil
	case sysfs.Gone(err):
		return Record{}, fmt.Errorf("stat %q: %w", path, fs.ErrNotExist)
	}
	return Record{}, fmt.Errorf("stat %q: %w", path, err)
}

func stat(root *sysfs.Root, path string) (Record, error) {
	if err := checkPath(path); err != nil {
		return Record{}, err
	}
	if path == "/" {
		return statRoot(root)
	}
	dir, name, err := root.Parent(path[1:])
	if err != nil {
		return Record{}, err
	}
	rec, _, err := statAt(dir, name, path)
	return rec, err
}

func statRoot(root *sysfs.Root) (Record, error) {
	var st unix.Stat_t
	dir, err := root.Dir("")
	if err == nil {
		err = unix.Fstat(dir, &st)
	}
	return newRecord("/", &st), err
}

// statAt makes the record of name in a directory. The identity of what it
// found comes with it.
func statAt(dir int, name, path string) (rec Record, st unix.Stat_t, err error) {
	if err := sysfs.Lstatat(dir, name, &st); err != nil {
		return Record{}, st, err
	}
	rec = newRecord(path, &st)
	if rec.IsSymlink() {
		rec.Target, err = readlink(dir, name)
	}
	return rec, st, err
}

func newRecord(path string, st *unix.Stat_t) Record {
	return Record{
		Path:  path,
		Mode:  st.Mode,
		UID:   int(st.Uid),
		GID:   int(st.Gid),
		Size:  st.Size,
		MTime: int64(st.Mtim.Sec),
	}
}

func readlink(dir int, name string) (string, error) {
	var buf [unix.PathMax]byte
	n, err := unix.Readlinkat(dir, name, buf[:])
	if err != nil {
		return "", fmt.Errorf("read symlink: %w", err)
	}
	return string(buf[:n]), nil
}
