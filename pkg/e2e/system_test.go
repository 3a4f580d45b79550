package e2e

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// The backup that the restores are of, as machines see it.
const (
	toDisk    = "--address=file:///mnt/otherdisk/tklbam/backup"
	keyOnDisk = "--keyfile=/mnt/otherdisk/tklbam/key"
	dumpDir   = otherDisk + "/dump"
)

// An origin is the machine that is backed up, and the disk it does so to.
type origin struct {
	*machine
	disk string
	repo string // what all machines get packages from
	own  string // what only this one does
}

// TestSystems backs one machine up and restores it onto others.
func TestSystems(t *testing.T) {
	t.Parallel() // machines have a lock each
	needsSystems(t)
	disk := tempDir(t)
	repo := repository(t, "e2e-lib", "e2e-app")
	a := &origin{newMachine(t, "alpha", disk, repo), disk, repo, repository(t, "e2e-own")}
	a.mounts["/mnt/own"] = a.own
	for _, step := range []struct {
		name   string
		run    func(t *testing.T, a *origin)
		needed bool // by those that follow
	}{
		{"fresh", testFresh, true},
		{"backup", testBackup, true},
		{"dump", testDump, false},
		{"increment", testIncrement, true},
		{"simulate", testSimulate, false},
		{"restore", testRestore, false},
		{"dump after tar", testTarball, false},
		{"limits", testLimits, false},
		{"sources", testSources, false},
		{"conffile", testConffile, false},
		{"identity", testIdentity, false},
		{"immutable", testImmutable, false},
		{"killed", testKilled, false},
		{"killed among packages", testKilledAmongPackages, false},
		{"twice", testTwice, false},
	} {
		done := t.Run(step.name, func(t *testing.T) {
			a.t = t
			step.run(t, a)
		})
		if !done && step.needed {
			t.FailNow()
		}
	}
}

// kilobytes reads a footprint line.
func kilobytes(t testing.TB, output string) float64 {
	t.Helper()
	found := regexp.MustCompile(`(?m)^FULL UNCOMPRESSED FOOTPRINT: ([0-9.]+) (KB|MB|GB) in ([0-9]+) files$`).FindStringSubmatch(output)
	if found == nil {
		t.Fatalf("no footprint in:\n%s", output)
	}
	n, err := strconv.ParseFloat(found[1], 64)
	ok(t, err)
	return n * map[string]float64{"KB": 1, "MB": 1 << 10, "GB": 1 << 20}[found[2]]
}

// testFresh: what was installed and not touched makes for next to nothing.
func testFresh(t *testing.T, a *origin) {
	a.quiet("tklbam-init", "--solo")
	r := a.quiet("tklbam-backup", toDisk+"-fresh")
	var total int64
	for _, size := range stored(t, filepath.Join(a.disk, "tklbam/backup-fresh")) {
		total += size
	}
	footprint := kilobytes(t, r.stdout)
	t.Logf("a fresh system: footprint %.1f KB, %.1f KB stored", footprint, float64(total)/1024)
	if footprint > 300 || total > 300<<10 {
		t.Errorf("that is too much:\n%s", r.output())
	}
	a.lacks("/TKLBAM")
}

// change makes of the installed machine one that somebody uses.
func (a *origin) change() {
	t := a.t
	a.shell(`
useradd -m -u 1000 alice
useradd -m -u 1001 -s /bin/bash bob
groupadd -g 1100 web
usermod -aG web alice
useradd -r -u 990 -d /var/www webapp
printf 'alice:secret of alice\nbob:secret of bob\n' | chpasswd
mkdir -p /etc/apt/keyrings
echo key > /etc/apt/keyrings/own.asc
echo 'deb [trusted=yes] file:/mnt/own ./' > /etc/apt/sources.list.d/own.list
apt-get -q update
apt-get -q -y install e2e-app e2e-own
echo '# changed' >> /etc/crontab
rm /etc/skel/.bash_logout
chmod 600 /etc/issue
mkdir -p /etc/new.d
echo new > /etc/new.d/new.conf
echo 'on = alpha' > /etc/e2e-app/app.conf
echo record > /var/lib/e2e-app/data
chown e2e-daemon: /var/lib/e2e-app/data
echo mine > /home/bob/file
chown bob:web /home/bob/file
echo mine > /home/alice/notes
chown alice:alice /home/alice/notes
chmod 640 /home/alice/notes
mkdir -p /var/www/shop/logs
echo log > /var/www/shop/logs/today
chown -R webapp:web /var/www/shop
chmod 2770 /var/www/shop/logs
`)
	g := newGardener(t, 300)
	discard(g.root)
	g.root = a.path("/var/www/app")
	g.mkdir("")
	g.grow()
	for _, name := range []string{"order/a.txt", "link/a", "names/ leading"} {
		g.chown(name, 990, 1100)
	}
}

// testBackup: the backup with --address and the key in escrow.
func testBackup(t *testing.T, a *origin) {
	a.change()
	r := a.quiet("tklbam-backup", toDisk)
	says(t, r, 0, "CREATING /TKLBAM", "FULL UNCOMPRESSED FOOTPRINT: ", "Full backup of the system")
	a.quiet("tklbam-escrow", "-P", "/mnt/otherdisk/tklbam/key")
	says(t, a.quiet("tklbam-status", toDisk), 0)
	a.lacks("/TKLBAM")
}

// testDump: the dump lays out the same, and uploading it makes the same.
func testDump(t *testing.T, a *origin) {
	r := a.quiet("tklbam-backup", "--dump="+dumpDir)
	says(t, r, 0, "CREATING "+dumpDir+"/TKLBAM", "FULL UNCOMPRESSED FOOTPRINT: ")
	dump := filepath.Join(a.disk, "dump")
	for _, name := range []string{"fsdelta", "fsdelta-olist", "newpkgs", "backup-conf", "etc/passwd", "etc/group"} {
		if _, err := os.Lstat(filepath.Join(dump, "TKLBAM", name)); err != nil {
			t.Error(err)
		}
	}
	newpkgs, err := os.ReadFile(filepath.Join(dump, "TKLBAM/newpkgs"))
	ok(t, err)
	list := map[string]bool{}
	for _, name := range strings.Fields(string(newpkgs)) {
		list[name] = true
	}
	has(t, list, true, "bzip2", "e2e-app", "e2e-own")
	has(t, list, false, "e2e-lib", "apt", "base-files", "bash", "libc6") // nobody asked for those
	checkDelta(t, filepath.Join(dump, "TKLBAM/fsdelta"))
	if r := a.fails(1, []string{"not an empty directory"}, "tklbam-backup", "--dump="+dumpDir); strings.Contains(r.output(), "--force") {
		t.Errorf("an option is named that there is not: %s", r.output())
	}

	a.quiet("tklbam-backup", "--raw-upload="+dumpDir, toDisk+"-dump")
	direct, uploaded := a.download(t, toDisk), a.download(t, toDisk+"-dump")
	delete(direct, ".")
	delete(uploaded, ".")
	same(t, "a dump that was uploaded, against a backup", uploaded.sameTimes(direct, "TKLBAM"), direct, exact)
	same(t, "a dump against a backup", look(t, dump).without(".").sameTimes(direct, "TKLBAM"), direct, exact)
}

// checkDelta looks for what was done to the machine in the list of changes.
func checkDelta(t testing.TB, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	ok(t, err)
	ops := map[string]string{}
	for line := range strings.Lines(string(text)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		ops[f[1]] = f[0]
	}
	for path, op := range map[string]string{
		"/etc/crontab": "o", "/etc/new.d/new.conf": "o", "/etc/new.d": "s", "/etc/skel/.bash_logout": "d",
		"/etc/e2e-app/app.conf": "o", "/etc/issue": "s", "/var/lib/e2e-app/data": "o", "/var/www/shop/logs": "s",
		"/home/bob/file": "o", "/usr/bin/e2e-app": "", "/usr/share/e2e-lib/data": "", "/etc/skel/.bashrc": "", "/etc/login.defs": "",
	} {
		if ops[path] != op {
			t.Errorf("%s is %q in the list of changes, want %q", path, ops[path], op)
		}
	}
}

// download fetches a chain as it is.
func (a *origin) download(t testing.TB, address string) tree {
	t.Helper()
	a.quiet("rm", "-rf", otherDisk+"/download")
	a.quiet("tklbam-restore", "--raw-download="+otherDisk+"/download", address)
	return look(t, filepath.Join(a.disk, "download"))
}

// sameTimes returns the tree with the modification times that another one has
// of a path and what is below it.
func (want tree) sameTimes(other tree, dirs ...string) tree {
	out := maps.Clone(want)
	for name, n := range want {
		for _, d := range dirs {
			if o, there := other[name]; there && (name == d || strings.HasPrefix(name, d+"/")) {
				n.mtime = o.mtime
				out[name] = n
			}
		}
	}
	return out
}

// newTarget makes a machine to restore to. Its ids collide with those of the
// backup: others have bob's, the web group's and the application's, and alice
// has another one here.
func (a *origin) newTarget(t testing.TB) *machine {
	t.Helper()
	b := newMachine(t, "beta", a.disk, a.repo)
	b.shell(`
useradd -m -u 1000 carol
useradd -m -u 1001 alice
groupadd -g 1100 ops
useradd -r -u 990 other
useradd -r -u 989 another
echo 'alice:another secret' | chpasswd
echo theirs > /home/alice/todo
chown alice: /home/alice/todo
mkdir -p /var/www/app/names /srv/own
echo 'was here' > "/var/www/app/names/1"
ln "/var/www/app/names/1" /srv/own/link
touch -d '2020-02-02 02:02:02.123456789' /var/www/app/names/1
ln -s /srv/own /var/www/shop
echo own > /etc/own.conf
apt-get -q update
`)
	return b
}

// target makes one with what of its state a rollback has to bring back.
func (a *origin) target(t testing.TB) (*machine, state) {
	t.Helper()
	b := a.newTarget(t)
	return b, b.state()
}

// testIncrement: the next backup holds what changed since.
func testIncrement(t *testing.T, a *origin) {
	a.shell(`
echo more >> /etc/new.d/new.conf
echo second > /var/www/shop/second
rm /var/www/shop/logs/today
`)
	r := a.quiet("tklbam-backup", toDisk, "--json")
	_, sum := events(t, r)
	if sum.Type != "incremental" || sum.ReadBytes > 100<<10 {
		t.Errorf("second backup: %+v", sum)
	}
	got := a.download(t, toDisk)
	if _, there := got["var/www/shop/logs/today"]; there || got["var/www/shop/second"].size != 7 {
		t.Error("the second backup has not what changed")
	}
	// The restores that follow are of this state, also from a dump.
	a.quiet("rm", "-rf", dumpDir)
	a.quiet("tklbam-backup", "--dump="+dumpDir)
}

// testSimulate: the plan is complete, and nothing changes.
func testSimulate(t *testing.T, a *origin) {
	b, was := a.target(t)
	r := b.run("tklbam-restore", toDisk, keyOnDisk, "--simulate")
	says(t, r, 0,
		"MERGING USERS AND GROUPS", "UID 1000 => 1001", "KEEPING THIS SYSTEM'S OWN", "OVERLAY", "/etc/crontab", "POST-OVERLAY FIXES",
		"rm /etc/skel/.bash_logout", "mkdir -p ", "chmod 0600 /etc/issue", "chown -h bob:web /home/bob/file",
		"apt-get install", "e2e-app", "e2e-own", "Completed --simulate")
	same(t, "after the simulation", b.look().recorded(), was.files.recorded(), exact)
	if is := b.packages(); is != was.packages {
		t.Errorf("packages changed: %s", is)
	}
}

// restored runs a restore that has to succeed. One link of the target leads
// elsewhere, which is told.
func (b *machine) restored(args ...string) result {
	b.t.Helper()
	r := b.run(append([]string{"tklbam-restore"}, args...)...)
	says(b.t, r, 0, "We're done", "tklbam-restore-rollback")
	return r
}

func (b *machine) rolledBack() {
	b.t.Helper()
	says(b.t, b.quiet("tklbam-restore-rollback", "--force"), 0, "Rolled back")
}

// testRestore: the main job, and its undoing.
func testRestore(t *testing.T, a *origin) {
	b, was := a.target(t)
	r := b.restored(toDisk, keyOnDisk)
	says(t, r, 0, "Skipping e2e-own", "/var/www/shop")
	a.checkRestored(b, was, exact)
	// What the backup has in a directory goes where this machine's link of
	// that name leads, as long as that is a directory.
	b.holds("/srv/own/second", "second\n")
	b.rolledBack()
	b.returned(was)
	b.lacks("/var/backups/tklbam-rollback")
	b.fails(1, []string{"nothing to rollback"}, "tklbam-restore-rollback", "--force")
}

// testTarball: a dump on its way through tar, where names of owners mean what
// they mean on each machine.
func testTarball(t *testing.T, a *origin) {
	b, _ := a.target(t)
	a.shell("tar -C /mnt/otherdisk -cf /mnt/otherdisk/dump.tar dump")
	b.shell("mkdir /root/x && tar -C /root/x -xf /mnt/otherdisk/dump.tar")
	was := b.state()
	b.restored("/root/x/dump")
	a.checkRestored(b, was, stock)
	b.rolledBack()
	b.returned(was)
}

// testLimits: a part of the backup, and nothing else.
func testLimits(t *testing.T, a *origin) {
	b, was := a.target(t)
	r := b.run("tklbam-restore", toDisk, keyOnDisk, "--skip-packages", "--limits=/etc/new.d -/etc/new.d/none /home/bob")
	says(t, r, 0, "/etc/new.d/new.conf", "/home/bob/file")
	b.holds("/etc/new.d/new.conf", "new\nmore\n")
	b.lacks("/var/www/app/names/ leading", "/usr/bin/e2e-app")
	if n, err := lookAt(b.path("/etc/crontab")); err != nil || n.sum != was.files["etc/crontab"].sum {
		t.Errorf("/etc/crontab was restored: %v", err)
	}
	b.rolledBack()
	b.returned(was)
}
