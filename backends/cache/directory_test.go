package cache_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"tklbam/backends"
	"tklbam/backends/cache"
)

// smallDisk mounts a file system of one MiB.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("needs the right to mount a tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// used returns how much the files in a directory take, as they show.
func used(t *testing.T, dir string) (n int64) {
	t.Helper()
	for _, name := range entries(t, dir) {
		info, err := os.Lstat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		n += info.Size()
	}
	return n
}

// TestDamage does everything to a kept file that a disk or a person may do.
func TestDamage(t *testing.T) {
	want := content(1, 100_000)
	for name, damage := range map[string]func(path string, p []byte) error{
		"first byte":     func(path string, p []byte) error { p[0] ^= 1; return os.WriteFile(path, p, 0o600) },
		"last byte":      func(path string, p []byte) error { p[99_999] ^= 0x80; return os.WriteFile(path, p, 0o600) },
		"checksum":       func(path string, p []byte) error { p[len(p)-1] ^= 1; return os.WriteFile(path, p, 0o600) },
		"cut":            func(path string, p []byte) error { return os.Truncate(path, 50_000) },
		"cut checksum":   func(path string, p []byte) error { return os.Truncate(path, 100_000) },
		"longer":         func(path string, p []byte) error { return os.WriteFile(path, append(p, 0), 0o600) },
		"empty":          func(path string, p []byte) error { return os.Truncate(path, 0) },
		"zeros":          func(path string, p []byte) error { clear(p); return os.WriteFile(path, p, 0o600) },
		"of other":       func(path string, p []byte) error { return os.Rename(other(path), path) },
		"link":           func(path string, p []byte) error { return errors.Join(os.Remove(path), os.Symlink(other(path), path)) },
		"directory":      func(path string, p []byte) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) },
		"fifo":           func(path string, p []byte) error { return errors.Join(os.Remove(path), syscall.Mkfifo(path, 0o600)) },
		"not to be read": func(path string, p []byte) error { return os.Chmod(path, 0) }, // root can
		"gone":           func(path string, p []byte) error { return os.Remove(path) },
	} {
		c := &target{Backend: openDir(t, t.TempDir())}
		put(t, c, "other", content(2, 100_000))
		put(t, c, "name", want)
		opts := quietly(t, t.TempDir())
		reports := 0
		opts.Report = func(err error) { reports++; t.Logf("%s: %v", name, err) }
		b := cache.New(c, opts)
		list(t, b)
		wantContent(t, b, "other", content(2, 100_000))
		others := keptFiles(t, opts.Dir)
		wantContent(t, b, "name", want)
		paths := slices.DeleteFunc(keptFiles(t, opts.Dir), func(p string) bool { return p == others[0] })
		p, err := os.ReadFile(paths[0])
		if err != nil {
			t.Fatal(err)
		}
		if err := damage(paths[0], p); err != nil {
			t.Fatal(err)
		}
		c.opened.Store(0)
		wantContent(t, b, "name", want)
		if harmless := name == "not to be read" && os.Geteuid() == 0; !harmless {
			wantOpened(t, c, 1)
			if (reports == 0) != (name == "gone") {
				t.Errorf("%s: %d reports", name, reports)
			}
		}
		wantContent(t, b, "name", want)
		wantOpened(t, c, 0)
	}
}

// other returns the path of the other file in the cache.
func other(path string) string {
	paths, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*-*"))
	for _, p := range paths {
		if p != path {
			return p
		}
	}
	return ""
}

// TestLeastRecentlyUsed: reading counts as use, and the file that was not used
// for longest goes.
func TestLeastRecentlyUsed(t *testing.T) {
	c := &target{Backend: openDir(t, t.TempDir())}
	for i := range 5 {
		put(t, c, fmt.Sprint(i), content(i, 1000))
	}
	opts := quietly(t, t.TempDir())
	opts.Size = func(int64) int64 { return 3 * 1032 }
	b := cache.New(c, opts)
	list(t, b)
	for _, step := range []struct {
		read    int
		fetches int32
	}{
		{0, 1}, {1, 1}, {2, 1}, {0, 0}, {1, 0}, {2, 0}, // three fit
		{0, 0}, {3, 1}, // 1 goes
		{0, 0}, {2, 0}, {3, 0}, {1, 1}, // 0 goes
		{2, 0}, {3, 0}, {1, 0}, {0, 1}, {4, 1}, // 2 and 3 go
		{1, 0}, {0, 0}, {4, 0}, {2, 1},
	} {
		wantContent(t, b, fmt.Sprint(step.read), content(step.read, 1000))
		if got := c.opened.Swap(0); got != step.fetches {
			t.Errorf("reading %d: %d fetches, want %d", step.read, got, step.fetches)
		}
	}
}

// TestSizeHolds reads files of all lengths under sizes that change: what is
// kept never exceeds the size of the last fetch.
func TestSizeHolds(t *testing.T) {
	dice := rand.New(rand.NewPCG(3, 4))
	dir := openDir(t, t.TempDir())
	for i := range 40 {
		put(t, dir, fmt.Sprint(i), content(i, i*i*50))
	}
	var size int64
	reported := false
	opts := cache.Options{
		Dir: t.TempDir(), Keep: every,
		Size:   func(int64) int64 { return size },
		Report: func(error) { reported = true },
	}
	b := cache.New(dir, opts)
	list(t, b)
	for range 300 {
		n := dice.IntN(40)
		size = dice.Int64N(300_000)
		before := keptFiles(t, opts.Dir)
		wantContent(t, b, fmt.Sprint(n), content(n, n*n*50))
		after := keptFiles(t, opts.Dir)
		if fetched := len(after) > len(before) || !slices.Equal(before, after); fetched && used(t, opts.Dir) > size {
			t.Errorf("the cache takes %d bytes of %d", used(t, opts.Dir), size)
		}
	}
	if !reported {
		t.Error("files that are too long were not reported")
	}
}

// TestFullDisk: the cache's own disk fills in the middle of a file.
func TestFullDisk(t *testing.T) {
	c := &target{Backend: openDir(t, t.TempDir())}
	put(t, c, "long", content(1, 3<<20))
	put(t, c, "short", content(2, 300_000))
	reports := 0
	opts := cache.Options{Dir: smallDisk(t), Size: anyRoom, Keep: every, Report: func(err error) {
		if reports++; !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), c.String()) {
			t.Errorf("reported: %v", err)
		}
	}}
	b := cache.New(c, opts)
	list(t, b)
	for range 2 {
		wantContent(t, b, "long", content(1, 3<<20))
		wantContent(t, b, "short", content(2, 300_000))
	}
	wantOpened(t, c, 5) // twice for each long one, once for the short one
	if kept := keptFiles(t, opts.Dir); reports != 1 || len(kept) != 1 {
		t.Errorf("%d reports, %q are kept", reports, kept)
	}
}

// TestRoom: a size in percent counts what is free and what the cache takes.
func TestRoom(t *testing.T) {
	dir := openDir(t, t.TempDir())
	for i := range 10 {
		put(t, dir, fmt.Sprint(i), content(i, 200_000))
	}
	opts := quietly(t, smallDisk(t))
	opts.Size = func(room int64) int64 {
		if room < 1<<20-64<<10 || room > 1<<20 {
			t.Errorf("room on a disk of a MiB that only the cache uses is %d", room)
		}
		return room / 2
	}
	b := cache.New(dir, opts)
	list(t, b)
	for i := range 10 {
		wantContent(t, b, fmt.Sprint(i), content(i, 200_000))
	}
	if n := len(keptFiles(t, opts.Dir)); n != 2 {
		t.Errorf("%d files are kept, two fit", n)
	}
}

// TestOthersFiles: the cache makes room only by what is its own, and clears
// what a process that was killed has left.
func TestOthersFiles(t *testing.T) {
	dir := openDir(t, t.TempDir())
	put(t, dir, "name", content(1, 1000))
	opts := quietly(t, t.TempDir())
	opts.Size = func(int64) int64 { return 1032 }
	theirs := []string{"README", strings.Repeat("x", 32) + "-5", strings.Repeat("a", 32) + "-x", strings.Repeat("a", 34)}
	stale, living := backends.TempName(), backends.TempName()
	for _, name := range append(theirs, stale, living, strings.Repeat("a", 32)+"-5") {
		size := 5000
		if name == living {
			size = 0
		}
		if err := os.WriteFile(filepath.Join(opts.Dir, name), make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.Open(filepath.Join(opts.Dir, living))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	b := cache.New(dir, opts)
	list(t, b)
	wantContent(t, b, "name", content(1, 1000))
	left := entries(t, opts.Dir)
	if len(left) != len(theirs)+3 { // a living one, the lock, and the file
		t.Errorf("the directory holds %q", left)
	}
	for _, name := range append(theirs, living) {
		if !slices.Contains(left, name) {
			t.Errorf("%q is gone", name)
		}
	}
}

// TestReserved: what others are fetching counts with the length it will have.
func TestReserved(t *testing.T) {
	for size, want := range map[int64]int{6032: 1, 6031: 0} {
		dir := openDir(t, t.TempDir())
		put(t, dir, "name", content(1, 1000))
		opts := cache.Options{Dir: t.TempDir(), Keep: every, Size: func(int64) int64 { return size }}
		f, err := os.Create(filepath.Join(opts.Dir, backends.TempName()))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := errors.Join(syscall.Flock(int(f.Fd()), syscall.LOCK_EX), f.Truncate(5000)); err != nil {
			t.Fatal(err)
		}
		b := cache.New(dir, opts)
		list(t, b)
		wantContent(t, b, "name", content(1, 1000))
		kept, err := filepath.Glob(filepath.Join(opts.Dir, "*-1000"))
		if err != nil || len(kept) != want {
			t.Errorf("of %d bytes 5000 are reserved: %d files are kept, want %d, %v", size, len(kept), want, err)
		}
	}
}

// TestLocked: a lock that is not given back is waited for once; a context ends
// the wait.
func TestLocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &target{Backend: openDir(t, t.TempDir())}
		put(t, c, "name", content(1, 1000))
		opts := quietly(t, t.TempDir())
		reports := 0
		opts.Report = func(error) { reports++ }
		b := cache.New(c, opts)
		list(t, b)
		f, err := os.Create(filepath.Join(opts.Dir, "lock"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := b.Open(ctx, "name"); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("error is %v after %v", err, time.Since(start))
		}
		start = time.Now()
		for range 3 {
			wantContent(t, b, "name", content(1, 1000))
		}
		if took := time.Since(start); reports != 1 || took != 30*time.Second {
			t.Errorf("%d reports after %v", reports, took)
		}
	})
}

// TestChild is what the processes of TestProcesses run.
func TestChild(t *testing.T) {
	dir := os.Getenv("CACHETEST_DIR")
	if dir == "" {
		t.Skip("only for another test")
	}
	opts := quietly(t, filepath.Join(dir, "cache"))
	opts.Size = func(int64) int64 { return 1_200_000 }
	b := cache.New(openDir(t, filepath.Join(dir, "target")), opts)
	list(t, b)
	for i := range 200 {
		n := rand.IntN(20)
		wantContent(t, b, fmt.Sprint(n), content(n, 100_000))
		if i == 5 {
			fmt.Println("at work")
		}
	}
}

// TestProcesses has processes share a cache that holds half of what they read,
// and kills one of them.
func TestProcesses(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"target", "cache"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	target := openDir(t, filepath.Join(dir, "target"))
	for i := range 20 {
		put(t, target, fmt.Sprint(i), content(i, 100_000))
	}
	start := func() (*exec.Cmd, *bufio.Reader) {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChild$")
		cmd.Env = append(os.Environ(), "CACHETEST_DIR="+dir)
		out, err := cmd.StdoutPipe()
		if err := errors.Join(err, cmd.Start()); err != nil {
			t.Fatal(err)
		}
		return cmd, bufio.NewReader(out)
	}
	victim, victimOut := start()
	if _, err := victimOut.ReadString('\n'); err != nil {
		t.Error(err)
	}
	one, oneOut := start()
	two, twoOut := start()
	if err := victim.Process.Kill(); err != nil {
		t.Error(err)
	}
	victim.Wait()
	for cmd, out := range map[*exec.Cmd]*bufio.Reader{one: oneOut, two: twoOut} {
		text, readErr := io.ReadAll(out)
		if err := errors.Join(readErr, cmd.Wait()); err != nil {
			t.Errorf("a process: %v\n%s", err, text)
		}
	}
	if n := used(t, filepath.Join(dir, "cache")); n > 1_200_000 {
		t.Errorf("the cache takes %d bytes", n)
	}
	keptFiles(t, filepath.Join(dir, "cache")) // and nothing else
}
