package rollback

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"

	"tklbam/pkg/rollback/livefs"
	"tklbam/pkg/sysfs"
)

// UndoOptions say how a record is undone.
type UndoOptions struct {
	Root string // directory that the recorded paths are relative to: "/"

	// Passed, if set, is told of every path that Undo could not return to its
	// prior state, and why.
	Passed func(path string, err error)

	// Fault is livefs.Calls.Before, for tests.
	Fault func(step string) error
}

// A Result counts what Undo did.
type Result struct {
	Paths  int // states that were recorded
	Passed int // passed over: gone or changed meanwhile, with nothing left to put back
	Failed int // not put back: the record has what belongs there
}

// Done reports whether the record can be removed.
func (r Result) Done() bool { return r.Failed == 0 }

// Reasons for which a path is passed over.
var (
	ErrGone     = fmt.Errorf("gone meanwhile: %w", fs.ErrNotExist)
	ErrOccupied = errors.New("a directory that holds something is there now")
	ErrChanged  = errors.New("another type of file is there now")
)

// Undo brings every recorded path below the root back to what it was: content,
// type, mode, owner, modification time, extended attributes and hard links,
// and the modification times of the directories that were written to. What
// the restore put at a path goes, whatever was done to it since. Passed over
// are:
//
//   - directories made by the restore that hold something else by now, and
//     directories that took the place of files it made: they stay;
//   - files whose owner or mode the restore changed, when they are gone or of
//     another type;
//   - originals whose place is taken by a directory that holds something, or
//     whose own directory is gone or became a symlink. These count as failed,
//     and the record keeps them.
//
// A file with several names that was copied to the record, because it lies on
// another file system, is one file again with those of its names that the
// restore replaced, not with the others.
//
// Undo may be killed and run again, and run again after it has ended: the
// record stays as it is but for what has returned. An error says that Undo
// ended early: ctx, a full disk, or a journal that cannot be read.
func (r *Record) Undo(ctx context.Context, opts UndoOptions) (Result, error) {
	u, err := newUndo(r, opts)
	if err != nil {
		return Result{}, err
	}
	defer u.close()
	if r.damaged {
		u.report("", ErrDamaged, true)
	}
	if r.old {
		err = u.oldFiles(ctx)
	} else {
		err = u.changes(ctx)
	}
	if err != nil {
		return u.result, err
	}
	return u.result, u.settle()
}

type undo struct {
	record *Record
	opts   UndoOptions
	calls  livefs.Calls
	live   *sysfs.Root
	home   *sysfs.Root
	copier *livefs.Copier // from home to live, made when first needed
	synced livefs.SyncSet
	copied map[[2]uint64]string // paths that copies with several names went back to, by the inode they had
	moved  bool                 // directories changed places since the copier last began anew
	spent  []string             // places in the record whose copies went back
	result Result
}

func newUndo(r *Record, opts UndoOptions) (*undo, error) {
	live, err := sysfs.Open(opts.Root)
	if err != nil {
		return nil, err
	}
	home, err := sysfs.Open(r.dir)
	if err != nil {
		live.Close()
		return nil, err
	}
	u := &undo{record: r, opts: opts, live: live, home: home}
	u.calls.Before = opts.Fault
	u.copied = make(map[[2]uint64]string)
	return u, nil
}

func (u *undo) close() {
	if u.copier != nil {
		u.copier.Close()
	}
	u.synced.Close()
	u.live.Close()
	u.home.Close()
}

// changes goes through the journal from the end.
func (u *undo) changes(ctx context.Context) error {
	list := u.record.changes
	for i := range list {
		if err := ctx.Err(); err != nil {
			return err
		}
		e, err := u.record.entry(list[len(list)-1-i])
		if err != nil {
			return err
		}
		if err := u.one(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// one returns an error only when there is no point in going on.
func (u *undo) one(ctx context.Context, e *entry) error {
	var err error
	if u.record.void[e.seq] {
		err = u.clean(e)
	} else {
		u.result.Paths++
		err = u.state(ctx, e)
	}
	if livefs.NoSpace(err) || ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return fmt.Errorf("put back %q: %w", e.path, err)
	}
	if err != nil {
		passed := sysfs.Gone(err) || errors.Is(err, ErrOccupied) || errors.Is(err, ErrChanged)
		u.report(e.path, err, e.kind == kindSaved || !passed)
	}
	return nil
}

// state brings a path to a recorded state.
func (u *undo) state(ctx context.Context, e *entry) error {
	switch e.kind {
	case kindNew:
		return u.remove(e)
	case kindSaved:
		return u.putBack(ctx, e)
	case kindTemp:
		return u.clean(e)
	case kindMeta:
		return u.setMeta(e.path, e.meta)
	case kindDir:
		return u.makeDir(e)
	}
	return u.setTimes(e)
}

func (u *undo) report(path string, err error, failed bool) {
	if failed {
		u.result.Failed++
	} else {
		u.result.Passed++
	}
	if u.opts.Passed != nil {
		u.opts.Passed(path, err)
	}
}

// place returns a live path's place, and takes note of its file system.
func (u *undo) place(path string) (livefs.Place, error) {
	p, err := livefs.At(u.live, path)
	if err == nil {
		err = u.synced.Add(p.Dir)
	}
	return p, err
}

// clean removes what a kill left beside the path.
func (u *undo) clean(e *entry) error {
	p, err := u.place(e.path)
	if sysfs.Gone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	dir, _ := sysfs.Split(e.path)
	for _, name := range []string{tempName(u.record.mark, e.seq), asideName(u.record.mark, e.seq)} {
		st, err := p.Beside(name).Stat()
		if err == nil && livefs.IsDir(st) {
			u.moved = true
			err = u.calls.RemoveAll(u.live, below(dir, name))
		} else if err == nil && st != nil {
			err = u.calls.Unlink(p.Beside(name))
		}
		if err != nil {
			return fmt.Errorf("remove %q: %w", below(dir, name), err)
		}
		if p, err = u.place(e.path); err != nil { // RemoveAll let go of it
			return err
		}
	}
	return nil
}

// remove removes what is at a path where nothing was.
func (u *undo) remove(e *entry) error {
	if err := u.clean(e); err != nil {
		return err
	}
	p, err := u.place(e.path)
	if sysfs.Gone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	st, err := p.Stat()
	if err != nil || st == nil {
		return err
	}
	return u.clear(p, e.path, st)
}

// clear makes way at a path, but not by what somebody put into a directory.
func (u *undo) clear(p livefs.Place, path string, st *unix.Stat_t) error {
	if !livefs.IsDir(st) {
		return u.calls.Unlink(p)
	}
	err := u.calls.Rmdir(p)
	u.moved = true
	u.live.Forget(path)
	if livefs.NotEmpty(err) {
		return ErrOccupied
	}
	return err
}

func (u *undo) setMeta(path string, m livefs.Meta) error {
	p, err := u.place(path)
	if err != nil {
		return err
	}
	st, err := p.Stat()
	switch {
	case err != nil:
		return err
	case st == nil:
		return ErrGone
	case (st.Mode^m.Mode)&unix.S_IFMT != 0:
		return ErrChanged
	}
	return u.calls.SetMeta(p, st, m)
}

func (u *undo) setTimes(e *entry) error {
	dir, err := u.live.Dir(e.path)
	if err == nil {
		err = u.synced.Add(dir)
	}
	var st unix.Stat_t
	if err == nil {
		err = unix.Fstat(dir, &st)
	}
	if err != nil || st.Mtim == e.time {
		return err
	}
	return u.calls.SetModTime(livefs.Place{Dir: dir, Name: "."}, e.time)
}

// settle makes what was done durable, and then lets go of the copies that it
// was done with.
func (u *undo) settle() error {
	if err := u.synced.Sync(u.calls); err != nil {
		return err
	}
	for _, place := range u.spent {
		if err := u.calls.RemoveAll(u.home, place); err != nil {
			return err
		}
	}
	return nil
}
