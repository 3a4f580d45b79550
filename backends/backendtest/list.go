package backendtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"tklbam/backends"
)

func listEmpty(t *testing.T, b backends.Backend) {
	wantList(t, b, map[string]int64{})
}

func listSizes(t *testing.T, b backends.Backend) {
	want := make(map[string]int64)
	for _, n := range []int{0, 1, 511, 512, 65537, 1 << 20} {
		name := fmt.Sprintf("file.%d", n)
		put(t, b, name, content(1, n))
		want[name] = int64(n)
	}
	wantList(t, b, want)
}

// listManyOnce stores more files than a page of any known service holds.
func listManyOnce(t *testing.T, b backends.Backend) {
	const files, workers = 3000, 16
	want := make(map[string]int64)
	names := make(chan string, files)
	for i := range files {
		name := fmt.Sprintf("duplicity-full.20200101T000000Z.vol%d.difftar.gpg", i+1)
		want[name] = 4
		names <- name
	}
	close(names)
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for name := range names {
				if err := b.Put(t.Context(), name, writing([]byte("data"))); err != nil {
					t.Errorf("Put %q: %v", name, err)
				}
			}
		})
	}
	all.Wait()
	wantList(t, b, want)
}

func listOneCallAtATime(t *testing.T, b backends.Backend) {
	putSome(t, b, 50)
	var running atomic.Int32
	err := b.List(t.Context(), func(string, int64) error {
		if running.Add(1) > 1 {
			return errors.New("a call began before the one before it ended")
		}
		defer running.Add(-1)
		for range 100 {
			runtime.Gosched() // time for a second call to begin
		}
		return nil
	})
	if err != nil {
		t.Errorf("List: %v", err)
	}
}

func listStopsOnError(t *testing.T, b backends.Backend) {
	putSome(t, b, 5)
	stop := errors.New("enough")
	calls := 0
	err := b.List(t.Context(), func(string, int64) error {
		calls++
		return stop
	})
	if !errors.Is(err, stop) {
		t.Errorf("List returns %v, want the error of its function", err)
	}
	if calls != 1 {
		t.Errorf("List called its function %d times, the first call returned an error", calls)
	}
}

func listCancelled(t *testing.T, b backends.Backend) {
	_, err := list(cancelled(t), b)
	wantCancelled(t, "List of an empty target", err)

	putSome(t, b, 5)
	sizes, err := list(cancelled(t), b)
	wantCancelled(t, "List", err)
	if len(sizes) > 0 {
		t.Errorf("List with a cancelled context reported %d files", len(sizes))
	}

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	calls := 0
	err = b.List(ctx, func(string, int64) error {
		calls++
		cancel()
		return nil
	})
	wantCancelled(t, "List cancelled by its function", err)
	if calls == 5 {
		t.Error("List went on to the end after its context was cancelled")
	}
}

// listUsesBackend reads, replaces and deletes what is being listed.
func listUsesBackend(t *testing.T, b backends.Backend) {
	putSome(t, b, 20)
	seen := 0
	err := b.List(t.Context(), func(name string, _ int64) error {
		if name == "new" {
			return nil
		}
		seen++
		if _, err := read(t.Context(), b, name); err != nil {
			return err
		}
		if err := b.Put(t.Context(), "new", writing([]byte("new"))); err != nil {
			return err
		}
		_, err := list(t.Context(), b)
		return errors.Join(err, b.Delete(t.Context(), name))
	})
	if err != nil {
		t.Errorf("List: %v", err)
	}
	if seen != 20 {
		t.Errorf("List reported %d files of 20 that were there from the beginning until reported", seen)
	}
	wantList(t, b, map[string]int64{"new": 3})
}

// putSome stores n small files.
func putSome(t *testing.T, b backends.Backend, n int) {
	t.Helper()
	for i := range n {
		put(t, b, fmt.Sprintf("some.%d", i), []byte("data"))
	}
}

func deleteRemovesOne(t *testing.T, b backends.Backend) {
	p := content(1, 1000)
	for _, name := range []string{"vol1", "vol10", "vol"} {
		put(t, b, name, p)
	}
	if err := b.Delete(t.Context(), "vol1"); err != nil {
		t.Errorf("Delete: %v", err)
	}
	wantAbsent(t, b, "vol1")
	wantList(t, b, map[string]int64{"vol10": 1000, "vol": 1000})
	put(t, b, "vol1", p)
	wantContent(t, b, "vol1", p)
}

func deleteAbsent(t *testing.T, b backends.Backend) {
	put(t, b, "name", []byte("data"))
	for _, name := range []string{"never", "name", "name"} {
		if err := b.Delete(t.Context(), name); err != nil {
			t.Errorf("Delete %q: %v", name, err)
		}
	}
}

func deleteCancelled(t *testing.T, b backends.Backend) {
	put(t, b, "name", []byte("data"))
	wantCancelled(t, "Delete", b.Delete(cancelled(t), "name"))
	wantContent(t, b, "name", []byte("data"))
}

func closeEnds(t *testing.T, b backends.Backend) {
	put(t, b, "name", []byte("data"))
	if err := b.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	_, listErr := list(t.Context(), b)
	_, readErr := read(t.Context(), b, "name")
	for what, err := range map[string]error{
		"List":   listErr,
		"Open":   readErr,
		"Put":    b.Put(t.Context(), "name", func(io.Writer) error { return nil }),
		"Delete": b.Delete(t.Context(), "name"),
	} {
		if err == nil {
			t.Errorf("%s works after Close", what)
		}
	}
}

func closeTwice(t *testing.T, b backends.Backend) {
	for i := range 2 {
		if err := b.Close(); err != nil {
			t.Errorf("Close %d: %v", i+1, err)
		}
	}
}

func stringIsAddress(t *testing.T, b backends.Backend) {
	a, err := backends.ParseAddress(b.String())
	switch {
	case err != nil:
		t.Errorf("String: %v", err)
	case a.Password.Reveal() != "":
		t.Error("String holds a password")
	case a.String() != b.String():
		t.Errorf("String is %q, as an address it reads %q", b, a)
	}
}

func spacerFree(t *testing.T, b backends.Backend) {
	s, ok := b.(backends.Spacer)
	if !ok {
		t.Skip("the backend is no Spacer")
	}
	if free, err := s.Free(t.Context()); err != nil || free == 0 {
		t.Errorf("Free: %d, %v for a target that takes files", free, err)
	}
	_, err := s.Free(cancelled(t))
	wantCancelled(t, "Free", err)
}
