// Package servers starts real servers of every kind of storage on the loopback
// interface, for tests. Each keeps its state in temporary directories and ends
// with the test. Where its program is absent the test is skipped, or fails if
// the environment has CI=true.
package servers

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// The user of servers that have users of their own. The characters are those
// that addresses, commands and headers may get wrong.
const (
	User     = "back up"
	Password = `p:a"s\s@/%&ü`
)

// Needs returns the path of a program, which may be one of root's.
func Needs(t testing.TB, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		path, err = exec.LookPath(filepath.Join("/usr/sbin", program))
	}
	if err != nil {
		Absent(t, program)
	}
	return path
}

// Absent skips a test for want of something, or fails it in CI.
func Absent(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed", what)
	}
	t.Skipf("%s is not installed", what)
}

func needsRoot(t testing.TB, program string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skipf("%s needs to be started by root", program)
	}
}

// FreePort returns a port of 127.0.0.1 that nothing listens on.
func FreePort(t testing.TB) int {
	t.Helper()
	ports, err := freePorts(1)
	check(t, err)
	return ports[0]
}

func freePorts(n int) (ports []int, err error) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

func loopback(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// check ends the test at an error.
func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t testing.TB, path, content string) {
	t.Helper()
	check(t, os.WriteFile(path, []byte(content), 0o644))
}

// OpenDir returns a directory for a server that changes its user: everyone may
// write to it, and to those named below it.
func OpenDir(t testing.TB, below ...string) string {
	t.Helper()
	dir := t.TempDir()
	check(t, os.Chmod(filepath.Dir(dir), 0o777))
	check(t, os.Chmod(dir, 0o777))
	for _, d := range below {
		check(t, os.MkdirAll(filepath.Join(dir, d), 0o755))
		check(t, os.Chmod(filepath.Join(dir, d), 0o777))
	}
	return dir
}

// A process is a server in the foreground.
type process struct {
	cmd   *exec.Cmd
	log   string
	ended chan error
}

// launch starts a server that ends when this process does, killed or not. What
// it prints is appended to a file.
func launch(log, program string, args ...string) (*process, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	p := &process{cmd: exec.Command(program, args...), log: log, ended: make(chan error, 1)}
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { p.ended <- p.cmd.Wait() }()
	return p, nil
}

// answers waits until the server takes connections.
func (p *process) answers(address string) error {
	deadline := time.After(30 * time.Second)
	for {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			return conn.Close()
		}
		select {
		case err := <-p.ended:
			p.ended <- err
			return fmt.Errorf("%s ended: %w\n%s", p.cmd.Path, err, p.output())
		case <-deadline:
			return fmt.Errorf("%s takes no connections: %w\n%s", p.cmd.Path, err, p.output())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// output is the end of what the server printed.
func (p *process) output() string {
	text, err := os.ReadFile(p.log)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err.Error()
	}
	return string(text[max(0, len(text)-4000):])
}

// stop ends the server, and kills it where it takes too long.
func (p *process) stop(signal os.Signal) {
	p.cmd.Process.Signal(signal) // it may have ended
	select {
	case <-p.ended:
	case <-time.After(10 * time.Second):
		p.cmd.Process.Kill()
		<-p.ended
	}
}

// serve runs a server until the test ends, from when it takes connections, and
// ends it with a signal.
func serve(t testing.TB, signal os.Signal, address, log, program string, args ...string) {
	t.Helper()
	p, err := launch(log, program, args...)
	check(t, err)
	t.Cleanup(func() {
		p.stop(signal)
		if t.Failed() {
			t.Logf("%s printed: %s", program, p.output())
		}
	})
	check(t, p.answers(address))
}
