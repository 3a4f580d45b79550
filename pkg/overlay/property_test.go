package overlay

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"tklbam/chain/archive"
)

// TestThereAndBack applies random changes to random trees: the tree is then
// what the backup was; and undoes them: it is then what it was before.
func TestThereAndBack(t *testing.T) {
	mem := inMemory(t)
	for _, c := range []struct {
		name            string
		consume         bool
		extract, record string
	}{
		{"one file system", false, mem, mem},
		{"moved from the extract", true, mem, mem},
		{"extract elsewhere", true, "other", mem},
		{"record elsewhere", false, mem, "other"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, dir := range []*string{&c.extract, &c.record} {
				if *dir == "other" {
					*dir = otherFS(t, "64m")
				}
			}
			for seed := range uint64(60) {
				s := newScene(t, seed, 25, mem, c.extract, c.record)
				thereAndBack(t, s, c.consume)
				if t.Failed() {
					t.Fatalf("seed %d", seed)
				}
			}
		})
	}
}

func thereAndBack(t *testing.T, s *scene, consume bool) {
	res, err := s.apply(t, consume, nil)
	must(t, err)
	if res.Failed > 0 || res.Done != len(s.plan) {
		t.Errorf("%+v of %d", res, len(s.plan))
	}
	same(t, "applied", s.comparable(snapshot(t, s.root)), s.want)
	undone, err := s.undo(t, nil)
	must(t, err)
	if undone.Failed+undone.Passed > 0 {
		t.Errorf("%+v", undone)
	}
	same(t, "undone", s.links(snapshot(t, s.root)), s.before)
}

var dirTime = regexp.MustCompile(`^(4\d+ \d+:\d+) \d+`)

// comparable leaves out what nothing restores of directories that were there
// before: their times and attributes.
func (s *scene) comparable(lines map[string]string) map[string]string {
	for p, line := range lines {
		if n := s.from[p]; p == "." || n != nil && n.typ == archive.Directory {
			lines[p] = dirTime.ReplaceAllString(line, "$1")
			if i := strings.Index(lines[p], " user.test"); i >= 0 {
				lines[p] = lines[p][:i]
			}
		}
	}
	return lines
}

// TestOwners puts files through id maps, moved and copied: an owner is
// translated once, and set-id bits stay.
func TestOwners(t *testing.T) {
	needsRoot(t)
	for _, consume := range []bool{false, true} {
		t.Run(fmt.Sprint("consume=", consume), func(t *testing.T) {
			dir := inMemory(t)
			file := &node{typ: archive.Regular, mode: 0o6755, uid: 1000, gid: 1000, mtime: modTime, content: "x"}
			to := shape{
				"d":   {typ: archive.Directory, mode: 0o2750, uid: 1000, gid: 5, mtime: modTime},
				"d/f": file, "g": file,
				"l": {typ: archive.Symlink, mode: 0o777, uid: 2000, gid: 1000, mtime: modTime, content: "f"},
			}
			to.write(t, filepath.Join(dir, "extract"))
			shape{}.write(t, filepath.Join(dir, "root"))
			opts := Options{
				Root: filepath.Join(dir, "root"), Extract: filepath.Join(dir, "extract"), Consume: consume,
				UIDs: map[int]int{1000: 2000, 2000: 3000}, GIDs: map[int]int{1000: 1001, 1001: 1002},
			}
			apply(t, opts, Put("d/f"), Put("g"), Put("l"))
			moved := *file
			moved.uid, moved.gid = 2000, 1001
			want := shape{"d": {typ: archive.Directory, mode: 0o2750, uid: 2000, gid: 5, mtime: modTime}, "d/f": &moved, "g": &moved,
				"l": {typ: archive.Symlink, mode: 0o777, uid: 3000, gid: 1001, mtime: modTime, content: "f"}}
			want.write(t, filepath.Join(dir, "want"))
			got, expect := snapshot(t, opts.Root), snapshot(t, filepath.Join(dir, "want"))
			delete(got, ".")
			delete(expect, ".")
			same(t, "mapped", got, expect)
		})
	}
}

// TestSparse puts a file with a hole.
func TestSparse(t *testing.T) {
	dir := inMemory(t)
	must(t, os.MkdirAll(filepath.Join(dir, "extract"), 0o755))
	must(t, os.Mkdir(filepath.Join(dir, "root"), 0o755))
	f, err := os.Create(filepath.Join(dir, "extract/f"))
	must(t, err)
	_, err = f.WriteAt([]byte("end"), 8<<20)
	must(t, err)
	must(t, f.Close())
	apply(t, Options{Root: filepath.Join(dir, "root"), Extract: filepath.Join(dir, "extract")}, Put("f"))
	st, err := os.Lstat(filepath.Join(dir, "root/f"))
	must(t, err)
	if blocks := blocksOf(st); st.Size() != 8<<20+3 || blocks > 64 {
		t.Errorf("%d bytes in %d blocks", st.Size(), blocks)
	}
}
