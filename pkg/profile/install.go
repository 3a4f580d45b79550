package profile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"tklbam/pkg/registry"
)

// Bounds of the parts in bytes, and of the number of hooks. An index takes
// some 100 bytes a file.
const (
	maxConf     = 1 << 20
	maxIndex    = 512 << 20
	maxPackages = 16 << 20
	maxHook     = 8 << 20
	maxHooks    = 1000
)

// limitOf returns the most bytes that a part of a profile may have, 0 for what
// is no part of one.
func limitOf(part string) int64 {
	switch part {
	case confName:
		return maxConf
	case indexName:
		return maxIndex
	case packagesName:
		return maxPackages
	}
	hook, ok := strings.CutPrefix(part, hooksName+"/")
	if ok && hook != "" && !strings.Contains(hook, "/") {
		return maxHook
	}
	return 0
}

// tempPattern names directories beside the profile, of one that is being
// built or has been replaced.
const tempPattern = ".profile-*"

// Install puts the profile of a source in the place of the one at paths, if
// there is one. Only one Install may run on a registry at a time.
//
// The new profile is built beside the old one, synced and exchanged with it,
// and then the old one is removed. A crash, or an error, before the exchange
// leaves the old profile, and one after it the new; what else is left is
// removed by the next Install. Where the file system cannot exchange
// directories there is a moment between two renames when a crash leaves no
// profile, as before the first installation.
func Install(ctx context.Context, paths registry.Profile, src Source) error {
	if err := install(ctx, paths.Dir, src); err != nil {
		return fmt.Errorf("install profile %q: %w", src.ID, err)
	}
	return nil
}

func install(ctx context.Context, dir string, src Source) (err error) {
	if _, err := ParseID(string(src.ID)); err != nil {
		return err
	}
	parent := filepath.Dir(dir)
	if err := removeTemps(parent); err != nil {
		return err
	}
	temp, err := os.MkdirTemp(parent, tempPattern)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
	if err := build(ctx, temp, src); err != nil {
		return err
	}
	if err := exchange(temp, dir); err != nil {
		return err
	}
	return syncDir(parent)
}

// removeTemps removes what a crash left behind.
func removeTemps(parent string) error {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if ok, _ := filepath.Match(tempPattern, e.Name()); !ok { // the pattern is well-formed
			continue
		}
		if err := os.RemoveAll(filepath.Join(parent, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// build makes a whole profile in an empty directory, the stamp last, and syncs
// it.
func build(ctx context.Context, dir string, src Source) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	b := &builder{ctx: ctx, root: root}
	if err := src.parts(ctx, b.put); err != nil {
		return err
	}
	if err := b.check(src.ID); err != nil {
		return err
	}
	if err := b.write(idName, false, strings.NewReader(src.ID.String()+"\n"), maxID+1); err != nil {
		return err
	}
	if err := b.write(stampName, false, strings.NewReader(""), 0); err != nil {
		return err
	}
	if !src.Timestamp.IsZero() {
		if err := root.Chtimes(stampName, src.Timestamp, src.Timestamp); err != nil {
			return err
		}
	}
	if b.hooks > 0 {
		if err := syncDir(filepath.Join(dir, hooksName)); err != nil {
			return err
		}
	}
	return syncDir(dir)
}

// A builder takes the parts of a profile into a directory.
type builder struct {
	ctx   context.Context
	root  *os.Root
	hooks int
}

func (b *builder) put(part string, executable bool, r io.Reader) error {
	limit := limitOf(part)
	if limit == 0 {
		return fmt.Errorf("%q is no part of a profile", part)
	}
	if strings.HasPrefix(part, hooksName) {
		if b.hooks++; b.hooks > maxHooks {
			return fmt.Errorf("it has more than %d hooks", maxHooks)
		}
		if err := b.root.MkdirAll(hooksName, 0o700); err != nil {
			return err
		}
	}
	return b.write(part, executable, r, limit)
}

// write makes a file, which must not exist, and syncs it.
func (b *builder) write(name string, executable bool, r io.Reader, limit int64) error {
	perm := fs.FileMode(0o600)
	if executable {
		perm = 0o700
	}
	f, err := b.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, &cancelled{b.ctx, &bounded{r, limit}})
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write %q: %w", name, err)
	}
	return nil
}

// check refuses a profile that Load would. Only the empty one has nothing to
// list, and only to nobody's surprise.
func (b *builder) check(id ID) error {
	_, err := readConf(filepath.Join(b.root.Name(), confName))
	if errors.Is(err, fs.ErrNotExist) {
		if id == Empty {
			return nil
		}
		return errors.New("it has no dirindex.conf")
	}
	return err
}

// exchange puts the directory temp in the place of dir, and what is there, if
// anything, in the place of temp.
func exchange(temp, dir string) error {
	err := os.Rename(temp, dir)
	if !errors.Is(err, syscall.ENOTEMPTY) && !errors.Is(err, syscall.EEXIST) && !errors.Is(err, syscall.ENOTDIR) {
		return err
	}
	err = unix.Renameat2(unix.AT_FDCWD, temp, unix.AT_FDCWD, dir, unix.RENAME_EXCHANGE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		return exchangeInSteps(temp, dir)
	}
	if err != nil {
		return &os.LinkError{Op: "exchange", Old: temp, New: dir, Err: err}
	}
	return nil
}

// exchangeInSteps is for file systems that know only plain renames. The old
// directory comes to lie below a directory of its own, for want of a name that
// is certain to be free.
func exchangeInSteps(temp, dir string) (err error) {
	aside, err := os.MkdirTemp(filepath.Dir(dir), tempPattern)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(aside)) }()
	old := filepath.Join(aside, filepath.Base(dir))
	if err := os.Rename(dir, old); err != nil {
		return err
	}
	if err := os.Rename(temp, dir); err != nil {
		return errors.Join(err, os.Rename(old, dir))
	}
	return nil
}

// syncDir makes the names in a directory durable, on file systems that can.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = f.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		err = nil
	}
	return errors.Join(err, f.Close())
}
