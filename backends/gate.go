package backends

import (
	"context"
	"sync"
)

// A Gate lets a context be cancelled by another one up to a moment, and no more
// from then on. An upload passes it before its last byte is sent: what became
// of one that is cancelled later could not be told. Its methods are safe for
// concurrent use.
type Gate struct {
	caller context.Context
	ctx    context.Context
	cancel context.CancelFunc
	stop   func() bool
	once   sync.Once
	open   bool
}

// NewGate returns a gate for a caller's context. It is to be closed.
func NewGate(caller context.Context) *Gate {
	ctx, cancel := context.WithCancel(context.WithoutCancel(caller))
	return &Gate{caller: caller, ctx: ctx, cancel: cancel, stop: context.AfterFunc(caller, cancel)}
}

// Context returns the context that ends with the caller's, or not any more.
func (g *Gate) Context() context.Context { return g.ctx }

// Pass returns nil if the context was not cancelled before, and then never will
// be; else the error of the caller's.
func (g *Gate) Pass() error {
	g.once.Do(func() {
		g.open = g.stop()
		if !g.open {
			g.cancel() // at the latest now
		}
	})
	if !g.open {
		return g.caller.Err()
	}
	return nil
}

// Close ends the context.
func (g *Gate) Close() {
	g.stop()
	g.cancel()
}
