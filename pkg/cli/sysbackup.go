package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"tklbam/backends"
	"tklbam/chain"
	"tklbam/pkg/backup"
	"tklbam/pkg/changes"
	"tklbam/pkg/command"
	"tklbam/pkg/conf"
	"tklbam/pkg/extras"
	"tklbam/pkg/hooks"
	"tklbam/pkg/limits"
	"tklbam/pkg/profile"
	"tklbam/pkg/progress"
	"tklbam/pkg/registry"
	"tklbam/pkg/rollback"
	"tklbam/pkg/tree"
)

// systemRoot is the system that is backed up and restored.
const systemRoot = "/"

// systemBackup backs up what changed on the system: to an address, or into a
// directory. A simulation without an address only prepares it.
func (a *app) systemBackup(c *cli.Context, r *registry.Registry, cf *conf.Conf, job *backupJob, log *logFile) (*chain.Summary, error) {
	p, err := backup.UpdateProfile(a.ctx, r, systemRoot, job.ForceProfile, false)
	if err != nil {
		return nil, err
	}
	var b backends.Backend
	if job.Address != "" { // opened first, so that what is wrong with it shows at once
		if b, err = a.openTarget(cf, job.Address, job.simulate); err != nil {
			return nil, err
		}
		defer b.Close()
	}
	root := systemRoot
	if job.dump != "" {
		root = job.dump
		if err := prepareDir("--dump", root, "remove the earlier dump first", false); err != nil {
			return nil, err
		}
	}
	overrides, err := limits.ParseAll(job.Overrides)
	if err != nil {
		return nil, err
	}
	rep := a.newReporter(job.json, job.quiet, log)
	id, err := systemID(p)
	if err != nil {
		return nil, err
	}
	sys := &backup.System{
		Root: systemRoot, Extras: extras.In(root), Profile: p, ID: id, Overrides: overrides,
		SkipFiles: job.SkipFiles, SkipPackages: job.SkipPackages, SkipDatabase: job.SkipDatabase,
		Dumpers:           []backup.Dumper{backup.MySQL(mysqlSystem()), backup.PostgreSQL(command.Exec{}, systemRoot)},
		NoPackageBaseline: job.NoBaseline, SkipDirs: ownDirs(r, cf, job), Report: rep,
	}
	var sum *chain.Summary
	run := backup.Run{
		System: sys, Hooks: a.backupHooks(p, job), Resume: job.resume, Keep: job.simulate || job.dump != "",
		Show: func(f backup.Footprint, found *backup.Findings) error {
			if err := rep.stop(); err != nil {
				return err
			}
			return a.showFindings(job, f, found)
		},
	}
	if job.debug {
		run.Debug = a.debugShell
	}
	switch {
	case job.dump != "":
		run.Store = func(ctx context.Context, selected []tree.Selected) error {
			return a.dump(ctx, sys, selected, rep, job, log)
		}
	case b != nil:
		run.Store = func(_ context.Context, selected []tree.Selected) (err error) {
			sum, err = a.session(c, r, cf, job, log, b, backup.Options{Dir: systemRoot, Select: selected, SkipDirs: sys.SkipDirs, Sparse: backup.IsDump})
			return err
		}
	}
	if job.resume && !job.quiet {
		rep.Note("going on with the interrupted backup (--disable-resume starts over)")
	}
	if err := errors.Join(run.Do(a.ctx), rep.stop()); err != nil {
		return sum, err
	}
	switch lost := rep.lost.Load(); {
	case sum != nil:
		sum.Lost += lost
	case lost > 0:
		return nil, &incompleteError{fmt.Sprintf("not all could be backed up: %s, listed in %s", plural(int(lost), "problem"), job.logfile)}
	}
	return sum, nil
}

// dump lays the backup out in a directory. What is lost counts with what its
// preparation lost.
func (a *app) dump(ctx context.Context, sys *backup.System, selected []tree.Selected, prepared *reporter, job *backupJob, log *logFile) error {
	rep := a.newReporter(job.json, job.quiet, log)
	sys.Report = rep
	rep.Phase("dumping")
	err := errors.Join(sys.Dump(ctx, job.dump, selected), rep.stop())
	prepared.lost.Add(rep.lost.Load())
	if err != nil || job.quiet || job.json {
		return err
	}
	_, err = fmt.Fprintf(a.stdout, "Dumped to %s: \"tklbam-restore %[1]s\" restores from there\n", printable(job.dump))
	return err
}

// systemID is the profile's id or, as the generic profile fits any system,
// what this one is: a restore asks when it is another appliance.
func systemID(p *profile.Profile) (profile.ID, error) {
	if p.ID != profile.Generic {
		return p.ID, nil
	}
	return profile.Detect(systemRoot)
}

// ownDirs are what the program itself keeps, wherever it was moved to.
func ownDirs(r *registry.Registry, cf *conf.Conf, job *backupJob) []string {
	dirs := []string{r.Path(), job.CacheDir, cf.RestoreCacheDir, job.dump, rollback.DefaultDir}
	return append(dirs, localDir(job.Address)...)
}

func (a *app) backupHooks(p *profile.Profile, job *backupJob) *hooks.Hooks {
	h := a.signedHooks(p.Paths, job.json)
	h.Environment = hooks.Environment{
		ProfileID:  string(p.ID),
		BackupSkip: hooks.Skips{Files: job.SkipFiles, Database: job.SkipDatabase, Packages: job.SkipPackages},
	}
	return h
}

// debugShell lets a person look around before the backup is stored.
func (a *app) debugShell(ctx context.Context, dir string) error {
	shell := a.getenv("SHELL")
	if shell == "" {
		shell = "/bin/bash"
	}
	fmt.Fprintf(a.stderr, "This is a shell in %s. \"exit 0\" goes on, \"exit 1\" aborts.\n", dir)
	return command.Exec{}.Run(ctx, command.Command{
		Args: []string{shell}, Dir: dir, Stdin: a.stdin, Stdout: a.stdout, Stderr: a.stderr, Terminal: true,
	})
}

// showFindings tells what is going to be backed up.
func (a *app) showFindings(job *backupJob, f backup.Footprint, found *backup.Findings) error {
	switch {
	case job.json:
		return json.NewEncoder(a.stdout).Encode(findings(f, found))
	case job.quiet:
		return nil
	}
	l := lines{w: a.stdout}
	if found != nil {
		l.printf("CREATING %s", string(extras.In(rootOf(job))))
		if job.simulate {
			showChanges(&l, &found.Files)
			showPackages(&l, found.NewPackages)
		}
	}
	if found != nil {
		for _, d := range found.Dumps {
			l.printf("%s: %s, %d saved", d.Server, plural(d.Found, "database"), d.Saved)
		}
	}
	l.printf("FULL UNCOMPRESSED FOOTPRINT: %s", f)
	if job.simulate {
		l.printf("Leaving %s for inspection: fsdelta lists the changes, newpkgs the packages", string(extras.In(rootOf(job))))
	}
	return l.err
}

// findingsEvent is the line of --json that tells what is going to be stored.
type findingsEvent struct {
	Event       string      `json:"event"` // "findings"
	Files       int64       `json:"files"`
	Bytes       int64       `json:"bytes"`
	NewPackages []string    `json:"new_packages,omitempty"`
	Directories []dirChange `json:"directories,omitempty"` // the largest first
}

type dirChange struct {
	Directory string         `json:"directory"`
	Bytes     int64          `json:"bytes"`
	Changes   map[string]int `json:"changes"` // by reason
}

func findings(f backup.Footprint, found *backup.Findings) findingsEvent {
	e := findingsEvent{Event: "findings", Files: f.Files, Bytes: f.Bytes}
	if found == nil {
		return e
	}
	e.NewPackages = found.NewPackages
	for _, dir := range found.Files.Dirs() {
		d := dirChange{dir.Dir, dir.All.Bytes, map[string]int{}}
		for _, r := range reasons {
			if n := dir.Reason(r).Changes; n > 0 {
				d.Changes[r.String()] = n
			}
		}
		e.Directories = append(e.Directories, d)
	}
	return e
}

// reasons are the columns of what changed.
var reasons = [...]changes.Reason{changes.New, changes.Edited, changes.Metadata, changes.Override, changes.Deleted}

func rootOf(job *backupJob) string {
	if job.dump != "" {
		return job.dump
	}
	return systemRoot
}

// showChanges prints what changed and why it is included, largest first.
func showChanges(l *lines, t *changes.Totals) {
	l.printf("")
	l.printf("  %10s %8s  %8s %8s %8s %8s %8s  %s", "size", "changes", "new", "edited", "metadata", "override", "deleted", "directory")
	row := func(t changes.Total, name string) {
		counts := make([]any, 0, len(reasons))
		for _, r := range reasons {
			counts = append(counts, t.Reason(r).Changes)
		}
		l.printf("  %10s %8d  %8d %8d %8d %8d %8d  %s",
			append(append([]any{progress.Bytes(t.All.Bytes), t.All.Changes}, counts...), progress.Escape(name))...)
	}
	for _, dir := range t.Dirs() {
		row(dir, dir.Dir)
	}
	row(t.All(), "in total")
	l.printf("")
}

func showPackages(l *lines, names []string) {
	if len(names) == 0 {
		return
	}
	l.printf("  %s on the list of packages to install:", plural(len(names), "package"))
	line := "   "
	for _, name := range names {
		if len(line)+1+len(name) > 78 {
			l.printf("%s", line)
			line = "   "
		}
		line += " " + name
	}
	l.printf("%s", line)
	l.printf("")
}
