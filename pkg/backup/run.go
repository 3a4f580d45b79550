package backup

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"

	"tklbam/pkg/hooks"
	"tklbam/pkg/tree"
)

// A Run is a system backup from its first hook to its last.
type Run struct {
	*System
	Hooks  *hooks.Hooks
	Resume bool // use extras of an interrupted run, if they are complete

	Show  func(Footprint, *Findings) error                          // what is going to be stored; no findings on a resumed run
	Debug func(ctx context.Context, dir string) error               // may be nil
	Store func(ctx context.Context, selected []tree.Selected) error // what of Root; nil if nothing is to be stored
	Keep  bool                                                      // leave the extras where they are
}

// Do runs the backup. Its errors are of type hooks.StepError. After one the extras stay, for
// the next run to go on with.
func (r *Run) Do(ctx context.Context) error {
	if err := r.hook(ctx, hooks.Pre); err != nil {
		return err
	}
	if err := r.extras(ctx); err != nil {
		return hooks.Step("prepare", err)
	}
	if err := r.hook(ctx, hooks.Inspect); err != nil {
		return err
	}
	if r.Debug != nil {
		if err := r.Debug(ctx, string(r.System.Extras)); err != nil {
			return hooks.Step("debug shell", err)
		}
	}
	if r.Store != nil {
		if err := r.store(ctx); err != nil {
			return err
		}
	}
	if err := r.hook(ctx, hooks.Post); err != nil || r.Keep {
		return err
	}
	return hooks.Step("clean up", r.System.Extras.Remove())
}

func (r *Run) store(ctx context.Context) error {
	selected, err := r.overlay()
	if err != nil {
		return hooks.Step("prepare", err)
	}
	return hooks.Step("store", r.Store(ctx, selected))
}

// hook calls the hooks. Those of inspection may add to the extras.
func (r *Run) hook(ctx context.Context, state hooks.State) error {
	call := hooks.Call{Operation: hooks.Backup, State: state}
	if state == hooks.Inspect {
		call.Extras = string(r.System.Extras)
	}
	return r.Hooks.RunStep(ctx, call)
}

func (r *Run) extras(ctx context.Context) error {
	var findings *Findings
	ready, err := r.Resume, error(nil)
	if ready {
		ready, err = r.Ready()
	}
	switch {
	case err == nil && ready:
		err = r.tellUnsaved()
	case err == nil:
		findings, err = r.Prepare(ctx)
	}
	if err != nil {
		return err
	}
	footprint, err := r.footprint(ctx)
	if err != nil {
		return err
	}
	return r.Show(footprint, findings)
}

// A Footprint is how much a full backup holds, uncompressed.
type Footprint struct {
	Files int64
	Bytes int64
}

func (f *Footprint) add(info fs.FileInfo) {
	f.Files++
	f.Bytes += info.Size()
}

// String has units of 1024, as the predecessor printed it.
func (f Footprint) String() string {
	size := fmt.Sprintf("%.2f KB", float64(f.Bytes)/(1<<10))
	switch {
	case f.Bytes > 1<<30:
		size = fmt.Sprintf("%.2f GB", float64(f.Bytes)/(1<<30))
	case f.Bytes > 1<<20:
		size = fmt.Sprintf("%.2f MB", float64(f.Bytes)/(1<<20))
	}
	return fmt.Sprintf("%s in %d files", size, f.Files)
}

// footprint measures the extras and the files that go into the backup.
func (s *System) footprint(ctx context.Context) (Footprint, error) {
	var f Footprint
	err := filepath.WalkDir(string(s.Extras), func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			f.add(info)
		}
		return err
	})
	if err != nil || s.SkipFiles {
		return f, err
	}
	return f, s.eachOverlaid(func(path string) error {
		info, err := lstat(s.within(path))
		if err == nil && info != nil {
			f.add(info)
		}
		if err == nil {
			err = ctx.Err()
		}
		return err
	})
}
