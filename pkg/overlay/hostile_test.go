package overlay

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tklbam/pkg/rollback"
)

// A set is what Apply works with: a root and an extract, both empty at first.
type set struct {
	Options
	dir string
	log *reports
}

func newPlace(t *testing.T, dir string) *set {
	t.Helper()
	p := &set{dir: dir, log: &reports{}}
	p.Root, p.Extract, p.Reporter = filepath.Join(dir, "root"), filepath.Join(dir, "extract"), p.log
	p.Now = time.Unix(1e9, 0)
	must(t, os.MkdirAll(p.Root, 0o755))
	must(t, os.MkdirAll(p.Extract, 0o755))
	return p
}

// plant makes files below a directory: "path", "path/" and "path -> target".
func plant(t *testing.T, dir string, paths ...string) {
	t.Helper()
	for _, p := range paths {
		p, target, link := strings.Cut(p, " -> ")
		full := filepath.Join(dir, p)
		must(t, os.MkdirAll(filepath.Dir(full), 0o755))
		switch {
		case link:
			must(t, os.Symlink(target, full))
		case strings.HasSuffix(p, "/"):
			must(t, os.MkdirAll(full, 0o755))
		default:
			must(t, os.WriteFile(full, []byte(dir+p), 0o644))
		}
	}
}

func (p *set) apply(t *testing.T, plan ...Action) Result {
	t.Helper()
	res, err := Apply(context.Background(), plan, p.Options)
	must(t, err)
	return res
}

func (p *set) begin(t *testing.T) *rollback.Journal {
	t.Helper()
	j, err := rollback.Begin(filepath.Join(p.dir, "rollback"), rollback.Options{Root: p.Root, Now: p.Now})
	must(t, err)
	t.Cleanup(func() { must(t, j.Close()) })
	p.Journal = j
	return j
}

// refused applies an action that must be passed over and leave all as it was.
func (p *set) refused(t *testing.T, want error, act Action) {
	t.Helper()
	before := snapshot(t, p.dir)
	n := len(p.log.errs)
	res := p.apply(t, act)
	if res.Failed != 1 || !slices.Equal(res.Paths, []string{act.Path}) {
		t.Errorf("%q: %+v", act.Path, res)
	}
	if len(p.log.errs) != n+1 || !errors.Is(p.log.errs[n], want) {
		t.Errorf("%q: %v", act.Path, p.log.errs[n:])
	}
	same(t, "refused "+act.Path, withoutTimes(snapshot(t, p.dir)), withoutTimes(before))
}

func withoutTimes(lines map[string]string) map[string]string {
	for p, line := range lines {
		lines[p] = dirTime.ReplaceAllString(line, "$1")
		if strings.HasPrefix(p, "rollback/journal") || strings.HasPrefix(p, "rollback/originals/") {
			delete(lines, p)
		}
	}
	return lines
}

func (p *set) content(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(p.Root, path))
	must(t, err)
	return string(data)
}

// TestBadPaths refuses paths that are none below the root.
func TestBadPaths(t *testing.T) {
	p := newPlace(t, inMemory(t))
	for _, path := range []string{"", ".", "..", "../x", "a/../../x", "/etc/passwd", "a//b", "a/./b", "nul\x00"} {
		for _, act := range []Action{Put(path), PutBytes(path, nil, 0, 0, 0), MakeDir(path, 0o755, 0, 0), Chown(path, 1, 1), Chmod(path, 0), Remove(path)} {
			res := p.apply(t, act)
			if res.Failed != 1 {
				t.Errorf("%s %q: %+v", act.Op, path, res)
			}
		}
	}
	if names, err := os.ReadDir(p.dir); err != nil || len(names) != 2 {
		t.Errorf("%v %v", names, err)
	}
}

// TestThroughSymlinks uses symlinked directories of the system, as long as
// they stay below the root.
func TestThroughSymlinks(t *testing.T) {
	for _, c := range []struct{ link, path, real string }{
		{"lib -> usr/lib", "lib/f", "usr/lib/f"},
		{"lib -> usr/lib", "lib/sub/deep/f", "usr/lib/sub/deep/f"},
		{"var/run -> /usr/lib", "var/run/f", "usr/lib/f"},
		{"up -> ../../../../usr/lib", "up/f", "usr/lib/f"},
		{"all -> /", "all/usr/lib/f", "usr/lib/f"},
		{"dots -> usr/./lib/../lib/", "dots/f", "usr/lib/f"},
	} {
		t.Run(c.link, func(t *testing.T) {
			p := newPlace(t, inMemory(t))
			plant(t, p.Root, "usr/lib/", c.link)
			plant(t, p.Extract, c.path)
			j := p.begin(t)
			if res := p.apply(t, Put(c.path)); res.Done != 1 || len(p.log.through) != 1 {
				t.Fatalf("%+v %q %q", res, p.log.passed, p.log.through)
			}
			if got := p.content(t, c.real); got != p.Extract+c.path {
				t.Errorf("got %q", got)
			}
			must(t, j.Close())
			p.undo(t)
			if _, err := os.Lstat(filepath.Join(p.Root, c.real)); !errors.Is(err, fs.ErrNotExist) {
				t.Error(err)
			}
		})
	}
}

func (p *set) undo(t *testing.T) {
	t.Helper()
	r, err := rollback.Open(filepath.Join(p.dir, "rollback"))
	must(t, err)
	defer r.Close()
	res, err := r.Undo(context.Background(), rollback.UndoOptions{Root: p.Root})
	must(t, err)
	if !res.Done() || res.Passed > 0 {
		t.Errorf("%+v", res)
	}
}

// TestRefusedSymlinks does not follow symlinks that lead nowhere, in circles,
// or that their owner could have laid as a trap.
func TestRefusedSymlinks(t *testing.T) {
	p := newPlace(t, inMemory(t))
	plant(t, p.Root, "etc/passwd", "home/u/", "home/u/mine/", "file",
		"dangling -> nowhere", "a -> b", "b -> a", "self -> self/x", "notdir -> file", "out -> /../..")
	plant(t, p.Extract, "dangling/f", "a/f", "self/f", "notdir/f", "home/u/trap/passwd", "home/u/ok/f")
	plant(t, p.Root, "home/u/trap -> /etc", "home/u/ok -> mine")
	for _, path := range []string{"dangling/f", "a/f", "self/f", "notdir/f"} {
		p.refused(t, ErrSymlink, Put(path))
	}
	needsRoot(t)
	for _, path := range []string{"home/u/trap", "home/u/ok", "home/u/mine"} {
		must(t, os.Lchown(filepath.Join(p.Root, path), 1000, 1000))
	}
	p.refused(t, ErrSymlink, Put("home/u/trap/passwd"))
	p.refused(t, ErrSymlink, PutBytes("home/u/trap/passwd", nil, 0o644, 0, 0))
	p.refused(t, ErrSymlink, Chown("home/u/trap/passwd", 1000, 1000))
	p.refused(t, ErrSymlink, Remove("home/u/trap/passwd"))
	p.refused(t, ErrSymlink, MakeDir("home/u/trap/d", 0o755, 0, 0))
	if res := p.apply(t, Put("home/u/ok/f")); res.Done != 1 {
		t.Errorf("%+v %q", res, p.log.passed)
	}
	// An explicit directory takes the place of a symlink that is no use.
	if res := p.apply(t, MakeDir("dangling", 0o755, 0, 0), Put("dangling/f")); res.Done != 2 {
		t.Errorf("%+v %q", res, p.log.passed)
	}
}

// TestPlantedSymlinks does not follow what the restore itself put there,
// within a window and after.
func TestPlantedSymlinks(t *testing.T) {
	for _, between := range []int{0, windowLen} {
		p := newPlace(t, inMemory(t))
		plant(t, p.Root, "etc/passwd", "was/dir/")
		plant(t, p.Extract, "evil -> /etc", "evil2 -> etc", "was -> etc")
		plan := []Action{Put("evil"), Put("evil2"), Put("was")}
		for range between {
			plan = append(plan, Chmod("etc", 0o755))
		}
		good := len(plan)
		for _, path := range []string{"evil/passwd", "evil2/passwd", "was/passwd", "evil/new"} {
			plan = append(plan, PutBytes(path, []byte("pwned"), 0o644, 0, 0), Chmod(path, 0o777))
		}
		res := p.apply(t, plan...)
		if res.Done != good || p.content(t, "etc/passwd") != p.Root+"etc/passwd" {
			t.Errorf("%+v %q", res, p.log.passed)
		}
		for _, err := range p.log.errs {
			if !errors.Is(err, ErrSymlink) {
				t.Error(err)
			}
		}
	}
}

// TestProtected keeps off the extract and the record, and does not move them
// away with a directory that holds them.
func TestProtected(t *testing.T) {
	p := newPlace(t, inMemory(t))
	p.Root = p.dir
	plant(t, p.Extract, "extract", "rollback/journal", "mine/f", "holds -> elsewhere")
	plant(t, p.dir, "mine/f", "up/and -> ..", "holds/mine/")
	p.Protect = []string{filepath.Join(p.dir, "mine"), filepath.Join(p.dir, "holds/mine"), filepath.Join(p.dir, "absent")}
	p.begin(t)
	for _, act := range []Action{
		Put("extract"), Put("rollback/journal"), Put("mine/f"), Remove("mine/f"), Chmod("extract", 0),
		PutBytes("up/and/mine/g", nil, 0, 0, 0), MakeDir("mine/d", 0o755, 0, 0), Put("holds"), PutBytes("holds", nil, 0, 0, 0),
	} {
		p.refused(t, ErrProtected, act)
	}
}

// TestBackupWithOddTypes refuses what an extract cannot mean.
func TestBackupWithOddTypes(t *testing.T) {
	p := newPlace(t, inMemory(t))
	plant(t, p.Extract, "dir/", "link -> dir")
	must(t, unix.Mknod(filepath.Join(p.Extract, "sock"), unix.S_IFSOCK|0o600, 0))
	p.refused(t, unix.EISDIR, Put("dir"))
	p.refused(t, unix.EINVAL, Put("sock"))
	p.refused(t, fs.ErrNotExist, Put("absent"))
	p.refused(t, unix.ENOTDIR, Put("link/f"))
}
