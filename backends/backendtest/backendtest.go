// Package backendtest holds a backend against the contract in package
// backends: every sentence of the interfaces' comments has a test here.
package backendtest

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

	"tklbam/backends"
)

// Run tests the backends that open makes: each call returns one on an empty
// target of its own, which Run closes.
func Run(t *testing.T, open func(t *testing.T) backends.Backend) {
	for _, c := range cases() {
		t.Run(c.name, func(t *testing.T) {
			b := open(t)
			t.Cleanup(func() {
				if err := b.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			})
			c.run(t, b)
		})
	}
}

// A testCase tests one sentence or two on an empty target.
type testCase struct {
	name string
	run  func(t *testing.T, b backends.Backend)
}

func cases() []testCase {
	return []testCase{
		{"ListEmpty", listEmpty},
		{"ListSizes", listSizes},
		{"ListManyOnce", listManyOnce},
		{"ListOneCallAtATime", listOneCallAtATime},
		{"ListStopsOnError", listStopsOnError},
		{"ListCancelled", listCancelled},
		{"ListUsesBackend", listUsesBackend},
		{"OpenAbsent", openAbsent},
		{"OpenPartialReads", openPartialReads},
		{"OpenClosedEarly", openClosedEarly},
		{"OpenInterleaved", openInterleaved},
		{"OpenCancelled", openCancelled},
		{"OpenSeeks", openSeeks},
		{"OpenWhileReplaced", openWhileReplaced},
		{"OpenWhileDeleted", openWhileDeleted},
		{"PutContent", putContent},
		{"PutSmallWrites", putSmallWrites},
		{"PutReplaces", putReplaces},
		{"PutHiddenUntilDone", putHiddenUntilDone},
		{"PutUsesBackend", putUsesBackend},
		{"PutWriteError", putWriteError},
		{"PutRepeated", putRepeated},
		{"PutCancelledBefore", putCancelledBefore},
		{"PutCancelledMidway", putCancelledMidway},
		{"PutCancelledAtEnd", putCancelledAtEnd},
		{"PutConcurrentNames", putConcurrentNames},
		{"PutConcurrentSameName", putConcurrentSameName},
		{"DeleteRemovesOne", deleteRemovesOne},
		{"DeleteAbsent", deleteAbsent},
		{"DeleteCancelled", deleteCancelled},
		{"NamesOdd", namesOdd},
		{"NamesInvalid", namesInvalid},
		{"MixedUse", mixedUse},
		{"CloseEnds", closeEnds},
		{"CloseTwice", closeTwice},
		{"StringIsAddress", stringIsAddress},
		{"SpacerFree", spacerFree},
	}
}

// content returns n bytes that don't compress and that no other seed gives.
func content(seed uint64, n int) []byte {
	p := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)}).Read(p)
	return p
}

// writing returns a function for Put that writes all of p.
func writing(p []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		n, err := w.Write(p)
		if err == nil && n != len(p) {
			return fmt.Errorf("a write of %d bytes returned %d, nil", len(p), n)
		}
		return err
	}
}

func put(t *testing.T, b backends.Backend, name string, p []byte) {
	t.Helper()
	if err := b.Put(t.Context(), name, writing(p)); err != nil {
		t.Fatalf("Put %q: %v", name, err)
	}
}

// read returns the content of a file; errors are Open's, Read's and Close's.
func read(ctx context.Context, b backends.Reader, name string) ([]byte, error) {
	r, err := b.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	p, err := io.ReadAll(r)
	return p, errors.Join(err, r.Close())
}

func open(t *testing.T, b backends.Reader, name string) io.ReadCloser {
	t.Helper()
	r, err := b.Open(t.Context(), name)
	if err != nil {
		t.Fatalf("Open %q: %v", name, err)
	}
	return r
}

func closeReader(t *testing.T, r io.Closer) {
	t.Helper()
	if err := r.Close(); err != nil {
		t.Errorf("Close of a reader: %v", err)
	}
}

func wantContent(t *testing.T, b backends.Reader, name string, want []byte) {
	t.Helper()
	got, err := read(t.Context(), b, name)
	if err != nil {
		t.Errorf("read %q: %v", name, err)
	} else if !bytes.Equal(got, want) {
		t.Errorf("read %q: %d bytes that are not the %d bytes stored", name, len(got), len(want))
	}
}

func wantAbsent(t *testing.T, b backends.Reader, name string) {
	t.Helper()
	if _, err := read(t.Context(), b, name); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("read %q: error is %v, want fs.ErrNotExist", name, err)
	}
}

// list returns the sizes of the listed files by name; a file listed twice is
// an error.
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

func wantList(t *testing.T, b backends.Reader, want map[string]int64) {
	t.Helper()
	got, err := list(t.Context(), b)
	switch {
	case err != nil:
		t.Errorf("List: %v", err)
	case !maps.Equal(got, want) && len(got)+len(want) > 20:
		t.Errorf("List gives %d files, not the %d stored", len(got), len(want))
	case !maps.Equal(got, want):
		t.Errorf("List gives %v, want %v", got, want)
	}
}

// cancelled returns a context that is cancelled already.
func cancelled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

func wantCancelled(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%s with a cancelled context: error is %v, want context.Canceled", what, err)
	}
}
