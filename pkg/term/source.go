package term

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// maxLine is the longest line taken, in bytes.
	maxLine = 64 << 10
	// pause is how often a wait for input looks whether it should go on.
	pause = 100 * time.Millisecond
)

// A source is where answers come from. It reads no byte beyond the line asked
// for, so that whoever reads next finds the rest.
type source struct {
	r      io.Reader
	isFile bool // has a descriptor that can be waited for
	hidden bool // a terminal whose echo has to be off
}

func newSource(r io.Reader) *source {
	noop := func(int) error { return nil }
	return &source{r: r, isFile: descriptor(r, noop) == nil}
}

// line returns the next line without its end, LF or CRLF. A last line need not
// have one; if there is nothing at all the error is io.ErrUnexpectedEOF.
func (s *source) line(ctx context.Context) ([]byte, error) {
	var line []byte
	char := make([]byte, 1)
	for {
		if err := s.wait(ctx); err != nil {
			return nil, err
		}
		n, err := s.r.Read(char)
		switch {
		case n > 0 && char[0] == '\n':
			return bytes.TrimSuffix(line, []byte("\r")), nil
		case n > 0 && len(line) == maxLine:
			return nil, fmt.Errorf("line is longer than %d bytes", maxLine)
		case n > 0:
			line = append(line, char[0])
		case err == io.EOF && len(line) == 0:
			return nil, io.ErrUnexpectedEOF
		case err == io.EOF:
			return bytes.TrimSuffix(line, []byte("\r")), nil
		case err != nil:
			return nil, err
		}
	}
}

// wait returns when there is something to read, or the context's error. A
// reader that is no file cannot be waited for: the read will block instead.
//
// The echo is looked after meanwhile: a shell turns it on again when it stops
// the program and takes it back to the foreground.
func (s *source) wait(ctx context.Context) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if s.hidden {
			if err := descriptor(s.r, echoOff); err != nil {
				return err
			}
		}
		if !s.isFile {
			return nil
		}
		ready := false
		err := descriptor(s.r, func(fd int) (err error) {
			ready, err = readable(fd)
			return err
		})
		if err != nil || ready {
			return err
		}
	}
}

// readable waits a moment for fd to have input, an end of file or an error.
func readable(fd int) (bool, error) {
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(pause.Milliseconds()))
	if err != nil && !errors.Is(err, unix.EINTR) {
		return false, fmt.Errorf("wait for input: %w", err)
	}
	return n > 0, nil
}

// hide turns the terminal's echo off until the returned function is called
// with the outcome of the reading. After a failure that throws away what was
// typed but not read: half a passphrase must not show up at the shell.
func (s *source) hide() (restore func(outcome error) error, err error) {
	var before *unix.Termios
	err = descriptor(s.r, func(fd int) (err error) {
		before, err = unix.IoctlGetTermios(fd, unix.TCGETS)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read terminal settings: %w", err)
	}
	if err := descriptor(s.r, echoOff); err != nil {
		return nil, err
	}
	s.hidden = true
	return func(outcome error) error {
		s.hidden = false
		request := uint(unix.TCSETS)
		if outcome != nil {
			request = unix.TCSETSF
		}
		err := descriptor(s.r, func(fd int) error { return unix.IoctlSetTermios(fd, request, before) })
		if err != nil {
			return fmt.Errorf("restore terminal settings: %w", err)
		}
		return nil
	}, nil
}

// echoOff makes the terminal take lines, with editing keys and interrupts, but
// show nothing, not even the newline.
func echoOff(fd int) error {
	state, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return fmt.Errorf("read terminal settings: %w", err)
	}
	before := *state
	state.Lflag &^= unix.ECHO | unix.ECHONL
	state.Lflag |= unix.ICANON | unix.ISIG
	state.Iflag |= unix.ICRNL
	if *state == before {
		return nil
	}
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, state); err != nil {
		return fmt.Errorf("turn echo off: %w", err)
	}
	return nil
}
