// Package pidlock keeps two sessions from running at once: one process at a
// time holds the lock on a pid file.
//
// The lock is flock(2) on the file, not its existence. The kernel gives it up
// when the holder ends in any way, so a file left by a dead process, or one
// whose number another process now has, never blocks anybody. The predecessor
// of this program locks the same file the same way.
package pidlock

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// ErrLocked is what errors.Is finds in a *LockedError.
var ErrLocked = errors.New("locked by another process")

// A LockedError says that another process holds the lock.
type LockedError struct {
	Path string
	PID  int // as the holder wrote it; 0 when it has not written it yet
}

func (e *LockedError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("lock %q: another process holds it", e.Path)
	}
	return fmt.Sprintf("lock %q: process %d holds it", e.Path, e.PID)
}

// Is makes every LockedError an ErrLocked.
func (e *LockedError) Is(target error) bool { return target == ErrLocked }

// A Lock is a held lock. It is not for use by several goroutines at once.
type Lock struct {
	file *os.File
}

// attempts bounds how often Acquire starts again because the file was replaced
// under it, which takes another process removing it at just the wrong moment.
const attempts = 10

// Acquire takes the lock on the file at path, which it creates if need be, and
// writes this process's number into it. It does not wait: when another process
// holds the lock, or this one does through another Lock, the error is a
// *LockedError. A symbolic link at path, or anything but a regular file with
// one name, is refused, so that nobody can aim the write at another file.
//
// The lock lasts until Close or the end of the process; a Lock that is lost
// without a Close may end sooner. Programs that the process starts don't
// inherit it.
func Acquire(path string) (*Lock, error) {
	for range attempts {
		file, err := open(path)
		if err != nil {
			return nil, err
		}
		held, err := try(file, path)
		if held {
			return &Lock{file}, nil
		}
		if err := errors.Join(err, file.Close()); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("lock %q: the file keeps being replaced", path)
}

func open(path string) (*os.File, error) {
	// O_NONBLOCK keeps a device or a fifo from stalling the open.
	const flags = os.O_RDWR | os.O_CREATE | syscall.O_NOFOLLOW | syscall.O_NONBLOCK
	file, err := os.OpenFile(path, flags, 0o644)
	if errors.Is(err, syscall.ELOOP) {
		return nil, fmt.Errorf("lock %q: it is a symbolic link", path)
	}
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	return file, nil
}

// try locks the open file and writes the pid. It returns false without an
// error when path meanwhile names another file, which a lock on this one would
// not protect.
func try(file *os.File, path string) (held bool, err error) {
	if err := check(file); err != nil {
		return false, fmt.Errorf("lock %q: %w", path, err)
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, &LockedError{Path: path, PID: holder(file)}
	}
	if err != nil {
		return false, fmt.Errorf("lock %q: %w", path, err)
	}
	if same, err := names(path, file); err != nil {
		return false, fmt.Errorf("lock: %w", err)
	} else if !same {
		return false, nil
	}
	if err := replace(file, strconv.Itoa(os.Getpid())+"\n"); err != nil {
		return false, fmt.Errorf("lock: %w", err)
	}
	return true, nil
}

func check(file *os.File) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("it is no regular file (%v)", info.Mode().Type())
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Nlink > 1 {
		return errors.New("it has other hard links")
	}
	return nil
}

// names reports whether path still leads to file.
func names(path string, file *os.File) (bool, error) {
	opened, err := file.Stat()
	if err != nil {
		return false, err
	}
	there, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return os.SameFile(opened, there), nil
}

// holder reads the number in a lock file, 0 for anything that is no number.
func holder(file *os.File) int {
	buf := make([]byte, 32)
	n, err := file.ReadAt(buf, 0)
	if err != nil && err != io.EOF {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(buf[:n])))
	if err != nil || pid < 0 {
		return 0
	}
	return pid
}

func replace(file *os.File, content string) error {
	if err := file.Truncate(0); err != nil {
		return err
	}
	_, err := file.WriteAt([]byte(content), 0)
	return err
}

// Close empties the file and gives up the lock. The file itself stays: removing
// it would let two others lock, one the removed file and one its successor.
// Closing again does nothing.
func (l *Lock) Close() error {
	if l.file == nil {
		return nil
	}
	err := errors.Join(l.file.Truncate(0), l.file.Close())
	l.file = nil
	if err != nil {
		return fmt.Errorf("release lock: %w", err)
	}
	return nil
}
