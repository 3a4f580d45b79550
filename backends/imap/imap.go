// Package imap is the driver for mail servers (IMAP4rev1, RFC 3501, and what
// is newer where a server has it): imap:// and imaps:// addresses.
//
// A file is a mail: its subject is the file's name, its first part the content
// in base64. The path of an address names the mailbox, "INBOX" if there is
// none, with a slash between the levels of the hierarchy whatever the server
// writes there.
//
// Duplicity keeps its files in the one mailbox that an option names, "INBOX" if
// none does, and tells targets apart by the From header, which is the address's
// path. So is it in the mails stored here, and a mail with another From is not
// seen or touched: what else a mailbox holds is none of the target's. Where no
// mailbox has the path's name but INBOX holds such mails, or where
// Environment.Mailbox says so, the target is what it is to Duplicity, which
// thus reads what is stored here and the other way round.
//
// imaps:// is TLS from the first byte (port 993), imap:// asks for it (port
// 143) and goes on without only on the machine itself or if it is told to.
package imap

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"tklbam/backends"
)

// Environment is what the program knows besides an address.
type Environment struct {
	// Password serves addresses that name none (Duplicity's IMAP_PASSWORD).
	Password backends.Secret

	// Server is connected to in place of an address's host (Duplicity's
	// IMAP_SERVER).
	Server string

	// Mailbox is the one that holds the mails of all targets, if it is not
	// the path that names each its own (Duplicity's --imap-mailbox).
	Mailbox string

	// FullAddress appends the address's host to the user, after an "@"
	// (Duplicity's --imap-full-address).
	FullAddress bool

	// CAFile is a file of certificates in PEM that TLS trusts instead of the
	// system's (Duplicity's --ssl-cacert-file).
	CAFile string

	// Insecure lets imap:// send the password over a network without TLS
	// to a server that has none.
	Insecure bool

	// TempDir is where contents wait, unreadable to others, until their
	// length is known; "" is the system's directory for that.
	TempDir string
}

// Driver returns the driver for imap:// and imaps:// addresses.
func Driver(env Environment) backends.Driver {
	return backends.Driver{
		Schemes: []string{"imap", "imaps"},
		Open: func(ctx context.Context, a backends.Address, opts backends.Options) (backends.Backend, error) {
			return open(ctx, env, a, opts)
		},
	}
}

// target is the mails of one sender in a mailbox. It implements
// backends.Backend.
type target struct {
	address backends.Address
	dialer  *dialer
	tempDir string
	place   place

	idle *backends.Pool[*session] // in the mailbox

	mu    sync.Mutex
	sizes map[ref]int64 // of mails that don't say it
}

// A ref names a mail for good: the number alone does so only as long as the
// mailbox is the same.
type ref struct {
	validity uint32 // of the mailbox
	uid      uid
}

func open(ctx context.Context, env Environment, a backends.Address, opts backends.Options) (backends.Backend, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	d, err := newDialer(env, a)
	if err != nil {
		return nil, err
	}
	t := &target{address: a, dialer: d, tempDir: env.TempDir, sizes: make(map[ref]int64), idle: &backends.Pool[*session]{
		Max: maxIdle, Lives: func(ctx context.Context, s *session) bool { return s.bound(ctx, s.refresh) == nil },
		Abort: (*session).abort, Quit: (*session).quit,
	}}
	s, err := d.dial(ctx)
	if err != nil {
		return nil, err
	}
	err = s.bound(ctx, func() error {
		t.place, err = s.find(env.Mailbox, a.Path, opts.Create)
		return err
	})
	if err != nil {
		s.abort()
		return nil, err
	}
	t.idle.Give(s)
	return t, nil
}

// Delete implements backends.Backend.
func (t *target) Delete(ctx context.Context, name string) error {
	if err := backends.CheckName(name); err != nil {
		return err
	}
	err := t.with(ctx, func(s *session) error {
		mails, err := s.named(t.place.from, name)
		if err != nil {
			return err
		}
		return s.remove(t.place.from, mails)
	})
	if err != nil {
		return fmt.Errorf("delete %q in %s: %w", name, t, err)
	}
	return nil
}

// with runs fn with a connection that is in the target's mailbox and knows
// its latest state. It ends the connection when ctx is cancelled, or fn has
// lost track of it.
func (t *target) with(ctx context.Context, fn func(s *session) error) error {
	s, err := t.take(ctx)
	if err != nil {
		return err
	}
	err = s.bound(ctx, func() error { return fn(s) })
	t.put(s, err)
	return err
}

// put gives a connection back after a call that ended with err.
func (t *target) put(s *session, err error) {
	if s.broken || isBroken(err) {
		s.abort()
	} else {
		t.idle.Give(s)
	}
}

// take returns a connection in the mailbox: one that is idle and still lives,
// or a new one.
func (t *target) take(ctx context.Context) (*session, error) {
	s, ok, err := t.idle.Take(ctx)
	if ok || err != nil {
		return s, err
	}
	s, err = t.dialer.dial(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.bound(ctx, func() error { return s.enter(t.place.mailbox) }); err != nil {
		s.abort()
		return nil, fmt.Errorf("select mailbox %q: %w", t.place.mailbox, err)
	}
	return s, nil
}

// Close implements backends.Backend.
func (t *target) Close() error {
	t.idle.Close()
	return nil
}

// String implements backends.Backend.
func (t *target) String() string { return t.address.String() }

// errReplaced is a mail that was there and is not any more, while its file may
// be in another.
var errReplaced = errors.New("the mail has been replaced or deleted")
