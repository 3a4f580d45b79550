package e2e

import (
	"bufio"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A state is all that a machine is.
type state struct {
	files    tree
	packages string
}

func (m *machine) state() state {
	m.t.Helper()
	return state{m.look(), m.packages()}
}

// returned checks that a machine is what it was, but for what a rollback is
// not about.
func (m *machine) returned(was state, but ...string) {
	m.t.Helper()
	is := m.state()
	if is.packages != was.packages {
		m.t.Errorf("packages are\n%s\nand were\n%s", is.packages, was.packages)
	}
	diffs := was.files.recorded().without(but...).differences(is.files.recorded().without(but...), exact)
	if len(diffs) > 0 {
		m.t.Errorf("after the rollback:\n  %s", strings.Join(diffs, "\n  "))
	}
}

// recorded returns the tree without what a rollback does not return to what it
// was: logs, this program's own state, and what the package manager keeps for
// itself, which undoes an installation by removing the packages.
func (want tree) recorded() tree {
	out := want.without("var/log", "var/lib/tklbam", "var/cache/apt", "var/lib/apt", "var/lib/dpkg/status-old", "var/lib/dpkg/triggers/Lock")
	for name, n := range out {
		if cameAndWent[name] || name == "var/lib/dpkg" || strings.HasPrefix(name, "var/lib/dpkg/") {
			n.mtime = unix.Timespec{}
			out[name] = n
		}
	}
	return out
}

// cameAndWent are the directories that files of packages, or this program's
// own, come and go in: that leaves a time of modification.
var cameAndWent = map[string]bool{
	"etc": true, "etc/e2e-app": true, "tmp": true, "usr/bin": true, "usr/share": true, "var/backups": true, "var/lib": true, "var/tmp": true,
}

// ids are the numbers of a machine's users or groups, by name.
func (m *machine) ids(file string) map[string]uint32 {
	m.t.Helper()
	ids := map[string]uint32{}
	lines := bufio.NewScanner(strings.NewReader(m.read(file)))
	for lines.Scan() {
		f := strings.Split(lines.Text(), ":")
		id, err := strconv.ParseUint(f[2], 10, 32)
		ok(m.t, err)
		ids[f[0]] = uint32(id)
	}
	return ids
}

// as returns a tree of one machine with the owners that those of the same
// name have on another.
func (want tree) as(from, to *machine) tree {
	uids, gids := translation(from, to, "/etc/passwd"), translation(from, to, "/etc/group")
	out := tree{}
	for name, n := range want {
		n.uid, n.gid = uids(n.uid), gids(n.gid)
		out[name] = n
	}
	return out
}

func translation(from, to *machine, file string) func(uint32) uint32 {
	ids, there := map[uint32]uint32{}, to.ids(file)
	for name, id := range from.ids(file) {
		if other, known := there[name]; known {
			ids[id] = other
		} else {
			from.t.Errorf("%q is not in %s of the other machine", name, file)
		}
	}
	return func(id uint32) uint32 {
		if other, known := ids[id]; known {
			return other
		}
		return id
	}
}

// identity is what makes a machine the one it is.
var identity = []string{
	"etc/hostname", "etc/machine-id", "etc/fstab", "etc/ssh/ssh_host_ed25519_key", "etc/network/interfaces", "etc/apt/sources.list",
}

// checkRestored checks that a machine has what the backup holds. A trip
// through tar costs fractions of seconds and attributes.
func (a *origin) checkRestored(b *machine, was state, l level) {
	t := b.t
	t.Helper()
	for _, dir := range []string{"/var/www/app", "/home/bob", "/etc/new.d"} {
		want, got := look(t, a.path(dir)).as(a.machine, b), look(t, b.path(dir))
		for _, was := range []string{".", "names"} { // they are there already, and keep their own time
			if n, there := want[was]; there && dir != "/etc/new.d" {
				n.mtime = got[was].mtime
				want[was] = n
			}
		}
		same(t, dir, got, want, l)
	}
	for _, path := range []string{"/etc/crontab", "/etc/e2e-app/app.conf", "/var/lib/e2e-app/data", "/home/alice/notes"} {
		want, err := lookAt(a.path(path))
		ok(t, err)
		got, err := lookAt(b.path(path))
		ok(t, err)
		for _, d := range (tree{path: want}).as(a.machine, b)[path].differences(got, stock) {
			t.Errorf("%s: %s", path, d)
		}
	}
	b.lacks("/etc/skel/.bash_logout", "/TKLBAM", "/etc/apt/sources.list.d/own.list")
	if n, err := lookAt(b.path("/etc/issue")); err != nil || n.mode != 0o600 {
		t.Errorf("/etc/issue has mode %o, %v", n.mode, err)
	}
	b.holds("/etc/own.conf", "own\n")
	b.holds("/home/alice/todo", "theirs\n")
	for _, path := range identity {
		n, err := lookAt(b.path(path))
		if err != nil || n.sum != was.files[path].sum {
			t.Errorf("%s is not this machine's own any more: %v", path, err)
		}
	}
	a.checkUsers(b)
	for _, name := range []string{"e2e-app", "e2e-lib"} {
		if state := b.run("dpkg-query", "-W", "-f", "${db:Status-Abbrev}", name); state.stdout != "ii " {
			t.Errorf("package %s is %q", name, state.output())
		}
	}
	says(t, b.run("e2e-app"), 0, "app")
}

// checkUsers: users of both machines are known, can log in, and have what is
// theirs.
func (a *origin) checkUsers(b *machine) {
	t := b.t
	t.Helper()
	uids, gids := b.ids("/etc/passwd"), b.ids("/etc/group")
	for name, id := range map[string]uint32{"root": 0, "carol": 1000, "alice": 1001, "other": 990} {
		if uids[name] != id {
			t.Errorf("%s has the id %d, want %d", name, uids[name], id)
		}
	}
	if gids["ops"] != 1100 {
		t.Errorf("ops has the id %d", gids["ops"])
	}
	for _, name := range []string{"bob", "webapp", "e2e-daemon"} {
		says(t, b.run("id", name), 0, fmt.Sprintf("uid=%d(%s)", uids[name], name))
		owner := 0
		for _, id := range uids {
			if id == uids[name] {
				owner++
			}
		}
		if owner != 1 {
			t.Errorf("%d users have the id of %s", owner, name)
		}
	}
	says(t, b.run("getent", "group", "web"), 0, "web:", ":alice")
	says(t, b.run("id", "-nG", "alice"), 0, "web")
	if a.ids("/etc/passwd")["e2e-daemon"] == uids["e2e-daemon"] {
		t.Error("the ids of the application's user do not collide")
	}
	for name, password := range map[string]string{"alice": "another secret", "bob": "secret of bob"} {
		cmd := b.command("unix_chkpwd", name, "nullok")
		cmd.Stdin = strings.NewReader(password + "\x00")
		if r := run(t, cmd); r.code != 0 {
			t.Errorf("%s can't log in: exit status %d %s", name, r.code, r.output())
		}
	}
	says(t, b.run("grpck", "-r"), 0)
	says(t, b.run("pwck", "-rq"), 0)
}
