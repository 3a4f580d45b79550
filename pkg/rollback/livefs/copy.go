package livefs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"

	"tklbam/chain/archive"
	"tklbam/pkg/tree"
)

// A Copier copies files with all of their metadata from below one directory
// to below another. What it copies to must not exist, nor lie under a name
// that anybody else uses: a copy is complete only when the call returns.
//
// It holds descriptors of the directories it has been to. Reset it when a
// directory was moved.
type Copier struct {
	calls    Calls
	from, to string
	opts     tree.TargetOptions
	lost     map[tree.Loss]int
	src      *tree.Source
	dst      *tree.Target
}

// NewCopier makes a copier between two directories, which must exist. The
// function is told of losses of metadata as tree.TargetOptions.Degraded; it
// may be nil.
func NewCopier(calls Calls, from, to string, degraded func(path string, what tree.Loss, err error)) (*Copier, error) {
	c := &Copier{calls: calls, from: from, to: to, lost: make(map[tree.Loss]int)}
	c.opts = tree.TargetOptions{Numeric: true, Degraded: degraded}
	if err := c.open(); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Copier) open() error {
	var err error
	if c.src, err = tree.NewSource(tree.Options{Root: c.from}); err != nil {
		return err
	}
	if c.dst, err = tree.NewTarget(c.to, c.opts); err != nil {
		c.src.Close()
	}
	return err
}

// Reset lets go of all directories held.
func (c *Copier) Reset() error {
	c.lost = c.Lost()
	c.Close()
	return c.open()
}

// Close ends the copier's use.
func (c *Copier) Close() {
	c.src.Close()
	c.dst.Close()
}

// Lost returns how much metadata could not be given to copies.
func (c *Copier) Lost() map[tree.Loss]int {
	all := maps.Clone(c.lost)
	for what, n := range c.dst.Stats() {
		all[what] += n
	}
	return all
}

// Stat describes the file at a path of the source, extended attributes
// included.
func (c *Copier) Stat(path string) (*archive.Entry, error) {
	e, err := c.src.Stat(path)
	if err != nil {
		return nil, err
	}
	e.Xattrs, err = c.src.Xattrs(e)
	return e, err
}

// File copies what e, from Stat, describes to the path to. The copy has the
// metadata that e has by then. A directory is copied without its content.
func (c *Copier) File(e *archive.Entry, to string) error {
	return c.file(c.src, e, to)
}

func (c *Copier) file(src *tree.Source, e *archive.Entry, to string) error {
	made := *e
	made.Path = to
	switch e.Type {
	case archive.Regular:
		return c.content(src, e, &made)
	case archive.Directory:
		err := c.calls.step("make directory", func() error { return c.dst.Mkdir(&made) })
		if err != nil {
			return err
		}
		return c.DirMeta(&made)
	}
	return c.calls.step("make", func() error { return c.dst.Make(&made) })
}

func (c *Copier) content(src *tree.Source, e, made *archive.Entry) error {
	f, err := src.Open(e)
	if err != nil {
		return err
	}
	defer f.Close()
	var out *tree.OutFile
	err = c.calls.step("create", func() (err error) {
		out, err = c.dst.Create(made)
		return err
	})
	if err != nil {
		return err
	}
	_, err = io.CopyBuffer(stepWriter{c.calls, out}, f, make([]byte, 128<<10))
	if err == nil {
		err = c.calls.step("commit", func() error { return out.Commit(made) })
	}
	if err != nil {
		return errors.Join(err, c.calls.step("abort", out.Abort))
	}
	return nil
}

// A stepWriter counts every write as a step.
type stepWriter struct {
	calls Calls
	w     io.Writer
}

func (s stepWriter) Write(p []byte) (int, error) {
	if err := s.calls.Step("write"); err != nil {
		return 0, err
	}
	return s.w.Write(p)
}

// Bytes makes a regular file of the given content, with the metadata of made
// and at its path.
func (c *Copier) Bytes(made *archive.Entry, data []byte) error {
	var out *tree.OutFile
	err := c.calls.step("create", func() (err error) {
		out, err = c.dst.Create(made)
		return err
	})
	if err != nil {
		return err
	}
	if _, err = (stepWriter{c.calls, out}).Write(data); err == nil {
		err = c.calls.step("commit", func() error { return out.Commit(made) })
	}
	if err != nil {
		return errors.Join(err, c.calls.step("abort", out.Abort))
	}
	return nil
}

// DirMeta gives an existing directory below the target the metadata of e.
func (c *Copier) DirMeta(e *archive.Entry) error {
	return c.calls.step("directory metadata", func() error { return c.dst.SetDirMeta(e) })
}

// Link makes to a hard link to existing, both below the target. An error that
// wraps tree.ErrCannotLink says that a copy may do.
func (c *Copier) Link(existing, to string) error {
	e := &archive.Entry{Path: to, Type: archive.Regular}
	return c.calls.step("link", func() error { return c.dst.Link(e, existing) })
}

// Tree copies the whole directory from. Sockets are left out: their servers
// make them anew. A file system mounted below is an error that wraps
// unix.EBUSY; nothing above the last directory's metadata tells a complete
// copy from a part.
func (c *Copier) Tree(ctx context.Context, from, to string) error {
	src, err := tree.NewSource(tree.Options{
		Root:   c.from,
		Select: []tree.Selected{{Path: from, Recursive: true}},
	})
	if err != nil {
		return err
	}
	defer src.Close()
	var dirs []archive.Entry
	for {
		node, err := src.Next(ctx)
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("copy %q: %w", from, err)
		}
		if node.Err != nil {
			return node.Err
		}
		e := node.Entry
		if !archive.Within(e.Path, from) {
			continue
		}
		if e.Xattrs, err = src.Xattrs(e); err != nil {
			return err
		}
		moved := to + strings.TrimPrefix(e.Path, from)
		if err := c.member(src, e, moved, to+strings.TrimPrefix(e.HardLink, from)); err != nil {
			return err
		}
		if e.Type == archive.Directory {
			made := *e
			made.Path = moved
			dirs = append(dirs, made)
		}
	}
	for i := range dirs {
		if err := c.DirMeta(&dirs[len(dirs)-1-i]); err != nil {
			return err
		}
	}
	return nil
}

// member copies one entry of a tree, as a link to earlier if it is one.
func (c *Copier) member(src *tree.Source, e *archive.Entry, to, earlier string) error {
	switch {
	case e.Type == archive.Directory:
		made := *e
		made.Path = to
		return c.calls.step("make directory", func() error { return c.dst.Mkdir(&made) })
	case e.HardLink != "":
		err := c.Link(earlier, to)
		if !errors.Is(err, tree.ErrCannotLink) {
			return err
		}
	}
	return c.file(src, e, to)
}

// Sync makes all that was copied durable.
func (c *Copier) Sync() error { return c.calls.step("sync copies", c.dst.Sync) }
