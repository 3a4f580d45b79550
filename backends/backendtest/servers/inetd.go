package servers

import (
	"io"
	"net"
	"os/exec"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// An Inetd runs a command for each connection, as inetd does.
type Inetd struct {
	Addr string // host and port

	procs   sync.WaitGroup
	mu      sync.Mutex
	command []string
	conns   []net.Conn
}

// StartInetd takes connections until the test ends.
func StartInetd(t testing.TB, command ...string) *Inetd {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	s := &Inetd{Addr: l.Addr().String(), command: command}
	s.procs.Go(func() {
		for conn, err := l.Accept(); err == nil; conn, err = l.Accept() {
			s.procs.Go(func() { s.serve(conn) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		s.Cut()
		s.procs.Wait()
	})
	return s
}

// Port returns the port it listens on.
func (s *Inetd) Port() string {
	_, port, _ := net.SplitHostPort(s.Addr)
	return port
}

// Become has another command run for later connections.
func (s *Inetd) Become(command ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.command = command
}

// Conns counts the connections since the start or the last Cut.
func (s *Inetd) Conns() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

func (s *Inetd) serve(conn net.Conn) {
	defer conn.Close()
	file, err := conn.(*net.TCPConn).File()
	if err != nil {
		return
	}
	defer file.Close()
	s.mu.Lock()
	s.conns = append(s.conns, conn)
	cmd := exec.Command(s.command[0], s.command[1:]...)
	s.mu.Unlock()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = file, file, io.Discard
	cmd.Run() // how it ends is the client's affair
}

// Cut ends all connections.
func (s *Inetd) Cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.conns {
		c.(*net.TCPConn).SetLinger(0)
		// The process has the same socket: closing it here is not enough.
		if raw, err := c.(*net.TCPConn).SyscallConn(); err == nil {
			raw.Control(func(fd uintptr) { unix.Shutdown(int(fd), unix.SHUT_RDWR) })
		}
		c.Close()
	}
	s.conns = nil
}
