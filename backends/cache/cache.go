// Package cache keeps files of a target in a directory, so that a restore that
// failed does not fetch them again. It serves any number of targets, backends
// and processes at a time.
//
// A cache is there to save time: whatever is wrong with its directory, a full
// disk among it, files are then read from the target as without it.
package cache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"sync/atomic"

	"tklbam/backends"
)

// Options say where and what to keep. All but Report have to be set.
type Options struct {
	// Dir is the directory. It is made, readable for its owner alone, when a
	// file is to be kept.
	Dir string

	// Size returns how many bytes the directory may hold at most, where room
	// bytes of its file system are free or taken by it. It is asked before
	// each file that is fetched.
	Size func(room int64) int64

	// Keep reports whether files of a name are kept: those whose content stays
	// the same for as long as the name and the length do.
	Keep func(name string) bool

	// Report is told of the first problem with the directory. It may be called
	// from any goroutine.
	Report func(err error)
}

// New returns a backend that keeps files of b which are read. It is a
// backends.Spacer if b is, and has the method
//
//	Drop(name string)
//
// for a caller who finds that what he has read is damaged: what came damaged
// from the target is kept like any other content, and Drop makes the next Open
// fetch it again.
//
// A file is looked for in the cache once a listing has told its length, which
// is how a new file under an old name is known. What is kept of a file that is
// gone from the target is found until a listing is without it.
func New(b backends.Backend, opts Options) backends.Backend {
	c := &backend{Backend: b, opts: opts, dir: directory{opts.Dir, opts.Size}, listed: make(map[string]*entry)}
	if s, ok := b.(backends.Spacer); ok {
		return struct {
			*backend
			backends.Spacer
		}{c, s}
	}
	return c
}

type backend struct {
	backends.Backend
	opts     Options
	dir      directory
	closed   atomic.Bool
	reported sync.Once
	stuck    atomic.Bool // the lock could not be had once: no file waits for it again

	mu       sync.Mutex
	listings int               // begun so far
	listed   map[string]*entry // the files to keep, by name
}

// An entry is a file of the target as a listing told of it. It is replaced by
// another one when the file is known to have changed: a fetch compares that to
// keep nothing that was replaced meanwhile.
type entry struct {
	identity
	listing int // the last one that told of it
}

// maxSize keeps the arithmetic with lengths that a target tells in bounds.
const maxSize = 1 << 60

// errChanged is a file whose length is not the one that was listed.
var errChanged = errors.New("the file has changed since it was listed")

// List implements backends.Reader.
func (b *backend) List(ctx context.Context, fn func(name string, size int64) error) error {
	listing := b.begin()
	err := b.Backend.List(ctx, func(name string, size int64) error {
		if size >= 0 && size < maxSize && b.opts.Keep(name) {
			b.note(listing, name, size)
		}
		return fn(name, size)
	})
	if err == nil {
		b.end(listing)
	}
	return err
}

func (b *backend) begin() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.listings++
	return b.listings
}

func (b *backend) note(listing int, name string, size int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.listed[name]
	if e == nil || e.size != size {
		e = &entry{identity: identity{b.Backend.String(), name, size}}
		b.listed[name] = e
	}
	e.listing = max(e.listing, listing)
}

// end forgets the files that a whole listing was without.
func (b *backend) end(listing int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for name, e := range b.listed {
		if e.listing < listing {
			delete(b.listed, name)
		}
	}
}

func (b *backend) lookup(name string) *entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.listed[name]
}

// Open implements backends.Reader. A file that is to be kept is fetched as a
// whole first; its reader is an io.Seeker.
func (b *backend) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if b.closed.Load() {
		return nil, fs.ErrClosed
	}
	e := b.lookup(name)
	if e == nil {
		return b.Backend.Open(ctx, name)
	}
	r, err := b.dir.open(ctx, e.identity)
	if r != nil {
		return r, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	b.report(err)
	return b.fetch(ctx, e)
}

// fetch brings a file into the cache and returns a reader of it there; or of
// the target, if the cache can't take it.
func (b *backend) fetch(ctx context.Context, e *entry) (io.ReadCloser, error) {
	if b.stuck.Load() {
		return b.Backend.Open(ctx, e.name)
	}
	t, err := b.dir.reserve(ctx, e.identity)
	if err != nil {
		if errors.Is(err, errLocked) {
			b.stuck.Store(true)
		}
		return b.without(ctx, e, err)
	}
	ofTarget, ofCache := b.fill(ctx, e, t)
	switch {
	case ofTarget != nil:
		b.report(t.discard())
		return nil, ofTarget
	case ofCache != nil:
		return b.without(ctx, e, errors.Join(ofCache, t.discard()))
	}
	b.report(b.keep(e, t)) // what has been fetched can be read in any case
	return newReader(ctx, t.file, e.size), nil
}

// without opens a file at the target because the cache failed with err.
func (b *backend) without(ctx context.Context, e *entry, err error) (io.ReadCloser, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	b.report(err)
	return b.Backend.Open(ctx, e.name)
}

// fill copies a file from the target. It tells errors of the target, which are
// the caller's, from those of the cache.
func (b *backend) fill(ctx context.Context, e *entry, t *temp) (ofTarget, ofCache error) {
	r, err := b.Backend.Open(ctx, e.name)
	if err != nil {
		return err, nil
	}
	defer r.Close() // after io.EOF there is nothing to lose
	n, err := io.Copy(t, io.LimitReader(r, e.size+1))
	switch {
	case t.err != nil:
		return nil, t.err
	case err != nil:
		return err, nil
	case n != e.size:
		return nil, errChanged
	}
	return nil, t.seal()
}

// keep gives what was fetched its place, unless the file has changed since it
// was looked up.
func (b *backend) keep(e *entry, t *temp) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.listed[e.name] != e {
		return t.unlink()
	}
	return t.commit()
}

// Put implements backends.Backend.
func (b *backend) Put(ctx context.Context, name string, write func(w io.Writer) error) error {
	defer b.changed(name)
	return b.Backend.Put(ctx, name, write)
}

// Delete implements backends.Backend.
func (b *backend) Delete(ctx context.Context, name string) error {
	defer b.changed(name)
	return b.Backend.Delete(ctx, name)
}

// changed is what follows a change of a file. Also one that failed: it may
// have come about.
func (b *backend) changed(name string) {
	if backends.ValidName(name) {
		b.forget(name)
		b.Drop(name)
	}
}

// Drop makes the next Open of a file fetch it again.
func (b *backend) Drop(name string) {
	b.renew(name)
	b.report(b.dir.remove(key(b.Backend.String(), name)))
}

// renew makes a file another one for those who are fetching it.
func (b *backend) renew(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e := b.listed[name]; e != nil {
		again := *e
		b.listed[name] = &again
	}
}

// forget makes a file one that no listing has told of.
func (b *backend) forget(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.listed, name)
}

// report passes a problem on if it is the first.
func (b *backend) report(err error) {
	if err == nil || errors.Is(err, errChanged) || b.opts.Report == nil {
		return
	}
	b.reported.Do(func() { b.opts.Report(fmt.Errorf("keep files of %s in %q: %w", b, b.opts.Dir, err)) })
}

// Close implements backends.Backend.
func (b *backend) Close() error {
	b.closed.Store(true)
	return b.Backend.Close()
}
