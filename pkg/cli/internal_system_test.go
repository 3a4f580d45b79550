package cli

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tklbam/pkg/packages"
)

func TestRegtestNewpkgs(t *testing.T) {
	if got, want := internal(t, "newpkgs", "testdata/base-packages", "testdata/old-packages"), readText(t, "testdata/18-newpkgs"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestNewpkgs(t *testing.T) {
	needs(t, "dpkg")
	t.Chdir(t.TempDir())
	installed, err := packages.Installed(systemRoot)
	must(t, err)
	i := slices.Index(installed, "dpkg")
	if i < 0 {
		t.Fatal("dpkg is not installed")
	}
	writeText(t, "packages", packages.FormatNames(slices.Delete(installed, i, i+1)))
	if got := internal(t, "newpkgs", "packages"); got != "dpkg\n" {
		t.Errorf("got %q", got)
	}
	if got := call(t, "a\nb\n", "tklbam-internal", "newpkgs", "/dev/null", "-"); got != (outcome{0, "a\nb\n", ""}) {
		t.Errorf("from standard input: %+v", got)
	}
}

// fakeApt puts an apt in PATH that knows the names, and whose apt-get prints
// its last arguments and fails.
func fakeApt(t *testing.T, names ...string) {
	t.Helper()
	needs(t, "dpkg")
	bin := t.TempDir()
	script := "#!/bin/sh\n"
	for _, name := range names {
		script += "printf '" + name + ":\\n  Installed: (none)\\n  Candidate: 1.0\\n'\n"
	}
	must(t, os.WriteFile(filepath.Join(bin, "apt-cache"), []byte(script), 0o755))
	script = "#!/bin/sh\nwhile [ \"$1\" != -- ]; do shift; done\nshift\necho \"getting $*\"\nexit 100\n"
	must(t, os.WriteFile(filepath.Join(bin, "apt-get"), []byte(script), 0o755))
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
}

func TestRegtestNewpkgsInstall(t *testing.T) {
	fakeApt(t, "aspell-fa", "aspell-hy", "dpkg")
	want := readText(t, "testdata/19-newpkgs-install")
	for _, args := range [][]string{{"-s", "-i", "testdata/newpkgs_install"}, {"--input=testdata/newpkgs_install", "--simulate", "--verbose"}} {
		if got := internal(t, append([]string{"newpkgs-install"}, args...)...); got != want {
			t.Errorf("%q: got\n%s\nwant\n%s", args, got, want)
		}
	}
}

func TestNewpkgsInstall(t *testing.T) {
	fakeApt(t, "no-such-tool", "linux-no-such-image")
	for _, c := range []struct {
		line, stdin string
		code        int
		stdout, err string
	}{
		{"-s linux-no-such-image dpkg", "", 0, "apt-get install --assume-yes linux-no-such-image\n", ""}, // no blacklist
		{"-s -i - b", "a # c\n\n", 0, "# SKIPPING: a b\n", ""},
		{"dpkg -v", "", 0, "", ""},
		{"-i -", "", 0, "", ""},
		{"a dpkg -v", "", exitFailure, "# SKIPPING: a\n", "no installable packages: apt does not know a\n"},
		{"no-such-tool a", "", exitIncomplete, "getting no-such-tool\n", "no-such-tool was not installed"},
		{"-v no-such-tool", "", exitIncomplete, "apt-get install --assume-yes no-such-tool\ngetting no-such-tool\n", "1 package could not be installed"},
	} {
		out := call(t, c.stdin, append([]string{"tklbam-internal", "newpkgs-install"}, strings.Fields(c.line)...)...)
		if out.code != c.code || out.stdout != c.stdout || !strings.Contains(out.stderr, c.err) || (c.code == 0) != (out.stderr == "") {
			t.Errorf("%q: %+v", c.line, out)
		}
	}
}

func TestDetectProfileID(t *testing.T) {
	t.Chdir(t.TempDir())
	if got := internal(t, "detect-profile-id", "."); got != "generic\n" {
		t.Errorf("nothing is %q", got)
	}
	must(t, os.Mkdir("etc", 0o755))
	writeText(t, "etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n")
	if got := internal(t, "detect-profile-id", "."); got != "debian-12\n" {
		t.Errorf("Debian is %q", got)
	}
	writeText(t, "etc/turnkey_version", "turnkey-core-18.0-bookworm-amd64\n")
	if got := internal(t, "detect-profile-id", "."); got != "turnkey-core-18.0-bookworm-amd64\n" {
		t.Errorf("an appliance is %q", got)
	}
	if got := internal(t, "detect-profile-id"); got == "\n" {
		t.Errorf("this system is %q", got)
	}
}

const profileReport = `Custom profile written to profile/
==================================

# List of backup includes and exclude paths
profile/dirindex.conf

# Index of file timestamps, ownerships and permissions for paths in dirindex.conf
profile/dirindex

# List of currently installed packages
profile/packages
`

// makeChroot makes the least that a profile can be made of.
func makeChroot(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
	must(t, os.MkdirAll("chroot/etc/.git", 0o755))
	must(t, os.MkdirAll("chroot/var/lib/dpkg", 0o755))
	writeText(t, "chroot/etc/hosts", "")
	writeText(t, "chroot/var/lib/dpkg/status", "Package: b\nStatus: install ok installed\n\nPackage: c\nStatus: deinstall ok config-files\n\nPackage: a\nStatus: install ok installed\n")
}

func TestCreateProfile(t *testing.T) {
	makeChroot(t)
	create := func(args ...string) outcome {
		return call(t, "/etc -/etc/.git # comment\n/none\n", append([]string{"tklbam-internal", "create-profile", "--root=chroot"}, args...)...)
	}
	if out := create("--", "profile/", "-"); out != (outcome{0, profileReport, ""}) {
		t.Errorf("%+v", out)
	}
	for name, want := range map[string]string{"dirindex.conf": "/etc\n-/etc/.git\n/none\n", "packages": "a\nb\n"} {
		if got := readText(t, "profile/"+name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	index := readText(t, "profile/dirindex")
	if got := paths(t, index); got != "/etc /etc/hosts" {
		t.Errorf("dirindex: %s", got)
	}
	if got := internal(t, "dirindex", "--root=chroot", "profile/dirindex", "-i", "profile/dirindex.conf"); got != "" {
		t.Errorf("changes since: %s", got)
	}
	if out := create("profile", "-"); out.code != exitFailure || out.stdout != "" || !strings.Contains(out.stderr, "--force") {
		t.Errorf("over another profile: %+v", out)
	}
	must(t, os.Remove("chroot/etc/hosts"))
	if out := create("profile/", "-", "-f"); out != (outcome{0, profileReport, ""}) {
		t.Errorf("with --force: %+v", out)
	}
	if got := paths(t, readText(t, "profile/dirindex")); got != "/etc" {
		t.Errorf("dirindex made again: %s", got)
	}
}

func TestCreateProfileParts(t *testing.T) {
	makeChroot(t)
	writeText(t, "conf", "")
	text := profileReport[:strings.Index(profileReport, "\n# Index")]
	if got := internal(t, "create-profile", "profile/", "conf", "--no-packages", "--no-dirindex"); got != text {
		t.Errorf("got %s", got)
	}
	names, err := os.ReadDir("profile")
	must(t, err)
	if len(names) != 1 || readText(t, "profile/dirindex.conf") != "" {
		t.Errorf("there are %v", names)
	}
	must(t, os.RemoveAll("chroot/var"))
	out := call(t, "", "tklbam-internal", "create-profile", "--root=chroot", "other", "conf")
	if out.code != exitFailure || !strings.Contains(out.stderr, "--no-packages") {
		t.Errorf("without dpkg: %+v", out)
	}
}

// A profile can lie in what it is about: it is no part of the installation.
func TestCreateProfileOfItself(t *testing.T) {
	makeChroot(t)
	out := call(t, "/etc", "tklbam-internal", "create-profile", "--root=chroot", "chroot/etc/profile", "-")
	if out.code != 0 || out.stderr != "" {
		t.Fatalf("%+v", out)
	}
	if got := paths(t, readText(t, "chroot/etc/profile/dirindex")); got != "/etc /etc/.git /etc/hosts" {
		t.Errorf("dirindex: %s", got)
	}
}
