package restore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"tklbam/pkg/command"
	"tklbam/pkg/extras"
	"tklbam/pkg/limits"
	"tklbam/pkg/mysqlfs"
	"tklbam/pkg/overlay"
	"tklbam/pkg/packages"
	"tklbam/pkg/rollback"
)

// A System restores the extract of a system backup onto a system. Its steps
// are called in the order Packages, Files; each makes a plan, prints it and,
// unless this is a simulation, applies it.
type System struct {
	Root    string // the system: "/"
	Extract string // the backup: the directory that TKLBAM is in
	Consume bool   // files may be moved out of the extract
	Limits  limits.List

	Identity  bool     // overwrite what makes this machine the one it is
	Sources   bool     // bring the package sources other than the distribution's
	Blacklist []string // globs of packages that are not installed

	Simulate bool
	Journal  *rollback.Journal // records what is displaced; nil for no rollback
	Protect  []string          // directories that no restored file may touch

	Runner command.Runner
	MySQL  mysqlfs.System
	Env    []string
	Out    io.Writer // the plan, in the form it always had, and what programs print
	Warn   func(path string, err error)
	Now    time.Time

	// Fault is asked before every change of the file system, for tests.
	Fault func(step string) error

	brought []string // paths that came with the package sources
}

// Extras is the backup's metadata.
func (s *System) Extras() extras.Dir { return extras.In(s.Extract) }

// Check reports whether the extract is one of a system backup.
func (s *System) Check() error {
	ok, err := s.Extras().Exists()
	if err == nil && !ok {
		err = fmt.Errorf("there is no directory %q: this does not look like a system backup, but --raw-download can fetch it", string(s.Extras()))
	}
	return err
}

// A printer prints lines and keeps the first error.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}

// title prints a heading underlined.
func (p *printer) title(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	rule := make([]byte, len(text))
	for i := range rule {
		rule[i] = '-'
	}
	p.line("%s\n%s\n", text, rule)
}

// tellUnsaved prints what the backup lacks.
func (s *System) tellUnsaved() error {
	text, err := s.Extras().Read(extras.Unsaved)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	p := &printer{w: s.Out}
	p.title("THIS BACKUP LACKS")
	for line := range strings.Lines(string(text)) {
		path, why, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		p.line("  %s: %s", path, strconv.Quote(why))
	}
	p.line("")
	return p.err
}

// Packages installs the packages of the backup that this system lacks. It
// returns how many could not be installed; those that apt does not know, or
// that are not to be installed, are listed and don't count.
func (s *System) Packages(ctx context.Context) (failed int, err error) {
	p := &printer{w: s.Out}
	if err := s.bringSources(ctx, p); err != nil {
		return 0, err
	}
	want, err := s.wantedPackages()
	if err != nil || len(want) == 0 {
		return 0, err
	}
	p.title("PACKAGES - %d new packages listed in %s", len(want), s.Extras().Path(extras.NewPackages))
	present, err := packages.Present(s.Root)
	if errors.Is(err, fs.ErrNotExist) {
		p.line("This system has no dpkg: packages are left to you (--skip-packages says so beforehand)\n")
		return 0, p.err
	}
	if err != nil {
		return 0, err
	}
	missing := 0
	for _, name := range want {
		if !present[name] {
			missing++
		}
	}
	if missing == 0 {
		p.line("ALL NEW PACKAGES ALREADY INSTALLED\n")
		return 0, p.err
	}
	if missing < len(want) {
		p.line("// New packages not already installed: %d", missing)
	}
	apt := &packages.Apt{Runner: s.Runner, Root: s.Root, Env: s.Env, Output: s.Out}
	s.update(ctx, p, apt)
	plan, err := s.planPackages(ctx, apt, want, present)
	if err != nil {
		return 0, errors.Join(err, p.err)
	}
	failures, err := s.install(ctx, p, apt, plan)
	return len(failures), errors.Join(err, p.err)
}

// bringSources puts the package sources of the backup other than its
// distribution's in place, with their keys, if that was asked for.
func (s *System) bringSources(ctx context.Context, p *printer) error {
	if !s.Sources {
		return nil
	}
	sources, err := packages.Sources(s.Extract)
	if err != nil || len(sources) == 0 {
		return err
	}
	p.line("// Bringing package sources")
	var actions []overlay.Action
	for _, source := range sources {
		for _, path := range append([]string{source.Path}, source.Keyrings...) {
			path = strings.TrimPrefix(path, "/")
			if _, err := os.Lstat(filepath.Join(s.Extract, path)); err != nil {
				continue // a key that is not part of the backup
			}
			p.line("  /%s", path)
			actions = append(actions, overlay.Put(path))
			s.brought = append(s.brought, "/"+path)
		}
	}
	p.line("")
	if s.Simulate || p.err != nil {
		return p.err
	}
	result, err := overlay.Apply(ctx, actions, overlay.Options{
		Root: s.Root, Extract: s.Extract, Journal: s.Journal, Protect: s.Protect, Reporter: reporter{s}, Now: s.Now,
	})
	if err == nil && result.Failed > 0 {
		err = fmt.Errorf("bring package sources: %q could not be put in place", result.Paths)
	}
	return err
}

func (s *System) wantedPackages() ([]string, error) {
	f, err := s.Extras().Open(extras.NewPackages)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return packages.ParseNames(f)
}

// update has apt fetch its lists: without them it may know nothing. What it
// knows is better than to stop here.
func (s *System) update(ctx context.Context, p *printer, apt *packages.Apt) {
	p.line("// Update list of available packages\n\n# apt-get update")
	if s.Simulate {
		return
	}
	if err := apt.Update(ctx); err != nil {
		s.Warn("", err)
	}
}

func (s *System) planPackages(ctx context.Context, apt *packages.Apt, want []string, present map[string]bool) (packages.Plan, error) {
	available, err := apt.Available(ctx, want)
	if err != nil {
		return packages.Plan{}, err
	}
	return packages.NewPlan(want, present, available, append(packages.Blacklist(), s.Blacklist...))
}

// install installs what the plan says, after all that will be installed with
// it is recorded.
func (s *System) install(ctx context.Context, p *printer, apt *packages.Apt, plan packages.Plan) ([]packages.Failure, error) {
	p.line("\n// Installing new packages")
	for _, skip := range plan.Skipped {
		if skip.Reason != packages.AlreadyInstalled {
			p.line("// Skipping %s: %s", skip.Name, skip.Reason)
		}
	}
	if len(plan.Install) == 0 {
		p.line("\nNO NEW PACKAGES TO INSTALL\n")
		return nil, p.err
	}
	p.line("\n# %s", plan.CommandLine())
	if s.Simulate {
		p.line("")
		return nil, p.err
	}
	resolution, err := apt.Resolve(ctx, plan.Install)
	if err != nil {
		return nil, err
	}
	if err := s.note(rollback.Package, resolution.Install); err != nil {
		return nil, err
	}
	before, err := s.beforePackages()
	if err != nil {
		return nil, err
	}
	result, err := apt.Install(ctx, plan.Install)
	err = errors.Join(err, s.note(returned, result.Returned), before.close(result.Installed))
	for _, f := range result.Failed {
		p.line("# WARNING: %s was not installed: %s", f.Name, f.Reason)
	}
	for _, name := range result.Removed {
		p.line("# WARNING: %s was removed, since it conflicts", name)
	}
	p.line("")
	return result.Failed, err
}

// returned is the kind of the notes that name packages of which configuration
// was there before: a rollback leaves that.
const returned = "returned package"

// note records packages.
func (s *System) note(kind string, names []string) error {
	if s.Journal == nil {
		return nil
	}
	for _, name := range names {
		if err := s.Journal.Note(kind, name); err != nil {
			return err
		}
	}
	return s.Journal.Sync()
}

// Files merges users and groups, and brings files, owners, permissions and
// deletions. What can't be changed is passed over and counts as failed.
func (s *System) Files(ctx context.Context) (overlay.Result, error) {
	plan, err := s.PlanFiles()
	if err != nil || plan == nil {
		return overlay.Result{}, err
	}
	if err := plan.Print(s.Out); err != nil {
		return overlay.Result{}, err
	}
	opts := s.overlayOptions(plan)
	if err := s.checkSpace(plan, opts); err != nil || s.Simulate {
		return overlay.Result{}, err
	}
	return overlay.Apply(ctx, plan.Actions(), opts)
}

func (s *System) overlayOptions(plan *FilePlan) overlay.Options {
	return overlay.Options{
		Root: s.Root, Extract: s.Extract, Consume: s.Consume,
		UIDs: plan.Users.UIDs, GIDs: plan.Users.GIDs,
		Journal: s.Journal, Protect: s.Protect, Reporter: reporter{s}, Now: s.Now, Fault: s.Fault,
	}
}

// A SpaceError says that a restore would not fit.
type SpaceError struct{ overlay.Space }

func (e *SpaceError) Error() string {
	return fmt.Sprintf("the restore needs %d bytes and %d files at %q, where %d bytes are free", e.Bytes, e.Inodes, e.Path, e.Free)
}

// checkSpace refuses what would not fit, before the first change.
func (s *System) checkSpace(plan *FilePlan, opts overlay.Options) error {
	record := ""
	if s.Journal != nil {
		record = s.Journal.Dir()
	}
	spaces, err := overlay.Need(plan.Actions(), opts, record)
	if err != nil {
		return err
	}
	for _, space := range spaces {
		if space.Short() {
			return &SpaceError{space}
		}
	}
	return nil
}
