package tree

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"

	"tklbam/chain/archive"
	"tklbam/pkg/sysfs"
)

// An OutFile is a regular file on its way into a Target. Commit or Abort ends
// it. Errors stick: after one, only Abort is left.
//
// A new file is written under its own name, readable by the owner alone; a
// crash leaves it half-written there. What replaces something is written under
// a name with TempPrefix and takes its place in Commit, so that a crash leaves
// the old content.
type OutFile struct {
	t    *Target
	path string
	temp string // where it is until Commit, beside its own name; "" if it is there already
	fd   int    // -1 when closed
	err  error
	done bool // committed or removed

	sparse bool
	pos    int64 // of Write
	end    int64 // everything from here on is zero
	size   int64
}

// Create begins a regular file, and makes the directories missing on the way.
// The entry's path and Sparse are used; the metadata comes with Commit.
func (t *Target) Create(e *archive.Entry) (*OutFile, error) {
	if err := expect(e, archive.Regular); err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	dir, name, err := t.parent(e.Path)
	if err != nil {
		return nil, err
	}
	f := &OutFile{t: t, path: e.Path, sparse: e.Sparse}
	f.fd, err = createNew(dir, name)
	if err == unix.EEXIST && t.opts.Overwrite {
		f.temp = tempName()
		f.fd, err = createNew(dir, f.temp)
	}
	if err != nil {
		return nil, fmt.Errorf("create %q: %w", e.Path, err)
	}
	return f, nil
}

func createNew(dir int, name string) (int, error) {
	return sysfs.Openat(dir, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW, 0o600)
}

// Write writes p after what the last Write wrote.
func (f *OutFile) Write(p []byte) (int, error) {
	n, err := f.WriteAt(p, f.pos)
	f.pos += int64(n)
	return n, err
}

// WriteAt writes p at offset off.
func (f *OutFile) WriteAt(p []byte, off int64) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	if off < 0 {
		return 0, f.fail("write", unix.EINVAL)
	}
	put := f.put
	if f.sparse {
		put = f.putSparse
	}
	n, err := put(p, off)
	f.size = max(f.size, off+int64(n))
	return n, f.fail("write", err)
}

func (f *OutFile) put(p []byte, off int64) (int, error) {
	n, err := sysfs.WriteAt(f.fd, p, off)
	f.end = max(f.end, off+int64(n))
	return n, err
}

// putSparse leaves out zeros, by blocks, where nothing but zeros is yet.
func (f *OutFile) putSparse(p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		at := off + int64(done)
		n, zero := zeroRun(p[done:], at)
		if !zero || at < f.end {
			if wrote, err := f.put(p[done:done+n], at); err != nil {
				return done + wrote, err
			}
		}
		done += n
	}
	return done, nil
}

// holeSize is the least run of zeros, in bytes and aligned to itself, that
// becomes a hole: the usual block of a file system.
const holeSize = 4096

var zeros [holeSize]byte

// zeroRun returns the length of the longest start of p, in blocks, that is
// all zeros or has no block of zeros. The first and the last block may be cut.
func zeroRun(p []byte, off int64) (n int, zero bool) {
	n = min(len(p), holeSize-int(off%holeSize))
	zero = allZero(p[:n])
	for n < len(p) {
		next := min(len(p), n+holeSize)
		if allZero(p[n:next]) != zero {
			break
		}
		n = next
	}
	return n, zero
}

// allZero is for blocks of at most holeSize bytes.
func allZero(block []byte) bool { return bytes.Equal(block, zeros[:len(block)]) }

// Truncate sets the size. What lies beyond it is lost, what is new reads as
// zeros.
func (f *OutFile) Truncate(size int64) error {
	if f.err != nil {
		return f.err
	}
	err := unix.Ftruncate(f.fd, size)
	if err == nil {
		f.size, f.end = size, min(f.end, size)
	}
	return f.fail("truncate", err)
}

func (f *OutFile) fail(action string, err error) error {
	if err != nil {
		f.err = fmt.Errorf("%s %q: %w", action, f.path, err)
	}
	return f.err
}

// Commit gives the file the metadata of the entry, closes it and puts it in
// its place. On an error the file is gone, as by Abort.
func (f *OutFile) Commit(e *archive.Entry) error {
	if f.err == nil {
		f.fail("write", f.finish(e))
	}
	if f.err != nil {
		return errors.Join(f.err, f.Abort())
	}
	f.err, f.done = fs.ErrClosed, true
	return nil
}

func (f *OutFile) finish(e *archive.Entry) error {
	if f.sparse {
		if err := unix.Ftruncate(f.fd, f.size); err != nil {
			return err
		}
	}
	if err := dropACL(openFile(f.fd), aclAccess); err != nil {
		return err
	}
	if err := f.t.apply(openFile(f.fd), e); err != nil {
		return err
	}
	err := unix.Close(f.fd)
	f.fd = -1
	if err != nil || f.temp == "" {
		return err
	}
	f.t.mu.Lock()
	defer f.t.mu.Unlock()
	dir, name, err := f.t.root.Parent(f.path)
	if err != nil {
		return err
	}
	return f.t.replace(dir, f.temp, name, f.path)
}

// Abort closes and removes the file. After Commit or Abort it does nothing.
func (f *OutFile) Abort() error {
	if f.done {
		return nil
	}
	f.done = true
	if f.fd >= 0 {
		unix.Close(f.fd) // nothing of it is kept
		f.fd = -1
	}
	f.t.mu.Lock()
	defer f.t.mu.Unlock()
	dir, name, err := f.t.root.Parent(f.path)
	if f.temp != "" {
		name = f.temp
	}
	if err == nil {
		err = ignore(unix.Unlinkat(dir, name, 0), unix.ENOENT)
	}
	if f.err == nil {
		f.err = fs.ErrClosed
	}
	if err != nil {
		return fmt.Errorf("remove %q: %w", f.path, err)
	}
	return nil
}
