package spool_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"tklbam/backends/spool"
)

// TestContent fills one twice, with contents in memory and in a file.
func TestContent(t *testing.T) {
	want := make([]byte, 3<<20)
	rand.NewChaCha8([32]byte{}).Read(want)
	for _, sizes := range [][2]int{{0, 1}, {1 << 20, 1<<20 + 1}, {3 << 20, 5}, {1<<20 + 1, 3 << 20}} {
		dir := t.TempDir()
		c := spool.NewContent(t.Context(), dir)
		for _, size := range sizes {
			write(t, c, want[:size])
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("the directory has %d files, %v", len(left), err)
			}
			for range 2 {
				r, err := c.Reader()
				if err != nil {
					t.Fatal(err)
				}
				if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, want[:size]) || c.Size() != int64(size) {
					t.Errorf("of %d bytes %d are read, %v; Size is %d", size, len(got), err, c.Size())
				}
			}
			if err := c.Reset(); err != nil || c.Size() != 0 {
				t.Errorf("after Reset there are %d bytes, %v", c.Size(), err)
			}
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

// write writes p in pieces of odd lengths.
func write(t *testing.T, w io.Writer, p []byte) {
	t.Helper()
	for len(p) > 0 {
		n, err := w.Write(p[:min(len(p), 70_001)])
		if err != nil {
			t.Fatal(err)
		}
		p = p[n:]
	}
}

func TestContentErrors(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := spool.NewContent(ctx, filepath.Join(t.TempDir(), "absent"))
	if n, err := c.Write(make([]byte, 2<<20)); n != 0 || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without its directory: %d, %v", n, err)
	}
	cancel()
	if n, err := c.Write([]byte("x")); n != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("after a cancelling: %d, %v", n, err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}
