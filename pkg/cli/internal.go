package cli

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"tklbam/pkg/limits"
)

// internalApplet is for scripts: single steps of a backup and a restore, with
// input and output as they ever had them.
func internalApplet() applet {
	return applet{
		name: "internal", summary: "single steps of backup and restore, for scripts",
		commands: []applet{
			dirindexCommand(), fixstatCommand(), deleteCommand(), mergeUserdbCommand(), newpkgsCommand(),
			newpkgsInstallCommand(), detectProfileCommand(), createProfileCommand(),
			mysql2fsCommand(), fs2mysqlCommand(), mysqlPutBackCommand(), pgsql2fsCommand(), fs2pgsqlCommand(),
		},
		run: func(a *app, _ *cli.Context) error {
			return usagef("which command? %q lists them", a.prog)
		},
	}
}

// runCommand runs one of an applet's commands. The options before it, of
// which there are none but those of every applet, are the applet's.
func (a *app) runCommand(t applet, args []string) error {
	switch {
	case len(args) == 0, len(args) == 1 && args[0] == "help":
		return a.help(t)
	case args[0] == "help":
		args = []string{args[1], "--help"}
	}
	i := slices.IndexFunc(t.commands, func(cmd applet) bool { return cmd.name == args[0] })
	if i < 0 {
		return usagef("there is no command %q: %q lists them", args[0], a.prog)
	}
	cmd := t.commands[i]
	a.prog += " " + cmd.name
	cmd.name = t.name + "-" + cmd.name // which its help text goes by
	return a.run(cmd, args[1:])
}

// input opens a file to read, or standard input for "-".
func (a *app) input(path string) (io.ReadCloser, error) {
	if path == "-" {
		return io.NopCloser(a.stdin), nil
	}
	return os.Open(path)
}

// pathLimits reads arguments that are paths, with a minus sign for exclusion.
// Relative ones are below dir.
func pathLimits(args []string, dir string) (limits.List, error) {
	var list limits.List
	for _, arg := range args {
		path, exclude := strings.CutPrefix(arg, "-")
		if path == "" {
			return nil, usagef("%q is no path", arg)
		}
		if !strings.HasPrefix(path, "/") {
			path = literal(dir) + "/" + path
		}
		l, err := limits.Parse(path)
		if err != nil {
			return nil, &usageError{err}
		}
		l.Exclude = exclude
		list = append(list, l)
	}
	return list, nil
}

// literal returns the limit for a path in which nothing is a glob.
func literal(path string) string {
	return strings.NewReplacer("*", "[*]", "?", "[?]", "[", "[[]").Replace(path)
}

// workingDir is the directory that relative paths are below. Unlike $PWD it
// leads through no symlink.
func workingDir() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(dir)
}

// A tally warns of what goes wrong with single paths, and counts it.
type tally struct {
	stderr io.Writer
	n      int
}

func (t *tally) warn(_ string, err error) {
	t.n++
	fmt.Fprintln(t.stderr, "warning:", printable(err.Error()))
}

// outcome is an error, which begins with what is lacking, if anything went
// wrong.
func (t *tally) outcome(lacking string) error {
	if t.n == 0 {
		return nil
	}
	return &incompleteError{fmt.Sprintf("%s: %s, listed above", lacking, plural(t.n, "problem"))}
}
