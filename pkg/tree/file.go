package tree

import (
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sys/unix"

	"tklbam/chain/archive"
	"tklbam/pkg/sysfs"
)

// ErrChanged says that a path no longer leads to the file its entry
// describes. Source.Stat tells what is there now.
var ErrChanged = errors.New("file was replaced")

// readaheadSize is the size in bytes from which on a file is worth the system
// call that has the kernel read farther ahead.
const readaheadSize = 256 << 10

// A File is a regular file of a Source, open for reading. It is for one
// goroutine.
type File struct {
	fd     int
	path   string
	stamp  stamp
	opened time.Time
	ids    *idNames
}

// A stamp is what changes when a file is written to.
type stamp struct {
	size         int64
	mtime, ctime time.Time
}

func stampOf(e *archive.Entry) stamp { return stamp{e.Size, e.ModTime, e.ChangeTime} }

func (s stamp) matches(st *unix.Stat_t) bool {
	return s.size == st.Size && s.mtime.Equal(timeOf(st.Mtim)) && s.ctime.Equal(timeOf(st.Ctim))
}

// Open opens the content of a regular file. If another inode has taken its
// path the error is ErrChanged; if the same one has changed since the entry
// was made there is none, but Changed reports it: call Refresh first, so that
// what is recorded is what is read. A fifo or device in the file's place does no harm. The access time
// stays as it is where that is permitted.
func (s *Source) Open(e *archive.Entry) (*File, error) {
	opened := time.Now()
	fd, err := s.openFile(e.Path)
	if err != nil {
		return nil, fmt.Errorf("open %q: %w", e.Path, err)
	}
	var st unix.Stat_t
	if err = unix.Fstat(fd, &st); err == nil && !sameFile(e, &st) {
		err = ErrChanged
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("open %q: %w", e.Path, err)
	}
	if st.Size >= readaheadSize {
		_ = unix.Fadvise(fd, 0, 0, unix.FADV_SEQUENTIAL) // advice
	}
	return &File{fd, e.Path, stampOf(e), opened, s.ids}, nil
}

func (s *Source) openFile(path string) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	dir, name, err := s.root.Parent(path)
	if err != nil {
		return -1, err
	}
	fd, err := sysfs.OpenRead(dir, name, unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY)
	if err == unix.ELOOP || err == unix.ENXIO {
		return -1, ErrChanged // a symlink; a socket or a device without a driver
	}
	return fd, err
}

func sameFile(e *archive.Entry, st *unix.Stat_t) bool {
	return st.Mode&unix.S_IFMT == unix.S_IFREG && identity(st) == Identity{e.Device, e.Inode}
}

// Refresh brings an entry up to date with the open file: size, times, mode
// and owner, not the path and HardLink. Changed then compares with that.
func (f *File) Refresh(e *archive.Entry) error {
	var st unix.Stat_t
	if err := unix.Fstat(f.fd, &st); err != nil {
		return fmt.Errorf("stat %q: %w", f.path, err)
	}
	describe(e, &st, f.ids)
	f.stamp = stampOf(e)
	return nil
}

// Read reads the next bytes of the content; io.EOF at the end.
func (f *File) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, err := sysfs.Read(f.fd, p)
	if err != nil {
		return 0, fmt.Errorf("read %q: %w", f.path, err)
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// Changed reports whether the file was written to, or its metadata altered,
// since the last Refresh or else since the entry was made.
func (f *File) Changed() (bool, error) {
	var st unix.Stat_t
	if err := unix.Fstat(f.fd, &st); err != nil {
		return false, fmt.Errorf("stat %q: %w", f.path, err)
	}
	return !f.stamp.matches(&st), nil
}

// Opened returns when the file was opened, for Racy.
func (f *File) Opened() time.Time { return f.opened }

// Close closes the file. Reading leaves nothing that closing could lose.
func (f *File) Close() { unix.Close(f.fd) }
