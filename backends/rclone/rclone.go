// Package rclone is the driver for rclone:remote:path addresses: it runs the
// rclone program, 1.60 or later, for a remote of its configuration.
//
// One process serves a backend: starting one for each call would cost every
// call the remote's login. It is spoken to over loopback with a password of its
// own (rclone's remote control, https://rclone.org/rc/).
//
// A file that is stored waits on this machine until its length is known. rclone
// compares the length, and the checksum where the remote has one, of what it
// has uploaded. Where the remote can rename, a file is uploaded under a hidden
// name; the others, object stores, show no file before it is complete.
package rclone

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"tklbam/backends"
)

// An Environment is what the driver needs to know besides an address.
type Environment struct {
	// Environ is the environment of rclone, in the form of os.Environ: PATH,
	// HOME, XDG_CONFIG_HOME, RCLONE_CONFIG, RCLONE_CONFIG_PASS and the rest
	// of RCLONE_… but for what concerns its remote control and its log.
	Environ []string

	// SpoolDir is where files wait to be stored (TMPDIR); "" is the system's
	// directory for temporary files.
	SpoolDir string
}

// Driver returns the driver for rclone: addresses.
func Driver(env Environment) backends.Driver {
	return backends.Driver{
		Schemes: []string{"rclone"},
		Open: func(ctx context.Context, a backends.Address, opts backends.Options) (backends.Backend, error) {
			return open(ctx, env, a, opts)
		},
	}
}

// target is a directory of a remote. It implements backends.Backend.
type target struct {
	address  backends.Address
	server   *server
	features features
	spoolDir string

	// renaming is held for a name while a file gets it: rclone deletes the
	// old one first, which two at once would both try.
	renaming nameLocks

	sweeping sync.Mutex
	swept    bool // stale temporary files are removed
}

// features are what the driver has to know of a kind of remote.
type features struct {
	Move                    bool // it renames files
	CanHaveEmptyDirectories bool // a directory without files is not the same as none
}

func open(ctx context.Context, env Environment, a backends.Address, opts backends.Options) (backends.Backend, error) {
	s, err := startServer(ctx, env.Environ, a.Path)
	if err != nil {
		return nil, err
	}
	t := &target{address: a, server: s, spoolDir: env.SpoolDir, renaming: nameLocks{held: make(map[string]chan struct{})}}
	if err := t.find(ctx, opts.Create); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return t, nil
}

// find looks whether the target is there, and makes it.
func (t *target) find(ctx context.Context, create bool) error {
	var info struct{ Features features }
	if err := t.server.call(ctx, "operations/fsinfo", params{}, &info); err != nil {
		return err
	}
	t.features = info.Features
	_, err := t.entries(ctx, listOptions{NoModTime: true})
	if !create || !errors.Is(err, fs.ErrNotExist) && t.features.CanHaveEmptyDirectories {
		return err
	}
	// Of an object store the listing does not tell whether there is a bucket.
	return t.server.call(ctx, "operations/mkdir", params{"remote": ""}, nil)
}

// List implements backends.Reader. A listing is read to its end before fn is
// called. Of several files with one name, which some remotes can have, one is
// reported.
func (t *target) List(ctx context.Context, fn func(name string, size int64) error) error {
	entries, err := t.entries(ctx, listOptions{NoModTime: true})
	if err != nil {
		return fmt.Errorf("list %s: %w", t, err)
	}
	seen := make(map[string]bool, len(entries))
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("list %s: %w", t, err)
		}
		if seen[e.Name] || !backends.ValidName(e.Name) {
			continue
		}
		seen[e.Name] = true
		if err := fn(e.Name, e.Size); err != nil {
			return err
		}
	}
	return nil
}

// An entry is a file in a listing.
type entry struct {
	Name    string
	Size    int64
	ModTime string // in the form of RFC 3339
}

// listOptions say what a listing can do without.
type listOptions struct {
	NoModTime  bool `json:"noModTime"`
	NoMimeType bool `json:"noMimeType"`
	FilesOnly  bool `json:"filesOnly"`
}

// entries lists the files in the target. In an object store a directory without
// files is none.
func (t *target) entries(ctx context.Context, opts listOptions) ([]entry, error) {
	opts.NoMimeType, opts.FilesOnly = true, true
	var listing struct{ List []entry }
	err := t.server.call(ctx, "operations/list", params{"remote": "", "opt": opts}, &listing)
	if errors.Is(err, fs.ErrNotExist) && !t.features.CanHaveEmptyDirectories {
		return nil, nil
	}
	return listing.List, err
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
	err := t.server.call(ctx, "operations/deletefile", params{"remote": name}, nil)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Close implements backends.Backend.
func (t *target) Close() error { return t.server.close() }

// String implements backends.Backend.
func (t *target) String() string { return t.address.String() }
