// Package retry wraps a backend so that what a network or a server refuses for
// a moment is done again, after waits that grow. What can't succeed later
// fails at once: see transient.
package retry

import (
	"context"
	"crypto/sha256"
	"io"
	"io/fs"
	"sync/atomic"
	"time"

	"tklbam/backends"
)

// Options say how long to go on. A field that is not set has the value named.
type Options struct {
	// Attempts ends an operation when so many in a row have brought nothing
	// new; 10.
	Attempts int

	// First is the wait before the second attempt, 1s. Each later one doubles
	// it up to Max, 1m. Waits are shortened by chance, to half at most, so
	// that machines which failed together don't come back together.
	First, Max time.Duration

	// GiveUp ends an operation, in place of a wait, when nothing new has come
	// for so long since its first failure; 15m. It cuts no attempt short: how
	// long an answer may take is for the driver to say.
	GiveUp time.Duration

	// SpoolDir is where the content of a Put waits until it is stored: one
	// file without a name for each Put under way that is longer than a MiB.
	// It should not be in memory; the default is os.TempDir.
	SpoolDir string

	// Notify is told of every failure that is followed by another attempt,
	// from the goroutine that waits: what was done ("list", "open", "read",
	// "store", "delete", "get free space"), to which file if to one, the
	// number of the failed attempt, and the wait to come.
	Notify func(op, name string, attempt int, wait time.Duration, err error)
}

const (
	defaultAttempts = 10
	defaultFirst    = time.Second
	defaultMax      = time.Minute
	defaultGiveUp   = 15 * time.Minute
)

func (o Options) withDefaults() Options {
	o.Attempts = either(o.Attempts, defaultAttempts)
	o.First = either(o.First, defaultFirst)
	o.Max = max(either(o.Max, defaultMax), o.First)
	o.GiveUp = either(o.GiveUp, defaultGiveUp)
	if o.Notify == nil {
		o.Notify = func(string, string, int, time.Duration, error) {}
	}
	return o
}

func either[T int | time.Duration](given, otherwise T) T {
	if given <= 0 {
		return otherwise
	}
	return given
}

// New returns a backend that repeats what b fails to do for a while. It is a
// backends.Spacer if b is, and its readers are io.Seekers if those of b are.
func New(b backends.Backend, opts Options) backends.Backend {
	r := &backend{inner: b, opts: opts.withDefaults()}
	if s, ok := b.(backends.Spacer); ok {
		return &spacer{r, s}
	}
	return r
}

type backend struct {
	inner  backends.Backend
	opts   Options
	closed atomic.Bool // else the errors of a closed backend could pass for those of a broken connection
}

// check refuses what is to fail before the target is touched.
func (b *backend) check(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if b.closed.Load() {
		return fs.ErrClosed
	}
	return nil
}

// List implements backends.Reader. A listing that breaks off is begun again,
// and what has been reported is passed over: a file that is there all the time
// is in the listing that comes to its end, or was in one before. Which names
// have been is kept as 16 bytes of a hash of each.
func (b *backend) List(ctx context.Context, fn func(name string, size int64) error) error {
	if err := b.check(ctx); err != nil {
		return err
	}
	reported := make(map[[16]byte]struct{})
	var stop error // fn's, which is not for the next attempt to mend
	t := tries{backend: b, op: "list"}
	err := t.do(ctx, func() error {
		err := b.inner.List(ctx, func(name string, size int64) error {
			sum := sha256.Sum256([]byte(name))
			id := [16]byte(sum[:16])
			if _, ok := reported[id]; ok {
				return nil
			}
			reported[id] = struct{}{}
			t.progress()
			stop = fn(name, size)
			return stop
		})
		if stop != nil {
			return nil
		}
		return err
	})
	if stop != nil {
		return stop
	}
	return err
}

// Open implements backends.Reader.
func (b *backend) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	if err := b.check(ctx); err != nil {
		return nil, err
	}
	var inner io.ReadCloser
	t := tries{backend: b, op: "open", name: name}
	err := t.do(ctx, func() (err error) {
		inner, err = b.inner.Open(ctx, name)
		return err
	})
	if err != nil {
		return nil, err
	}
	return b.newReader(ctx, name, inner), nil
}

// Delete implements backends.Backend.
func (b *backend) Delete(ctx context.Context, name string) error {
	if err := b.check(ctx); err != nil {
		return err
	}
	t := tries{backend: b, op: "delete", name: name}
	return t.do(ctx, func() error { return b.inner.Delete(ctx, name) })
}

// Close implements backends.Backend. It is not repeated.
func (b *backend) Close() error {
	b.closed.Store(true)
	return b.inner.Close()
}

// String implements backends.Backend.
func (b *backend) String() string { return b.inner.String() }

// spacer is a backend around one that knows its free space.
type spacer struct {
	*backend
	inner backends.Spacer
}

// Free implements backends.Spacer.
func (s *spacer) Free(ctx context.Context) (bytes uint64, err error) {
	if err := s.check(ctx); err != nil {
		return 0, err
	}
	t := tries{backend: s.backend, op: "get free space"}
	err = t.do(ctx, func() (err error) {
		bytes, err = s.inner.Free(ctx)
		return err
	})
	return bytes, err
}
