package imap

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	protocol "github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/emersion/go-sasl"

	"tklbam/backends"
)

const (
	// silence is how long a connection may carry nothing before it counts as
	// dead: longer than servers take to store a big mail.
	silence = 5 * time.Minute

	// dialTime bounds the making of a connection: servers let those wait who
	// gave a wrong password before.
	dialTime = time.Minute

	// maxIdle is how many connections are kept for later calls. Servers
	// commonly allow a user ten or more.
	maxIdle = 8
)

// uid is the number of a mail in a mailbox.
type uid = protocol.UID

// dialer makes logged-in connections to one server.
type dialer struct {
	host     string
	port     string
	user     string
	password backends.Secret
	config   *tls.Config
	implicit bool // TLS from the first byte
	insecure bool
}

func newDialer(env Environment, a backends.Address) (*dialer, error) {
	d := &dialer{host: a.Host, port: "143", user: a.User, password: a.Password, implicit: a.Scheme == "imaps", insecure: env.Insecure}
	if a.User == "" {
		return nil, fmt.Errorf("%w: the address names no user", fs.ErrPermission)
	}
	if env.FullAddress {
		d.user += "@" + a.Host
	}
	if d.password.Reveal() == "" {
		d.password = env.Password
	}
	if env.Server != "" {
		d.host = env.Server
	}
	if d.implicit {
		d.port = "993"
	}
	if a.Port != 0 {
		d.port = strconv.Itoa(a.Port)
	}
	roots, err := backends.LoadRoots(env.CAFile)
	d.config = d.tlsConfig(roots)
	return d, err
}

func (d *dialer) tlsConfig(roots *x509.CertPool) *tls.Config {
	return &tls.Config{ServerName: d.host, RootCAs: roots}
}

// dial returns a new session after login, in no mailbox.
func (d *dialer) dial(ctx context.Context) (*session, error) {
	limited, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	s, err := d.connect(limited)
	if err == nil {
		err = s.bound(limited, func() error { return d.login(s) })
		if err == nil {
			return s, nil
		}
		s.abort()
		err = fmt.Errorf("log in: %w", err)
	} else {
		err = fmt.Errorf("connect: %w", cause(err))
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if limited.Err() != nil {
		err = fmt.Errorf("%w: %w", backends.ErrUnavailable, err)
	}
	return nil, err
}

// connect returns a new session that is encrypted as it has to be.
func (d *dialer) connect(ctx context.Context) (*session, error) {
	s, err := d.reach(ctx)
	if err != nil {
		return nil, err
	}
	if !d.implicit {
		var clear bool
		if clear, err = d.tryClear(ctx, s); err != nil || clear {
			return s, err
		}
		if s.client != nil { // it was needed to ask
			s.abort()
			if s, err = d.reach(ctx); err != nil {
				return nil, err
			}
		}
	}
	if err := s.bound(ctx, func() error { return d.secure(ctx, s) }); err != nil {
		s.abort()
		return nil, err
	}
	return s, nil
}

// reach makes the connection below a session.
func (d *dialer) reach(ctx context.Context) (*session, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(d.host, d.port))
	if err != nil {
		return nil, err
	}
	return &session{conn: &watchedConn{Conn: conn}}, nil
}

// tryClear begins a session without TLS where that is allowed, and reports
// whether it can stay so: on the machine itself unless the server refuses
// passwords then, over a network unless the server has better.
func (d *dialer) tryClear(ctx context.Context, s *session) (bool, error) {
	local := isLoopback(s.conn.RemoteAddr())
	if !local && !d.insecure {
		return false, nil
	}
	s.client = imapclient.New(s.conn, nil)
	clear := false
	err := s.bound(ctx, func() error {
		if err := s.client.WaitGreeting(); err != nil {
			return err
		}
		caps := s.client.Caps()
		clear = !caps.Has(protocol.CapLoginDisabled) && (local || !caps.Has(protocol.CapStartTLS))
		return nil
	})
	if err != nil {
		s.abort()
	}
	return clear, err
}

func isLoopback(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// secure puts TLS on a connection.
func (d *dialer) secure(ctx context.Context, s *session) (err error) {
	if d.implicit {
		conn := tls.Client(s.conn, d.config)
		if err := conn.HandshakeContext(ctx); err != nil {
			return err
		}
		s.client = imapclient.New(conn, nil)
		return s.client.WaitGreeting()
	}
	s.client, err = imapclient.NewStartTLS(s.conn, &imapclient.Options{TLSConfig: d.config})
	if reply := (*protocol.Error)(nil); errors.As(err, &reply) {
		return fmt.Errorf("ask for TLS, without which no password goes over a network: %w", cause(err))
	}
	return err
}

// login sends user and password, and asks what the server can do for them: the
// client may have an answer from before.
func (d *dialer) login(s *session) error {
	if s.client.State() != protocol.ConnStateAuthenticated { // as one greeted with PREAUTH is
		if err := d.identify(s.client); err != nil {
			return err
		}
	}
	caps, err := s.client.Capability().Wait()
	s.caps = caps
	return err
}

// identify sends user and password. What the server answers may quote them.
func (d *dialer) identify(client *imapclient.Client) error {
	caps := client.Caps()
	var err error
	switch {
	case caps.Has(protocol.AuthCap(sasl.Plain)):
		err = client.Authenticate(sasl.NewPlainClient("", d.user, d.password.Reveal()))
	case caps.Has(protocol.CapLoginDisabled):
		return fmt.Errorf("%w: the server takes no password", fs.ErrPermission)
	default:
		err = client.Login(d.user, d.password.Reveal()).Wait()
	}
	return loginCause(err, d.password)
}

// A session is a connection to a server.
type session struct {
	client *imapclient.Client
	conn   net.Conn // below the client and its TLS
	caps   protocol.CapSet

	validity uint32  // of the mailbox it is in
	limit    *uint32 // the longest mail the mailbox takes, once asked for
	broken   bool    // in the middle of a command
}

// abort ends the session whatever it is doing. Nothing is at stake any more,
// so that errors of closing count for nothing.
func (s *session) abort() { _ = s.conn.Close() }

// quit says goodbye and ends the session. An answer is not waited for.
func (s *session) quit() {
	s.client.Logout()
	s.abort()
}

// bound runs fn, and ends the session if ctx is cancelled meanwhile, which is
// the error then.
func (s *session) bound(ctx context.Context, fn func() error) error {
	release := s.tie(ctx)
	err := fn()
	if !release() {
		return ctx.Err()
	}
	return cause(err)
}

// tie ends the session when ctx is cancelled. release unties it, and reports
// whether it lives.
func (s *session) tie(ctx context.Context) (release func() bool) {
	return context.AfterFunc(ctx, s.abort)
}

// refresh learns what others have done to the mailbox since the last command,
// and whether the session still lives.
func (s *session) refresh() error { return cause(s.client.Noop().Wait()) }

// watchedConn is a connection that fails after a time of silence, in both
// directions: a server says nothing while it receives. The client's own limits
// are for the whole of a mail, so that a slow network would break them.
type watchedConn struct {
	net.Conn
	sent atomic.Int64 // the time, in nanoseconds, of the last write
}

func (c *watchedConn) Read(p []byte) (int, error) {
	for {
		if err := c.Conn.SetReadDeadline(time.Now().Add(silence)); err != nil {
			return 0, err
		}
		n, err := c.Conn.Read(p)
		quiet := time.Since(time.Unix(0, c.sent.Load()))
		if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) || quiet >= silence {
			return n, err
		}
	}
}

func (c *watchedConn) Write(p []byte) (int, error) {
	if err := c.Conn.SetWriteDeadline(time.Now().Add(silence)); err != nil {
		return 0, err
	}
	n, err := c.Conn.Write(p)
	c.sent.Store(time.Now().UnixNano())
	return n, err
}

func (c *watchedConn) SetDeadline(time.Time) error      { return nil }
func (c *watchedConn) SetReadDeadline(time.Time) error  { return nil }
func (c *watchedConn) SetWriteDeadline(time.Time) error { return nil }
