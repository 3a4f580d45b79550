package rollback

import (
	"fmt"

	"tklbam/pkg/rollback/livefs"
	"tklbam/pkg/sysfs"
)

// Preserve records a file as it is, or that there is none, although the
// restore itself does not change it: a program that it is about to run may, or
// did so already without touching this file. Undo makes the directories on the
// way again where they are gone by then. Directories, and paths that lead
// nowhere, are passed over. It is durable when the call returns.
func (j *Journal) Preserve(root *sysfs.Root, path string) error {
	if err := j.preserve(root, path); err != nil {
		return fmt.Errorf("preserve %q: %w", path, err)
	}
	return nil
}

func (j *Journal) preserve(root *sysfs.Root, path string) error {
	p, err := livefs.At(root, path)
	if sysfs.Gone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	now, err := p.Stat()
	if err != nil || livefs.IsDir(now) {
		return err
	}
	c, err := j.Replace(root, path, now)
	if err != nil {
		return err
	}
	if err := j.directories(root, path); err != nil {
		return err
	}
	if err := j.Sync(); err != nil {
		return err
	}
	if err := j.Keep(root, c); err != nil {
		return err
	}
	return j.Flush()
}

// directories records those on the way to a path. Undo goes backwards, and so
// comes by the one at the top first.
func (j *Journal) directories(root *sysfs.Root, path string) error {
	for dir, _ := sysfs.Split(path); dir != ""; dir, _ = sysfs.Split(dir) {
		p, err := livefs.At(root, dir)
		if err != nil {
			return err
		}
		st, err := p.Stat()
		if err != nil || st == nil {
			return err
		}
		meta, err := p.Meta(st)
		if err != nil {
			return err
		}
		j.log(&entry{kind: kindDir, path: dir, meta: meta})
	}
	return nil
}

// makeDir makes a directory that was there again, empty.
func (u *undo) makeDir(e *entry) error {
	p, err := u.place(e.path)
	if err != nil {
		return err
	}
	st, err := p.Stat()
	if err != nil || st != nil {
		return err
	}
	if err := u.calls.Mkdir(p, 0o700); err != nil {
		return err
	}
	if st, err = p.Stat(); err != nil {
		return err
	}
	return u.calls.SetMeta(p, st, e.meta)
}
