package changes

import (
	"context"
	"fmt"
	"io"

	"tklbam/pkg/dirindex"
)

// A Baseline is the state of reference: records sorted by path, each once. A
// *dirindex.Reader is one.
//
// A record whose Mode is 0 says only that the path is part of the baseline:
// whatever is there counts as unchanged, unless a Verifier says otherwise.
type Baseline interface {
	// Next returns the next record, and io.EOF after the last.
	Next() (dirindex.Record, error)
}

// A Verifier is a Baseline that knows more of files than what its records say.
type Verifier interface {
	Baseline

	// Verify says how what is on the disk differs from what the baseline has.
	// It is asked about the path of the record that Next returned last, and
	// only where the records cannot tell: when that one has no mode, or is of
	// the same type and size with another modification time, where only
	// OtherContent counts. It is not asked about sockets. An error ends the
	// comparison.
	Verify(ctx context.Context, disk dirindex.Record) (Verdict, error)
}

// A Verdict says how a file differs from the baseline.
type Verdict uint8

// The verdicts.
const (
	Same          Verdict = iota
	OtherMetadata         // owner or permissions
	OtherContent          // or another type
)

// A Disk is the state that is compared with the baseline. A *dirindex.Scanner
// is one.
type Disk interface {
	// Next returns the next record, sorted by path, and io.EOF after the last.
	Next() (dirindex.Record, error)

	// Unknown reports whether it could not be told if a path that Next has
	// gone past without returning it is there.
	Unknown(path string) bool
}

// Options say what of a comparison counts.
type Options struct {
	// Scope is what the disk was looked at for. What the baseline has outside
	// of it is not deleted.
	Scope *dirindex.Scope

	// Profile, if set, is the part of the scope that no override added. It
	// makes for the reason Override elsewhere.
	Profile *dirindex.Scope
}

// A Comparison yields the changes from a baseline to a disk, sorted by path.
// It keeps one record of each.
//
// A file, but for directories and sockets, is edited when its type, size or
// modification time differ, or the target of a symlink; a symlink with the
// target it had is not, whatever its time. New sockets are no change.
type Comparison struct {
	base     head
	disk     head
	verifier Verifier
	unknown  func(path string) bool
	opts     Options
	err      error
}

// Compare prepares a comparison.
func Compare(base Baseline, disk Disk, opts Options) *Comparison {
	verifier, _ := base.(Verifier)
	return &Comparison{
		base:     head{name: "baseline", next: base.Next},
		disk:     head{name: "disk", next: disk.Next},
		verifier: verifier,
		unknown:  disk.Unknown,
		opts:     opts,
	}
}

// Next returns the next change, and io.EOF after the last. Errors are final.
func (c *Comparison) Next(ctx context.Context) (Change, error) {
	for c.err == nil {
		change, changed, err := c.step(ctx)
		if c.err = err; err == nil && changed {
			return change, nil
		}
	}
	return Change{}, c.err
}

// step compares what the two states have of the path that comes next.
func (c *Comparison) step(ctx context.Context) (change Change, changed bool, err error) {
	if err := ctx.Err(); err != nil {
		return Change{}, false, err
	}
	if err := c.base.fill(); err != nil {
		return Change{}, false, err
	}
	if err := c.disk.fill(); err != nil {
		return Change{}, false, err
	}
	base, disk := &c.base.record, &c.disk.record
	switch {
	case c.base.end && c.disk.end:
		return Change{}, false, io.EOF
	case c.disk.end, !c.base.end && base.Path < disk.Path:
		c.base.full = false
		change, changed = c.deleted(base)
	case c.base.end, disk.Path < base.Path:
		c.disk.full = false
		change, changed = c.added(disk)
	default:
		c.base.full, c.disk.full = false, false
		change, changed, err = c.differing(ctx, base, disk)
	}
	return change, changed, err
}

func (c *Comparison) deleted(base *dirindex.Record) (Change, bool) {
	gone := c.opts.Scope.Match(base.Path) && !c.unknown(base.Path)
	return Change{Op: Delete, Path: base.Path, Reason: Deleted}, gone
}

func (c *Comparison) added(disk *dirindex.Record) (Change, bool) {
	switch {
	case disk.IsSocket():
		return Change{}, false
	case disk.IsDir():
		return c.metadata(disk, New), true
	}
	return c.content(disk, New), true
}

func (c *Comparison) differing(ctx context.Context, base, disk *dirindex.Record) (Change, bool, error) {
	verdict, err := c.verdict(ctx, base, disk)
	switch {
	case err != nil || verdict == Same:
		return Change{}, false, err
	case verdict == OtherMetadata, disk.IsDir():
		return c.metadata(disk, Metadata), true, nil
	}
	return c.content(disk, Edited), true, nil
}

func (c *Comparison) verdict(ctx context.Context, base, disk *dirindex.Record) (Verdict, error) {
	if base.Mode == 0 {
		if c.verifier == nil || disk.IsSocket() {
			return Same, nil
		}
		return c.verifier.Verify(ctx, *disk)
	}
	same, err := c.sameContent(ctx, base, disk)
	switch {
	case err != nil:
		return Same, err
	case !same:
		return OtherContent, nil
	case base.Mode != disk.Mode || base.UID != disk.UID || base.GID != disk.GID:
		return OtherMetadata, nil
	}
	return Same, nil
}

// sameContent compares all but owner and mode with a record that has them.
func (c *Comparison) sameContent(ctx context.Context, base, disk *dirindex.Record) (bool, error) {
	switch {
	case disk.IsDir(), disk.IsSocket():
		return true, nil
	case base.Type() != disk.Type():
		return false, nil
	case disk.IsSymlink() && base.Target != "":
		return base.Target == disk.Target, nil
	case base.Size != disk.Size:
		return false, nil
	case base.MTime == disk.MTime:
		return true, nil
	case c.verifier == nil:
		return false, nil
	}
	verdict, err := c.verifier.Verify(ctx, *disk)
	return verdict != OtherContent, err
}

func (c *Comparison) content(disk *dirindex.Record, why Reason) Change {
	change := c.change(Overwrite, disk, why)
	if disk.IsRegular() {
		change.Size = disk.Size
	}
	return change
}

func (c *Comparison) metadata(disk *dirindex.Record, why Reason) Change {
	change := c.change(Stat, disk, why)
	change.Mode = disk.Mode
	return change
}

func (c *Comparison) change(op Op, disk *dirindex.Record, why Reason) Change {
	if c.opts.Profile != nil && !c.opts.Profile.Match(disk.Path) {
		why = Override
	}
	return Change{Op: op, Path: disk.Path, UID: disk.UID, GID: disk.GID, Reason: why}
}

// A head is the first record of what is left of a stream.
type head struct {
	name   string // for errors
	next   func() (dirindex.Record, error)
	record dirindex.Record
	full   bool // record has not been dealt with
	end    bool
}

// fill reads a record if there is none. Out of order it is an error: a path
// would be taken for deleted or new that is neither.
func (h *head) fill() error {
	if h.full || h.end {
		return nil
	}
	r, err := h.next()
	switch {
	case err == io.EOF:
		h.end = true
		return nil
	case err != nil:
		return fmt.Errorf("read %s: %w", h.name, err)
	case r.Path <= h.record.Path:
		return fmt.Errorf("read %s: path %q after %q is out of order", h.name, clip(r.Path), clip(h.record.Path))
	}
	h.record, h.full = r, true
	return nil
}
