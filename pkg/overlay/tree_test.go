package overlay

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tklbam/chain/archive"
	"tklbam/pkg/rollback"
	"tklbam/pkg/tree"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// needs skips a test where a program is absent, but not in CI.
func needs(t testing.TB, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is not installed", program)
		}
		t.Skipf("%s is not installed", program)
	}
}

func needsRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
}

// inMemory makes a directory on a file system in memory, if there is one.
func inMemory(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "overlay")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	return dir
}

// otherFS makes a directory on a file system of its own.
func otherFS(t testing.TB, size string) string {
	t.Helper()
	needsRoot(t)
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("cannot mount: %v", err)
	}
	t.Cleanup(func() { must(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	return dir
}

// A shape is a tree as a value: what every path is. Paths of files that are
// one share the same node.
type shape map[string]*node

type node struct {
	typ      archive.Type
	mode     uint32
	uid, gid int
	mtime    int64
	content  string
	xattr    string // value of user.test; "" if none
}

// names have what makes trouble.
var names = []string{"a", "b", "c", "a.d", "new\nline", "tab\t", "sp ace", "\xff\xfe", "-rf", "ünï"}

var modTime = time.Date(2020, 2, 2, 2, 2, 2, 123456789, time.UTC).UnixNano()

func randomNode(r *rand.Rand, typ archive.Type) *node {
	n := &node{typ: typ, mode: []uint32{0o644, 0o600, 0o755, 0o4755, 0o2710}[r.IntN(5)], mtime: modTime + r.Int64N(1e15)}
	if os.Geteuid() == 0 {
		n.uid, n.gid = r.IntN(3)*1000, r.IntN(3)*1000
	} else {
		n.uid, n.gid = os.Geteuid(), os.Getegid()
	}
	switch typ {
	case archive.Directory:
		n.mode |= 0o700
	case archive.Symlink:
		n.mode = 0o777
		n.content = []string{"a", "../b", "/etc/passwd", "nowhere", "."}[r.IntN(5)]
	case archive.Regular:
		n.content = strings.Repeat(fmt.Sprint(r.Uint32()), r.IntN(20))
	}
	if r.IntN(4) == 0 && (typ == archive.Regular || typ == archive.Directory) {
		n.xattr = fmt.Sprint("x", r.IntN(100))
	}
	return n
}

func randomType(r *rand.Rand) archive.Type {
	return []archive.Type{archive.Regular, archive.Regular, archive.Regular, archive.Directory, archive.Directory, archive.Symlink, archive.Fifo}[r.IntN(7)]
}

// grow adds n random nodes; new names of files that it added are possible.
func (s shape) grow(r *rand.Rand, n int) {
	dirs := []string{""}
	for _, p := range slices.Sorted(maps.Keys(s)) {
		if s[p].typ == archive.Directory {
			dirs = append(dirs, p)
		}
	}
	var files []*node
	for range n {
		p := below(dirs[r.IntN(len(dirs))], names[r.IntN(len(names))])
		if s[p] != nil {
			continue
		}
		s[p] = randomNode(r, randomType(r))
		switch {
		case s[p].typ == archive.Directory:
			dirs = append(dirs, p)
		case s[p].typ == archive.Regular && len(files) > 0 && r.IntN(3) == 0:
			s[p] = files[r.IntN(len(files))]
		case s[p].typ == archive.Regular:
			files = append(files, s[p])
		}
	}
}

func (s shape) drop(path string) {
	for p := range s {
		if archive.Within(p, path) {
			delete(s, p)
		}
	}
}

// mutated returns another shape: some paths are gone, replaced by whatever
// type, or have another owner and mode; and there are new ones.
func (s shape) mutated(r *rand.Rand) shape {
	m := maps.Clone(s)
	for _, p := range slices.Sorted(maps.Keys(s)) {
		n := m[p]
		if n == nil {
			continue
		}
		switch r.IntN(6) {
		case 0:
			m.drop(p)
		case 1:
			m.drop(p)
			m[p] = randomNode(r, randomType(r))
		case 2:
			c := *n
			like := randomNode(r, n.typ)
			c.mode, c.uid, c.gid = like.mode, like.uid, like.gid
			for name, other := range m {
				if other == n {
					m[name] = &c // a file has its metadata under all of its names
				}
			}
		}
	}
	m.grow(r, 8)
	for p, n := range s {
		if n.typ == archive.Symlink && m[p] != nil && m[p].typ == archive.Directory {
			m.drop(p) // a symlink that leads to a directory would do instead
		}
	}
	return m
}

// write makes the tree in a directory.
func (s shape) write(t testing.TB, dir string) {
	t.Helper()
	must(t, os.MkdirAll(dir, 0o755))
	first := make(map[*node]string)
	paths := slices.SortedFunc(maps.Keys(s), archive.Compare)
	for _, p := range paths {
		n, full := s[p], filepath.Join(dir, p)
		if f, ok := first[n]; ok {
			must(t, os.Link(f, full))
			continue
		}
		switch n.typ {
		case archive.Regular:
			must(t, os.WriteFile(full, []byte(n.content), 0o600))
			first[n] = full
		case archive.Directory:
			must(t, os.Mkdir(full, 0o700))
		case archive.Symlink:
			must(t, os.Symlink(n.content, full))
		case archive.Fifo:
			must(t, unix.Mkfifo(full, 0o600))
		}
	}
	slices.Reverse(paths)
	for _, p := range paths {
		n, full := s[p], filepath.Join(dir, p)
		must(t, os.Lchown(full, n.uid, n.gid))
		if n.xattr != "" {
			must(t, unix.Lsetxattr(full, "user.test", []byte(n.xattr), 0))
		}
		if n.typ != archive.Symlink {
			must(t, unix.Chmod(full, n.mode))
		}
		ts := unix.NsecToTimespec(n.mtime)
		must(t, unix.UtimesNanoAt(unix.AT_FDCWD, full, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW))
	}
	ts := unix.NsecToTimespec(modTime)
	must(t, unix.UtimesNanoAt(unix.AT_FDCWD, dir, []unix.Timespec{ts, ts}, 0))
}

// snapshot describes all that is below a directory, and the directory: a line
// for every path. Names of one file refer to the first.
func snapshot(t testing.TB, dir string) map[string]string {
	t.Helper()
	lines := make(map[string]string)
	first := make(map[inode]string)
	must(t, filepath.WalkDir(dir, func(full string, _ fs.DirEntry, err error) error {
		must(t, err)
		var st unix.Stat_t
		must(t, unix.Lstat(full, &st))
		p, err := filepath.Rel(dir, full)
		must(t, err)
		line := fmt.Sprintf("%o %d:%d %d", st.Mode, st.Uid, st.Gid, st.Mtim.Nano())
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFREG:
			id := inode{st.Dev, st.Ino}
			if f, ok := first[id]; ok {
				line += " = " + f
			} else {
				first[id] = p
			}
			data, err := os.ReadFile(full)
			must(t, err)
			line += fmt.Sprintf(" %q", data)
		case unix.S_IFLNK:
			to, err := os.Readlink(full)
			must(t, err)
			line += " -> " + to
		default:
			line += fmt.Sprint(" ", st.Rdev)
		}
		var value [1 << 10]byte
		for _, name := range []string{"user.test", "security.capability", "system.posix_acl_access"} {
			if n, err := unix.Lgetxattr(full, name, value[:]); err == nil {
				line += fmt.Sprintf(" %s=%q", name, value[:n])
			}
		}
		lines[p] = line
		return nil
	}))
	return lines
}

// same compares snapshots; paths that skip tells are not compared.
func same(t testing.TB, what string, got, want map[string]string) bool {
	t.Helper()
	ok := true
	for _, p := range slices.Sorted(maps.Keys(want)) {
		if got[p] != want[p] {
			t.Errorf("%s: %q\n got %s\nwant %s", what, p, got[p], want[p])
			ok = false
		}
	}
	for _, p := range slices.Sorted(maps.Keys(got)) {
		if _, there := want[p]; !there {
			t.Errorf("%s: %q is there: %s", what, p, got[p])
			ok = false
		}
	}
	return ok
}

// plan is how to get from one shape to another: what a delta says.
func plan(from, to shape) []Action {
	var list []Action
	paths := slices.SortedFunc(maps.Keys(to), archive.Compare)
	for _, p := range paths {
		if a, b := from[p], to[p]; b.typ != archive.Directory && (a == nil || !sameContent(a, b)) {
			list = append(list, Put(p))
		}
	}
	for _, p := range paths {
		a, b := from[p], to[p]
		switch {
		case b.typ == archive.Directory && (a == nil || a.typ != b.typ):
			list = append(list, MakeDir(p, b.mode, b.uid, b.gid))
		case a != nil && sameContent(a, b):
			if a.uid != b.uid || a.gid != b.gid {
				list = append(list, Chown(p, b.uid, b.gid))
			}
			if a.mode != b.mode {
				list = append(list, Chmod(p, b.mode))
			}
		}
	}
	gone := slices.SortedFunc(maps.Keys(from), archive.Compare)
	slices.Reverse(gone)
	for _, p := range gone {
		if to[p] == nil {
			list = append(list, Remove(p))
		}
	}
	return list
}

// sameContent reports whether only owner and mode differ, for directories
// also what nothing restores.
func sameContent(a, b *node) bool {
	if a.typ != b.typ {
		return false
	}
	return a.typ == archive.Directory || a.content == b.content && a.xattr == b.xattr && a.mtime == b.mtime
}

// A scene is a system, a backup of another and a record, on file systems as
// the test wants them.
type scene struct {
	root, extract, record string
	from, to              shape
	plan                  []Action
	before, want          map[string]string
	loose                 bool // names of one file may come back as files of their own
}

func newScene(t testing.TB, seed uint64, size int, live, extract, record string) *scene {
	r := rand.New(rand.NewPCG(seed, 1))
	s := &scene{
		root: filepath.Join(live, "root"), extract: filepath.Join(extract, "extract"), record: filepath.Join(record, "rollback"),
		from: shape{},
	}
	s.from.grow(r, size)
	s.to = s.from.mutated(r)
	s.plan = plan(s.from, s.to)
	s.loose = live != record
	s.reset(t)
	return s
}

// reset makes everything anew.
func (s *scene) reset(t testing.TB) {
	t.Helper()
	for _, dir := range []string{s.root, s.extract, s.record} {
		must(t, os.RemoveAll(dir))
		must(t, os.RemoveAll(dir+".new"))
	}
	s.from.write(t, s.root)
	s.to.write(t, s.extract)
	s.before = s.links(snapshot(t, s.root))
	s.want = s.comparable(snapshot(t, s.extract))
}

// links leaves out which names are one file, if that is loose.
func (s *scene) links(lines map[string]string) map[string]string {
	if s.loose {
		for p, line := range lines {
			lines[p] = linkMark.ReplaceAllString(line, `$1 "`)
		}
	}
	return lines
}

var linkMark = regexp.MustCompile(`^(10\d+ \d+:\d+ \d+) = (?s:.*?) "`)

func (s *scene) begin(t testing.TB, fault func(string) error) (*rollback.Journal, error) {
	return rollback.Begin(s.record, rollback.Options{Root: s.root, Now: time.Unix(1e9, 0), Fault: fault})
}

// apply applies the plan with a record.
func (s *scene) apply(t testing.TB, consume bool, fault func(string) error) (Result, error) {
	t.Helper()
	j, err := s.begin(t, fault)
	if err != nil {
		return Result{}, err
	}
	log := &reports{}
	res, err := Apply(context.Background(), s.plan, Options{
		Root: s.root, Extract: s.extract, Consume: consume, Journal: j, Reporter: log, Now: time.Unix(1e9, 0), Fault: fault,
	})
	if closing := j.Close(); err == nil {
		err = closing
	}
	if fault == nil {
		for _, p := range log.passed {
			t.Log(p)
		}
	}
	return res, err
}

func (s *scene) undo(t testing.TB, fault func(string) error) (rollback.Result, error) {
	t.Helper()
	r, err := rollback.Open(s.record)
	if err != nil {
		return rollback.Result{}, err
	}
	defer r.Close()
	opts := rollback.UndoOptions{Root: s.root, Fault: fault}
	if fault == nil {
		opts.Passed = func(path string, err error) { t.Errorf("undo passed over %q: %v", path, err) }
	}
	return r.Undo(context.Background(), opts)
}

// reports collects what a Reporter is told.
type reports struct {
	done, passed, through, lost []string
	errs                        []error
}

func (r *reports) Done(a Action) { r.done = append(r.done, a.Path) }
func (r *reports) Passed(a Action, err error) {
	r.passed = append(r.passed, fmt.Sprintf("%q: %v", a.Path, err))
	r.errs = append(r.errs, err)
}
func (r *reports) Through(link, dir string) { r.through = append(r.through, link+" "+dir) }
func (r *reports) Lost(path string, what tree.Loss, err error) {
	r.lost = append(r.lost, fmt.Sprintf("%q %s: %v", path, what, err))
}
