package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"tklbam/chain"
	"tklbam/chain/timeexpr"
	"tklbam/pkg/conf"
	"tklbam/pkg/extras"
	"tklbam/pkg/limits"
	"tklbam/pkg/progress"
	"tklbam/pkg/registry"
	"tklbam/pkg/restore"
)

func restoreApplet() applet {
	return applet{
		name: "restore", summary: "restore the system, or a directory",
		flags: transferFlags(
			&cli.StringFlag{Name: "mirror"},
			&cli.StringFlag{Name: "address"},
			&cli.StringFlag{Name: "raw-download"},
			&cli.BoolFlag{Name: "simulate"},
			&cli.BoolFlag{Name: "skip-files"},
			&cli.BoolFlag{Name: "skip-packages"},
			&cli.BoolFlag{Name: "skip-database"},
			&cli.BoolFlag{Name: "no-rollback"},
			&cli.BoolFlag{Name: "restore-identity"},
			&cli.BoolFlag{Name: "restore-sources"},
			&cli.BoolFlag{Name: "debug"},
			&cli.StringFlag{Name: "restore-cache-size"},
			&cli.StringFlag{Name: "restore-cache-dir"},
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
		),
		run: runRestore,
	}
}

// A restoreJob is a restore that was asked for, checked and ready to run.
type restoreJob struct {
	address string
	dir     string // of --raw-download; else the system is restored
	extract string // given instead of an address
	time    time.Time
	limits  limits.List
	logfile string
}

func runRestore(a *app, c *cli.Context) error {
	r, err := a.registry()
	if err != nil {
		return err
	}
	cf, err := a.conf(c)
	if err != nil {
		return err
	}
	job, err := parseRestore(c, cf, r, time.Now())
	if err != nil {
		return err
	}
	log, err := openLog(job.logfile, "restore "+job.subject())
	if err != nil {
		return err
	}
	run := func() (string, error) { return a.rawRestore(c, r, cf, job, log) }
	if job.dir == "" {
		run = func() (string, error) { return a.systemRestore(c, r, cf, job, log) }
	}
	if c.Bool("simulate") {
		err = a.logged(log, run)
	} else {
		err = a.noticed(cf, "restore", log, run)
	}
	return errors.Join(err, log.Close())
}

// subject is what is restored, for people.
func (j *restoreJob) subject() string {
	switch {
	case j.dir != "":
		return "to " + progress.Escape(j.dir)
	case j.extract != "":
		return "of the system from " + progress.Escape(j.extract)
	}
	return "of the system"
}

// rawRestore downloads a directory and returns the summary.
func (a *app) rawRestore(c *cli.Context, r *registry.Registry, cf *conf.Conf, job *restoreJob, log *logFile) (string, error) {
	secret, err := a.restoreSecret(c, r)
	if err != nil {
		return "", err
	}
	if err := prepareDir("--raw-download", job.dir, "use --force if that is right", c.Bool("force")); err != nil {
		return "", err
	}
	out, err := a.download(c, cf, job, secret, log, restore.Options{
		Dir: job.dir, Overwrite: c.Bool("force"), Numeric: c.Bool("numeric-owner"), Selected: restore.Within(job.limits),
	})
	if err != nil {
		return "", err
	}
	text := restoreSummary(out, job)
	log.println(text)
	if !c.Bool("silent") || c.Bool("json") {
		if err := a.printSummary(c.Bool("json"), out, text); err != nil {
			return text, err
		}
	}
	if out.Lost > 0 {
		return text, &incompleteError{fmt.Sprintf("not all could be restored: %s, listed in %s", plural(int(out.Lost), "problem"), job.logfile)}
	}
	return text, nil
}

func parseRestore(c *cli.Context, cf *conf.Conf, r *registry.Registry, now time.Time) (*restoreJob, error) {
	job := &restoreJob{address: c.String("address"), dir: c.String("raw-download"), logfile: c.String("logfile")}
	if job.logfile == "" {
		job.logfile = r.PathOr(restoreLog, registry.RestoreLog)
	}
	if job.dir == "" && c.NArg() == 0 {
		job.address = cf.Address
	}
	if err := job.source(c); err != nil {
		return nil, err
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
	return job, nil
}

// source is an address, or an extract.
func (j *restoreJob) source(c *cli.Context) error {
	switch c.NArg() {
	case 0:
		if j.address == "" {
			return usagef("where from? give an --address, such as file:///mnt/otherdisk/backup, or the directory of an extract")
		}
		return nil
	case 1:
	default:
		return usagef("unexpected argument %q", c.Args().Get(1))
	}
	j.extract = c.Args().First()
	if ok, err := extras.In(j.extract).Exists(); err != nil {
		return err
	} else if !ok {
		return usagef("%q is not the directory of an extract, and restoring from the Hub is not supported yet", j.extract)
	}
	for _, name := range []string{"address", "raw-download", "time", "keyfile", "secretfile", "restore-cache-size", "restore-cache-dir"} {
		if c.IsSet(name) {
			return usagef("--%s makes no sense with the extract %q", name, j.extract)
		}
	}
	var err error
	j.extract, err = filepath.Abs(j.extract)
	return err
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

// download fetches what the job says of a chain.
func (a *app) download(c *cli.Context, cf *conf.Conf, job *restoreJob, secret []byte, log *logFile, opts restore.Options) (*chain.Restored, error) {
	b, err := a.source(cf, job.address, mirrorOf(c, cf), true)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	rep := a.newReporter(c.Bool("json"), c.Bool("silent"), log)
	opts.Parallel = parallelFor(cf, job.address)
	opts.Store, opts.Secret, opts.AllowNoMDC = b, secret, c.Bool("allow-unprotected")
	opts.Time, opts.Scratch, opts.Report = job.time, os.TempDir(), rep
	out, err := restore.Raw(a.ctx, opts)
	if serr := rep.stop(); err == nil {
		err = serr
	}
	return out, err
}

// prepareDir makes the directory to restore to. One with content is somebody's.
func prepareDir(option, dir, hint string, force bool) error {
	names, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return err
	}
	if len(names) > 0 && !force {
		return fmt.Errorf("%s=%s is not an empty directory: %s", option, printable(dir), hint)
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
