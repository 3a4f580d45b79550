package backends

import (
	"context"
	"io/fs"
	"sync"
)

// A Pool keeps connections of a target for later calls. Its methods are safe
// for concurrent use.
type Pool[C any] struct {
	Max   int                                 // how many are kept
	Lives func(ctx context.Context, c C) bool // whether one that was kept can still be used
	Abort func(c C)                           // ends one that can't
	Quit  func(c C)                           // ends one that is not needed any more

	mu     sync.Mutex
	idle   []C // the latest used last
	closed bool
}

// Take returns the connection that was used last of those that live; false if
// there is none. A pool that was closed has the error fs.ErrClosed.
func (p *Pool[C]) Take(ctx context.Context) (c C, ok bool, err error) {
	for {
		if err := ctx.Err(); err != nil {
			return c, false, err
		}
		c, ok, err = p.pop()
		if !ok || err != nil || p.Lives(ctx, c) {
			return c, ok, err
		}
		p.Abort(c)
	}
}

func (p *Pool[C]) pop() (c C, ok bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return c, false, fs.ErrClosed
	}
	last := len(p.idle) - 1
	if last < 0 {
		return c, false, nil
	}
	c = p.idle[last]
	p.idle = p.idle[:last]
	return c, true, nil
}

// Give keeps a connection, if there are not enough.
func (p *Pool[C]) Give(c C) {
	p.mu.Lock()
	keep := !p.closed && len(p.idle) < p.Max
	if keep {
		p.idle = append(p.idle, c)
	}
	p.mu.Unlock()
	if !keep {
		p.Quit(c)
	}
}

// Close ends the connections that are kept, and those that are given later.
func (p *Pool[C]) Close() {
	p.mu.Lock()
	idle := p.idle
	p.idle, p.closed = nil, true
	p.mu.Unlock()
	for _, c := range idle {
		p.Quit(c)
	}
}
