package term

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestIsTerminal(t *testing.T) {
	p := newPty(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	closed, err := os.Open(p.tty.Name())
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	for name, c := range map[string]struct {
		f    any
		want bool
	}{
		"terminal":        {p.tty, true},
		"pipe":            {r, false},
		"closed terminal": {closed, false},
		"no file":         {(*os.File)(nil), false},
		"reader":          {strings.NewReader(""), false},
		"nothing":         {nil, false},
	} {
		if got := IsTerminal(c.f); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestWidth(t *testing.T) {
	p := newPty(t)
	for _, want := range []int{0, 40, 200} {
		p.control(p.user, func(fd int) error {
			return unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Col: uint16(want), Row: 24})
		})
		if got := Width(p.tty); got != want {
			t.Errorf("width %d, want %d", got, want)
		}
	}
	for _, f := range []any{nil, &strings.Builder{}, (*os.File)(nil)} {
		if got := Width(f); got != 0 {
			t.Errorf("width of %T: %d", f, got)
		}
	}
}
