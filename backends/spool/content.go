package spool

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

const (
	// headSize is the content that is kept in memory.
	headSize = 1 << 20

	// bufferSize keeps the small writes of compressors and ciphers off the
	// disk.
	bufferSize = 128 << 10
)

// A Content keeps bytes on their way to a target: a few in memory, more in a
// file without a name, of which nothing outlives the program. It takes no more
// once its context is cancelled.
type Content struct {
	ctx  context.Context
	dir  string
	head bytes.Buffer // all of it, or nothing if there is a file
	file *os.File
	w    *bufio.Writer // to file
	size int64
}

// NewContent returns an empty one, which is to be closed. Its file is in dir;
// "" is the system's directory for temporary files.
func NewContent(ctx context.Context, dir string) *Content { return &Content{ctx: ctx, dir: dir} }

// Write implements io.Writer.
func (c *Content) Write(p []byte) (n int, err error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	if c.file == nil && c.head.Len()+len(p) > headSize {
		if err := c.spill(); err != nil {
			return 0, err
		}
	}
	if c.file == nil {
		n, err = c.head.Write(p)
	} else {
		n, err = c.w.Write(p)
	}
	c.size += int64(n)
	return n, err
}

// spill makes the file, and moves to it what there is.
func (c *Content) spill() error {
	file, err := os.CreateTemp(c.dir, "tklbam-content-*")
	if err != nil {
		return fmt.Errorf("make a spool file: %w", err)
	}
	if err := os.Remove(file.Name()); err != nil {
		return errors.Join(fmt.Errorf("unlink a spool file: %w", err), file.Close())
	}
	c.file, c.w = file, bufio.NewWriterSize(file, bufferSize)
	_, err = c.head.WriteTo(c.w)
	c.head = bytes.Buffer{}
	return err
}

// Size returns the number of bytes written since the last Reset.
func (c *Content) Size() int64 { return c.size }

// Reader returns a reader of all that was written, from the beginning. There
// may be several at a time; the next Write, Reset or Close ends them.
func (c *Content) Reader() (*io.SectionReader, error) {
	if c.file == nil {
		return io.NewSectionReader(bytes.NewReader(c.head.Bytes()), 0, c.size), nil
	}
	if err := c.w.Flush(); err != nil {
		return nil, err
	}
	return io.NewSectionReader(c.file, 0, c.size), nil
}

// Reset empties it.
func (c *Content) Reset() error {
	c.size = 0
	c.head.Reset()
	if c.file == nil {
		return nil
	}
	c.w.Reset(c.file)
	_, err := c.file.Seek(0, io.SeekStart)
	return errors.Join(err, c.file.Truncate(0))
}

// Close frees what it holds.
func (c *Content) Close() error {
	if c.file == nil {
		return nil
	}
	return c.file.Close()
}
