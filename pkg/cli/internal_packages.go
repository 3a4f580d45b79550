package cli

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"tklbam/pkg/command"
	"tklbam/pkg/packages"
)

func newpkgsCommand() applet {
	return applet{name: "newpkgs", run: runNewpkgs}
}

func runNewpkgs(a *app, c *cli.Context) error {
	if c.NArg() < 1 || c.NArg() > 2 {
		return usagef("one or two lists of packages are needed")
	}
	base, err := a.readPackages(c.Args().First())
	if err != nil {
		return err
	}
	var have []string
	if c.NArg() == 2 {
		have, err = a.readPackages(c.Args().Get(1))
	} else {
		have, err = packages.Installed(systemRoot)
	}
	if err != nil {
		return err
	}
	_, err = io.WriteString(a.stdout, packages.FormatNames(packages.New(have, base)))
	return err
}

func (a *app) readPackages(path string) ([]string, error) {
	f, err := a.input(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return packages.ParseNames(f)
}

func newpkgsInstallCommand() applet {
	return applet{
		name: "newpkgs-install",
		flags: []cli.Flag{
			&cli.StringFlag{Name: "input", Aliases: []string{"i"}},
			&cli.BoolFlag{Name: "simulate", Aliases: []string{"s"}},
			&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}},
		},
		run: runNewpkgsInstall,
	}
}

func runNewpkgsInstall(a *app, c *cli.Context) error {
	want, err := a.wantedPackages(c)
	if err != nil {
		return err
	}
	apt := &packages.Apt{Runner: command.Exec{}, Root: systemRoot, Env: os.Environ(), Output: a.stdout}
	present, err := packages.Present(systemRoot)
	if err != nil {
		return err
	}
	available, err := apt.Available(a.ctx, want)
	if err != nil {
		return err
	}
	plan, err := packages.NewPlan(want, present, available, nil)
	if err != nil {
		return err
	}
	simulate := c.Bool("simulate")
	if simulate || c.Bool("verbose") {
		_, err = io.WriteString(a.stdout, plan.Format())
	}
	if err != nil || simulate {
		return err
	}
	return a.installPackages(apt, &plan)
}

// wantedPackages are the arguments and what is in the file of --input.
func (a *app) wantedPackages(c *cli.Context) ([]string, error) {
	want := c.Args().Slice()
	if !c.IsSet("input") {
		if len(want) == 0 {
			return nil, usagef("packages are missing: give them as arguments, or in a file with --input")
		}
		return want, nil
	}
	more, err := a.readPackages(c.String("input"))
	return append(want, more...), err
}

// installPackages installs what the plan says, if there is anything. That all
// are there already is fine; that none is to be had is not.
func (a *app) installPackages(apt *packages.Apt, plan *packages.Plan) error {
	if len(plan.Install) == 0 {
		if missing := plan.Skipping(); len(missing) > 0 {
			return fmt.Errorf("no installable packages: apt does not know %s", strings.Join(missing, " "))
		}
		return nil
	}
	result, err := apt.Install(a.ctx, plan.Install)
	for _, f := range result.Failed {
		fmt.Fprintf(a.stderr, "warning: %s was not installed: %s\n", f.Name, printable(f.Reason))
	}
	for _, name := range result.Removed {
		fmt.Fprintf(a.stderr, "warning: %s was removed, since it conflicts\n", name)
	}
	if err == nil && len(result.Failed) > 0 {
		err = &incompleteError{plural(len(result.Failed), "package") + " could not be installed"}
	}
	return err
}
