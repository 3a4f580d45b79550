package ftp

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	mathrand "math/rand/v2"
	"time"

	"tklbam/backends"
)

const (
	// bufferSize keeps the small writes of compressors and ciphers off the
	// network.
	bufferSize = 128 << 10

	// cleanupTime bounds the removal of a temporary file.
	cleanupTime = 30 * time.Second

	// renameTime bounds a renaming, which no cancelling interrupts: what came
	// of it could not be told.
	renameTime = time.Minute

	// tempMaxAge is the age from which a temporary file is taken for a dead
	// run's. Listings may give the server's local time: a day more than the
	// time any upload takes.
	tempMaxAge = 48 * time.Hour

	// firstWait and lastWait bound the growing waits for a renaming.
	firstWait = 50 * time.Millisecond
	lastWait  = 500 * time.Millisecond
)

// asideSuffix, behind a temporary name, is what a file has that is set aside
// (see replace): it is none that a dead run left.
const asideSuffix = ".old"

// Put implements backends.Backend: the content goes to a hidden temporary
// file, whose length the server confirms (where it has SIZE or MLST: what has
// neither vouches for it with the end of the transfer alone), and which is
// renamed. A crash leaves the name as it was or with the new content, and
// perhaps the temporary file, which a Put after two days removes. Whether
// stored content outlives a crash of the server is the server's matter.
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
	if err := t.sweepOnce(ctx); err != nil {
		return err
	}
	tmp := backends.TempName()
	err := t.commit(ctx, tmp, name, write)
	if err == nil {
		return nil
	}
	cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	if cleanupErr := t.remove(cleanup, tmp); cleanupErr != nil {
		// As text: it does not decide whether the Put may be repeated.
		return fmt.Errorf("%w (and its temporary file %q may be left: %v)", err, tmp, cleanupErr)
	}
	return err
}

// commit fills the temporary file and gives it its name.
func (t *target) commit(ctx context.Context, tmp, name string, write func(w io.Writer) error) error {
	var size int64
	err := t.with(ctx, func(s *session) (err error) {
		if size, err = s.store(ctx, tmp, write); err != nil {
			return err
		}
		return s.verify(tmp, size)
	})
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return t.settle(context.WithoutCancel(ctx), tmp, name, size)
}

// store uploads what write produces.
func (s *session) store(ctx context.Context, tmp string, write func(w io.Writer) error) (size int64, err error) {
	c := &content{ctx: ctx, write: write}
	err = s.transferred(s.conn.Stor(tmp, c))
	if c.err != nil {
		return 0, &transferError{c.err}
	}
	return c.size, err
}

// content is what write produces, on the way to a data connection. It counts
// the bytes, and refuses more once its context is cancelled.
type content struct {
	ctx   context.Context
	write func(w io.Writer) error
	err   error // of write, where the connection has not failed before

	to   *bufio.Writer
	size int64
}

// WriteTo has write produce all of the content. It is what io.Copy calls.
func (c *content) WriteTo(connection io.Writer) (int64, error) {
	c.to = bufio.NewWriterSize(connection, bufferSize)
	err := c.write(writerFunc(c.add))
	if _, failed := c.to.Write(nil); failed != nil {
		return c.size, failed // the server's answer says why
	}
	if err != nil {
		c.err = err
		return c.size, err
	}
	return c.size, c.to.Flush()
}

// Read makes it an io.Reader, as which a transfer takes it.
func (c *content) Read([]byte) (int, error) { return 0, errors.ErrUnsupported }

func (c *content) add(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.to.Write(p)
	c.size += int64(n)
	if c.ctx.Err() != nil {
		err = c.ctx.Err()
	}
	return n, err
}

// writerFunc is a writer without other methods.
type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// verify compares the length of a stored file with what was sent.
func (s *session) verify(name string, want int64) error {
	got, err := s.size(name)
	if errors.Is(err, errNoSize) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("verify the upload: %w", err)
	}
	if got != want {
		return fmt.Errorf("%w: verify the upload: the server stored %d bytes of %d", backends.ErrUnavailable, got, want)
	}
	return nil
}

// settle renames a temporary file to its name. When the answer is lost it looks
// which of the two is there, and tries again, for a moment, as long as nothing
// has happened.
func (t *target) settle(ctx context.Context, from, to string, size int64) error {
	ctx, cancel := context.WithTimeout(ctx, renameTime)
	defer cancel()
	for wait := firstWait; ; wait *= 2 {
		err := t.with(ctx, func(s *session) error { return s.rename(from, to) })
		if !errors.Is(err, backends.ErrUnavailable) {
			return err
		}
		var fromErr, toErr error
		var stored int64
		lookErr := t.with(ctx, func(s *session) error {
			_, fromErr = s.size(from)
			stored, toErr = s.size(to)
			return nil
		})
		if lookErr == nil && errors.Is(fromErr, fs.ErrNotExist) && toErr == nil && stored == size {
			return nil
		}
		if lookErr != nil || fromErr != nil || wait > lastWait {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(wait/2 + mathrand.N(wait)):
		}
	}
}

// rename gives a temporary file its name, in place of what has it. Most
// servers replace that in one step, as RNTO is rename(2) to them.
func (s *session) rename(from, to string) error {
	err := s.cause(s.conn.Rename(wirePath(from), wirePath(to)))
	if err == nil || !isReply(err) || errors.Is(err, backends.ErrUnavailable) || errors.Is(err, backends.ErrNoSpace) {
		return err
	}
	if _, sizeErr := s.size(to); sizeErr != nil {
		return err
	}
	return s.replace(from, to, err)
}

// replace is rename on a server that refuses (with refused) to rename over a
// file. The protocol has nothing that replaces in one step there, so the old
// file is set aside, and back again if the new one does not get the name. What
// remains: between the two renamings nothing has the name, and if the program
// dies there both contents are under hidden names, the old one with
// asideSuffix, which nothing removes.
func (s *session) replace(from, to string, refused error) error {
	aside := backends.TempName() + asideSuffix
	if s.conn.Rename(wirePath(to), wirePath(aside)) != nil {
		return refused // it is not renaming over a file that is refused
	}
	if err := s.conn.Rename(wirePath(from), wirePath(to)); err != nil {
		if back := s.conn.Rename(wirePath(aside), wirePath(to)); back != nil {
			return fmt.Errorf("%w (and the old file is left as %q: %v)", s.cause(err), aside, back)
		}
		return s.cause(err)
	}
	if err := s.remove(aside); err != nil {
		return fmt.Errorf("remove the old file, left as %q: %w", aside, err)
	}
	return nil
}

// sweepOnce removes temporary files of dead runs before the first content is
// stored, so that the space they take is free for it. Other Puts at that time
// go on.
func (t *target) sweepOnce(ctx context.Context) error {
	if !t.sweeping.TryLock() {
		return ctx.Err()
	}
	defer t.sweeping.Unlock()
	if t.swept {
		return ctx.Err()
	}
	stale, err := t.stale(ctx)
	if err != nil {
		return err
	}
	for _, name := range stale {
		if err := t.remove(ctx, name); err != nil && !errors.Is(err, fs.ErrPermission) {
			return err // another user's stays: it stops no Put
		}
	}
	t.swept = true
	return nil
}

// stale returns the names of temporary files of dead runs.
func (t *target) stale(ctx context.Context) (names []string, err error) {
	err = t.with(ctx, func(s *session) error {
		entries, err := s.hidden()
		for _, e := range entries {
			if backends.IsTemp(e.Name) && !e.Time.IsZero() && time.Since(e.Time) > tempMaxAge {
				names = append(names, e.Name)
			}
		}
		return err
	})
	return names, err
}
