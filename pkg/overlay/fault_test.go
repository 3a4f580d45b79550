package overlay

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"tklbam/chain/archive"
)

var errFault = errors.New("injected")

// A fault makes steps fail: the n-th, or all from the n-th on, which is what
// a kill before the n-th leaves. It remembers how much of the journal is on
// disk.
type fault struct {
	n      int
	kill   bool
	count  int
	scene  *scene
	synced int64
	fired  bool
}

func (f *fault) step(name string) error {
	f.count++
	if f.count == f.n || f.kill && f.count > f.n {
		f.fired = true
		return errFault
	}
	if name == "sync journal" {
		f.synced = f.journalSize()
	}
	return nil
}

func (f *fault) journalSize() int64 {
	for _, dir := range []string{f.scene.record, f.scene.record + ".new"} {
		if st, err := os.Stat(filepath.Join(dir, "journal")); err == nil {
			return st.Size()
		}
	}
	return 0
}

// losePower cuts off the journal what was not synced.
func (f *fault) losePower(t *testing.T) {
	name := filepath.Join(f.scene.record, "journal")
	if _, err := os.Stat(name); err == nil {
		must(t, os.Truncate(name, f.synced))
	}
}

// faultScenes are where faults are tried: with the record on the same file
// system and on another.
func faultScenes(t *testing.T, try func(t *testing.T, s *scene, consume bool)) {
	mem := inMemory(t)
	t.Run("one file system", func(t *testing.T) { try(t, everyKind(t, mem, mem), true) })
	t.Run("random", func(t *testing.T) { try(t, newScene(t, 7, 14, mem, mem, mem), false) })
	t.Run("random, record elsewhere", func(t *testing.T) {
		try(t, newScene(t, 34, 25, mem, mem, otherFS(t, "64m")), false)
	})
	t.Run("record elsewhere", func(t *testing.T) { try(t, everyKind(t, mem, otherFS(t, "64m")), false) })
}

// everyKind is a scene with every action and change of type.
func everyKind(t *testing.T, live, record string) *scene {
	s := everyKindIn(live, record)
	s.reset(t)
	return s
}

func everyKindIn(live, record string) *scene {
	uid, gid := os.Geteuid(), os.Getegid()
	file := func(content string, mode uint32) *node {
		return &node{typ: archive.Regular, mode: mode, uid: uid, gid: gid, mtime: 1e18, content: content}
	}
	dir := &node{typ: archive.Directory, mode: 0o755, uid: uid, gid: gid, mtime: modTime}
	link := &node{typ: archive.Symlink, mode: 0o777, uid: uid, gid: gid, mtime: modTime, content: "nowhere"}
	twice, again := file("two names", 0o4755), file("two other names", 0o600)
	labelled := file("with an attribute", 0o640)
	labelled.xattr = "x"
	s := &scene{
		root: filepath.Join(live, "root"), extract: filepath.Join(live, "extract"), record: filepath.Join(record, "rollback"),
		loose: live != record,
		from: shape{
			"etc": dir, "etc/passwd": file("old", 0o644), "etc/keep": file("kept", 0o644),
			"data": dir, "data/x": twice, "data/sub": dir, "data/sub/y": twice, "data/l": link,
			"f": labelled, "l": link, "old": dir, "old/gone": file("gone", 0o4711), "p": {typ: archive.Fifo, mode: 0o600, uid: uid, gid: gid},
		},
		to: shape{
			"etc": dir, "etc/passwd": file("new", 0o600), "etc/keep": file("kept", 0o2755),
			"data": link, "f": dir, "f/new": file("below a file", 0o644), "l": labelled,
			"n": dir, "n/m": dir, "n/m/one": again, "n/two": again, "p": dir,
		},
	}
	s.plan = plan(s.from, s.to)
	for i, a := range s.plan {
		if a.Path == "etc/passwd" {
			s.plan[i] = PutBytes(a.Path, []byte("new"), 0o600, uid, gid)
		}
	}
	return s
}

// everyStep runs until no step is left to fail.
func everyStep(t *testing.T, s *scene, kill bool, run func(f *fault)) {
	t.Helper()
	n := 1
	for {
		s.reset(t)
		f := &fault{n: n, kill: kill, scene: s}
		run(f)
		if t.Failed() {
			t.Fatalf("step %d of %d", n, f.count)
		}
		if !f.fired {
			break
		}
		n++
	}
	t.Logf("%d steps", n-1)
}

// TestKilledApply kills a restore before each of its steps, with and without
// losing what was not synced.
func TestKilledApply(t *testing.T) {
	faultScenes(t, func(t *testing.T, s *scene, consume bool) {
		everyStep(t, s, true, func(f *fault) {
			s.apply(t, consume, f.step)
			if f.n%2 == 0 {
				f.losePower(t)
			}
			s.undoneAfterKill(t)
		})
	})
}

func (s *scene) undoneAfterKill(t *testing.T) {
	t.Helper()
	if _, err := s.undo(t, nil); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	same(t, "undone", s.links(snapshot(t, s.root)), s.before)
}

// TestFailingApply fails each step of a restore once. The restore goes on, or
// ends, and can be undone.
func TestFailingApply(t *testing.T) {
	faultScenes(t, func(t *testing.T, s *scene, consume bool) {
		everyStep(t, s, false, func(f *fault) {
			res, err := s.apply(t, consume, f.step)
			if f.fired && err == nil && res.Failed == 0 && len(res.Losses) == 0 {
				// A move that fails is made good by a copy.
				same(t, "applied all the same", s.comparable(snapshot(t, s.root)), s.want)
			}
			s.undoneAfterKill(t)
		})
	})
}

// TestKilledUndo kills a rollback before each of its steps, and runs it again.
func TestKilledUndo(t *testing.T) {
	faultScenes(t, func(t *testing.T, s *scene, consume bool) {
		everyStep(t, s, true, func(f *fault) {
			_, err := s.apply(t, consume, nil)
			must(t, err)
			s.undo(t, f.step)
			s.undoneAfterKill(t)
		})
	})
}

// TestFailingUndo fails each step of a rollback once, and runs it again.
func TestFailingUndo(t *testing.T) {
	faultScenes(t, func(t *testing.T, s *scene, consume bool) {
		everyStep(t, s, false, func(f *fault) {
			_, err := s.apply(t, consume, nil)
			must(t, err)
			res, err := s.undo(t, f.step)
			if f.fired && err == nil && res.Done() {
				same(t, "undone all the same", s.links(snapshot(t, s.root)), s.before)
			}
			s.undoneAfterKill(t)
		})
	})
}

// TestKilledTwice kills a restore and then its rollback, again and again.
func TestKilledTwice(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	faultScenes(t, func(t *testing.T, s *scene, consume bool) {
		for range 100 {
			s.reset(t)
			f := &fault{n: 1 + r.IntN(200), kill: true, scene: s}
			s.apply(t, consume, f.step)
			for range r.IntN(4) {
				g := &fault{n: 1 + r.IntN(80), kill: true, scene: s}
				s.undo(t, g.step)
			}
			s.undoneAfterKill(t)
			if t.Failed() {
				t.Fatalf("killed at %d", f.n)
			}
		}
	})
}
