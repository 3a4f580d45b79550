package dirindex

import (
	"context"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"

	"tklbam/pkg/sysfs"
	"tklbam/pkg/tree"
)

// Options say what a Scanner yields.
type Options struct {
	// Root is the directory that paths are below. A symlink here is followed.
	Root string

	Scope *Scope

	// SkipDirs are directories that are left out with all they contain, by
	// whatever path they are met: what the session itself writes to.
	SkipDirs []tree.Identity

	// Warn, if set, is told of what is there but cannot be read. What vanishes
	// during the scan, and a path that is listed but absent, is just not there;
	// a listed path that leads through a symlink is warned of.
	Warn func(path string, err error)
}

// A Scanner yields the records of all paths of a scope in the order of an
// index. It follows no symlink. Below an excluded directory it looks only for
// paths that are listed. It is for one goroutine.
//
// It keeps no more than the names in the directories on the way to the path it
// is at.
type Scanner struct {
	opts  Options
	root  *sysfs.Root
	skip  map[tree.Identity]bool
	stack []*level
	blind map[string]bool // what was not looked at or into
	spare []*sysfs.Names  // for reuse
	buf   []byte
	err   error
}

// A level is a directory on the way to where the scan is.
//
// The content of a directory "a" comes in order as if it were named "a/":
// after "a-b" and before "ab". So a directory waits until the next name is past
// that. The names of those that wait begin with each other's ("a", "a-", "a--"),
// and the longest comes first: the last to wait is the first to be entered.
type level struct {
	dir     string // absolute path
	prefix  int    // length of what comes before the names in a path
	names   names
	next    int
	waiting []string // paths of directories
}

type names interface {
	Len() int
	At(i int) []byte
}

// roots are the names at the top of a scan: whole paths, none below another,
// to which applies what is said of names.
type roots []string

func (r roots) Len() int        { return len(r) }
func (r roots) At(i int) []byte { return []byte(r[i]) }

// NewScanner opens the root directory.
func NewScanner(opts Options) (*Scanner, error) {
	root, err := sysfs.Open(opts.Root)
	if err != nil {
		return nil, err
	}
	s := &Scanner{
		opts:  opts,
		root:  root,
		skip:  make(map[tree.Identity]bool, len(opts.SkipDirs)),
		stack: []*level{{names: roots(opts.Scope.roots)}},
		blind: make(map[string]bool),
		buf:   make([]byte, sysfs.ListBuffer),
	}
	for _, id := range opts.SkipDirs {
		s.skip[id] = true
	}
	return s, nil
}

// Close releases the directory.
func (s *Scanner) Close() { s.root.Close() }

// Unknown reports whether the scan could not or was not to tell if a path that
// it did not yield, and has gone past, is there.
func (s *Scanner) Unknown(path string) bool {
	if len(s.blind) == 0 {
		return false
	}
	for ; path != "/"; path = parent(path) {
		if s.blind[path] {
			return true
		}
	}
	return s.blind["/"]
}

func parent(path string) string {
	dir, _ := sysfs.Split(path)
	if dir == "" {
		return "/"
	}
	return dir
}

// Next returns the next record, and io.EOF after the last. Other errors are
// final too and not about a single path.
func (s *Scanner) Next() (Record, error) {
	for s.err == nil {
		l := s.stack[len(s.stack)-1]
		switch dir, ok := l.due(); {
		case ok:
			s.err = s.enter(dir)
		case l.next == l.names.Len():
			s.leave()
		default:
			name := l.names.At(l.next)
			l.next++
			if rec, ok := s.visit(l, name); ok {
				return rec, s.err
			}
		}
	}
	return Record{}, s.err
}

// due takes the directory that comes before the next name off the waiting
// ones.
func (l *level) due() (dir string, ok bool) {
	last := len(l.waiting) - 1
	if last < 0 {
		return "", false
	}
	dir = l.waiting[last]
	if l.next < l.names.Len() && !past(l.names.At(l.next), dir[l.prefix:]) {
		return "", false
	}
	l.waiting = l.waiting[:last]
	return dir, true
}

// past reports whether name comes after all that lies in the directory dir.
// It is no prefix of dir, and does not lie in it.
func past(name []byte, dir string) bool {
	n := min(len(name), len(dir))
	if start := string(name[:n]); start != dir[:n] {
		return start > dir[:n]
	}
	return len(name) > n && name[n] > '/'
}

// visit looks at a path. There is no record if it is not covered or not there.
func (s *Scanner) visit(l *level, name []byte) (Record, bool) {
	path := l.join(name)
	in := s.opts.Scope.Match(path)
	if !in && !s.opts.Scope.mayContain(path) {
		return Record{}, false
	}
	rec, id, err := s.look(l, path)
	switch {
	case err != nil:
		s.fail(l, path, err)
		return Record{}, false
	case !rec.IsDir():
		return rec, in
	case s.skip[id]:
		s.blind[path] = true
		return Record{}, false
	}
	l.waiting = append(l.waiting, path)
	return rec, in
}

func (l *level) join(name []byte) string {
	if l.prefix <= 1 {
		return l.dir + string(name)
	}
	return l.dir + "/" + string(name)
}

// look makes the record of a path in the directory of a level.
func (s *Scanner) look(l *level, path string) (Record, tree.Identity, error) {
	if path == "/" {
		rec, err := statRoot(s.root)
		return rec, tree.Identity{}, err // the root is never skipped
	}
	dir, name, err := s.root.Parent(path[1:])
	if err != nil {
		return Record{}, tree.Identity{}, err
	}
	rec, st, err := statAt(dir, name, path)
	return rec, tree.Identity{Device: uint64(st.Dev), Inode: st.Ino}, err
}

// fail deals with a path that cannot be looked at or, as a directory, into.
func (s *Scanner) fail(l *level, path string, err error) {
	switch {
	case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE):
		s.err = fmt.Errorf("scan %q: %w", path, err) // this process's trouble
		return
	case sysfs.Gone(err) && (l.dir != "" || !s.behindSymlink(path)):
		return
	}
	s.blind[shallow(path)] = true
	if s.opts.Warn != nil {
		s.opts.Warn(path, fmt.Errorf("scan %q: %w", clip(path), err))
	}
}

// behindSymlink reports whether a path leads through a symlink. It looks at no
// more than the first non-directory on the way.
func (s *Scanner) behindSymlink(path string) bool {
	for i := 1; i < len(path); i++ {
		if path[i] != '/' {
			continue
		}
		if rec, err := stat(s.root, path[:i]); err != nil || !rec.IsDir() {
			return err == nil && rec.IsSymlink()
		}
	}
	return false
}

// shallow returns the path or, so that a deep tree does not fill the memory
// with what is remembered of it, the directory above it that is short.
func shallow(path string) string {
	for len(path) > unix.PathMax {
		path = parent(path)
	}
	return path
}

// enter goes down into a directory.
func (s *Scanner) enter(dir string) error {
	names := s.emptyNames()
	err := s.list(dir, names)
	l := &level{dir: dir, prefix: len(dir) + 1, names: names}
	if dir == "/" {
		l.prefix = 1
	}
	if err != nil {
		s.reuse(names)
		s.fail(l, dir, err)
		return s.err
	}
	s.stack = append(s.stack, l)
	return nil
}

// list reads the names in a directory. One so deep that a name in it could
// make a path longer than MaxPath is not read.
func (s *Scanner) list(dir string, names *sysfs.Names) error {
	if len(dir)+1+unix.NAME_MAX > MaxPath {
		return unix.ENAMETOOLONG
	}
	fd, err := s.root.Dir(dir[1:])
	if err != nil {
		return err
	}
	return names.Read(fd, s.buf)
}

// leave goes back up; from the top it is the end.
func (s *Scanner) leave() {
	last := len(s.stack) - 1
	if last == 0 {
		s.err = io.EOF
		return
	}
	s.reuse(s.stack[last].names.(*sysfs.Names))
	s.stack[last] = nil
	s.stack = s.stack[:last]
}

func (s *Scanner) emptyNames() *sysfs.Names {
	n := len(s.spare)
	if n == 0 {
		return new(sysfs.Names)
	}
	names := s.spare[n-1]
	s.spare = s.spare[:n-1]
	return names
}

// What is kept of listings for reuse: the number of names up to which one is,
// and how many are.
const (
	maxSpareNames = 4096
	maxSpare      = 64
)

func (s *Scanner) reuse(names *sysfs.Names) {
	if names.Len() <= maxSpareNames && len(s.spare) < maxSpare {
		names.Reset()
		s.spare = append(s.spare, names)
	}
}

// Create writes the index of a scope to w.
func Create(ctx context.Context, w io.Writer, opts Options) error {
	s, err := NewScanner(opts)
	if err != nil {
		return err
	}
	defer s.Close()
	out := NewWriter(w)
	for {
		rec, err := s.Next()
		if err == io.EOF {
			return out.Flush()
		}
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = out.Write(rec)
		}
		if err != nil {
			return err
		}
	}
}
