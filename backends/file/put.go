package file

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"

	"tklbam/backends"
)

// bufferSize keeps the small writes of compressors and ciphers off the disk.
const bufferSize = 256 << 10

// Put implements backends.Backend: the content goes to a hidden temporary
// file in the same directory, which is synced and renamed. A crash of program
// or machine leaves, at each step:
//
//   - while write runs and until the rename: the name as it was, and a
//     temporary file, which a later Put removes (see sweep);
//   - after the rename: the name with the new content; before the directory is
//     synced a crash of the machine may bring back the old.
//
// Only when that last sync fails does Put return an error with the new
// content under the name.
func (t *target) Put(ctx context.Context, name string, write func(w io.Writer) error) error {
	if err := backends.CheckName(name); err != nil {
		return err
	}
	if err := t.put(ctx, name, write); err != nil {
		return fmt.Errorf("store %q in %s: %w", name, t, err)
	}
	return nil
}

func (t *target) put(ctx context.Context, name string, write func(w io.Writer) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := t.sweepOnce(ctx); err != nil {
		return err
	}
	tmp, err := t.newTemp()
	if err != nil {
		return err
	}
	defer tmp.release()
	if err := tmp.commit(ctx, name, write); err != nil {
		return errors.Join(err, t.remove(tmp.name))
	}
	return t.cause(syncDir(t.dir))
}

// commit fills the temporary file and gives it its name.
func (tmp *temp) commit(ctx context.Context, name string, write func(w io.Writer) error) error {
	if err := tmp.fill(ctx, write); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return tmp.target.at(func(dir int) error { return unix.Renameat(dir, tmp.name, dir, name) })
}

// fill writes, syncs and closes the temporary file.
func (tmp *temp) fill(ctx context.Context, write func(w io.Writer) error) error {
	buffered := bufio.NewWriterSize(tmp, bufferSize)
	if err := write(&cancelWriter{ctx, buffered}); err != nil {
		return err
	}
	if err := buffered.Flush(); err != nil {
		return err
	}
	if err := tmp.file.Sync(); err != nil {
		return tmp.target.cause(err)
	}
	tmp.uncache()
	return tmp.target.cause(tmp.file.Close())
}

// uncache lets the kernel drop the file from its page cache: it is not read
// again soon, and would push out what the machine works with. That is advice,
// so that it does not matter where it is not taken.
func (tmp *temp) uncache() {
	_ = unix.Fadvise(int(tmp.file.Fd()), 0, 0, unix.FADV_DONTNEED)
}

// Write puts the target's name on errors before the caller's write sees them:
// later they could not be told from those of the caller's own files.
func (tmp *temp) Write(p []byte) (int, error) {
	n, err := tmp.file.Write(p)
	return n, tmp.target.cause(err)
}

// cancelWriter refuses to write once its context is cancelled.
type cancelWriter struct {
	ctx context.Context
	w   io.Writer
}

func (c *cancelWriter) Write(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.w.Write(p)
}
