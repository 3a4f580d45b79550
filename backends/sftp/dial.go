package sftp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"tklbam/backends"
)

// A dialer makes connections for one backend.
type dialer struct {
	env    Environment
	memory memory
}

func newDialer(env Environment) *dialer {
	return &dialer{env: env, memory: memory{answers: make(map[string]backends.Secret)}}
}

// dial connects to the server of an address and starts SFTP, or else a shell.
func (d *dialer) dial(ctx context.Context, a backends.Address) (files, error) {
	hops, err := route(d.env, a)
	if err != nil {
		return nil, err
	}
	l, err := d.link(ctx, hops)
	if err != nil {
		return nil, err
	}
	s, err := startSFTP(ctx, l)
	if err == nil {
		return s, nil
	}
	if !l.live() || ctx.Err() != nil {
		return nil, errors.Join(err, l.close())
	}
	sh, shellErr := startShell(ctx, l, func(ctx context.Context) (*link, error) { return d.link(ctx, hops) })
	if shellErr != nil {
		return nil, errors.Join(fmt.Errorf("start sftp: %w", err), fmt.Errorf("start a shell instead: %w", shellErr), l.close())
	}
	return sh, nil
}

// A link is a connection to a server, with those to the servers on the way.
type link struct {
	client *ssh.Client
	hops   []*ssh.Client  // the last is client
	conns  []*watchedConn // under the hops
}

// link connects to one server after the other.
func (d *dialer) link(ctx context.Context, hops []endpoint) (*link, error) {
	l := &link{}
	for _, server := range hops {
		if err := d.hop(ctx, l, server); err != nil {
			return nil, errors.Join(err, l.closeHops())
		}
	}
	return l, nil
}

// hop connects to the next server.
func (d *dialer) hop(ctx context.Context, l *link, server endpoint) error {
	conn, err := l.reach(ctx, server)
	if err != nil {
		return fmt.Errorf("connect to %s: %w", server.dialAddress(), err)
	}
	client, err := d.handshake(ctx, conn, server, l.client == nil)
	if err != nil {
		conn.Close()
		return err
	}
	l.client = client
	l.hops = append(l.hops, client)
	l.conns = append(l.conns, conn)
	interval, count, err := server.alive()
	if err != nil {
		return err
	}
	go keepAlive(client, conn, interval, count)
	return nil
}

// reach opens the connection under SSH's.
func (l *link) reach(ctx context.Context, server endpoint) (*watchedConn, error) {
	limit := server.connectLimit()
	timed, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	dial := (&net.Dialer{}).DialContext
	if l.client != nil {
		dial = l.client.DialContext
	}
	conn, err := dial(timed, server.network(), server.dialAddress())
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case timed.Err() != nil && err != nil:
		return nil, fmt.Errorf("%w: %w (%v)", backends.ErrUnavailable, errNoAnswer, limit)
	case isRefused(err): // by the server on the way
		return nil, fmt.Errorf("%w: %w", backends.ErrUnavailable, err)
	case err != nil:
		return nil, cause(err)
	}
	return &watchedConn{Conn: conn}, nil
}

// isRefused reports whether a server does not open a channel.
func isRefused(err error) bool {
	refused := (*ssh.OpenChannelError)(nil)
	return errors.As(err, &refused)
}

// handshake checks the server's key and logs in.
func (d *dialer) handshake(ctx context.Context, conn net.Conn, server endpoint, direct bool) (*ssh.Client, error) {
	keys, err := loadHostKeys(server, direct)
	if err != nil {
		return nil, err
	}
	timer := newTimer(server.loginLimit(), func() { conn.Close() })
	defer timer.stop()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	l := &login{ctx: ctx, server: server, memory: &d.memory, timer: timer}
	defer l.close()
	c, channels, answers, err := ssh.NewClientConn(conn, server.dialAddress(), &ssh.ClientConfig{
		User: server.user, Auth: l.methods(), HostKeyCallback: keys.check, HostKeyAlgorithms: keys.algorithms(),
	})
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err == nil:
		return ssh.NewClient(c, channels, answers), nil
	case keys.refused != nil:
		return nil, keys.refused
	case timer.fired.Load():
		err = fmt.Errorf("%w: %w", backends.ErrUnavailable, errNoAnswer)
	case isDenied(err):
		return nil, l.denied(err)
	}
	return nil, fmt.Errorf("connect to %s: %w", server.dialAddress(), cause(err))
}

// session opens a session. An error but the server's refusal is the end of the
// connection.
func (l *link) session(ctx context.Context) (*ssh.Session, error) {
	session, err := await(ctx, l.client.NewSession, func(s *ssh.Session) { s.Close() })
	if err != nil && ctx.Err() == nil && !isRefused(err) {
		l.conns[len(l.conns)-1].broken.Store(true)
	}
	return session, l.cause(err)
}

// confirm asks the server for a sign of life: the connection has not broken
// before.
func (l *link) confirm(ctx context.Context) error {
	return awaitError(ctx, func() error {
		_, _, err := l.client.SendRequest("keepalive@openssh.com", true, nil)
		return err
	})
}

// live reports whether the connection stands, as far as is known: before any
// call fails because it does not.
func (l *link) live() bool {
	return !slices.ContainsFunc(l.conns, func(c *watchedConn) bool { return c.broken.Load() })
}

// cause adds to an error that the connection is broken, which not every one
// tells.
func (l *link) cause(err error) error {
	if err == nil || l.live() || errors.Is(err, backends.ErrUnavailable) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fmt.Errorf("%w: %w", backends.ErrUnavailable, err)
}

func (l *link) close() error {
	err := l.closeHops()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// closeHops closes the connections, the innermost first. Once that is closed
// it does not matter how the others end.
func (l *link) closeHops() error {
	var err error
	for i := len(l.hops) - 1; i >= 0; i-- {
		closeErr := l.hops[i].Close()
		if i == len(l.hops)-1 {
			err = closeErr
		}
	}
	return err
}

// watchedConn knows when something came from the server, and when nothing
// more will.
type watchedConn struct {
	net.Conn
	heard  atomic.Int64 // reads that gave something
	broken atomic.Bool
}

func (c *watchedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.heard.Add(1)
	}
	if err != nil {
		c.broken.Store(true)
	}
	return n, err
}

func (c *watchedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if err != nil {
		c.broken.Store(true)
	}
	return n, err
}

// keepAlive asks a server that is silent whether it is there, which also keeps
// routers from forgetting the connection, and closes the connection when
// nothing came for limit times after the first. Anything that comes counts: on
// a slow line the answer waits behind what is being sent.
func keepAlive(client *ssh.Client, conn *watchedConn, every time.Duration, limit int) {
	gone := make(chan struct{})
	go func() {
		client.Wait() // its end may be SSH's own, as with a message that was changed
		conn.broken.Store(true)
		close(gone)
	}()
	tick := time.NewTicker(every)
	defer tick.Stop()
	var asking atomic.Bool
	silent, before := 0, int64(-1)
	for {
		select {
		case <-gone:
			return
		case <-tick.C:
		}
		heard := conn.heard.Load()
		if heard != before {
			silent, before = 0, heard
			continue
		}
		if silent++; silent > limit {
			conn.Close()
			return
		}
		if asking.CompareAndSwap(false, true) {
			go func() {
				client.SendRequest("keepalive@openssh.com", true, nil)
				asking.Store(false)
			}()
		}
	}
}

// timer calls a function once when it has run for a time in all.
type timer struct {
	fired atomic.Bool

	mu    sync.Mutex
	limit time.Duration
	timer *time.Timer
}

func newTimer(limit time.Duration, call func()) *timer {
	t := &timer{limit: limit}
	t.timer = time.AfterFunc(limit, func() {
		t.fired.Store(true)
		call()
	})
	return t
}

func (t *timer) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.timer.Stop()
}

// start lets the whole time begin again.
func (t *timer) start() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.timer.Reset(t.limit)
}
