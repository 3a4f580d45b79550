package tree

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tklbam/chain/archive"
)

func TestScanOrder(t *testing.T) {
	dir := t.TempDir()
	plant(t, dir, "a/b", "a.d/z", "a.txt", "a/b.c/d", "a/b0", "é/x", "\xff", "new\nline", "Z/", strings.Repeat("n", 255), "a-/x", "a/!/x")
	got := paths(collect(t, newSource(t, Options{Root: dir})))
	var want []string
	must(t, filepath.WalkDir(dir, func(p string, _ fs.DirEntry, err error) error {
		want = append(want, strings.TrimPrefix(strings.TrimPrefix(p, dir), "/"))
		return err
	}))
	slices.SortFunc(want, archive.Compare)
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestScanManyBatches(t *testing.T) {
	dir := inMemory(t)
	for i := range 3000 {
		plant(t, dir, fmt.Sprintf("%d/%d", i%7, i))
	}
	got := paths(collect(t, newSource(t, Options{Root: dir})))
	if len(got) != 3008 || !slices.IsSortedFunc(got, archive.Compare) {
		t.Errorf("%d paths, sorted: %v", len(got), slices.IsSortedFunc(got, archive.Compare))
	}
}

// The stat program is the oracle for what an entry says.
func TestScanMetadata(t *testing.T) {
	needs(t, "stat")
	dir := t.TempDir()
	plant(t, dir, "file", "dir/", "suid")
	in := func(name string) string { return filepath.Join(dir, name) }
	must(t, os.Symlink("no/where\xff", in("link")))
	must(t, unix.Mkfifo(in("fifo"), 0o640))
	must(t, os.Chmod(in("suid"), 0o755|fs.ModeSetuid|fs.ModeSticky))
	must(t, os.Chtimes(in("file"), time.Time{}, time.Unix(-5, 123456789)))
	must(t, os.Truncate(in("file"), 1<<20))
	if os.Geteuid() == 0 {
		must(t, unix.Mknod(in("null"), unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3))))
		must(t, unix.Mknod(in("disk"), unix.S_IFBLK|0o600, int(unix.Mkdev(259, 77))))
		must(t, os.Lchown(in("dir"), 4711, 4712))
		must(t, os.Lchown(in("link"), 1, 2))
	}
	for path, e := range scan(t, dir) {
		full := in(path)
		want := strings.TrimSpace(run(t, "stat", "-c", "%a %u %g %U %G %d %i %t %T", full))
		got := fmt.Sprintf("%o %d %d %s %s %d %d %x %x", e.Mode, e.UID, e.GID,
			orUnknown(e.User), orUnknown(e.Group), e.Device, e.Inode, e.Major, e.Minor)
		if got != want {
			t.Errorf("%q: got %q, stat says %q", path, got, want)
		}
		st := lstat(t, full)
		if !e.ModTime.Equal(time.Unix(st.Mtim.Unix())) || !e.ChangeTime.Equal(time.Unix(st.Ctim.Unix())) {
			t.Errorf("%q: times %v %v", path, e.ModTime, e.ChangeTime)
		}
		if e.ModTime.Location() != time.UTC {
			t.Errorf("%q: not UTC", path)
		}
	}
	e := scan(t, dir)
	if f := e["file"]; f.Size != 1<<20 || !f.Sparse || f.ModTime.Unix() == 0 || f.Links != 0 {
		t.Errorf("file: %+v", f)
	}
	if e["suid"].Sparse || e["link"].Linkname != "no/where\xff" || e["link"].Size != 0 {
		t.Errorf("suid: %+v, link: %+v", e["suid"], e["link"])
	}
}

func orUnknown(name string) string {
	if name == "" {
		return "UNKNOWN"
	}
	return name
}

func TestScanHardLinks(t *testing.T) {
	dir := t.TempDir()
	plant(t, dir, "a/1", "b/1", "single")
	for _, pair := range [][2]string{{"a/1", "a/2"}, {"a/1", "c"}, {"b/1", "b/2"}} {
		must(t, os.Link(filepath.Join(dir, pair[0]), filepath.Join(dir, pair[1])))
	}
	must(t, os.Link(filepath.Join(dir, "b/1"), filepath.Join(t.TempDir(), "outside")))
	s := newSource(t, Options{Root: dir})
	got := make(map[string]string)
	for _, n := range collect(t, s) {
		if n.Entry.HardLink != "" {
			got[n.Entry.Path] = n.Entry.HardLink
		}
		if n.Entry.Path == "c" && n.Entry.Links != 3 {
			t.Errorf("c has %d links", n.Entry.Links)
		}
	}
	if want := map[string]string{"a/2": "a/1", "c": "a/1", "b/2": "b/1"}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if n := len(s.walk.links); n != 1 {
		t.Errorf("%d inodes remembered, want the one with a link outside", n)
	}
}

func TestScanSkipsSockets(t *testing.T) {
	dir := t.TempDir()
	plant(t, dir, "a", "z")
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	must(t, err)
	defer l.Close()
	var skipped []string
	s := newSource(t, Options{Root: dir, Skipped: func(p string) { skipped = append(skipped, p) }})
	if got := paths(collect(t, s)); !slices.Equal(got, []string{"", "a", "z"}) || !slices.Equal(skipped, []string{"s"}) {
		t.Errorf("got %q, skipped %q", got, skipped)
	}
	if _, err := s.Stat("s"); err == nil {
		t.Error("Stat of a socket succeeds")
	}
}

func TestScanFilters(t *testing.T) {
	dir := t.TempDir()
	plant(t, dir, "cache/x", "cache/keep/y", "tmp/a", "tmp/b", "tmp/b.c", "var/lib/z", "e/e/e/", "top")
	exclude := func(path string, dir bool) (bool, bool) {
		switch path {
		case "cache", "e":
			return true, true
		case "cache/x", "tmp", "e/e", "top":
			return true, false
		}
		return false, true
	}
	id, err := IdentityOf(filepath.Join(dir, "var/lib"))
	must(t, err)
	rootID, err := IdentityOf(dir)
	must(t, err)
	for _, tc := range []struct {
		name string
		opts Options
		want string
	}{
		{"nothing", Options{}, " cache cache/keep cache/keep/y cache/x e e/e e/e/e tmp tmp/a tmp/b tmp/b.c top var var/lib var/lib/z"},
		{"exclude", Options{Exclude: exclude}, " cache cache/keep cache/keep/y var var/lib var/lib/z"},
		{"skip", Options{Exclude: exclude, SkipDirs: []Identity{id, rootID}}, " cache cache/keep cache/keep/y var"},
		{"listed below an excluded one", Options{Exclude: exclude, Select: sel("+", "tmp/b", "tmp/b")},
			" cache cache/keep cache/keep/y tmp tmp/b var var/lib var/lib/z"},
		{"listed and excluded", Options{Exclude: exclude, Select: sel("tmp+", "top")}, " tmp tmp/a tmp/b tmp/b.c top"},
		{"the root alone", Options{Select: sel("")}, ""},
	} {
		tc.opts.Root = dir
		if got := strings.Join(paths(collect(t, newSource(t, tc.opts))), " "); got != tc.want {
			t.Errorf("%s:\ngot  %q\nwant %q", tc.name, got, tc.want)
		}
	}
}

// sel makes a list; a "+" at the end means recursive.
func sel(list ...string) []Selected {
	var s []Selected
	for _, p := range list {
		path, plus := strings.CutSuffix(p, "+")
		s = append(s, Selected{path, plus})
	}
	return s
}

func TestSelect(t *testing.T) {
	dir := t.TempDir()
	plant(t, dir, "a/b/c", "a/b/d", "a/b.x", "a/e", "f", "g/h/i", "g/h/j")
	must(t, os.Symlink("g", filepath.Join(dir, "l")))
	for _, tc := range []struct {
		list         []Selected
		want, absent string
	}{
		{sel("a/b/c"), " a a/b a/b/c", ""},
		{sel("g/h/i", "a/b/d", "a/b/c", "a/b/d"), " a a/b a/b/c a/b/d g g/h g/h/i", ""},
		{sel("a/b", "g+"), " a a/b g g/h g/h/i g/h/j", ""},
		{sel("a/b/c", "a/b+", "a/b"), " a a/b a/b/c a/b/d", ""},
		{sel("a+", "a/b/c", "a/zz", "a/0", "a/b/bb/b"), " a a/b a/b.x a/b/c a/b/d a/e", "a/0 a/b/bb/b a/zz"},
		{sel("f/x", "f", "x/y/z", "x"), " f", "f/x x x/y/z"},
		{sel("f/x+", "g/h/k"), "", "f/x g/h/k"},
		{sel("l/h", "l"), " l", "l/h"},
	} {
		var absent []string
		s := newSource(t, Options{Root: dir, Select: tc.list, Warn: func(p string, err error) {
			if !errors.Is(err, fs.ErrNotExist) {
				t.Error(err)
			}
			absent = append(absent, p)
		}})
		want := strings.Split(tc.want, " ")
		slices.SortFunc(want, archive.Compare)
		slices.Sort(absent)
		if got := paths(collect(t, s)); !slices.Equal(got, want) || strings.Join(absent, " ") != tc.absent {
			slices.Sort(absent)
			t.Errorf("%v:\ngot  %q absent %q\nwant %q absent %q", tc.list, got, absent, want, tc.absent)
		}
	}
	for _, bad := range []string{"/etc", "a/../b", "a//b", "a/"} {
		if _, err := NewSource(Options{Root: dir, Select: sel(bad)}); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

// Whatever is listed, the result is the listed paths that exist, what lies
// below the recursive ones, and all their parents, in order.
func TestSelectAgainstModel(t *testing.T) {
	dir := t.TempDir()
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 60 {
		p := fmt.Sprintf("%d/%d.%d/%d", rnd.IntN(3), rnd.IntN(3), rnd.IntN(2), rnd.IntN(4))
		plant(t, dir, p)
	}
	all := paths(collect(t, newSource(t, Options{Root: dir})))
	for range 300 {
		var list []Selected
		want := map[string]bool{"": true}
		for range 1 + rnd.IntN(6) {
			s := Selected{all[rnd.IntN(len(all))], rnd.IntN(3) == 0}
			list = append(list, s)
			for _, p := range all {
				if archive.Within(s.Path, p) || s.Recursive && archive.Within(p, s.Path) {
					want[p] = true
				}
			}
		}
		got := paths(collect(t, newSource(t, Options{Root: dir, Select: list})))
		if len(got) != len(want) || !slices.IsSortedFunc(got, archive.Compare) {
			t.Fatalf("%v: got %q, want %v", list, got, want)
		}
		for _, p := range got {
			if !want[p] {
				t.Fatalf("%v: %q is not wanted", list, p)
			}
		}
	}
}

func TestSelectManyAbsent(t *testing.T) {
	var list []Selected
	for i := range 50_000 {
		list = append(list, Selected{Path: fmt.Sprintf("gone/%d/%d", i%100, i)})
	}
	absent := 0
	s := newSource(t, Options{Root: t.TempDir(), Select: list, Warn: func(string, error) { absent++ }})
	start := time.Now()
	if n := len(collect(t, s)); n != 1 || absent != len(list) {
		t.Errorf("%d entries, %d absent", n, absent)
	}
	if d := time.Since(start); d > 2*time.Second {
		t.Errorf("took %v", d)
	}
}

func TestOneFileSystem(t *testing.T) {
	dir := t.TempDir()
	plant(t, dir, "a", "m/", "z")
	mount := filepath.Join(dir, "m")
	if err := unix.Mount("tmpfs", mount, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("mount a tmpfs: %v", err)
	}
	defer unix.Unmount(mount, unix.MNT_DETACH)
	plant(t, mount, "x", "d/y")
	for _, tc := range []struct {
		list []Selected
		want string
	}{
		{nil, " a m z"},
		{sel("+", "m/d+"), " a m m/d m/d/y z"},
		{sel("m+"), " m m/d m/d/y m/x"},
	} {
		s := newSource(t, Options{Root: dir, OneFileSystem: true, Select: tc.list})
		if got := strings.Join(paths(collect(t, s)), " "); got != tc.want {
			t.Errorf("%v: got %q, want %q", tc.list, got, tc.want)
		}
	}
}

// A name that vanishes after the listing is a warning, an unreadable one is not.
func TestVanished(t *testing.T) {
	dir := t.TempDir()
	plant(t, dir, "a/x", "b/y", "c/z", "d")
	var warned []string
	s := newSource(t, Options{
		Root: dir,
		Warn: func(p string, err error) { warned = append(warned, p) },
		Exclude: func(p string, _ bool) (bool, bool) {
			switch p { // between the listing of the root and the look at b and c
			case "a":
				must(t, os.RemoveAll(filepath.Join(dir, "b")))
				must(t, os.RemoveAll(filepath.Join(dir, "d")))
			case "c":
				must(t, os.RemoveAll(filepath.Join(dir, "c")))
				must(t, os.Symlink("/", filepath.Join(dir, "c")))
			}
			return false, true
		},
	})
	if got := paths(collect(t, s)); !slices.Equal(got, []string{"", "a", "a/x"}) || !slices.Equal(warned, []string{"b", "c", "d"}) {
		t.Errorf("got %q, warned %q", got, warned)
	}
}

func TestDeepScan(t *testing.T) {
	dir := inMemory(t)
	tg := newTarget(t, dir, TargetOptions{})
	path := strings.TrimSuffix(strings.Repeat("deep/", 3000), "/")
	must(t, tg.Mkdir(directory(path)))
	must(t, write(tg, file(path+"/f"), "bottom"))
	s := newSource(t, Options{Root: dir})
	nodes := collect(t, s)
	last := nodes[len(nodes)-1]
	if len(nodes) != 3002 || last.Err != nil || last.Entry.Path != path+"/f" {
		t.Fatalf("%d nodes, %v", len(nodes), last.Err)
	}
	if got := read(t, s, last.Entry); got != "bottom" {
		t.Errorf("read %q", got)
	}
	must(t, tg.root.RemoveAll("deep"))
}

func read(t *testing.T, s *Source, e *archive.Entry) string {
	t.Helper()
	f, err := s.Open(e)
	must(t, err)
	defer f.Close()
	content, err := io.ReadAll(f)
	must(t, err)
	return string(content)
}

func TestCloseEarly(t *testing.T) {
	dir := inMemory(t)
	for i := range 40 {
		for j := range 100 {
			plant(t, dir, fmt.Sprintf("%d/%d", i, j))
		}
	}
	for _, steps := range []int{0, 1, 300} {
		s, err := NewSource(Options{Root: dir})
		must(t, err)
		for range steps {
			_, err := s.Next(context.Background())
			must(t, err)
		}
		s.Close()
	}
	s := newSource(t, Options{Root: dir})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if len(collect(t, s)) != 4041 {
		t.Error("a cancelled Next lost something")
	}
	if _, err := NewSource(Options{Root: filepath.Join(dir, "gone")}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("root absent: %v", err)
	}
}

func TestOutOfDescriptors(t *testing.T) {
	w := &walker{}
	v := &visit{path: "a"}
	for _, err := range []error{
		w.unreadable(v, true, fmt.Errorf("open: %w", unix.EMFILE)),
		w.unlistable(v, &archive.Entry{Path: "a"}, unix.ENFILE),
	} {
		if err == nil || !strings.Contains(err.Error(), "too many open files") {
			t.Errorf("got %v", err)
		}
	}
}

func TestParseIDs(t *testing.T) {
	ids := parseIDs("root:x:0:0::/root:/bin/sh\n+::0:\nbad\nx:y\n#c:x:7:\nbig:x:99999999999:\nneg:x:-1:\na:x:5:\nb:x:5:\na:x:6:\nlast:x:9")
	if fmt.Sprint(ids.names) != "map[0:root 5:a 6:a 9:last]" || fmt.Sprint(ids.ids) != "map[a:5 b:5 last:9 root:0]" {
		t.Errorf("names %v, ids %v", ids.names, ids.ids)
	}
	if ids.or("b", 1) != 5 || ids.or("", 1) != 1 || ids.or("nobody", 2) != 2 {
		t.Error("wrong ids for names")
	}
}
