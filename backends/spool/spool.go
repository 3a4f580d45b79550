// Package spool keeps content on this machine that is on its way to or from a
// target: a Dir for a target whose program, such as rsync, takes and makes
// files, a Content for one that is to be told the length beforehand.
package spool

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// A Dir is a directory of its own for one file, which has the name there that
// it has in the target. Nobody else can read it. A program that is killed
// leaves it behind.
type Dir struct {
	path string
}

// New makes a directory in parent; "" is the system's for temporary files.
func New(parent string) (*Dir, error) {
	path, err := os.MkdirTemp(parent, "tklbam-spool-*")
	if err != nil {
		return nil, fmt.Errorf("make a spool directory: %w", err)
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, errors.Join(err, os.Remove(path))
	}
	return &Dir{absolute}, nil
}

// Path returns the directory's absolute path.
func (d *Dir) Path() string { return d.path }

// Join returns the absolute path of a file in the directory.
func (d *Dir) Join(name string) string { return filepath.Join(d.path, name) }

// Remove removes the directory with all that is in it.
func (d *Dir) Remove() error { return os.RemoveAll(d.path) }

// Fill makes a file of what write produces and returns its length in bytes.
// Errors of write and of the context are returned.
func (d *Dir) Fill(ctx context.Context, name string, write func(w io.Writer) error) (size int64, err error) {
	f, err := os.OpenFile(d.Join(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, fmt.Errorf("make a spool file: %w", err)
	}
	w := &writer{ctx: ctx, to: bufio.NewWriterSize(f, bufferSize)}
	err = write(w)
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = w.to.Flush()
	}
	return w.size, errors.Join(err, f.Close())
}

// Take returns a reader of a file, which is removed with the directory: only
// the reader keeps it. It can Seek. Cancelling ctx makes it fail.
func (d *Dir) Take(ctx context.Context, name string) (io.ReadSeekCloser, error) {
	f, err := os.Open(d.Join(name))
	if err != nil {
		return nil, errors.Join(err, d.Remove())
	}
	if err := d.Remove(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &reader{ctx, f}, nil
}

// writer counts what it writes, and writes no more once its context is
// cancelled.
type writer struct {
	ctx  context.Context
	to   *bufio.Writer
	size int64
}

func (w *writer) Write(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := w.to.Write(p)
	w.size += int64(n)
	return n, err
}

// reader is a file that is not read once its context is cancelled.
type reader struct {
	ctx context.Context
	*os.File
}

func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.File.Read(p)
}

// WriteTo is Read's, so that a copy heeds the context as well.
func (r *reader) WriteTo(w io.Writer) (int64, error) {
	return io.Copy(w, struct{ io.Reader }{r})
}
