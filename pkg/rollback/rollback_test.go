package rollback

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tklbam/pkg/rollback/livefs"
	"tklbam/pkg/sysfs"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A system is a root, and the directory of its record.
type system struct {
	root, record string
	*sysfs.Root
}

func newSystem(t *testing.T) *system {
	t.Helper()
	dir := t.TempDir()
	s := &system{root: filepath.Join(dir, "root"), record: filepath.Join(dir, "rb", "tklbam-rollback")}
	must(t, os.Mkdir(s.root, 0o755))
	must(t, os.Mkdir(filepath.Dir(s.record), 0o755))
	var err error
	s.Root, err = sysfs.Open(s.root)
	must(t, err)
	t.Cleanup(s.Root.Close)
	return s
}

var began = time.Unix(1234567890, 5)

func (s *system) begin(t *testing.T) *Journal {
	t.Helper()
	j, err := Begin(s.record, Options{Root: s.root, Now: began})
	must(t, err)
	t.Cleanup(func() { must(t, j.Close()) })
	return j
}

func (s *system) write(t *testing.T, path, content string) {
	t.Helper()
	full := filepath.Join(s.root, path)
	must(t, os.MkdirAll(filepath.Dir(full), 0o755))
	must(t, os.WriteFile(full, []byte(content), 0o644))
}

func (s *system) read(path string) string {
	data, err := os.ReadFile(filepath.Join(s.root, path))
	if err != nil {
		return err.(*fs.PathError).Err.Error()
	}
	return string(data)
}

// replace does what a restore does with a file, or a directory if content is
// "/".
func (s *system) replace(t *testing.T, j *Journal, path, content string) {
	t.Helper()
	p, err := livefs.At(s.Root, path)
	must(t, err)
	now, err := p.Stat()
	must(t, err)
	c, err := j.Replace(s.Root, path, now)
	must(t, err)
	must(t, j.Sync())
	must(t, j.Keep(s.Root, c))
	must(t, j.Flush())
	full := filepath.Join(s.root, path)
	if content == "/" {
		must(t, os.Mkdir(full, 0o755))
		return
	}
	temp := filepath.Join(filepath.Dir(full), c.Temp())
	must(t, os.WriteFile(temp, []byte(content), 0o600))
	must(t, os.Rename(temp, full))
}

func (s *system) open(t *testing.T) *Record {
	t.Helper()
	r, err := Open(s.record)
	must(t, err)
	t.Cleanup(r.Close)
	return r
}

func (s *system) undo(t *testing.T) (Result, []string) {
	t.Helper()
	var passed []string
	res, err := s.open(t).Undo(context.Background(), UndoOptions{Root: s.root, Passed: func(path string, err error) {
		passed = append(passed, path+": "+err.Error())
	}})
	must(t, err)
	return res, passed
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// TestRotate keeps records that were not undone, and opens the newest.
func TestRotate(t *testing.T) {
	s := newSystem(t)
	if _, err := Open(s.record); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	s.write(t, "f", "0")
	for _, content := range []string{"1", "2", "3"} {
		j := s.begin(t)
		s.replace(t, j, "f", content)
		must(t, j.Close())
	}
	want := []string{s.record, s.record + ".2", s.record + ".1"}
	if got := List(s.record); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	st, err := os.Stat(s.record)
	must(t, err)
	if st.Mode().Perm() != 0o700 {
		t.Error(st.Mode())
	}
	for _, content := range []string{"2", "1", "0"} {
		if res, passed := s.undo(t); !res.Done() || len(passed) > 0 {
			t.Errorf("%+v %q", res, passed)
		}
		if got := s.read("f"); got != content {
			t.Errorf("got %q, want %q", got, content)
		}
		must(t, s.open(t).Remove())
	}
	if names, err := os.ReadDir(filepath.Dir(s.record)); err != nil || len(names) > 0 {
		t.Errorf("%v %v", names, err)
	}
}

// TestRotateHigh puts a record above all numbers there are, and takes other
// names for none of its own.
func TestRotateHigh(t *testing.T) {
	s := newSystem(t)
	for _, name := range []string{".7", ".07", ".x", ".0", "-9"} {
		must(t, os.Mkdir(s.record+name, 0o700))
	}
	s.begin(t)
	must(t, os.Mkdir(filepath.Join(s.record, MyFS), 0o700))
	s.begin(t)
	if got := List(s.record); !slices.Equal(got, []string{s.record, s.record + ".8", s.record + ".7"}) {
		t.Errorf("%q", got)
	}
}

// TestBeginEmpty replaces a record with nothing in it.
func TestBeginEmpty(t *testing.T) {
	s := newSystem(t)
	must(t, os.Mkdir(s.record, 0o700))
	s.begin(t)
	s.begin(t)
	if got := List(s.record); !slices.Equal(got, []string{s.record}) {
		t.Errorf("%q", got)
	}
	if !s.open(t).Empty() {
		t.Error("not empty")
	}
}

// TestBeginInterrupted ends Begin before each of its steps: the earlier record
// is there, and the next Begin works.
func TestBeginInterrupted(t *testing.T) {
	errKilled := errors.New("killed")
	for n := 1; ; n++ {
		s := newSystem(t)
		s.write(t, "f", "0")
		j := s.begin(t)
		s.replace(t, j, "f", "1")
		must(t, j.Close())
		count := 0
		j, err := Begin(s.record, Options{Root: s.root, Fault: func(string) error {
			if count++; count >= n {
				return errKilled
			}
			return nil
		}})
		if err == nil {
			must(t, j.Close())
			break
		}
		if !errors.Is(err, errKilled) {
			t.Fatal(err)
		}
		if r := s.open(t); !r.Started().Equal(began.Truncate(0)) || r.Empty() {
			t.Errorf("step %d: %v %v", n, r.Started(), r.Dir())
		}
		must(t, s.begin(t).Close())
		if exists(s.record + beginning) {
			t.Errorf("step %d: the interrupted record is there", n)
		}
	}
}

// TestNotes finds again what was noted, also without a clean end.
func TestNotes(t *testing.T) {
	s := newSystem(t)
	j := s.begin(t)
	for _, name := range []string{"nginx", "odd\nname\t\xff"} {
		must(t, j.Note(Package, name))
	}
	must(t, j.Note("database", "mysql"))
	r := s.open(t)
	if got := r.Notes(Package); !slices.Equal(got, []string{"nginx", "odd\nname\t\xff"}) {
		t.Errorf("%q", got)
	}
	if r.Complete() || r.Empty() || len(r.Notes("other")) > 0 {
		t.Error("complete, empty or others")
	}
	must(t, j.Complete())
	if r := s.open(t); !r.Complete() || !r.Started().Equal(began) {
		t.Error("not complete", r.Started())
	}
}

// TestTorn ignores what was written last and never synced.
func TestTorn(t *testing.T) {
	s := newSystem(t)
	j := s.begin(t)
	s.write(t, "f", "0")
	s.replace(t, j, "f", "1")
	must(t, j.Close())
	name := filepath.Join(s.record, journalFile)
	whole, err := os.ReadFile(name)
	must(t, err)
	intent := (&entry{seq: 99, kind: kindNew, path: "theirs"}).append(nil)
	s.write(t, "theirs", "not to be removed")
	for _, tail := range []string{"x", "\n", "deadbeef\t99\tnew\t\"theirs\"\n", string(intent[:len(intent)-1]), "\x00\x00\n" + string(intent), strings.Repeat("y", 2*maxLine) + "\n" + string(intent)} {
		must(t, os.WriteFile(name, append(bytes.Clone(whole), tail...), 0o600))
		r := s.open(t)
		if r.damaged || len(r.changes) != 2 {
			t.Errorf("%.20q: %v, %d changes", tail, r.damaged, len(r.changes))
		}
	}
	if res, passed := s.undo(t); !res.Done() || len(passed) > 0 || s.read("f") != "0" || !exists(filepath.Join(s.root, "theirs")) {
		t.Errorf("%+v %q", res, passed)
	}
}

// TestDamaged undoes what can be read, and says that this is not all.
func TestDamaged(t *testing.T) {
	s := newSystem(t)
	j := s.begin(t)
	s.write(t, "a", "0")
	s.write(t, "b", "0")
	s.replace(t, j, "a", "1")
	s.replace(t, j, "b", "1")
	must(t, j.Close())
	name := filepath.Join(s.record, journalFile)
	text, err := os.ReadFile(name)
	must(t, err)
	must(t, os.WriteFile(name, bytes.Replace(text, []byte(`"a"`), []byte(`"x"`), 1), 0o600))
	r := s.open(t)
	res, err := r.Undo(context.Background(), UndoOptions{Root: s.root, Passed: func(_ string, err error) {
		if !errors.Is(err, ErrDamaged) {
			t.Error(err)
		}
	}})
	must(t, err)
	if res.Done() || s.read("a") != "1" || s.read("b") != "0" {
		t.Errorf("%+v %q %q", res, s.read("a"), s.read("b"))
	}
}

// TestMeanwhile undoes a system on which life went on.
func TestMeanwhile(t *testing.T) {
	s := newSystem(t)
	for _, path := range []string{"edited", "vanished", "dir/f", "became-dir", "became-full-dir", "parent/f", "link/f"} {
		s.write(t, path, "0")
	}
	j := s.begin(t)
	for _, path := range []string{"edited", "vanished", "became-dir", "became-full-dir", "parent/f", "link/f", "new", "new-vanished", "new-full-dir"} {
		s.replace(t, j, path, "1")
	}
	s.replace(t, j, "made", "/")
	s.replace(t, j, "made/mine", "1")
	s.replace(t, j, "made-full", "/")
	st, err := livefs.At(s.Root, "dir/f")
	must(t, err)
	now, err := st.Stat()
	must(t, err)
	must(t, j.Adjust(s.Root, "dir/f", now))
	must(t, j.Close())

	in := func(path string) string { return filepath.Join(s.root, path) }
	for _, path := range []string{"vanished", "became-dir", "became-full-dir", "new-vanished", "new-full-dir", "dir"} {
		must(t, os.RemoveAll(in(path)))
	}
	must(t, os.Mkdir(in("became-dir"), 0o755))
	s.write(t, "became-full-dir/f", "theirs")
	s.write(t, "new-full-dir/f", "theirs")
	s.write(t, "made-full/f", "theirs")
	s.write(t, "edited", "theirs")
	must(t, os.RemoveAll(in("parent")))
	must(t, os.Rename(in("link"), in("elsewhere")))
	must(t, os.Symlink("elsewhere", in("link")))

	res, passed := s.undo(t)
	var paths []string
	for _, p := range passed {
		path, _, _ := strings.Cut(p, ":")
		paths = append(paths, path)
	}
	slices.Sort(paths)
	want := []string{"became-full-dir", "dir/f", "link", "link/f", "made-full", "new-full-dir", "parent", "parent/f"}
	if !slices.Equal(paths, want) || res.Failed != 3 || res.Passed != 5 {
		t.Errorf("%+v\n%s", res, strings.Join(passed, "\n"))
	}
	for path, content := range map[string]string{
		"edited": "0", "vanished": "0", "became-dir": "0", "became-full-dir/f": "theirs", "new-full-dir/f": "theirs",
		"made-full/f": "theirs", "elsewhere/f": "1", "new": "no such file or directory", "made": "no such file or directory",
	} {
		if got := s.read(path); got != content {
			t.Errorf("%q: got %q, want %q", path, got, content)
		}
	}
	for _, path := range []string{"became-full-dir", "parent/f", "link/f"} {
		if !exists(filepath.Join(s.record, originalsDir, path)) {
			t.Errorf("the original of %q is not kept", path)
		}
	}
}

// TestCopiedLinks records a file with two names from another file system: it
// is one file again afterwards, also when the rollback was killed in between.
func TestCopiedLinks(t *testing.T) {
	s := newSystem(t)
	other, err := os.MkdirTemp("/dev/shm", "rollback")
	if err != nil {
		t.Skip("no second file system")
	}
	t.Cleanup(func() { must(t, os.RemoveAll(other)) })
	s.record = filepath.Join(other, "record")
	s.write(t, "a", "0")
	for _, name := range []string{"b", "c"} {
		must(t, os.Link(filepath.Join(s.root, "a"), filepath.Join(s.root, name)))
	}
	j := s.begin(t)
	for _, name := range []string{"a", "b", "c"} {
		s.replace(t, j, name, "1")
	}
	must(t, j.Close())
	errKilled := errors.New("killed")
	renames := 0
	r := s.open(t)
	_, err = r.Undo(context.Background(), UndoOptions{Root: s.root, Fault: func(step string) error {
		if step == "rename" {
			renames++
		}
		if renames > 4 {
			return errKilled
		}
		return nil
	}})
	if renames < 5 {
		t.Fatalf("%d renames, %v", renames, err)
	}
	if res, passed := s.undo(t); !res.Done() || len(passed) > 0 {
		t.Errorf("%+v %q", res, passed)
	}
	var st unix.Stat_t
	must(t, unix.Lstat(filepath.Join(s.root, "a"), &st))
	if st.Nlink != 3 || s.read("c") != "0" {
		t.Errorf("%d links, %q", st.Nlink, s.read("c"))
	}
}

// entries of every kind, with fields that need quoting.
var entries = []entry{
	{kind: kindBegin, path: "0a1b", time: unix.Timespec{Sec: 1, Nsec: 999999999}},
	{seq: 1, kind: kindWindow},
	{seq: 2, kind: kindNew, path: "a\nb\tc\"\\\xff"},
	{seq: 3, kind: kindSaved, path: "a", place: "originals/a", was: inode{1 << 63, 1<<64 - 1, 3, unix.Timespec{Sec: -1, Nsec: 5}}},
	{seq: 4, kind: kindTemp, path: " "},
	{seq: 5, kind: kindMeta, path: "", meta: livefs.Meta{Mode: 0o104755, UID: 4294967294, GID: 0, Caps: "\x01\x00\x00\x02"}},
	{seq: 6, kind: kindTimes, path: "", time: unix.Timespec{Sec: -62135596800}},
	{seq: 7, kind: kindVoid, void: 2},
	{seq: 8, kind: kindNote, label: "package", path: "nginx"},
	{seq: 9, kind: kindComplete},
}

func TestLines(t *testing.T) {
	for _, e := range entries {
		line := string(e.append(nil))
		if strings.Count(line, "\n") != 1 || !strings.HasSuffix(line, "\n") {
			t.Errorf("%q", line)
		}
		got, err := parseLine(strings.TrimSuffix(line, "\n"))
		if err != nil || !reflect.DeepEqual(*got, e) {
			t.Errorf("%q: %v, got %+v", line, err, got)
		}
		for i := range len(line) - 1 {
			if _, err := parseLine(line[:i]); err == nil {
				t.Errorf("%q is a line", line[:i])
			}
		}
	}
}

// FuzzLine holds that what is taken for a line is written as one that means
// the same.
func FuzzLine(f *testing.F) {
	for _, e := range entries {
		f.Add(strings.TrimSuffix(string(e.append(nil)), "\n"))
	}
	f.Fuzz(func(t *testing.T, line string) {
		e, err := parseLine(line)
		if err != nil {
			return
		}
		again, err := parseLine(strings.TrimSuffix(string(e.append(nil)), "\n"))
		if err != nil || !reflect.DeepEqual(e, again) {
			t.Errorf("%q: %v, %+v and %+v", line, err, e, again)
		}
	})
}
