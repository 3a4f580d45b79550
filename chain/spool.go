package chain

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"sync"
)

// A spool is a local file that grows as a session goes on and is made durable
// at chosen moments by another goroutine than the one that writes.
type spool struct {
	mu   sync.Mutex
	file *os.File
	buf  *bufio.Writer
	size int64
}

// openSpool opens a spool with what it held up to size; the rest is cut off.
func openSpool(path string, size int64) (*spool, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if st, err := f.Stat(); err != nil || st.Size() < size {
		f.Close()
		return nil, fmt.Errorf("spool %q: shorter than the %d bytes it should hold", path, size)
	}
	if err := f.Truncate(size); err != nil {
		f.Close()
		return nil, err
	}
	if _, err := f.Seek(size, io.SeekStart); err != nil {
		f.Close()
		return nil, err
	}
	return &spool{file: f, buf: bufio.NewWriterSize(f, 64<<10), size: size}, nil
}

func (s *spool) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.buf.Write(p)
	s.size += int64(n)
	return n, err
}

// Size is how much was written, buffered or not.
func (s *spool) Size() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.size
}

// flush makes what was written readable through the file.
func (s *spool) flush() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.Flush()
}

// Sync makes what was written durable.
func (s *spool) Sync() error {
	if err := s.flush(); err != nil {
		return err
	}
	return s.file.Sync()
}

// reader reads the spool from its start; it must be flushed.
func (s *spool) reader() io.Reader {
	return io.NewSectionReader(s.file, 0, s.Size())
}

// truncate takes the spool back to size.
func (s *spool) truncate(size int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.buf.Flush(); err != nil {
		return err
	}
	if err := s.file.Truncate(size); err != nil {
		return err
	}
	_, err := s.file.Seek(size, io.SeekStart)
	s.size = size
	return err
}

func (s *spool) Close() error {
	err := s.flush()
	if cerr := s.file.Close(); err == nil {
		err = cerr
	}
	return err
}
