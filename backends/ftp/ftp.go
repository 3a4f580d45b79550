// Package ftp is the driver for FTP servers (RFC 959, with RFC 2228 and 4217
// for TLS, 2428 for IPv6 and 3659 for listings and sizes): ftp://, ftps:// and
// ftpes:// addresses.
//
// The path of an address counts from the login directory, or with a second
// slash from the server's root. ftps:// is TLS from the first byte (port 990)
// or, where the server greets in clear, asked for before anything is sent
// (port 21); ftpes:// is only the latter. Neither goes on without TLS.
//
// An FTP connection does one thing at a time, so that what happens at the same
// time has connections of its own. Servers limit their number: then a call
// fails as backends.ErrUnavailable.
package ftp

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"time"

	"tklbam/backends"
)

// Environment is what the program knows besides an address.
type Environment struct {
	// User and Password serve addresses that name none (Password is
	// Duplicity's FTP_PASSWORD). Without a user it is "anonymous".
	User     string
	Password backends.Secret

	// CAFile is a file of certificates in PEM that TLS trusts instead of the
	// system's (Duplicity's --ssl-cacert-file).
	CAFile string

	// StallTimeout ends a connection on which no byte moves while one is
	// waited for; 0 is a minute (Duplicity's --timeout).
	StallTimeout time.Duration
}

// Driver returns the driver for ftp://, ftps:// and ftpes:// addresses.
func Driver(env Environment) backends.Driver {
	return backends.Driver{
		Schemes: []string{"ftp", "ftps", "ftpes"},
		Open: func(ctx context.Context, a backends.Address, opts backends.Options) (backends.Backend, error) {
			return open(ctx, env, a, opts)
		},
	}
}

// target is a directory on a server. It implements backends.Backend.
type target struct {
	address backends.Address
	dialer  *dialer

	idle *backends.Pool[*session] // in the directory

	sweeping sync.Mutex
	swept    bool // stale temporary files are removed
}

func open(ctx context.Context, env Environment, a backends.Address, opts backends.Options) (backends.Backend, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	d, err := newDialer(env, a)
	if err != nil {
		return nil, err
	}
	t := &target{address: a, dialer: d, idle: &backends.Pool[*session]{
		Max: maxIdle, Lives: func(ctx context.Context, s *session) bool { return s.lives(ctx) },
		Abort: (*session).abort, Quit: (*session).quit,
	}}
	s, err := d.dial(ctx)
	if err != nil {
		return nil, err
	}
	err = s.bound(ctx, func() error {
		err := s.enter(a.Path)
		if opts.Create && errors.Is(err, fs.ErrNotExist) {
			err = s.makeDirs(a.Path)
		}
		return err
	})
	if err != nil {
		s.abort()
		return nil, err
	}
	t.give(s)
	return t, nil
}

// enter changes to a directory; "" is where the login leads.
func (s *session) enter(path string) error {
	if path == "" {
		return nil
	}
	return s.cause(s.conn.ChangeDir(path))
}

// makeDirs enters a directory part by part, and makes those that are missing.
// One that somebody makes meanwhile is entered.
func (s *session) makeDirs(path string) error {
	if strings.HasPrefix(path, "/") {
		if err := s.enter("/"); err != nil {
			return err
		}
	}
	for part := range strings.SplitSeq(path, "/") {
		if err := s.enter(part); !errors.Is(err, fs.ErrNotExist) {
			if err != nil {
				return err
			}
			continue
		}
		made := s.cause(s.conn.MakeDir(part))
		if err := s.enter(part); err != nil {
			return fmt.Errorf("make directory %q: %w", part, errors.Join(made, err))
		}
	}
	return nil
}

// with runs fn with a connection that is in the target's directory. It ends
// the connection when ctx is cancelled, or fn has lost track of it.
func (t *target) with(ctx context.Context, fn func(s *session) error) error {
	s, err := t.take(ctx)
	if err != nil {
		return err
	}
	if err := s.bound(ctx, func() error { return fn(s) }); err != nil {
		if isReply(err) {
			t.give(s)
		} else {
			s.abort()
		}
		return err
	}
	t.give(s)
	return nil
}

// take returns a connection in the directory: one that is idle and still
// lives, or a new one.
func (t *target) take(ctx context.Context) (*session, error) {
	s, ok, err := t.idle.Take(ctx)
	if ok || err != nil {
		return s, err
	}
	s, err = t.dialer.dial(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.bound(ctx, func() error { return s.enter(t.address.Path) }); err != nil {
		s.abort()
		return nil, err
	}
	return s, nil
}

// give keeps a connection for later calls, if there are not enough.
func (t *target) give(s *session) {
	s.touch()
	t.idle.Give(s)
}

// Delete implements backends.Backend.
func (t *target) Delete(ctx context.Context, name string) error {
	if err := backends.CheckName(name); err != nil {
		return err
	}
	if err := t.remove(ctx, name); err != nil {
		return fmt.Errorf("delete %q in %s: %w", name, t, err)
	}
	return nil
}

// remove deletes a file; an absent one is deleted already.
func (t *target) remove(ctx context.Context, name string) error {
	return t.with(ctx, func(s *session) error { return s.remove(name) })
}

// remove deletes a file. The answer to what is absent is the same (550) as to
// what is refused, so that the size tells the two apart.
func (s *session) remove(name string) error {
	err := s.cause(s.conn.Delete(wirePath(name)))
	if err == nil || !isReply(err) || errors.Is(err, backends.ErrUnavailable) {
		return err
	}
	if _, sizeErr := s.size(name); errors.Is(sizeErr, fs.ErrNotExist) {
		return nil
	}
	return err
}

// errNoSize is a server without the means to tell a file's size.
var errNoSize = errors.New("the server tells no sizes")

// size returns the length of a file in bytes, as its transfer is binary.
func (s *session) size(name string) (int64, error) {
	n, err := s.conn.FileSize(wirePath(name))
	if code := replyCode(err); code == 500 || code == 502 || code == 504 {
		entry, entryErr := s.conn.GetEntry(wirePath(name))
		if code := replyCode(entryErr); code == 500 || code == 502 || code == 504 {
			return -1, errNoSize
		}
		if entryErr != nil {
			return -1, s.cause(entryErr)
		}
		return int64(entry.Size), nil
	}
	if err == nil && n < 0 {
		return -1, errors.New("the server tells a negative size")
	}
	return n, s.cause(err)
}

// Close implements backends.Backend.
func (t *target) Close() error {
	t.idle.Close()
	return nil
}

// String implements backends.Backend.
func (t *target) String() string { return t.address.String() }
