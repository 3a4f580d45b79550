package backup

import (
	"context"
	"errors"
	"io"

	"tklbam/chain"
	"tklbam/chain/archive"
	"tklbam/pkg/tree"
)

// Dump copies what a backup holds besides its extras into a directory, as a
// restore would lay it out there. A file that can't be copied is a problem for
// the report.
func (s *System) Dump(ctx context.Context, dir string, selected []tree.Selected) error {
	// What is selected begins with the extras, which are in dir already; an
	// empty selection would be everything.
	if len(selected) == 1 {
		return nil
	}
	src, err := newSource(s.Root, selected[1:], s.SkipDirs, s.Report)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := tree.NewTarget(dir, tree.TargetOptions{Numeric: true, Overwrite: true, Degraded: func(path string, what tree.Loss, err error) {
		s.Report.Problem(chain.Problem{Path: path, Err: errors.New("copied without its " + string(what) + ": " + err.Error())})
	}})
	if err != nil {
		return err
	}
	defer dst.Close()
	d := dump{src: src, dst: dst, report: s.Report}
	if err := d.run(ctx); err != nil {
		return err
	}
	return dst.Sync()
}

// A dump copies a tree.
type dump struct {
	src    *tree.Source
	dst    *tree.Target
	report chain.Reporter
	open   []*archive.Entry // directories on the way, whose metadata comes after their content
}

func (d *dump) run(ctx context.Context) error {
	for {
		node, err := d.src.Next(ctx)
		if err == io.EOF {
			return d.leave("")
		}
		if err != nil {
			return err
		}
		if node.Entry.Path == "" {
			continue // the directory itself is the caller's
		}
		if err := d.leave(node.Entry.Path); err != nil {
			return err
		}
		if node.Err == nil {
			node.Err = d.copy(ctx, node.Entry)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if node.Err != nil {
			d.report.Problem(chain.Problem{Path: node.Entry.Path, Err: node.Err, Lost: true})
		}
	}
}

// leave finishes the directories that path does not lie in.
func (d *dump) leave(path string) error {
	for last := len(d.open) - 1; last >= 0 && (path == "" || !archive.Within(path, d.open[last].Path)); last-- {
		if err := d.dst.SetDirMeta(d.open[last]); err != nil {
			return err
		}
		d.open = d.open[:last]
	}
	return nil
}

func (d *dump) copy(ctx context.Context, e *archive.Entry) error {
	if e.Type == archive.Regular {
		return d.file(ctx, e)
	}
	xattrs, err := d.src.Xattrs(e)
	if err != nil {
		return err
	}
	e.Xattrs = xattrs
	if e.Type != archive.Directory {
		return d.dst.Make(e)
	}
	d.open = append(d.open, e)
	return d.dst.Mkdir(e)
}

func (d *dump) file(ctx context.Context, e *archive.Entry) error {
	if e.HardLink != "" {
		err := d.dst.Link(e, e.HardLink)
		if !errors.Is(err, tree.ErrCannotLink) {
			return err
		}
	}
	in, err := source{d.src}.Open(e)
	if err != nil {
		return err
	}
	defer in.Close()
	if e.Xattrs, err = in.Xattrs(); err != nil {
		return err
	}
	out, err := d.dst.Create(e)
	if err != nil {
		return err
	}
	defer out.Abort()
	n, err := io.Copy(out, io.LimitReader(contextReader{ctx, in}, e.Size))
	if err != nil {
		return err
	}
	if n < e.Size {
		d.report.Problem(chain.Problem{Path: e.Path, Err: errors.New("became shorter while it was read")})
		e.Size = n
	}
	d.report.Add(1, n, 0)
	return out.Commit(e)
}

// A contextReader stops when its context ends.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
