package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"tklbam/backends"
	"tklbam/backends/all"
	"tklbam/chain"
	"tklbam/chain/timeexpr"
	"tklbam/pkg/limits"
	"tklbam/pkg/progress"
	"tklbam/pkg/registry"
	"tklbam/pkg/restore"
)

func restoreApplet() applet {
	return applet{
		name: "restore", summary: "restore a backup, or a part of it",
		flags: []cli.Flag{
			&cli.StringFlag{Name: "raw-download"},
			&cli.StringFlag{Name: "address"},
			&cli.StringFlag{Name: "keyfile"},
			&cli.StringFlag{Name: "secretfile"},
			&cli.StringFlag{Name: "time"},
			&cli.StringFlag{Name: "limits"},
			&cli.BoolFlag{Name: "force"},
			&cli.BoolFlag{Name: "numeric-owner"},
			&cli.BoolFlag{Name: "allow-unprotected"},
			&cli.BoolFlag{Name: "noninteractive"},
			&cli.BoolFlag{Name: "silent", Aliases: []string{"quiet", "q"}},
			&cli.BoolFlag{Name: "json"},
			&cli.StringFlag{Name: "logfile"},
			&cli.StringFlag{Name: "cache-dir"},
		},
		run: runRestore,
	}
}

// A restoreJob is a restore that was asked for, checked and ready to run.
type restoreJob struct {
	address, dir string
	time         time.Time
	limits       limits.List
	logfile      string
}

func runRestore(a *app, c *cli.Context) error {
	r, err := a.registry()
	if err != nil {
		return err
	}
	job, err := parseRestore(c, r, time.Now())
	if err != nil {
		return err
	}
	secret, err := a.restoreSecret(c, r)
	if err != nil {
		return err
	}
	log, err := openLog(job.logfile, "restore to "+progress.Escape(job.dir))
	if err != nil {
		return err
	}
	out, err := a.restore(c, job, secret, log)
	if err != nil {
		log.println("failed: " + err.Error())
		return errors.Join(err, log.Close())
	}
	text := restoreSummary(out, job)
	log.println(text)
	if err := log.Close(); err != nil {
		return err
	}
	if !c.Bool("silent") || c.Bool("json") {
		if err := a.printSummary(c.Bool("json"), out, text); err != nil {
			return err
		}
	}
	if out.Lost > 0 {
		fmt.Fprintf(a.stderr, "error: not all could be restored: %s, listed in %s\n", plural(int(out.Lost), "problem"), job.logfile)
		return &exitError{exitIncomplete}
	}
	return nil
}

func parseRestore(c *cli.Context, r *registry.Registry, now time.Time) (*restoreJob, error) {
	job := &restoreJob{address: c.String("address"), dir: c.String("raw-download"), logfile: c.String("logfile")}
	switch {
	case c.NArg() > 0:
		return nil, usagef("restoring from the Hub or from an extract is not supported yet: unexpected argument %q", c.Args().First())
	case job.dir == "":
		return nil, usagef("only directories can be restored yet: say where to with --raw-download=PATH")
	case job.address == "":
		return nil, usagef("where from? give an --address, such as file:///mnt/otherdisk/backup")
	}
	if s := c.String("time"); s != "" {
		t, err := timeexpr.Parse(s, now)
		if err != nil {
			return nil, &usageError{err}
		}
		job.time = t
	}
	list, err := limits.ParseWords(c.String("limits"))
	if err != nil {
		return nil, &usageError{fmt.Errorf("--limits: %w", err)}
	}
	job.limits = list
	if job.logfile == "" {
		job.logfile = r.PathOr(restoreLog, registry.RestoreLog)
	}
	return job, nil
}

// restoreSecret comes from a key file, a secret file, or this system's own
// registry.
func (a *app) restoreSecret(c *cli.Context, r *registry.Registry) ([]byte, error) {
	if path := c.String("keyfile"); path != "" {
		return a.openKey(a.ctx, path, !c.Bool("noninteractive"))
	}
	secret, _, err := a.secret(c, r)
	if err != nil && c.String("secretfile") == "" {
		return nil, fmt.Errorf("%w, or give the --keyfile that tklbam-escrow made", err)
	}
	return secret, err
}

func (a *app) restore(c *cli.Context, job *restoreJob, secret []byte, log *logFile) (*chain.Restored, error) {
	b, err := backends.Open(a.ctx, all.Drivers(), job.address, backends.Options{})
	if err != nil {
		return nil, err
	}
	defer b.Close()
	if err := prepareDir(job.dir, c.Bool("force")); err != nil {
		return nil, err
	}
	rep := a.newReporter(c.Bool("json"), c.Bool("silent"), log)
	out, err := restore.Raw(a.ctx, restore.Options{
		Dir: job.dir, Overwrite: c.Bool("force"), Numeric: c.Bool("numeric-owner"),
		Store: b, Secret: secret, AllowNoMDC: c.Bool("allow-unprotected"),
		Time: job.time, Limits: job.limits, Scratch: os.TempDir(), Report: rep,
	})
	if serr := rep.stop(); err == nil {
		err = serr
	}
	return out, err
}

// prepareDir makes the directory to restore to. One with content is somebody's.
func prepareDir(dir string, force bool) error {
	names, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return err
	}
	if len(names) > 0 && !force {
		return fmt.Errorf("--raw-download=%s is not an empty directory: use --force if that is right", printable(dir))
	}
	return nil
}

func restoreSummary(r *chain.Restored, job *restoreJob) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Restored the state of %s to %s\n", r.Time.Format("2006-01-02 15:04:05 MST"), progress.Escape(job.dir))
	fmt.Fprintf(&b, "  Files      %s, %s\n", progress.Count(r.Files), progress.Bytes(r.Bytes))
	fmt.Fprintf(&b, "  Read       %s of %s\n", plural(r.Volumes, "volume"), plural(r.Sets, "set"))
	fmt.Fprintf(&b, "  Duration   %s\n", progress.Duration(r.Elapsed))
	if r.Warnings > 0 {
		fmt.Fprintf(&b, "  Warnings   %s, in %s\n", progress.Count(r.Warnings), job.logfile)
	}
	if r.Lost > 0 {
		fmt.Fprintf(&b, "  LOST       %s, listed in %s\n", plural(int(r.Lost), "problem"), job.logfile)
	}
	return b.String()
}
