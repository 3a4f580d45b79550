package spool_test

import (
	"context"
	"errors"
	"io"
	"os"
	"testing"
	"testing/iotest"

	"tklbam/backends/spool"
)

func newDir(t *testing.T) (d *spool.Dir, parent string) {
	t.Helper()
	parent = t.TempDir()
	d, err := spool.New(parent)
	if err != nil {
		t.Fatal(err)
	}
	return d, parent
}

func wantEmpty(t *testing.T, dir string) {
	t.Helper()
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%d files are left, error %v", len(left), err)
	}
}

func text(s string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, s)
		return err
	}
}

func TestFillAndTake(t *testing.T) {
	d, parent := newDir(t)
	if size, err := d.Fill(t.Context(), "-name", text("content")); err != nil || size != 7 {
		t.Fatalf("Fill: %d, %v", size, err)
	}
	info, err := os.Stat(d.Join("-name"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file has %v, %v", info, err)
	}
	r, err := d.Take(t.Context(), "-name")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	wantEmpty(t, parent)
	if err := iotest.TestReader(r, []byte("content")); err != nil {
		t.Error(err)
	}
}

func TestTakeAbsent(t *testing.T) {
	d, parent := newDir(t)
	if _, err := d.Take(t.Context(), "name"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Take: %v", err)
	}
	wantEmpty(t, parent)
}

func TestCancelled(t *testing.T) {
	d, parent := newDir(t)
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := d.Fill(ctx, "name", text("content")); err != nil {
		t.Fatal(err)
	}
	r, err := d.Take(ctx, "name")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cancel()
	if _, err := io.Copy(io.Discard, r); !errors.Is(err, context.Canceled) {
		t.Errorf("Copy: %v", err)
	}
	d, err = spool.New(parent)
	if err != nil {
		t.Fatal(err)
	}
	for name, write := range map[string]func(io.Writer) error{"a": text("x"), "b": func(io.Writer) error { return nil }} {
		if _, err := d.Fill(ctx, name, write); !errors.Is(err, context.Canceled) {
			t.Errorf("Fill: %v", err)
		}
	}
	if err := d.Remove(); err != nil {
		t.Error(err)
	}
	wantEmpty(t, parent)
}

func TestFillError(t *testing.T) {
	d, _ := newDir(t)
	failed := errors.New("source cannot be read")
	if _, err := d.Fill(t.Context(), "name", func(io.Writer) error { return failed }); !errors.Is(err, failed) {
		t.Errorf("Fill: %v", err)
	}
}
