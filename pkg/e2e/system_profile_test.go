package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// listed is what a simulation says would go into the backup: the paths whose
// content does, and the lines of the changes.
func (m *machine) listed(args ...string) (overlay, delta map[string]bool) {
	m.t.Helper()
	r := m.quiet(append([]string{"tklbam-backup", "--simulate"}, args...)...)
	says(m.t, r, 0, "CREATING /TKLBAM", "FULL UNCOMPRESSED FOOTPRINT: ")
	return m.lines("/TKLBAM/fsdelta-olist"), m.lines("/TKLBAM/fsdelta")
}

// has checks which paths are in a list.
func has(t testing.TB, list map[string]bool, want bool, paths ...string) {
	t.Helper()
	for _, p := range paths {
		if list[p] != want {
			t.Errorf("%s is listed: %v", p, list[p])
		}
	}
}

// TestOverrides: overrides come from the file and from the command line, with
// globs.
func TestOverrides(t *testing.T) {
	m, _ := newLone(t)
	m.shell(`
mkdir -p /var/www/{one,two}/logs /mnt/images "/srv/with space"
touch /var/www/{one,two}/{index,logs/today} /mnt/images/{a,b} "/srv/with space/file" /srv/other
`)
	m.write("/etc/tklbam/overrides", "# no logs\n-/var/www/*/logs\n/mnt/images   # these too\n-/srv/with space\n")
	list, _ := m.listed()
	has(t, list, true, "/var/www/one/index", "/mnt/images/a", "/srv/other")
	has(t, list, false, "/var/www/one/logs/today", "/var/www/two/logs/today", "/srv/with space/file")

	list, _ = m.listed("--", "-/mnt/images/b", "/var/www/two/logs", "-/srv")
	has(t, list, true, "/var/www/two/logs/today", "/mnt/images/a")
	has(t, list, false, "/var/www/one/logs/today", "/mnt/images/b", "/srv/other")
}

// TestSideBySide: registries and configurations beside the usual ones make
// for backups of their own.
func TestSideBySide(t *testing.T) {
	m, disk := newLone(t)
	m.shell(`
mkdir /srv/big /etc/tklbam && echo big > /srv/big/file
cp -a /etc/tklbam /etc/tklbam.light
echo -/srv/big >> /etc/tklbam.light/overrides
tklbam-backup ` + toDisk + `
export TKLBAM_CONF=/etc/tklbam.light TKLBAM_REGISTRY=/var/lib/tklbam.light
tklbam-init --solo
tklbam-backup ` + toDisk + `-light
tklbam-restore ` + toDisk + `-light --raw-download=/mnt/otherdisk/light
`)
	if m.read("/var/lib/tklbam/secret") == m.read("/var/lib/tklbam.light/secret") {
		t.Error("both have the same secret")
	}
	m.fails(11, nil, "tklbam-restore", toDisk+"-light", "--raw-download=/mnt/otherdisk/wrong")
	m.quiet("tklbam-restore", toDisk, "--raw-download=/mnt/otherdisk/heavy")
	for name, want := range map[string]bool{"heavy": true, "light": false} {
		if _, err := os.Stat(filepath.Join(disk, name, "srv/big/file")); (err == nil) != want {
			t.Errorf("%s has the big file: %v", name, err)
		}
	}
	for _, dir := range []string{"/var/lib/tklbam", "/var/lib/tklbam.light"} {
		if info, err := os.Stat(m.path(dir)); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v", dir, info.Mode(), err)
		}
	}
}

// TestEmptyProfile: with the empty profile overrides say all.
func TestEmptyProfile(t *testing.T) {
	m, _ := newLone(t)
	m.write("/srv/data", "data\n")
	m.write("/etc/new", "new\n")
	list, delta := m.listed("--force-profile=empty", "--skip-packages", "--skip-database", "--", "/srv")
	if len(list) != 1 || !list["/srv/data"] {
		t.Errorf("listed: %v", list)
	}
	for line := range delta {
		if path := strings.Split(line, "\t")[1]; path != "/srv" && !strings.HasPrefix(path, "/srv/") {
			t.Errorf("a change elsewhere: %q", line)
		}
	}
	m.lacks("/TKLBAM/newpkgs")
	m.fails(1, []string{"nonsense"}, "tklbam-backup", "--simulate", "--force-profile=nonsense")
}

// TestOwnProfile: a profile that was made on the installed system knows it
// from what came later.
func TestOwnProfile(t *testing.T) {
	m, _ := newLone(t)
	m.write("/etc/before", "before\n")
	m.write("/srv/before", "before\n")
	m.write("/root/conf", "/etc\n/srv\n-/srv/cache\n")
	m.shell("tklbam-internal create-profile /root/profile /root/conf")
	for _, name := range []string{"dirindex", "dirindex.conf", "packages"} {
		if m.read("/root/profile/"+name) == "" {
			t.Errorf("%s is empty", name)
		}
	}
	m.shell(`
echo after > /etc/after
echo after >> /srv/before
mkdir /srv/cache && touch /srv/cache/x
rm /etc/before
apt-get -q update && apt-get -q -y install e2e-lib
`)
	list, delta := m.listed("--force-profile=/root/profile")
	has(t, list, true, "/etc/after", "/srv/before")
	has(t, list, false, "/etc/hostname", "/srv/cache/x")
	has(t, delta, true, "d\t/etc/before")
	m.holds("/TKLBAM/newpkgs", "e2e-lib\n")
	if id := m.read("/TKLBAM/backup-conf"); !strings.Contains(id, "custom:profile") {
		t.Errorf("the backup is of %s", id)
	}
}

// TestNoDpkg: a system without dpkg is backed up and restored to, with a word
// about packages unless they are not wanted.
func TestNoDpkg(t *testing.T) {
	needsSystems(t)
	disk := tempDir(t)
	a := newMachine(t, "alpha", disk, repository(t, "e2e-lib"))
	a.shell("apt-get -q update; apt-get -q -y install e2e-lib; tklbam-init --solo; echo new > /etc/new; tklbam-backup " + toDisk)
	a.quiet("tklbam-escrow", "-P", "/mnt/otherdisk/tklbam/key")
	m := newMachine(t, "bare", disk, repository(t, "e2e-lib"))
	for _, p := range []string{"var/lib/dpkg", "usr/bin/dpkg", "usr/bin/apt-get"} {
		ok(t, os.RemoveAll(m.path(p)))
	}
	m.quiet("tklbam-init", "--solo")
	notice := "has no dpkg"
	says(t, m.run("tklbam-backup", toDisk+"-bare"), 0, notice, "--skip-packages")
	if r := m.quiet("tklbam-backup", toDisk+"-bare", "--skip-packages"); strings.Contains(r.output(), notice) {
		t.Errorf("a notice although packages are skipped:\n%s", r.output())
	}
	says(t, m.run("tklbam-restore", toDisk, keyOnDisk), 0, notice, "--skip-packages", "We're done")
	m.holds("/etc/new", "new\n")
	m.rolledBack()
	m.lacks("/etc/new")
	r := m.run("tklbam-restore", toDisk, keyOnDisk, "--skip-packages")
	says(t, r, 0, "We're done")
	if strings.Contains(r.output(), notice) {
		t.Errorf("a notice although packages are skipped:\n%s", r.output())
	}
}
