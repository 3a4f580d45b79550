package tree

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"tklbam/chain/archive"
)

// A sandbox is a directory that holds a target and, beside it, a file and a
// directory that no entry may reach.
func sandbox(t *testing.T) (base, root string) {
	base = t.TempDir()
	plant(t, base, "root/", "outside/secret", "passwd")
	return base, filepath.Join(base, "root")
}

// untouched checks that nothing beside the target changed.
func untouched(t *testing.T, base string) {
	t.Helper()
	var got []string
	for path, e := range scan(t, base) {
		if !strings.HasPrefix(path, "root/") {
			got = append(got, fmt.Sprint(path, e.Type, e.Size, e.Mode, e.Links))
		}
	}
	if len(got) != 5 || len(scan(t, base)["outside/secret"].Xattrs) > 0 {
		t.Errorf("outside the target: %q", got)
	}
	for _, path := range []string{"outside/secret", "passwd"} {
		if content, err := os.ReadFile(filepath.Join(base, path)); err != nil || string(content) != path {
			t.Errorf("%q: %q %v", path, content, err)
		}
		if st := lstat(t, base, path); st.Nlink != 1 || st.Mode&0o7777 != 0o644 {
			t.Errorf("%q: %d links, mode %o", path, st.Nlink, st.Mode)
		}
	}
}

// everything tries all that a Target can do with a path.
func everything(tg *Target, path string) map[string]error {
	dir, special := directory(path), &archive.Entry{Path: path, Type: archive.Fifo, Mode: 0o666}
	f := file(path)
	f.Mode = 0o4777
	return map[string]error{
		"Create":     write(tg, f, "evil"),
		"Mkdir":      tg.Mkdir(dir),
		"SetDirMeta": tg.SetDirMeta(dir),
		"Make":       tg.Make(special),
		"symlink":    tg.Make(symlink(path, "x")),
		"Link":       tg.Link(file(path), "inside"),
		"Link from":  tg.Link(file("fromhere"), path),
	}
}

func TestHostilePaths(t *testing.T) {
	for _, overwrite := range []bool{false, true} {
		base, root := sandbox(t)
		plant(t, root, "inside")
		tg := newTarget(t, root, TargetOptions{Overwrite: overwrite})
		for _, path := range []string{
			"..", "../passwd", "../outside/secret", "a/../../passwd", "a/..", "/etc/passwd", base + "/passwd", "/",
			".", "./x", "a/./x", "a//x", "a/", "x\x00", "a\x00/x", "inside/../x",
		} {
			for what, err := range everything(tg, path) {
				if !errors.Is(err, fs.ErrInvalid) && !errors.Is(err, unix.ENOTDIR) && !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("%s(%q) = %v", what, path, err)
				}
			}
		}
		untouched(t, base)
	}
}

// Symlinks from the entries themselves lead nowhere.
func TestHostileSymlinks(t *testing.T) {
	for _, overwrite := range []bool{false, true} {
		base, root := sandbox(t)
		plant(t, root, "inside")
		tg := newTarget(t, root, TargetOptions{Overwrite: overwrite})
		must(t, tg.Make(symlink("up", "../outside")))
		must(t, tg.Make(symlink("abs", filepath.Join(base, "outside"))))
		must(t, tg.Make(symlink("self", ".")))
		must(t, tg.Make(symlink("d/file", "../../passwd")))
		for _, path := range []string{"up/secret", "up/new", "abs/secret", "self/inside", "self/new", "up/new/deeper"} {
			for what, err := range everything(tg, path) {
				if !errors.Is(err, unix.ENOTDIR) {
					t.Errorf("%s(%q) = %v", what, path, err)
				}
			}
		}
		for what, err := range map[string]error{
			"link to a symlink":        tg.Link(file("h"), "d/file"),
			"link to a directory":      tg.Link(file("h"), "d"),
			"metadata through symlink": tg.SetDirMeta(directory("up")),
		} {
			if err == nil {
				t.Errorf("%s succeeds", what)
			}
		}
		err := write(tg, file("d/file"), "evil")
		if overwrite != (err == nil) {
			t.Errorf("writing to the name of a symlink: %v", err)
		}
		untouched(t, base)
	}
}

// A directory entry, then a symlink entry of the same name, then a file below.
func TestHostileReplacedByEntries(t *testing.T) {
	base, root := sandbox(t)
	tg := newTarget(t, root, TargetOptions{Overwrite: true})
	must(t, tg.Mkdir(directory("a/b")))
	must(t, write(tg, file("a/b/x"), "1"))
	must(t, tg.Link(file("l"), "a/b/x"))
	must(t, tg.Make(symlink("a", "../outside")))
	for what, err := range everything(tg, "a/secret") {
		if !errors.Is(err, unix.ENOTDIR) {
			t.Errorf("%s = %v", what, err)
		}
	}
	if err := tg.Link(file("m"), "a/b/x"); !errors.Is(err, unix.ENOTDIR) {
		t.Errorf("link to what is gone: %v", err)
	}
	must(t, tg.Mkdir(directory("a")))
	must(t, write(tg, file("a/y"), "2"))
	untouched(t, base)
}

// Somebody else moves the directory and puts a symlink in its place. While
// the descriptor is held, writing goes on in the directory itself, wherever it
// is; afterwards the symlink is refused. It is never followed.
func TestHostileReplacedByOthers(t *testing.T) {
	base, root := sandbox(t)
	tg := newTarget(t, root, TargetOptions{Overwrite: true})
	in := func(p string) string { return filepath.Join(root, p) }
	must(t, tg.Mkdir(directory("a")))
	f, err := tg.Create(file("a/open"))
	must(t, err)
	must(t, os.Rename(in("a"), in("moved")))
	must(t, os.Symlink("../outside", in("a")))
	must(t, write(tg, file("a/held"), "x"))
	must(t, f.Commit(file("a/open")))
	for _, name := range []string{"moved/held", "moved/open"} {
		if lstat(t, root, name).Mode&unix.S_IFMT != unix.S_IFREG {
			t.Errorf("%s is not where its directory is", name)
		}
	}
	must(t, write(tg, file("elsewhere/x"), "x"))
	for what, err := range everything(tg, "a/secret") {
		if !errors.Is(err, unix.ENOTDIR) {
			t.Errorf("%s = %v", what, err)
		}
	}
	untouched(t, base)
}

// Overwriting a directory that holds a symlink removes the link, not what it
// leads to.
func TestHostileRemoval(t *testing.T) {
	base, root := sandbox(t)
	plant(t, root, "d/e/")
	must(t, os.Symlink("../../../outside", filepath.Join(root, "d/e/l")))
	tg := newTarget(t, root, TargetOptions{Overwrite: true})
	must(t, write(tg, file("d"), "a file now"))
	untouched(t, base)
}

func TestHostileEntries(t *testing.T) {
	base, root := sandbox(t)
	tg := newTarget(t, root, TargetOptions{})
	for i, e := range []*archive.Entry{
		{Path: "a", Type: 0},
		{Path: "a", Type: 99},
		{Path: "a", Type: archive.Symlink},
		{Path: "a", Type: archive.Symlink, Linkname: strings.Repeat("x", 5000)},
		{Path: "a", Type: archive.Symlink, Linkname: "x\x00y"},
	} {
		if err := tg.Make(e); err == nil {
			t.Errorf("entry %d is made", i)
		}
	}
	for what, err := range map[string]error{
		"a file by Make":      tg.Make(file("a")),
		"a file by Mkdir":     tg.Mkdir(file("a")),
		"a file's SetDirMeta": tg.SetDirMeta(file("a")),
		"a directory's data":  write(tg, directory("a"), ""),
	} {
		if !errors.Is(err, unix.EINVAL) {
			t.Errorf("%s: %v", what, err)
		}
	}
	var lost []string
	tg = newTarget(t, root, TargetOptions{Degraded: func(path string, what Loss, err error) {
		lost = append(lost, fmt.Sprint(path, " ", what))
		if err == nil {
			t.Error("a loss without a reason")
		}
	}})
	odd := file("odd")
	odd.UID, odd.GID, odd.Mode = -1, math.MaxInt, 1<<31|0o6755
	odd.Xattrs = []archive.Xattr{{Name: ""}, {Name: "nonsense"}, {Name: "user.\x00", Value: "x"},
		{Name: "user." + strings.Repeat("n", 300)}, {Name: "user.big", Value: strings.Repeat("v", 1<<20)}, {Name: aclAccess, Value: "bad"}}
	must(t, write(tg, odd, "x"))
	if got := strings.Join(lost, ", "); got != "odd owner, odd extended attribute, odd set-id bits" {
		t.Errorf("lost: %s", got)
	}
	if n := tg.Stats()[LostXattr]; n != len(odd.Xattrs) {
		t.Errorf("%d attributes counted", n)
	}
	if st := lstat(t, root, "odd"); st.Mode&0o7777 != 0o755 {
		t.Errorf("mode %o: the set-id bits stay though the owner is wrong", st.Mode&0o7777)
	}
	untouched(t, base)
}

func TestLongNames(t *testing.T) {
	root := t.TempDir()
	tg := newTarget(t, root, TargetOptions{Overwrite: true})
	name := strings.Repeat("n", 255)
	plant(t, root, "inside")
	for range 2 {
		must(t, write(tg, file(name+"/"+name), "x"))
		must(t, tg.Make(symlink(name+"/l"+name[1:], name)))
	}
	for what, err := range everything(tg, name+"x") {
		if !errors.Is(err, unix.ENAMETOOLONG) {
			t.Errorf("%s of 256 bytes: %v", what, err)
		}
	}
	for what, err := range everything(tg, name+"x/y") {
		if !errors.Is(err, unix.ENAMETOOLONG) {
			t.Errorf("%s below 256 bytes: %v", what, err)
		}
	}
}

// Whatever a path is, writing to it makes a file of that path below the
// target or an error, and nothing beside the target.
func FuzzHostilePath(f *testing.F) {
	for _, path := range []string{"a", "a/b", "../x", "/etc/x", "up/x", "up", "d/../../x", "a//b", ".", "", "d/./x", "\xff/\n", "x\x00"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		base := inMemory(t)
		root := filepath.Join(base, "root")
		plant(t, base, "root/d/", "outside/")
		must(t, os.Symlink("../outside", filepath.Join(root, "up")))
		tg := newTarget(t, root, TargetOptions{Overwrite: true})
		err := write(tg, file(path), "x")
		found := scan(t, base)
		if e := found["root/"+path]; (err == nil) != (e != nil && e.Type == archive.Regular) {
			t.Fatalf("%v, but the entry is %v", err, e)
		}
		for p := range found {
			if p != "" && p != "outside" && !archive.Within(p, "root") {
				t.Fatalf("%q was made", p)
			}
		}
	})
}
