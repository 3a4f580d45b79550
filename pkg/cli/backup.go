package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"tklbam/backends"
	"tklbam/backends/all"
	"tklbam/chain"
	"tklbam/chain/seal"
	"tklbam/chain/timeexpr"
	"tklbam/pkg/backup"
	"tklbam/pkg/conf"
	"tklbam/pkg/pidlock"
	"tklbam/pkg/progress"
	"tklbam/pkg/registry"
	"tklbam/pkg/term"
)

const (
	backupLog  = "/var/log/tklbam-backup"
	restoreLog = "/var/log/tklbam-restore"
	backupLock = "/var/run/tklbam-backup.pid"
)

// megabyte is what volsize counts in, as it does for stock Duplicity.
const megabyte = 1 << 20

func backupApplet() applet {
	return applet{
		name: "backup", summary: "back up a directory",
		flags: []cli.Flag{
			&cli.StringFlag{Name: "raw-upload", Aliases: []string{"upload-raw"}},
			&cli.StringFlag{Name: "address"},
			&cli.StringFlag{Name: "volsize"},
			&cli.StringFlag{Name: "full-backup"},
			&cli.StringFlag{Name: "encryption"},
			&cli.StringFlag{Name: "secretfile"},
			&cli.StringFlag{Name: "cache-dir"},
			&cli.BoolFlag{Name: "resume"},
			&cli.BoolFlag{Name: "disable-resume"},
			&cli.BoolFlag{Name: "simulate"},
			&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}},
			&cli.BoolFlag{Name: "json"},
			&cli.StringFlag{Name: "logfile"},
		},
		run: runBackup,
	}
}

// A backupJob is a backup that was asked for, checked and ready to run.
type backupJob struct {
	Address    string `json:"address"`
	RawUpload  string `json:"raw_upload"`
	FullBackup string `json:"full_backup"`
	Volsize    int    `json:"volsize"`
	Encryption string `json:"encryption"`
	SecretFile string `json:"secretfile,omitempty"`
	CacheDir   string `json:"cache_dir"`

	simulate, quiet, json, noResume bool
	logfile                         string
}

func runBackup(a *app, c *cli.Context) error {
	r, err := a.registry()
	if err != nil {
		return err
	}
	cf, err := a.conf(c)
	if err != nil {
		return err
	}
	job, err := parseBackup(c, cf, r)
	if err != nil {
		return err
	}
	return a.backup(c, r, job)
}

// parseBackup reads the command line; --resume takes the configuration of the
// interrupted session instead.
func parseBackup(c *cli.Context, cf *conf.Conf, r *registry.Registry) (*backupJob, error) {
	job := &backupJob{
		Address: c.String("address"), RawUpload: c.String("raw-upload"), SecretFile: c.String("secretfile"),
		FullBackup: cf.FullBackup, Volsize: cf.Volsize, Encryption: string(cf.Encryption), CacheDir: cf.CacheDir,
	}
	if c.Bool("resume") {
		if c.Bool("disable-resume") || c.Bool("simulate") {
			return nil, usagef("--resume excludes --disable-resume and --simulate")
		}
		saved, err := r.Resume()
		if errors.Is(err, fs.ErrNotExist) {
			return nil, errors.New("there is no interrupted backup to resume")
		}
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(saved, job); err != nil {
			return nil, fmt.Errorf("read the configuration of the interrupted backup: %w", err)
		}
	}
	job.simulate, job.quiet, job.json = c.Bool("simulate"), c.Bool("quiet"), c.Bool("json")
	job.noResume, job.logfile = c.Bool("disable-resume"), c.String("logfile")
	if job.logfile == "" {
		job.logfile = r.PathOr(backupLog, registry.BackupLog)
	}
	return job, job.validate(c)
}

func (j *backupJob) validate(c *cli.Context) error {
	switch {
	case j.RawUpload == "":
		return usagef("only directories can be backed up yet: give one with --raw-upload=PATH")
	case c.NArg() > 0:
		return usagef("--raw-upload takes no overrides: unexpected argument %q", c.Args().First())
	case j.Address == "":
		return usagef("where to? give an --address, such as file:///mnt/otherdisk/backup")
	}
	st, err := os.Stat(j.RawUpload)
	if err != nil {
		return fmt.Errorf("--raw-upload: %w", err)
	}
	if !st.IsDir() {
		return fmt.Errorf("--raw-upload=%s is not a directory", printable(j.RawUpload))
	}
	j.RawUpload, err = filepath.Abs(j.RawUpload)
	return err
}

// backup runs the job under the lock, with its log.
func (a *app) backup(c *cli.Context, r *registry.Registry, job *backupJob) (err error) {
	lock, err := pidlock.Acquire(r.PathOr(backupLock, registry.BackupPID))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	log, err := openLog(job.logfile, "backup of "+progress.Escape(job.RawUpload))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	sum, err := a.session(c, r, job, log)
	if err != nil {
		log.println("failed: " + err.Error())
		return err
	}
	text := backupSummary(sum, job)
	log.println(text)
	if err := a.printSummary(job.json, sum, text); err != nil {
		return err
	}
	if sum.Lost > 0 {
		fmt.Fprintf(a.stderr, "error: %d files are not in the backup: see %s\n", sum.Lost, job.logfile)
		return &exitError{exitIncomplete}
	}
	return nil
}

func (a *app) session(c *cli.Context, r *registry.Registry, job *backupJob, log *logFile) (*chain.Summary, error) {
	secret, weak, err := a.secret(c, r)
	if err != nil {
		return nil, err
	}
	opts, err := job.options(secret, weak)
	if err != nil {
		return nil, err
	}
	b, err := a.openTarget(job)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	opts.Store, opts.Address, opts.SkipDirs = b, b.String(), localDir(b.String())
	if !job.simulate {
		if err := saveResume(r, job); err != nil {
			return nil, err
		}
	}
	rep := a.newReporter(job.json, job.quiet, log)
	// Only somebody who watches wants to know the time left.
	opts.Report, opts.Estimate = rep, term.IsTerminal(a.stderr) && !job.quiet
	sum, err := backup.Raw(a.ctx, opts)
	if serr := rep.stop(); err == nil {
		err = serr
	}
	if err == nil && !job.simulate {
		err = r.SetResume(nil)
	}
	return sum, err
}

// openTarget opens what the job backs up to. A simulation does not make it: if
// it is absent, it counts as empty.
func (a *app) openTarget(job *backupJob) (backends.Backend, error) {
	b, err := backends.Open(a.ctx, all.Drivers(), job.Address, backends.Options{Create: !job.simulate})
	if job.simulate && errors.Is(err, fs.ErrNotExist) {
		address, err := backends.ParseAddress(job.Address)
		return absent{address}, err
	}
	return b, err
}

// An absent is a target that is not there and holds nothing.
type absent struct{ address backends.Address }

func (absent) List(context.Context, func(string, int64) error) error      { return nil }
func (absent) Open(context.Context, string) (io.ReadCloser, error)        { return nil, fs.ErrNotExist }
func (absent) Put(context.Context, string, func(w io.Writer) error) error { return fs.ErrNotExist }
func (absent) Delete(context.Context, string) error                       { return nil }
func (absent) Close() error                                               { return nil }
func (t absent) String() string                                           { return t.address.String() }

func (j *backupJob) options(secret []byte, weak bool) (o backup.Options, err error) {
	name := map[string]seal.Encoding{"age": seal.ZstdAge, "gpg": seal.GPG, "none": seal.Gzip}
	freq, err := timeexpr.ParseFrequency(j.FullBackup)
	return backup.Options{
		Dir: j.RawUpload, Secret: secret, WeakSecret: weak,
		Encoding: name[j.Encryption], Frequency: freq, VolumeSize: int64(j.Volsize) * megabyte,
		CacheDir: j.CacheDir, NoResume: j.noResume, Simulate: j.simulate,
	}, err
}

func saveResume(r *registry.Registry, job *backupJob) error {
	doc, err := json.Marshal(job)
	if err != nil {
		return err
	}
	return r.SetResume(doc)
}

// localDir is the directory of a local target: a backup leaves it out.
func localDir(address string) []string {
	a, err := backends.ParseAddress(address)
	if err != nil || a.Scheme != "file" {
		return nil
	}
	return []string{a.Path}
}

// printSummary ends the output of a command: text, or a line of JSON.
func (a *app) printSummary(asJSON bool, sum any, text string) error {
	if asJSON {
		return json.NewEncoder(a.stdout).Encode(summaryEvent(sum))
	}
	_, err := fmt.Fprint(a.stdout, text)
	return err
}

func backupSummary(s *chain.Summary, job *backupJob) string {
	var b strings.Builder
	kind := "Incremental"
	if s.Full {
		kind = "Full"
	}
	verb := "backup"
	if job.simulate {
		verb = "backup (simulated)"
	}
	fmt.Fprintf(&b, "%s %s of %s, %s\n", kind, verb, progress.Escape(job.RawUpload), s.End.Format("2006-01-02 15:04:05 MST"))
	if s.Resumed {
		fmt.Fprintln(&b, "  Resumed    an interrupted session")
	}
	fmt.Fprintf(&b, "  Files      %s: %s new, %s changed, %s unchanged; %s deleted\n", progress.Count(s.Files),
		progress.Count(s.New), progress.Count(s.Changed), progress.Count(s.Unchanged), progress.Count(s.Deleted))
	fmt.Fprintf(&b, "  Source     %s, of which %s were read\n", progress.Bytes(s.SourceBytes), progress.Bytes(s.ReadBytes))
	fmt.Fprintf(&b, "  Stored     %s in %s\n", progress.Bytes(s.StoredBytes), plural(s.Volumes, "volume"))
	fmt.Fprintf(&b, "  Duration   %s\n", progress.Duration(s.Elapsed))
	if !s.NextFull.IsZero() {
		fmt.Fprintf(&b, "  Next full  after %s\n", s.NextFull.Format("2006-01-02 15:04:05 MST"))
	}
	if s.Warnings > 0 {
		fmt.Fprintf(&b, "  Warnings   %s, in %s\n", progress.Count(s.Warnings), job.logfile)
	}
	if s.Lost > 0 {
		fmt.Fprintf(&b, "  NOT SAVED  %s, listed in %s\n", plural(int(s.Lost), "file"), job.logfile)
	}
	return b.String()
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return progress.Count(n) + " " + noun + "s"
}

// seconds is a duration as scripts read it.
func seconds(d time.Duration) float64 { return d.Round(time.Millisecond).Seconds() }
