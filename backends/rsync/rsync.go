// Package rsync is the driver for rsync:// addresses: it runs the rsync
// program, 3.1 or later, for a module of an rsync daemon
//
//	rsync://[user[:password]@]host[:port]::/module/path
//
// or a directory on a machine with ssh and rsync, from the login directory or
// from the root:
//
//	rsync://[user@]host[:port]/path   rsync://[user@]host[:port]//path
//
// A password is for a daemon; ssh logs in with keys, as its own configuration
// says, and asks nothing.
//
// The program is run once for each call, and a file is on this machine as a
// whole on its way to and from the target. The receiving rsync writes it
// under a hidden name of its own, compares the checksum and renames it. When
// the connection breaks it removes what it has; only its own crash leaves a
// hidden file, which nothing removes.
//
// Symbolic links are passed over like directories.
package rsync

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync/atomic"

	"tklbam/backends"
	"tklbam/backends/spool"
)

// An Environment is what the driver needs to know besides an address.
type Environment struct {
	// Environ is the environment of rsync and of what it runs, in the form of
	// os.Environ: PATH, HOME, SSH_AUTH_SOCK and, for the login name where an
	// address has none, USER or LOGNAME. Of rsync's own variables
	// RSYNC_PROXY and RSYNC_CONNECT_PROG count; the others, which may change
	// what a call means, are left out (RSYNC_RSH as with Duplicity).
	Environ []string

	// Password serves addresses of a daemon that name none: RSYNC_PASSWORD,
	// else FTP_PASSWORD, which Duplicity has for every protocol.
	Password backends.Secret

	// Shell is the program, with options, that runs commands on another
	// machine; empty is "ssh". Duplicity's --ssh-options go here, after the
	// program.
	Shell []string

	// Options are more options for rsync (Duplicity's --rsync-options), such
	// as --bwlimit=1m.
	Options []string

	// SpoolDir is where files wait on their way (TMPDIR); "" is the system's
	// directory for temporary files.
	SpoolDir string
}

// Driver returns the driver for rsync:// addresses.
func Driver(env Environment) backends.Driver {
	return backends.Driver{
		Schemes: []string{"rsync"},
		Open: func(ctx context.Context, a backends.Address, opts backends.Options) (backends.Backend, error) {
			return open(ctx, env, a, opts)
		},
	}
}

// target is a directory of a daemon or behind ssh. It implements
// backends.Backend.
type target struct {
	address  backends.Address
	program  *program
	prefix   string // of paths: "host:" or "host::"
	dir      string // without slash at the end; "." for the login directory
	spoolDir string
	closed   atomic.Bool

	// noSync is set when the other side knows no --fsync.
	noSync atomic.Bool
}

func open(ctx context.Context, env Environment, a backends.Address, opts backends.Options) (backends.Backend, error) {
	if a.Host == "" {
		return nil, errors.New("the address has no host")
	}
	p, err := newProgram(ctx, env, a)
	if err != nil {
		return nil, err
	}
	t := &target{address: a, program: p, prefix: prefix(a), dir: dir(a), spoolDir: env.SpoolDir}
	err = t.checkDir(ctx, t.dir)
	if opts.Create && errors.Is(err, fs.ErrNotExist) {
		err = t.makeDir(ctx)
	}
	if err != nil {
		return nil, err
	}
	return t, nil
}

// prefix returns what is before the path in an argument.
func prefix(a backends.Address) string {
	host := a.Host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if a.Daemon {
		return host + "::"
	}
	return host + ":"
}

// dir returns the directory's path as arguments have it: no relative one, or
// one in a module, starts with something that the other side could take for an
// option or a home.
func dir(a backends.Address) string {
	path := strings.TrimRight(a.Path, "/")
	switch {
	case a.Daemon:
		module, path, _ := strings.Cut(path, "/")
		return strings.TrimRight(module+"/./"+path, "/")
	case strings.HasPrefix(a.Path, "/"):
		return path
	}
	return strings.TrimRight("./"+path, "/")
}

// inside returns the argument for the inside of a directory that must be
// there: rsync would make one that is named with a slash at the end. (A daemon
// makes it in any case, in a module that is there.)
func (t *target) inside(dir string) string { return t.argument(dir + "/.") }

// argument returns the argument for a path on the other side.
func (t *target) argument(path string) string { return t.prefix + t.program.escape(path) }

// checkDir returns an error if there is no such directory.
func (t *target) checkDir(ctx context.Context, dir string) error {
	return t.program.run(ctx, nil, "--list-only", "--dirs", "--exclude=*", "--", t.inside(dir))
}

// makeDir makes the target with those of the directories above it that are
// missing, none of which other users can read. It sends them as a tree of
// empty directories, because rsync before 3.2.3 makes only the last one.
func (t *target) makeDir(ctx context.Context) error {
	top, missing := t.dir, ""
	for {
		parent, name := path.Split(top)
		parent = strings.TrimRight(parent, "/")
		if name == "" || name == "." {
			return fmt.Errorf("nothing to make it in: %w", fs.ErrNotExist)
		}
		top, missing = parent, path.Join(name, missing)
		if err := t.checkDir(ctx, top); err == nil {
			break
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return t.withSpool(func(tree *spool.Dir) error {
		if err := os.MkdirAll(tree.Join(missing), 0o700); err != nil {
			return err
		}
		return t.program.run(ctx, nil, "--recursive", "--", tree.Path()+"/", t.inside(top))
	})
}

// withSpool runs fn with a spool directory, which it removes.
func (t *target) withSpool(fn func(d *spool.Dir) error) error {
	d, err := spool.New(t.spoolDir)
	if err != nil {
		return err
	}
	return errors.Join(fn(d), d.Remove())
}

// check returns an error if nothing is to be done.
func (t *target) check(ctx context.Context) error {
	if t.closed.Load() {
		return fs.ErrClosed
	}
	return ctx.Err()
}

// Delete implements backends.Backend. rsync deletes what the sending side does
// not have: here an empty directory is sent, and all but one name excluded.
func (t *target) Delete(ctx context.Context, name string) error {
	if err := backends.CheckName(name); err != nil {
		return err
	}
	err := t.check(ctx)
	if err == nil {
		err = t.withSpool(func(empty *spool.Dir) error {
			pattern := "/" + escapePattern(name)
			return t.program.run(ctx, nil, "--dirs", "--delete", "--max-delete=1",
				"--exclude="+pattern+"/", "--include="+pattern, "--exclude=*", "--", empty.Path()+"/", t.inside(t.dir))
		})
	}
	if err != nil {
		return fmt.Errorf("delete %q in %s: %w", name, t, err)
	}
	return nil
}

// escapePattern makes a pattern that matches a name alone. Where there is no
// wildcard, rsync takes a backslash as it is.
func escapePattern(name string) string {
	if !strings.ContainsAny(name, "*?[") {
		return name
	}
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(name)
}

// Close implements backends.Backend.
func (t *target) Close() error {
	t.closed.Store(true)
	return nil
}

// String implements backends.Backend.
func (t *target) String() string { return t.address.String() }
