package restore

import (
	"context"
	"errors"
	"io/fs"

	"tklbam/pkg/extras"
	"tklbam/pkg/hooks"
	"tklbam/pkg/overlay"
	"tklbam/pkg/rollback"
)

// A Run is the restore of a system from its first hook to its last.
type Run struct {
	*System
	Hooks        *hooks.Hooks
	SkipPackages bool
	SkipFiles    bool
	SkipDatabase bool
	Record       string // directory of the rollback record; "" for none

	Fetch  func(ctx context.Context) error                   // brings the extract; nil if it is there
	Accept func(ctx context.Context, made extras.Conf) error // asks whether this backup is for this system
	Debug  func(ctx context.Context, dir string) error       // may be nil
}

// An Outcome counts what could not be done.
type Outcome struct {
	Packages  int // not installed
	Files     overlay.Result
	Databases int // databases, and parts of them, that the server did not take
}

// Do runs the restore. Its errors are of type hooks.StepError. What it did up
// to one can be rolled back.
func (r *Run) Do(ctx context.Context) (out Outcome, err error) {
	if err := r.Hooks.RunStep(ctx, hooks.Call{Operation: hooks.Restore, State: hooks.Pre}); err != nil {
		return out, err
	}
	if r.Fetch != nil {
		if err := r.Fetch(ctx); err != nil {
			return out, hooks.Step("download", err)
		}
	}
	if err := r.inspect(ctx); err != nil {
		return out, err
	}
	if out, err = r.recorded(ctx); err != nil {
		return out, err
	}
	return out, r.Hooks.RunStep(ctx, hooks.Call{Operation: hooks.Restore, State: hooks.Post})
}

// inspect looks at the extract, and lets people and hooks do so.
func (r *Run) inspect(ctx context.Context) error {
	if err := r.Check(); err != nil {
		return hooks.Step("inspect", err)
	}
	made, err := r.Extras().Conf()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return hooks.Step("inspect", err)
	}
	if err := r.tellUnsaved(); err != nil {
		return hooks.Step("inspect", err)
	}
	if err := r.Accept(ctx, made); err != nil {
		return hooks.Step("inspect", err)
	}
	r.Hooks.Environment.ExtractPath = r.Extract
	r.Hooks.Environment.RestoreProfileID = made.ProfileID
	call := hooks.Call{Operation: hooks.Restore, State: hooks.Inspect, Extras: string(r.Extras())}
	if err := r.Hooks.RunStep(ctx, call); err != nil || r.Debug == nil {
		return err
	}
	return hooks.Step("debug shell", r.Debug(ctx, r.Extract))
}

// recorded applies the backup with a record of what it displaces.
func (r *Run) recorded(ctx context.Context) (Outcome, error) {
	if r.Record == "" || r.Simulate {
		return r.apply(ctx)
	}
	journal, err := rollback.Begin(r.Record, rollback.Options{Root: r.Root, Now: r.Now, Fault: r.Fault})
	if err != nil {
		return Outcome{}, hooks.Step("rollback record", err)
	}
	r.Journal = journal
	out, err := r.apply(ctx)
	if err == nil {
		err = hooks.Step("rollback record", journal.Complete())
	}
	return out, errors.Join(err, hooks.Step("rollback record", journal.Close()))
}

func (r *Run) apply(ctx context.Context) (out Outcome, err error) {
	if !r.SkipPackages {
		if out.Packages, err = r.Packages(ctx); err != nil {
			return out, hooks.Step("packages", err)
		}
	}
	if !r.SkipFiles {
		if out.Files, err = r.Files(ctx); err != nil {
			return out, hooks.Step("files", err)
		}
	}
	if !r.SkipDatabase {
		if out.Databases, err = r.Databases(ctx); err != nil {
			return out, hooks.Step("databases", err)
		}
	}
	return out, nil
}
