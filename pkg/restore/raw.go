// Package restore is the workflow of tklbam-restore: it brings back the tree
// of a chain.
package restore

import (
	"context"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"tklbam/chain"
	"tklbam/chain/archive"
	"tklbam/pkg/extras"
	"tklbam/pkg/limits"
	"tklbam/pkg/tree"
)

// Options are those of a download of what a chain holds.
type Options struct {
	Dir        string // takes the tree; it must exist
	Overwrite  bool   // of what is there already
	Numeric    bool   // owners by number, though this system knows their names
	Store      chain.Reader
	Secret     []byte
	AllowNoMDC bool
	Time       time.Time              // zero for the latest
	Selected   func(path string) bool // which paths of the tree; nil for all
	Scratch    string                 // for temporary files
	Parallel   int                    // volumes fetched at once
	Report     chain.Reporter
}

// Raw restores a chain's tree into a directory, without regard to what it is.
func Raw(ctx context.Context, o Options) (*chain.Restored, error) {
	t, err := tree.NewTarget(o.Dir, tree.TargetOptions{
		Overwrite: o.Overwrite, Numeric: o.Numeric,
		Degraded: func(path string, what tree.Loss, err error) { degraded(o.Report, path, what, err) },
	})
	if err != nil {
		return nil, err
	}
	defer t.Close()
	return chain.Restore(ctx, chain.RestoreOptions{
		Store: o.Store, Secret: o.Secret, AllowNoMDC: o.AllowNoMDC, Time: o.Time,
		Target: target{t, o.Dir}, Scratch: o.Scratch, Parallel: o.Parallel, Selected: o.Selected,
		Report: o.Report, Clock: time.Now,
	})
}

// Within selects the paths that limits cover; nil, for all, if there are none.
func Within(list limits.List) func(path string) bool {
	if len(list) == 0 {
		return nil
	}
	return list.Paths().Match
}

// SystemWithin selects what restoring a system takes: the metadata, and of the
// files those that limits cover, unless files are skipped.
func SystemWithin(list limits.List, skipFiles bool) func(path string) bool {
	paths := list.Paths()
	return func(path string) bool {
		return archive.Within(path, extras.Name) || !skipFiles && paths.Match(path)
	}
}

// degraded tells of metadata that could not be restored. What only root may
// set is no news to somebody else.
func degraded(rep chain.Reporter, path string, what tree.Loss, err error) {
	if os.Getuid() != 0 && errors.Is(err, unix.EPERM) {
		rep.Note("not running as root: the " + string(what) + " of files stays as it is made here")
		return
	}
	rep.Problem(chain.Problem{Path: path, Err: lossError{what, err}})
}

type lossError struct {
	what tree.Loss
	err  error
}

func (e lossError) Error() string {
	return "restored without its " + string(e.what) + " (further files like it are not listed): " + e.err.Error()
}

func (e lossError) Unwrap() error { return e.err }

// target fits a directory to a session.
type target struct {
	*tree.Target
	dir string
}

func (t target) Create(e *archive.Entry) (chain.Output, error) {
	f, err := t.Target.Create(e)
	if err != nil {
		return nil, err
	}
	return output{f, e}, nil
}

type output struct {
	*tree.OutFile
	entry *archive.Entry
}

func (o output) Commit() error { return o.OutFile.Commit(o.entry) }

// Temp makes a file without a name, where the file system can, or else one
// whose name is gone at once.
func (t target) Temp() (*os.File, error) {
	fd, err := unix.Open(t.dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err == nil {
		return os.NewFile(uintptr(fd), "scratch file in "+t.dir), nil
	}
	f, err := os.CreateTemp(t.dir, tree.TempPrefix)
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func (t target) Free() (uint64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(t.dir, &st); err != nil {
		return 0, &os.PathError{Op: "statfs", Path: t.dir, Err: err}
	}
	return st.Bavail * uint64(st.Bsize), nil
}
