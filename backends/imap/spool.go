package imap

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
	headSize = 256 << 10

	// bufferSize keeps the small writes of compressors, ciphers and encoders
	// off the disk and the network.
	bufferSize = 128 << 10
)

// A spool keeps a content: a short one in memory, a longer one in a file
// without a name. It refuses more once its context is cancelled.
type spool struct {
	ctx  context.Context
	dir  string // for the file
	head bytes.Buffer
	file *os.File
	w    *bufio.Writer // to file
	size int64
}

// fill runs write, and goes back to the beginning of what it wrote.
func (s *spool) fill(write func(w io.Writer) error) error {
	if err := write(s); err != nil {
		return err
	}
	if s.file != nil {
		if err := s.w.Flush(); err != nil {
			return err
		}
		if _, err := s.file.Seek(0, io.SeekStart); err != nil {
			return err
		}
	}
	return s.ctx.Err()
}

func (s *spool) Write(p []byte) (n int, err error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	if s.file == nil && s.head.Len()+len(p) > headSize {
		if err := s.create(); err != nil {
			return 0, err
		}
	}
	if s.file == nil {
		n, err = s.head.Write(p)
	} else {
		n, err = s.w.Write(p)
	}
	s.size += int64(n)
	return n, err
}

// create makes the file, and moves to it what there is.
func (s *spool) create() error {
	file, err := os.CreateTemp(s.dir, "tklbam-mail-*")
	if err != nil {
		return fmt.Errorf("make a temporary file: %w", err)
	}
	if err := os.Remove(file.Name()); err != nil {
		return errors.Join(fmt.Errorf("unlink a temporary file: %w", err), file.Close())
	}
	s.file, s.w = file, bufio.NewWriterSize(file, bufferSize)
	_, err = s.head.WriteTo(s.w)
	s.head = bytes.Buffer{}
	return err
}

// reader returns the content, from where it is read.
func (s *spool) reader() io.Reader {
	if s.file != nil {
		return s.file
	}
	return &s.head
}

func (s *spool) close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}
