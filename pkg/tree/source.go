// Package tree scans a directory into the entries of a chain and writes the
// entries of a chain into a directory. Linux only.
package tree

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"tklbam/chain/archive"
	"tklbam/pkg/sysfs"
)

// Options say what a Source yields.
type Options struct {
	// Root is the directory to scan. A symlink here is followed.
	Root string

	// Select limits the scan to what is listed, in any order, repeated or
	// overlapping, and the directories it lies in. Empty means all.
	Select []Selected

	// Exclude, if set, is asked about every path that is neither listed in
	// Select nor the root. What it excludes is left out; an excluded directory
	// whose content it descends into is yielded only together with something
	// below it. It is called on the scanning goroutine, ahead of Next.
	Exclude func(path string, dir bool) (exclude, descend bool)

	// SkipDirs are directories that are left out with all they contain, by
	// whatever path they are met: the session's own cache and target. The root
	// is never skipped.
	SkipDirs []Identity

	// OneFileSystem keeps the scan on the file system of the root, and below a
	// listed recursive directory on that directory's own. Mount points are
	// yielded, empty. Files are not looked at: on overlayfs they show the
	// device of the layer they come from.
	OneFileSystem bool

	// Warn, if set, is told of paths that vanished between listing and stat
	// and of listed paths that do not exist. Called by Next.
	Warn func(path string, err error)

	// Skipped, if set, is told of sockets, which no chain can hold. Called by
	// Next.
	Skipped func(path string)
}

// Selected is a path to scan, relative to the root; "" is the root.
type Selected struct {
	Path      string
	Recursive bool // with all that lies below it
}

// An Identity names a file, whatever its path.
type Identity struct{ Device, Inode uint64 }

// IdentityOf returns the identity of what path leads to, symlinks followed.
func IdentityOf(path string) (Identity, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return Identity{}, fmt.Errorf("stat %q: %w", path, err)
	}
	return identity(&st), nil
}

// A Node is one step of a scan. With Err set, the path and everything below
// it could not be read: what an earlier session knows of it is still the best
// there is. Entry then has the metadata if a stat was possible, and otherwise
// only the path.
//
// The entry is the caller's to keep and change. It shares an allocation with
// the entries around it, so what is kept for long is better copied.
type Node struct {
	Entry *archive.Entry
	Err   error
}

// The scan runs ahead of the consumer by at most queueLen batches.
const (
	batchLen = 128
	queueLen = 16
)

// A Source is a directory to back up. Next is for one goroutine; Open, Stat
// and Xattrs may be called from several, also while Next runs.
type Source struct {
	opts  Options
	walk  *walker
	start sync.Once
	end   sync.Once
	stop  chan struct{}
	out   chan []step
	batch []step
	err   error // why out was closed; io.EOF at the end of the tree

	ids *idNames

	mu   sync.Mutex // guards root and descriptors that come from it
	root *sysfs.Root
}

// NewSource opens a directory to scan. A path in Select that is absolute or
// has an empty, "." or ".." component is an error.
func NewSource(opts Options) (*Source, error) {
	list, err := sortSelected(opts.Select)
	if err != nil {
		return nil, err
	}
	root, err := sysfs.Open(opts.Root)
	if err != nil {
		return nil, err
	}
	ahead, err := root.Clone()
	if err != nil {
		root.Close()
		return nil, err
	}
	opts.Select = nil
	s := &Source{
		opts: opts,
		stop: make(chan struct{}),
		out:  make(chan []step, queueLen),
		root: root,
		ids:  readIDs(),
	}
	s.walk = newWalker(&s.opts, list, ahead, s.ids)
	s.walk.out, s.walk.stop = s.out, s.stop
	return s, nil
}

// Next returns the entries of the tree in the order of archive.Compare, the
// root first, and io.EOF after the last. An error is final; what concerns a
// single path comes in Node.Err.
func (s *Source) Next(ctx context.Context) (Node, error) {
	s.start.Do(func() { go s.scan() })
	for {
		if len(s.batch) == 0 {
			if err := s.receive(ctx); err != nil {
				return Node{}, err
			}
		}
		step := &s.batch[0]
		s.batch = s.batch[1:]
		switch step.kind {
		case found:
			return Node{&step.entry, step.err}, nil
		case warned:
			if s.opts.Warn != nil {
				s.opts.Warn(step.entry.Path, step.err)
			}
		case skipped:
			if s.opts.Skipped != nil {
				s.opts.Skipped(step.entry.Path)
			}
		}
	}
}

func (s *Source) scan() {
	defer close(s.out)
	s.err = s.walk.run()
	if s.err == nil {
		s.err = io.EOF
	}
}

func (s *Source) receive(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case batch, ok := <-s.out:
		if !ok {
			return s.err
		}
		s.batch = batch
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close stops the scan and releases the directory. Files that are open stay
// so. It must not run at the same time as Next.
func (s *Source) Close() {
	s.end.Do(func() { close(s.stop) })
	s.start.Do(func() {
		s.err = errStopped
		close(s.out)
	})
	for range s.out {
	}
	s.walk.root.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.root.Close()
}

// Stat looks at one path anew, for instance after Open found it replaced. It
// knows nothing of other entries: HardLink is empty.
func (s *Source) Stat(path string) (*archive.Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := &archive.Entry{Path: path}
	err := s.stat(e)
	if err != nil {
		return nil, fmt.Errorf("stat %q: %w", path, err)
	}
	return e, nil
}

func (s *Source) stat(e *archive.Entry) error {
	var st unix.Stat_t
	if e.Path == "" {
		dir, err := s.root.Dir("")
		if err == nil {
			err = unix.Fstat(dir, &st)
		}
		if err == nil {
			describe(e, &st, s.ids)
		}
		return err
	}
	dir, name, err := s.root.Parent(e.Path)
	if err != nil {
		return err
	}
	if err := sysfs.Lstatat(dir, name, &st); err != nil {
		return err
	}
	if !describe(e, &st, s.ids) {
		return fmt.Errorf("a %w", errSocket)
	}
	return readTarget(e, dir, name)
}

// sortSelected returns the list in the order of the scan, each path once.
func sortSelected(list []Selected) ([]Selected, error) {
	list = slices.Clone(list)
	for i, s := range list {
		path, err := archive.CleanPath(s.Path)
		if err != nil {
			return nil, err
		}
		list[i].Path = path
	}
	slices.SortFunc(list, func(a, b Selected) int { return archive.Compare(a.Path, b.Path) })
	n := 0
	for i, s := range list {
		if i > 0 && list[n-1].Path == s.Path {
			list[n-1].Recursive = list[n-1].Recursive || s.Recursive
			continue
		}
		list[n] = s
		n++
	}
	return list[:n], nil
}
