package backup

import (
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tklbam/chain"
	"tklbam/pkg/changes"
	"tklbam/pkg/extras"
	"tklbam/pkg/hooks"
	"tklbam/pkg/limits"
	"tklbam/pkg/profile"
	"tklbam/pkg/registry"
	"tklbam/pkg/tree"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A system is a small Debian system in a directory.
type system struct {
	root string
	t    *testing.T
}

func (s system) write(path, text string, mode os.FileMode) {
	s.t.Helper()
	path = filepath.Join(s.root, path)
	must(s.t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(s.t, os.WriteFile(path, []byte(text), mode))
	must(s.t, os.Chmod(path, mode))
}

// newSystem has one package, with three conffiles, as it was installed.
func newSystem(t *testing.T) system {
	s := system{t.TempDir(), t}
	must(t, os.Chmod(s.root, 0o755))
	s.write("etc/passwd", "root:x:0:0::/root:/bin/sh\n", 0o644)
	s.write("etc/group", "root:x:0:\n", 0o644)
	status := "Package: demo\nStatus: install ok installed\nPriority: optional\nArchitecture: all\nVersion: 1\nConffiles:\n"
	list := "/.\n/etc\n/etc/demo\n"
	for _, name := range []string{"kept", "edited", "removed", "locked"} {
		text := name + " as shipped\n"
		s.write("etc/demo/"+name, text, 0o644)
		status += fmt.Sprintf(" /etc/demo/%s %x\n", name, md5.Sum([]byte(text)))
		list += "/etc/demo/" + name + "\n"
	}
	s.write("var/lib/dpkg/status", status+"\n", 0o644)
	s.write("var/lib/dpkg/info/demo.list", list, 0o644)
	s.write("var/lib/dpkg/info/demo.md5sums", "", 0o644)
	return s
}

// silent is a report that keeps what it is told.
type silent struct{ notes, problems []string }

func (silent) Phase(string)               {}
func (silent) Total(int64, int64)         {}
func (silent) Path(string)                {}
func (silent) Add(int64, int64, int64)    {}
func (s *silent) Note(text string)        { s.notes = append(s.notes, text) }
func (s *silent) Problem(p chain.Problem) { s.problems = append(s.problems, p.Path+": "+p.Err.Error()) }

func (s system) backup(forced string, overrides ...string) (*System, *silent) {
	s.t.Helper()
	r, err := registry.Open(filepath.Join(s.t.TempDir(), "registry"))
	must(s.t, err)
	p, err := UpdateProfile(s.t.Context(), r, s.root, forced, false)
	must(s.t, err)
	list, err := limits.ParseAll(overrides)
	must(s.t, err)
	rep := new(silent)
	return &System{Root: s.root, Extras: extras.In(s.root), Profile: p, Overrides: list, Report: rep}, rep
}

// delta returns the changes, without owners, which are those of whoever runs
// the test.
func delta(t *testing.T, sys *System) []string {
	t.Helper()
	f, err := sys.Extras.Open(extras.Delta)
	must(t, err)
	defer f.Close()
	var lines []string
	for r := changes.NewReader(f, nil); ; {
		c, err := r.Next()
		if err != nil {
			return lines
		}
		lines = append(lines, string(c.Op)+" "+c.Path)
	}
}

// TestPackageBaseline: where no profile says what the installation was, the
// package manager does.
func TestPackageBaseline(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: files of others look changed")
	}
	s := newSystem(t)
	s.write("etc/demo/edited", "edited\n", 0o644)
	must(t, os.Remove(filepath.Join(s.root, "etc/demo/removed")))
	must(t, os.Chmod(filepath.Join(s.root, "etc/demo/locked"), 0o600))
	s.write("etc/demo/new", "new\n", 0o644)
	s.write("srv/data", "data\n", 0o644)
	sys, rep := s.backup("")
	found, err := sys.Prepare(t.Context())
	must(t, err)
	want := []string{"o /etc/demo/edited", "s /etc/demo/locked", "o /etc/demo/new", "d /etc/demo/removed", "o /etc/group", "o /etc/passwd", "o /srv/data"}
	if got := slices.DeleteFunc(delta(t, sys), func(l string) bool { return l == "s /srv" || l == "s /var/lib" }); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if len(rep.problems) > 0 || !slices.Equal(found.NewPackages, []string{"demo"}) {
		t.Errorf("packages %q, problems %q", found.NewPackages, rep.problems)
	}
	all := found.Files.All()
	if all.Files != 5 || all.Reason(changes.Deleted).Changes != 1 || all.Reason(changes.Metadata).Changes != 1 {
		t.Errorf("%+v", all)
	}
	sys.NoPackageBaseline = true
	_, err = sys.Prepare(t.Context())
	must(t, err)
	if got := delta(t, sys); !slices.Contains(got, "o /etc/demo/kept") || slices.Contains(got, "d /etc/demo/removed") {
		t.Errorf("without the baseline: %q", got)
	}
}

// TestNoPackages: a system without dpkg is backed up, with a word about it.
func TestNoPackages(t *testing.T) {
	s := newSystem(t)
	must(t, os.RemoveAll(filepath.Join(s.root, "var/lib/dpkg")))
	sys, rep := s.backup("empty", "/etc")
	_, err := sys.Prepare(t.Context())
	must(t, err)
	if len(rep.notes) != 1 || !strings.Contains(rep.notes[0], "dpkg") {
		t.Errorf("notes %q", rep.notes)
	}
	if _, err := sys.Extras.Open(extras.NewPackages); err == nil {
		t.Error("there is a list of packages")
	}
	if got := delta(t, sys); !slices.Contains(got, "o /etc/demo/kept") {
		t.Errorf("%q", got)
	}
	sys.SkipPackages, sys.SkipFiles = true, true
	_, err = sys.Prepare(t.Context())
	must(t, err)
	if selected, err := sys.overlay(); err != nil || len(selected) != 1 {
		t.Errorf("without files: %v, %v", selected, err)
	}
}

// TestRun: what goes into a backup, in which order, and what is left.
func TestRun(t *testing.T) {
	s := newSystem(t)
	for _, name := range []string{"a", "b", "c/d"} {
		s.write("srv/"+name, "data\n", 0o644)
	}
	for _, c := range []struct {
		name string
		err  error
		keep bool
		left bool
	}{{"done", nil, false, false}, {"kept", nil, true, true}, {"failed", errors.New("full"), false, true}} {
		sys, _ := s.backup("empty", "/srv")
		var steps []string
		r := Run{
			System: sys, Hooks: &hooks.Hooks{}, Keep: c.keep,
			Show: func(f Footprint, found *Findings) error {
				steps = append(steps, fmt.Sprintf("show %d of %d", found.Files.All().Files, f.Files))
				return nil
			},
			Store: func(_ context.Context, selected []tree.Selected) error {
				steps = append(steps, fmt.Sprint("store ", len(selected)))
				return c.err
			},
		}
		err := r.Do(t.Context())
		if !errors.Is(err, c.err) {
			t.Errorf("%s: %v", c.name, err)
		}
		if failed, ok := errors.AsType[*hooks.StepError](err); c.err != nil && (!ok || failed.Step != "store") {
			t.Errorf("%s: %#v", c.name, err)
		}
		// three files and two directories, and in the extras the delta, the list, packages, passwd, group and the configuration
		if want := []string{"show 3 of 9", "store 6"}; !slices.Equal(steps, want) {
			t.Errorf("%s: %q, want %q", c.name, steps, want)
		}
		if left, err := sys.Extras.Exists(); err != nil || left != c.left {
			t.Errorf("%s: the extras are left: %v, %v", c.name, left, err)
		}
		if ready, err := sys.Ready(); err != nil || ready != c.left {
			t.Errorf("%s: to go on with: %v, %v", c.name, ready, err)
		}
		sys.SkipDatabase = true
		if ready, err := sys.Ready(); err != nil || ready {
			t.Errorf("%s: another backup goes on with the extras: %v", c.name, err)
		}
	}
}

// TestDatabases: what could not be dumped is lost, the rest is there; and a
// run that goes on with the extras says so again.
func TestDatabases(t *testing.T) {
	s := newSystem(t)
	sys, rep := s.backup("empty", "/srv", "-mysql:x")
	sys.Dumpers = []Dumper{
		func(_ context.Context, dir extras.Dir, list limits.List) (*Dump, error) {
			if list.DB(limits.MySQL).Match("x") || !list.DB(limits.MySQL).Match("y") {
				t.Error("the overrides do not come through")
			}
			return &Dump{Server: "MySQL", Found: 2, Saved: 1, Failed: []error{errors.New("y is broken")}}, os.Mkdir(dir.Path(extras.MySQL), 0o700)
		},
		func(context.Context, extras.Dir, limits.List) (*Dump, error) { return nil, nil },
		func(context.Context, extras.Dir, limits.List) (*Dump, error) {
			return nil, errors.New("the server is down")
		},
	}
	f, err := sys.Prepare(t.Context())
	must(t, err)
	if len(f.Dumps) != 1 || f.Dumps[0].Saved != 1 {
		t.Errorf("%+v", f.Dumps)
	}
	check := func() {
		t.Helper()
		if len(rep.problems) != 2 || !strings.Contains(rep.problems[0], "y is broken") || !strings.Contains(rep.problems[1], "down") {
			t.Errorf("%q", rep.problems)
		}
		rep.problems = nil
	}
	check()
	r := Run{
		System: sys, Hooks: &hooks.Hooks{}, Resume: true,
		Show:  func(Footprint, *Findings) error { return nil },
		Store: func(context.Context, []tree.Selected) error { return nil },
	}
	must(t, r.Do(t.Context()))
	check()
	sys.SkipDatabase = true
	if _, err := sys.Prepare(t.Context()); err != nil || len(rep.problems) > 0 {
		t.Errorf("skipped: %q, %v", rep.problems, err)
	}
}

func TestForcedProfile(t *testing.T) {
	s := newSystem(t)
	r, err := registry.Open(filepath.Join(t.TempDir(), "registry"))
	must(t, err)
	for _, c := range []struct{ forced, want string }{{"", "generic"}, {"empty", "empty"}, {"", "empty"}, {"generic", "generic"}} {
		p, err := UpdateProfile(t.Context(), r, s.root, c.forced, false)
		must(t, err)
		if string(p.ID) != c.want {
			t.Errorf("forced %q: %q", c.forced, p.ID)
		}
	}
	if _, err := UpdateProfile(t.Context(), r, s.root, "core", false); err == nil || !strings.Contains(err.Error(), "core") {
		t.Errorf("a profile that only the Hub has: %v", err)
	}
	if p, err := profile.Load(r.Profile(), "x"); err != nil || p.ID != profile.Generic {
		t.Errorf("after the error: %+v, %v", p, err)
	}
}
