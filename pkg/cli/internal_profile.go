package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"tklbam/pkg/dirindex"
	"tklbam/pkg/limits"
	"tklbam/pkg/packages"
	"tklbam/pkg/profile"
	"tklbam/pkg/tree"
)

func detectProfileCommand() applet {
	return applet{name: "detect-profile-id", run: runDetectProfile}
}

func runDetectProfile(a *app, c *cli.Context) error {
	root := systemRoot
	switch c.NArg() {
	case 0:
	case 1:
		root = c.Args().First()
	default:
		return usagef("unexpected argument %q", c.Args().Get(1))
	}
	id, err := profile.Detect(root)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(a.stdout, id)
	return err
}

func createProfileCommand() applet {
	return applet{
		name: "create-profile",
		flags: []cli.Flag{
			&cli.BoolFlag{Name: "force", Aliases: []string{"f"}},
			&cli.BoolFlag{Name: "no-packages"},
			&cli.BoolFlag{Name: "no-dirindex"},
			&cli.StringFlag{Name: "root", Value: systemRoot},
		},
		run: runCreateProfile,
	}
}

func runCreateProfile(a *app, c *cli.Context) error {
	if c.NArg() != 2 {
		return usagef("two arguments are needed: the directory to make, and the list of paths or - for standard input")
	}
	conf, err := a.input(c.Args().Get(1))
	if err != nil {
		return err
	}
	defer conf.Close()
	unread := tally{stderr: a.stderr}
	opts := profile.Options{Dir: c.Args().First(), Conf: conf, Root: c.String("root"), Force: c.Bool("force")}
	if !c.Bool("no-dirindex") {
		opts.Index = indexOutside(opts.Dir, unread.warn)
	}
	if !c.Bool("no-packages") {
		opts.Packages = installedPackages
	}
	err = profile.Create(a.ctx, opts)
	if errors.Is(err, fs.ErrExist) {
		err = fmt.Errorf("%w: use --force to override", err)
	}
	if err == nil {
		err = a.showProfile(opts.Dir)
	}
	if err != nil {
		return err
	}
	return unread.outcome("not all could be looked at")
}

// indexOutside makes an index that leaves out a directory: the profile's own,
// which is not complete yet.
func indexOutside(dir string, warn func(string, error)) func(context.Context, io.Writer, string, limits.List) error {
	return func(ctx context.Context, w io.Writer, root string, list limits.List) error {
		own, err := tree.IdentityOf(dir)
		if err != nil {
			return err
		}
		return dirindex.Create(ctx, w, dirindex.Options{
			Root: root, Scope: dirindex.NewScope(list), SkipDirs: []tree.Identity{own}, Warn: warn,
		})
	}
}

func installedPackages(_ context.Context, root string) ([]string, error) {
	names, err := packages.Installed(root)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: --no-packages leaves the list out", err)
	}
	return names, err
}

// showProfile says what is in a new profile.
func (a *app) showProfile(dir string) error {
	l := lines{w: a.stdout}
	title := "Custom profile written to " + dir
	l.printf("%s\n%s", title, strings.Repeat("=", len(title)))
	if !strings.HasSuffix(dir, "/") {
		dir += "/"
	}
	for _, part := range []struct{ what, name string }{
		{"List of backup includes and exclude paths", "dirindex.conf"},
		{"Index of file timestamps, ownerships and permissions for paths in dirindex.conf", "dirindex"},
		{"List of currently installed packages", "packages"},
	} {
		if _, err := os.Stat(dir + part.name); err == nil {
			l.printf("\n# %s\n%s", part.what, dir+part.name)
		}
	}
	return l.err
}
