package sftp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path"
	"sync"
	"sync/atomic"

	sftplib "github.com/pkg/sftp"

	"tklbam/backends"
)

// maxChannels is how many SFTP sessions a connection has at most. A channel
// lets no more than 2 MiB be under way (40 MB/s where an answer takes 50 ms),
// so that transfers at the same time get one each. OpenSSH allows 10.
const maxChannels = 4

// fullBelow is the free space below which a failure counts as a full disk: a
// write fails where a few packets do not fit.
const fullBelow = 1 << 20

// sftpFiles are the files of a server that has SFTP.
type sftpFiles struct {
	link *link
	lost atomic.Bool // the server has ended a channel

	mu       sync.Mutex
	channels []*channel
	opening  int // channels to come
}

// A channel is one SFTP session, and how many transfers use it.
type channel struct {
	*sftplib.Client
	transfers int
}

// startSFTP starts SFTP on a connection.
func startSFTP(ctx context.Context, l *link) (*sftpFiles, error) {
	s := &sftpFiles{link: l}
	first, err := s.newClient(ctx)
	if err != nil {
		return nil, err
	}
	s.channels = []*channel{{Client: first}}
	return s, nil
}

// newClient opens a channel. A server that says nothing on it is no server of
// SFTP.
func (s *sftpFiles) newClient(ctx context.Context) (*sftplib.Client, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, connectTime, errNoAnswer)
	defer cancel()
	start := func() (*sftplib.Client, error) {
		return sftplib.NewClient(s.link.client, sftplib.MaxPacket(packetSize))
	}
	c, err := await(ctx, start, func(c *sftplib.Client) { c.Close() })
	if err != nil && context.Cause(ctx) == errNoAnswer {
		return nil, fmt.Errorf("%w: %w", backends.ErrUnavailable, errNoAnswer)
	}
	if err != nil {
		return nil, s.link.cause(err)
	}
	go func() {
		c.Wait()
		s.lost.Store(true)
	}()
	return c, nil
}

// main returns the channel for all that is short.
func (s *sftpFiles) main() *channel {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.channels[0]
}

// acquire returns the channel that the fewest transfers use; one more if all
// are in use and the server gives one.
func (s *sftpFiles) acquire(ctx context.Context) *channel {
	s.mu.Lock()
	least := s.channels[0]
	for _, c := range s.channels {
		if c.transfers < least.transfers {
			least = c
		}
	}
	another := least.transfers > 0 && len(s.channels)+s.opening < maxChannels
	if !another {
		least.transfers++
		s.mu.Unlock()
		return least
	}
	s.opening++
	s.mu.Unlock()

	client, err := s.newClient(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opening--
	if err == nil {
		least = &channel{Client: client}
		s.channels = append(s.channels, least)
	}
	least.transfers++
	return least
}

func (s *sftpFiles) release(c *channel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.transfers--
}

func (s *sftpFiles) live() bool { return s.link.live() && !s.lost.Load() }

func (s *sftpFiles) close() error { return s.link.close() }

func (s *sftpFiles) readDir(ctx context.Context, dir string) ([]os.FileInfo, error) {
	c := s.main()
	return await(ctx, func() ([]os.FileInfo, error) { return c.ReadDirContext(ctx, dir) }, nil)
}

// entries implements files. Links are looked up, so that they show as what
// they lead to.
func (s *sftpFiles) entries(ctx context.Context, dir string) ([]entry, error) {
	infos, err := s.readDir(ctx, dir)
	if err != nil {
		return nil, err
	}
	all := make([]entry, 0, len(infos))
	for _, info := range infos {
		name := info.Name()
		if info.Mode().Type() == fs.ModeSymlink && backends.ValidName(name) {
			target, err := s.stat(ctx, path.Join(dir, name))
			if isStatusError(err) {
				continue // it leads nowhere
			}
			if err != nil {
				return nil, err
			}
			info = target
		}
		all = append(all, entry{name: name, regular: info.Mode().IsRegular(), size: info.Size()})
	}
	return all, nil
}

// stale implements files.
func (s *sftpFiles) stale(ctx context.Context, dir, newest string) ([]string, error) {
	now, err := s.stat(ctx, newest)
	if err != nil {
		return nil, err
	}
	infos, err := s.readDir(ctx, dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, info := range infos {
		if backends.IsTemp(info.Name()) && info.Mode().IsRegular() && now.ModTime().Sub(info.ModTime()) >= tempMaxAge {
			names = append(names, info.Name())
		}
	}
	return names, nil
}

// isStatusError reports whether an error is an answer of the server.
func isStatusError(err error) bool {
	var status *sftplib.StatusError
	return errors.As(err, &status) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission)
}

func (s *sftpFiles) stat(ctx context.Context, path string) (os.FileInfo, error) {
	c := s.main()
	return await(ctx, func() (os.FileInfo, error) { return c.Stat(path) }, nil)
}

// open implements files. It asks first what the file is: to open a fifo would
// stop the server.
func (s *sftpFiles) open(ctx context.Context, path string) (io.ReadCloser, error) {
	info, err := s.stat(ctx, path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errNoFile
	}
	c := s.acquire(ctx)
	file, err := await(ctx, func() (*sftplib.File, error) { return c.Open(path) }, closeFile)
	if err == nil {
		info, err = await(ctx, file.Stat, nil) // of this version
	}
	if err != nil {
		s.release(c)
		go closeFile(file)
		return nil, err
	}
	return newReceiver(ctx, file, info.Size(), func() {
		closeFile(file)
		s.release(c)
	}), nil
}

// closeFile frees a file at whose end there is nothing at stake.
func closeFile(file *sftplib.File) {
	if file != nil {
		file.Close()
	}
}

// create implements files. The mode is set before there is content; a server
// that does not let it be set has its own.
func (s *sftpFiles) create(ctx context.Context, path string) (upload, error) {
	c := s.acquire(ctx)
	create := func() (*sftplib.File, error) { return c.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL) }
	file, err := await(ctx, create, closeFile)
	if err == nil {
		err = awaitError(ctx, func() error { return file.Chmod(0o600) })
		if isStatusError(err) {
			err = nil
		}
	}
	if err != nil {
		s.release(c)
		go closeFile(file)
		return nil, s.spaceCause(ctx, path, err)
	}
	return &sftpUpload{ctx: ctx, files: s, channel: c, file: file, path: path, sender: newSender(ctx, file)}, nil
}

// sftpUpload implements upload.
type sftpUpload struct {
	ctx     context.Context
	files   *sftpFiles
	channel *channel
	file    *sftplib.File
	path    string
	sender  *sender
	done    bool
}

func (u *sftpUpload) Write(p []byte) (int, error) {
	n, err := u.sender.Write(p)
	return n, u.files.spaceCause(u.ctx, u.path, err)
}

func (u *sftpUpload) finish() (int64, error) {
	size, err := u.complete()
	if err != nil {
		return 0, u.files.spaceCause(u.ctx, u.path, err)
	}
	u.done = true
	u.files.release(u.channel)
	return size, nil
}

// complete waits for the answers and has the file synced, where the server
// can, and closed.
func (u *sftpUpload) complete() (int64, error) {
	if err := u.sender.wait(); err != nil {
		return 0, err
	}
	if _, can := u.channel.HasExtension("fsync@openssh.com"); can {
		if err := awaitError(u.ctx, u.file.Sync); err != nil {
			return 0, err
		}
	}
	info, err := await(u.ctx, u.file.Stat, nil)
	if err != nil {
		return 0, err
	}
	return info.Size(), awaitError(u.ctx, u.file.Close)
}

// abandon closes the file when the requests under way are answered.
func (u *sftpUpload) abandon() {
	if u.done {
		return
	}
	u.done = true
	go func() {
		closeFile(u.file)
		u.files.release(u.channel)
	}()
}

// spaceCause finds out whether a general failure in a directory is a full
// disk. Quotas can't be seen this way.
func (s *sftpFiles) spaceCause(ctx context.Context, file string, err error) error {
	var status *sftplib.StatusError
	if !errors.As(err, &status) || status.Code != statusFailure || errors.Is(err, backends.ErrNoSpace) {
		return err
	}
	if free, freeErr := s.free(ctx, path.Dir(file)); freeErr == nil && free < fullBelow {
		return fmt.Errorf("%w: %w", backends.ErrNoSpace, err)
	}
	return err
}

// rename implements files. Without OpenSSH's extension version 3 has no
// renaming onto a name that is taken: then the old file is moved aside first,
// and back if the new one can't take its place.
func (s *sftpFiles) rename(ctx context.Context, from, to string) error {
	c := s.main()
	if _, can := c.HasExtension("posix-rename@openssh.com"); can {
		return awaitError(ctx, func() error { return c.PosixRename(from, to) })
	}
	return awaitError(ctx, func() error { return renameAside(c.Client, from, to) })
}

func renameAside(c *sftplib.Client, from, to string) error {
	err := c.Rename(from, to)
	if err == nil || !isStatusError(err) {
		return err
	}
	if _, absent := c.Lstat(to); absent != nil {
		return err
	}
	aside := from + ".old" // no name of a temporary file: a sweep leaves it
	if err := c.Rename(to, aside); err != nil {
		return err
	}
	if err := c.Rename(from, to); err != nil {
		return errors.Join(err, c.Rename(aside, to))
	}
	return c.Remove(aside)
}

// remove implements files.
func (s *sftpFiles) remove(ctx context.Context, path string) error {
	c := s.main()
	return awaitError(ctx, func() error { return c.Remove(path) })
}

// checkDir implements files.
func (s *sftpFiles) checkDir(ctx context.Context, path string) error {
	info, err := s.stat(ctx, path)
	if err == nil && !info.IsDir() {
		err = errNotDir
	}
	return err
}

// makeDir implements files. Another may make it at the same time.
func (s *sftpFiles) makeDir(ctx context.Context, dir string) error {
	err := s.checkDir(ctx, dir)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if parent := path.Dir(dir); parent != dir {
		if err := s.makeDir(ctx, parent); err != nil {
			return err
		}
	}
	c := s.main()
	err = awaitError(ctx, func() error { return c.Mkdir(dir) })
	if err != nil {
		if s.checkDir(ctx, dir) == nil {
			return nil
		}
		return err
	}
	err = awaitError(ctx, func() error { return c.Chmod(dir, 0o700) })
	if isStatusError(err) {
		return nil // the server has its own modes
	}
	return err
}

// free implements files.
func (s *sftpFiles) free(ctx context.Context, dir string) (uint64, error) {
	c := s.main()
	if _, can := c.HasExtension("statvfs@openssh.com"); !can {
		return 0, fmt.Errorf("%w: the server does not tell", errors.ErrUnsupported)
	}
	st, err := await(ctx, func() (*sftplib.StatVFS, error) { return c.StatVFS(dir) }, nil)
	if err != nil {
		return 0, err
	}
	if st.Frsize != 0 && st.Bavail > math.MaxUint64/st.Frsize {
		return math.MaxUint64, nil
	}
	return st.Bavail * st.Frsize, nil
}
