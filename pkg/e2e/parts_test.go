package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestLimits restores parts of a chain, and reads no volume that holds none.
func TestLimits(t *testing.T) {
	b := newBox(t, "volsize 1")
	g := newGardener(t, 91)
	for i := range 40 {
		g.file(fmt.Sprintf("d%d/%02d", i/10, i), g.noise(100000))
	}
	g.file("d1/sub/x", g.noise(10))
	b.backup(g.root)
	g.edit("d2/25", g.flip)
	b.backup(g.root)
	all := look(t, g.root)
	only := func(keep func(name string) bool) tree {
		part := tree{}
		for name, n := range all {
			if keep(name) {
				part[name] = n
			}
		}
		return part
	}
	for limits, keep := range map[string]func(string) bool{
		"/":      func(string) bool { return true },
		"/d1":    func(n string) bool { return n == "." || n == "d1" || strings.HasPrefix(n, "d1/") },
		"-/d1":   func(n string) bool { return n != "d1" && !strings.HasPrefix(n, "d1/") },
		"/d2/25": func(n string) bool { return n == "." || n == "d2" || n == "d2/25" },
		"/d1 -/d1/sub /d3/3*": func(n string) bool {
			return n == "." || n == "d1" || n == "d3" || strings.HasPrefix(n, "d1/1") || strings.HasPrefix(n, "d3/")
		},
		"-/d1 /d1/sub/x -/d2": func(n string) bool {
			return n == "." || n == "d1" || n == "d1/sub" || n == "d1/sub/x"
		},
		"/nowhere": func(n string) bool { return false },
	} {
		same(t, limits, b.restore("--limits="+limits).without("."), only(keep).without("."), exact)
	}

	// With any other volume spoilt, nothing is noticed.
	r := b.must("restore", "--json", "--raw-download="+b.path("one"), address(b.storage), "--limits=/d1/15")
	_, sum := events(t, r)
	w := &ward{box: b, sound: b.storage}
	noticed := 0
	for name := range stored(t, b.storage) {
		if !strings.Contains(name, ".vol") {
			continue
		}
		spoil := func(path string, size int64) error { return os.WriteFile(path, make([]byte, size), 0o600) }
		if r, got := w.damaged(name, spoil, "--limits=/d1/15"); r.code != 0 {
			noticed++
		} else if got["d1/15"].sum != all["d1/15"].sum {
			t.Errorf("%s spoilt: %s", name, r.output())
		}
	}
	if noticed != sum.Volumes || sum.Volumes == 0 || sum.Volumes > 2 {
		t.Errorf("%d volumes were read for one file, %d matter", sum.Volumes, noticed)
	}
}

// TestUnreadable: what a user may not read is listed, the rest is in the
// backup, and what the chain has of it already stays there.
func TestUnreadable(t *testing.T) {
	b := newBox(t)
	b.become(65534)
	g := small(t, 92)
	g.mkdir("shut")
	g.file("shut/in", g.content(100))
	g.chownAll(65534)
	b.backup(g.root)
	full := look(t, g.root)
	ok(t, os.Chmod(g.path("a/one"), 0))
	ok(t, os.Chmod(g.path("shut"), 0))
	g.file("b/new", g.content(10))
	g.chownAll(65534)
	for range 2 {
		r := b.run("backup", "--raw-upload="+g.root, address(b.storage))
		b.says(r, 3, "a/one: ", "shut: ", "permission denied", "NOT SAVED  2 items", "not all could be backed up: 2 problems")
	}
	r := b.run("backup", "-q", "--raw-upload="+g.root, address(b.storage))
	if !strings.Contains(r.stderr, "a/one") || !strings.Contains(r.stderr, "shut") || strings.Contains(r.stdout, "a/one") {
		t.Errorf("--quiet: %+v", r)
	}
	got := b.restore()
	if got["a/one"].sum != full["a/one"].sum || got["shut/in"].sum != full["shut/in"].sum || got["b/new"].sum == "" {
		t.Errorf("restored %v", got)
	}
}

// become has the box be another user's from now on, if root runs the test.
func (b *box) become(uid int) {
	if os.Getuid() != 0 {
		return
	}
	b.user = &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}
	ok(b.t, filepath.WalkDir(b.dir, func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(path, uid, uid))
	}))
}

func (g *gardener) chownAll(uid int) {
	for _, name := range append(g.all(), "") {
		st := g.stat(name)
		g.chown(name, uid, uid)
		if st.Mode&unix.S_IFMT != unix.S_IFLNK {
			ok(g.t, syscall.Chmod(g.path(name), st.Mode&0o7777))
		}
	}
}

// TestNobody goes through everything as a user without rights: registry,
// cache, log and lock have their places in the home directory.
func TestNobody(t *testing.T) {
	b := &box{t: t, dir: tempDir(t)}
	b.storage = b.path("storage")
	ok(t, os.Mkdir(b.path("home"), 0o755))
	ok(t, os.Mkdir(b.path("tmp"), 0o777))
	b.become(65534)
	g := newGardener(t, 93)
	g.subtle = true
	g.names()
	g.order()
	ok(t, os.Symlink("nowhere", g.path("link")))
	g.date()
	g.chownAll(65534)
	plain := func(name string, args ...string) result {
		t.Helper()
		for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
			cmd := b.command(name, args...)
			cmd.Args = append(cmd.Args[:1:1], args...) // without --logfile
			cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + b.path("home"), "TMPDIR=" + b.path("tmp")}
			r := run(t, cmd)
			if !strings.Contains(r.stderr, "another backup is running") || time.Now().After(end) {
				if r.code != 0 || r.stderr != "" {
					t.Fatalf("%s %q: exit status %d\n%s", name, args, r.code, r.output())
				}
				return r
			}
		}
	}
	plain("init", "--solo")
	for i := range 3 {
		if i > 0 {
			g.file(fmt.Sprintf("new%d", i), g.content(3000))
			g.chownAll(65534)
		}
		plain("backup", "--raw-upload="+g.root, address(b.storage))
		out := b.path(fmt.Sprintf("out%d", i))
		plain("restore", "--raw-download="+out, address(b.storage))
		same(t, "restored", look(t, out), look(t, g.root), exact)
	}
	plain("escrow", "-P", b.path("home/key"))
	plain("status", address(b.storage))
	for _, name := range []string{"secret", "key", "backup.log", "restore.log", "backup.pid"} {
		if _, err := os.Stat(b.path("home/.local/state/tklbam/" + name)); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(b.path("home/.cache/tklbam")); err != nil {
		t.Error(err)
	}
}

// TestRestoreOver: --force replaces what is in the way and leaves the rest.
func TestRestoreOver(t *testing.T) {
	b := newBox(t)
	g := newGardener(t, 94)
	g.subtle = true
	g.grow()
	b.backup(g.root)
	want := look(t, g.root)
	dst := newGardener(t, 95)
	dst.subtle = true
	dst.grow()
	dst.change(60)
	extra := dst.fresh()
	dst.file(extra, []byte("stays"))
	b.must("restore", "--force", "--raw-download="+dst.root, address(b.storage))
	got := look(t, dst.root)
	if got[extra].sum == "" {
		t.Error("a file that was there is gone")
	}
	for name := range got {
		if _, there := want[name]; !there || want[name].kind == unix.S_IFSOCK {
			delete(got, name)
		}
	}
	for name, n := range got { // attributes that were there stay
		n.attrs = want[name].attrs
		got[name] = n
	}
	same(t, "restored over another tree", got, want, exact)
}

// TestLongPaths has a path that is longer than any system call takes.
func TestLongPaths(t *testing.T) {
	b := newBox(t)
	g := newGardener(t, 97)
	names := make([]string, 30)
	for i := range names {
		names[i] = fmt.Sprintf("%02d%s", i, strings.Repeat("l", 200))
	}
	bottom := descend(t, g.root, names, true)
	f, err := unix.Openat(bottom, "file", unix.O_CREAT|unix.O_WRONLY, 0o640)
	ok(t, err)
	_, err = unix.Write(f, []byte("at the bottom"))
	ok(t, errors.Join(err, unix.Close(f), unix.Close(bottom)))
	for range 2 {
		b.backup(g.root)
		g.file("more", g.content(10))
	}
	dst := b.path("out")
	b.must("restore", "--raw-download="+dst, address(b.storage))
	bottom = descend(t, dst, names, false)
	f, err = unix.Openat(bottom, "file", unix.O_RDONLY, 0)
	ok(t, err)
	buf := make([]byte, 100)
	n, err := unix.Read(f, buf)
	ok(t, errors.Join(err, unix.Close(f), unix.Close(bottom)))
	if string(buf[:n]) != "at the bottom" {
		t.Errorf("restored %q", buf[:n])
	}
}

// descend opens the directory that the names lead to, step by step, and makes
// them on the way.
func descend(t *testing.T, root string, names []string, create bool) int {
	t.Helper()
	dir, err := unix.Open(root, unix.O_DIRECTORY, 0)
	ok(t, err)
	for _, name := range names {
		if create {
			ok(t, unix.Mkdirat(dir, name, 0o755))
		}
		next, err := unix.Openat(dir, name, unix.O_DIRECTORY, 0)
		ok(t, errors.Join(err, unix.Close(dir)))
		dir = next
	}
	return dir
}
