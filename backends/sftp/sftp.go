// Package sftp is the driver for a directory on an SSH server: sftp://, ssh://
// and scp:// addresses, which all mean the same. It speaks SFTP version 3, and
// to servers without it, it sends commands of a POSIX shell (see shellFiles).
//
// A relative path starts in the login directory. The host may be an alias of
// ~/.ssh/config: parseConfig says what of that counts. Host keys are checked
// against known_hosts, always.
//
// Files are stored with mode 0600. As with a local directory a symbolic link
// to a file counts as that file for List and Open (over a shell: for Open
// alone), and is itself replaced or removed.
package sftp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"sync"
	"time"

	"tklbam/backends"
)

// An Environment is what the driver needs to know of the user and the machine
// it runs on. Empty fields are nothing to use.
type Environment struct {
	User        string          // LOGNAME or USER: the name to log in with where address and configuration give none
	HomeDir     string          // HOME: has .ssh with config, known_hosts and keys
	SystemDir   string          // has ssh_config and ssh_known_hosts: /etc/ssh
	AgentSocket string          // SSH_AUTH_SOCK
	Password    backends.Secret // FTP_PASSWORD, as with Duplicity: for the login and for encrypted keys

	// StallTimeout is how long a server may be silent, though it is asked
	// whether it is there, before its connection ends; 0 is 75 seconds.
	// ServerAliveInterval and ServerAliveCountMax in the configuration of
	// SSH precede (Duplicity's --timeout).
	StallTimeout time.Duration

	// Ask has the user answer a question, such as for a passphrase, without
	// showing the answer. It is nil where there is nobody to ask. Calls come
	// one at a time.
	Ask func(ctx context.Context, question string) (backends.Secret, error)
}

// Driver returns the driver for sftp://, ssh:// and scp:// addresses.
//
// A password in an address is tried before keys; otherwise keys come first:
// those of the agent, then those in files.
func Driver(env Environment) backends.Driver {
	open := func(ctx context.Context, a backends.Address, opts backends.Options) (backends.Backend, error) {
		return openTarget(ctx, newDialer(env), a, opts)
	}
	return backends.Driver{Schemes: []string{"sftp", "ssh", "scp"}, Open: open}
}

// files are what a server can do with its files, whichever way it is told to.
// Paths are the server's. Errors are those callers of a backend know.
type files interface {
	// entries lists a directory, without "." and "..".
	entries(ctx context.Context, dir string) ([]entry, error)
	// stale returns the names of temporary files in a directory that were
	// last written to tempMaxAge or more before the file newest was.
	stale(ctx context.Context, dir, newest string) ([]string, error)
	open(ctx context.Context, path string) (io.ReadCloser, error)
	// create makes a file that must not be there yet, with mode 0600.
	create(ctx context.Context, path string) (upload, error)
	// rename gives a file a name that another may have.
	rename(ctx context.Context, from, to string) error
	// remove removes a file; that it is absent may be fs.ErrNotExist.
	remove(ctx context.Context, path string) error
	checkDir(ctx context.Context, path string) error
	// makeDir makes a directory and those above it, with mode 0700.
	makeDir(ctx context.Context, path string) error
	free(ctx context.Context, dir string) (uint64, error)
	// live reports whether the connection still stands.
	live() bool
	close() error
}

// An entry is a file in a listing; the size is a regular file's.
type entry struct {
	name    string
	regular bool
	size    int64
}

// An upload is a file being written.
type upload interface {
	io.Writer
	// finish makes what was written durable and returns the length of the
	// file as the server has it.
	finish() (size int64, err error)
	// abandon gives the upload up; after finish it does nothing.
	abandon()
}

// target is a directory on a server. It implements backends.Backend and
// backends.Spacer. When its connection has broken, the next call makes another.
type target struct {
	address backends.Address
	dialer  *dialer
	dir     string

	turn   chan struct{} // holds one value, which who changes the fields below has taken
	conn   files
	closed bool

	sweeping sync.Mutex // held while stale temporary files are removed
	swept    bool       // they have been
}

func openTarget(ctx context.Context, d *dialer, a backends.Address, opts backends.Options) (backends.Backend, error) {
	if a.Host == "" {
		return nil, errors.New("the address has no host")
	}
	t := &target{address: a, dialer: d, dir: a.Path, turn: make(chan struct{}, 1)}
	if t.dir == "" {
		t.dir = "."
	}
	t.turn <- struct{}{}
	if err := t.openDir(ctx, opts.Create); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

func (t *target) openDir(ctx context.Context, create bool) error {
	conn, _, err := t.connect(ctx)
	if err != nil {
		return err
	}
	err = conn.checkDir(ctx, t.dir)
	if create && errors.Is(err, fs.ErrNotExist) {
		return conn.makeDir(ctx, t.dir)
	}
	return err
}

// connected makes a call on the connection, and once more if it finds out that
// the connection, which was there before, is broken. The call may be repeated.
func (t *target) connected(ctx context.Context, call func(conn files) error) error {
	for {
		conn, used, err := t.connect(ctx)
		if err != nil {
			return err
		}
		err = call(conn)
		if !used || conn.live() || !errors.Is(err, backends.ErrUnavailable) {
			return err
		}
	}
}

// connect returns the connection, after making it where there is none that
// stands; used says that it was there.
func (t *target) connect(ctx context.Context) (conn files, used bool, err error) {
	if err := ctx.Err(); err != nil {
		return nil, false, err
	}
	select {
	case <-t.turn:
	case <-ctx.Done():
		return nil, false, ctx.Err()
	}
	defer func() { t.turn <- struct{}{} }()
	switch {
	case t.closed:
		return nil, false, fs.ErrClosed
	case t.conn != nil && t.conn.live():
		return t.conn, true, nil
	case t.conn != nil:
		t.conn.close() // to free what is left of it
		t.conn = nil
	}
	if conn, err = t.dialer.dial(ctx, t.address); err != nil {
		return nil, false, err
	}
	t.conn = conn
	return conn, false, nil
}

// path returns the path of a file in the target.
func (t *target) path(name string) string { return path.Join(t.dir, name) }

// List implements backends.Reader. A listing is read to its end before fn is
// called, because fn may change the directory.
func (t *target) List(ctx context.Context, fn func(name string, size int64) error) error {
	var entries []entry
	err := t.connected(ctx, func(conn files) (err error) {
		entries, err = conn.entries(ctx, t.dir)
		return err
	})
	if err != nil {
		return fmt.Errorf("list %s: %w", t, err)
	}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("list %s: %w", t, err)
		}
		if !e.regular || !backends.ValidName(e.name) {
			continue
		}
		if err := fn(e.name, e.size); err != nil {
			return err
		}
	}
	return nil
}

// Open implements backends.Reader.
func (t *target) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	if err := backends.CheckName(name); err != nil {
		return nil, err
	}
	var r io.ReadCloser
	err := t.connected(ctx, func(conn files) (err error) {
		r, err = conn.open(ctx, t.path(name))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open %q in %s: %w", name, t, err)
	}
	return r, nil
}

// Delete implements backends.Backend.
func (t *target) Delete(ctx context.Context, name string) error {
	if err := backends.CheckName(name); err != nil {
		return err
	}
	err := t.connected(ctx, func(conn files) error { return ignoreAbsent(conn.remove(ctx, t.path(name))) })
	if err != nil {
		return fmt.Errorf("delete %q in %s: %w", name, t, err)
	}
	return nil
}

// Free implements backends.Spacer.
func (t *target) Free(ctx context.Context) (uint64, error) {
	var bytes uint64
	err := t.connected(ctx, func(conn files) (err error) {
		bytes, err = conn.free(ctx, t.dir)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("get free space of %s: %w", t, err)
	}
	return bytes, nil
}

// Close implements backends.Backend. That a connection is broken is no error
// when it is given up.
func (t *target) Close() error {
	<-t.turn
	defer func() { t.turn <- struct{}{} }()
	conn := t.conn
	t.conn, t.closed = nil, true
	if conn == nil || !conn.live() {
		return nil
	}
	if err := conn.close(); err != nil {
		return fmt.Errorf("close %s: %w", t, err)
	}
	return nil
}

// String implements backends.Backend.
func (t *target) String() string { return t.address.String() }

func ignoreAbsent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
