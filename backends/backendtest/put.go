package backendtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"

	"tklbam/backends"
)

// errWrite is what a failing write returns in these tests.
var errWrite = errors.New("source cannot be read")

func putContent(t *testing.T, b backends.Backend) {
	for _, n := range []int{0, 1, 4096, 65535, 65536, 65537, 20 << 20} {
		name := fmt.Sprintf("file.%d", n)
		want := content(uint64(n), n)
		put(t, b, name, want)
		wantContent(t, b, name, want)
	}
}

// putSmallWrites writes pieces of all sizes from one buffer that it reuses.
func putSmallWrites(t *testing.T, b backends.Backend) {
	want := content(1, 100_000)
	err := b.Put(t.Context(), "name", func(w io.Writer) error {
		var buf [900]byte
		for rest, n := want, 0; len(rest) > 0; rest, n = rest[n:], (n+7)%len(buf) {
			n = copy(buf[:n], rest)
			if written, err := w.Write(buf[:n]); written != n || err != nil {
				return fmt.Errorf("a write of %d bytes: %d, %w", n, written, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatalf("Put: %v", err)
	}
	wantContent(t, b, "name", want)
}

func putReplaces(t *testing.T, b backends.Backend) {
	for i, n := range []int{100_000, 10, 200_000, 0, 5} {
		want := content(uint64(i), n)
		put(t, b, "name", want)
		wantContent(t, b, "name", want)
		wantList(t, b, map[string]int64{"name": int64(n)})
	}
}

// putHiddenUntilDone looks at the target while a file is being stored, first
// as a new one, then in place of another.
func putHiddenUntilDone(t *testing.T, b backends.Backend) {
	looking := func(p []byte, look func()) func(io.Writer) error {
		return func(w io.Writer) error {
			err := writing(p)(w)
			look()
			return err
		}
	}
	first, second := content(1, 2<<20), content(2, 1<<20)
	err := b.Put(t.Context(), "name", looking(first, func() {
		wantList(t, b, map[string]int64{})
		wantAbsent(t, b, "name")
	}))
	if err != nil {
		t.Fatalf("Put: %v", err)
	}
	err = b.Put(t.Context(), "name", looking(second, func() {
		wantList(t, b, map[string]int64{"name": 2 << 20})
		wantContent(t, b, "name", first)
	}))
	if err != nil {
		t.Fatalf("Put: %v", err)
	}
	wantContent(t, b, "name", second)
}

// putUsesBackend stores and deletes other files, and copies one, from within
// write.
func putUsesBackend(t *testing.T, b backends.Backend) {
	want := content(1, 1<<20)
	put(t, b, "source", want)
	put(t, b, "old", want)
	err := b.Put(t.Context(), "copy", func(w io.Writer) error {
		r := open(t, b, "source")
		_, err := io.Copy(w, r)
		put(t, b, "new", want)
		return errors.Join(err, r.Close(), b.Delete(t.Context(), "old"))
	})
	if err != nil {
		t.Errorf("Put: %v", err)
	}
	wantContent(t, b, "copy", want)
	wantList(t, b, map[string]int64{"source": 1 << 20, "copy": 1 << 20, "new": 1 << 20})
}

// putWriteError lets write fail after different amounts, on an absent name
// and on one that is there.
func putWriteError(t *testing.T, b backends.Backend) {
	old := content(1, 1000)
	put(t, b, "old", old)
	for _, n := range []int{0, 1, 2 << 20} {
		for _, name := range []string{"absent", "old"} {
			err := b.Put(t.Context(), name, func(w io.Writer) error {
				return errors.Join(writing(content(2, n))(w), errWrite)
			})
			if !errors.Is(err, errWrite) {
				t.Errorf("Put returns %v, want the error of write", err)
			}
			wantAbsent(t, b, "absent")
			wantContent(t, b, "old", old)
			wantList(t, b, map[string]int64{"old": 1000})
		}
	}
}

// putRepeated is what a retrying wrapper does.
func putRepeated(t *testing.T, b backends.Backend) {
	want := content(1, 1<<20)
	for _, part := range []int{10, 1 << 19} {
		err := b.Put(t.Context(), "name", func(w io.Writer) error {
			return errors.Join(writing(want[:part])(w), errWrite)
		})
		if err == nil {
			t.Error("Put returns nil when write fails")
		}
	}
	put(t, b, "name", want)
	put(t, b, "name", want)
	wantContent(t, b, "name", want)
	wantList(t, b, map[string]int64{"name": 1 << 20})
}

func putCancelledBefore(t *testing.T, b backends.Backend) {
	for range 2 { // as the first call of all, and as a later one
		err := b.Put(cancelled(t), "name", func(io.Writer) error {
			t.Error("Put with a cancelled context called write")
			return nil
		})
		wantCancelled(t, "Put", err)
		wantAbsent(t, b, "name")
		put(t, b, "other", []byte("data"))
	}
}

// putCancelledMidway cancels between two writes and expects a later one, soon,
// to fail.
func putCancelledMidway(t *testing.T, b backends.Backend) {
	old := content(1, 1000)
	put(t, b, "old", old)
	for _, name := range []string{"absent", "old"} {
		ctx, cancel := context.WithCancel(t.Context())
		err := b.Put(ctx, name, func(w io.Writer) error {
			p := content(2, 64<<10)
			err := writing(p)(w)
			cancel()
			for i := 0; i < 1000 && err == nil; i++ {
				err = writing(p)(w)
			}
			if err == nil {
				t.Error("64 MB could be written after the context was cancelled")
			}
			return err
		})
		cancel()
		wantCancelled(t, "Put", err)
		wantAbsent(t, b, "absent")
		wantContent(t, b, "old", old)
	}
	wantList(t, b, map[string]int64{"old": 1000})
}

// putCancelledAtEnd cancels when all is written and write returns nil.
func putCancelledAtEnd(t *testing.T, b backends.Backend) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := b.Put(ctx, "name", func(w io.Writer) error {
		defer cancel()
		return writing(content(1, 1000))(w)
	})
	wantCancelled(t, "Put", err)
	wantList(t, b, map[string]int64{})
}

func putConcurrentNames(t *testing.T, b backends.Backend) {
	const workers, files = 8, 4
	want := make(map[string]int64)
	var all sync.WaitGroup
	for i := range workers {
		for j := range files {
			want[fmt.Sprintf("file.%d.%d", i, j)] = int64(100_000*i + j)
		}
		all.Go(func() {
			for j := range files {
				name := fmt.Sprintf("file.%d.%d", i, j)
				if err := b.Put(t.Context(), name, writing(content(uint64(i), 100_000*i+j))); err != nil {
					t.Errorf("Put %q: %v", name, err)
				}
			}
		})
	}
	all.Wait()
	wantList(t, b, want)
	for i := range workers {
		wantContent(t, b, fmt.Sprintf("file.%d.0", i), content(uint64(i), 100_000*i))
	}
}

// putConcurrentSameName starts all Puts before it lets any of them end, and
// reads meanwhile.
func putConcurrentSameName(t *testing.T, b backends.Backend) {
	const writers, size = 4, 300_000
	var versions [][]byte
	var started, all sync.WaitGroup
	started.Add(writers)
	for i := range writers {
		versions = append(versions, content(uint64(i), size+i))
	}
	for i, p := range versions {
		var once sync.Once
		all.Go(func() {
			defer once.Do(started.Done)
			err := b.Put(t.Context(), "name", func(w io.Writer) error {
				err := writing(p[:size/2])(w)
				once.Do(started.Done)
				started.Wait()
				return errors.Join(err, writing(p[size/2:])(w))
			})
			if err != nil {
				t.Errorf("Put %d: %v", i, err)
			}
		})
	}
	isVersion := func(p []byte) bool {
		return slices.ContainsFunc(versions, func(v []byte) bool { return bytes.Equal(v, p) })
	}
	all.Go(func() {
		for range 50 {
			if p, err := read(t.Context(), b, "name"); err == nil && !isVersion(p) {
				t.Errorf("read during the Puts: %d bytes of no version", len(p))
			}
		}
	})
	all.Wait()
	p, err := read(t.Context(), b, "name")
	if err != nil || !isVersion(p) {
		t.Errorf("read after the Puts: %d bytes of no version, %v", len(p), err)
	}
	wantList(t, b, map[string]int64{"name": int64(len(p))})
}

// mixedUse runs all methods at the same time; it is for the race detector, and
// for servers that mix up answers.
func mixedUse(t *testing.T, b backends.Backend) {
	var all sync.WaitGroup
	for i := range 6 {
		all.Go(func() {
			name := fmt.Sprintf("name.%d", i)
			for j := range 8 {
				want := content(uint64(i), 1000*i+j)
				err := b.Put(t.Context(), name, writing(want))
				got, readErr := read(t.Context(), b, name)
				sizes, listErr := list(t.Context(), b)
				err = errors.Join(err, readErr, listErr, b.Delete(t.Context(), name))
				if err != nil || !bytes.Equal(got, want) || sizes[name] != int64(len(want)) {
					t.Errorf("round %d of %s: %d bytes read, %d listed, %d stored, error %v", j, name, len(got), sizes[name], len(want), err)
				}
			}
		})
	}
	all.Wait()
	wantList(t, b, map[string]int64{})
}
