package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/urfave/cli/v2"

	"tklbam/backends"
	"tklbam/chain"
	"tklbam/chain/seal"
	"tklbam/chain/timeexpr"
	"tklbam/pkg/backup"
	"tklbam/pkg/conf"
	"tklbam/pkg/hooks"
	"tklbam/pkg/limits"
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
		name: "backup", summary: "back up the system, or a directory",
		flags: storeFlags(
			&cli.StringFlag{Name: "mirror"},
			&cli.StringFlag{Name: "address"},
			&cli.StringFlag{Name: "dump"},
			&cli.StringFlag{Name: "raw-upload", Aliases: []string{"upload-raw"}},
			&cli.BoolFlag{Name: "skip-files"},
			&cli.BoolFlag{Name: "skip-packages"},
			&cli.BoolFlag{Name: "skip-database"},
			&cli.StringFlag{Name: "force-profile"},
			&cli.BoolFlag{Name: "no-dpkg-baseline"},
			&cli.BoolFlag{Name: "debug"},
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
		),
		run: runBackup,
	}
}

// A backupJob is a backup that was asked for, checked and ready to run. What
// is stored of it is what a run after an interruption must have in common with
// the interrupted one.
type backupJob struct {
	Address      string   `json:"address"`
	RawUpload    string   `json:"raw_upload,omitempty"` // else the system
	Overrides    []string `json:"overrides,omitempty"`
	SkipFiles    bool     `json:"skip_files,omitempty"`
	SkipPackages bool     `json:"skip_packages,omitempty"`
	SkipDatabase bool     `json:"skip_database,omitempty"`
	ForceProfile string   `json:"force_profile,omitempty"`
	NoBaseline   bool     `json:"no_dpkg_baseline,omitempty"`
	FullBackup   string   `json:"full_backup"`
	Volsize      int      `json:"volsize"`
	Encryption   string   `json:"encryption"`
	SecretFile   string   `json:"secretfile,omitempty"`
	CacheDir     string   `json:"cache_dir"`

	dump                                   string
	simulate, quiet, json, noResume, debug bool
	resume                                 bool // as asked for, or because the last run was the same and did not end
	logfile                                string
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
	return a.backup(c, r, cf, job)
}

// parseBackup reads the command line; --resume takes the configuration of the
// interrupted session instead.
func parseBackup(c *cli.Context, cf *conf.Conf, r *registry.Registry) (*backupJob, error) {
	args, err := limits.ParseAll(c.Args().Slice())
	if err != nil {
		return nil, &usageError{err}
	}
	job := &backupJob{
		Address: c.String("address"), RawUpload: c.String("raw-upload"), SecretFile: c.String("secretfile"),
		SkipFiles:    cf.BackupSkipFiles || c.Bool("skip-files"),
		SkipPackages: cf.BackupSkipPackages || c.Bool("skip-packages"),
		SkipDatabase: cf.BackupSkipDatabase || c.Bool("skip-database"),
		ForceProfile: cf.ForceProfile, NoBaseline: c.Bool("no-dpkg-baseline"),
		FullBackup: cf.FullBackup, Volsize: cf.Volsize, Encryption: string(cf.Encryption), CacheDir: cf.CacheDir,
	}
	if job.RawUpload == "" {
		if c.String("dump") == "" {
			job.Address = cf.Address
		}
		job.Overrides = append(cf.Overrides[:len(cf.Overrides):len(cf.Overrides)], args...).Strings()
	} else if len(args) > 0 {
		return nil, usagef("--raw-upload takes no overrides: unexpected argument %q", c.Args().First())
	}
	job.dump, job.debug = c.String("dump"), c.Bool("debug")
	job.simulate, job.quiet, job.json = c.Bool("simulate"), c.Bool("quiet"), c.Bool("json")
	job.noResume, job.logfile = c.Bool("disable-resume"), c.String("logfile")
	if job.logfile == "" {
		job.logfile = r.PathOr(backupLog, registry.BackupLog)
	}
	if err := job.validate(c); err != nil {
		return nil, err
	}
	return job, job.interrupted(c, r)
}

// validate checks what options say together, and the directories they name.
func (j *backupJob) validate(c *cli.Context) error {
	if j.dump != "" {
		for _, name := range []string{"address", "raw-upload", "simulate", "resume", "disable-resume", "full-backup", "volsize", "encryption", "s3-parallel-uploads"} {
			if c.IsSet(name) {
				return usagef("--dump stores nothing at an address: it excludes --%s", name)
			}
		}
	}
	switch {
	case c.Bool("resume") && (j.noResume || j.simulate):
		return usagef("--resume excludes --disable-resume and --simulate")
	case j.Address == "" && j.dump == "" && !c.Bool("resume") && (!j.simulate || j.RawUpload != ""):
		return usagef("where to? give an --address, such as file:///mnt/otherdisk/backup, or a directory to --dump to")
	case j.RawUpload == "":
		return nil
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

// interrupted looks for an interrupted backup: to go on with it, or to keep
// it from being ruined.
func (j *backupJob) interrupted(c *cli.Context, r *registry.Registry) error {
	if j.dump != "" {
		return nil
	}
	saved, err := r.Resume()
	if errors.Is(err, fs.ErrNotExist) {
		if c.Bool("resume") {
			return errors.New("there is no interrupted backup to resume")
		}
		return nil
	}
	if err != nil {
		return err
	}
	if c.Bool("resume") {
		*j = backupJob{dump: j.dump, quiet: j.quiet, json: j.json, debug: j.debug, logfile: j.logfile, resume: true}
		if err := json.Unmarshal(saved, j); err != nil {
			return fmt.Errorf("read the configuration of the interrupted backup: %w", err)
		}
		return nil
	}
	if j.simulate && j.RawUpload == "" && !j.noResume {
		return errors.New("there is an interrupted backup, which --simulate would ruin: complete it, or give it up with --disable-resume")
	}
	same, err := j.document()
	j.resume = err == nil && !j.noResume && !j.simulate && bytes.Equal(bytes.TrimSpace(saved), same)
	return err
}

func (j *backupJob) document() ([]byte, error) { return json.Marshal(j) }

// backup runs the job under the lock, with its log.
func (a *app) backup(c *cli.Context, r *registry.Registry, cf *conf.Conf, job *backupJob) (err error) {
	lock, err := pidlock.Acquire(r.PathOr(backupLock, registry.BackupPID))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	log, err := openLog(job.logfile, "backup of "+job.subject())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	if job.simulate {
		return a.logged(log, func() (string, error) { return a.backupJob(c, r, cf, job, log) })
	}
	return a.noticed(cf, "backup", log, func() (string, error) { return a.backupJob(c, r, cf, job, log) })
}

// subject is what is backed up, for people.
func (j *backupJob) subject() string {
	if j.RawUpload == "" {
		return "the system"
	}
	return progress.Escape(j.RawUpload)
}

// backupJob runs the job and returns its summary.
func (a *app) backupJob(c *cli.Context, r *registry.Registry, cf *conf.Conf, job *backupJob, log *logFile) (string, error) {
	var sum *chain.Summary
	var err error
	if job.RawUpload == "" {
		sum, err = a.systemBackup(c, r, cf, job, log)
	} else {
		sum, err = a.upload(c, r, cf, job, log)
	}
	if err != nil || sum == nil {
		return "", err
	}
	text := backupSummary(sum, job)
	log.println(text)
	if err := a.printSummary(job.json, sum, text); err != nil {
		return text, err
	}
	if sum.Lost > 0 {
		return text, &incompleteError{fmt.Sprintf("not all could be backed up: %s, listed in %s", plural(int(sum.Lost), "problem"), job.logfile)}
	}
	return text, nil
}

// upload backs a directory up as it is.
func (a *app) upload(c *cli.Context, r *registry.Registry, cf *conf.Conf, job *backupJob, log *logFile) (*chain.Summary, error) {
	b, err := a.openTarget(cf, job.Address, job.simulate)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	if job.debug {
		if err := a.debugShell(a.ctx, job.RawUpload); err != nil {
			return nil, hooks.Step("debug shell", err)
		}
	}
	return a.session(c, r, cf, job, log, b, backup.Options{Dir: job.RawUpload})
}

func (a *app) session(c *cli.Context, r *registry.Registry, cf *conf.Conf, job *backupJob, log *logFile, b backends.Backend, opts backup.Options) (*chain.Summary, error) {
	secret, weak, err := a.secret(c, r)
	if err != nil {
		return nil, err
	}
	if err := job.options(&opts, secret, weak); err != nil {
		return nil, err
	}
	opts.Store, opts.Address, opts.Parallel = b, b.String(), parallelFor(cf, b.String())
	opts.SkipDirs = append(opts.SkipDirs, localDir(b.String())...)
	if !job.simulate {
		if err := saveResume(r, job); err != nil {
			return nil, err
		}
	}
	rep := a.newReporter(job.json, job.quiet, log)
	rep.sends = overNetwork(b.String()) && !job.simulate
	// Only somebody who watches wants to know the time left.
	opts.Report, opts.Estimate = rep, term.IsTerminal(a.stderr) && !job.quiet
	var lag atomic.Int64
	if m := mirrorOf(c, cf); m != "" && !job.simulate {
		store, err := a.withMirror(cf, m, b, rep, func(err error) {
			lag.Add(1)
			rep.Problem(chain.Problem{Err: fmt.Errorf("mirror: %w", err), Lost: true})
		})
		if err != nil {
			return nil, errors.Join(err, rep.stop())
		}
		defer store.Close() // the primary's is its opener's
		opts.Store, opts.SkipDirs = store, append(opts.SkipDirs, localDir(m)...)
	}
	sum, err := backup.Raw(a.ctx, opts)
	if serr := rep.stop(); err == nil {
		err = serr
	}
	if err == nil && !job.simulate {
		err = r.SetResume(nil)
	}
	if sum != nil {
		sum.Lost += lag.Load()
	}
	return sum, err
}

// openTarget opens a target to store in. A simulation does not make it: if it
// is absent, it counts as empty.
func (a *app) openTarget(cf *conf.Conf, address string, simulate bool) (backends.Backend, error) {
	b, err := a.counted(cf, address, backends.Options{Create: !simulate}, a.sent)
	if err == nil && !simulate {
		if err := a.checkTarget(cf, b); err != nil {
			return nil, errors.Join(err, b.Close())
		}
	}
	if simulate && errors.Is(err, fs.ErrNotExist) {
		address, err := backends.ParseAddress(address)
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

// options fills in what the job says of a session.
func (j *backupJob) options(o *backup.Options, secret []byte, weak bool) (err error) {
	name := map[string]seal.Encoding{"age": seal.ZstdAge, "gpg": seal.GPG, "none": seal.Gzip}
	o.Secret, o.WeakSecret, o.Encoding = secret, weak, name[j.Encryption]
	o.VolumeSize, o.CacheDir = int64(j.Volsize)*megabyte, j.CacheDir
	o.NoResume, o.Simulate = j.noResume, j.simulate
	o.Frequency, err = timeexpr.ParseFrequency(j.FullBackup)
	return err
}

func saveResume(r *registry.Registry, job *backupJob) error {
	doc, err := job.document()
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

// overNetwork reports whether a target is none of this machine's directories.
func overNetwork(address string) bool { return len(localDir(address)) == 0 }

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
	fmt.Fprintf(&b, "%s %s of %s, %s\n", kind, verb, job.subject(), s.End.Format("2006-01-02 15:04:05 MST"))
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
		fmt.Fprintf(&b, "  NOT SAVED  %s, listed in %s\n", plural(int(s.Lost), "item"), job.logfile)
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
