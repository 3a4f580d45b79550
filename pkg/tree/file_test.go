package tree

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tklbam/chain/archive"
)

func TestOpenReads(t *testing.T) {
	dir := t.TempDir()
	plant(t, dir, "a/b", "c")
	big := strings.Repeat("0123456789abcdef", 1<<16)
	must(t, os.WriteFile(filepath.Join(dir, "big"), []byte(big), 0o600))
	old := time.Unix(1e9, 0)
	must(t, os.Chtimes(filepath.Join(dir, "c"), old, old))
	s := newSource(t, Options{Root: dir})
	for _, n := range collect(t, s) {
		if n.Entry.Type != archive.Regular {
			continue
		}
		want := n.Entry.Path
		if want == "big" {
			want = big
		}
		if got := read(t, s, n.Entry); got != want {
			t.Errorf("%q: read %.20q", n.Entry.Path, got)
		}
	}
	if st := lstat(t, dir, "c"); st.Atim.Sec != 1e9 {
		t.Error("reading changed the access time")
	}
}

// What takes the place of a file between scan and Open is never read, and
// never blocks.
func TestOpenReplaced(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	must(t, os.WriteFile(secret, []byte("secret"), 0o600))
	for name, tc := range map[string]struct {
		replace func(path string) error
		want    error
	}{
		"fifo":      {func(p string) error { return unix.Mkfifo(p, 0o600) }, ErrChanged},
		"symlink":   {func(p string) error { return os.Symlink(secret, p) }, ErrChanged},
		"directory": {func(p string) error { return os.Mkdir(p, 0o700) }, ErrChanged},
		"socket":    {func(p string) error { return unix.Mknod(p, unix.S_IFSOCK|0o600, 0) }, ErrChanged},
		"file":      {func(p string) error { return os.WriteFile(p, []byte("other"), 0o600) }, ErrChanged},
		"nothing":   {func(p string) error { return nil }, fs.ErrNotExist},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			plant(t, dir, "d/f")
			s := newSource(t, Options{Root: dir})
			e, err := s.Stat("d/f")
			must(t, err)
			path := filepath.Join(dir, "d/f")
			must(t, os.Rename(path, path+".old"))
			must(t, tc.replace(path))
			f, err := s.Open(e)
			if !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
			if err == nil {
				f.Close()
			}
		})
	}
}

func TestOpenThroughSymlink(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	plant(t, dir, "d/f")
	plant(t, outside, "f")
	s := newSource(t, Options{Root: dir})
	e, err := s.Stat("d/f")
	must(t, err)
	s.root.Forget("d")
	must(t, os.Rename(filepath.Join(dir, "d"), filepath.Join(dir, "old")))
	must(t, os.Symlink(outside, filepath.Join(dir, "d")))
	if _, err := s.Open(e); !errors.Is(err, unix.ENOTDIR) {
		t.Errorf("got %v", err)
	}
	for _, path := range []string{"/etc/passwd", "../x", "old/../../x", ""} {
		if _, err := s.Open(&archive.Entry{Path: path}); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("Open(%q) = %v", path, err)
		}
	}
}

func TestChanged(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"append": func(p string) error { return os.WriteFile(p, []byte("d/fd/f"), 0) },
		"touch":  func(p string) error { return os.Chtimes(p, time.Time{}, time.Unix(1, 0)) },
		"chmod":  func(p string) error { return os.Chmod(p, 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			plant(t, dir, "f")
			path := filepath.Join(dir, "f")
			must(t, os.Chtimes(path, time.Time{}, time.Unix(1e9, 0)))
			s := newSource(t, Options{Root: dir})
			e, err := s.Stat("f")
			must(t, err)
			// A step of the file system's clock: a change within one would not show.
			for was := e.ChangeTime; ; {
				must(t, os.Chmod(path, 0o644))
				if e, err = s.Stat("f"); err != nil || e.ChangeTime.After(was.Add(20*time.Millisecond)) {
					break
				}
			}
			must(t, err)
			f, err := s.Open(e)
			must(t, err)
			defer f.Close()
			if changed, err := f.Changed(); changed || err != nil {
				t.Errorf("at first: %v %v", changed, err)
			}
			for changed := false; !changed; {
				must(t, change(path))
				changed, err = f.Changed()
				must(t, err)
			}
			must(t, f.Refresh(e))
			if changed, err := f.Changed(); changed || err != nil {
				t.Errorf("after Refresh: %v %v", changed, err)
			}
			if now, err := s.Stat("f"); err != nil || !archive.SameStat(now, e) || !now.ChangeTime.Equal(e.ChangeTime) {
				t.Errorf("refreshed to %+v, now %+v %v", e, now, err)
			}
		})
	}
}

func TestRacy(t *testing.T) {
	at := time.Unix(1e9, 0)
	for after, want := range map[time.Duration]bool{
		-time.Hour:            true,
		0:                     true,
		50 * time.Millisecond: true,
		51 * time.Millisecond: false,
		time.Hour:             false,
	} {
		if got := Racy(&archive.Entry{ChangeTime: at}, at.Add(after)); got != want {
			t.Errorf("opened %v after: %v", after, got)
		}
	}
}

func TestReadErrors(t *testing.T) {
	dir := t.TempDir()
	plant(t, dir, "f")
	s := newSource(t, Options{Root: dir})
	e, err := s.Stat("f")
	must(t, err)
	f, err := s.Open(e)
	must(t, err)
	if n, err := f.Read(nil); n != 0 || err != nil {
		t.Errorf("empty read: %d %v", n, err)
	}
	fd := f.fd
	f.fd = -1
	if _, err := f.Read(make([]byte, 1)); err == nil || err == io.EOF || !strings.Contains(err.Error(), `"f"`) {
		t.Errorf("bad descriptor: %v", err)
	}
	f.fd = fd
	f.Close()
}

func TestXattrs(t *testing.T) {
	dir := t.TempDir()
	plant(t, dir, "f", "d/", "plain")
	must(t, os.Symlink("gone", filepath.Join(dir, "l")))
	must(t, unix.Mkfifo(filepath.Join(dir, "p"), 0o600))
	big := strings.Repeat("v", 3000)
	want := map[string][]archive.Xattr{
		"":  {{Name: "trusted.root", Value: "r"}},
		"f": {{Name: "user.a", Value: ""}, {Name: "user.b", Value: big}},
		"d": {{Name: "trusted.x", Value: "\x00\xff"}, {Name: "user.y", Value: "y"}},
		"l": {{Name: "trusted.link", Value: "l"}},
		"p": {{Name: "trusted.fifo", Value: "p"}},
	}
	for path, attrs := range want {
		for _, x := range attrs {
			if err := unix.Lsetxattr(filepath.Join(dir, path), x.Name, []byte(x.Value), 0); err != nil {
				t.Skipf("set %s: %v", x.Name, err)
			}
		}
	}
	s := newSource(t, Options{Root: dir})
	for _, n := range collect(t, s) {
		got, err := s.Xattrs(n.Entry)
		must(t, err)
		if len(got) != len(want[n.Entry.Path]) {
			t.Errorf("%q: got %d attributes", n.Entry.Path, len(got))
			continue
		}
		if n.Entry.Type == archive.Regular {
			f, err := s.Open(n.Entry)
			must(t, err)
			opened, err := f.Xattrs()
			f.Close()
			if err != nil || !slices.Equal(opened, got) {
				t.Errorf("%q: open: got %q %v", n.Entry.Path, opened, err)
			}
		}
		for i, x := range got {
			if x != want[n.Entry.Path][i] {
				t.Errorf("%q: got %q", n.Entry.Path, x)
			}
		}
	}
	if _, err := s.Xattrs(&archive.Entry{Path: "gone"}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent: %v", err)
	}
	proc := newSource(t, Options{Root: "/proc/self"})
	if attrs, err := proc.Xattrs(&archive.Entry{Path: "status"}); len(attrs) > 0 || err != nil {
		t.Errorf("on /proc: %v %v", attrs, err)
	}
}
