package rollback

import (
	"context"
	"errors"
	"strconv"

	"golang.org/x/sys/unix"

	"tklbam/chain/archive"
	"tklbam/pkg/rollback/livefs"
	"tklbam/pkg/sysfs"
	"tklbam/pkg/tree"
)

// returnedName is what the copy of a directory is called in the record once a
// complete copy of that waits beside the path it goes to.
func returnedName(seq int) string { return "returned-" + strconv.Itoa(seq) }

// putBack returns what was displaced. It is the last to have been at the path
// before the restore came, so that it wins over whatever is there, but for a
// directory that holds something.
//
// A kill leaves: the original at the path, and perhaps its other name or copy
// in the record, which is put there once more; or a name in the record and a
// path that is free.
func (u *undo) putBack(ctx context.Context, e *entry) error {
	if done, err := u.finishTree(e); done || err != nil {
		return err
	}
	if err := u.clean(e); err != nil {
		return err
	}
	from, err := livefs.At(u.home, e.place)
	if sysfs.Gone(err) {
		return nil // nothing was ever kept there
	}
	if err != nil {
		return err
	}
	kept, err := from.Stat()
	if err != nil {
		return err
	}
	if kept == nil {
		u.remember(e)
		return nil
	}
	return u.exchange(ctx, e, kept)
}

// exchange puts what is kept in the record in the place of what is at the
// path now.
func (u *undo) exchange(ctx context.Context, e *entry, kept *unix.Stat_t) error {
	p, err := u.place(e.path)
	if err != nil {
		return err
	}
	now, err := p.Stat()
	if err != nil {
		return err
	}
	if livefs.SameFile(kept, now) || e.was.matches(now) {
		// Another name, or a copy, of what the restore did not get to.
		return u.calls.RemoveAll(u.home, e.place)
	}
	if now != nil && (livefs.IsDir(now) || livefs.IsDir(kept)) {
		if err := u.clear(p, e.path, now); err != nil {
			return err
		}
	}
	u.moved = u.moved || livefs.IsDir(kept)
	u.home.Forget(e.place)
	from, err := livefs.At(u.home, e.place)
	if err != nil {
		return err
	}
	err = u.calls.Rename(from, p)
	switch {
	case !errors.Is(err, unix.EXDEV):
		return err
	case livefs.IsDir(kept):
		return u.copyTree(ctx, e)
	}
	return u.copyFile(e, p)
}

// copyFile puts a copy of what is kept at the path. The one in the record
// stays until all is durable.
func (u *undo) copyFile(e *entry, p livefs.Place) error {
	copier, err := u.copies()
	if err != nil {
		return err
	}
	kept, err := copier.Stat(e.place)
	if err != nil {
		return err
	}
	dir, _ := sysfs.Split(e.path)
	temp := tempName(u.record.mark, e.seq)
	if err := u.copyOrLink(copier, e, kept, below(dir, temp)); err != nil {
		return err
	}
	if err := u.calls.Rename(p.Beside(temp), p); err != nil {
		return err
	}
	// Between two names of one file, which a kill can have left, a rename does
	// nothing.
	if err := u.calls.Unlink(p.Beside(temp)); err != nil {
		return err
	}
	u.remember(e)
	u.spent = append(u.spent, e.place)
	return nil
}

// copyOrLink links to another name of the file if that went back before.
func (u *undo) copyOrLink(copier *livefs.Copier, e *entry, kept *archive.Entry, to string) error {
	other := u.copied[[2]uint64{e.was.dev, e.was.ino}]
	if other != "" && u.isCopy(other, kept) {
		if err := copier.Link(other, to); !errors.Is(err, tree.ErrCannotLink) {
			return err
		}
	}
	return copier.File(kept, to)
}

// isCopy reports whether the file at a path is what was put there.
func (u *undo) isCopy(path string, kept *archive.Entry) bool {
	second, err := u.live.Clone()
	if err != nil {
		return false
	}
	defer second.Close()
	p, err := livefs.At(second, path)
	if err != nil {
		return false
	}
	st, err := p.Stat()
	if err != nil || st == nil {
		return false
	}
	return st.Mode&unix.S_IFMT == unix.S_IFREG && st.Size == kept.Size &&
		st.Mtim.Nano() == kept.ModTime.UnixNano()
}

// remember takes note of a file that is back, and had more than one name.
func (u *undo) remember(e *entry) {
	if e.was.links > 1 {
		u.copied[[2]uint64{e.was.dev, e.was.ino}] = e.path
	}
}

func (u *undo) copies() (*livefs.Copier, error) {
	if u.copier != nil && u.moved {
		u.moved = false
		return u.copier, u.copier.Reset()
	}
	if u.copier != nil {
		return u.copier, nil
	}
	copier, err := livefs.NewCopier(u.calls, u.record.dir, u.opts.Root, nil)
	if err == nil {
		u.copier = copier
	}
	return copier, err
}

// copyTree copies a directory back: whole and durable beside its path first;
// then the name in the record says so; then it takes its place.
func (u *undo) copyTree(ctx context.Context, e *entry) error {
	copier, err := u.copies()
	if err != nil {
		return err
	}
	dir, _ := sysfs.Split(e.path)
	if err := copier.Tree(ctx, e.place, below(dir, tempName(u.record.mark, e.seq))); err != nil {
		return err
	}
	if err := copier.Sync(); err != nil {
		return err
	}
	if err := u.markReturned(e); err != nil {
		return err
	}
	_, err = u.finishTree(e)
	return err
}

func (u *undo) markReturned(e *entry) error {
	from, err := livefs.At(u.home, e.place)
	if err != nil {
		return err
	}
	top, err := u.home.Clone()
	if err != nil {
		return err
	}
	defer top.Close()
	to, err := livefs.At(top, returnedName(e.seq))
	if err != nil {
		return err
	}
	return u.calls.Rename(from, to)
}

// finishTree reports whether a directory was copied back completely, and puts
// it in its place if it is not there yet.
func (u *undo) finishTree(e *entry) (bool, error) {
	from, err := livefs.At(u.home, returnedName(e.seq))
	if err != nil {
		return false, err
	}
	if st, err := from.Stat(); st == nil || err != nil {
		return false, err
	}
	p, err := u.place(e.path)
	if err != nil {
		return true, err
	}
	temp := p.Beside(tempName(u.record.mark, e.seq))
	waiting, err := temp.Stat()
	if err != nil {
		return true, err
	}
	if waiting != nil {
		now, err := p.Stat()
		if err == nil && now != nil {
			err = u.clear(p, e.path, now)
		}
		if err == nil {
			u.moved = true
			err = u.calls.Rename(temp, p)
		}
		if err != nil {
			return true, err
		}
	}
	u.spent = append(u.spent, returnedName(e.seq))
	return true, nil
}
