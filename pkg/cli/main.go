// Package cli is the command line: it finds the command, parses its options,
// opens what it works on and runs it. Only this package reads the environment,
// prints, prompts and chooses exit codes.
package cli

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/urfave/cli/v2"

	"tklbam/backends/limit"
)

// Version is set when a release is built.
var Version = "2.0-dev"

//go:embed help/*.txt
var helpTexts embed.FS

// An applet is one command: tklbam-NAME, or tklbam NAME.
type applet struct {
	name    string
	summary string
	flags   []cli.Flag
	run     func(a *app, c *cli.Context) error

	commands []applet // of an applet that takes one as its first argument; they have no summary
}

func applets() []applet {
	return []applet{
		initApplet(), passphraseApplet(), escrowApplet(),
		backupApplet(), restoreApplet(), rollbackApplet(), statusApplet(), cleanupApplet(), copyApplet(),
		internalApplet(),
	}
}

// An app is one run of the program.
type app struct {
	ctx            context.Context
	stdin          io.Reader
	stdout, stderr io.Writer
	prog           string // the command as it was called
	getenv         func(string) string

	limits  *limit.Limits            // of bandwidth, once a target was opened
	showing atomic.Pointer[reporter] // the one that shows what is going on, if any
}

// Main runs the program as args say, args[0] included, and returns its exit
// code.
func Main(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{ctx: ctx, stdin: stdin, stdout: stdout, stderr: stderr, getenv: os.Getenv}
	err := a.dispatch(args)
	return a.exit(err)
}

// dispatch picks the command from the name the program was called by, or
// from the first argument.
func (a *app) dispatch(args []string) error {
	if len(args) == 0 {
		return errors.New("called without a name")
	}
	a.prog = path.Base(args[0])
	name, rest := strings.TrimPrefix(a.prog, "tklbam-"), args[1:]
	if !strings.HasPrefix(a.prog, "tklbam-") {
		a.prog = "tklbam"
		if len(rest) == 0 || slices.Contains([]string{"-h", "--help", "help"}, rest[0]) && len(rest) == 1 {
			return a.overview()
		}
		if rest[0] == "--version" {
			_, err := fmt.Fprintln(a.stdout, "tklbam", Version)
			return err
		}
		name, rest = rest[0], rest[1:]
		if name == "help" {
			name, rest = rest[0], []string{"--help"}
		}
	}
	i := slices.IndexFunc(applets(), func(t applet) bool { return t.name == name })
	if i < 0 {
		return usagef("there is no command %q: %q lists them", name, "tklbam")
	}
	a.prog = "tklbam-" + name
	return a.run(applets()[i], rest)
}

// overview lists the commands.
func (a *app) overview() error {
	text, err := helpTexts.ReadFile("help/tklbam.txt")
	if err != nil {
		return err
	}
	var list strings.Builder
	for _, t := range applets() {
		fmt.Fprintf(&list, "  %-18s%s\n", t.name, t.summary)
	}
	_, err = io.WriteString(a.stdout, strings.ReplaceAll(string(text), "{{commands}}\n", list.String()))
	return err
}

func (a *app) run(t applet, args []string) error {
	if t.commands != nil && (len(args) == 0 || !strings.HasPrefix(args[0], "-")) {
		return a.runCommand(t, args)
	}
	flags := append(t.flags,
		&cli.BoolFlag{Name: "help", Aliases: []string{"h"}},
		&cli.BoolFlag{Name: "version"})
	args, err := arrange(flags, args)
	if err != nil {
		return err
	}
	// Not left to the parser, which has a help of its own.
	switch options := args[:slices.Index(args, "--")]; {
	case slices.Contains(options, "--help"):
		return a.help(t)
	case slices.Contains(options, "--version"):
		_, err := fmt.Fprintln(a.stdout, a.prog, Version)
		return err
	}
	capp := &cli.App{
		Name: a.prog, HideHelp: true, HideVersion: true, Flags: flags,
		Writer: a.stdout, ErrWriter: io.Discard, ExitErrHandler: func(*cli.Context, error) {},
		OnUsageError: func(_ *cli.Context, err error, _ bool) error { return &usageError{err} },
		Action:       func(c *cli.Context) error { return t.run(a, c) },
	}
	return capp.RunContext(a.ctx, append([]string{a.prog}, args...))
}

func (a *app) help(t applet) error {
	text, err := helpTexts.ReadFile("help/" + t.name + ".txt")
	if err != nil {
		return err
	}
	_, err = a.stdout.Write(text)
	return err
}
