package overlay

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"

	"tklbam/chain/archive"
	"tklbam/pkg/rollback/livefs"
	"tklbam/pkg/sysfs"
)

// stage looks at an action's path, records the intent and puts the step into
// the window. An error concerns this action only.
func (a *applier) stage(ctx context.Context, act Action) error {
	s := step{Action: act}
	now, err := a.find(&s)
	if act.Op == OpRemove && errors.Is(err, errOwnLink) {
		a.done(act) // it went with the directory that was there
		return nil
	}
	if err != nil {
		return err
	}
	if len(a.window) > 0 && a.first(&s, now) {
		if err := a.flush(ctx); err != nil {
			return err
		}
		if now, err = a.find(&s); err != nil {
			return err
		}
	}
	if err := a.check(&s, now); err != nil {
		return fmt.Errorf("%s %q: %w", s.Op, s.Path, err)
	}
	if err := a.record(&s, now); err != nil || !s.displaces() || !livefs.IsDir(now) {
		return err
	}
	return a.flush(ctx)
}

// find finds out where the step's path lies, and what is there.
func (a *applier) find(s *step) (*unix.Stat_t, error) {
	real, err := a.resolve.path(s.Path)
	if err != nil {
		return nil, err
	}
	s.real = real
	return a.look(real)
}

// look stats a resolved path; nil if nothing is there.
func (a *applier) look(real string) (*unix.Stat_t, error) {
	p, err := livefs.At(a.live, real)
	if sysfs.Gone(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	st, err := p.Stat()
	if err != nil {
		return nil, fmt.Errorf("stat %q: %w", real, err)
	}
	return st, nil
}

// first reports whether what is staged must be done before the step can be
// judged: when a directory goes, and when there seems to be nothing to remove.
func (a *applier) first(s *step, now *unix.Stat_t) bool {
	switch s.Op {
	case OpPut, OpPutBytes:
		return livefs.IsDir(now)
	case OpRemove:
		return now == nil || livefs.IsDir(now)
	}
	return false
}

// check refuses what must not or cannot be.
func (a *applier) check(s *step, now *unix.Stat_t) error {
	for _, dir := range a.protect {
		displaced := s.Op != OpMakeDir && livefs.IsDir(now) && s.displaces()
		if archive.Within(s.real, dir) || displaced && archive.Within(dir, s.real) {
			return ErrProtected
		}
	}
	switch s.Op {
	case OpPut:
		return a.checkSource(s)
	case OpRemove:
		if livefs.IsDir(now) {
			return a.checkEmpty(s)
		}
	}
	return nil
}

// displaces reports whether the step takes away what is at its path, be it a
// directory.
func (s *step) displaces() bool { return s.Op == OpPut || s.Op == OpPutBytes || s.Op == OpRemove }

// checkSource looks at what is to be put, and takes note of symlinks, which
// must not be followed from then on.
func (a *applier) checkSource(s *step) error {
	st, err := a.source(s)
	if err != nil {
		return err
	}
	what := made(0)
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return fmt.Errorf("the backup has a directory there: %w", unix.EISDIR)
	case unix.S_IFSOCK:
		return fmt.Errorf("the backup has a socket there: %w", unix.EINVAL)
	case unix.S_IFLNK:
		what = madeLink
	}
	a.resolve.becomes(s.real, what)
	return nil
}

// source stats the file in the extract.
func (a *applier) source(s *step) (*unix.Stat_t, error) {
	if a.extract == nil {
		return nil, fmt.Errorf("no extract to take it from: %w", fs.ErrNotExist)
	}
	p, err := livefs.At(a.extract, s.Path)
	if err != nil {
		return nil, fmt.Errorf("find it in the extract: %w", err)
	}
	st, err := p.Stat()
	if err == nil && st == nil {
		err = fmt.Errorf("not in the extract: %w", fs.ErrNotExist)
	}
	return st, err
}

func (a *applier) checkEmpty(s *step) error {
	dir, err := a.live.Dir(s.real)
	if err != nil {
		return err
	}
	var names sysfs.Names
	if err := names.Read(dir, make([]byte, sysfs.ListBuffer)); err != nil {
		return err
	}
	if names.Len() > 0 {
		return ErrNotEmpty
	}
	return nil
}

// record tells the journal what the step will do.
func (a *applier) record(s *step, now *unix.Stat_t) error {
	var err error
	switch s.Op {
	case OpPut, OpPutBytes:
		if s.Op == OpPutBytes {
			a.resolve.becomes(s.real, 0)
		}
		if err = a.makeParents(s); err == nil {
			err = a.displace(s, now)
		}
	case OpMakeDir:
		return a.recordDir(s, now)
	case OpChown, OpChmod:
		err = a.adjust(s, now)
	case OpRemove:
		a.resolve.becomes(s.real, 0)
		if now == nil {
			a.done(s.Action)
			return nil
		}
		err = a.displace(s, now)
	}
	if err == nil {
		a.window = append(a.window, *s)
	}
	return err
}

func (a *applier) displace(s *step, now *unix.Stat_t) (err error) {
	if a.opts.Journal != nil {
		s.change, err = a.opts.Journal.Replace(a.live, s.real, now)
	}
	return err
}

func (a *applier) adjust(s *step, now *unix.Stat_t) error {
	if a.opts.Journal == nil || now == nil {
		return nil
	}
	return a.opts.Journal.Adjust(a.live, s.real, now)
}

// recordDir records a directory, and those missing on the way.
func (a *applier) recordDir(s *step, now *unix.Stat_t) error {
	if err := a.makeParents(s); err != nil {
		return err
	}
	if livefs.IsLink(now) && s.implied {
		return fmt.Errorf("make directory %q: %w", s.Path, ErrSymlink)
	}
	if livefs.IsLink(now) && a.usable(s.real) {
		a.done(s.Action)
		return nil
	}
	if livefs.IsDir(now) {
		if err := a.adjust(s, now); err != nil {
			return err
		}
	} else if err := a.displace(s, now); err != nil {
		return err
	}
	a.resolve.becomes(s.real, madeDir)
	a.window = append(a.window, *s)
	return nil
}

// usable reports whether a symlink is as good as a directory.
func (a *applier) usable(real string) bool {
	dir, name := sysfs.Split(real)
	links := 0
	_, err := a.resolve.enter(dir, name, &links)
	return err == nil
}

// makeParents puts the making of directories that are missing on the way to
// the step's path before it. What else is there makes way for them: it was
// looked at by the resolver, and is no symlink.
func (a *applier) makeParents(s *step) error {
	real, _ := sysfs.Split(s.real)
	path, _ := sysfs.Split(s.Path)
	if real == "" || a.resolve.made[real] == madeDir {
		return nil
	}
	if _, err := a.live.Dir(real); err == nil {
		return nil
	} else if !sysfs.Gone(err) {
		return err
	}
	parent := step{Action: a.likeExtract(path), real: real, implied: true}
	if err := a.check(&parent, nil); err != nil {
		return err
	}
	now, err := a.look(real)
	if err != nil {
		return err
	}
	return a.recordDir(&parent, now)
}

// likeExtract returns the action that makes a directory as it is in the
// extract.
func (a *applier) likeExtract(path string) Action {
	act := MakeDir(path, 0o755, unix.Geteuid(), unix.Getegid())
	if a.extract == nil || strings.Trim(path, "/") == "" {
		return act
	}
	e, err := a.copier.Stat(path)
	if err == nil && e.Type == archive.Directory {
		act.Mode, act.UID, act.GID = e.Mode, mapID(a.opts.UIDs, e.UID), mapID(a.opts.GIDs, e.GID)
	}
	return act
}

func mapID(ids map[int]int, id int) int {
	if to, ok := ids[id]; ok {
		return to
	}
	return id
}
