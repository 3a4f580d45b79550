package packages

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tklbam/pkg/command"
)

// needs skips the test without a program.
func needs(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed", program)
	}
	t.Skipf("%s is not installed", program)
}

// output returns what a program of the machine prints. The status is left
// aside: dpkg --verify has one when it finds something.
func output(t *testing.T, args ...string) string {
	t.Helper()
	needs(t, args[0])
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	out, err := cmd.Output()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		t.Fatal(err)
	}
	return string(out)
}

// lines cuts text into lines, sorted and each once.
func lines(text string) []string {
	all := strings.Fields(text)
	slices.Sort(all)
	return slices.Compact(all)
}

// makeRoot makes a tree of files: a value that starts with "->" is the target
// of a symlink, a name that ends with "/" is a directory.
func makeRoot(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		place := filepath.Join(root, name)
		err := os.MkdirAll(filepath.Dir(place), 0o755)
		switch target, isLink := strings.CutPrefix(content, "->"); {
		case err != nil:
		case strings.HasSuffix(name, "/"):
			err = os.MkdirAll(place, 0o755)
		case isLink:
			err = os.Symlink(target, place)
		default:
			err = os.WriteFile(place, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

const twoArchitectures = `Package: dpkg
Essential: yes
Status: install ok installed
Priority: required
Architecture: amd64

Package: zlib1g
Status: install ok installed
Priority: optional
Architecture: i386
Multi-Arch: same

Package: zlib1g
Status: install ok triggers-pending
Priority: optional
Architecture: amd64
Multi-Arch: same

Package: apache2
Status: install ok installed
Priority: optional
Architecture: amd64

Package: gone
Status: deinstall ok config-files
Priority: optional
Architecture: amd64

Package: held
Status: hold ok installed
Priority: optional
Architecture: all

Package: init
Essential: yes
Status: install ok installed
Priority: optional
Architecture: amd64

Package: wine32
Status: install ok installed
Priority: optional
Architecture: i386

Package: broken
Status: install ok half-configured
Architecture: amd64
`

func TestInstalled(t *testing.T) {
	root := makeRoot(t, map[string]string{"var/lib/dpkg/status": twoArchitectures})
	got, err := Installed(root)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"apache2", "dpkg", "held", "init", "wine32", "zlib1g"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	got, err = Manual(root)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"apache2", "held", "wine32:i386", "zlib1g", "zlib1g:i386"}; !slices.Equal(got, want) {
		t.Errorf("manual without states of apt: got %q, want %q", got, want)
	}
}

func TestManual(t *testing.T) {
	root := makeRoot(t, map[string]string{
		"var/lib/dpkg/status": twoArchitectures,
		"var/lib/apt/extended_states": "Package: held\nArchitecture: amd64\nAuto-Installed: 1\n\n" +
			"Package: zlib1g\nArchitecture: i386\nAuto-Installed: 1\n\n" +
			"Package: apache2\nArchitecture: amd64\nAuto-Installed: 0\n",
	})
	got, err := Manual(root)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"apache2", "wine32:i386", "zlib1g"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// What dpkg had not yet written into its status file when it was killed is in
// its journal.
func TestJournal(t *testing.T) {
	root := makeRoot(t, map[string]string{
		"var/lib/dpkg/status":        twoArchitectures,
		"var/lib/dpkg/updates/0001":  "Package: gone\nStatus: install ok installed\nArchitecture: amd64\n",
		"var/lib/dpkg/updates/0002":  "Package: gone\nStatus: install ok half-configured\nArchitecture: amd64\n",
		"var/lib/dpkg/updates/0003":  "Package: apache2\nStatus: deinstall ok config-files\nArchitecture: amd64\n",
		"var/lib/dpkg/updates/0004":  "Package: fresh\nStatus: install ok installed\nArchitecture: amd64\n",
		"var/lib/dpkg/updates/tmp.i": "#padding\n",
	})
	got, err := Installed(root)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"dpkg", "fresh", "held", "init", "wine32", "zlib1g"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestInstalledAsDpkgQuery(t *testing.T) {
	want := output(t, "dpkg-query", "-W", "-f", "${db:Status-Status} ${Package}\n")
	var names []string
	for line := range strings.Lines(want) {
		status, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		if status == "installed" || strings.HasPrefix(status, "triggers-") {
			names = append(names, name)
		}
	}
	got, err := Installed("/")
	if err != nil {
		t.Fatal(err)
	}
	if want := lines(strings.Join(names, " ")); !slices.Equal(got, want) {
		t.Errorf("%d packages, dpkg-query has %d; only here %q, only there %q",
			len(got), len(want), New(got, want), New(want, got))
	}
}

// dpkg-query prints conffiles with their sums and flags in the order of the
// status file.
func TestStatusAsDpkgQuery(t *testing.T) {
	want := output(t, "dpkg-query", "-W", "-f", "${Package} ${Architecture} ${Version} ${Priority} ${Essential} ${db:Status-Status}\n${Conffiles}\n")
	all, err := Read("/")
	if err != nil {
		t.Fatal(err)
	}
	theirs := map[string]int{}
	for line := range strings.Lines(want) {
		if line = strings.Join(strings.Fields(line), " "); line != "" {
			theirs[line]++
		}
	}
	for _, p := range all {
		essential := "no"
		if p.Essential {
			essential = "yes"
		}
		theirs[strings.Join([]string{p.Name, p.Architecture, p.Version, p.Priority, essential, string(p.State)}, " ")]--
		for _, c := range p.Conffiles {
			theirs[conffileLine(c)]--
		}
	}
	for line, n := range theirs {
		if n > 0 || n < 0 && !strings.HasSuffix(line, "not-installed") {
			t.Errorf("%+d of %q", n, line)
		}
	}
}

func TestManualAsAptMark(t *testing.T) {
	manual := lines(output(t, "apt-mark", "showmanual"))
	all, err := Read("/")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	part := base(all)
	if !part["libc6"] || !part["dpkg"] {
		t.Errorf("libc6 and dpkg are no part of every installation")
	}
	for i := range all {
		if p := &all[i]; p.Installed() && !part[p.Name] && slices.Contains(manual, p.qualified(native(all))) {
			want = append(want, p.qualified(native(all)))
		}
	}
	slices.Sort(want)
	got, err := Manual("/")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, want) {
		t.Errorf("only here %q, only there %q", New(got, want), New(want, got))
	}
	if len(got) == 0 || len(got) >= len(manual) {
		t.Errorf("%d of %d manual packages were asked for", len(got), len(manual))
	}
}

func TestDependencies(t *testing.T) {
	got := dependencies("libc6 (>= 2.36), debconf (>= 0.5) | debconf-2.0, python3:any (>= 3.5~), perl-base, ")
	if want := []string{"libc6", "debconf", "debconf-2.0", "python3", "perl-base"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestNew(t *testing.T) {
	got := New([]string{"c", "a", "b", "a"}, []string{"b", "x"})
	if want := []string{"a", "c"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestNames(t *testing.T) {
	got, err := ParseNames(strings.NewReader("# comment\nfoofoobar  \n\ndpkg # here\nbase-files"))
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"foofoobar", "dpkg", "base-files"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if text := FormatNames(got); text != "foofoobar\ndpkg\nbase-files\n" {
		t.Errorf("formatted as %q", text)
	}
	if FormatNames(nil) != "" {
		t.Error("an empty list has text")
	}
}

func TestNoDpkg(t *testing.T) {
	root := t.TempDir()
	apt := &Apt{Runner: command.Exec{}, Root: root}
	everything := func(string) bool { return true }
	for name, err := range map[string]error{
		"Installed":    second(Installed(root)),
		"Manual":       second(Manual(root)),
		"Present":      second(Present(root)),
		"LoadBaseline": second(LoadBaseline(root, everything)),
		"Sources":      second(Sources(root)),
		"Install":      second(apt.Install(t.Context(), []string{"a"})),
		"Purge":        second(apt.Purge(t.Context(), []string{"a"})),
	} {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: got %v, want fs.ErrNotExist", name, err)
		}
	}
	t.Setenv("PATH", root)
	for name, err := range map[string]error{
		"Update":    apt.Update(t.Context()),
		"Available": second(apt.Available(t.Context(), []string{"a"})),
		"Resolve":   second(apt.Resolve(t.Context(), []string{"a"})),
	} {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: got %v, want fs.ErrNotExist", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }
