package overlay

import (
	"context"
	"errors"

	"golang.org/x/sys/unix"

	"tklbam/pkg/rollback"
	"tklbam/pkg/rollback/livefs"
	"tklbam/pkg/sysfs"
)

// place renames from to the step's path, where now is. Of two files the new
// one takes the other's place in one step. A directory cannot be replaced by
// a file, nor a file by a directory: the one in the way goes aside first, and
// returns if the other cannot come.
//
// The place from must not come from a.live.
func (a *applier) place(ctx context.Context, s *step, from livefs.Place, now *unix.Stat_t, dir bool) error {
	to, err := livefs.At(a.live, s.real)
	if err != nil {
		return err
	}
	switch {
	case livefs.IsDir(now):
		return a.placeOverDir(ctx, s, from)
	case now == nil:
		return raced(a.calls.RenameNew(from, to))
	case !dir:
		return a.calls.Rename(from, to)
	}
	aside := to.Beside(a.temp(s) + rollback.AsideEnding)
	if err := a.calls.Rename(to, aside); err != nil {
		return err
	}
	if err := a.calls.RenameNew(from, to); err != nil {
		return errors.Join(raced(err), a.calls.RenameNew(aside, to))
	}
	return a.calls.Unlink(aside)
}

// raced says what it means that something is where nothing was.
func raced(err error) error {
	if errors.Is(err, unix.EEXIST) {
		return rollback.ErrRaced
	}
	return err
}

func (a *applier) placeOverDir(ctx context.Context, s *step, from livefs.Place) error {
	if s.change == nil {
		return a.placeOverLost(s, from)
	}
	j := a.opts.Journal
	if s.change.Known() {
		return a.placeOverKnown(s, from)
	}
	if err := j.Move(ctx, a.live, s.change); err != nil {
		return err
	}
	to, err := livefs.At(a.live, s.real)
	if err == nil {
		err = raced(a.calls.RenameNew(from, to))
	}
	if err != nil {
		return errors.Join(err, j.MoveBack(a.live, s.change))
	}
	return errors.Join(j.Sweep(a.live, s.change), a.copier.Reset())
}

// placeOverKnown replaces a directory that this restore made, if it is empty.
func (a *applier) placeOverKnown(s *step, from livefs.Place) error {
	to, err := livefs.At(a.live, s.real)
	if err != nil {
		return err
	}
	err = a.calls.Rmdir(to)
	a.live.Forget(s.real)
	if livefs.NotEmpty(err) {
		return ErrNotEmpty
	}
	if err != nil {
		return err
	}
	return errors.Join(a.calls.RenameNew(from, to), a.copier.Reset())
}

// placeOverLost replaces a directory that nobody keeps.
func (a *applier) placeOverLost(s *step, from livefs.Place) error {
	fd, err := a.live.Dir(s.real)
	if err == nil {
		err = livefs.Mounted(fd)
	}
	if err != nil {
		return err
	}
	a.live.Forget(s.real)
	to, err := livefs.At(a.live, s.real)
	if err != nil {
		return err
	}
	aside := a.temp(s) + rollback.AsideEnding
	if err := a.calls.Rename(to, to.Beside(aside)); err != nil {
		return err
	}
	if err := a.calls.RenameNew(from, to); err != nil {
		return errors.Join(err, a.calls.RenameNew(to.Beside(aside), to))
	}
	dir, _ := sysfs.Split(s.real)
	return errors.Join(a.calls.RemoveAll(a.live, below(dir, aside)), a.copier.Reset())
}
