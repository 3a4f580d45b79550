// Package faultproxy stands on the loopback interface between a driver and a
// real server, and does what networks and servers do on bad days: Proxy to the
// bytes of any protocol, FTP to a protocol whose transfers have connections of
// their own, HTTP to requests and answers. Suite is a run of such days.
package faultproxy

import (
	"errors"
	"net"
	"slices"
	"sync"
	"testing"
	"time"
)

// A Proxy passes TCP connections on to a server. Its methods are safe for
// concurrent use.
type Proxy struct {
	rewrite func(line []byte) []byte // of what the server sends; nil for none
	running sync.WaitGroup

	mu     sync.Mutex
	delay  time.Duration
	fault  Fault
	fired  bool
	passed [2]int64 // by Side, since Set
	turns  []Turn
	held   chan struct{} // closed by Set
	ports  []net.Listener
	conns  []*conn
	count  int

	stopped bool
}

// Start starts a proxy for a server, "host:port", that ends with the test, and
// returns it with the address it listens on.
func Start(t testing.TB, server string) (p *Proxy, address string) {
	t.Helper()
	p = newProxy(t)
	address, err := p.listen(server)
	if err != nil {
		t.Fatal(err)
	}
	return p, address
}

func newProxy(t testing.TB) *Proxy {
	p := &Proxy{held: make(chan struct{})}
	t.Cleanup(func() {
		p.stop()
		p.running.Wait()
	})
	return p
}

// stop ends all that the proxy does.
func (p *Proxy) stop() {
	p.mu.Lock()
	p.stopped = true
	for _, l := range p.ports {
		l.Close()
	}
	p.mu.Unlock()
	p.Cut()
}

// listen takes connections to a server on a port of its own.
func (p *Proxy) listen(server string) (address string, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return "", errors.Join(net.ErrClosed, l.Close())
	}
	p.ports = append(p.ports, l)
	p.running.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			p.running.Go(func() { p.serve(client.(*net.TCPConn), server) })
		}
	})
	return l.Addr().String(), nil
}

// Set has a fault happen from now on, instead of the one before, and counts
// bytes and turns from nothing. It ends stalls.
func (p *Proxy) Set(f Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault, p.fired, p.passed, p.turns = f, f == Refused, [2]int64{}, nil
	close(p.held)
	p.held = make(chan struct{})
}

// SetDelay has what either side sends from now on arrive that much later. It
// limits no rate: as much as is sent may be under way.
func (p *Proxy) SetDelay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

// Cut ends all connections there are, as Reset does.
func (p *Proxy) Cut() {
	p.mu.Lock()
	conns := p.conns
	p.conns = nil
	p.mu.Unlock()
	for _, c := range conns {
		c.end(Reset)
	}
}

// A Turn is what one side sent on a connection before another side or
// connection spoke.
type Turn struct {
	Side  Side
	Start int64 // bytes of the side before it
	Len   int64

	conn int
}

// maxTurns is how many turns are kept.
const maxTurns = 10_000

// Turns returns what was said since Set.
func (p *Proxy) Turns() []Turn {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.turns)
}

// serve passes one connection on until it ends.
func (p *Proxy) serve(client *net.TCPConn, server string) {
	c := p.join(client)
	if do, gone := p.isGone(); gone && do != Stall {
		c.end(do)
		return
	}
	upstream, err := net.Dial("tcp", server)
	if err != nil {
		c.end(Reset)
		return
	}
	c.connect(upstream.(*net.TCPConn))
	var both sync.WaitGroup
	both.Go(func() { c.pass(Client) })
	both.Go(func() { c.pass(Server) })
	both.Wait()
	c.end(Cut)
}

// join makes a connection one of the proxy's.
func (p *Proxy) join(client *net.TCPConn) *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count++
	c := &conn{proxy: p, number: p.count, ended: make(chan struct{})}
	c.ends[Client] = client
	p.conns = append(p.conns, c)
	if p.stopped {
		go c.end(Reset)
	}
	return c
}

// isGone reports whether a fault lasts, and which.
func (p *Proxy) isGone() (Action, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fault.Do, p.fired && p.fault.Stays
}

// next returns how many of n bytes that a side sends may pass before the fault
// happens to the rest, if it does.
func (p *Proxy) next(c *conn, side Side, n int) (pass int, f Fault, happens bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f = p.fault
	left := f.After - p.passed[side]
	switch {
	case p.fired && f.Stays:
		return 0, f, true
	case p.fired || f.Do == Nothing || f.Side != side || left >= int64(n):
		p.note(c, side, n)
		return n, f, false
	}
	p.fired = true
	p.note(c, side, int(max(left, 0)))
	return int(max(left, 0)), f, true
}

// note counts bytes that pass.
func (p *Proxy) note(c *conn, side Side, n int) {
	if n == 0 {
		return
	}
	start := p.passed[side]
	p.passed[side] += int64(n)
	if last := len(p.turns) - 1; last >= 0 && p.turns[last].Side == side && p.turns[last].conn == c.number {
		p.turns[last].Len += int64(n)
	} else if len(p.turns) < maxTurns {
		p.turns = append(p.turns, Turn{Side: side, Start: start, Len: int64(n), conn: c.number})
	}
}

// release returns the channel that Set closes.
func (p *Proxy) release() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.held
}

func (p *Proxy) currentDelay() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.delay
}
