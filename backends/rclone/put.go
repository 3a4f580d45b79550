package rclone

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"time"

	"tklbam/backends"
	"tklbam/backends/spool"
)

const (
	// cleanupTime bounds the removal of a temporary file.
	cleanupTime = 30 * time.Second

	// renameTime bounds a renaming, which no cancelling interrupts: what came
	// of it could not be told.
	renameTime = 5 * time.Minute

	// tempMaxAge is the age from which a temporary file is taken for a dead
	// run's.
	tempMaxAge = 48 * time.Hour
)

// Put implements backends.Backend. A crash leaves the name as it was or with
// the new content, and perhaps the spool directory and a temporary file; a Put
// after two days removes the latter. Two things are rclone's and the remote's
// matter: whether stored content outlives a crash of the remote, and that a
// file that is replaced is deleted first where the remote renames, so that for
// a moment nothing has the name. A new name has no such moment.
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
	if err := t.server.check(ctx); err != nil {
		return err
	}
	if err := t.sweepOnce(ctx); err != nil {
		return err
	}
	d, err := spool.New(t.spoolDir)
	if err != nil {
		return err
	}
	if _, err = d.Fill(ctx, contentName, write); err == nil {
		err = t.send(ctx, d, name)
	}
	return errors.Join(err, d.Remove())
}

// contentName is what a file is called in the spool directory: rclone does not
// take all names for files of this machine.
const contentName = "content"

// send stores the spooled content.
func (t *target) send(ctx context.Context, d *spool.Dir, name string) error {
	if !t.features.Move {
		return t.upload(ctx, d, name)
	}
	temp := backends.TempName()
	err := t.upload(ctx, d, temp)
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = t.rename(ctx, temp, name)
	}
	if err == nil {
		return nil
	}
	cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	if cleanupErr := t.remove(cleanup, temp); cleanupErr != nil {
		// As text: it does not decide whether the Put may be repeated.
		return fmt.Errorf("%w (and its temporary file %q may be left: %v)", err, temp, cleanupErr)
	}
	return err
}

// upload copies the spooled content to a file. rclone compares the lengths, and
// checksums, before it reports success.
func (t *target) upload(ctx context.Context, d *spool.Dir, name string) error {
	return t.server.call(ctx, "operations/copyfile", params{
		"srcFs": d.Path(), "srcRemote": contentName, "dstFs": remoteName, "dstRemote": name,
		// Nothing has a temporary name: looking for it would cost a request.
		"_config": map[string]bool{"NoCheckDest": backends.IsTemp(name)},
	}, nil)
}

// rename gives a temporary file its name.
func (t *target) rename(ctx context.Context, temp, name string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), renameTime)
	defer cancel()
	t.renaming.lock(name)
	defer t.renaming.unlock(name)
	return t.server.call(ctx, "operations/movefile", params{
		"srcFs": remoteName, "srcRemote": temp, "dstFs": remoteName, "dstRemote": name,
	}, nil)
}

// nameLocks are locks by name.
type nameLocks struct {
	mu   sync.Mutex
	held map[string]chan struct{} // closed by unlock
}

func (l *nameLocks) lock(name string) {
	for {
		l.mu.Lock()
		other, busy := l.held[name]
		if !busy {
			l.held[name] = make(chan struct{})
		}
		l.mu.Unlock()
		if !busy {
			return
		}
		<-other
	}
}

func (l *nameLocks) unlock(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.held[name])
	delete(l.held, name)
}

// sweepOnce removes temporary files of dead runs before the first Put of a
// backend, so that the space they take is free for it.
func (t *target) sweepOnce(ctx context.Context) error {
	t.sweeping.Lock()
	defer t.sweeping.Unlock()
	if t.swept || !t.features.Move {
		return nil
	}
	entries, err := t.entries(ctx, listOptions{})
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.isStale() {
			continue
		}
		if err := t.remove(ctx, e.Name); err != nil && !errors.Is(err, fs.ErrPermission) {
			return err // another user's stays: it stops no Put
		}
	}
	t.swept = true
	return nil
}

// isStale reports whether an entry is a temporary file of a dead run.
func (e entry) isStale() bool {
	modified, err := time.Parse(time.RFC3339, e.ModTime)
	return err == nil && backends.IsTemp(e.Name) && time.Since(modified) > tempMaxAge
}
