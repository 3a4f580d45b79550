package rclone

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// process is a program that ends with this one, whatever ends this one.
type process struct {
	cmd      *exec.Cmd
	messages *bufio.Reader
	done     chan struct{} // closed at its end

	mu   sync.Mutex
	last string // message
}

// startProcess starts a program in a session of its own, in which nothing can
// ask at the terminal.
func startProcess(cmd *exec.Cmd) (*process, error) {
	r, w := io.Pipe()
	p := &process{cmd: cmd, messages: bufio.NewReader(r), done: make(chan struct{})}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Stderr = w
	started := make(chan error)
	go func() {
		// The signal comes at the end of the thread, which lasts as long as
		// this function.
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		cmd.Wait() // killed in the end: the error says nothing
		w.Close()
		close(p.done)
	}()
	return p, <-started
}

// end kills the process and what it has started.
func (p *process) end() {
	select {
	case <-p.done:
	default:
		// Most likely not waited for yet, so that the number is its own.
		syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		<-p.done
	}
}

// ended reports whether the process is no more. After a connection has broken
// that may show a moment later.
func (p *process) ended() bool {
	const moment = 100 * time.Millisecond
	select {
	case <-p.done:
		return true
	case <-time.After(moment):
		return false
	}
}

var listeningText = regexp.MustCompile(`Serving remote control on (http://127\.0\.0\.1:\d+)`)

// listening waits for the process to tell where it listens. Of what it writes
// later the last message is kept.
func (p *process) listening(ctx context.Context) (string, error) {
	stop := context.AfterFunc(ctx, p.end)
	defer stop()
	for p.nextMessage() {
		if m := listeningText.FindStringSubmatch(p.lastMessage()); m != nil {
			go func() {
				for p.nextMessage() {
				}
			}()
			return m[1], nil
		}
	}
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	return "", fmt.Errorf("start rclone: it ends with %q", printable(p.lastMessage()))
}

// nextMessage reads a line, of a long one a part, and reports whether there was
// one.
func (p *process) nextMessage() bool {
	line, err := p.messages.ReadSlice('\n')
	if err != nil && err != bufio.ErrBufferFull {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = string(line)
	return true
}

func (p *process) lastMessage() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last
}
