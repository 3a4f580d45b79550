package backends

import (
	"context"
	"net"
	"time"
)

// Dialer returns a function that makes connections, as net/http's Transport
// takes it. Making one takes at most the time connect, and it fails when it
// carries nothing for the time silence. What is written counts for reads too:
// who waits for an answer does so all the time that the request is sent.
func Dialer(connect, silence time.Duration) func(ctx context.Context, network, address string) (net.Conn, error) {
	d := &net.Dialer{Timeout: min(connect, silence)}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := d.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &watchedConn{conn, silence}, nil
	}
}

// watchedConn is a connection that fails after a time of silence.
type watchedConn struct {
	net.Conn
	silence time.Duration
}

func (c *watchedConn) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.silence)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c *watchedConn) Write(p []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(c.silence)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}
