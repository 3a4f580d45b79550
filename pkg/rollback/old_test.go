package rollback

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// oldRecord makes a record as releases before this program left it.
func (s *system) oldRecord(t *testing.T, delta, index string, originals map[string]string) {
	t.Helper()
	files := map[string]string{"fsdelta": delta, "newpkgs": "nginx\nphp\n", "etc/passwd": "old passwd", "etc/group": "old group"}
	if index != "" {
		files["dirindex"] = index
	}
	for path, content := range originals {
		files["originals/"+path] = content
	}
	for path, content := range files {
		full := filepath.Join(s.record, path)
		must(t, os.MkdirAll(filepath.Dir(full), 0o755))
		must(t, os.WriteFile(full, []byte(content), 0o644))
	}
}

// oldCase is a system after a restore by an earlier release.
func oldCase(t *testing.T, index bool) *system {
	s := newSystem(t)
	for _, path := range []string{"etc/passwd", "etc/group", "etc/edited", "etc/new", "etc/added/f", "etc/full/f", "etc/full/theirs", "usr/lib/f", "etc/untouched"} {
		s.write(t, path, "restored")
	}
	must(t, os.Symlink("usr/lib", filepath.Join(s.root, "lib")))
	must(t, os.Chmod(filepath.Join(s.root, "etc/edited"), 0o777))
	must(t, os.Chmod(filepath.Join(s.root, "etc/untouched"), 0o4777))
	delta := strings.Join([]string{
		"o\t/etc/edited\t0\t0", "o\t/etc/new\t0\t0", "o\t/etc/added/f\t0\t0", "o\t/etc/full/f\t0\t0", "o\t/lib/f\t0\t0", "o\t/etc/skipped\t0\t0",
		"s\t/etc/added\t0\t0\t040755", "s\t/etc/full\t0\t0\t040755", "s\t/etc/untouched\t0\t0\t0104777", "d\t/etc/deleted", "d\t/etc/olddir", "",
	}, "\n")
	var di string
	if index {
		uid, gid := strconv.FormatInt(int64(os.Geteuid()), 16), strconv.FormatInt(int64(os.Getegid()), 16)
		for path, mode := range map[string]string{"/etc/edited": "81a4", "/lib/f": "8180", "/etc/untouched": "81c0", "/etc/deleted": "81a4", "/etc/olddir": "41ed"} {
			di += strings.Join([]string{path, mode, uid, gid, "8", "4b000000"}, "\t") + "\n"
		}
	}
	s.oldRecord(t, delta, di, map[string]string{"etc/edited": "original", "lib/f": "original", "etc/deleted": "original", "etc/olddir/f": "original"})
	must(t, os.Chmod(filepath.Join(s.record, "originals/lib/f"), 0o600))
	return s
}

// TestOldLayout undoes a record of an earlier release, twice.
func TestOldLayout(t *testing.T) {
	s := oldCase(t, true)
	r := s.open(t)
	if got := r.Notes(Package); !slices.Equal(got, []string{"nginx", "php"}) || !r.Complete() || r.Empty() {
		t.Errorf("%q", got)
	}
	for range 2 {
		res, passed := s.undo(t)
		if !res.Done() || len(passed) != 1 || !strings.HasPrefix(passed[0], "/etc/full: ") {
			t.Errorf("%+v %q", res, passed)
		}
		gone := "no such file or directory"
		for path, want := range map[string]string{
			"etc/passwd": "old passwd", "etc/group": "old group", "etc/edited": "original", "etc/deleted": "original",
			"etc/olddir/f": "original", "usr/lib/f": "original", "etc/new": gone, "etc/added": gone, "etc/full/f": gone,
			"etc/full/theirs": "restored", "etc/untouched": "restored",
		} {
			if got := s.read(path); got != want {
				t.Errorf("%q: got %q, want %q", path, got, want)
			}
		}
		for path, want := range map[string]uint32{"etc/untouched": 0o100700, "etc/edited": 0o100644, "usr/lib/f": 0o100600} {
			var st unix.Stat_t
			must(t, unix.Lstat(filepath.Join(s.root, path), &st))
			if st.Mode != want {
				t.Errorf("%q: %o", path, st.Mode)
			}
		}
	}
}

// TestOldLayoutWithoutIndex removes nothing, not knowing what was new.
func TestOldLayoutWithoutIndex(t *testing.T) {
	s := oldCase(t, false)
	res, passed := s.undo(t)
	if !res.Done() || len(passed) > 0 {
		t.Errorf("%+v %q", res, passed)
	}
	for path, want := range map[string]string{"etc/edited": "original", "etc/new": "restored", "etc/added/f": "restored", "etc/deleted": "original"} {
		if got := s.read(path); got != want {
			t.Errorf("%q: got %q, want %q", path, got, want)
		}
	}
}

// TestOldRotated keeps a record of an earlier release that was not undone.
func TestOldRotated(t *testing.T) {
	s := oldCase(t, true)
	must(t, s.begin(t).Close())
	must(t, s.open(t).Remove())
	if r := s.open(t); !r.old || r.Dir() != s.record+".1" {
		t.Errorf("%+v", r)
	}
}

// TestOldDamaged is an error, and changes nothing.
func TestOldDamaged(t *testing.T) {
	for _, lines := range [][2]string{{"x\t/a\n", "/a\t1\t2\t3\t4\t5\n"}, {"o\n", ""}, {"o\t/etc\t0\t0\n", "/etc\tzz\t0\t0\t0\t0\n"}, {"d\t/etc\n", "/etc\t1\n"}} {
		s := newSystem(t)
		s.write(t, "etc/passwd", "new")
		s.oldRecord(t, lines[0], lines[1], nil)
		if _, err := s.open(t).Undo(t.Context(), UndoOptions{Root: s.root}); err == nil {
			t.Errorf("%q", lines)
		}
		if s.read("etc/passwd") != "new" {
			t.Errorf("%q", lines)
		}
	}
}
