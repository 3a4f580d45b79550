package mirror

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

// Reader returns the files that primary or second has; what both have comes
// from the primary. It fails where both do. notify hears, once for each of the
// two, when one can't do its part, from any goroutine.
func Reader(primary, second backends.Reader, notify func(error)) backends.Reader {
	return &either{primary: primary, second: second, notify: notify}
}

type either struct {
	primary, second backends.Reader
	notify          func(error)
	helped, alone   sync.Once
	down            atomic.Bool // the primary does not answer: the second is asked first
}

// List implements backends.Reader.
func (e *either) List(ctx context.Context, fn func(name string, size int64) error) error {
	seen := map[string]bool{}
	var stop error // of fn
	each := func(name string, size int64) error {
		if seen[name] {
			return nil
		}
		seen[name] = true
		stop = fn(name, size)
		return stop
	}
	err := e.primary.List(ctx, each)
	if stop != nil || ctx.Err() != nil {
		return err
	}
	secondErr := e.second.List(ctx, each)
	switch {
	case stop != nil || ctx.Err() != nil:
		return secondErr
	case err != nil && secondErr != nil:
		return fmt.Errorf("%w; and the mirror: %w", err, secondErr)
	case err != nil:
		e.lean(err)
	case secondErr != nil:
		e.alone.Do(func() { e.notify(fmt.Errorf("the mirror can't be read: %w", secondErr)) })
	}
	return nil
}

// Open implements backends.Reader. Absent is what both say is absent.
func (e *either) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	if e.down.Load() {
		if r, err := e.second.Open(ctx, name); err == nil {
			return r, nil
		}
	}
	r, err := e.primary.Open(ctx, name)
	if err == nil || ctx.Err() != nil || errors.Is(err, fs.ErrInvalid) {
		return r, err
	}
	r, secondErr := e.second.Open(ctx, name)
	switch {
	case secondErr == nil:
		e.lean(err)
		return r, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, secondErr
	}
	return nil, err
}

// lean notes that the second had to help out.
func (e *either) lean(err error) {
	if !errors.Is(err, fs.ErrNotExist) {
		e.down.Store(true)
	}
	e.helped.Do(func() { e.notify(fmt.Errorf("reading from the mirror: %w", err)) })
}
