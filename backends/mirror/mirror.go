// Package mirror keeps a second target beside the first one: New for sessions,
// which write to both, Reader for restores, which take what either has.
//
// What a session decides depends on what it finds, so that it has to find it
// where it writes: the target that New returns reads from the primary alone.
// The second never gets what the primary does not have yet, and no set is ever
// complete in it without being whole: a second target that fails is left alone
// until somebody has brought it up to date again.
package mirror

import (
	"context"
	"fmt"
	"io"
	"sync"

	"tklbam/backends"
)

// A Backend is a target with a second one behind it.
type Backend interface {
	backends.Backend

	// Lagging returns why the second target is not written to any more, nil
	// while it is.
	Lagging() error
}

// New returns a target that stores in primary and second what is put, and
// deletes in both. Before, the caller has to bring the second up to what the
// primary holds. The second may fail, which costs nothing but itself: notify
// hears why, once for storing and once for deleting, from any goroutine. The
// target has the primary's address, and is a backends.Spacer if the primary
// is: it takes what the primary takes. Closing it closes both.
//
// Of several Puts to one name at the same time one wins in each of the two,
// and these need not be the same.
func New(primary, second backends.Backend, notify func(error)) Backend {
	m := &mirror{Backend: primary, second: second, notify: notify}
	if s, ok := primary.(backends.Spacer); ok {
		return spaced{m, s}
	}
	return m
}

// spaced is a mirror whose primary knows its free space.
type spaced struct {
	*mirror
	backends.Spacer
}

type mirror struct {
	backends.Backend // the primary
	second           backends.Backend
	notify           func(error)

	mu      sync.Mutex
	lag     error // of the first Put that failed in the second alone
	keeping bool  // deleting failed in the second alone
}

// Lagging implements Backend.
func (m *mirror) Lagging() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lag
}

// Put implements backends.Backend. Both targets are written to at the pace of
// the slower one. The second learns that the content has ended only when the
// primary has stored it, and so stores nothing that the primary does not have.
//
// Once a Put has failed in the second alone, the set it was for will never be
// complete there: no later Put goes there, that of the manifest least of all.
func (m *mirror) Put(ctx context.Context, name string, write func(io.Writer) error) error {
	if m.Lagging() != nil {
		return m.Backend.Put(ctx, name, write)
	}
	var t *tee
	err := m.Backend.Put(ctx, name, func(w io.Writer) error {
		t = m.tee(ctx, name, w)
		return write(t)
	})
	if t == nil {
		return err
	}
	if secondErr := t.end(err); err == nil && secondErr != nil {
		m.fallBehind(secondErr)
	}
	return err
}

func (m *mirror) fallBehind(err error) {
	m.mu.Lock()
	first := m.lag == nil
	if first {
		m.lag = fmt.Errorf("the mirror is not written to any more: %w", err)
	}
	lag := m.lag
	m.mu.Unlock()
	if first {
		m.notify(lag)
	}
}

// Delete implements backends.Backend. The second goes first: a manifest that
// is gone there alone is copied again, one that is left there alone would
// never be deleted.
//
// A set is deleted manifest first. Once that fails in the second, what would
// follow stays there too. It also stays when the second lags behind, lest it
// loses what it has and gets nothing new.
func (m *mirror) Delete(ctx context.Context, name string) error {
	m.mu.Lock()
	skip := m.lag != nil || m.keeping
	m.mu.Unlock()
	var secondErr error
	if !skip {
		secondErr = m.second.Delete(ctx, name)
	}
	if err := m.Backend.Delete(ctx, name); err != nil {
		return err
	}
	if secondErr != nil {
		m.keep(secondErr)
	}
	return nil
}

func (m *mirror) keep(err error) {
	m.mu.Lock()
	first := !m.keeping
	m.keeping = true
	m.mu.Unlock()
	if first {
		m.notify(fmt.Errorf("nothing is deleted in the mirror any more: %w", err))
	}
}

// Close implements backends.Backend.
func (m *mirror) Close() error {
	err := m.Backend.Close()
	if secondErr := m.second.Close(); err == nil && secondErr != nil {
		err = fmt.Errorf("close the mirror: %w", secondErr)
	}
	return err
}

// A tee passes what is written to the primary on to a Put of the second. That
// reads it in a goroutine of its own, so that both targets work at once.
type tee struct {
	primary io.Writer
	pipe    *io.PipeWriter
	gone    bool // the second's Put has ended
	done    chan error
}

// teeBuffer is the most that the primary can be ahead of the second.
const teeBuffer = 256 << 10

func (m *mirror) tee(ctx context.Context, name string, primary io.Writer) *tee {
	r, w := io.Pipe()
	t := &tee{primary: primary, pipe: w, done: make(chan error, 1)}
	go func() {
		err := m.second.Put(ctx, name, func(w io.Writer) error {
			_, err := io.CopyBuffer(w, r, make([]byte, teeBuffer))
			return err
		})
		r.CloseWithError(io.ErrClosedPipe) // which makes the tee's next write fail
		t.done <- err
	}()
	return t
}

func (t *tee) Write(p []byte) (int, error) {
	n, err := t.primary.Write(p)
	if err == nil && !t.gone {
		_, pipeErr := t.pipe.Write(p)
		t.gone = pipeErr != nil // why is what the Put says
	}
	return n, err
}

// end tells the second how storing ended in the primary, and returns how it
// ends there.
func (t *tee) end(err error) error {
	t.pipe.CloseWithError(err) // nil stands for the end of the content
	return <-t.done
}
