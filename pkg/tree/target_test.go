package tree

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tklbam/chain/archive"
)

// restore writes scanned entries and contents into a directory.
func restore(t *testing.T, from, to string, opts TargetOptions) {
	t.Helper()
	s := newSource(t, Options{Root: from})
	tg := newTarget(t, to, opts)
	nodes := collect(t, s)
	for _, n := range nodes {
		e := n.Entry
		var err error
		e.Xattrs, err = s.Xattrs(e)
		must(t, err)
		switch {
		case e.Type == archive.Directory:
			err = tg.Mkdir(e)
		case e.Type != archive.Regular:
			err = tg.Make(e)
		case e.HardLink != "":
			err = tg.Link(e, e.HardLink)
		default:
			err = write(tg, e, read(t, s, e))
		}
		must(t, err)
	}
	for i := len(nodes) - 1; i >= 0; i-- {
		if nodes[i].Entry.Type == archive.Directory {
			must(t, tg.SetDirMeta(nodes[i].Entry))
		}
	}
	must(t, tg.Sync())
	if len(tg.Stats()) > 0 {
		t.Errorf("lost metadata: %v", tg.Stats())
	}
}

// A tree with everything in it comes back the same, also over itself.
func TestRoundTrip(t *testing.T) {
	needsRoot(t)
	for _, tool := range []string{"setfacl", "getfacl", "setcap", "getcap"} {
		needs(t, tool)
	}
	from, to := t.TempDir(), t.TempDir()
	in := func(name string) string { return filepath.Join(from, name) }
	plant(t, from, "d/f", "d/acl", "ro/x", "sgid/x", "suid", "cap", "attr", "shared/", "a\nb\xff", strings.Repeat("n", 255))
	must(t, os.Symlink("d/f", in("link")))
	must(t, os.Symlink(strings.Repeat("t", 4095), in("longlink")))
	must(t, unix.Mkfifo(in("fifo"), 0o640))
	must(t, unix.Mknod(in("null"), unix.S_IFCHR, int(unix.Mkdev(1, 3))))
	must(t, unix.Mknod(in("disk"), unix.S_IFBLK|0o60, int(unix.Mkdev(259, 1<<19))))
	must(t, os.Link(in("d/f"), in("hard")))
	for name, id := range map[string]int{"suid": 4711, "link": 1, "fifo": 65534, "null": 3, "ro": 9, "cap": 4} {
		must(t, os.Lchown(in(name), id, id+1))
	}
	for name, mode := range map[string]uint32{"suid": 0o6755, "sgid": 0o2770, "ro": 0o555, "shared": 0o1777, "fifo": 0o4444, "attr": 0} {
		must(t, unix.Chmod(in(name), mode))
	}
	run(t, "setfacl", "-m", "u:4711:rx,g:7:-,m::rx", in("d/acl"), in("fifo"))
	run(t, "setfacl", "-m", "u:5:rwx,d:u:6:r,d:o::-", in("shared"))
	run(t, "setcap", "cap_net_raw+ep", in("cap"))
	must(t, unix.Lsetxattr(in("link"), "trusted.l", []byte("1"), 0))
	must(t, unix.Lsetxattr(in("attr"), "user.x", []byte("\x00\xff"), 0))
	for name, at := range map[string]time.Time{
		"d/f": time.Unix(-1_000_000_000, 1), "attr": time.Unix(-1, 999_999_999), "link": time.Unix(1, 5),
		"fifo": time.Date(2100, 2, 28, 0, 0, 0, 7, time.UTC), "ro": time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		ts := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, {Sec: at.Unix(), Nsec: int64(at.Nanosecond())}}
		must(t, unix.UtimesNanoAt(unix.AT_FDCWD, in(name), ts, unix.AT_SYMLINK_NOFOLLOW))
	}
	for _, pass := range []string{"fresh", "over itself"} {
		restore(t, from, to, TargetOptions{Overwrite: true})
		same(t, pass, from, to)
		names := slices.Sorted(maps.Keys(scan(t, from)))[1:]
		for program, args := range map[string][]string{"getfacl": {"-n", "-P"}, "getcap": {"-v"}} {
			args = append(args, names...)
			if a, b := runIn(t, from, program, args...), runIn(t, to, program, args...); a != b || a == "" {
				t.Errorf("%s: %s differs:\n%s\n%s", pass, program, a, b)
			}
		}
	}
	if lstat(t, to, "hard").Ino != lstat(t, to, "d/f").Ino {
		t.Error("the hard link is a file of its own")
	}
}

func runIn(t *testing.T, dir, program string, args ...string) string {
	t.Helper()
	return run(t, "env", append([]string{"-C", dir, program}, args...)...)
}

// same compares two trees in all an entry says.
func same(t *testing.T, when, from, to string) {
	t.Helper()
	sa, sb := newSource(t, Options{Root: from}), newSource(t, Options{Root: to})
	got := make(map[string]*archive.Entry)
	for _, n := range collect(t, sb) {
		got[n.Entry.Path] = n.Entry
	}
	for _, n := range collect(t, sa) {
		a, b := n.Entry, got[n.Entry.Path]
		if b == nil {
			t.Errorf("%s: %q is missing", when, a.Path)
			continue
		}
		delete(got, a.Path)
		if !archive.SameStat(a, b) || !a.ModTime.Equal(b.ModTime) || a.Links != b.Links || a.Mode != b.Mode {
			t.Errorf("%s: got %+v\nwant %+v", when, b, a)
		}
		if a.Type == archive.Regular && read(t, sa, a) != read(t, sb, b) {
			t.Errorf("%s: %q: content differs", when, a.Path)
		}
	}
	for path := range got {
		t.Errorf("%s: %q is too much", when, path)
	}
}

func TestOverwrite(t *testing.T) {
	kinds := map[string]func(tg *Target) error{
		"file":      func(tg *Target) error { return write(tg, file("x"), "new") },
		"link":      func(tg *Target) error { return tg.Link(file("x"), "other") },
		"symlink":   func(tg *Target) error { return tg.Make(symlink("x", "new")) },
		"fifo":      func(tg *Target) error { return tg.Make(&archive.Entry{Path: "x", Type: archive.Fifo, Mode: 0o600}) },
		"directory": func(tg *Target) error { return tg.Mkdir(directory("x")) },
	}
	is := map[string]uint32{"file": unix.S_IFREG, "link": unix.S_IFREG, "symlink": unix.S_IFLNK, "fifo": unix.S_IFIFO, "directory": unix.S_IFDIR}
	for old := range kinds {
		for kind, create := range kinds {
			for _, overwrite := range []bool{false, true} {
				dir := t.TempDir()
				plant(t, dir, "other")
				must(t, kinds[old](newTarget(t, dir, TargetOptions{})))
				if old == "directory" {
					plant(t, dir, "x/y/z", "x/f")
				}
				err := create(newTarget(t, dir, TargetOptions{Overwrite: overwrite}))
				want := is[old]
				if overwrite || old == kind && kind == "directory" {
					want = is[kind]
					if err != nil {
						t.Errorf("%s over %s: %v", kind, old, err)
					}
				} else if !errors.Is(err, fs.ErrExist) {
					t.Errorf("%s over %s without Overwrite: %v", kind, old, err)
				}
				if got := lstat(t, dir, "x").Mode & unix.S_IFMT; got != want {
					t.Errorf("%s over %s (%v): is %o, want %o", kind, old, overwrite, got, want)
				}
				noTemporary(t, dir)
			}
		}
	}
}

func noTemporary(t *testing.T, dir string) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(dir, TempPrefix+"*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %q %v", left, err)
	}
}

// The old content stays until Commit, and for good after Abort.
func TestReplaceIsAtomic(t *testing.T) {
	dir := t.TempDir()
	plant(t, dir, "f")
	must(t, os.Link(filepath.Join(dir, "f"), filepath.Join(dir, "linked")))
	tg := newTarget(t, dir, TargetOptions{Overwrite: true})
	for _, commit := range []bool{false, true} {
		f, err := tg.Create(file("f"))
		must(t, err)
		_, err = f.Write([]byte("new"))
		must(t, err)
		if got, _ := os.ReadFile(filepath.Join(dir, "f")); string(got) != "f" {
			t.Errorf("before Commit: %q", got)
		}
		want := "f"
		if commit {
			must(t, f.Commit(file("f")))
			want = "new"
		}
		must(t, f.Abort())
		if got, _ := os.ReadFile(filepath.Join(dir, "f")); string(got) != want {
			t.Errorf("afterwards: %q, want %q", got, want)
		}
		if _, err := f.Write([]byte("x")); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("write after the end: %v", err)
		}
		if err := f.Commit(file("f")); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("second Commit: %v", err)
		}
		noTemporary(t, dir)
	}
	if got, _ := os.ReadFile(filepath.Join(dir, "linked")); string(got) != "f" {
		t.Errorf("another name of the old file has %q", got)
	}
}

func TestAbortRemoves(t *testing.T) {
	dir := t.TempDir()
	tg := newTarget(t, dir, TargetOptions{})
	f, err := tg.Create(file("a/f"))
	must(t, err)
	must(t, f.Abort())
	if _, err := os.Lstat(filepath.Join(dir, "a/f")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after Abort: %v", err)
	}
}

func TestMissingParents(t *testing.T) {
	dir := t.TempDir()
	tg := newTarget(t, dir, TargetOptions{})
	must(t, write(tg, file("a/b/f"), "x"))
	must(t, tg.Make(symlink("c/d/l", "x")))
	must(t, tg.Mkdir(directory("e/f/g")))
	must(t, tg.Link(file("h/i"), "a/b/f"))
	if m := lstat(t, dir, "e/f/g").Mode & 0o7777; m != 0o700 {
		t.Errorf("mode %o before SetDirMeta", m)
	}
	if _, err := tg.Create(file("a/b/f/x")); !errors.Is(err, unix.ENOTDIR) {
		t.Errorf("below a file: %v", err)
	}
}

func TestInheritedACL(t *testing.T) {
	needsRoot(t)
	dir := t.TempDir()
	run(t, "setfacl", "-m", "d:u:4711:rwx,d:m::rwx", dir)
	tg := newTarget(t, dir, TargetOptions{})
	must(t, write(tg, file("f"), "x"))
	must(t, tg.Mkdir(directory("d")))
	must(t, tg.SetDirMeta(directory("d")))
	must(t, tg.Make(&archive.Entry{Path: "p", Type: archive.Fifo, Mode: 0o660}))
	for _, name := range []string{"f", "d", "p"} {
		if out := runIn(t, dir, "getfacl", "-n", name); strings.Contains(out, "4711") {
			t.Errorf("%s lets in who is in the directory's ACL:\n%s", name, out)
		}
	}
}

func TestSparse(t *testing.T) {
	const size = 4<<20 + 100
	rnd := rand.New(rand.NewPCG(3, 4))
	content := make([]byte, size)
	copy(content[1<<20:], "data")
	copy(content[3<<20-2:], "astride a block")
	for name, chunk := range map[string]func() int{
		"whole":  func() int { return size },
		"64 KiB": func() int { return 64 << 10 },
		"odd":    func() int { return 1 + rnd.IntN(20_000) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			tg := newTarget(t, dir, TargetOptions{})
			e := file("f")
			e.Sparse = true
			f, err := tg.Create(e)
			must(t, err)
			for rest := content; len(rest) > 0; {
				n := min(len(rest), chunk())
				_, err := f.Write(rest[:n])
				must(t, err)
				rest = rest[n:]
			}
			must(t, f.Commit(e))
			if got, err := os.ReadFile(filepath.Join(dir, "f")); err != nil || !bytes.Equal(got, content) {
				t.Errorf("content differs: %v", err)
			}
			if st := lstat(t, dir, "f"); st.Blocks*512 > 64<<10 {
				t.Errorf("%d blocks", st.Blocks)
			}
			if !scan(t, dir)["f"].Sparse {
				t.Error("the scan does not find it sparse")
			}
		})
	}
}

// Writes in any order give what they give in memory, sparse or not.
func TestRandomWrites(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	dir := t.TempDir()
	tg := newTarget(t, dir, TargetOptions{Overwrite: true})
	for i := range 60 {
		e := file("f")
		e.Sparse = i%2 == 0
		f, err := tg.Create(e)
		must(t, err)
		var model []byte
		grow := func(n int) {
			if n > len(model) {
				model = append(model, make([]byte, n-len(model))...)
			}
		}
		for range 8 {
			if rnd.IntN(5) == 0 {
				n := rnd.IntN(40_000)
				must(t, f.Truncate(int64(n)))
				grow(n)
				model = model[:n]
				continue
			}
			off, p := rnd.IntN(30_000), make([]byte, rnd.IntN(20_000))
			if rnd.IntN(2) == 0 {
				for k := rnd.IntN(3); k > 0 && len(p) > 0; k-- {
					p[rnd.IntN(len(p))] = byte(rnd.Uint32())
				}
			}
			_, err := f.WriteAt(p, int64(off))
			must(t, err)
			if len(p) > 0 {
				grow(off + len(p))
			}
			copy(model[min(off, len(model)):], p)
		}
		must(t, f.Commit(e))
		if got, err := os.ReadFile(filepath.Join(dir, "f")); err != nil || !bytes.Equal(got, model) {
			t.Fatalf("round %d: %d bytes, want %d: %v", i, len(got), len(model), err)
		}
	}
	f, err := tg.Create(file("g"))
	must(t, err)
	if _, err := f.WriteAt([]byte("x"), -1); !errors.Is(err, unix.EINVAL) {
		t.Errorf("negative offset: %v", err)
	}
	if err := f.Commit(file("g")); !errors.Is(err, unix.EINVAL) {
		t.Errorf("Commit after an error: %v", err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "g")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a failed file stays: %v", err)
	}
}

func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("mount a tmpfs: %v", err)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	tg := newTarget(t, dir, TargetOptions{})
	err := write(tg, file("big"), strings.Repeat("x", 1<<20))
	if !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), `"big"`) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "big")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file stays: %v", err)
	}
	must(t, write(tg, file("small"), "x"))
}

func TestOwnerByName(t *testing.T) {
	needsRoot(t)
	dir := t.TempDir()
	for _, tc := range []struct {
		numeric          bool
		user, group      string
		uid, gid         int
		wantUID, wantGID uint32
	}{
		{false, "local", "local", 1, 1, 4711, 4712},
		{true, "local", "local", 1, 2, 1, 2},
		{false, "unknown", "", 5, 6, 5, 6},
	} {
		tg := newTarget(t, dir, TargetOptions{Numeric: tc.numeric, Overwrite: true})
		tg.ids = &idNames{parseIDs("local:x:4711:"), parseIDs("local:x:4712:")}
		e := file("f")
		e.UID, e.GID, e.User, e.Group = tc.uid, tc.gid, tc.user, tc.group
		must(t, write(tg, e, ""))
		if st := lstat(t, dir, "f"); st.Uid != tc.wantUID || st.Gid != tc.wantGID {
			t.Errorf("%+v: owner %d:%d", tc, st.Uid, st.Gid)
		}
	}
}

func TestConcurrentWriters(t *testing.T) {
	dir := t.TempDir()
	tg := newTarget(t, dir, TargetOptions{Overwrite: true})
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 100 {
				path := filepath.Join("d", string(rune('a'+i%5)), string(rune('a'+w)))
				if err := write(tg, file(path), path); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for path, e := range scan(t, dir) {
		if e.Type == archive.Regular && e.Size != int64(len(path)) {
			t.Errorf("%q has %d bytes", path, e.Size)
		}
	}
}
