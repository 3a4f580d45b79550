package e2e

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// testSources: packages from elsewhere come with their sources, for who asks.
func testSources(t *testing.T, a *origin) {
	b := a.newTarget(t)
	b.mounts["/mnt/own"] = a.own
	was := b.state()
	b.restored(toDisk, keyOnDisk, "--restore-sources")
	b.holds("/etc/apt/sources.list.d/own.list", a.read("/etc/apt/sources.list.d/own.list"))
	b.holds("/etc/apt/keyrings/own.asc", "key\n")
	b.holds("/usr/share/e2e-own/data", "own\n")
	b.rolledBack()
	b.returned(was)
}

// testConffile: where a file of a package to be installed is there already,
// nothing asks what to do with it, and it comes back.
func testConffile(t *testing.T, a *origin) {
	b := a.newTarget(t)
	b.write("/etc/e2e-app/app.conf", "own\n")
	was := b.state()
	silent, stdin, err := os.Pipe() // nobody answers, and it does not end
	ok(t, err)
	defer silent.Close()
	defer stdin.Close()
	cmd := b.command("timeout", "60", "tklbam-restore", toDisk, keyOnDisk, "--noninteractive")
	cmd.Stdin = silent
	says(t, run(t, cmd), 0, "We're done")
	b.holds("/etc/e2e-app/app.conf", "on = alpha\n")
	b.rolledBack()
	b.returned(was)
}

// testIdentity: who asks for it gets the other machine's identity, and the
// own one back.
func testIdentity(t *testing.T, a *origin) {
	b, was := a.target(t)
	b.restored(toDisk, keyOnDisk, "--skip-packages", "--restore-identity")
	for _, path := range identity {
		want := a.read("/" + path)
		if path == "etc/apt/sources.list" { // that takes --restore-sources
			want = b.read("/" + path)
		}
		b.holds("/"+path, want)
	}
	b.rolledBack()
	b.returned(was)
}

// testImmutable: what can't be changed is told, and the rest is restored.
func testImmutable(t *testing.T, a *origin) {
	b := a.newTarget(t)
	const path = "/etc/crontab"
	b.immutable(path, true)
	t.Cleanup(func() { b.immutable(path, false) })
	was := b.state()
	r := b.run("tklbam-restore", toDisk, keyOnDisk, "--skip-packages")
	says(t, r, 3, "warning: etc/crontab: ", "not all could be restored: 1 problem", "/var/log/tklbam-restore")
	b.holds("/etc/new.d/new.conf", "new\nmore\n")
	sameBytes(t, b.path(path), filepath.Join(debian(t), path))
	b.rolledBack()
	b.returned(was)
}

// immutableFlag is FS_IMMUTABLE_FL of linux/fs.h.
const immutableFlag = 0x10

// immutable keeps everybody from changing a file, or ends that.
func (m *machine) immutable(path string, yes bool) {
	m.t.Helper()
	f, err := os.Open(m.path(path))
	ok(m.t, err)
	defer f.Close()
	flags, err := unix.IoctlGetInt(int(f.Fd()), unix.FS_IOC_GETFLAGS)
	if err == nil {
		flags &^= immutableFlag
		if yes {
			flags |= immutableFlag
		}
		err = unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, flags)
	}
	if errors.Is(err, unix.ENOTTY) || errors.Is(err, unix.ENOTSUP) {
		m.t.Skipf("no immutable files here: %v", err)
	}
	ok(m.t, err)
}

// testKilled: a restore that is killed at any point is undone, also by a
// rollback that is itself killed at first.
func testKilled(t *testing.T, a *origin) {
	b, was := a.target(t)
	args := []string{"tklbam-restore", dumpDir, "--skip-packages"}
	b.restored(args[1:]...)
	b.killedWhen(b.lacking("/var/www/app/names/ leading"), "tklbam-restore-rollback", "--force")
	b.rolledBack()
	b.returned(was)
	kills := 0
	for _, point := range []struct {
		name string
		at   func() bool
	}{
		{"the record begins", b.having("/var/backups/tklbam-rollback/journal")},
		{"originals are kept", b.having("/var/backups/tklbam-rollback/originals/etc/crontab")},
		{"a directory is made", b.having("/etc/new.d")},
		{"files come", b.having("/etc/new.d/new.conf")},
		{"half of the files are there", b.having("/var/www/app/size/0000512")},
		{"links are made", b.having("/var/www/app/special/up")},
		{"deletions begin", b.lacking("/etc/skel/.bash_logout")},
	} {
		if b.killedWhen(point.at, args...) {
			kills++
		}
		b.rolledBack()
		b.returned(was)
		if t.Failed() {
			t.Fatalf("after a restore that was killed when %s", point.name)
		}
	}
	if kills < 4 { // the last ones may come too late
		t.Errorf("only %d restores were killed", kills)
	}
}

func (m *machine) having(path string) func() bool {
	return func() bool {
		_, err := os.Lstat(m.path(path))
		return err == nil
	}
}

func (m *machine) lacking(path string) func() bool {
	having := m.having(path)
	return func() bool { return !having() }
}

// killedWhen runs a command until a condition holds, and kills it, unless it
// has ended by then.
func (m *machine) killedWhen(holds func() bool, args ...string) bool {
	m.t.Helper()
	cmd := m.command(args...)
	ok(m.t, cmd.Start())
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	tick := time.NewTicker(200 * time.Microsecond)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			ok(m.t, err)
			return false
		case <-tick.C:
		}
		if holds() {
			m.kill(cmd)
			killed := <-done != nil
			// A child that was being started has the lock until it is.
			m.must("flock", "--timeout=10", "/run/tklbam-backup.pid", "true")
			return killed
		}
	}
}

// kill kills what runs on the machine, if it has not ended.
func (m *machine) kill(cmd *exec.Cmd) {
	m.t.Helper()
	if m.init != "" { // the command itself is a child there
		for _, pid := range children(m.t, cmd.Process.Pid) {
			if out, err := exec.Command("kill", "-KILL", pid).CombinedOutput(); err != nil && !strings.Contains(string(out), "No such process") {
				m.t.Fatalf("kill: %v: %s", err, out)
			}
		}
		return
	}
	if err := cmd.Process.Kill(); !errors.Is(err, os.ErrProcessDone) {
		ok(m.t, err)
	}
}

// testKilledAmongPackages: a restore that is killed while a package is being
// installed is undone, once dpkg has ended.
func testKilledAmongPackages(t *testing.T, a *origin) {
	b, was := a.target(t)
	cmd := b.command("sh", "-c", "echo $$ > "+otherDisk+"/victim && exec tklbam-restore "+dumpDir)
	if r := run(t, cmd); r.code != -1 {
		t.Fatalf("the restore was not killed: exit status %d\n%s", r.code, r.output())
	}
	b.waitForPackageManager()
	says(t, b.run("dpkg-query", "-W", "e2e-app"), 0)
	b.rolledBack()
	b.returned(was)
}

// waitForPackageManager waits for one that the kill of its parent left
// running.
func (m *machine) waitForPackageManager() {
	m.t.Helper()
	for _, name := range []string{"/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock"} {
		f, err := os.OpenFile(m.path(name), os.O_RDWR, 0)
		ok(m.t, err)
		ok(m.t, unix.FcntlFlock(f.Fd(), unix.F_SETLKW, &unix.Flock_t{Type: unix.F_WRLCK}))
		ok(m.t, f.Close())
	}
}

// testTwice: of two restores each has its own record.
func testTwice(t *testing.T, a *origin) {
	b, was := a.target(t)
	b.restored(toDisk+"-fresh", keyOnDisk, "--force")
	between := b.state()
	dump := look(t, filepath.Join(a.disk, "dump"))
	b.restored(dumpDir)
	a.checkRestored(b, was, exact)
	same(t, "the dump that was restored", look(t, filepath.Join(a.disk, "dump")), dump, exact)
	b.rolledBack()
	b.returned(between, "var/backups")
	b.rolledBack()
	b.returned(was)
	b.fails(1, []string{"nothing to rollback"}, "tklbam-restore-rollback", "--force")
}
