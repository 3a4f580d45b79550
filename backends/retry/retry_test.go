package retry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	"tklbam/backends"
	"tklbam/backends/backendtest"
	"tklbam/backends/file"
	"tklbam/backends/retry"
)

// soon are options that wait next to nothing.
func soon(t *testing.T) retry.Options {
	return retry.Options{First: time.Nanosecond, Max: time.Microsecond, SpoolDir: t.TempDir()}
}

func openDir(t *testing.T) backends.Backend {
	t.Helper()
	a, err := backends.ParseAddress("file://" + t.TempDir())
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

func TestContract(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) backends.Backend { return retry.New(openDir(t), soon(t)) })
}

func TestContractWithFaults(t *testing.T) {
	for name, seeks := range map[string]bool{"Streams": false, "Seekers": true} {
		t.Run(name, func(t *testing.T) {
			backendtest.Run(t, func(t *testing.T) backends.Backend {
				opts := soon(t)
				opts.Attempts = 1000
				return retry.New(&faulty{
					Backend: openDir(t), seeks: seeks, plan: sometimes(200, errUnavailable),
				}, opts)
			})
		})
	}
}

var errUnavailable = fmt.Errorf("test: %w", backends.ErrUnavailable)

func content(n int) []byte {
	p := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(p)
	return p
}

func writing(p []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := w.Write(p)
		return err
	}
}

func read(ctx context.Context, b backends.Reader, name string) ([]byte, error) {
	r, err := b.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	var p bytes.Buffer
	_, err = io.CopyBuffer(struct{ io.Writer }{&p}, r, make([]byte, 256<<10))
	return p.Bytes(), errors.Join(err, r.Close())
}

func list(ctx context.Context, b backends.Reader) (map[string]int64, error) {
	sizes := make(map[string]int64)
	err := b.List(ctx, func(name string, size int64) error {
		if _, twice := sizes[name]; twice {
			return fmt.Errorf("%q is listed twice", name)
		}
		sizes[name] = size
		return nil
	})
	return sizes, err
}

// stored is what session stores: a file that is longer than the memory of a
// spool, and one that is not.
var stored = map[string]int64{"long": 1<<20 + 1, "short": 9}

// session is every kind of call once.
func session(ctx context.Context, b backends.Backend) error {
	long, short := content(int(stored["long"])), content(int(stored["short"]))
	if err := errors.Join(b.Put(ctx, "long", writing(long)), b.Put(ctx, "short", writing(short))); err != nil {
		return err
	}
	sizes, err := list(ctx, b)
	if err == nil && !maps.Equal(sizes, stored) {
		err = fmt.Errorf("List gives %v, want %v", sizes, stored)
	}
	if err != nil {
		return err
	}
	got, err := read(ctx, b, "long")
	if err == nil && !bytes.Equal(got, long) {
		err = fmt.Errorf("read %d bytes that are not the %d stored", len(got), len(long))
	}
	if err != nil {
		return err
	}
	_, err = b.(backends.Spacer).Free(ctx)
	return errors.Join(err, b.Delete(ctx, "short"))
}

// TestEveryStepFails fails one step of a session, which must not show, or fails
// it for good, which must show at once and leave the target in order.
func TestEveryStepFails(t *testing.T) {
	for _, seeks := range []bool{false, true} {
		for i := 1; ; i++ {
			f := &faulty{Backend: openDir(t), seeks: seeks, plan: failing(i, errUnavailable)}
			notes := 0
			opts := soon(t)
			opts.Notify = func(op, name string, attempt int, wait time.Duration, err error) {
				if notes++; op == "" || attempt != 1 || !errors.Is(err, errUnavailable) {
					t.Errorf("step %d: %s %q, attempt %d: %v", i, op, name, attempt, err)
				}
			}
			if err := session(t.Context(), retry.New(f, opts)); err != nil {
				t.Errorf("step %d, seeks %t: %v", i, seeks, err)
			}
			if f.steps() < i {
				break
			}
			if notes != 1 {
				t.Errorf("step %d, seeks %t: told of %d failures", i, seeks, notes)
			}
			if !seeks {
				failForGood(t, i)
			}
		}
	}
}

func failForGood(t *testing.T, i int) {
	t.Helper()
	dir := openDir(t)
	f := &faulty{Backend: dir, plan: failing(i, fs.ErrPermission)}
	if err := session(t.Context(), retry.New(f, soon(t))); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("step %d: error is %v", i, err)
	}
	sizes, err := list(t.Context(), dir)
	if err != nil {
		t.Error(err)
	}
	for name, size := range sizes {
		if size != stored[name] {
			t.Errorf("step %d leaves %q with %d bytes", i, name, size)
		}
	}
}

func TestNoSpacer(t *testing.T) {
	if _, ok := retry.New(struct{ backends.Backend }{openDir(t)}, retry.Options{}).(backends.Spacer); ok {
		t.Error("the backend knows the free space that the one inside does not know")
	}
}

// TestSeekers: readers seek if those inside do.
func TestSeekers(t *testing.T) {
	dir := openDir(t)
	for _, seeks := range []bool{false, true} {
		b := retry.New(&faulty{Backend: dir, seeks: seeks, plan: failing(0, nil)}, soon(t))
		if err := b.Put(t.Context(), "name", writing(content(100))); err != nil {
			t.Fatal(err)
		}
		r, err := b.Open(t.Context(), "name")
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := r.(io.Seeker); ok != seeks {
			t.Errorf("a reader of a seekable one (%t) is seekable: %t", seeks, ok)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if n, err := r.Read(make([]byte, 1)); n > 0 || err == nil || err == io.EOF {
			t.Errorf("Read after Close: %d, %v", n, err)
		}
	}
}
