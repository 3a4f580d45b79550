package file

import (
	"context"
	"errors"
	"os"
	"time"
	"tklbam/backends"

	"golang.org/x/sys/unix"
)

// tempMaxAge is the age from which a temporary file is taken for a dead run's
// where the file system has no locks.
const tempMaxAge = 24 * time.Hour

// tempAttempts bounds how often a temporary file is made anew because a sweep
// took it in the moment between its creation and its lock.
const tempAttempts = 100

// A temp is a temporary file. As long as its maker lives it is locked, which
// tells it from the leftovers of a run that was killed.
type temp struct {
	target *target
	name   string
	file   *os.File
	lock   *os.File // the same open file again: keeps the lock when file is closed, until the rename is done
}

// errSwept is a temporary file lost to a sweep before it was locked.
var errSwept = errors.New("temporary file was removed by another backup")

func (t *target) newTemp() (tmp *temp, err error) {
	for range tempAttempts {
		tmp, err = t.tryTemp(backends.TempName())
		if !errors.Is(err, errSwept) {
			return tmp, err
		}
	}
	return nil, err
}

func (t *target) tryTemp(name string) (*temp, error) {
	file, err := t.openFile(name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	lock, err := duplicate(file)
	if err != nil {
		return nil, errors.Join(err, file.Close(), t.remove(name))
	}
	tmp := &temp{target: t, name: name, file: file, lock: lock}
	if err := tmp.claim(); err != nil {
		tmp.release()
		return nil, errors.Join(err, t.remove(name))
	}
	return tmp, nil
}

// claim locks the file and makes sure that it still has its name. Where there
// are no locks, its age protects it.
func (tmp *temp) claim() error {
	if errors.Is(flock(tmp.lock), unix.EWOULDBLOCK) {
		return errSwept
	}
	_, err := tmp.target.size(tmp.name)
	if errors.Is(err, errNoFile) {
		return errSwept
	}
	return err
}

// release gives up the lock and the descriptors. Errors of closing count in
// fill, where the content is at stake; here the file is stored or given up.
func (tmp *temp) release() {
	tmp.file.Close()
	tmp.lock.Close()
}

// sweepOnce sweeps before the first Put of a backend, so that a disk which a
// killed backup has filled is free for the next.
func (t *target) sweepOnce(ctx context.Context) error {
	t.sweeping.Lock()
	defer t.sweeping.Unlock()
	if t.swept {
		return nil
	}
	if err := t.eachEntry(ctx, t.sweep); err != nil {
		return err
	}
	t.swept = true
	return nil
}

// sweep removes a temporary file whose maker is gone. One that can't be opened
// or removed, such as another user's, is left: it stops no Put, and what else
// is wrong with the directory the Put will meet itself.
func (t *target) sweep(name string) error {
	if !backends.IsTemp(name) {
		return nil
	}
	// For writing, because NFS locks no other files exclusively.
	f, err := t.openFile(name, unix.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil
	}
	defer f.Close()
	if isStale(f) {
		// A maker that renamed it since it was opened leaves nothing to
		// remove: no second file ever gets a temporary name.
		t.remove(name)
	}
	return nil
}

// isStale reports whether a temporary file has no living maker, and in that
// case holds its lock, so that nobody can start to use it.
func isStale(f *os.File) bool {
	err := flock(f)
	if err == nil || errors.Is(err, unix.EWOULDBLOCK) {
		return err == nil
	}
	info, err := f.Stat()
	return err == nil && time.Since(info.ModTime()) > tempMaxAge
}

// flock locks an open file exclusively, without waiting: EWOULDBLOCK if it is
// locked, any other error where there are no locks.
func flock(f *os.File) error {
	return uninterrupted(func() error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) })
}

// duplicate returns a second descriptor of the same open file.
func duplicate(f *os.File) (*os.File, error) {
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}
