package cache_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tklbam/backends"
	"tklbam/backends/backendtest"
	"tklbam/backends/cache"
	"tklbam/backends/file"
	"tklbam/backends/retry"
)

func openDir(t *testing.T, dir string) backends.Backend {
	t.Helper()
	a, err := backends.ParseAddress("file://" + dir)
	if err != nil {
		t.Fatal(err)
	}
	b, err := file.Open(t.Context(), a, backends.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// anyRoom is a size that takes everything.
func anyRoom(int64) int64 { return math.MaxInt64 }

func every(string) bool { return true }

// quietly are options of a cache that must have nothing to report.
func quietly(t *testing.T, dir string) cache.Options {
	return cache.Options{Dir: dir, Size: anyRoom, Keep: every, Report: func(err error) { t.Errorf("reported: %v", err) }}
}

// listing is a backend that lists before it opens, as a cache needs it.
type listing struct{ backends.Backend }

func (l listing) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	if err := l.List(ctx, func(string, int64) error { return nil }); err != nil {
		return nil, err
	}
	return l.Backend.Open(ctx, name)
}

func (l listing) Free(ctx context.Context) (uint64, error) {
	return l.Backend.(backends.Spacer).Free(ctx)
}

func TestContract(t *testing.T) {
	for name, options := range map[string]func(t *testing.T) cache.Options{
		"Kept": func(t *testing.T) cache.Options { return quietly(t, filepath.Join(t.TempDir(), "a/b")) },
		"FullDisk": func(t *testing.T) cache.Options {
			return cache.Options{Dir: smallDisk(t), Keep: every, Size: anyRoom}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			backendtest.Run(t, func(t *testing.T) backends.Backend {
				return listing{cache.New(openDir(t, t.TempDir()), options(t))}
			})
		})
	}
}

// target is a backend whose readers can't seek and break off when fails says
// so. It counts what is opened.
type target struct {
	backends.Backend
	opened atomic.Int32
	fails  func() bool
	within func() // called in the middle of each reading
}

func (c *target) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	c.opened.Add(1)
	r, err := c.Backend.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	var content io.Reader = struct{ io.Reader }{r}
	if c.fails != nil && c.fails() {
		content = io.MultiReader(io.LimitReader(r, 100), broken{})
	}
	if c.within != nil {
		content = io.MultiReader(io.LimitReader(r, 100), calling{c.within}, r)
	}
	return struct {
		io.Reader
		io.Closer
	}{content, r}, nil
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, backends.ErrUnavailable }

type calling struct{ fn func() }

func (c calling) Read([]byte) (int, error) {
	c.fn()
	return 0, io.EOF
}

// TestContractWithFaults keeps files of a target that breaks off.
func TestContractWithFaults(t *testing.T) {
	t.Parallel()
	backendtest.Run(t, func(t *testing.T) backends.Backend {
		var calls atomic.Int32
		faulty := &target{Backend: openDir(t, t.TempDir()), fails: func() bool { return calls.Add(1)%3 == 0 }}
		again := retry.New(faulty, retry.Options{First: time.Nanosecond, Max: time.Nanosecond, SpoolDir: t.TempDir()})
		return struct{ backends.Backend }{listing{cache.New(again, quietly(t, t.TempDir()))}}
	})
}

func content(seed, n int) []byte {
	p := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)}).Read(p)
	return p
}

func put(t *testing.T, b backends.Backend, name string, p []byte) {
	t.Helper()
	err := b.Put(t.Context(), name, func(w io.Writer) error {
		_, err := w.Write(p)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func list(t *testing.T, b backends.Reader) {
	t.Helper()
	if err := b.List(t.Context(), func(string, int64) error { return nil }); err != nil {
		t.Fatal(err)
	}
}

func read(b backends.Reader, name string) ([]byte, error) {
	r, err := b.Open(context.Background(), name)
	if err != nil {
		return nil, err
	}
	p, err := io.ReadAll(r)
	return p, errors.Join(err, r.Close())
}

func wantContent(t *testing.T, b backends.Reader, name string, want []byte) {
	t.Helper()
	if got, err := read(b, name); err != nil || !bytes.Equal(got, want) {
		t.Errorf("read %q: %d bytes that are not the %d stored, %v", name, len(got), len(want), err)
	}
}

// wantOpened checks how many files were opened at the target since the last
// time.
func wantOpened(t *testing.T, c *target, want int32) {
	t.Helper()
	if got := c.opened.Swap(0); got != want {
		t.Errorf("%d files are opened at the target, want %d", got, want)
	}
}

// entries returns the names in a directory.
func entries(t *testing.T, dir string) []string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

// keptFiles returns the paths of the kept files.
func keptFiles(t *testing.T, dir string) []string {
	t.Helper()
	var paths []string
	for _, name := range entries(t, dir) {
		if len(name) > 32 && name[32] == '-' {
			paths = append(paths, filepath.Join(dir, name))
		} else if name != "lock" {
			t.Errorf("the cache holds %q", name)
		}
	}
	return paths
}

// TestFetchedOnce: what has been fetched is read here, also by a later run and
// without the target.
func TestFetchedOnce(t *testing.T) {
	c := &target{Backend: openDir(t, t.TempDir())}
	opts := quietly(t, filepath.Join(t.TempDir(), "cache"))
	opts.Keep = func(name string) bool { return strings.HasPrefix(name, "vol") }
	want := map[string][]byte{"vol1": content(1, 100_000), "vol2": content(2, 300), "vol3": nil}
	for name, p := range want {
		put(t, c, name, p)
	}
	put(t, c, "manifest", content(3, 50))
	for run := range 3 {
		b := cache.New(c, opts)
		wantContent(t, b, "vol1", want["vol1"])
		wantOpened(t, c, 1) // no listing has told of it
		list(t, b)
		for name, p := range want {
			wantContent(t, b, name, p)
		}
		wantOpened(t, c, map[int]int32{0: 3}[run])
		wantContent(t, b, "manifest", content(3, 50))
		wantContent(t, b, "manifest", content(3, 50))
		wantOpened(t, c, 2)
	}
	paths := keptFiles(t, opts.Dir)
	if len(paths) != 3 {
		t.Errorf("%d files are kept", len(paths))
	}
	for path, mode := range map[string]fs.FileMode{opts.Dir: fs.ModeDir | 0o700, paths[0]: 0o600, filepath.Join(opts.Dir, "lock"): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode() != mode {
			t.Errorf("%s has mode %v, %v", path, info.Mode(), err)
		}
	}
}

// TestSeekers: a kept file is read from any offset, at the first time too.
func TestSeekers(t *testing.T) {
	c := &target{Backend: openDir(t, t.TempDir())}
	put(t, c, "name", content(1, 1000))
	b := cache.New(c, quietly(t, t.TempDir()))
	list(t, b)
	for range 2 {
		r, err := b.Open(t.Context(), "name")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.(io.Seeker).Seek(900, io.SeekStart); err != nil {
			t.Error(err)
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, content(1, 1000)[900:]) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestTargetsApart: files of one name at two targets are two files.
func TestTargetsApart(t *testing.T) {
	opts := quietly(t, t.TempDir())
	for range 2 {
		for i := range 2 {
			dir := openDir(t, t.TempDir())
			put(t, dir, "name", content(i, 1000))
			b := cache.New(dir, opts)
			list(t, b)
			wantContent(t, b, "name", content(i, 1000))
			wantContent(t, b, "name", content(i, 1000))
		}
	}
}

// TestChanged: a file is fetched again when it was changed through this
// backend, has another length, or was dropped.
func TestChanged(t *testing.T) {
	c := &target{Backend: openDir(t, t.TempDir())}
	b := cache.New(c, quietly(t, t.TempDir()))
	longer := 0
	change := map[string]func(p []byte){
		"put": func(p []byte) { put(t, b, "name", p) },
		"length": func(p []byte) {
			longer = 1 - longer // so that there has been a file of that length
			put(t, c, "name", append(p, make([]byte, longer)...))
		},
		"dropped": func(p []byte) { put(t, c, "name", p); b.(interface{ Drop(string) }).Drop("name") },
		"delete": func(p []byte) {
			if err := b.Delete(t.Context(), "name"); err != nil {
				t.Error(err)
			}
			if _, err := read(b, "name"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("a deleted file: %v", err)
			}
			put(t, c, "name", p)
		},
	}
	put(t, b, "name", content(1, 1000))
	for how, change := range change {
		list(t, b)
		wantContent(t, b, "name", mustRead(t, c, "name"))
		for range 3 {
			p := content(rand.IntN(60_000), 1000)
			change(p)
			list(t, b)
			if want := mustRead(t, c, "name"); !bytes.HasPrefix(want, p) {
				t.Fatal("the target was not changed")
			} else if got, err := read(b, "name"); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s: old content, %v", how, err)
			}
		}
	}
}

func mustRead(t *testing.T, b backends.Reader, name string) []byte {
	t.Helper()
	p, err := read(b, name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestGoneFromTarget: what a whole listing is without is not found any more.
func TestGoneFromTarget(t *testing.T) {
	dir := openDir(t, t.TempDir())
	b := cache.New(dir, quietly(t, t.TempDir()))
	put(t, dir, "name", content(1, 1000))
	list(t, b)
	wantContent(t, b, "name", content(1, 1000))
	if err := dir.Delete(t.Context(), "name"); err != nil {
		t.Fatal(err)
	}
	list(t, b)
	if _, err := read(b, "name"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error is %v", err)
	}
}

// TestChangedMeanwhile: what is replaced while it is fetched is not kept.
func TestChangedMeanwhile(t *testing.T) {
	c := &target{Backend: openDir(t, t.TempDir())}
	opts := quietly(t, t.TempDir())
	b := cache.New(c, opts)
	put(t, c, "name", content(1, 1000))
	list(t, b)
	for seed, change := range []func(p []byte){
		func(p []byte) { put(t, b, "name", p) },
		func(p []byte) { put(t, c, "name", p); b.(interface{ Drop(string) }).Drop("name") },
	} {
		c.within = func() {
			c.within = nil
			change(content(seed+2, 1000))
			list(t, b)
		}
		wantContent(t, b, "name", content(seed+1, 1000))
		if left := keptFiles(t, opts.Dir); len(left) > 0 {
			t.Errorf("the old content is kept: %q", left)
		}
		wantContent(t, b, "name", content(seed+2, 1000))
		wantContent(t, b, "name", content(seed+2, 1000))
		wantOpened(t, c, 2)
		b.(interface{ Drop(string) }).Drop("name")
	}
}

// TestLengthChanged: a file that is not as long as listed is read, not kept.
func TestLengthChanged(t *testing.T) {
	for _, n := range []int{0, 999, 1001, 100_000} {
		dir := openDir(t, t.TempDir())
		opts := quietly(t, t.TempDir())
		b := cache.New(dir, opts)
		put(t, dir, "name", content(1, 1000))
		list(t, b)
		put(t, dir, "name", content(2, n))
		for range 2 {
			wantContent(t, b, "name", content(2, n))
		}
		if left := keptFiles(t, opts.Dir); len(left) > 0 {
			t.Errorf("%q are kept", left)
		}
	}
}

// TestNoDirectory: a directory that can't be made is reported once.
func TestNoDirectory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	dir := openDir(t, t.TempDir())
	put(t, dir, "name", content(1, 1000))
	for _, bad := range []string{path, path + "/cache", "/proc/cache"} {
		reports := 0
		opts := cache.Options{Dir: bad, Size: anyRoom, Keep: every, Report: func(err error) {
			if reports++; !strings.Contains(err.Error(), bad) {
				t.Errorf("reported: %v", err)
			}
		}}
		b := cache.New(dir, opts)
		list(t, b)
		for range 2 {
			wantContent(t, b, "name", content(1, 1000))
		}
		put(t, b, "name", content(1, 1000))
		if reports != 1 {
			t.Errorf("%s: %d reports", bad, reports)
		}
	}
}

// TestTargetFails: an error of the target is the caller's, leaves nothing, and
// stands in the way of nothing.
func TestTargetFails(t *testing.T) {
	fails := true
	c := &target{Backend: openDir(t, t.TempDir()), fails: func() bool { return fails }}
	opts := quietly(t, t.TempDir())
	b := cache.New(c, opts)
	put(t, c, "name", content(1, 1000))
	list(t, b)
	if _, err := read(b, "name"); !errors.Is(err, backends.ErrUnavailable) {
		t.Errorf("error is %v", err)
	}
	wantOpened(t, c, 1)
	if left := keptFiles(t, opts.Dir); len(left) > 0 {
		t.Errorf("%q are left", left)
	}
	fails = false
	wantContent(t, b, "name", content(1, 1000))
	wantContent(t, b, "name", content(1, 1000))
	wantOpened(t, c, 1)
}

func TestConcurrent(t *testing.T) {
	c := &target{Backend: openDir(t, t.TempDir())}
	for i := range 20 {
		put(t, c, fmt.Sprint("name", i), content(i, 10_000))
	}
	opts := quietly(t, t.TempDir())
	opts.Size = func(int64) int64 { return 120_000 } // half of them
	b := cache.New(c, opts)
	list(t, b)
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for i := range 60 {
				n := (i*7 + worker) % 20
				wantContent(t, b, fmt.Sprint("name", n), content(n, 10_000))
				if i%10 == worker {
					b.(interface{ Drop(string) }).Drop(fmt.Sprint("name", n))
				}
			}
		})
	}
	all.Wait()
	keptFiles(t, opts.Dir)
}
