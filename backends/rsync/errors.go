package rsync

import (
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"regexp"
	"strings"

	"tklbam/backends"
)

// Exit codes (EXIT VALUES in rsync's manual). What is above 100 is the remote
// shell's: 255 is ssh's for all that it can't do.
const (
	exitSocket     = 10
	exitStream     = 12
	exitIPC        = 14
	exitVanished   = 24
	exitTimeout    = 30
	exitConnecting = 35
	exitShell      = 255
)

// An exitError is an end of rsync with another status than zero.
type exitError struct {
	code    int
	message string // what it wrote to standard error
}

func (e *exitError) Error() string {
	return fmt.Sprintf("rsync ends with status %d: %q", e.code, printable(e.message))
}

// cause makes of an error of running rsync one that callers of a backend know.
func cause(err error, message string) error {
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		return err
	}
	e := &exitError{exit.ExitCode(), message}
	if kind := e.kind(); kind != nil {
		return fmt.Errorf("%w: %w", kind, e)
	}
	return e
}

// kind returns the error to branch on, nil if it is none. What a message says
// goes before the exit code, which is often only that something was wrong.
func (e *exitError) kind() error {
	if e.code == exitIPC || strings.Contains(e.message, "Failed to exec") {
		return nil // of this machine
	}
	for line := range strings.Lines(e.message) {
		if kind := lineKind(strings.TrimSpace(line)); kind != nil {
			return kind
		}
	}
	switch e.code {
	case exitSocket, exitStream, exitShell:
		if isMisnamed(e.message) {
			return nil
		}
		return backends.ErrUnavailable
	case exitTimeout, exitConnecting:
		return backends.ErrUnavailable
	}
	return nil
}

// errnoText finds the number of a system error, which rsync writes at the end
// of a line after a text that may be in the other machine's language.
var errnoText = regexp.MustCompile(`^rsync: .* \((\d+)\)$`)

// lineKind is kind for one line of messages.
func lineKind(line string) error {
	if m := errnoText.FindStringSubmatch(line); m != nil {
		switch m[1] {
		case "2": // ENOENT
			return fs.ErrNotExist
		case "1", "13", "30": // EPERM, EACCES, EROFS
			return fs.ErrPermission
		case "28", "122", "69": // ENOSPC, EDQUOT on Linux and on BSD
			return backends.ErrNoSpace
		}
		return nil
	}
	for _, known := range []struct {
		text string
		err  error
	}{
		{"@ERROR: auth failed", fs.ErrPermission},
		{"@ERROR: access denied", fs.ErrPermission},
		{"module is read only", fs.ErrPermission},
		{"module is write only", fs.ErrPermission},
		{"@ERROR: Unknown module", fs.ErrNotExist},
		{"@ERROR: chdir failed", fs.ErrNotExist},
		{"@ERROR: max connections", backends.ErrUnavailable},
		{"did not see server greeting", backends.ErrUnavailable},
		{"Permission denied (", fs.ErrPermission}, // ssh's, with the ways it tried to log in
	} {
		if strings.Contains(line, known.text) {
			return known.err
		}
	}
	return nil
}

// isMisnamed reports whether messages say that there is no such host, that it
// is not the one that is known, or that it has no rsync: waiting won't help.
func isMisnamed(message string) bool {
	for _, text := range []string{
		"Name or service not known", "No address associated with hostname",
		"Host key verification failed", "command not found", "rsync: not found",
	} {
		if strings.Contains(message, text) {
			return true
		}
	}
	return false
}

// printable returns the beginning of messages as one line.
func printable(message string) string {
	const limit = 500
	text := strings.Join(strings.FieldsFunc(strings.TrimSpace(message), func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
	if len(text) > limit {
		text = strings.ToValidUTF8(text[:limit], "") + "…"
	}
	return text
}
