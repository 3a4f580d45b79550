package retry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"tklbam/backends"
)

// spoolMemory is the content that is kept in memory. Manifests and the last
// volumes of small sessions are no longer.
const spoolMemory = 1 << 20

// Put implements backends.Backend. write fills a spool, at the speed of the
// machine; then the content goes to the target, in as many attempts as it
// takes. The spool also keeps a target from being held open by a slow write.
func (b *backend) Put(ctx context.Context, name string, write func(w io.Writer) error) error {
	if err := backends.CheckName(name); err != nil {
		return err
	}
	if err := b.check(ctx); err != nil {
		return err
	}
	s := &spool{ctx: ctx, dir: b.opts.SpoolDir}
	defer s.close()
	if err := s.fill(write); err != nil {
		return fmt.Errorf("store %q in %s: %w", name, b, err)
	}
	t := tries{backend: b, op: "store", name: name}
	return t.do(ctx, func() error { return b.inner.Put(ctx, name, s.copyTo) })
}

// A spool holds the content of one file: in memory, and when it gets long in a
// file that has no name, so that nothing of it outlives the process.
type spool struct {
	ctx  context.Context
	dir  string
	head bytes.Buffer // all of the content as long as there is no file
	file *os.File
	size int64
	err  error // of Write, the first one
}

// fill lets write write the content. An error that write passes over is one
// all the same.
func (s *spool) fill(write func(w io.Writer) error) error {
	if err := write(s); err != nil {
		return err
	}
	return s.err
}

func (s *spool) Write(p []byte) (int, error) {
	if s.err == nil {
		s.err = s.ctx.Err()
	}
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.write(p)
	s.size += int64(n)
	s.err = err
	return n, err
}

func (s *spool) write(p []byte) (int, error) {
	if s.file == nil {
		if s.head.Len()+len(p) <= spoolMemory {
			return s.head.Write(p)
		}
		if err := s.spill(); err != nil {
			return 0, s.cause(err)
		}
	}
	n, err := s.file.Write(p)
	return n, s.cause(err)
}

// spill moves what there is to a file.
func (s *spool) spill() error {
	f, err := os.CreateTemp(s.dir, "tklbam-spool-")
	if err != nil {
		return err
	}
	if err = os.Remove(f.Name()); err == nil {
		_, err = f.Write(s.head.Bytes())
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	s.file, s.head = f, bytes.Buffer{}
	return nil
}

// cause names the directory, because the file has no name any more, and
// because that is where a full disk is to be looked for.
func (s *spool) cause(err error) error {
	if err == nil {
		return nil
	}
	if path := (*fs.PathError)(nil); errors.As(err, &path) {
		err = path.Err
	}
	dir := s.dir
	if dir == "" {
		dir = os.TempDir()
	}
	return fmt.Errorf("spool it in %q: %w", dir, err)
}

// copyTo writes the content to w.
func (s *spool) copyTo(w io.Writer) error {
	var content io.Reader = bytes.NewReader(s.head.Bytes())
	if s.file != nil {
		content = io.NewSectionReader(s.file, 0, s.size)
	}
	n, err := io.Copy(w, content)
	if err == nil && n != s.size {
		return s.cause(fmt.Errorf("the file ends after %d bytes of %d", n, s.size))
	}
	return err
}

// close gives the space back. There is nothing left to lose: the content is
// stored or given up.
func (s *spool) close() {
	if s.file != nil {
		s.file.Close()
	}
}
