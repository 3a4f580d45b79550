package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"tklbam/backends"
	"tklbam/chain"
	"tklbam/pkg/progress"
	"tklbam/pkg/registry"
)

func copyApplet() applet {
	return applet{
		name: "copy", summary: "copy backups from one address to another",
		flags: storeFlags(
			&cli.StringFlag{Name: "keyfile"},
			&cli.StringFlag{Name: "secretfile"},
			&cli.BoolFlag{Name: "noninteractive"},
			&cli.BoolFlag{Name: "simulate"},
			&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}},
			&cli.BoolFlag{Name: "json"},
			&cli.StringFlag{Name: "logfile"},
		),
		run: runCopy,
	}
}

func runCopy(a *app, c *cli.Context) (err error) {
	if c.NArg() != 2 {
		return usagef("two addresses are needed: where the backups are, and where they go")
	}
	r, err := a.registry()
	if err != nil {
		return err
	}
	logfile := c.String("logfile")
	if logfile == "" {
		logfile = r.PathOr(backupLog, registry.BackupLog)
	}
	log, err := openLog(logfile, "copy of backups")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	return a.logged(log, func() (string, error) { return a.copy(c, r, log, logfile) })
}

// copy copies and returns the summary.
func (a *app) copy(c *cli.Context, r *registry.Registry, log *logFile, logfile string) (string, error) {
	cf, err := a.conf(c)
	if err != nil {
		return "", err
	}
	from, err := a.target(cf, c.Args().Get(0), backends.Options{})
	if err != nil {
		return "", err
	}
	defer from.Close()
	to, err := a.openTarget(cf, c.Args().Get(1), c.Bool("simulate"))
	if err != nil {
		return "", err
	}
	defer to.Close()
	rep := a.newReporter(c.Bool("json"), c.Bool("quiet"), log)
	rep.sends = overNetwork(to.String())
	rep.Phase("copying")
	copied, err := a.copyChains(c, r, chain.CopyOptions{
		From: from, To: to, Parallel: parallelFor(cf, to.String()), Simulate: c.Bool("simulate"), Report: rep,
	})
	if err = errors.Join(err, rep.stop()); err != nil {
		return "", err
	}
	text := copySummary(copied, c.Bool("simulate"))
	if c.Bool("json") {
		err = json.NewEncoder(a.stdout).Encode(copyEvent{"summary", copied.Sets, copied.Failed, copied.Files, copied.Bytes})
	} else if !c.Bool("quiet") {
		_, err = fmt.Fprint(a.stdout, text)
	}
	if err == nil && copied.Failed > 0 {
		err = &incompleteError{fmt.Sprintf("not all could be copied: %s, listed in %s", plural(copied.Failed, "problem"), logfile)}
	}
	return text, err
}

// copyEvent is the last line of --json.
type copyEvent struct {
	Event  string `json:"event"`
	Sets   int    `json:"sets"`
	Failed int    `json:"failed"` // sets
	Files  int64  `json:"files"`
	Bytes  int64  `json:"bytes"`
}

// copyChains copies with a secret to compare volumes by, if there is one: what
// was given must be right, the registry's need not be that of these chains.
func (a *app) copyChains(c *cli.Context, r *registry.Registry, o chain.CopyOptions) (*chain.Copied, error) {
	var err error
	o.Secret, err = a.restoreSecret(c, r)
	given := c.String("keyfile") != "" || c.String("secretfile") != ""
	if err != nil && given {
		return nil, err
	}
	copied, err := chain.Copy(a.ctx, o)
	if errors.Is(err, chain.ErrWrongSecret) && !given {
		o.Report.Note("this system's secret is not that of these backups: their volumes are copied without a look at their hashes")
		o.Secret = nil
		copied, err = chain.Copy(a.ctx, o)
	}
	return copied, err
}

func copySummary(copied *chain.Copied, simulated bool) string {
	var b strings.Builder
	if simulated {
		for _, s := range copied.Plan.Sets {
			fmt.Fprintf(&b, "%s: %s, %s\n", s.Set, plural(len(s.Files), "file"), s.Reason)
		}
		files, bytes := copied.Plan.Total()
		fmt.Fprintf(&b, "%s, %s would be copied\n", plural(int(files), "file"), progress.Bytes(bytes))
		return b.String()
	}
	fmt.Fprintf(&b, "Copied %s: %s, %s\n", plural(copied.Sets, "set"), plural(int(copied.Files), "file"), progress.Bytes(copied.Bytes))
	return b.String()
}
