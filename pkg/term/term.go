// Package term asks the user: passphrases without echo, yes or no, a line of
// text. It also tells what a terminal is and how wide. It is made for Linux.
package term

import (
	"errors"
	"fmt"
	"syscall"

	xterm "golang.org/x/term"
)

// IsTerminal reports whether f, a reader or writer, is a file open on a
// terminal.
func IsTerminal(f any) bool {
	is := false
	err := descriptor(f, func(fd int) error {
		is = xterm.IsTerminal(fd)
		return nil
	})
	return err == nil && is
}

// Width returns the present number of columns of the terminal f is open on, or
// 0 when f is no terminal or does not know.
func Width(f any) int {
	columns := 0
	err := descriptor(f, func(fd int) (err error) {
		columns, _, err = xterm.GetSize(fd)
		return err
	})
	if err != nil {
		return 0
	}
	return columns
}

var errNoFile = errors.New("is no open file")

// descriptor calls use with the descriptor of f, which stays open meanwhile
// and, unlike after os.File.Fd, in the mode it is in.
func descriptor(f any, use func(fd int) error) error {
	file, ok := f.(syscall.Conn)
	if !ok {
		return errNoFile
	}
	conn, err := file.SyscallConn()
	if err != nil {
		return fmt.Errorf("get descriptor: %w", err)
	}
	var result error
	if err := conn.Control(func(fd uintptr) { result = use(int(fd)) }); err != nil {
		return fmt.Errorf("use descriptor: %w", err)
	}
	return result
}
