package packages

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tklbam/pkg/command"
)

// rooted runs the machine's dpkg on the database below a directory.
type rooted string

func (r rooted) Run(ctx context.Context, c command.Command) error {
	c.Args = slices.Insert(slices.Clone(c.Args), 1, "--root="+string(r), "--force-not-root", "--log=/dev/null")
	return command.Exec{}.Run(ctx, c)
}

// build makes a package from a control file and files, conffiles among them
// those in etc.
func build(t *testing.T, control string, files map[string]string) string {
	t.Helper()
	needs(t, "dpkg-deb")
	files["DEBIAN/control"] = "Maintainer: Nobody <nobody@localhost>\nDescription: a test\nArchitecture: all\n" + control
	conffiles, sums := "", ""
	for name, content := range files {
		link := strings.HasPrefix(content, "->")
		switch {
		case link || strings.HasSuffix(name, "/") || strings.HasPrefix(name, "DEBIAN"):
		case strings.HasPrefix(name, "etc/"):
			conffiles += "/" + name + "\n"
		default:
			sums += sumLine(content, name)
		}
	}
	files["DEBIAN/conffiles"], files["DEBIAN/md5sums"] = conffiles, sums
	dir := makeRoot(t, files)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	deb := filepath.Join(t.TempDir(), "test.deb")
	if out, err := exec.Command("dpkg-deb", "-Znone", "--root-owner-group", "--build", dir, deb).CombinedOutput(); err != nil {
		t.Fatalf("dpkg-deb: %v: %s", err, out)
	}
	return deb
}

// dpkgRoot is a directory that dpkg can install packages into, and a
// function that has it do something there.
func dpkgRoot(t *testing.T) (string, func(args ...string)) {
	t.Helper()
	needs(t, "dpkg")
	if os.Geteuid() != 0 {
		t.Skip("dpkg installs nothing for others than root")
	}
	root := makeRoot(t, map[string]string{
		"var/lib/dpkg/status": "", "var/lib/dpkg/available": "",
		"var/lib/dpkg/info/": "", "var/lib/dpkg/updates/": "", "var/lib/dpkg/triggers/": "",
		"usr/bin/": "", "bin": "->usr/bin",
	})
	return root, func(args ...string) {
		t.Helper()
		var out strings.Builder
		c := command.Command{Args: append([]string{"dpkg", "--force-confold"}, args...), Stdout: &out, Stderr: &out, Env: (&Apt{Env: os.Environ()}).environment()}
		if err := rooted(root).Run(t.Context(), c); err != nil {
			t.Fatalf("%v: %s", err, out.String())
		}
	}
}

func TestPurgeWithDpkg(t *testing.T) {
	root, dpkg := dpkgRoot(t)
	for _, control := range []string{
		"Package: lib\nVersion: 1\n",
		"Package: app\nVersion: 1\nDepends: lib, plugin\n",
		"Package: plugin\nVersion: 1\nDepends: app\n",
		"Package: base\nVersion: 1\n",
		"Package: user\nVersion: 1\nDepends: base\n",
	} {
		name := strings.Fields(control)[1]
		dpkg("--unpack", build(t, control, map[string]string{"etc/" + name: name}))
	}
	dpkg("--configure", "lib", "app", "plugin", "base") // user stays half-done
	a := &Apt{Runner: rooted(root), Root: root, Env: os.Environ()}
	left, err := a.Purge(t.Context(), []string{"lib", "app", "plugin", "base", "user"})
	if err != nil {
		t.Fatal(err)
	}
	if len(left) != 0 {
		t.Errorf("left %v", left)
	}
	if _, err := os.Stat(filepath.Join(root, "etc/app")); !os.IsNotExist(err) {
		t.Errorf("the configuration is still there: %v", err)
	}
}

func TestPurgeKeepsDependenciesWithDpkg(t *testing.T) {
	root, dpkg := dpkgRoot(t)
	for _, control := range []string{"Package: base\nVersion: 1\n", "Package: user\nVersion: 1\nDepends: base\n", "Package: other\nVersion: 1\n"} {
		dpkg("--install", build(t, control, map[string]string{"etc/" + strings.Fields(control)[1]: "x"}))
	}
	a := &Apt{Runner: rooted(root), Root: root, Env: os.Environ()}
	left, err := a.Purge(t.Context(), []string{"base", "other"})
	if err != nil {
		t.Fatal(err)
	}
	if len(left) != 1 || left[0].Name != "base" || !strings.Contains(left[0].Reason, "user depends on base") {
		t.Errorf("left %v", left)
	}
	left, err = a.Remove(t.Context(), []string{"user"})
	if err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
	if _, err := os.Stat(filepath.Join(root, "etc/user")); err != nil {
		t.Errorf("removal took the configuration: %v", err)
	}
}

// A database that dpkg itself wrote, after an upgrade with a changed
// conffile.
func TestCompareWithDpkg(t *testing.T) {
	root, dpkg := dpkgRoot(t)
	dpkg("--install", build(t, "Package: web\nVersion: 1\n", map[string]string{
		"etc/web/kept": "1", "etc/web/edited": "1", "etc/web/gone": "1", "etc/web/dropped": "1", "etc/web/new version": "1",
	}))
	write := func(name, content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(root, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("etc/web/edited", "mine")
	write("etc/web/dropped", "mine")
	write("etc/web/own", "mine")
	if err := os.Remove(filepath.Join(root, "etc/web/gone")); err != nil {
		t.Fatal(err)
	}
	dpkg("--install", build(t, "Package: web\nVersion: 2\n", map[string]string{
		"etc/web/kept": "1", "etc/web/edited": "2", "etc/web/gone": "1", "etc/web/new version": "2",
		"bin/web": "program", "var/lib/web/": "", "usr/share/web/index": "->/etc/web/kept",
	}))
	b, err := LoadBaseline(root, everything)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]Answer{
		"etc/web": Shipped, "etc/web/kept": Shipped, "etc/web/new version": Shipped,
		"etc/web/edited": Changed, "etc/web/dropped": Changed, "etc/web/own": Foreign,
		"etc/web/edited.dpkg-dist": Generated,
		"usr/bin/web":              Shipped, "var/lib/web": Shipped, "usr/share/web/index": Changed,
	} {
		if got := compareAt(t, b, root, path); got != want {
			t.Errorf("%s: got %v, want %v", path, got, want)
		}
	}
	gone, err := b.Deleted()
	if err != nil || !slices.Equal(gone, []string{"etc/web/gone"}) {
		t.Errorf("deleted %q, %v", gone, err)
	}
}
