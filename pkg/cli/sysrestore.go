package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"tklbam/pkg/command"
	"tklbam/pkg/conf"
	"tklbam/pkg/extras"
	"tklbam/pkg/hooks"
	"tklbam/pkg/pidlock"
	"tklbam/pkg/profile"
	"tklbam/pkg/progress"
	"tklbam/pkg/registry"
	"tklbam/pkg/restore"
	"tklbam/pkg/rollback"
	"tklbam/pkg/term"
)

// defaultScratch takes the extract of a backup: unlike /tmp it is seldom a
// file system in memory.
const defaultScratch = "/var/tmp"

// systemRestore restores a backup onto this system.
func (a *app) systemRestore(c *cli.Context, r *registry.Registry, cf *conf.Conf, job *restoreJob, log *logFile) (text string, err error) {
	if !c.Bool("simulate") {
		if os.Getuid() != 0 {
			return "", errors.New("restoring a system takes root: --simulate shows what would be done, --raw-download fetches the files")
		}
		lock, lerr := pidlock.Acquire(r.PathOr(backupLock, registry.BackupPID))
		if lerr != nil {
			return "", lerr
		}
		defer func() { err = errors.Join(err, lock.Close()) }()
	}
	run, err := a.restoreRun(c, r, cf, job, log)
	if err != nil {
		return "", err
	}
	lost := int64(0)
	if job.extract == "" {
		if run.Fetch, err = a.fetcher(c, r, cf, job, run.System, log, &lost); err != nil {
			return "", err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(run.Extract)) }()
	}
	result, err := run.Do(a.ctx)
	if err != nil {
		return "", err
	}
	return a.restoreOutcome(c, run, result, lost, job)
}

func (a *app) restoreRun(c *cli.Context, r *registry.Registry, cf *conf.Conf, job *restoreJob, log *logFile) (*restore.Run, error) {
	local, err := profile.Detect(systemRoot)
	if err != nil {
		return nil, err
	}
	run := &restore.Run{
		System: &restore.System{
			Root: systemRoot, Extract: job.extract, Limits: job.limits, Simulate: c.Bool("simulate"),
			Identity: c.Bool("restore-identity"), Sources: c.Bool("restore-sources"), Blacklist: strings.Fields(cf.PackageBlacklist),
			Protect: []string{r.Path(), cf.CacheDir, cf.RestoreCacheDir},
			Runner:  command.Exec{}, MySQL: mysqlSystem(), Env: os.Environ(), Out: a.planWriter(c, log), Now: time.Now(),
			Warn: func(path string, err error) { a.warnPath(log, path, err) },
		},
		Hooks: a.restoreHooks(c, r, local), SkipPackages: c.Bool("skip-packages"), SkipFiles: c.Bool("skip-files"), SkipDatabase: c.Bool("skip-database"),
		Accept: func(_ context.Context, made extras.Conf) error { return a.acceptAppliance(c, made, local) },
	}
	if !c.Bool("no-rollback") {
		run.Record = rollback.DefaultDir
	}
	if c.Bool("debug") {
		run.Debug = a.debugShell
	}
	return run, nil
}

// fetcher makes the directory of an extract that is ours to consume, and
// returns what downloads the backup into it. Files that are lost on the way are
// counted.
func (a *app) fetcher(c *cli.Context, r *registry.Registry, cf *conf.Conf, job *restoreJob, sys *restore.System, log *logFile, lost *int64) (func(context.Context) error, error) {
	secret, err := a.restoreSecret(c, r)
	if err != nil {
		return nil, err
	}
	if sys.Extract, err = a.scratch(); err != nil {
		return nil, err
	}
	sys.Consume = true
	return func(context.Context) error {
		got, err := a.download(c, cf, job, secret, log, restore.Options{
			Dir: sys.Extract, Numeric: true, Selected: restore.SystemWithin(job.limits, c.Bool("skip-files")),
		})
		if err == nil {
			*lost = got.Lost
		}
		return err
	}, nil
}

// planWriter is where the plan and the output of programs go: the log, and
// unless told otherwise standard output.
func (a *app) planWriter(c *cli.Context, log *logFile) io.Writer {
	if c.Bool("silent") || c.Bool("json") {
		return log.file
	}
	return io.MultiWriter(a.stdout, log.file)
}

func (a *app) scratch() (string, error) {
	dir := a.getenv("TMPDIR")
	if dir == "" {
		dir = defaultScratch
	}
	return os.MkdirTemp(dir, "tklbam-")
}

func (a *app) warnPath(log *logFile, path string, err error) {
	if path != "" {
		err = fmt.Errorf("%s: %w", progress.Escape(path), err)
	}
	a.warn(log, err)
}

func (a *app) restoreHooks(c *cli.Context, r *registry.Registry, local profile.ID) *hooks.Hooks {
	h := a.signedHooks(r.Profile(), c.Bool("silent") || c.Bool("json"))
	h.Environment = hooks.Environment{
		ProfileID:   string(local),
		RestoreSkip: hooks.Skips{Files: c.Bool("skip-files"), Database: c.Bool("skip-database"), Packages: c.Bool("skip-packages")},
	}
	return h
}

// acceptAppliance asks, when an appliance gets the backup of another one.
func (a *app) acceptAppliance(c *cli.Context, made extras.Conf, local profile.ID) error {
	if c.Bool("force") || profile.Compatible(profile.ID(made.ProfileID), local) {
		return nil
	}
	from, err := profile.ParseAppliance(profile.ID(made.ProfileID))
	if err != nil {
		return err
	}
	to, err := profile.ParseAppliance(local)
	if err != nil {
		return err
	}
	l := lines{w: a.stdout}
	l.printf("WARNING: INCOMPATIBLE APPLIANCE BACKUP")
	l.printf("======================================\n")
	l.printf("This is a backup of a %s appliance, and this system is a %s appliance:", from.Title(), to.Title())
	l.printf("restoring it here may cause trouble. A new %s installation is a better place.", from.Title())
	if c.Bool("noninteractive") || c.Bool("simulate") {
		if l.err == nil && c.Bool("noninteractive") {
			l.err = &exitError{exitOther}
		}
		return l.err
	}
	l.printf("\n(--force suppresses this question)\n")
	if l.err != nil {
		return l.err
	}
	ok, err := a.confirm("Do you want to continue?")
	if err == nil && !ok {
		err = errors.New("you didn't answer \"yes\": nothing was restored")
	}
	return err
}

// confirm asks a person, as term.Confirm does.
func (a *app) confirm(question string, yes ...string) (bool, error) {
	ok, err := term.Confirm(a.ctx, a.stdin, a.stdout, question, yes...)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("there is nobody to answer: --force goes on without asking")
	}
	return ok, err
}

// systemEvent is the last line of --json when a system is restored.
type systemEvent struct {
	Event         string   `json:"event"` // "summary"
	Simulated     bool     `json:"simulated"`
	Done          int      `json:"done"`             // changes of files
	Failed        int      `json:"failed"`           // changes given up
	Paths         []string `json:"paths,omitempty"`  // of those, the first 1,000
	PackageErrors int      `json:"packages_failed"`  // packages that could not be installed
	Databases     int      `json:"databases_failed"` // databases and parts of them that the server did not take
	Lost          int64    `json:"lost"`             // damaged in the backup
	Rollback      bool     `json:"rollback"`         // whether tklbam-restore-rollback can undo it
}

// restoreOutcome ends the output of a system's restore.
func (a *app) restoreOutcome(c *cli.Context, run *restore.Run, result restore.Outcome, lost int64, job *restoreJob) (string, error) {
	text := "Completed --simulate: nothing was changed.\n"
	if !run.Simulate {
		text = "We're done. You may want to reboot now to reload all service configurations.\n"
		if run.Record != "" {
			text += "TIP: \"tklbam-restore-rollback\" returns this system to what it was before.\n"
		}
	}
	_, err := fmt.Fprint(run.Out, text)
	if c.Bool("json") && err == nil {
		err = a.printSummary(true, systemEvent{
			Event: "summary", Simulated: run.Simulate, Done: result.Files.Done, Failed: result.Files.Failed, Paths: result.Files.Paths,
			PackageErrors: result.Packages, Databases: result.Databases, Lost: lost, Rollback: run.Record != "" && !run.Simulate,
		}, "")
	}
	failed := int64(result.Packages) + int64(result.Databases) + int64(result.Files.Failed) + lost
	if err == nil && failed > 0 {
		err = &incompleteError{fmt.Sprintf("not all could be restored: %s, listed in %s", plural(int(failed), "problem"), job.logfile)}
	}
	return text, err
}

func rollbackApplet() applet {
	return applet{
		name: "restore-rollback", summary: "undo the last restore",
		flags: []cli.Flag{&cli.BoolFlag{Name: "force"}, &cli.StringFlag{Name: "logfile"}},
		run:   runRollback,
	}
}

func runRollback(a *app, c *cli.Context) (err error) {
	if c.NArg() > 0 {
		return usagef("unexpected argument %q", c.Args().First())
	}
	r, err := a.registry()
	if err != nil {
		return err
	}
	record, err := rollback.Open(rollback.DefaultDir)
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("nothing to rollback")
	}
	if err != nil {
		return err
	}
	defer record.Close()
	if !c.Bool("force") {
		if err := a.confirmRollback(record); err != nil {
			return err
		}
	}
	lock, err := pidlock.Acquire(r.PathOr(backupLock, registry.BackupPID))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	logfile := c.String("logfile")
	if logfile == "" {
		logfile = r.PathOr(restoreLog, registry.RestoreLog)
	}
	log, err := openLog(logfile, "rollback of the restore of "+record.Started().Format(time.RFC3339))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	return a.logged(log, func() (string, error) { return "", a.rollBack(record, log, logfile) })
}

func (a *app) confirmRollback(record *rollback.Record) error {
	fmt.Fprintln(a.stdout, "DATA LOSS WARNING: this will rollback your system to the pre-restore")
	fmt.Fprintf(a.stdout, "snapshot from %s\n\n", record.Started().Format(time.ANSIC))
	ok, err := a.confirm("Is this really what you want?", "yes")
	if err == nil && !ok {
		err = errors.New("you didn't answer \"yes\": nothing was rolled back")
	}
	return err
}

func (a *app) rollBack(record *rollback.Record, log *logFile, logfile string) error {
	undo := restore.Undo{
		Root: systemRoot, Record: record, Runner: command.Exec{}, MySQL: mysqlSystem(), Env: os.Environ(), Out: io.MultiWriter(a.stdout, log.file),
		Warn: func(path string, err error) { a.warnPath(log, path, err) },
	}
	files, err := undo.Do(a.ctx)
	if err != nil {
		return fmt.Errorf("%w: the record in %q is kept, and the command can be repeated", err, record.Dir())
	}
	text := fmt.Sprintf("Rolled back: %s of files, with databases and packages.", plural(files.Paths, "change"))
	log.println(text)
	if _, err := fmt.Fprintln(a.stdout, text); err != nil {
		return err
	}
	if !files.Done() {
		return &incompleteError{fmt.Sprintf("%s could not be rolled back, listed in %s: the record in %q is kept",
			plural(files.Failed, "path"), logfile, record.Dir())}
	}
	return nil
}
