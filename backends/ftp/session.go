package ftp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jlaffaye/ftp"
	"golang.org/x/sys/unix"

	"tklbam/backends"
)

const (
	defaultStall = time.Minute

	// dialTime bounds the making of a connection.
	dialTime = 30 * time.Second

	// drainTime and maxDrain bound the wait for a server to close a data
	// connection.
	drainTime = 10 * time.Second
	maxDrain  = 1 << 20

	// trusted is how long an idle connection is believed to live without
	// asking: servers close them after a minute or more.
	trusted = time.Second

	// maxIdle is how many connections are kept for later calls.
	maxIdle = 8
)

// encryption is how a server is asked for TLS.
type encryption int32

const (
	plain    encryption = iota
	implicit            // from the first byte
	explicit            // AUTH TLS
)

// dialer makes logged-in connections to one server.
type dialer struct {
	host       string
	ports      []string // to try in turn
	user       string
	password   backends.Secret
	roots      *x509.CertPool
	encryption atomic.Int32 // an encryption; ftps:// learns it
	mayChange  bool         // from implicit to explicit
	stall      time.Duration
}

func newDialer(env Environment, a backends.Address) (*dialer, error) {
	d := &dialer{host: a.Host, user: a.User, password: a.Password, ports: []string{"21"}, stall: env.StallTimeout}
	if d.stall == 0 {
		d.stall = defaultStall
	}
	if d.user == "" {
		d.user = env.User
	}
	if d.password.Reveal() == "" {
		d.password = env.Password
	}
	if d.user == "" {
		d.user = "anonymous"
		if d.password.Reveal() == "" {
			d.password = backends.NewSecret("anonymous@")
		}
	}
	switch a.Scheme {
	case "ftps":
		d.encryption.Store(int32(implicit))
		d.mayChange, d.ports = true, []string{"990", "21"}
	case "ftpes":
		d.encryption.Store(int32(explicit))
	}
	if a.Port != 0 {
		d.ports = []string{strconv.Itoa(a.Port)}
	}
	var err error
	d.roots, err = backends.LoadRoots(env.CAFile)
	return d, err
}

// dial returns a new session after login.
func (d *dialer) dial(ctx context.Context) (s *session, err error) {
	var all error
	for _, port := range d.ports {
		s, err = d.dialPort(ctx, port)
		if clear := (tls.RecordHeaderError{}); errors.As(err, &clear) && d.mayChange {
			d.encryption.CompareAndSwap(int32(implicit), int32(explicit))
			s, err = d.dialPort(ctx, port)
		}
		if err == nil {
			return s, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if !isDialError(err) {
			return nil, err
		}
		all = errors.Join(all, err)
	}
	return nil, all
}

// isDialError reports whether no connection came about: another port may have
// the service.
func isDialError(err error) bool {
	op := (*net.OpError)(nil)
	return errors.As(err, &op) && op.Op == "dial"
}

func (d *dialer) dialPort(ctx context.Context, port string) (*session, error) {
	s := newSession(d.stall)
	mode := encryption(d.encryption.Load())
	config := &tls.Config{
		ServerName: d.host,
		RootCAs:    d.roots,
		// Servers want a data connection to resume the session of its
		// control connection: it shows that both are of one client.
		ClientSessionCache: tls.NewLRUClientSessionCache(2),
	}
	options := []ftp.DialOption{ftp.DialWithDialFunc(s.dialFunc(mode, config))}
	switch mode {
	case implicit:
		options = append(options, ftp.DialWithTLS(config))
	case explicit:
		options = append(options, ftp.DialWithExplicitTLS(config))
	}
	err := s.bound(ctx, func() (err error) {
		s.conn, err = ftp.Dial(net.JoinHostPort(d.host, port), options...)
		if err != nil {
			return fmt.Errorf("connect: %w", s.cause(err))
		}
		if err := s.conn.Login(d.user, d.password.Reveal()); err != nil {
			return fmt.Errorf("log in: %w", s.cause(err))
		}
		return nil
	})
	if err != nil {
		s.abort()
		return nil, err
	}
	return s, nil
}

// A session is a control connection with the data connection it may have at a
// time.
type session struct {
	conn *ftp.ServerConn
	used time.Time // for the last time

	stall time.Duration // the dialer's

	alive context.Context // ends with the session
	end   context.CancelFunc

	mu      sync.Mutex
	conns   []net.Conn // the control connection and the latest data connection
	control *watchedConn
}

func newSession(stall time.Duration) *session {
	s := &session{stall: stall}
	s.alive, s.end = context.WithCancel(context.Background())
	return s
}

// dialFunc returns the function by which the session makes its connections,
// the control connection first. TLS is on top of what abort closes. The
// handshake of data connections comes with their first bytes: some servers do
// not begin it before they have the command.
func (s *session) dialFunc(mode encryption, config *tls.Config) func(network, address string) (net.Conn, error) {
	d := &net.Dialer{Timeout: min(dialTime, s.stall)}
	control := true
	return func(network, address string) (net.Conn, error) {
		first := control
		control = false
		raw, err := d.DialContext(s.alive, network, address)
		if err != nil {
			return nil, err
		}
		conn := &watchedConn{Conn: raw, stall: s.stall}
		s.keep(conn)
		switch {
		case mode == plain || first && mode == explicit:
			return addressed{conn}, nil
		case !first:
			return &dataConn{tls.Client(conn, config), raw}, nil
		}
		secured := tls.Client(conn, config)
		handshake, cancel := context.WithTimeout(s.alive, min(dialTime, s.stall))
		defer cancel()
		return secured, secured.HandshakeContext(handshake)
	}
}

// dataConn is a data connection with TLS.
type dataConn struct {
	*tls.Conn
	raw net.Conn
}

// Close ends what was sent, and waits for the other end to close before it
// does: a socket that is closed while it holds bytes nobody has read, such as
// TLS 1.3's session tickets, is reset, and the end of an upload lost.
func (c *dataConn) Close() error {
	ended := c.CloseWrite() // fails without a handshake: nothing was sent then
	if half, ok := c.raw.(interface{ CloseWrite() error }); ok && ended == nil {
		ended = half.CloseWrite()
	}
	if ended == nil {
		if ended = c.raw.SetReadDeadline(time.Now().Add(drainTime)); ended == nil {
			_, _ = io.Copy(io.Discard, io.LimitReader(c.raw, maxDrain)) // the answer tells what was stored
		}
	}
	return c.raw.Close()
}

// addressed is a connection without more methods than net.Conn has.
type addressed struct{ net.Conn }

// keep remembers a connection for abort.
func (s *session) keep(conn *watchedConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.control == nil {
		s.control = conn
	}
	s.conns = append(s.conns[:min(len(s.conns), 1)], conn)
	if s.alive.Err() != nil {
		conn.Close()
	}
}

// abort ends the session whatever it is doing. Nothing is at stake any more,
// so that errors of closing count for nothing.
func (s *session) abort() {
	s.end()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, conn := range s.conns {
		conn.Close()
	}
}

// quit says goodbye and ends the session. An answer is not waited for.
func (s *session) quit() {
	_ = s.conn.Quit()
	s.abort()
}

// bound runs fn and ends the session if ctx is cancelled meanwhile, which is
// the error then.
func (s *session) bound(ctx context.Context, fn func() error) error {
	release := s.tie(ctx)
	err := fn()
	if !release() {
		return ctx.Err()
	}
	return err
}

// tie ends the session when ctx is cancelled. release unties it, and reports
// whether it lives.
func (s *session) tie(ctx context.Context) (release func() bool) {
	return context.AfterFunc(ctx, s.abort)
}

func (s *session) touch() { s.used = time.Now() }

// lives reports whether an idle session can be used. What came without having
// been asked for is a farewell, or the end of the connection.
func (s *session) lives(ctx context.Context) bool {
	if s.lost() || !s.control.isQuiet() {
		return false
	}
	if time.Since(s.used) < trusted {
		return true
	}
	return s.bound(ctx, func() error { return s.conn.NoOp() }) == nil
}

// lost reports whether the control connection is at its end. Of an answer that
// comes just then, the end may be missing: net/textproto takes such a line for
// a whole one.
func (s *session) lost() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.control != nil && s.control.broken.Load()
}

// watchedConn is a connection that fails after a time of silence, and knows
// when nothing more comes from it.
type watchedConn struct {
	net.Conn
	stall  time.Duration
	broken atomic.Bool
}

// isQuiet reports whether the connection stands and has nothing to read.
func (c *watchedConn) isQuiet() bool {
	socket, ok := c.Conn.(syscall.Conn)
	if !ok {
		return true
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return false
	}
	quiet := false
	err = raw.Control(func(fd uintptr) {
		_, _, err := unix.Recvfrom(int(fd), make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
		quiet = err == unix.EAGAIN
	})
	return err == nil && quiet
}

func (c *watchedConn) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.stall)); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(p)
	if err != nil {
		c.broken.Store(true)
	}
	return n, err
}

func (c *watchedConn) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.stall)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// wirePath returns what stands for a name in a command: servers take a tilde at
// the beginning for somebody's home.
func wirePath(name string) string {
	if name[0] == '~' {
		return "./" + name
	}
	return name
}
