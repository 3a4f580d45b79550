package tree

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"

	"golang.org/x/sys/unix"

	"tklbam/chain/archive"
	"tklbam/pkg/sysfs"
)

// TargetOptions say how a Target writes.
type TargetOptions struct {
	// Overwrite replaces what is in the way of an entry: files atomically, and
	// a directory in the way of something else with all it contains. Without
	// it that is an error that wraps fs.ErrExist.
	Overwrite bool

	// Numeric takes owners by their numbers. Otherwise a name that exists on
	// this system wins over the number that came with it.
	Numeric bool

	// Degraded, if set, is told of the first entry that could not be given all
	// of its metadata, once per kind of loss. Stats counts them all. It must
	// not call the Target.
	Degraded func(path string, what Loss, err error)
}

// ErrCannotLink says that a hard link is not possible where a copy may be:
// another file system, too many links, or not permitted.
var ErrCannotLink = errors.New("hard link not possible")

// TempPrefix begins the names under which a Target makes what is to replace
// something. A crash can leave such files behind.
const TempPrefix = ".tklbam-"

// A Target is a directory that entries are written below, and never outside:
// every path is taken apart and walked by directory descriptors, and a
// symlink on the way is an error, whoever made it. Entries come from outside;
// nothing in them is trusted.
//
// Calls in path order are cheap: the descriptors on the way to the last path
// stay open. A directory that somebody else moves or replaces meanwhile goes
// on receiving what is written to its path, wherever it lies then, until a
// path elsewhere has been written to; it is never a symlink that is followed.
//
// A Target is safe for concurrent use; an OutFile is for one goroutine.
type Target struct {
	opts   TargetOptions
	euid   int
	ids    *idNames
	losses lossCount

	mu    sync.Mutex // guards what follows, and descriptors that come from it
	root  *sysfs.Root
	links *sysfs.Root // for the other end of hard links
}

// NewTarget opens a directory, which must exist, to write below.
func NewTarget(dir string, opts TargetOptions) (*Target, error) {
	root, err := sysfs.Open(dir)
	if err != nil {
		return nil, err
	}
	links, err := root.Clone()
	if err != nil {
		root.Close()
		return nil, err
	}
	t := &Target{opts: opts, euid: unix.Geteuid(), ids: readIDs(), root: root, links: links}
	t.losses.report = opts.Degraded
	return t, nil
}

// Close releases the directory. It does not flush; see Sync.
func (t *Target) Close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.root.Close()
	t.links.Close()
}

// Sync waits until the file system of the root has stored all that was
// written to it.
func (t *Target) Sync() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	fd, err := t.openDir("")
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Syncfs(fd); err != nil {
		return fmt.Errorf("sync the file system: %w", err)
	}
	return nil
}

// Mkdir makes a directory, and those missing on the way. A new one is open to
// its owner alone until SetDirMeta, which belongs after all of its content. A
// directory that exists is left as it is, but for what it takes to write
// below it when that is ours to change; anything else in the way is replaced
// under Overwrite.
func (t *Target) Mkdir(e *archive.Entry) error {
	if err := expect(e, archive.Directory); err != nil || e.Path == "" {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	dir, name, err := t.parent(e.Path)
	if err != nil {
		return err
	}
	if err = mkdir(dir, name); err == unix.EEXIST {
		err = t.mkdirOver(dir, name)
	}
	if err != nil {
		return fmt.Errorf("make directory %q: %w", e.Path, err)
	}
	return nil
}

func mkdir(dir int, name string) error {
	if err := unix.Mkdirat(dir, name, 0o700); err != nil {
		return err
	}
	return dropACL(namedFile{dir, name}, aclAccess, aclDefault)
}

// mkdirOver deals with what is in the way of a directory.
func (t *Target) mkdirOver(dir int, name string) error {
	var st unix.Stat_t
	if err := sysfs.Lstatat(dir, name, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		if t.euid == 0 || int(st.Uid) != t.euid || st.Mode&0o700 == 0o700 {
			return nil
		}
		return namedFile{dir, name}.chmod(st.Mode&07777 | 0o700)
	}
	if !t.opts.Overwrite {
		return unix.EEXIST
	}
	if err := unix.Unlinkat(dir, name, 0); err != nil {
		return err
	}
	return mkdir(dir, name)
}

// Make makes a symlink, fifo or device with its metadata, and the directories
// missing on the way. What exists is replaced under Overwrite.
func (t *Target) Make(e *archive.Entry) error {
	if err := expect(e, archive.Symlink, archive.Fifo, archive.CharDevice, archive.BlockDevice); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	dir, name, err := t.parent(e.Path)
	if err != nil {
		return err
	}
	err = t.place(dir, name, e.Path, func(name string) error { return t.mknod(dir, name, e) })
	if err != nil {
		return fmt.Errorf("make %s %q: %w", e.Type, e.Path, err)
	}
	return nil
}

// mknod makes the file whole or not at all.
func (t *Target) mknod(dir int, name string, e *archive.Entry) error {
	if err := mknod(dir, name, e); err != nil {
		return err
	}
	f := namedFile{dir, name}
	err := dropACL(f, aclAccess) // a symlink has none
	if err == nil {
		err = t.apply(f, e)
	}
	if err != nil {
		return errors.Join(err, unix.Unlinkat(dir, name, 0))
	}
	return nil
}

func mknod(dir int, name string, e *archive.Entry) error {
	const private = 0o600
	device := int(unix.Mkdev(e.Major, e.Minor))
	switch e.Type {
	case archive.Symlink:
		return unix.Symlinkat(e.Linkname, dir, name)
	case archive.Fifo:
		return unix.Mknodat(dir, name, unix.S_IFIFO|private, 0)
	case archive.CharDevice:
		return unix.Mknodat(dir, name, unix.S_IFCHR|private, device)
	}
	return unix.Mknodat(dir, name, unix.S_IFBLK|private, device)
}

// Link makes e.Path a hard link to the regular file at existing, both below
// the root. An error that wraps ErrCannotLink leaves it to the caller to copy.
func (t *Target) Link(e *archive.Entry, existing string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	dir, name, err := t.parent(e.Path)
	if err != nil {
		return err
	}
	from, old, err := t.links.Parent(existing)
	if err != nil {
		return fmt.Errorf("link %q: %w", e.Path, err)
	}
	err = t.place(dir, name, e.Path, func(name string) error { return link(from, old, dir, name) })
	if err != nil {
		return fmt.Errorf("link %q to %q: %w", e.Path, existing, err)
	}
	return nil
}

func link(from int, old string, dir int, name string) error {
	var st unix.Stat_t
	if err := sysfs.Lstatat(from, old, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return fmt.Errorf("not a regular file: %w", unix.EINVAL)
	}
	err := unix.Linkat(from, old, dir, name, 0)
	if err == unix.EXDEV || err == unix.EMLINK || err == unix.EPERM || err == unix.ENOTSUP {
		return fmt.Errorf("%w: %w", ErrCannotLink, err)
	}
	return err
}

// place makes something under a name, or if that is taken and Overwrite says
// so, under a temporary name that then takes its place.
func (t *Target) place(dir int, name, path string, create func(name string) error) error {
	err := create(name)
	if err != unix.EEXIST || !t.opts.Overwrite {
		return err
	}
	temp := tempName()
	if err := create(temp); err != nil {
		return err
	}
	err = t.replace(dir, temp, name, path)
	// Between two links to one inode a rename does nothing.
	return errors.Join(err, ignore(unix.Unlinkat(dir, temp, 0), unix.ENOENT))
}

// replace renames temp to name, which is the last component of path. A
// directory there goes with all it contains.
func (t *Target) replace(dir int, temp, name, path string) error {
	err := unix.Renameat(dir, temp, dir, name)
	if err != unix.EISDIR {
		return err
	}
	t.links.Forget(path)
	if err := t.links.RemoveAll(path); err != nil {
		return err
	}
	t.root.Forget(path)
	return unix.Renameat(dir, temp, dir, name)
}

func tempName() string { return fmt.Sprintf("%s%016x", TempPrefix, rand.Uint64()) }

// parent returns the directory that path lies in, made if it is missing, and
// the last component.
func (t *Target) parent(path string) (int, string, error) {
	return t.root.MakeParent(path, 0o755)
}

func expect(e *archive.Entry, types ...archive.Type) error {
	for _, t := range types {
		if e.Type == t {
			return nil
		}
	}
	return fmt.Errorf("entry %q: a %s where none can be: %w", e.Path, e.Type, unix.EINVAL)
}
