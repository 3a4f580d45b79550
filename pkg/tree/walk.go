package tree

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"

	"tklbam/chain/archive"
	"tklbam/pkg/sysfs"
)

// A step is what the scanning goroutine hands to Next.
type step struct {
	kind  stepKind
	entry archive.Entry
	err   error
}

type stepKind uint8

const (
	found   stepKind = iota + 1 // an entry, or with err one that cannot be read
	warned                      // gone or absent
	skipped                     // a socket
)

var errStopped = errors.New("scan stopped")

// A walker walks a tree in path order and sends what it finds in batches.
type walker struct {
	opts  *Options
	list  []Selected // sorted, each path once
	root  *sysfs.Root
	skip  map[Identity]bool
	ids   *idNames
	links hardLinks

	out   chan<- []step
	stop  <-chan struct{}
	batch []step

	held  []archive.Entry // directories that are yielded only with something below them
	spare []*sysfs.Names  // for reuse
	buf   []byte
}

func newWalker(opts *Options, list []Selected, root *sysfs.Root, ids *idNames) *walker {
	w := &walker{opts: opts, list: list, root: root, ids: ids, links: make(hardLinks), buf: make([]byte, sysfs.ListBuffer)}
	w.skip = make(map[Identity]bool, len(opts.SkipDirs))
	for _, id := range opts.SkipDirs {
		w.skip[id] = true
	}
	return w
}

// run walks the whole tree. It returns nil at the end, and an error when the
// scan cannot go on.
func (w *walker) run() error {
	dir, err := w.root.Dir("")
	if err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstat(dir, &st); err != nil {
		return fmt.Errorf("stat the root: %w", err)
	}
	v := visit{keep: true, whole: len(w.list) == 0, device: st.Dev}
	v.take(w.list)
	if err := w.directory(&v, &st); err != nil {
		return err
	}
	return w.flush()
}

// A visit is the look at one path.
type visit struct {
	path      string
	list      []Selected // what is listed below the path
	listed    bool       // the path itself is listed
	recursive bool       // and all below it
	keep      bool       // yielded whether or not something below it is
	whole     bool       // all of the content counts, not only what is listed
	device    uint64     // where the whole walk that the path is part of began
}

// take splits the items of Select that concern the path into its own, which
// comes first, and those below it.
func (v *visit) take(list []Selected) {
	if len(list) > 0 && list[0].Path == v.path {
		v.listed, v.recursive, list = true, list[0].Recursive, list[1:]
	}
	v.list = list
	v.keep = v.keep || v.listed
	v.whole = v.whole || v.recursive
}

// visit looks at a path in the directory of parent. The items of list are the
// path or lie below it; met says that the path was met in a whole walk.
func (w *walker) visit(parent *visit, path string, list []Selected, met bool) error {
	v := visit{path: path, device: parent.device}
	v.take(list)
	name := path[prefixLen(parent.path):]
	var st unix.Stat_t
	dir, err := w.root.Dir(parent.path)
	if err == nil {
		err = sysfs.Lstatat(dir, name, &st)
	}
	if err != nil {
		return w.unreadable(&v, met, err)
	}
	isDir := st.Mode&unix.S_IFMT == unix.S_IFDIR
	switch {
	case v.recursive:
		v.device = st.Dev
	case met:
		w.filter(&v, isDir)
	}
	switch {
	case !isDir:
		return w.file(&v, &st, dir, name)
	case w.skip[identity(&st)]:
		return nil
	}
	return w.directory(&v, &st)
}

// filter decides whether a path met in a whole walk is yielded and whether
// the walk goes on below it.
func (w *walker) filter(v *visit, dir bool) {
	exclude, descend := false, true
	if !v.listed && w.opts.Exclude != nil {
		exclude, descend = w.opts.Exclude(v.path, dir)
	}
	v.keep = !exclude
	v.whole = dir && (!exclude || descend)
}

// unreadable deals with a path that cannot even be looked at.
func (w *walker) unreadable(v *visit, met bool, err error) error {
	if outOfFiles(err) {
		return fmt.Errorf("scan %q: %w", v.path, err)
	}
	if sysfs.Gone(err) {
		return w.gone(v, met)
	}
	if met {
		w.filter(v, false)
	}
	if !v.keep && len(v.list) == 0 {
		return nil
	}
	return w.emit(&archive.Entry{Path: v.path}, fmt.Errorf("stat %q: %w", v.path, err))
}

// outOfFiles tells errors that are about this process from those about a path.
func outOfFiles(err error) bool {
	return errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE)
}

// gone warns of a path that was met or listed but is not there.
func (w *walker) gone(v *visit, met bool) error {
	if met || v.listed {
		if err := w.warn(v.path); err != nil {
			return err
		}
	}
	return w.absent(v.list)
}

func (w *walker) absent(list []Selected) error {
	for _, s := range list {
		if err := w.warn(s.Path); err != nil {
			return err
		}
	}
	return nil
}

// file yields what is not a directory.
func (w *walker) file(v *visit, st *unix.Stat_t, dir int, name string) error {
	if err := w.absent(v.list); err != nil || !v.keep {
		return err
	}
	e := archive.Entry{Path: v.path}
	if !describe(&e, st, w.ids) {
		return w.send(step{kind: skipped, entry: e})
	}
	if err := readTarget(&e, dir, name); sysfs.Gone(err) {
		return w.warn(v.path)
	} else if err != nil {
		return w.emit(&e, err)
	}
	e.HardLink = w.links.first(&e)
	return w.emit(&e, nil)
}

// directory yields a directory and what counts of its content. It is listed
// first, because what cannot be listed is yielded as that.
func (w *walker) directory(v *visit, st *unix.Stat_t) error {
	e := archive.Entry{Path: v.path}
	describe(&e, st, w.ids)
	names := w.emptyNames()
	defer w.reuse(names)
	if v.whole && !(w.opts.OneFileSystem && st.Dev != v.device) {
		if err := w.readNames(v.path, names); err != nil {
			return w.unlistable(v, &e, err)
		}
	}
	mark := len(w.held)
	if !v.keep {
		w.held = append(w.held, e)
	} else if err := w.emit(&e, nil); err != nil {
		return err
	}
	if err := w.content(v, names); err != nil {
		return err
	}
	w.held = w.held[:min(mark, len(w.held))]
	return nil
}

func (w *walker) readNames(path string, names *sysfs.Names) error {
	fd, err := w.root.Dir(path)
	if err != nil {
		return err
	}
	return names.Read(fd, w.buf)
}

// unlistable deals with a directory that can be looked at but not read.
func (w *walker) unlistable(v *visit, e *archive.Entry, err error) error {
	switch {
	case outOfFiles(err):
		return fmt.Errorf("scan %q: %w", v.path, err)
	case v.path != "" && sysfs.Gone(err):
		return w.gone(v, true)
	}
	return w.emit(e, fmt.Errorf("list directory %q: %w", v.path, err))
}

// content visits what lies in a directory: a merge of the names, all met in a
// whole walk, with the first steps of what is listed.
func (w *walker) content(v *visit, names *sysfs.Names) error {
	list, prefix := v.list, prefixLen(v.path)
	for i := 0; i < names.Len() || len(list) > 0; {
		path, met := "", false
		if len(list) > 0 {
			path = firstStep(list[0].Path, prefix)
		}
		if i < names.Len() && (path == "" || string(names.At(i)) <= path[prefix:]) {
			path, met = join(v.path, names.At(i)), true
			i++
		}
		n := 0
		for n < len(list) && archive.Within(list[n].Path, path) {
			n++
		}
		if err := w.visit(v, path, list[:n], met); err != nil {
			return err
		}
		list = list[n:]
	}
	return nil
}

// prefixLen is the length of what comes before the names in dir.
func prefixLen(dir string) int {
	if dir == "" {
		return 0
	}
	return len(dir) + 1
}

// firstStep cuts path after the component that begins at prefix.
func firstStep(path string, prefix int) string {
	if i := strings.IndexByte(path[prefix:], '/'); i >= 0 {
		return path[:prefix+i]
	}
	return path
}

func join(dir string, name []byte) string {
	if dir == "" {
		return string(name)
	}
	return dir + "/" + string(name)
}

func (w *walker) emptyNames() *sysfs.Names {
	if n := len(w.spare); n > 0 {
		names := w.spare[n-1]
		w.spare = w.spare[:n-1]
		return names
	}
	return new(sysfs.Names)
}

// maxSpare is the number of names up to which a listing's memory is kept.
const maxSpare = 4096

func (w *walker) reuse(names *sysfs.Names) {
	if names.Len() <= maxSpare && len(w.spare) < 64 {
		names.Reset()
		w.spare = append(w.spare, names)
	}
}

func (w *walker) warn(path string) error {
	return w.send(step{kind: warned, entry: archive.Entry{Path: path}, err: fs.ErrNotExist})
}

// emit yields an entry after the directories held back for want of one.
func (w *walker) emit(e *archive.Entry, cause error) error {
	for _, dir := range w.held {
		if err := w.send(step{kind: found, entry: dir}); err != nil {
			return err
		}
	}
	w.held = w.held[:0]
	return w.send(step{kind: found, entry: *e, err: cause})
}

func (w *walker) send(s step) error {
	if w.batch == nil {
		w.batch = make([]step, 0, batchLen)
	}
	w.batch = append(w.batch, s)
	if len(w.batch) < batchLen {
		return nil
	}
	return w.flush()
}

func (w *walker) flush() error {
	select {
	case w.out <- w.batch:
		w.batch = nil
		return nil
	case <-w.stop:
		return errStopped
	}
}
