package cache

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"tklbam/backends"
)

// directory holds kept files and, while they are fetched, temporary ones.
// Space is given out, and files that are used least are removed, by whoever
// holds the lock on its lock file; all else is done without: a kept file comes
// under its name complete, by a rename, and one that is removed can be read to
// its end by those who have it open.
type directory struct {
	path string
	size func(room int64) int64 // see Options
}

func (d directory) join(name string) string { return filepath.Join(d.path, name) }

const (
	lockName  = "lock"
	lockPause = 10 * time.Millisecond
	lockTime  = 30 * time.Second // nobody holds it for long who is not stopped
)

// errLocked is a lock that could not be had in time.
var errLocked = errors.New("another process does not let go of its lock")

// open returns a reader of a kept file that is as it was put there. One that
// is not is removed. Without a file the reader is nil.
func (d directory) open(ctx context.Context, id identity) (io.ReadCloser, error) {
	path := d.join(id.file())
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if errors.Is(err, syscall.ELOOP) { // a symbolic link, which nobody here makes
		return nil, errors.Join(errDamaged, unlink(path))
	}
	if err != nil {
		return nil, err
	}
	if err := id.verify(ctx, f); err != nil {
		f.Close()
		if ctx.Err() == nil {
			err = errors.Join(err, unlink(path))
		}
		return nil, err
	}
	touch(path)
	return newReader(ctx, f, id.size), nil
}

// remove removes what is kept under a key, of any length.
func (d directory) remove(key string) error {
	names, err := readNames(d.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, name := range names {
		if isKept(name) && strings.HasPrefix(name, key) {
			err = errors.Join(err, unlink(d.join(name)))
		}
	}
	return err
}

// readNames returns the names in a directory, in no order.
func readNames(path string) ([]string, error) {
	dir, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	names, err := dir.Readdirnames(-1)
	return names, errors.Join(err, dir.Close())
}

// reserve makes room for a file, and a temporary file that shows its length to
// others, so that they leave it the room. What was kept of the file before goes
// first, of whatever length: it has been replaced, or is damaged.
func (d directory) reserve(ctx context.Context, id identity) (*temp, error) {
	if err := os.MkdirAll(d.path, 0o700); err != nil {
		return nil, err
	}
	lock, err := d.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	if err := d.remove(key(id.address, id.name)); err != nil {
		return nil, err
	}
	if err := d.makeRoom(id.size + sumSize); err != nil {
		return nil, err
	}
	return d.newTemp(id)
}

// lock takes the lock, which closing the file gives back.
func (d directory) lock(ctx context.Context) (*os.File, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, lockTime, errLocked)
	defer cancel()
	f, err := os.OpenFile(d.join(lockName), os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err := lockFile(f)
		if err == nil {
			return f, nil
		}
		if err != syscall.EWOULDBLOCK {
			return nil, errors.Join(fmt.Errorf("lock %q: %w", f.Name(), err), f.Close())
		}
		select {
		case <-time.After(lockPause):
		case <-ctx.Done():
			return nil, errors.Join(context.Cause(ctx), f.Close())
		}
	}
}

func (d directory) newTemp(id identity) (*temp, error) {
	f, err := os.OpenFile(d.join(backends.TempName()), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	t := &temp{dir: d, id: id, file: f, hash: id.newHash()}
	if err := errors.Join(lockFile(f), f.Truncate(id.size+sumSize)); err != nil {
		return nil, errors.Join(err, t.discard())
	}
	return t, nil
}

// A kept is a file in the directory.
type kept struct {
	name string
	size int64 // as it shows
	disk int64 // the part of it that is on the disk
	used time.Time
}

// makeRoom removes files until one of n bytes fits; none, if it never does.
func (d directory) makeRoom(n int64) error {
	files, passing, err := d.scan()
	if err != nil {
		return err
	}
	limit, err := d.limit(slices.Concat(files, passing))
	if err != nil {
		return err
	}
	limit -= n + total(passing)
	if limit < 0 {
		return fmt.Errorf("a file of %d bytes is more than it may hold", n-sumSize)
	}
	slices.SortFunc(files, func(a, b kept) int {
		return cmp.Or(a.used.Compare(b.used), cmp.Compare(a.name, b.name))
	})
	for taken := total(files); taken > limit; files = files[1:] {
		if err := unlink(d.join(files[0].name)); err != nil {
			return err
		}
		taken -= files[0].size
	}
	return nil
}

func total(files []kept) (bytes int64) {
	for _, f := range files {
		bytes += f.size
	}
	return bytes
}

// limit returns how many bytes the directory may hold.
func (d directory) limit(files []kept) (int64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(d.path, &st); err != nil {
		return 0, fmt.Errorf("get free space: %w", err)
	}
	room := int64(st.Bavail) * int64(st.Frsize)
	for _, f := range files {
		room += f.disk
	}
	return d.size(room), nil
}

// scan returns the kept files and those being fetched. It removes what was
// being fetched by a process that is no more.
func (d directory) scan() (files, passing []kept, err error) {
	names, err := readNames(d.path)
	if err != nil {
		return nil, nil, err
	}
	for _, name := range names {
		temporary := backends.IsTemp(name)
		if !temporary && !isKept(name) || temporary && d.sweep(name) {
			continue
		}
		info, err := os.Lstat(d.join(name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		file := kept{name, info.Size(), info.Size(), info.ModTime()}
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			file.disk = st.Blocks * 512
		}
		if temporary {
			passing = append(passing, file)
		} else {
			files = append(files, file)
		}
	}
	return files, passing, nil
}

// sweep reports whether a temporary file was left behind and is removed now. A
// living one is locked from before the directory's lock is given back.
func (d directory) sweep(name string) bool {
	f, err := os.OpenFile(d.join(name), os.O_RDWR|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	return lockFile(f) == nil && os.Remove(f.Name()) == nil
}
