package overlay

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"

	"tklbam/chain/archive"
	"tklbam/pkg/rollback"
	"tklbam/pkg/rollback/livefs"
	"tklbam/pkg/sysfs"
	"tklbam/pkg/tree"
)

// perform changes the path of a step.
func (a *applier) perform(ctx context.Context, s *step) error {
	p, err := livefs.At(a.live, s.real)
	if err != nil {
		return err
	}
	if err := a.synced.Add(p.Dir); err != nil {
		return err
	}
	now, err := p.Stat()
	if err != nil {
		return err
	}
	if s.change != nil && !a.opts.Journal.Holds(s.change, now) {
		return rollback.ErrRaced
	}
	switch s.Op {
	case OpPut:
		return a.put(ctx, s, p, now)
	case OpPutBytes:
		return a.build(ctx, s, p, now, func(temp string) error { return a.bytes(s, p, temp, now) })
	case OpMakeDir:
		return a.makeDir(ctx, s, p, now)
	case OpRemove:
		return a.remove(ctx, s, p, now)
	}
	return a.setMeta(s, p, now)
}

func (a *applier) setMeta(s *step, p livefs.Place, now *unix.Stat_t) error {
	if now == nil {
		return fs.ErrNotExist
	}
	if !a.covered(s) {
		return rollback.ErrRaced
	}
	if s.Op == OpChown {
		return a.calls.Chown(p, now, s.UID, s.GID)
	}
	m, err := p.Meta(now)
	if err != nil {
		return err
	}
	m.Mode = s.Mode
	return a.calls.SetMeta(p, now, m)
}

// covered reports whether the metadata there is to change is recorded.
func (a *applier) covered(s *step) bool {
	return a.opts.Journal == nil || a.opts.Journal.Covers(s.real)
}

func (a *applier) makeDir(ctx context.Context, s *step, p livefs.Place, now *unix.Stat_t) error {
	if livefs.IsDir(now) {
		if !a.covered(s) {
			return rollback.ErrRaced
		}
		m, err := p.Meta(now)
		if err != nil {
			return err
		}
		m.Mode, m.UID, m.GID = s.Mode, s.UID, s.GID
		return a.calls.SetMeta(p, now, m)
	}
	if a.opts.Journal != nil && s.change == nil {
		return rollback.ErrRaced // it was a directory
	}
	e := a.dirEntry(s)
	err := a.build(ctx, s, p, now, func(temp string) error { return a.copier.File(e, temp) })
	if err == nil {
		e.Path = s.real
		a.dirs = append(a.dirs, *e)
	}
	return err
}

// dirEntry describes a directory to be made.
func (a *applier) dirEntry(s *step) *archive.Entry {
	e := &archive.Entry{Type: archive.Directory, ModTime: a.opts.Now}
	if a.extract != nil {
		if like, err := a.copier.Stat(s.Path); err == nil && like.Type == archive.Directory {
			e = like
		}
	}
	e.Mode, e.UID, e.GID = s.Mode&07777, s.UID, s.GID
	return e
}

func (a *applier) remove(ctx context.Context, s *step, p livefs.Place, now *unix.Stat_t) error {
	if !livefs.IsDir(now) {
		return a.calls.Unlink(p)
	}
	defer a.live.Forget(s.real)
	if s.change == nil || s.change.Known() {
		err := a.calls.Rmdir(p)
		if livefs.NotEmpty(err) {
			return ErrNotEmpty
		}
		return errors.Join(err, a.copier.Reset())
	}
	if err := a.opts.Journal.Move(ctx, a.live, s.change); err != nil {
		return err
	}
	return errors.Join(a.opts.Journal.Sweep(a.live, s.change), a.copier.Reset())
}

// put moves a file out of the extract where that is possible, and otherwise
// copies it.
func (a *applier) put(ctx context.Context, s *step, p livefs.Place, now *unix.Stat_t) error {
	if a.opts.Consume {
		moved, err := a.moveIn(ctx, s, p, now)
		if moved || err != nil {
			return err
		}
	}
	return a.build(ctx, s, p, now, func(temp string) error { return a.copyIn(s, temp) })
}

// moveIn reports false if the file has to be copied: to another file system,
// or because its owner cannot be set.
func (a *applier) moveIn(ctx context.Context, s *step, p livefs.Place, now *unix.Stat_t) (bool, error) {
	from, err := livefs.At(a.extract, s.Path)
	if err != nil {
		return false, err
	}
	st, err := from.Stat()
	if err != nil || st == nil {
		return false, err
	}
	var dir unix.Stat_t
	if err := unix.Fstat(p.Dir, &dir); err != nil {
		return false, err
	}
	if dir.Dev != st.Dev {
		return false, nil
	}
	if err := a.mapOwner(s, from, st); err != nil {
		return false, ignoreRefused(err)
	}
	err = a.place(ctx, s, from, now, false)
	if errors.Is(err, unix.EXDEV) {
		return false, nil
	}
	return true, err
}

func ignoreRefused(err error) error {
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EINVAL) {
		return nil
	}
	return err
}

// mapOwner translates the owner of a file in the extract, once for all of its
// names.
func (a *applier) mapOwner(s *step, from livefs.Place, st *unix.Stat_t) error {
	id := inode{st.Dev, st.Ino}
	if st.Nlink > 1 && a.mapped[id] {
		return nil
	}
	uid, gid := a.owner(s, int(st.Uid), int(st.Gid))
	if uid != int(st.Uid) || gid != int(st.Gid) {
		if err := a.calls.Chown(from, st, uid, gid); err != nil {
			return err
		}
	}
	if st.Nlink > 1 {
		a.mapped[id] = true
	}
	return nil
}

// owner is whose a file is to be that the extract has as uid's and gid's.
func (a *applier) owner(s *step, uid, gid int) (int, int) {
	if s.Owned {
		return s.UID, s.GID
	}
	return mapID(a.opts.UIDs, uid), mapID(a.opts.GIDs, gid)
}

// copyIn copies a file of the extract to a temporary path, as a link to
// another copy of the same file if there is one.
func (a *applier) copyIn(s *step, temp string) error {
	e, err := a.copier.Stat(s.Path)
	if err != nil {
		return err
	}
	if id := (inode{e.Device, e.Inode}); !a.mapped[id] {
		e.UID, e.GID = a.owner(s, e.UID, e.GID)
	}
	if e.Links < 2 || e.Type != archive.Regular {
		return a.copier.File(e, temp)
	}
	id := inode{e.Device, e.Inode}
	if first, ok := a.linked[id]; ok && a.isAt(first) {
		if err := a.copier.Link(first.path, temp); !errors.Is(err, tree.ErrCannotLink) {
			return err
		}
	}
	if err := a.copier.File(e, temp); err != nil {
		return err
	}
	st, err := a.look(temp)
	if err == nil && st != nil {
		a.linked[id] = placed{s.real, inode{st.Dev, st.Ino}}
	}
	return err
}

// isAt reports whether the copy of a file is still where it went.
func (a *applier) isAt(f placed) bool {
	st, err := a.look(f.path)
	return err == nil && st != nil && f.id == inode{st.Dev, st.Ino}
}

// bytes makes a file of an action's own content. It is synced at once: the
// system may not start without it.
func (a *applier) bytes(s *step, p livefs.Place, temp string, now *unix.Stat_t) error {
	e := &archive.Entry{Path: temp, Type: archive.Regular, Mode: s.Mode & 07777, UID: s.UID, GID: s.GID, ModTime: a.opts.Now}
	var err error
	if now != nil {
		if e.Xattrs, err = securityLabels(p); err != nil {
			return err
		}
	}
	if err := a.copier.Bytes(e, s.Data); err != nil {
		return err
	}
	p, err = livefs.At(a.live, temp)
	if err != nil {
		return err
	}
	return a.calls.Fsync(p)
}

// securityLabels reads the attributes a security module keeps at a file.
func securityLabels(p livefs.Place) ([]archive.Xattr, error) {
	all, err := p.Xattrs()
	var labels []archive.Xattr
	for _, x := range all {
		if strings.HasPrefix(x.Name, "security.") && x.Name != "security.capability" {
			labels = append(labels, x)
		}
	}
	return labels, err
}

// build makes what is to be at the path under a temporary name beside it, and
// then puts it in its place.
func (a *applier) build(ctx context.Context, s *step, p livefs.Place, now *unix.Stat_t, create func(temp string) error) error {
	dir, _ := sysfs.Split(s.real)
	temp := below(dir, a.temp(s))
	if err := create(temp); err != nil {
		return errors.Join(err, a.discard(temp))
	}
	second, err := a.live.Clone()
	if err != nil {
		return err
	}
	defer second.Close()
	from, err := livefs.At(second, temp)
	if err == nil {
		err = a.place(ctx, s, from, now, s.Op == OpMakeDir)
	}
	if err != nil {
		return errors.Join(err, a.discard(temp))
	}
	// Between two names of one file a rename does nothing.
	if s.Op == OpPut {
		return a.calls.Unlink(from)
	}
	return nil
}

// temp is the name of the step's temporary file.
func (a *applier) temp(s *step) string {
	if s.change != nil {
		return s.change.Temp()
	}
	a.serial++
	return fmt.Sprintf("%s%s-%d", tree.TempPrefix, a.mark, a.serial)
}

func (a *applier) discard(temp string) error {
	st, err := a.look(temp)
	if err != nil || st == nil {
		return err
	}
	p, err := livefs.At(a.live, temp)
	if err != nil {
		return err
	}
	if livefs.IsDir(st) {
		return a.calls.Rmdir(p)
	}
	return a.calls.Unlink(p)
}
