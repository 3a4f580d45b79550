package packages

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tklbam/pkg/command"
)

// fakeApt is a script that stands for apt-get and dpkg on a machine that is
// a directory. It writes down how it was called. A package called "bad" and
// more fails to resolve, one called "broken" and more stays half-configured;
// "fetch" and more can only be fetched alone. "lib" comes with every package
// and is needed by "app", "exim" goes when "postfix" comes.
const fakeApt = `#!/bin/sh
printf '%s' "${0##*/}" >>"$STATE/calls"
printf ' %s' "$@" >>"$STATE/calls"
echo >>"$STATE/calls"
env >"$STATE/env"
if read -r line; then echo "standard input was not empty" >&2; exit 1; fi
if (: </dev/tty) 2>/dev/null; then echo "there is a terminal" >&2; exit 1; fi

status=$STATE/var/lib/dpkg/status
present() { grep -qx "Package: $1" "$status"; }
put() { printf 'Package: %s\nStatus: install ok %s\nArchitecture: amd64\n\n' "$1" "$2" >>"$status"; }
drop() {
	awk -v p="Package: $1" 'BEGIN { RS = ""; ORS = "\n\n" } index($0, p "\n") != 1' "$status" >"$status.new"
	mv "$status.new" "$status"
}

names() {
	found=
	for arg; do
		case $found$arg in
		--) found=yes ;;
		yes*) echo "$arg" ;;
		esac
	done
}

case ${0##*/} in
dpkg)
	code=0
	for name; do
		case $name in
		-*) ;;
		lib) case " $* " in
			*" app "*) drop lib ;;
			*) echo "dpkg: error processing package lib (--purge): app depends on it" >&2; code=1 ;;
			esac ;;
		*) drop "$name" ;;
		esac
	done
	exit $code ;;
esac

[ -e "$STATE/hopeless" ] && { echo "E: dpkg was interrupted" >&2; exit 100; }
list=$(names "$@")
count=$(echo "$list" | wc -l)
for name in $list; do
	case $name in
	bad*) echo " $name : Depends: nothing but it is not installable"; echo "E: Unable to locate package $name" >&2; exit 100 ;;
	esac
done
for name in lib $list; do
	case " $* " in
	*" --simulate "*) present "$name" || echo "Inst $name (1 fake)" ;;
	*" install "*)
		case $name$count in
		fetch*[!1]|fetch*1[0-9]) echo "E: Failed to fetch $name" >&2; exit 100 ;;
		broken*) present "$name" || put "$name" half-configured; code=100; echo "E: Sub-process failed" >&2 ;;
		*) present "$name" || put "$name" installed ;;
		esac
		[ "$name" = postfix ] && drop exim ;;
	esac
done
exit ${code:-0}
`

// fake returns an Apt that runs the script on a machine with the given
// packages.
func fake(t *testing.T, installed ...string) *Apt {
	t.Helper()
	needs(t, "awk")
	status := "Package: dpkg\nStatus: install ok installed\nArchitecture: amd64\n\n"
	for _, name := range installed {
		status += "Package: " + name + "\nStatus: install ok installed\nArchitecture: amd64\n\n"
	}
	root := makeRoot(t, map[string]string{"var/lib/dpkg/status": status, "bin/apt-get": fakeApt, "calls": ""})
	bin := filepath.Join(root, "bin")
	if err := os.Chmod(filepath.Join(bin, "apt-get"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("apt-get", filepath.Join(bin, "dpkg")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	return &Apt{Runner: command.Exec{}, Root: root, Env: append(os.Environ(), "STATE="+root)}
}

func readState(t *testing.T, a *Apt, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(a.Root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestInstall(t *testing.T) {
	a := fake(t, "exim")
	var out bytes.Buffer
	a.Output = &out
	if err := a.Update(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, err := a.Install(t.Context(), []string{"postfix", "web"})
	if err != nil {
		t.Fatal(err)
	}
	if want := (Result{Installed: []string{"lib", "postfix", "web"}, Removed: []string{"exim"}}); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	const options = " --assume-yes --quiet -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confdef" +
		" -o Dpkg::Options::=--force-confold -o Dpkg::Use-Pty=0 -o Acquire::Retries=2"
	if want := "apt-get update" + options + "\napt-get install" + options + " -- postfix web\n"; readState(t, a, "calls") != want {
		t.Errorf("ran %s, want %s", readState(t, a, "calls"), want)
	}
	env := strings.Split(readState(t, a, "env"), "\n")
	for _, v := range questions {
		if !slices.Contains(env, v) {
			t.Errorf("%s is not in the environment", v)
		}
	}
	if !slices.Contains(env, "STATE="+a.Root) || !slices.Contains(env, "PATH="+os.Getenv("PATH")+":"+systemPath) {
		t.Errorf("the environment is %q", env)
	}
}

func TestResolve(t *testing.T) {
	a := fake(t)
	names := []string{"a", "bad1", "b", "c", "d", "bad2", "e"}
	got, err := a.Resolve(t.Context(), names)
	if err != nil {
		t.Fatal(err)
	}
	good := []string{"a", "b", "c", "d", "e"}
	if !slices.Equal(got.Names, good) || !slices.Equal(got.Install, append(slices.Clone(good), "lib")) {
		t.Errorf("got %+v", got)
	}
	if len(got.Failed) != 2 || got.Failed[0].Name != "bad1" || got.Failed[1].Name != "bad2" ||
		!strings.Contains(got.Failed[0].Reason, "bad1 : Depends: nothing but it is not installable; E: Unable to locate package bad1") {
		t.Errorf("failed %+v", got.Failed)
	}
	if names[1] != "bad1" || strings.Contains(readState(t, a, "var/lib/dpkg/status"), "Package: a\n") {
		t.Error("something was changed")
	}
}

// A bad package does not keep the others away, whatever is bad about it and
// wherever it stands.
func TestInstallWithBadPackages(t *testing.T) {
	for _, bad := range []string{"bad", "broken", "fetch"} {
		for place := range 5 {
			a := fake(t)
			names := slices.Insert([]string{"a", "b", "c", "d"}, place, bad)
			got, err := a.Install(t.Context(), names)
			if err != nil {
				t.Fatal(err)
			}
			installed, failed := []string{"a", "b", "c", "d", "lib"}, []string{bad}
			switch bad {
			case "fetch":
				failed = nil
				fallthrough
			case "broken":
				installed = []string{"a", "b", bad, "c", "d", "lib"}
				slices.Sort(installed)
			}
			var names2 []string
			for _, f := range got.Failed {
				names2 = append(names2, f.Name)
				if !strings.Contains(f.Reason, "E: ") {
					t.Errorf("%s: the reason is %q", bad, f.Reason)
				}
			}
			if !slices.Equal(got.Installed, installed) || !slices.Equal(names2, failed) {
				t.Errorf("%s at %d: got %+v", bad, place, got)
			}
		}
	}
}

// When nothing works, it is not tried with every package.
func TestInstallGivesUp(t *testing.T) {
	a := fake(t)
	if err := os.WriteFile(filepath.Join(a.Root, "hopeless"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	var names []string
	for i := range 64 {
		names = append(names, "p"+strconv.Itoa(i))
	}
	got, err := a.Install(t.Context(), names)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Failed) != len(names) || len(got.Installed) > 0 {
		t.Errorf("got %+v", got)
	}
	if calls := strings.Count(readState(t, a, "calls"), "\n"); calls > 15 {
		t.Errorf("it took %d calls to give up", calls)
	}
	if _, err := a.Resolve(t.Context(), names); err == nil || !strings.Contains(err.Error(), "dpkg was interrupted") {
		t.Errorf("resolving gave %v", err)
	}
	if calls := strings.Count(readState(t, a, "calls"), "--simulate"); calls != 2 {
		t.Errorf("resolving took %d calls", calls)
	}
}

// A runner that ends the context in the middle.
type canceling struct {
	cancel context.CancelFunc
}

func (c canceling) Run(ctx context.Context, cmd command.Command) error {
	err := command.Exec{}.Run(ctx, cmd)
	c.cancel()
	return errors.Join(err, ctx.Err())
}

func TestInstallCanceled(t *testing.T) {
	a := fake(t)
	ctx, cancel := context.WithCancel(t.Context())
	a.Runner = canceling{cancel}
	got, err := a.Install(ctx, []string{"a", "broken", "c"})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if want := []string{"a", "broken", "c", "lib"}; !slices.Equal(got.Installed, want) {
		t.Errorf("got %+v, want %q to be known as installed", got, want)
	}
}

func TestPurge(t *testing.T) {
	a := fake(t, "app", "web", "lib", "other")
	left, err := a.Purge(t.Context(), []string{"web", "lib", "app", "never"})
	if err != nil || len(left) > 0 {
		t.Errorf("got %v, %v", left, err)
	}
	if want := "dpkg --purge --force-remove-reinstreq --abort-after=4 app lib web\n"; readState(t, a, "calls") != want {
		t.Errorf("ran %s, want %s", readState(t, a, "calls"), want)
	}
	names, err := Installed(a.Root)
	if err != nil || !slices.Equal(names, []string{"dpkg", "other"}) {
		t.Errorf("left %q, %v", names, err)
	}
	if left, err := a.Purge(t.Context(), []string{"web"}); err != nil || len(left) > 0 {
		t.Errorf("again: got %v, %v", left, err)
	}
}

func TestPurgeLeavesWhatIsNeeded(t *testing.T) {
	a := fake(t, "app", "web", "lib")
	left, err := a.Purge(t.Context(), []string{"lib", "web"})
	if err != nil {
		t.Fatal(err)
	}
	if len(left) != 1 || left[0].Name != "lib" || !strings.Contains(left[0].Reason, "app depends on it") {
		t.Errorf("got %v", left)
	}
}

func TestFind(t *testing.T) {
	a := &Apt{Root: makeRoot(t, map[string]string{"var/lib/dpkg/status": twoArchitectures})}
	for _, c := range []struct{ names, present, files []string }{
		{[]string{"zlib1g"}, []string{"zlib1g:amd64"}, []string{"zlib1g:amd64"}},
		{[]string{"zlib1g:i386"}, []string{"zlib1g:i386"}, []string{"zlib1g:i386"}},
		{[]string{"wine32"}, []string{"wine32"}, []string{"wine32"}},
		{[]string{"wine32:i386", "gone", "none"}, []string{"gone", "wine32"}, []string{"wine32"}},
	} {
		present, err := a.find(c.names, (*Package).Present)
		if err != nil || !slices.Equal(present, c.present) {
			t.Errorf("%q: got %q, %v, want %q", c.names, present, err, c.present)
		}
		files, err := a.find(c.names, func(p *Package) bool { return !leftover(*p) })
		if err != nil || !slices.Equal(files, c.files) {
			t.Errorf("%q: got %q, %v, want %q", c.names, files, err, c.files)
		}
	}
}

func TestCompareStates(t *testing.T) {
	states := func(text string) map[string]Package {
		m := map[string]Package{}
		for _, word := range strings.Fields(text) {
			name, state, _ := strings.Cut(word, "=")
			m[name] = Package{Name: name, State: State(state)}
		}
		return m
	}
	got := compare(
		states("same=installed gone=installed purged=installed back=config-files rest=config-files"),
		states("same=installed gone=config-files back=installed rest=config-files new=half-installed"))
	want := Result{Installed: []string{"back", "new"}, Returned: []string{"back"}, Removed: []string{"gone", "purged"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestParseSimulation(t *testing.T) {
	got := parseSimulation("Reading package lists...\n  Inst indented\nRemv exim4 [4.96]\n" +
		"Inst zsh (5.9 Debian:12.0/stable [amd64])\nInst libc6 [2.36-9] (2.36-10 Debian [amd64]) []\nInst wine32:i386 (8 Debian [i386])\nConf zsh (5.9)\n")
	want := Resolution{Install: []string{"wine32:i386", "zsh"}, Upgrade: []string{"libc6"}, Remove: []string{"exim4"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestComplaints(t *testing.T) {
	var c complaints
	for i := range 9 {
		fmt.Fprintf(&c, "noise\nE: %d", i)
		fmt.Fprintf(&c, "%s\n", strings.Repeat("x", 2*maxComplaint))
	}
	fmt.Fprint(&c, "more noise\ndpkg: error at the end")
	parts := strings.Split(c.String(), "; ")
	if len(parts) != maxComplaints || parts[0][:4] != "E: 5" || len(parts[0]) != maxComplaint || parts[4] != "dpkg: error at the end" {
		t.Errorf("got %q", parts)
	}
	var dpkg complaints
	fmt.Fprint(&dpkg, "dpkg: dependency problems prevent removal of base:\n user depends on base.\n\ndpkg: error processing package base (--purge):\n dependency problems - not removing\nnoise\n")
	if got := dpkg.String(); got != "dpkg: dependency problems prevent removal of base: user depends on base.; "+
		"dpkg: error processing package base (--purge): dependency problems - not removing" {
		t.Errorf("of dpkg: got %q", got)
	}
	var other complaints
	fmt.Fprint(&other, "noise\nthe reason\n\n")
	if got := other.String(); got != "the reason" {
		t.Errorf("without a complaint: got %q", got)
	}
}

// batches counts what apt-cache is asked for, and answers everything.
type batches struct {
	calls, longest int
}

func (b *batches) Run(_ context.Context, c command.Command) error {
	b.calls++
	b.longest = max(b.longest, len(strings.Join(c.Args, " ")))
	for _, name := range c.Args[3:] {
		if _, err := fmt.Fprintf(c.Stdout, "%s:\n  Installed: (none)\n  Candidate: 1\n", name); err != nil {
			return err
		}
	}
	return nil
}

func TestAvailableInBatches(t *testing.T) {
	var names []string
	for i := range 20000 {
		names = append(names, "package-"+strconv.Itoa(i))
	}
	names = append(names, "--option")
	var b batches
	got, err := (&Apt{Runner: &b}).Available(t.Context(), names)
	if err != nil || len(got) != 20000 {
		t.Errorf("%d available, %v", len(got), err)
	}
	if b.calls < 2 || b.calls > 10 || b.longest > maxArgs+100 {
		t.Errorf("%d calls, the longest with %d bytes", b.calls, b.longest)
	}
}

// The machine's own apt, without changing anything.
func TestRealApt(t *testing.T) {
	needs(t, "apt-get")
	needs(t, "apt-cache")
	a := &Apt{Runner: command.Exec{}, Root: "/", Env: os.Environ()}
	available, err := a.Available(t.Context(), []string{"dpkg", "no-such-package-anywhere", "mail-transport-agent"})
	if err != nil {
		t.Fatal(err)
	}
	if want := set([]string{"dpkg"}); !reflect.DeepEqual(available, want) {
		t.Errorf("available are %v", available)
	}
	candidates, err := a.Available(t.Context(), []string{"hello", "sl", "cowsay", "figlet"})
	if err != nil {
		t.Fatal(err)
	}
	present, err := Present("/")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"no-such-package-anywhere"}
	for name := range candidates {
		if !present[name] && len(want) == 1 {
			want = append(want, name)
		}
	}
	r, err := a.Resolve(t.Context(), want)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Failed) != 1 || r.Failed[0].Name != want[0] || len(r.Names) != len(want)-1 || len(r.Install) < len(r.Names) {
		t.Errorf("resolving %q gave %+v", want, r)
	}
	if r.Failed != nil && !strings.Contains(r.Failed[0].Reason, "Unable to locate package") {
		t.Errorf("the reason is %q", r.Failed[0].Reason)
	}
}
