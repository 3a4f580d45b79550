package rollback

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"tklbam/chain/archive"
	"tklbam/pkg/rollback/livefs"
	"tklbam/pkg/sysfs"
)

// ErrRaced says that somebody else changed a path after it was recorded.
var ErrRaced = errors.New("changed by somebody else meanwhile")

// Keep gives what a recorded change will displace a second name in the
// record: a hard link, or where that is not possible a copy. The path itself
// stays as it is. Directories are left to Move. Call Flush before the path
// changes.
func (j *Journal) Keep(root *sysfs.Root, c *Change) error {
	if c.place == "" || c.kept || livefs.IsDir(c.prior) {
		return nil
	}
	if err := j.keep(root, c); err != nil {
		return fmt.Errorf("keep %q for rollback: %w", c.path, err)
	}
	c.kept = true
	return nil
}

func (j *Journal) keep(root *sysfs.Root, c *Change) error {
	from, err := livefs.At(root, c.path)
	if err != nil {
		return err
	}
	now, err := from.Stat()
	if err != nil {
		return err
	}
	if !livefs.SameFile(c.prior, now) {
		return ErrRaced
	}
	to, err := j.placeOf(c.place)
	if err != nil {
		return err
	}
	if !j.whole {
		if err := j.calls.Link(from, to); !livefs.CannotLink(err) {
			return err
		}
	}
	c.prior, c.copied = now, true
	return j.copy(c)
}

// placeOf returns a place in the record, with the directories on the way.
func (j *Journal) placeOf(path string) (livefs.Place, error) {
	if err := j.calls.Step("make directories of originals"); err != nil {
		return livefs.Place{}, err
	}
	dir, name, err := j.home.MakeParent(path, 0o700)
	return livefs.Place{Dir: dir, Name: name}, err
}

// copy copies a file under a name that tells it is not complete, and then
// gives it its own.
func (j *Journal) copy(c *Change) error {
	copier, err := j.copies()
	if err != nil {
		return err
	}
	j.dirty = true
	partial := fmt.Sprintf("%s/%d", partialDir, c.seq)
	e, err := statOf(copier, c)
	if err == nil {
		err = copier.File(e, partial)
	}
	if err != nil {
		return err
	}
	return j.finish(partial, c.place)
}

// statOf describes what a change will displace. The copier may have gone
// there through a directory that was moved since.
func statOf(copier *livefs.Copier, c *Change) (*archive.Entry, error) {
	for range 2 {
		e, err := copier.Stat(c.path)
		if err == nil && e.Device == c.prior.Dev && e.Inode == c.prior.Ino {
			return e, nil
		}
		if err := copier.Reset(); err != nil {
			return nil, err
		}
	}
	return nil, ErrRaced
}

func (j *Journal) finish(partial, place string) error {
	second, err := j.home.Clone()
	if err != nil {
		return err
	}
	defer second.Close()
	from, err := livefs.At(second, partial)
	if err != nil {
		return err
	}
	to, err := livefs.At(j.home, place)
	if err != nil {
		return err
	}
	return j.calls.Rename(from, to)
}

func (j *Journal) copies() (*livefs.Copier, error) {
	if j.copier != nil {
		return j.copier, nil
	}
	copier, err := livefs.NewCopier(j.calls, j.root, j.dir, nil)
	if err == nil {
		j.copier = copier
	}
	return copier, err
}

// Flush makes the copies that Keep made durable.
func (j *Journal) Flush() error {
	if !j.dirty {
		return nil
	}
	if err := j.copier.Sync(); err != nil {
		return err
	}
	j.dirty = false
	return nil
}

// Move takes a directory that a recorded change displaces away into the
// record, with all it contains. From another file system it is copied, and
// waits beside its path until Sweep. Nothing is at the path afterwards. A
// mount point in it is an error that wraps unix.EBUSY.
func (j *Journal) Move(ctx context.Context, root *sysfs.Root, c *Change) error {
	if err := j.move(ctx, root, c); err != nil {
		return fmt.Errorf("move directory %q out of the way: %w", c.path, err)
	}
	c.kept = true
	root.Forget(c.path)
	return nil
}

func (j *Journal) move(ctx context.Context, root *sysfs.Root, c *Change) error {
	dir, err := root.Dir(c.path)
	if err != nil {
		return err
	}
	if err := livefs.Mounted(dir); err != nil {
		return err
	}
	to, err := livefs.At(j.home, c.place)
	if err != nil {
		return err
	}
	from, err := livefs.At(root, c.path)
	if err != nil {
		return err
	}
	if err = j.calls.Rename(from, to); !errors.Is(err, unix.EXDEV) {
		return err
	}
	if err := j.copyTree(ctx, c); err != nil {
		return err
	}
	c.copied = true
	if err := j.calls.Rename(from, from.Beside(asideName(c.mark, c.seq))); err != nil {
		return err
	}
	c.aside = true
	return nil
}

// copyTree copies a directory into its place. It is durable before it has the
// name that tells it is complete.
func (j *Journal) copyTree(ctx context.Context, c *Change) error {
	copier, err := j.copies()
	if err == nil {
		err = copier.Reset()
	}
	if err != nil {
		return err
	}
	partial := fmt.Sprintf("%s/%d", partialDir, c.seq)
	if err := copier.Tree(ctx, c.path, partial); err != nil {
		return err
	}
	if err := copier.Sync(); err != nil {
		return err
	}
	if err := j.finish(partial, c.place); err != nil {
		return err
	}
	return copier.Sync()
}

// MoveBack undoes Move, when nothing could take the path.
func (j *Journal) MoveBack(root *sysfs.Root, c *Change) error {
	to, err := livefs.At(root, c.path)
	if err != nil {
		return err
	}
	from := to.Beside(asideName(c.mark, c.seq))
	if !c.aside {
		if from, err = livefs.At(j.home, c.place); err != nil {
			return err
		}
	}
	if err := j.calls.RenameNew(from, to); err != nil {
		return fmt.Errorf("move directory %q back: %w", c.path, err)
	}
	c.aside = false
	return nil
}

// Sweep removes the directory that Move left beside its path, if it did.
func (j *Journal) Sweep(root *sysfs.Root, c *Change) error {
	if !c.aside {
		return nil
	}
	dir, _ := sysfs.Split(c.path)
	return j.calls.RemoveAll(root, below(dir, asideName(c.mark, c.seq)))
}

func below(dir, name string) string {
	if dir == "" {
		return name
	}
	return dir + "/" + name
}
