// Package sysfs reaches the files below a root directory through directory
// descriptors: component by component, following no symlink and leaving the
// root by no path. Linux only.
package sysfs

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"
)

// maxOpen bounds the directories one Root holds open, so that the depth of a
// tree is not limited by RLIMIT_NOFILE.
const maxOpen = 64

// A Root is an open directory. It keeps the descriptors along the path it was
// last asked for, so that calls in path order cost one system call or none.
//
// Paths are relative and slash separated; "" is the root itself. A path with
// an empty, "." or ".." component or a NUL is an error that wraps
// fs.ErrInvalid; one that leads through a symlink or another non-directory
// wraps unix.ENOTDIR. A directory that is moved or replaced while its
// descriptor is held goes on serving its path; see Forget.
//
// A Root is for one goroutine at a time.
type Root struct {
	path   string  // of the deepest level
	levels []level // levels[0] is the root, always open
}

// A level is a directory on the way to Root.path.
type level struct {
	fd  int // -1 when closed to stay within maxOpen
	end int // the level's own path is Root.path[:end]
}

// Open opens the directory dir, following symlinks in dir itself, as a root.
func Open(dir string) (*Root, error) {
	fd, err := Openat(unix.AT_FDCWD, dir, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, fmt.Errorf("open directory %q: %w", dir, err)
	}
	return &Root{levels: []level{{fd: fd}}}, nil
}

// Clone returns a second root of the same directory with a path of its own.
func (r *Root) Clone() (*Root, error) {
	fd, err := unix.FcntlInt(uintptr(r.levels[0].fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("duplicate the root's descriptor: %w", err)
	}
	return &Root{levels: []level{{fd: fd}}}, nil
}

// Close closes every descriptor. Nothing was written through them, so there
// is nothing to report.
func (r *Root) Close() {
	r.pop(1)
	unix.Close(r.levels[0].fd)
	r.levels[0].fd = -1
}

// Dir returns a descriptor of the directory at path. It is opened with
// O_PATH, good for the *at calls and nothing else, and stays the Root's: it
// is valid until the next call.
func (r *Root) Dir(path string) (int, error) { return r.dir(path, nil) }

// MakeDir is Dir, but makes the directories that are missing, with the given
// permissions less the umask.
func (r *Root) MakeDir(path string, perm uint32) (int, error) { return r.dir(path, &perm) }

func (r *Root) dir(path string, perm *uint32) (int, error) {
	if top := r.levels[len(r.levels)-1]; path == r.path && top.fd >= 0 {
		return top.fd, nil
	}
	r.pop(r.shared(path))
	if err := r.descend(path, perm); err != nil {
		return -1, fmt.Errorf("open directory %q: %w", path, err)
	}
	return r.levels[len(r.levels)-1].fd, nil
}

// Parent returns the descriptor of the directory that path lies in, under the
// terms of Dir, and the last component, which it has checked. The root has no
// parent.
func (r *Root) Parent(path string) (int, string, error) { return r.parent(path, nil) }

// MakeParent is Parent with MakeDir in place of Dir.
func (r *Root) MakeParent(path string, perm uint32) (int, string, error) {
	return r.parent(path, &perm)
}

func (r *Root) parent(path string, perm *uint32) (int, string, error) {
	dir, name := Split(path)
	if err := checkName(name); err != nil {
		return -1, "", fmt.Errorf("path %q: %w", path, err)
	}
	fd, err := r.dir(dir, perm)
	return fd, name, err
}

// Forget closes what is held of path and below it, because another directory
// may be there now.
func (r *Root) Forget(path string) {
	if n := r.shared(path); path != "" && r.levels[n-1].end == len(path) {
		r.pop(n - 1)
	}
}

// shared returns how many levels lie on the way to path, the root included.
func (r *Root) shared(path string) int {
	common := commonPrefix(r.path, path)
	n := len(r.levels)
	for n > 1 {
		end := r.levels[n-1].end
		if end <= common && (end == len(path) || path[end] == '/') {
			break
		}
		n--
	}
	return n
}

func commonPrefix(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// pop drops all but the first n levels.
func (r *Root) pop(n int) {
	for _, l := range r.levels[n:] {
		if l.fd >= 0 {
			unix.Close(l.fd)
		}
	}
	r.levels = r.levels[:n]
	r.path = r.path[:r.levels[n-1].end]
}

// descend opens the levels from the deepest open one down to path, which the
// levels there are must lie on the way to.
func (r *Root) descend(path string, perm *uint32) error {
	if r.levels[0].fd < 0 {
		return fs.ErrClosed
	}
	n := len(r.levels)
	for r.levels[n-1].fd < 0 {
		n--
	}
	r.pop(n)
	for end := r.levels[n-1].end; end < len(path); n++ {
		start := end
		if start > 0 {
			start++
		}
		end = start + len(path[start:])
		if i := strings.IndexByte(path[start:], '/'); i >= 0 {
			end = start + i
		}
		fd, err := openDir(r.levels[n-1].fd, path[start:end], perm)
		if err != nil {
			return err
		}
		r.levels = append(r.levels, level{fd, end})
		r.path = path[:end]
		r.evict(n - maxOpen)
	}
	return nil
}

// evict closes level n but keeps its place. The root stays open.
func (r *Root) evict(n int) {
	if n > 0 && r.levels[n].fd >= 0 {
		unix.Close(r.levels[n].fd)
		r.levels[n].fd = -1
	}
}

func openDir(dir int, name string, perm *uint32) (int, error) {
	const flags = unix.O_PATH | unix.O_DIRECTORY | unix.O_NOFOLLOW
	if err := checkName(name); err != nil {
		return -1, err
	}
	fd, err := Openat(dir, name, flags, 0)
	if err != unix.ENOENT || perm == nil {
		return fd, err
	}
	if err := unix.Mkdirat(dir, name, *perm); err != nil && err != unix.EEXIST {
		return -1, err
	}
	return Openat(dir, name, flags, 0)
}

// Split cuts a path before its last component: "a/b/c" is "a/b" and "c".
func Split(path string) (dir, name string) {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return "", path
	}
	if i == 0 {
		return "/", path[1:] // not a relative path: Dir refuses it
	}
	return path[:i], path[i+1:]
}

func checkName(name string) error {
	if name == "" || name == "." || name == ".." || strings.IndexByte(name, 0) >= 0 {
		return fmt.Errorf("bad component %q: %w", name, fs.ErrInvalid)
	}
	return nil
}

// Gone reports whether err says that a path does not exist, be it that a
// directory on the way is missing or is something else by now.
func Gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP)
}
