package restore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"

	"tklbam/pkg/command"
	"tklbam/pkg/mysqlfs"
	"tklbam/pkg/packages"
	"tklbam/pkg/rollback"
)

// An Undo returns a system to what it was before a restore.
type Undo struct {
	Root   string
	Record *rollback.Record
	Runner command.Runner
	MySQL  mysqlfs.System
	Env    []string
	Out    io.Writer // what programs print
	Warn   func(path string, err error)

	// Fault is asked before every change of the file system, for tests.
	Fault func(step string) error
}

// Do goes back in steps, each also when the one before it failed: databases,
// files, packages, and what packages changed. It removes the record once all
// is undone, and can be repeated.
func (u *Undo) Do(ctx context.Context) (rollback.Result, error) {
	derr := u.databases(ctx)
	result, err := u.files(ctx, u.Record)
	err = errors.Join(derr, err)
	if perr := u.packages(ctx); perr != nil {
		err = errors.Join(err, fmt.Errorf("roll packages back: %w", perr))
	}
	first, berr := u.before(ctx)
	if berr != nil {
		err = errors.Join(err, berr)
	}
	result.Paths, result.Passed, result.Failed = result.Paths+first.Paths, result.Passed+first.Passed, result.Failed+first.Failed
	if err == nil && result.Done() {
		err = u.Record.Remove()
	}
	return result, err
}

func (u *Undo) files(ctx context.Context, r *rollback.Record) (rollback.Result, error) {
	result, err := r.Undo(ctx, rollback.UndoOptions{Root: u.Root, Passed: u.Warn, Fault: u.Fault})
	if err != nil {
		err = fmt.Errorf("roll files back: %w", err)
	}
	return result, err
}

// before undoes what packages did to files that are not theirs.
func (u *Undo) before(ctx context.Context) (rollback.Result, error) {
	r, err := rollback.Open(filepath.Join(u.Record.Dir(), beforeDir))
	if errors.Is(err, fs.ErrNotExist) {
		return rollback.Result{}, nil
	}
	if err != nil {
		return rollback.Result{}, err
	}
	defer r.Close()
	return u.files(ctx, r)
}

// packages purges what the restore installed, with what came along.
func (u *Undo) packages(ctx context.Context) error {
	noted := u.Record.Notes(rollback.Package)
	if len(noted) == 0 {
		return nil
	}
	present, err := packages.Present(u.Root)
	if err != nil {
		return err
	}
	kept := u.Record.Notes(returned)
	var purge, remove []string
	for _, name := range noted {
		switch {
		case !present[name]:
		case slices.Contains(kept, name):
			remove = append(remove, name)
		default:
			purge = append(purge, name)
		}
	}
	apt := &packages.Apt{Runner: u.Runner, Root: u.Root, Env: u.Env, Output: u.Out}
	purged, err := apt.Purge(ctx, purge)
	removed, rerr := apt.Remove(ctx, remove)
	err = errors.Join(err, rerr)
	for _, f := range slices.Concat(purged, removed) {
		err = errors.Join(err, fmt.Errorf("remove %q: %s", f.Name, f.Reason))
	}
	return err
}
