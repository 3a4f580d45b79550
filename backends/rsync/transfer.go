package rsync

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"

	"tklbam/backends"
	"tklbam/backends/spool"
)

// Put implements backends.Backend. A crash leaves the name as it was or with
// the new content, and of this program perhaps the spool directory. When a Put
// is cancelled in the moment that the other side has all of the content, it
// may be the new one.
func (t *target) Put(ctx context.Context, name string, write func(w io.Writer) error) error {
	if err := backends.CheckName(name); err != nil {
		return err
	}
	err := t.check(ctx)
	if err == nil {
		err = t.withSpool(func(d *spool.Dir) error {
			size, err := d.Fill(ctx, name, write)
			if err != nil {
				return err
			}
			return t.send(ctx, d.Join(name), size)
		})
	}
	if err != nil {
		return fmt.Errorf("store %q in %s: %w", name, t, err)
	}
	return nil
}

// send stores a file under its own name and makes it durable where the other
// side's rsync can (since 3.2.4).
func (t *target) send(ctx context.Context, file string, size int64) error {
	if t.program.atLeast(3, 2, 4) && !t.noSync.Load() {
		err := t.sendWith(ctx, file, size, "--fsync")
		if exit, ok := errors.AsType[*exitError](err); !ok || !strings.Contains(exit.message, "fsync") {
			return err
		}
		t.noSync.Store(true)
	}
	return t.sendWith(ctx, file, size)
}

// sendWith stores a file. rsync ends without error once the receiver has
// compared the checksum of what it has written and renamed it; that the file
// was not skipped, and its length, is what it reports.
func (t *target) sendWith(ctx context.Context, file string, size int64, options ...string) error {
	var out bytes.Buffer
	args := append(options, "--whole-file", "--ignore-times", "--out-format=%l", "--", file, t.inside(t.dir))
	if err := t.program.run(ctx, &out, args...); err != nil {
		return err
	}
	if sent := strings.TrimSpace(out.String()); sent != strconv.FormatInt(size, 10) {
		return fmt.Errorf("%w: rsync reports %.100q where %d bytes are to be stored", backends.ErrUnavailable, sent, size)
	}
	return nil
}

// Open implements backends.Reader: it fetches the file. The reader is an
// io.Seeker.
func (t *target) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	if err := backends.CheckName(name); err != nil {
		return nil, err
	}
	r, err := t.fetch(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("open %q in %s: %w", name, t, err)
	}
	return r, nil
}

func (t *target) fetch(ctx context.Context, name string) (io.ReadCloser, error) {
	if err := t.check(ctx); err != nil {
		return nil, err
	}
	d, err := spool.New(t.spoolDir)
	if err != nil {
		return nil, err
	}
	err = t.program.run(ctx, nil, "--", t.argument(t.dir+"/"+name), d.Path()+"/")
	if exit, ok := errors.AsType[*exitError](err); ok && exit.code == exitVanished {
		err = fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	if err != nil {
		return nil, errors.Join(err, d.Remove())
	}
	r, err := d.Take(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("rsync skips what is no regular file: %w", fs.ErrNotExist)
	}
	return r, err
}
