package mysqlfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"tklbam/pkg/atomicfile"
)

// A Service is the database server as the system runs it.
type Service interface {
	// Running reports whether the server runs, in whatever way.
	Running(ctx context.Context) (bool, error)
	// Restart ends the server and starts it with more options, out of the
	// reach of the system's other users and programs. It returns once the
	// server answers; after an error it may run or not.
	Restart(ctx context.Context, options ...string) error
	// Restore ends what Restart started, if it is there, and starts the
	// server as the system does, if it does not run. It may be repeated, also
	// by another process after this one was killed.
	Restore(ctx context.Context) error
}

// withoutUsers are the options for a server that lets anyone in who gets to it.
var withoutUsers = []string{"--skip-grant-tables", "--skip-networking"}

// A Detour reaches a server that runs and refuses all credentials: it is
// started so that it needs none, and put back afterwards.
type Detour struct {
	Service Service
	// Marker is the path of a file that is there while the server may be
	// running in that way, so that whoever comes after a kill puts it back.
	Marker string
}

// Do runs do while the server needs no credentials. The server is put back
// whatever happens, also when ctx ends; an error about that is part of Do's,
// and the marker stays for Undo.
func (d Detour) Do(ctx context.Context, do func(context.Context) error) (err error) {
	if _, err := d.Undo(ctx); err != nil {
		return err
	}
	running, err := d.Service.Running(ctx)
	if err != nil {
		return err
	}
	if !running {
		return fmt.Errorf("restart the database server: %w", ErrDown)
	}
	if err := atomicfile.Write(d.Marker, []byte("the database server runs without access control\n"), 0o600); err != nil {
		return fmt.Errorf("note that the database server is restarted: %w", err)
	}
	defer func() {
		_, undo := d.Undo(context.WithoutCancel(ctx))
		err = errors.Join(err, undo)
	}()
	if err := d.Service.Restart(ctx, withoutUsers...); err != nil {
		return fmt.Errorf("restart the database server without access control: %w", err)
	}
	return do(ctx)
}

// Undo puts back a server that the marker tells of, and reports whether there
// was one. Every run that deals with databases calls it first.
func (d Detour) Undo(ctx context.Context) (bool, error) {
	if _, err := os.Lstat(d.Marker); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err := d.Service.Restore(ctx); err != nil {
		return true, fmt.Errorf("put the database server back: %w", err)
	}
	return true, os.Remove(d.Marker)
}
