package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"tklbam/chain"
	"tklbam/chain/archive"
	"tklbam/pkg/changes"
	"tklbam/pkg/dirindex"
	"tklbam/pkg/extras"
	"tklbam/pkg/packages"
	"tklbam/pkg/tree"
)

// files stores how the system differs from its installation.
func (s *System) files(ctx context.Context, f *Findings) (err error) {
	if s.SkipFiles {
		return nil
	}
	out, err := s.createDelta()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	scope := dirindex.NewScope(append(s.Profile.Limits[:len(s.Profile.Limits):len(s.Profile.Limits)], s.Overrides...))
	disk, err := s.scanner(scope)
	if err != nil {
		return err
	}
	defer disk.Close()
	base, err := s.baseline(scope)
	if err != nil {
		return err
	}
	defer base.Close()
	return s.compare(ctx, base, disk, scope, func(c changes.Change) error {
		f.Files.Add(c)
		return out.Write(c)
	})
}

func (s *System) compare(ctx context.Context, base baseline, disk *dirindex.Scanner, scope *dirindex.Scope, found func(changes.Change) error) error {
	diff := changes.Compare(base.Baseline, base.filter(disk), changes.Options{
		Scope: scope, Profile: dirindex.NewScope(s.Profile.Limits),
	})
	for {
		c, err := diff.Next(ctx)
		if err == io.EOF {
			return nil
		}
		if err == nil && base.counts(c) {
			err = found(c)
		}
		if err != nil {
			return fmt.Errorf("compare the system with its installation: %w", err)
		}
	}
}

// A deltaFile is the delta and the list of the paths whose content goes into
// the backup, being written.
type deltaFile struct {
	*changes.Writer
	delta, list *os.File
}

func (s *System) createDelta() (*deltaFile, error) {
	create := func(part string) (*os.File, error) {
		return os.OpenFile(s.Extras.Path(part), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	}
	delta, err := create(extras.Delta)
	if err != nil {
		return nil, err
	}
	list, err := create(extras.OverlayList)
	if err != nil {
		return nil, errors.Join(err, delta.Close())
	}
	return &deltaFile{changes.NewWriter(delta, list), delta, list}, nil
}

func (d *deltaFile) Close() error {
	return errors.Join(d.Flush(), d.delta.Close(), d.list.Close())
}

// scanner looks at the system, but for what the session itself writes to.
func (s *System) scanner(scope *dirindex.Scope) (*dirindex.Scanner, error) {
	skip, err := identities(append(s.SkipDirs, string(s.Extras)))
	if err != nil {
		return nil, err
	}
	return dirindex.NewScanner(dirindex.Options{
		Root: s.Root, Scope: scope, SkipDirs: skip,
		Warn: func(path string, err error) {
			s.Report.Problem(chain.Problem{Path: relative(path), Err: err, Lost: true})
		},
	})
}

// identities finds directories that exist.
func identities(dirs []string) ([]tree.Identity, error) {
	var list []tree.Identity
	for _, dir := range dirs {
		id, err := tree.IdentityOf(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		list = append(list, id)
	}
	return list, nil
}

// A baseline is what the system is compared with.
type baseline struct {
	changes.Baseline
	io.Closer
	dpkg *shippedState // if that is what it is
}

// baseline is the profile's index, or else what dpkg knows, or else nothing.
func (s *System) baseline(scope *dirindex.Scope) (baseline, error) {
	index, err := os.Open(s.Profile.Paths.Dirindex)
	if err == nil {
		return baseline{dirindex.NewReader(index), index, nil}, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return baseline{}, err
	}
	nothing := baseline{dirindex.NewReader(strings.NewReader("")), io.NopCloser(nil), nil}
	if s.NoPackageBaseline {
		return nothing, nil
	}
	shipped, err := packages.LoadBaseline(s.Root, func(path string) bool { return scope.Match("/" + path) })
	if errors.Is(err, fs.ErrNotExist) {
		return nothing, nil
	}
	if err != nil {
		return baseline{}, err
	}
	state, err := newShippedState(s, shipped)
	return baseline{state, io.NopCloser(nil), state}, err
}

// filter leaves out what packages generated: the baseline has no records of it.
func (b baseline) filter(disk *dirindex.Scanner) changes.Disk {
	if b.dpkg == nil {
		return disk
	}
	return notGenerated{disk, b.dpkg}
}

// counts reports whether a change is one. Packages leave out some of the files
// they ship, as the configuration of dpkg tells them: only those that somebody
// must have removed are deleted.
func (b baseline) counts(c changes.Change) bool {
	return c.Op != changes.Delete || b.dpkg == nil || b.dpkg.deleted[relative(c.Path)]
}

// A shippedState is the system as its packages made it.
type shippedState struct {
	s       *System
	shipped *packages.Baseline
	paths   []string
	deleted map[string]bool
}

func newShippedState(s *System, shipped *packages.Baseline) (*shippedState, error) {
	deleted, err := shipped.Deleted()
	if err != nil {
		return nil, err
	}
	state := &shippedState{s: s, shipped: shipped, paths: shipped.Paths(), deleted: map[string]bool{}}
	for _, path := range deleted {
		state.deleted[path] = true
	}
	return state, nil
}

func (st *shippedState) Next() (dirindex.Record, error) {
	if len(st.paths) == 0 {
		return dirindex.Record{}, io.EOF
	}
	path := st.paths[0]
	st.paths = st.paths[1:]
	return dirindex.Record{Path: "/" + path}, nil
}

func (st *shippedState) Verify(_ context.Context, disk dirindex.Record) (changes.Verdict, error) {
	answer, err := st.answer(disk)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return changes.Same, nil // it vanished
	case err != nil:
		// What can't be read will be told of when it is to be stored.
		return changes.OtherContent, nil
	case answer == packages.Shipped || answer == packages.Generated:
		return changes.Same, nil
	case answer == packages.Metadata:
		return changes.OtherMetadata, nil
	}
	return changes.OtherContent, nil
}

func (st *shippedState) answer(disk dirindex.Record) (packages.Answer, error) {
	e := &archive.Entry{
		Path: relative(disk.Path), Type: entryType(disk), Mode: disk.Perm(),
		UID: disk.UID, GID: disk.GID, Size: disk.Size, Linkname: disk.Target,
	}
	return st.shipped.Compare(e, func() (io.ReadCloser, error) {
		return os.OpenFile(st.s.within(disk.Path), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	})
}

// entryType has 0 for what packages never ship.
func entryType(r dirindex.Record) archive.Type {
	switch {
	case r.IsRegular():
		return archive.Regular
	case r.IsDir():
		return archive.Directory
	case r.IsSymlink():
		return archive.Symlink
	}
	return 0
}

// notGenerated is a scan without what packages generated.
type notGenerated struct {
	*dirindex.Scanner
	state *shippedState
}

func (n notGenerated) Next() (dirindex.Record, error) {
	for {
		rec, err := n.Scanner.Next()
		if err != nil || n.state.shipped.Owned(relative(rec.Path)) {
			return rec, err
		}
		if answer, err := n.state.answer(rec); err != nil || answer != packages.Generated && answer != packages.Shipped {
			return rec, nil
		}
	}
}

// overlay returns what of the system goes into the volumes: the extras, the
// paths on the list, and, for what the delta doesn't say of them, directories
// that are new.
func (s *System) overlay() ([]tree.Selected, error) {
	selected := []tree.Selected{{Path: extras.Name, Recursive: true}}
	if s.SkipFiles {
		return selected, nil
	}
	err := s.eachOverlaid(func(path string) error {
		selected = append(selected, tree.Selected{Path: relative(path)})
		return nil
	})
	if err != nil {
		return nil, err
	}
	delta, err := s.Extras.Open(extras.Delta)
	if err != nil {
		return nil, err
	}
	defer delta.Close()
	for r := changes.NewReader(delta, nil); ; {
		c, err := r.Next()
		switch {
		case err == io.EOF:
			return selected, nil
		case err != nil:
			return nil, fmt.Errorf("read the changes to back up: %w", err)
		case c.Op == changes.Stat && c.Mode&unix.S_IFMT == unix.S_IFDIR:
			selected = append(selected, tree.Selected{Path: relative(c.Path)})
		}
	}
}

// eachOverlaid calls f with the paths on the list.
func (s *System) eachOverlaid(f func(path string) error) error {
	list, err := s.Extras.Open(extras.OverlayList)
	if err != nil {
		return err
	}
	defer list.Close()
	lines := dirindex.NewLines(list)
	for {
		line, err := lines.Next()
		if err == io.EOF {
			return nil
		}
		var path string
		if err == nil {
			path, err = dirindex.ParsePath(line)
		}
		if err != nil {
			return fmt.Errorf("read the list of files to back up: %w", err)
		}
		if err := f(path); err != nil {
			return err
		}
	}
}

// lstat returns nil for what is not there, or too deep to be asked for.
func lstat(path string) (fs.FileInfo, error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ENAMETOOLONG) {
		return nil, nil
	}
	return info, err
}
