package sftp

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"tklbam/backends"
)

// bufferSize is what a Put collects of the small writes of compressors and
// ciphers before it sends packets.
const bufferSize = 8 * packetSize

// tempMaxAge is how long a temporary file lasts after the last write to it.
// There are no locks to tell whether its maker lives.
const tempMaxAge = 24 * time.Hour

// cleanupTime bounds what is done after a Put was cancelled or has failed.
const cleanupTime = 5 * time.Second

// Put implements backends.Backend: the content goes to a hidden temporary
// file in the same directory, whose length is compared and which is renamed.
// A crash of program, connection or server leaves, at each step:
//
//   - while write runs and until the rename: the name as it was, and perhaps
//     a temporary file, which a Put of another day removes (see sweep);
//   - after the rename: the name with the new content.
//
// Where the answer to the rename is lost it can be either.
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
	var conn files
	var temp string
	var up upload
	err := t.connected(ctx, func(c files) (err error) {
		conn, temp = c, t.path(backends.TempName())
		up, err = c.create(ctx, temp)
		return err
	})
	if err != nil {
		return err
	}
	err = t.sweepOnce(ctx, conn, temp)
	if err == nil {
		err = fill(ctx, up, write)
	}
	if err == nil {
		err = conn.rename(ctx, temp, t.path(name))
	}
	if err != nil {
		up.abandon()
		return errors.Join(err, cleanUp(ctx, conn, temp))
	}
	return nil
}

// fill writes the content and checks that the server has as much.
func fill(ctx context.Context, up upload, write func(w io.Writer) error) error {
	counted := &counter{w: up}
	buffered := bufio.NewWriterSize(counted, bufferSize)
	if err := write(&cancelWriter{ctx, buffered}); err != nil {
		return err
	}
	if err := buffered.Flush(); err != nil {
		return err
	}
	size, err := up.finish()
	if err != nil {
		return err
	}
	if size != counted.n {
		return fmt.Errorf("%w: it kept %d bytes of %d", backends.ErrUnavailable, size, counted.n)
	}
	return ctx.Err()
}

// cleanUp removes what a failed Put leaves. After a rename whose answer was
// lost there may be nothing. On a broken connection it can't be done: sweep
// does it another time.
func cleanUp(ctx context.Context, conn files, temp string) error {
	if !conn.live() {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	err := ignoreAbsent(conn.remove(ctx, temp))
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, backends.ErrUnavailable) {
		return nil
	}
	return err
}

// counter counts what goes to an upload.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
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

// sweepOnce removes stale temporary files before the first content is stored,
// so that a disk which killed backups have filled is free for the next. The
// new temporary file says what time it is by the server's clock.
func (t *target) sweepOnce(ctx context.Context, conn files, temp string) error {
	if !t.sweeping.TryLock() {
		return nil // another Put is at it
	}
	defer t.sweeping.Unlock()
	if t.swept {
		return nil
	}
	names, err := conn.stale(ctx, t.dir, temp)
	if err != nil {
		return err
	}
	for _, name := range names {
		err := conn.remove(ctx, t.path(name))
		if ctx.Err() != nil || errors.Is(err, backends.ErrUnavailable) {
			return err // others, as with another user's file, stop no Put
		}
	}
	t.swept = true
	return nil
}
