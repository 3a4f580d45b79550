package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"tklbam/chain"
	"tklbam/pkg/changes"
	"tklbam/pkg/dirindex"
	"tklbam/pkg/extras"
	"tklbam/pkg/limits"
	"tklbam/pkg/packages"
	"tklbam/pkg/profile"
	"tklbam/pkg/registry"
)

// A System is a system backup: what it covers and where its metadata goes.
type System struct {
	Root      string // the system to back up: "/"
	Extras    extras.Dir
	Profile   *profile.Profile
	ID        profile.ID // of the system, for who restores the backup
	Overrides limits.List

	SkipFiles    bool
	SkipPackages bool
	SkipDatabase bool

	Dumpers []Dumper // of the databases

	// NoPackageBaseline takes every file for a user's where the profile has no
	// index, although dpkg knows better.
	NoPackageBaseline bool

	SkipDirs []string // the session's own
	Report   chain.Reporter
}

// Conf is what the backup is made with.
func (s *System) Conf() extras.Conf {
	return extras.Conf{
		ProfileID: string(s.ID), Overrides: s.Overrides.Strings(),
		SkipFiles: s.SkipFiles, SkipPackages: s.SkipPackages, SkipDatabase: s.SkipDatabase,
	}
}

// Ready reports whether the extras are complete and of the same backup, so
// that an interrupted one can go on with them.
func (s *System) Ready() (bool, error) {
	c, err := s.Extras.Conf()
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && c.Same(s.Conf()), err
}

// Prepare makes the extras anew. What is left of them after an error is not
// taken for complete.
func (s *System) Prepare(ctx context.Context) (*Findings, error) {
	lost := &lossReporter{Reporter: s.Report}
	s.Report = lost
	defer func() { s.Report = lost.Reporter }()
	f := new(Findings)
	if err := s.Extras.Create(); err != nil {
		return nil, err
	}
	users, err := extras.SystemUsers(s.Root)
	if err != nil {
		return nil, err
	}
	if err := s.Extras.SetUsers(users); err != nil {
		return nil, err
	}
	if err := s.packages(f); err != nil {
		return nil, err
	}
	if err := s.files(ctx, f); err != nil {
		return nil, err
	}
	if err := s.databases(ctx, f); err != nil {
		return nil, err
	}
	if err := s.setUnsaved(lost.list); err != nil {
		return nil, err
	}
	return f, s.Extras.SetConf(s.Conf())
}

// A lossReporter remembers what the backup is going to lack.
type lossReporter struct {
	chain.Reporter
	list []chain.Problem
}

func (r *lossReporter) Problem(p chain.Problem) {
	if p.Lost {
		r.list = append(r.list, p)
	}
	r.Reporter.Problem(p)
}

// setUnsaved stores what the backup is going to lack: who restores it sees
// that, and a run that goes on with these extras has to say so too.
func (s *System) setUnsaved(list []chain.Problem) error {
	if len(list) == 0 {
		return nil
	}
	var text strings.Builder
	for _, p := range list {
		fmt.Fprintf(&text, "%s\t%s\n", dirindex.FormatPath("/"+p.Path), strings.ReplaceAll(p.Err.Error(), "\n", " "))
	}
	return os.WriteFile(s.Extras.Path(extras.Unsaved), []byte(text.String()), 0o600)
}

// tellUnsaved reports again what an earlier run found.
func (s *System) tellUnsaved() error {
	text, err := s.Extras.Read(extras.Unsaved)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		field, why, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		path, err := dirindex.ParsePath(field)
		if err != nil {
			return fmt.Errorf("read what could not be looked at: %w", err)
		}
		s.Report.Problem(chain.Problem{Path: relative(path), Err: errors.New(why), Lost: true})
	}
	return nil
}

// Findings are what a backup is going to hold, for people.
type Findings struct {
	NewPackages []string
	Files       changes.Totals
	Dumps       []Dump
}

// packages stores the list of the packages that the installation did not have.
func (s *System) packages(f *Findings) error {
	if s.SkipPackages {
		return nil
	}
	names, err := s.newPackages()
	if errors.Is(err, fs.ErrNotExist) {
		s.Report.Note("this system has no dpkg: its packages are not part of the backup (--skip-packages says so beforehand)")
		return nil
	}
	if err != nil {
		return err
	}
	f.NewPackages = names
	return os.WriteFile(s.Extras.Path(extras.NewPackages), []byte(packages.FormatNames(names)), 0o600)
}

func (s *System) newPackages() ([]string, error) {
	known, err := os.Open(s.Profile.Paths.Packages)
	if errors.Is(err, fs.ErrNotExist) {
		return packages.Manual(s.Root)
	}
	if err != nil {
		return nil, err
	}
	defer known.Close()
	base, err := packages.ParseNames(known)
	if err != nil {
		return nil, fmt.Errorf("read profile: %w", err)
	}
	installed, err := packages.Installed(s.Root)
	return packages.New(installed, base), err
}

// UpdateProfile brings the registry the profile that suits the system, or the
// one that was asked for, unless it is there already and need not be renewed.
func UpdateProfile(ctx context.Context, r *registry.Registry, root, forced string, renew bool) (*profile.Profile, error) {
	system, err := profile.Detect(root)
	if err != nil {
		return nil, err
	}
	paths := r.Profile()
	have, err := profile.Load(paths, system)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if have != nil && !renew && fits(have.ID, forced, system) {
		return have, nil
	}
	src, err := sourceOf(forced)
	if err != nil {
		return nil, err
	}
	if err := profile.Install(ctx, paths, src); err != nil {
		return nil, err
	}
	return profile.Load(paths, system)
}

// fits reports whether a profile is the one that was asked for, perhaps by its
// codename alone.
func fits(have profile.ID, forced string, system profile.ID) bool {
	whole, ok := profile.Complete(profile.ID(forced), system)
	return forced == "" || string(have) == forced || ok && have == whole
}

// sourceOf is where a profile comes from without the Hub.
func sourceOf(forced string) (profile.Source, error) {
	if forced == "" || profile.ID(forced) == profile.Generic {
		return profile.BuiltinSource(), nil
	}
	src, ok, err := profile.LocalSource(forced)
	if err == nil && !ok {
		err = fmt.Errorf("profile %q is neither %q, %q nor a directory, and there is no Hub to ask for it", forced, profile.Generic, profile.Empty)
	}
	return src, err
}

// relative is a path as scans and sessions have it.
func relative(path string) string { return strings.TrimPrefix(path, "/") }

// within places a path of the system below its root.
func (s *System) within(path string) string { return filepath.Join(s.Root, path) }
