package retry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"tklbam/backends"
	"tklbam/backends/retry"
)

// shaky is a backend without Seek whose readers break off after so many bytes
// each. It calls reopened before it opens a file again.
type shaky struct {
	backends.Backend
	lengths  []int64 // of the readers; one more is whole
	opened   int
	reopened func()
}

func (s *shaky) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	if s.opened > 0 && s.reopened != nil {
		s.reopened()
	}
	r, err := s.Backend.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	s.opened++
	if s.opened > len(s.lengths) {
		return struct{ io.ReadCloser }{r}, nil
	}
	return &shakyReader{r, io.LimitReader(r, s.lengths[s.opened-1])}, nil
}

type shakyReader struct {
	io.Closer
	r io.Reader
}

func (r *shakyReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func mustPut(t *testing.T, b backends.Backend, name string, p []byte) {
	t.Helper()
	if err := b.Put(t.Context(), name, writing(p)); err != nil {
		t.Fatal(err)
	}
}

func TestReadGoesOn(t *testing.T) {
	want := content(300_000)
	for _, lengths := range [][]int64{{0}, {1}, {299_999}, {300_000}, {10, 10, 10, 20}, {200_000, 0, 5, 250_000, 300_000}} {
		dir := openDir(t)
		mustPut(t, dir, "name", want)
		b := retry.New(&shaky{Backend: dir, lengths: lengths}, soon(t))
		if got, err := read(t.Context(), b, "name"); err != nil || !bytes.Equal(got, want) {
			t.Errorf("readers of %v bytes: %d bytes, %v", lengths, len(got), err)
		}
	}
}

// TestReadOfOneVersion replaces a file while its reader is broken: what was
// given and what follows must be of one version.
func TestReadOfOneVersion(t *testing.T) {
	old := content(300_000)
	flipped := bytes.Clone(old)
	flipped[99_999] ^= 1
	longer := append(bytes.Clone(old), "more"...)
	tailed := bytes.Clone(old)
	tailed[100_000] ^= 1
	for name, c := range map[string]struct {
		at    int64
		other []byte
		want  []byte // nil if the reader has to fail
	}{
		"other begin":         {100_000, flipped, nil},
		"shorter":             {100_000, old[:50_000], nil},
		"empty":               {1, nil, nil},
		"cut where it broke":  {100_000, old[:100_000], old[:100_000]},
		"same":                {100_000, old, old},
		"longer":              {100_000, longer, longer},
		"longer, all given":   {300_000, longer, longer},
		"other end":           {100_000, tailed, tailed},
		"other, nothing read": {0, flipped, flipped},
	} {
		dir := openDir(t)
		mustPut(t, dir, "name", old)
		s := &shaky{Backend: dir, lengths: []int64{c.at}, reopened: func() { mustPut(t, dir, "name", c.other) }}
		got, err := read(t.Context(), retry.New(s, soon(t)), "name")
		switch {
		case c.want == nil && (err == nil || !strings.Contains(err.Error(), "replaced")):
			t.Errorf("%s: %d bytes, error %v", name, len(got), err)
		case c.want != nil && (err != nil || !bytes.Equal(got, c.want)):
			t.Errorf("%s: %d bytes of %d, error %v", name, len(got), len(c.want), err)
		}
	}
}

func TestReadOfDeleted(t *testing.T) {
	dir := openDir(t)
	mustPut(t, dir, "name", content(1000))
	s := &shaky{Backend: dir, lengths: []int64{10}, reopened: func() { dir.Delete(t.Context(), "name") }}
	if _, err := read(t.Context(), retry.New(s, soon(t)), "name"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error is %v", err)
	}
}

// TestReadWithoutProgress: bytes that come again are no progress.
func TestReadWithoutProgress(t *testing.T) {
	dir := openDir(t)
	mustPut(t, dir, "name", content(1000))
	s := &shaky{Backend: dir}
	for range 1000 {
		s.lengths = append(s.lengths, 500)
	}
	opts := soon(t)
	opts.Attempts = 7
	got, err := read(t.Context(), retry.New(s, opts), "name")
	if !errors.Is(err, io.ErrUnexpectedEOF) || len(got) != 500 || s.opened != 7 {
		t.Errorf("%d bytes from %d readers, error %v", len(got), s.opened, err)
	}
	// A byte more each time is.
	for i := range s.lengths {
		s.lengths[i] = int64(i)
	}
	s.opened = 0
	if got, err := read(t.Context(), retry.New(s, opts), "name"); err != nil || len(got) != 1000 {
		t.Errorf("%d bytes, error %v", len(got), err)
	}
}

// TestWriteOnce: write runs once however often the target fails, and its own
// errors repeat nothing.
func TestWriteOnce(t *testing.T) {
	f := &faulty{Backend: openDir(t), plan: sometimes(40, errUnavailable)}
	opts := soon(t)
	opts.Attempts = 1000
	b := retry.New(f, opts)
	for _, n := range []int{0, 10, 1 << 20, 1<<20 + 1, 3 << 20} {
		calls, want := 0, content(n)
		err := b.Put(t.Context(), "name", func(w io.Writer) error {
			calls++
			for p := want; len(p) > 0; p = p[min(len(p), 1000):] {
				if _, err := w.Write(p[:min(len(p), 1000)]); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil || calls != 1 {
			t.Errorf("%d bytes: write was called %d times, error %v", n, calls, err)
		}
		if got, err := read(t.Context(), b, "name"); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes: %d are stored, error %v", n, len(got), err)
		}
	}
	before := f.steps()
	if err := b.Put(t.Context(), "name", func(io.Writer) error { return errUnavailable }); !errors.Is(err, errUnavailable) || f.steps() != before {
		t.Errorf("an error of write: Put returns %v after %d steps at the target", err, f.steps()-before)
	}
}

// TestSpoolLeavesNothing looks for what is in the spool directory during a Put
// and after it.
func TestSpoolLeavesNothing(t *testing.T) {
	opts := soon(t)
	b := retry.New(openDir(t), opts)
	err := b.Put(t.Context(), "name", func(w io.Writer) error {
		err := writing(content(2 << 20))(w)
		if left, _ := os.ReadDir(opts.SpoolDir); len(left) > 0 {
			t.Errorf("the spool has a name: %v", left)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestSpoolFull(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"); err != nil {
		t.Skipf("needs the right to mount a tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	opts := soon(t)
	opts.SpoolDir = dir
	b := retry.New(openDir(t), opts)
	for range 2 { // a Put that failed gives the space back
		mustPut(t, b, "fits", content(1900<<10))
		err := b.Put(t.Context(), "name", writing(content(3<<20)))
		want := fmt.Sprintf("store %q in %s: spool it in %q: no space left on device", "name", b, dir)
		if !errors.Is(err, syscall.ENOSPC) || errors.Is(err, backends.ErrNoSpace) || err.Error() != want {
			t.Errorf("error is %q, want %q", err, want)
		}
		// An error that write keeps to itself is no less one.
		err = b.Put(t.Context(), "name", func(w io.Writer) error {
			w.Write(content(3 << 20))
			w.Write([]byte("end"))
			return nil
		})
		if !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("error passed over by write is %v", err)
		}
	}
	if sizes, err := list(t.Context(), b); err != nil || len(sizes) != 1 {
		t.Errorf("the target holds %v, %v", sizes, err)
	}
}

func TestSpoolAbsent(t *testing.T) {
	opts := soon(t)
	opts.SpoolDir = filepath.Join(opts.SpoolDir, "absent")
	b := retry.New(openDir(t), opts)
	mustPut(t, b, "short", content(1000))
	err := b.Put(t.Context(), "name", writing(content(3<<20)))
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), opts.SpoolDir) {
		t.Errorf("error is %v", err)
	}
}

// TestListRepeats: a listing that breaks off anywhere gives each name once, and
// an error of fn is not taken for one of the target.
func TestListRepeats(t *testing.T) {
	dir := openDir(t)
	for i := range 250 {
		mustPut(t, dir, fmt.Sprintf("name.%d", i), content(i))
	}
	for seed := range 20 {
		f := &faulty{Backend: dir, plan: sometimes(2, errUnavailable)}
		opts := soon(t)
		opts.Attempts = 1000
		for range seed {
			f.next()
		}
		sizes, err := list(t.Context(), retry.New(f, opts))
		if err != nil || len(sizes) != 250 {
			t.Errorf("%d names, %v", len(sizes), err)
		}
	}
	opts := soon(t)
	opts.Attempts = 2
	if sizes, err := list(t.Context(), retry.New(&longer{Backend: dir}, opts)); err != nil || len(sizes) != 250 {
		t.Errorf("a listing that comes further each time: %d names, %v", len(sizes), err)
	}
	calls := 0
	err := retry.New(dir, soon(t)).List(t.Context(), func(string, int64) error {
		calls++
		return errUnavailable
	})
	if calls != 1 || !errors.Is(err, errUnavailable) {
		t.Errorf("%d calls of a function that fails, error %v", calls, err)
	}
}

// longer is a backend whose listings break off, each after ten names more.
type longer struct {
	backends.Backend
	names int
}

func (l *longer) List(ctx context.Context, fn func(string, int64) error) error {
	l.names += 10
	left := l.names
	return l.Backend.List(ctx, func(name string, size int64) error {
		if left--; left < 0 {
			return errUnavailable
		}
		return fn(name, size)
	})
}
