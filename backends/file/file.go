// Package file is the driver for a directory: file:// addresses.
//
// Everything happens relative to a descriptor of the directory, so that a
// backend stays with the directory it opened when that is renamed or its path
// is pointed elsewhere. Files are stored with mode 0600 (Duplicity leaves
// them as the umask has it): they hold a whole system, if encrypted.
//
// A symbolic link to a regular file counts as that file for List and Open, so
// that volumes can be moved to other disks; Put and Delete replace and remove
// the link itself. Links that lead nowhere count as absent. Other entries,
// such as directories and devices, are not listed and can't be opened.
package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"tklbam/backends"
)

// Options are what a target needs to be known besides its address.
type Options struct {
	// RequireMount refuses a directory on the root file system: a disk that
	// is not mounted leaves its mount point there, which a backup would
	// fill, and a restore find empty. A mount at or above the directory,
	// other than "/", is what there has to be.
	RequireMount bool
}

// Driver returns the driver for file:// addresses.
func Driver() backends.Driver { return Options{}.Driver() }

// Driver returns a driver for file:// addresses with the options.
func (o Options) Driver() backends.Driver {
	return backends.Driver{Schemes: []string{"file"}, Open: o.open}
}

// target is an open directory. It implements backends.Backend and
// backends.Spacer; its readers are io.Seekers.
type target struct {
	address backends.Address
	dir     *os.File
	conn    syscall.RawConn // of dir

	sweeping sync.Mutex // held while stale temporary files are removed
	swept    bool       // they have been
}

// Open opens the directory of an address. With opts.Create it makes it if it
// is absent, and the directories above it that are, with mode 0700.
func Open(ctx context.Context, a backends.Address, opts backends.Options) (backends.Backend, error) {
	return Options{}.open(ctx, a, opts)
}

func (o Options) open(ctx context.Context, a backends.Address, opts backends.Options) (backends.Backend, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	t := &target{address: a}
	path, err := filepath.Abs(a.Path)
	if err == nil {
		t.dir, err = o.openDir(path, opts.Create)
	}
	if err == nil {
		t.conn, err = t.dir.SyscallConn()
	}
	if err != nil {
		return nil, t.cause(err)
	}
	return t, nil
}

// openDir opens a directory, or makes it.
func (o Options) openDir(path string, create bool) (*os.File, error) {
	dir, err := openDir(path)
	if create && errors.Is(err, fs.ErrNotExist) {
		if err := o.checkAbove(path); err != nil {
			return nil, err
		}
		if err := makeDir(path); err != nil {
			return nil, err
		}
		dir, err = openDir(path)
	}
	if err != nil {
		return nil, err
	}
	if err := o.check(dir); err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	return dir, nil
}

// List implements backends.Reader.
func (t *target) List(ctx context.Context, fn func(name string, size int64) error) error {
	names, err := t.names(ctx)
	if err != nil {
		return fmt.Errorf("list %s: %w", t, err)
	}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("list %s: %w", t, err)
		}
		size, err := t.size(name)
		if errors.Is(err, errNoFile) {
			continue
		}
		if err != nil {
			return fmt.Errorf("list %q in %s: %w", name, t, err)
		}
		if err := fn(name, size); err != nil {
			return err
		}
	}
	return nil
}

// names returns the valid names in the directory. All at once: fn may change
// the directory, and on some file systems (btrfs) a directory that is changed
// while it is read shows a name again.
func (t *target) names(ctx context.Context) ([]string, error) {
	var valid []string
	err := t.eachEntry(ctx, func(name string) error {
		if backends.ValidName(name) {
			valid = append(valid, name)
		}
		return nil
	})
	return valid, err
}

// eachEntry calls fn for every name in the directory. It reads through a
// descriptor of its own, because descriptors have one reading position.
func (t *target) eachEntry(ctx context.Context, fn func(name string) error) error {
	dir, err := t.openFile(".", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer dir.Close()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		names, err := dir.Readdirnames(1024)
		for _, name := range names {
			if err := fn(name); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return t.cause(err)
		}
	}
}

// errNoFile is an entry that is absent or no regular file.
var errNoFile = errors.New("not a regular file")

// size returns the size of a file that Open would open, or errNoFile.
func (t *target) size(name string) (int64, error) {
	var st unix.Stat_t
	err := t.at(func(dir int) error { return unix.Fstatat(dir, name, &st, 0) })
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ELOOP):
		return 0, errNoFile
	case err != nil:
		return 0, err
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return 0, errNoFile
	}
	return st.Size, nil
}

// Open implements backends.Reader. What it returns is an io.Seeker as well.
func (t *target) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	if err := backends.CheckName(name); err != nil {
		return nil, err
	}
	f, err := t.openRegular(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("open %q in %s: %w", name, t, err)
	}
	return &reader{ctx, t, f}, nil
}

func (t *target) openRegular(ctx context.Context, name string) (*os.File, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	// Without O_NONBLOCK a fifo would hold the open up until it has a writer.
	f, err := t.openFile(name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errNoFile
	}
	if err != nil {
		return nil, errors.Join(t.cause(err), f.Close())
	}
	return f, nil
}

// reader ties a file to the context it was opened with.
type reader struct {
	ctx    context.Context
	target *target
	file   *os.File
}

func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := r.file.Read(p)
	if err != nil && err != io.EOF {
		err = r.target.cause(err)
	}
	return n, err
}

func (r *reader) Seek(offset int64, whence int) (int64, error) { return r.file.Seek(offset, whence) }

func (r *reader) Close() error { return r.file.Close() }

// Delete implements backends.Backend. It is not synced: after a crash of the
// machine a deleted file may be there again.
func (t *target) Delete(ctx context.Context, name string) error {
	if err := backends.CheckName(name); err != nil {
		return err
	}
	err := ctx.Err()
	if err == nil {
		err = t.remove(name)
	}
	if err != nil {
		return fmt.Errorf("delete %q in %s: %w", name, t, err)
	}
	return nil
}

// Free implements backends.Spacer.
func (t *target) Free(ctx context.Context) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	var st unix.Statfs_t
	if err := t.at(func(dir int) error { return unix.Fstatfs(dir, &st) }); err != nil {
		return 0, fmt.Errorf("get free space of %s: %w", t, err)
	}
	return st.Bavail * uint64(st.Frsize), nil
}

// Close implements backends.Backend.
func (t *target) Close() error {
	if err := t.dir.Close(); err != nil && !errors.Is(err, fs.ErrClosed) {
		return fmt.Errorf("close %s: %w", t, t.cause(err))
	}
	return nil
}

// String implements backends.Backend.
func (t *target) String() string { return t.address.String() }
