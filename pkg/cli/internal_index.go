package cli

import (
	"bufio"
	"fmt"
	"io"
	"os"

	"github.com/urfave/cli/v2"

	"tklbam/pkg/changes"
	"tklbam/pkg/dirindex"
	"tklbam/pkg/limits"
	"tklbam/pkg/tree"
)

func dirindexCommand() applet {
	return applet{
		name: "dirindex",
		flags: []cli.Flag{
			&cli.BoolFlag{Name: "create", Aliases: []string{"c"}},
			&cli.StringFlag{Name: "input", Aliases: []string{"i"}},
			&cli.StringFlag{Name: "root", Value: systemRoot},
		},
		run: runDirindex,
	}
}

func runDirindex(a *app, c *cli.Context) error {
	if c.NArg() == 0 || c.NArg() == 1 && !c.IsSet("input") {
		return usagef("the index, and the paths that it is about, are needed")
	}
	list, err := a.scanLimits(c)
	if err != nil {
		return err
	}
	unread := tally{stderr: a.stderr}
	opts := dirindex.Options{Root: c.String("root"), Scope: dirindex.NewScope(list), Warn: unread.warn}
	index := c.Args().First()
	if c.Bool("create") {
		err = a.createIndex(index, opts)
	} else {
		err = a.compareIndex(index, opts)
	}
	if err != nil {
		return err
	}
	return unread.outcome("not all could be looked at")
}

// scanLimits are the paths in the file of --input and, after them, the
// arguments. Relative ones are below the working directory or, with --root,
// that root: nothing outside of it has a name.
func (a *app) scanLimits(c *cli.Context) (limits.List, error) {
	var list limits.List
	if c.IsSet("input") {
		f, err := a.input(c.String("input"))
		if err != nil {
			return nil, err
		}
		defer f.Close()
		if list, err = limits.ReadPaths(f); err != nil {
			return nil, fmt.Errorf("read paths: %w", err)
		}
	}
	dir := ""
	if !c.IsSet("root") {
		var err error
		if dir, err = workingDir(); err != nil {
			return nil, err
		}
	}
	more, err := pathLimits(c.Args().Tail(), dir)
	return append(list, more...), err
}

func (a *app) createIndex(path string, opts dirindex.Options) error {
	return replaceFile(path, func(w io.Writer, own ...tree.Identity) error {
		opts.SkipDirs = own
		return dirindex.Create(a.ctx, w, opts)
	})
}

// compareIndex prints what has changed since an index was made.
func (a *app) compareIndex(path string, opts dirindex.Options) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	disk, err := dirindex.NewScanner(opts)
	if err != nil {
		return err
	}
	defer disk.Close()
	out := bufio.NewWriter(a.stdout)
	comparison := changes.Compare(dirindex.NewReader(f), disk, changes.Options{Scope: opts.Scope})
	for {
		change, err := comparison.Next(a.ctx)
		if err == io.EOF {
			return out.Flush()
		}
		if err == nil {
			_, err = fmt.Fprintln(out, change)
		}
		if err != nil {
			return fmt.Errorf("compare with index %q: %w", path, err)
		}
	}
}
