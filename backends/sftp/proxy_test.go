package sftp_test

import (
	"net"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tklbam/backends"
	"tklbam/backends/sftp"
)

func drivers(c *client) []backends.Driver { return []backends.Driver{sftp.Driver(c.env)} }

func shutdown(fd uintptr) { unix.Shutdown(int(fd), unix.SHUT_RDWR) }

// A proxy passes connections on, later, until it is told to stop.
type proxy struct {
	addr   string
	target string
	delay  time.Duration

	stalled chan struct{} // closed when nothing is passed on any more
	ended   chan struct{}
	all     sync.WaitGroup
}

func startProxy(t testing.TB, target string, delay time.Duration) *proxy {
	t.Helper()
	l := listenLoopback(t)
	p := &proxy{addr: l.Addr().String(), target: target, delay: delay, stalled: make(chan struct{}), ended: make(chan struct{})}
	go acceptAll(l, p.serve)
	t.Cleanup(func() {
		l.Close()
		close(p.ended)
		p.all.Wait()
	})
	return p
}

func (p *proxy) stall() { close(p.stalled) }

func (p *proxy) serve(client net.Conn) {
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		client.Close()
		return
	}
	p.all.Go(func() { p.pass(client, server) })
	p.all.Go(func() { p.pass(server, client) })
	<-p.ended
	client.Close()
	server.Close()
}

// A piece is what was read, and when to pass it on.
type piece struct {
	data []byte
	due  time.Time
}

// pass passes on what comes from one side, each piece after the delay.
func (p *proxy) pass(from, to net.Conn) {
	pieces := make(chan piece, 1<<14)
	p.all.Go(func() {
		defer to.Close()
		for piece := range pieces {
			select {
			case <-time.After(time.Until(piece.due)):
			case <-p.ended:
				return
			}
			select {
			case <-p.stalled:
				<-p.ended
				return
			default:
			}
			if _, err := to.Write(piece.data); err != nil {
				return
			}
		}
	})
	defer close(pieces)
	for {
		buf := make([]byte, 64<<10)
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		select {
		case pieces <- piece{buf[:n], time.Now().Add(p.delay)}:
		case <-p.ended:
			return
		}
	}
}
