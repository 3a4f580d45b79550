package term

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A pty is a pseudo terminal: the test types and looks at user, the program
// under test has tty.
type pty struct {
	t    *testing.T
	user *os.File
	tty  *os.File
	seen strings.Builder
}

func newPty(t *testing.T) *pty {
	t.Helper()
	user, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("no pseudo terminals here:", err)
	}
	t.Cleanup(func() { user.Close() })
	p := &pty{t: t, user: user}
	var number int
	p.control(user, func(fd int) (err error) {
		if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
			return err
		}
		number, err = unix.IoctlGetInt(fd, unix.TIOCGPTN)
		return err
	})
	p.tty, err = os.OpenFile("/dev/pts/"+strconv.Itoa(number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.tty.Close() })
	if err := user.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *pty) control(f *os.File, use func(fd int) error) {
	p.t.Helper()
	if err := descriptor(f, use); err != nil {
		p.t.Fatal(err)
	}
}

func (p *pty) write(text string) {
	if _, err := p.user.WriteString(text); err != nil {
		p.t.Error(err)
	}
}

// expect reads what the terminal shows up to and including the text.
func (p *pty) expect(text string) {
	p.t.Helper()
	from, buf := p.seen.Len(), make([]byte, 1)
	for !strings.HasSuffix(p.seen.String()[from:], text) {
		if _, err := p.user.Read(buf); err != nil {
			p.t.Fatalf("waiting for %q after %q: %v", text, p.seen.String(), err)
		}
		p.seen.Write(buf)
	}
}

// settings returns the terminal's, as comparable values.
func (p *pty) settings() unix.Termios {
	p.t.Helper()
	var state *unix.Termios
	p.control(p.tty, func(fd int) (err error) {
		state, err = unix.IoctlGetTermios(fd, unix.TCGETS)
		return err
	})
	return *state
}

func (p *pty) set(state unix.Termios) {
	p.t.Helper()
	p.control(p.tty, func(fd int) error { return unix.IoctlSetTermios(fd, unix.TCSETS, &state) })
}
